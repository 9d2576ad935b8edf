"""A trial's key: what was trained, in twelve hex digits. Stable over time: new fields leave old keys alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from senet_core.augment import AUGMENTATIONS
from senet_core.config import Component, Config, canonical
from senet_core.registry import BLOCKS, DATASETS, NETWORKS, Entry
from senet_core.seeds import Seed, normal_seed


def trial_key(config: Config, seed: Seed, fingerprint: str | None = None) -> str:
    """First 12 hex digits of SHA-256 over the canonical JSON of a *resolved* config and a seed.

    Fields and arguments at their birth value are left out. The versions of the components enter once above 1, a loaded file's
    components by the hash of its source, and a user's own images by the ``fingerprint`` of their content.
    """
    payload: dict[str, Any] = {
        "net": _component(config.net, NETWORKS[config.net.name]),
        "data": _component(config.data, DATASETS[config.data.name]),
        "train": _fields(config.train),
        "seed": normal_seed(seed),
    }
    if config.net.block is not None:
        payload["net"]["block"] = _component(config.net.block, BLOCKS[config.net.block.name])
    identities = _identities(config)
    if identities:
        payload["identities"] = identities
    if fingerprint is not None:
        payload["fingerprint"] = fingerprint
    return hashlib.sha256(canonical(payload).encode()).hexdigest()[:12]


def _component(component: Component, entry: Entry[Any]) -> dict[str, Any]:
    arguments = {name: value for name, value in component.arguments.items() if _plain(value) != _plain(entry.birth(name))}
    return {**_fields(component), **_plain(arguments)}


def _fields(model: BaseModel) -> dict[str, Any]:
    """The declared fields of a model that are not at their birth value."""
    dumped = model.model_dump(mode="json", include=set(type(model).model_fields), exclude={"block"})
    return {name: value for name, value in dumped.items() if not _is_birth(model, name, value)}


def _is_birth(model: BaseModel, name: str, value: Any) -> bool:
    extra = type(model).model_fields[name].json_schema_extra
    return isinstance(extra, Mapping) and "birth" in extra and _plain(extra["birth"]) == value


def _plain(value: Any) -> Any:
    """As JSON has it: tuples as lists."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _identities(config: Config) -> dict[str, int | str]:
    parts: list[tuple[str, Entry[Any]]] = [("network", NETWORKS[config.net.name]), ("data", DATASETS[config.data.name])]
    parts += [(f"augment:{name}", AUGMENTATIONS[name]) for name in config.data.augment]
    if config.net.block is not None:
        parts.append(("block", BLOCKS[config.net.block.name]))
    return {kind: entry.identity for kind, entry in parts if entry.identity is not None}
