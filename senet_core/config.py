"""The recipe: all that changes a trial's result, and nothing else. Frozen and strict; no torch here.

A component (network, block, data set) is named, and its further fields are the keyword arguments of the registered class, checked
when the config is resolved (``senet_core.resolve``). ``born(value)`` states a field's *birth value*: what trials meant before the field
existed. It is left out of the trial's key and never changes, also when the default does; so new fields leave old keys alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from senet_core.architectures import ARCHITECTURES
from senet_core.errors import InputError, nearest

Placement = Literal["standard", "pre", "post", "identity", "inside"]


def born(value: Any, **constraints: Any) -> Any:
    """A field whose default and birth value are ``value``; pass ``default=`` where the default has moved since."""
    default = constraints.pop("default", value)
    return Field(default=default, json_schema_extra={"birth": value}, validate_default=True, **constraints)


def tuples(value: Any) -> Any:
    """Lists, at any depth of lists, as tuples."""
    return tuple(tuples(inner) for inner in value) if isinstance(value, list | tuple) else value


class Frozen(BaseModel):
    """Immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Component(BaseModel):
    """A registered thing by name, with its arguments as further fields."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @model_validator(mode="before")
    @classmethod
    def _one_form_of_values(cls, fields: Any) -> Any:
        """A bare name will do, and sequences are tuples, as they are after resolving and not after reading JSON."""
        if isinstance(fields, str):
            return {"name": fields}
        return {name: tuples(value) for name, value in fields.items()} if isinstance(fields, Mapping) else fields

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments given for the registered class (before resolving, perhaps not all of them)."""
        return dict(self.model_extra or {})


class Block(Component):
    """An attention block, e.g. ``{"name": "se", "reduction": 16}``."""


class Net(Component):
    """A network and where its attention block sits; a name of ``senet_core.architectures`` stands for a family and its arguments.

    ``stages`` counts from 1 at the highest resolution; the paper counts ResNet-50's from 2. "all" is the full mask. ``by_stage`` holds the
    arguments of the block that differ by stage, one value a stage: ``{"reduction": (8, 16, 32)}``.
    """

    name: str = "resnet"
    block: Block | None = born(None)
    placement: Placement = born("standard")
    stages: Literal["all"] | tuple[int, ...] = born("all")
    by_stage: dict[str, tuple[Any, ...]] = born({})

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, fields: Any) -> Any:
        """A published name is its family with its arguments; no stages is no block, which has neither a placement nor a mask."""
        if not isinstance(fields, Mapping):
            return fields
        fields = dict(fields)
        if fields.get("name") in list(ARCHITECTURES):
            written_out = ARCHITECTURES[fields.pop("name")]
            fields = {**written_out, **fields}
        stages = fields.get("stages")
        if isinstance(stages, int):
            fields["stages"] = stages = (stages,)
        if isinstance(stages, list | tuple) and all(isinstance(stage, int) for stage in stages):
            fields["stages"] = stages = tuple(sorted(set(stages)))
        if isinstance(fields.get("by_stage"), Mapping):
            fields["by_stage"] = {name: tuples(values) for name, values in fields["by_stage"].items()}
        if stages == () or fields.get("block") is None:
            fields |= {"block": None, "placement": "standard", "stages": "all", "by_stage": {}}
        return fields


class Data(Component):
    """A data set, how its training images are augmented, and how many of them are held out for evaluation.

    ``holdout`` > 0 takes that many training images, balanced by class, as the evaluation set; no network then sees the test set.
    ``augment`` lists augmentations; "auto" is the list that the data set itself states. ``shift`` is how many pixels "crop" moves an image
    at most; without a crop it means nothing, and is 4.
    """

    name: str = "digits"
    holdout: int = born(0, ge=0)
    augment: Literal["auto"] | tuple[str, ...] = "auto"
    shift: int = born(4, ge=1, le=4)

    @model_validator(mode="before")
    @classmethod
    def _one_name_is_a_list(cls, fields: Any) -> Any:
        if isinstance(fields, Mapping) and isinstance(fields.get("augment"), str) and fields["augment"] != "auto":
            return {**fields, "augment": (fields["augment"],)}
        return fields


