"""Memory that a step frees is kept for the next one."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_ANY, _OLD_LIMIT = (1 << 31) - 1, 1 << 25  # glibc before 2.35 maps what is larger than 32 MiB in any case


def keep_freed() -> bool:
    """Tell glibc to keep what is freed, for the rest of this process; False where the C library is another one, and nothing changes.

    A tensor of several megabytes is otherwise mapped afresh for every operator and given back after it, and each of its pages is
    zeroed by the kernel again: thousands of page faults a step, more the more threads touch them. What a process holds is then about
    the most that it has needed, which a training needs again in its next step anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mapped = mallopt(_MMAP_THRESHOLD, _ANY) or mallopt(_MMAP_THRESHOLD, _OLD_LIMIT)
    return bool(mapped and mallopt(_TRIM_THRESHOLD, _ANY))
