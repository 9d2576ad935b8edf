"""What a workspace takes on the disk, and the stored trials that no study refers to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ablations.store import Store


def disk_used(folder: Path) -> int:
    """Bytes of all files below a folder; what vanishes meanwhile counts for nothing."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def size(count: int) -> str:
    """Bytes in words: "12.3 MB"."""
    number, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while number >= 1000 and len(units) > 1:
        number, units = number / 1000, units[1:]
    return f"{number:.0f} {units[0]}" if units[0] == "bytes" else f"{number:.1f} {units[0]}"


def unused(store: Store) -> list[str]:
    """The keys of the trials that no study of the workspace refers to.

    :raises DamagedStore: if a study cannot be read, for it may refer to any of them.
    """
    referred = {key for name in store.studies() for _, _, key in store.study(name).trials()}
    return [key for key in store.keys() if key not in referred]  # noqa: SIM118


def remove(store: Store, keys: list[str]) -> Iterator[tuple[str, bool]]:
    """Delete the folders of trials one after the other; (key, False) for one that stays, because a process is at work on it or a study has
    come to refer to it."""
    with store.exclusively():
        still = set(unused(store))
        for key in keys:
            with store.locked(key) as mine:
                if mine and key in still:
                    shutil.rmtree(store.trial(key))
            yield key, mine and key in still
