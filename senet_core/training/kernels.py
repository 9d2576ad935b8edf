"""bf16 on processors that have no instructions for it: the same roundings, multiplied by fp32 kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Kernels = Literal["native", "rounded"]

_PRODUCTS = {functional.conv1d, functional.conv2d, functional.linear}


def choose_kernels() -> Kernels:
    """How bf16 is multiplied on this processor: "rounded" on an x86 without instructions for it, because emulating each of them takes two
    to four times as long as an fp32 kernel does; else "native", also where the processor cannot be asked (no /proc/cpuinfo)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "native"
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), None)
    return "rounded" if flags is not None and not {"avx512_bf16", "amx_bf16"} & set(flags) else "native"


def autocast(device: str, enabled: bool, kernels: Kernels) -> ExitStack:
    """The context of a forward pass in bf16, the parameters staying fp32; nothing where not ``enabled``."""
    stack = ExitStack()
    stack.enter_context(torch.autocast(device, dtype=torch.bfloat16, enabled=enabled))
    if enabled and device == "cpu" and kernels == "rounded":
        stack.enter_context(_Rounded())
    return stack


class _Rounded(TorchFunctionMode):
    """Convolutions and linear layers as autocast has them, bf16 in and bf16 out with sums in fp32, but computed by fp32 kernels.

    The operands are rounded to bf16 and widened again, the product is rounded to bf16; so is every gradient on its way back. Results
    differ from native kernels in the order of summation alone, and where a weight is used twice: native autocast adds its two gradients
    in bf16, here they are added in fp32.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Intercept the products that autocast would take; pass on the rest, and all where a module has turned autocast off."""
        given = kwargs or {}
        double = any(isinstance(value, Tensor) and value.dtype == torch.float64 for value in (*args, *given.values()))
        if function not in _PRODUCTS or double or not torch.is_autocast_enabled("cpu"):
            return function(*args, **given)
        with torch.autocast("cpu", enabled=False):
            y = function(*map(_rounded, args), **{name: _rounded(value) for name, value in given.items()})
        return y.to(torch.bfloat16)


def _rounded(value: Any) -> Any:
    if not isinstance(value, Tensor) or value.dtype not in (torch.float32, torch.bfloat16):
        return value
    return value.to(torch.bfloat16).float()
