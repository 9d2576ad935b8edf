"""Models of torchvision and timm as hosts of a block: which there are, how one is built, and which of its modules a block can follow."""

from __future__ import annotations

import difflib
import importlib.metadata
import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from senet_core.attach import Place
from senet_core.errors import InputError, unknown

SIZE = 224
"""The image size at which a model's stages are told apart, unless its library states another one for it."""
WEIGHTS = ("weights", "pretrained", "checkpoint", "cache_dir", "progress")
"""How the names of options begin that have to do with trained weights."""
OURS = ("num_classes", "in_chans")


@dataclass(frozen=True)
class Host:
    """A model as a recipe names it: of which library, by which name there, with which options ("drop_rate=0.1")."""

    library: str
    model: str
    options: tuple[str, ...] = ()

    def build(self, classes: int, channels: int) -> nn.Module:
        """The model with untrained weights and a head for so many classes, initialised by its library from torch's generator.

        Activations do not work in place: a block may keep its output for its own gradient.

        :raises InputError: for an option that the model does not take, or a number of channels that the library has no models for.
        """
        if self.library == "torchvision" and channels != 3:
            raise InputError(f"torchvision's models take images of 3 channels, not {channels}; timm's take any number (net.library timm).")
        try:
            model = self._made(classes, channels)
        except (TypeError, ValueError, KeyError, AssertionError) as error:
            options = ", ".join(self.options) or "no options"
            raise InputError(f"{self.library}'s {self.model} cannot be built with {options}: {error}") from error
        for module in model.modules():
            if getattr(module, "inplace", None) is True:
                setattr(module, "inplace", False)  # noqa: B010  (a module's attribute is a tensor or a module to the type checker)
        return model

    def _made(self, classes: int, channels: int) -> nn.Module:
        make, given = _maker(self.library, classes, channels), dict(map(parsed, self.options))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # what a library will change shows in its version
            try:
                return make(self.model, **given)
            except NotImplementedError:  # on the "meta" device, where some models compute their widths with tensors
                if torch.get_default_device().type != "meta":
                    raise
            with torch.device("cpu"):
                return make(self.model, **given).to("meta")


def installed(library: str) -> str:
    """The version of a library, without what tells its builds for CPU and GPU apart.

    :raises InputError: if it is not there.
    """
    try:
        return importlib.metadata.version(library).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"The library '{library}' is not installed, so its models cannot be hosts: pip install {library}.") from None


@cache
def models(library: str) -> tuple[str, ...]:
    """The names of a library's image classifiers."""
    if library == "timm":
        import timm

        return tuple(timm.list_models())
    from torchvision import models as known

    return tuple(known.list_models(module=known))


def refuse_unknown(host: Host) -> None:
    """Look at the names alone, before anything is built.

    :raises InputError: for a library that is not there, an unknown model, or an option that is no "name=value" or not the user's to give.
    """
    installed(host.library)
    if host.model not in models(host.library):
        near = difflib.get_close_matches(host.model, models(host.library), n=3, cutoff=0.5)
        mean = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
        raise InputError(f"{host.library} {installed(host.library)} has no image classifier named '{host.model}'{mean}")
    for option in host.options:
        name, _ = parsed(option)
        if name.startswith(WEIGHTS):
            raise InputError(f"net.options: '{name}' is about trained weights, and a trial starts from its seed alone. Leave it out.")
        if name in OURS:
            raise InputError(f"net.options: '{name}' is set from the data. Leave it out.")


def parsed(option: str) -> tuple[str, Any]:
    """An option's name and value: JSON where it is JSON, else a word.

    :raises InputError: for anything but "name=value".
    """
    name, equals, value = option.partition("=")
    if not equals or not name.isidentifier():
        raise InputError(f"net.options takes name=value, as in drop_rate=0.1, not '{option}'.")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


@dataclass(frozen=True)
class Seen:
    """What a module gave in one forward pass: how often it was called, and the shape of its last output, as text where it is no tensor."""

    calls: int
    shape: tuple[int, ...] | str


