"""A model of torchvision or timm as it is, with a block behind those of its modules that the recipe names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from senet_core.attach import Attach
from senet_core.build import STARTS_ITSELF
from senet_core.config import Placement
from senet_core.errors import InputError
from senet_core.hosts import Host, installed, matched, places, refuse_unknown
from senet_core.registry import NETWORKS

_ONLY_AFTER = "a host is known by its modules alone, so a block can only follow one; name the one whose output it is to get (net.after)"


@NETWORKS.add("hosted")
class Hosted(nn.Module):
    """The host with a head for the data's classes: (N, channels, H, W) -> (N, classes).

    ``model`` is its name in ``library``, and ``options`` go to the library as they are ("drop_rate=0.1"). ``after`` names modules, with
    ``*`` for any part of a name between two dots: "layer*.*.bn3" are the last BNs of a torchvision ResNet's units, "features.*" the
    stages and units of its MobileNets. Each gets a block of its own that replaces its output by what the block makes of it.

    ``version`` is the library's: "installed" becomes the installed one when the recipe is resolved, so it enters the trial's key, and
    models that a library has changed are trained anew. Under another version a trial is refused, never answered with old numbers.

    The host starts as its library starts it, from the seed's ``init`` stream, before any block is made: its values are the same with
    every block and none. Trained weights are not loaded: an ablation by seeds needs starts that differ by seed alone.

    Stages: all places with one spatial size in an image of the host's own size (224 unless its library says otherwise), so they do not
    depend on the data. Images may be of any size that the host takes. On 32 x 32 images most of these models work at 8 pixels and below.
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard",)
    why_not: ClassVar[dict[Placement, str]] = {"pre": _ONLY_AFTER, "post": _ONLY_AFTER, "identity": _ONLY_AFTER, "inside": _ONLY_AFTER}

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        attach: Attach,
        *,
        model: str,
        library: Literal["torchvision", "timm"] = "torchvision",
        after: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
        version: str = "installed",
    ) -> None:
        super().__init__()
        host = Host(library, model, options)
        _refuse_other_version(library, version)
        if attach.wants_blocks and not after:
            raise InputError(
                "The network 'hosted' has a block and no place for it: name the modules that a block follows, as in "
                "--net.after 'layer*.*.bn2', or take the block out by --net.block null."
            )
        self.host = host.build(classes, channels)
        setattr(self.host, STARTS_ITSELF, True)
        rows: dict[str, dict[str, nn.Module]] = {}
        for place in places(host, after, channels, size):
            block = attach("standard", place)
            if block is not None:
                row, name = rows.setdefault(f"stage{place.stage}", {}), place.path.replace(".", "_")
                if name in row:
                    raise ValueError(f"two of the modules that net.after names would be '{name}'")
                row[name] = nn.ModuleDict({"standard": block})
                self.host.get_submodule(place.path).register_forward_hook(Insertion(block))
        # They are no children of the host, so that the host's paths are the same with and without them.
        self.blocks = nn.ModuleDict({stage: nn.ModuleDict(row) for stage, row in rows.items()})

    @staticmethod
    def normal_form(arguments: dict[str, Any]) -> dict[str, Any]:
        """The version that is installed in place of "installed", and one order for what has none.

        :raises InputError: for a name that the library does not have, or a version that is not there.
        """
        host = Host(arguments["library"], arguments["model"], tuple(sorted(set(arguments["options"]))))
        refuse_unknown(host)
        _refuse_other_version(host.library, arguments["version"])
        after = tuple(sorted(set(arguments["after"])))
        matched(host, after)
        return {**arguments, "after": after, "options": host.options, "version": installed(host.library)}

    @staticmethod
    def stage_count(arguments: Mapping[str, Any]) -> int:
        """How many spatial sizes the places have; 1 without places."""
        host = Host(arguments["library"], arguments["model"], tuple(arguments["options"]))
        return max((place.stage for place in places(host, arguments["after"], 3, None)), default=1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.host(x)
        return logits


class Insertion:
    """A forward hook that gives a module's output to a block; an object and no closure, so that a copy of the network has its own."""

    def __init__(self, block: nn.Module) -> None:
        self.block = block

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        made: Tensor = self.block(output)
        return made


def _refuse_other_version(library: str, version: str) -> None:
    if version not in ("installed", installed(library)):
        raise InputError(
            f"This recipe is for {library} {version}, and {installed(library)} is installed; another version is another network."
        )
