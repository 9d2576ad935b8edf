"""How a trial is executed: settings that change speed and last bits, never the recipe; kept in the checkpoint, so a resume repeats them."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import nn

from senet_core.errors import InputError
from senet_core.training.kernels import Kernels, choose_kernels
from senet_core.training.memory import keep_freed

MemoryFormat = Literal["channels_last", "contiguous"]


@dataclass(frozen=True)
class Execution:
    """``threads`` of the CPU, the memory format of the tensors, which kernels multiply bf16 values on a CPU, and whether what lies between
    convolutions is *fused* into few passes over memory (``senet_core.fused``). A checkpoint from before that existed means false."""

    threads: int
    memory_format: MemoryFormat = "channels_last"
    kernels: Kernels = "native"
    fused: bool = False

    def formatted(self, network: nn.Module) -> nn.Module:
        """The network with its weights in the memory format, which its tensors then follow, and its units fused where that is wanted."""
        network = network.to(memory_format=torch.channels_last) if self.memory_format == "channels_last" else network
        if not self.fused:
            return network
        from senet_core.fused.units import fuse  # Numba takes half a second to import

        return fuse(network)

    def plain(self) -> dict[str, str | int | bool]:
        """As stored in provenance and checkpoints."""
        return asdict(self)

    def apply(self) -> None:
        """Set what is global to the process: the threads, that freed memory is kept, and that fp32 is fp32 on a GPU too."""
        keep_freed()
        if self.fused:
            from senet_core.fused.passes import use_threads

            use_threads(self.threads)
        torch.backends.cudnn.allow_tf32 = False
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)


@dataclass(frozen=True)
class Machine:
    """Where trials run and how."""

    device: torch.device
    execution: Execution


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


CPU = torch.device("cpu")


def choose(threads: int | None = None, memory_format: MemoryFormat = "channels_last", device: torch.device = CPU) -> Execution:
    """The execution here: all cores that this process may use unless ``threads`` says otherwise; on a CPU fused, which needs channels
    last."""
    return Execution(threads or cores(), memory_format, choose_kernels(), fused=device.type == "cpu" and memory_format == "channels_last")


def pick_device(wish: str) -> torch.device:
    """The device of ``--device``: "auto" is the first GPU where there is one, else the CPU.

    :raises InputError: for a device that is unknown or not there.
    """
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = wish.partition(":")
    if wish not in ("cpu", "cuda") and not (kind == "cuda" and index.isdecimal()):
        raise InputError(f"--device cannot be '{wish}'; it takes auto, cpu, cuda, or cuda:0, cuda:1, …")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {wish}: this machine has {torch.cuda.device_count()} CUDA devices.")
    return torch.device(wish)


def device_name(device: torch.device) -> str:
    """The model of the processor or accelerator, for provenance."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