@cache
def seen(host: Host, channels: int, size: int | None) -> Mapping[str, Seen]:
    """Every module of a host that is called, by its name, in the order of the forward pass of two images while training.

    ``size`` None is the size that the host was made for. Built without memory; the random generator is left as it was.

    :raises InputError: if the host does not take such images, or answers anything but one number for each class.
    """
    found: dict[str, Seen] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            found[name] = Seen(found[name].calls + 1 if name in found else 1, shape)

        return hook

    classes = 10
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        model = host.build(classes, channels).train()
        made_for = getattr(model, "default_cfg", None) or {}
        pixels = size or made_for.get("input_size", (3, SIZE, SIZE))[1]
        for name, module in model.named_modules():
            module.register_forward_hook(note(name))
        try:
            logits = model(torch.empty(2, channels, pixels, pixels))
        except (RuntimeError, ValueError, AssertionError) as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(f"{host.library}'s {host.model} cannot take {pixels}x{pixels} images: {said}") from error
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        what = f"gives {type(logits).__name__}" if not isinstance(logits, Tensor) else f"gives the shape {tuple(logits.shape)}"
        hint = "; add --net.options aux_logits=false" if getattr(model, "aux_logits", False) else ""
        raise InputError(f"{host.library}'s {host.model} {what} while it trains, not one number for each class{hint}.")
    return found


def places(host: Host, after: Iterable[str], channels: int, size: int | None) -> list[Place]:
    """Where the blocks go: behind each module that one of the patterns names, in the order of the forward pass.

    A pattern is a module's name, part by part: "layer*.*.bn3" names layer1.0.bn3 and no module inside it. A place's stage counts the
    spatial sizes that the places have in an image of the host's own size, the greatest first.

    :raises InputError: for a pattern that names nothing, with the nearest ones, or a module that no block can follow, with the reason.
    """
    own, here = seen(host, 3, None), seen(host, channels, size)
    names = matched(host, after)
    for name in names:
        _refuse(host, name, here.get(name))
    sizes = sorted({own[name].shape[2] for name in names}, reverse=True)
    ordered = [name for name in here if name in names]
    return [Place(name, sizes.index(own[name].shape[2]) + 1, *map(int, here[name].shape[1:3])) for name in ordered]


def matched(host: Host, after: Iterable[str]) -> set[str]:
    """The names of the modules that the patterns name.

    :raises InputError: for a pattern that names none, with the nearest names.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        known = [name for name, _ in host.build(10, 3).named_modules() if name]
    found: set[str] = set()
    for pattern in after:
        fitting = {name for name in known if _fits(name, pattern)}
        if not fitting:
            globs = "*" in pattern or "?" in pattern or "[" in pattern
            candidates = dict.fromkeys(re.sub(r"\d+", "*", name) for name in known) if globs else known
            near = difflib.get_close_matches(pattern, list(candidates), n=3, cutoff=0.3)
            mean = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else "."
            raise InputError(f"net.after: no module of {host.library}'s {host.model} is named '{pattern}'{mean}")
        found |= fitting
    return found


def _fits(name: str, pattern: str) -> bool:
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _refuse(host: Host, name: str, found: Seen | None) -> None:
    """:raises InputError: with the reason why no block can follow a module."""
    where = f"net.after: no block can follow '{name}' of {host.library}'s {host.model}"
    if found is None:
        raise InputError(f"{where}: that module itself is never called in a forward pass, only what is inside it is, or nothing.")
    if found.calls > 1:
        raise InputError(f"{where}: it is called {found.calls} times in one forward pass, so one block would serve several places.")
    if isinstance(found.shape, str):
        raise InputError(f"{where}: it gives {found.shape} and not one tensor.")
    if len(found.shape) != 4 or found.shape[2] != found.shape[3]:
        shape = ", ".join(("N", *map(str, found.shape[1:])))
        raise InputError(f"{where}: it gives ({shape}), and a block takes (N, C, H, W) with H = W.")


def _maker(library: str, classes: int, channels: int) -> Callable[..., nn.Module]:
    if library == "timm":
        import timm

        return lambda name, **given: timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels, **given)
    if library != "torchvision":
        raise unknown("library of models", library, ("timm", "torchvision"))
    from torchvision.models import get_model

    return lambda name, **given: get_model(name, weights=None, num_classes=classes, **given)
