"""bf16 on processors that have no instructions for it: the same roundings, multiplied by fp32 kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Kernels = Literal["native", "rounded"]

_PRODUCTS = {functional.conv1d, functional.conv2d, functional.linear}


def choose_kernels() -> Kernels:
    """How bf16 is multiplied on this processor: "native" where it has the instructions (AVX512-BF16, AMX, any that is not x86), else
    "rounded", because emulating each of them takes two to four times as long as an fp32 kernel does."""
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512"):
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return "native" if native else "rounded"
    return "native"


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
    differ from native kernels in the order of summation alone.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Intercept the products, pass everything else on."""
        if function not in _PRODUCTS:
            return function(*args, **(kwargs or {}))
        with torch.autocast("cpu", enabled=False):
            y = function(*map(_rounded, args), **{name: _rounded(value) for name, value in (kwargs or {}).items()})
        return y.to(torch.bfloat16)


def _rounded(value: Any) -> Any:
    if not isinstance(value, Tensor) or value.dtype not in (torch.float32, torch.bfloat16):
        return value
    return value.to(torch.bfloat16).float()
