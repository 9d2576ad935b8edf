"""What the designs of a space are on some data: configs, keys, costs, and the trial of each on each rung."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ablations.execution.trial import Trial
from ablations.planning import network_mistakes
from ablations.search.space import Design, Space, config_of, words
from ablations.study import Cost
from senet_core.config import Config
from senet_core.errors import InputError

if TYPE_CHECKING:
    from senet_core.dataset import Facts

SEED = 0
"""The seed of every trial of a search: all designs train on the same images and are judged on the same ones."""
DEFAULT = "default"


@dataclass
class Designs:
    """The designs of a space, trained by a recipe; ``epochs`` are those of the rungs, the whole schedule last."""

    space: Space
    facts: Facts
    base: Config
    epochs: tuple[int, ...]
    _configs: dict[str, Config] = field(default_factory=dict)
    _rungs: dict[tuple[str, int], tuple[str, Config]] = field(default_factory=dict)
    _costs: dict[str, Cost] = field(default_factory=dict)

    def config(self, design: Design) -> Config:
        """The resolved config of a design with the whole schedule.

        :raises InputError: for a design that is impossible.
        """
        from senet_core.resolve import resolve

        text = _text(design)
        if text not in self._configs:
            try:
                self._configs[text] = resolve(config_of(self.space, self.base, design), self.facts)
            except InputError as error:
                raise self._impossible(design, error) from error
        return self._configs[text]

    def key(self, design: Design) -> str:
        """The key of a design's trial with the whole schedule: designs that mean one network share it.

        :raises InputError: for a design that is impossible.
        """
        return self.rung(design, self.epochs[-1])[0]

    def identity(self, design: Design) -> str:
        """The key of a design; of one that has none because it is impossible, its own text."""
        try:
            return self.key(design)
        except InputError:
            return _text(design)

    def fault(self, design: Design) -> str | None:
        """Why a design is impossible, as a sentence; None where its network can be built."""
        try:
            self.price(design)
        except InputError as error:
            return str(error)
        return None

    def rung(self, design: Design, epochs: int) -> tuple[str, Config]:
        """A design with a complete schedule of so many epochs, and the key of its trial."""
        place = (_text(design), epochs)
        if place not in self._rungs:
            config = self.config(design).but({"train.epochs": epochs})
            self._rungs[place] = self._key(config), config
        return self._rungs[place]

    def trial(self, design: Design, epochs: int) -> Trial:
        """The trial of a design on a rung."""
        key, config = self.rung(design, epochs)
        return Trial(key=key, config=config, seed=SEED, cost=self.price(design))

    def price(self, design: Design) -> Cost:
        """Parameters and multiply-adds of a design's network.

        :raises InputError: where it cannot be built.
        """
        from senet_core.cost import cost

        config, key = self.config(design), self.key(design)
        if key not in self._costs:
            try:
                with network_mistakes(config):
                    found = cost(config, self.facts)
            except InputError as error:
                raise self._impossible(design, error) from error
            self._costs[key] = Cost(parameters=found.parameters, macs=found.macs, hidden_widths=found.hidden_widths)
        return self._costs[key]

    def cost(self, design: Design) -> int:
        """A design's cost in the unit of the space."""
        price = self.price(design)
        return price.parameters if self.space.cost == "parameters" else price.macs

    def label(self, number: int, epochs: int) -> str:
        """What a design on a rung is called: "design 7", "default", "design 7, 2 epochs"."""
        name = DEFAULT if number == 0 else f"design {number}"
        return name if epochs == self.epochs[-1] else f"{name}, {epochs} epochs"

    def try_on(self) -> None:
        """Build the default, and it with each other level of each factor. Whether levels go together shows when a design is proposed.

        :raises InputError: for one that is impossible.
        """
        for design in (self.space.default, *self.space.neighbours()):
            self.price(design)

    def _key(self, config: Config) -> str:
        from senet_core.identity import trial_key

        return trial_key(config, SEED, self.facts.fingerprint)

    def _impossible(self, design: Design, error: InputError) -> InputError:
        return InputError(f"The space '{self.space.name}' has an impossible design, {words(design)}: {error}")


def _text(design: Design) -> str:
    return json.dumps(dict(design), sort_keys=True)


def changed(variants: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The factor of a study whose variants change these recipe fields."""
    return tuple(sorted({path for paths in variants for path in paths})) or ("net.block",)