class Train(Frozen):
    """SGD with Nesterov momentum over a complete schedule; the last epoch is the result."""

    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=128, ge=1)
    lr: float = Field(default=0.1, gt=0)
    momentum: float = born(0.9, ge=0, lt=1)
    nesterov: bool = born(True)
    weight_decay: float = Field(default=5e-4, ge=0)
    decay: Literal["all", "weights"] = born("weights")
    """Decay all parameters, or only the weights of convolutions and linear layers."""
    schedule: Literal["one_cycle", "multi_step"] = "one_cycle"
    warmup: float = born(0.2, ge=0, lt=1)
    """One-cycle: the share of all steps in which the rate climbs linearly from 0 to ``lr``, before it falls linearly to 0."""
    milestones: tuple[float, ...] = born((0.5, 0.75))
    """Multi-step: the shares of all epochs after which the rate is multiplied by ``gamma``."""
    gamma: float = born(0.1, gt=0, lt=1)
    warmup_epochs: int = born(0, ge=0)
    """Multi-step: epochs at a tenth of ``lr`` before the schedule starts (He et al. warm up deep nets so)."""
    label_smoothing: float = born(0.0, ge=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"

    @model_validator(mode="before")
    @classmethod
    def _one_form_of_what_is_not_read(cls, fields: Any) -> Any:
        """What the other schedule would read changes nothing, so it is set to its birth value; without momentum there is no Nesterov's."""
        if not isinstance(fields, Mapping):
            return fields
        unread = {"one_cycle": ("milestones", "gamma", "warmup_epochs"), "multi_step": ("warmup",)}
        schedule = fields.get("schedule", cls.model_fields["schedule"].default)
        nothing = [*unread.get(schedule, ()), *(["nesterov"] if fields.get("momentum") == 0 else [])]
        kept = {name: value for name, value in fields.items() if name not in nothing}
        return {**kept, "nesterov": False} if "nesterov" in nothing else kept


class Config(Frozen):
    """One recipe: the network, the data and the training."""

    net: Net = Net()
    data: Data = Data()
    train: Train = Train()

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Self:
        """Build from nested dictionaries.

        :raises InputError: in one sentence, for an unknown field or a value that a field does not take.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise InputError(_sentence(error)) from None

    def tree(self) -> dict[str, Any]:
        """Nested dictionaries of plain JSON values, the form in which a config is stored."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain

    def but(self, changes: Mapping[str, Any]) -> Self:
        """The config with some fields changed, by dotted path: ``config.but({"net.block.reduction": 8})``.

        :raises InputError: for a path that leads nowhere.
        """
        tree = self.tree()
        for path, value in changes.items():
            _put(tree, path, value)
        return self.of(tree)


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place = tree
    for depth, parent in enumerate(parents):
        inner = place.get(parent)
        if parent == "block" and isinstance(inner, str):  # a block by its name alone, with options to follow
            inner = place[parent] = {"name": inner}
        if not isinstance(inner, dict):
            where = ".".join(parents[: depth + 1])
            reason = "there is no block in this network" if where == "net.block" else f"'{where}' has no fields"
            raise InputError(f"Cannot set '{path}': {reason}.")
        place = inner
    place[last] = value


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree as {dotted path: leaf}; lists are leaves."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return leaves


def differences(a: Config, b: Config) -> dict[str, tuple[Any, Any]]:
    """Where two configs differ: {dotted path: (value in a, value in b)}.

    Another block counts as one difference, ``net.block``, whatever its arguments; where only one of them has a block, placement and mask,
    which then mean nothing, count as none.
    """
    one, other = (config.net.block.name if config.net.block else None for config in (a, b))
    if one != other:
        block = a.tree()["net"]["block"] if one and other else None
        rest = differences(a.but({"net.block": block}), b.but({"net.block": block}))
        return {"net.block": (one, other), **rest}
    left, right = flat(a.tree()), flat(b.tree())
    paths = sorted(left.keys() | right.keys())
    return {p: (left.get(p), right.get(p)) for p in paths if left.get(p) != right.get(p)}


def canonical(tree: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, no NaN."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(
        str(part) for part in first["loc"] if part not in ("literal['all']", "tuple[int, ...]", "literal['auto']", "tuple[str, ...]")
    )
    if first["type"] == "extra_forbidden":
        parent, _, wrong = where.rpartition(".")
        known = sorted((Train if parent == "train" else Config).model_fields)
        return f"There is no recipe field '{where}'{nearest(wrong, known) or '.'} Fields of '{parent or 'config'}': {', '.join(known)}."
    return f"'{where}' cannot be {first['input']!r}: {first['msg'].lower()}."
