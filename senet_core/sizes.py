"""The spatial size behind a convolution or a pooling, and the sentence for an image that is too small for it."""

from __future__ import annotations


def after(size: int, kernel: int, stride: int = 1, padding: int = 0, *, where: str) -> int:
    """The size behind a square window, rounded down as PyTorch does.

    :raises ValueError: if the window does not fit, or if a stride has nothing left to skip.
    """
    if size + 2 * padding < kernel or (stride > 1 and size < 2):
        raise ValueError(f"the image is too small: {where} would get {size} x {size} pixels")
    return (size + 2 * padding - kernel) // stride + 1
