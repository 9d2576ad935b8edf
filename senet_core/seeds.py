"""Counted randomness: every random number comes from (seed, stream, epoch or path), never from "wherever the generator was"."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from senet_core.errors import InputError, unknown

Stream = Literal["split", "init", "order", "augment", "noise"]
STREAMS: tuple[str, ...] = get_args(Stream)

Seed = int | Mapping[str, int]
"""One number for all streams, or a number per stream (all five)."""


def normal_seed(seed: Seed) -> int | dict[str, int]:
    """The one form of a seed: a number where all streams agree, else a complete mapping in the order of ``STREAMS``.

    :raises InputError: for an unknown or missing stream, or a number outside 0 ... 2^63 - 1.
    """
    numbers = dict.fromkeys(STREAMS, seed) if isinstance(seed, int) else dict(seed)
    for stream in numbers.keys() - set(STREAMS):
        raise unknown("random stream", stream, STREAMS)
    if len(numbers) < len(STREAMS):
        raise InputError(f"A seed by streams needs a number for each of: {', '.join(STREAMS)}.")
    if not all(0 <= number < 2**63 for number in numbers.values()):
        raise InputError("A seed is a whole number from 0 to 2^63 - 1.")
    ordered = {stream: int(numbers[stream]) for stream in STREAMS}
    return ordered["init"] if len(set(ordered.values())) == 1 else ordered


def varied(number: int, stream: str | None) -> Seed:
    """The seed in which one stream has the number and all others stand at 0; without a stream, all of them have it.

    So number 0 is one and the same seed whichever stream is varied.

    :raises InputError: for an unknown stream.
    """
    if stream is None:
        return number
    if stream not in STREAMS:
        raise unknown("random stream", stream, STREAMS)
    return normal_seed({**dict.fromkeys(STREAMS, 0), stream: number})


def seed_label(text: str) -> str:
    """A seed as people read it, given as studies name it (its canonical JSON): "seed 3", or "init 3" where the others stand at 0."""
    seed = json.loads(text)
    if isinstance(seed, int):
        return f"seed {seed}"
    return ", ".join(f"{stream} {number}" for stream, number in seed.items() if number)


def seed_number(text: str) -> int:
    """The greatest number in a seed, given as studies name it: a greater one makes another seed, whichever stream it is for."""
    seed = json.loads(text)
    return seed if isinstance(seed, int) else max(seed.values())


def derive(seed: Seed, stream: Stream, *place: int | str) -> int:
    """A 63-bit number for one place in one stream, e.g. ``derive(0, "init", "stage1.unit1.conv1")``."""
    number = seed if isinstance(seed, int) else seed[stream]
    text = "/".join([str(number), stream, *map(str, place)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: Seed, stream: Stream, *place: int | str) -> np.random.Generator:
    """A counter-based NumPy generator for one place in one stream."""
    return np.random.Generator(np.random.Philox(key=derive(seed, stream, *place)))
