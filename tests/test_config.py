"""Configs, their normal form, and the keys that must never move."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from senet_core import resolve as resolving
from senet_core.config import Config, differences
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.identity import trial_key
from senet_core.registry import BLOCKS, Registry, load_file
from senet_core.resolve import resolve
from senet_core.seeds import derive, generator, normal_seed

FACTS = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))
SE = {"name": "se"}


def resolved(**net: Any) -> Config:
    return resolve(Config.of({"net": net}), FACTS)


GOLDEN = {
    "plain": ({}, 0),
    "se": ({"net": {"block": {"name": "se"}}}, 0),
    "r = 8": ({"net": {"block": {"name": "se", "reduction": 8}}}, 0),
    "post": ({"net": {"block": {"name": "se"}, "placement": "post"}}, 1),
    "stage 2": ({"net": {"block": {"name": "se"}, "stages": [2]}}, 2),
    "streams": ({"train": {"precision": "bf16"}}, {"split": 0, "init": 1, "order": 0, "augment": 0, "noise": 0}),
}
KEYS = {
    "plain": "85204e3a685b",
    "se": "214c62c5d8a3",
    "r = 8": "3b7b972bea91",
    "post": "fa256c2ba9e1",
    "stage 2": "f614e330c928",
    "streams": "097d85526979",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_keys(name: str) -> None:
    tree, seed = GOLDEN[name]
    assert trial_key(resolve(Config.of(tree), FACTS), seed) == KEYS[name]


def test_a_key_depends_on_config_seed_and_fingerprint_and_on_nothing_else() -> None:
    config = resolved(block=SE)
    keys = [
        trial_key(config, 0),
        trial_key(config, 1),
        trial_key(config, 0, "abc"),
        trial_key(resolve(config.but({"train.lr": 0.2}), FACTS), 0),
        trial_key(resolve(config.but({"net.block.squeeze": "max"}), FACTS), 0),
    ]
    assert len(set(keys)) == len(keys)
    assert trial_key(resolve(Config.of(config.tree()), FACTS), 0) == keys[0]


def test_a_stated_default_and_an_unstated_one_are_one_key() -> None:
    stated = {"name": "se", "reduction": 16, "squeeze": "average", "gate": "sigmoid", "bias": False}
    assert trial_key(resolved(block=stated), 0) == trial_key(resolved(block=SE), 0)


def as_block(monkeypatch: pytest.MonkeyPatch, function: Any, arguments: dict[str, Any] | None = None, **registered: Any) -> str:
    """The key of a trial whose block 'thing' is registered so."""
    registry: Registry[Any] = Registry("block")
    registry.add("thing", **registered)(function)
    for module in ("senet_core.resolve", "senet_core.identity"):
        monkeypatch.setattr(f"{module}.BLOCKS", registry)
    return trial_key(resolved(block={"name": "thing", **(arguments or {})}), 0)


def test_a_new_argument_leaves_old_keys_alone_and_so_does_a_default_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    def old(channels: int, size: int, *, a: int = 1) -> None: ...
    def new(channels: int, size: int, *, a: int = 1, b: int = 2) -> None: ...
    def moved(channels: int, size: int, *, a: int = 5) -> None: ...

    key = as_block(monkeypatch, old)
    assert as_block(monkeypatch, new) == key
    assert as_block(monkeypatch, new, {"b": 3}) != key
    assert as_block(monkeypatch, moved, {"a": 1}, births={"a": 1}) == key
    assert as_block(monkeypatch, moved, births={"a": 1}) != key


def test_a_raised_version_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def thing(channels: int, size: int) -> None: ...

    assert len({as_block(monkeypatch, thing, version=version) for version in (1, 2, 3)}) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"block": SE, "stages": []}, {}),
        ({"block": None, "placement": "post", "stages": [1]}, {}),
        ({"block": SE, "stages": [3, 1, 2, 2]}, {"block": SE}),
        ({"block": SE, "stages": [2, 1]}, {"block": SE, "stages": [1, 2]}),
        ({"block": "se"}, {"block": SE}),
        ({"block": SE, "stages": 2}, {"block": SE, "stages": [2]}),
    ],
)
def test_equal_recipes_have_one_normal_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert resolved(**one) == resolved(**other)


def test_a_config_is_equal_to_itself_after_being_stored() -> None:
    config = resolved(block=SE, stages=[1, 3], units=[2, 2, 2])
    assert Config.model_validate_json(config.model_dump_json()) == config == Config.of(config.tree())


def test_what_the_other_schedule_would_read_changes_nothing() -> None:
    steps = {"schedule": "multi_step", "warmup": 0.4}
    assert Config.of({"train": steps}) == Config.of({"train": {"schedule": "multi_step"}})
    assert Config.of({"train": {"milestones": [0.1]}}) == Config()
    assert Config.of({"train": {"momentum": 0}}) == Config.of({"train": {"momentum": 0.0, "nesterov": False}})


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"train": {"epoch": 3}}, "no recipe field 'train.epoch'; did you mean 'epochs'"),
        ({"train": {"epochs": "many"}}, "'train.epochs' cannot be 'many'"),
        ({"train": {"epochs": 0}}, "'train.epochs' cannot be 0"),
        ({"train": {"lr": float("inf")}}, "'train.lr' cannot be inf"),
        ({"net": {"block": SE, "stages": [1, "a"]}}, "'net.stages"),
        ({"net": {"block": SE, "stages": [[1]]}}, "'net.stages"),
        ({"data": {"augment": ["crop", "crop"]}}, "names one augmentation twice"),
        ({"nett": {}}, "no recipe field 'nett'; did you mean 'net'"),
        ({"net": {"name": "resnest"}}, "no network named 'resnest'; did you mean 'resnet'"),
        ({"net": {"unit": "basik"}}, "network 'resnet': unit cannot be 'basik'"),
        ({"net": {"block": {"name": "see"}}}, "no block named 'see'; did you mean 'se'"),
        ({"net": {"block": {"name": "se", "reduktion": 8}}}, "takes no argument 'reduktion'; did you mean 'reduction'"),
        ({"net": {"block": {"name": "se", "reduction": "x"}}}, "reduction cannot be 'x'"),
        ({"net": {"block": SE, "placement": "above"}}, "'net.placement' cannot be 'above'"),
        ({"net": {"block": SE, "stages": [4]}}, "stage 4, but this network has stages 1 to 3"),
        ({"data": {"augment": ["crap"]}}, "no augmentation named 'crap'; did you mean 'crop'"),
        ({"data": {"holdout": 50000}}, "leaves nothing to train on"),
    ],
)
def test_a_wrong_recipe_is_a_sentence(tree: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        resolve(Config.of(tree), FACTS)


def test_differences_name_paths_and_count_a_block_as_one() -> None:
    se, plain = resolved(block=SE), resolved()
    assert differences(se, plain) == {"net.block": ("se", None)}
    assert differences(se, se.but({"net.block.reduction": 8})) == {"net.block.reduction": (16, 8)}
    assert differences(se, plain.but({"train.lr": 1.0})) == {"net.block": ("se", None), "train.lr": (0.1, 1.0)}


def test_streams_are_independent_and_repeatable() -> None:
    assert derive(0, "init", "a") == derive(0, "init", "a")
    assert len({derive(0, "init", "a"), derive(1, "init", "a"), derive(0, "order", "a"), derive(0, "init", "b")}) == 4
    assert generator(3, "order", 1).integers(0, 1000, 5).tolist() == generator(3, "order", 1).integers(0, 1000, 5).tolist()
    assert normal_seed({"split": 1, "init": 1, "order": 1, "augment": 1, "noise": 1}) == 1
    with pytest.raises(InputError, match="no random stream"):
        normal_seed({"weights": 1})


def test_a_loaded_file_is_known_by_its_source_and_a_taken_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = "from senet_core.registry import BLOCKS\n@BLOCKS.add('mine')\n"
    text = head + "class Mine:\n    def __init__(self, channels, size, *, k: int = 3): ...\n"
    file = tmp_path / "mine.py"
    file.write_text("from senet_core.blocks.se import SE\n" + text)
    load_file(file)
    before = trial_key(resolved(block={"name": "mine"}), 0)
    assert trial_key(resolved(block=SE), 0) == KEYS["se"], "a block of ours that the file imports keeps its identity"
    monkeypatch.setattr(BLOCKS, "_entries", {name: entry for name, entry in BLOCKS._entries.items() if name != "mine"})
    file.write_text(text + "# edited\n")
    load_file(file)
    assert trial_key(resolved(block={"name": "mine"}), 0) != before, "an edited block is not answered with old numbers"
    file.write_text(text.replace("'mine'", "'se'"))
    with pytest.raises(InputError, match="two blocks named 'se'"):
        load_file(file)
    file.write_text("this is no Python")
    with pytest.raises(InputError, match="fails on import"):
        load_file(file)
    with pytest.raises(InputError, match="Cannot read the file"):
        load_file(tmp_path / "absent.py")


def test_a_shift_that_means_nothing_is_the_usual_one_and_the_usual_one_leaves_keys_alone() -> None:
    config = Config.of({"net": {"units": [1], "widths": [16]}, "data": {"name": "digits", "augment": ["flip"], "shift": 2}})
    assert resolve(config, FACTS).data.shift == 4
    cropped = config.but({"data.augment": ["crop"]})
    assert resolve(cropped, FACTS).data.shift == 2
    keys = [trial_key(resolve(cropped.but({"data.shift": shift}), FACTS), 0) for shift in (2, 3, 4)]
    unstated = Config.of({"net": {"units": [1], "widths": [16]}, "data": {"name": "digits", "augment": ["crop"]}})
    assert len(set(keys)) == 3 and keys[2] == trial_key(resolve(unstated, FACTS), 0)
    for none in (0, 5):
        with pytest.raises(InputError, match=rf"'data.shift' cannot be {none}"):
            config.but({"data.shift": none})


def test_a_data_set_whose_argument_is_a_field_of_every_recipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(root: Path | None, cache: Path | None, *, shift: int = 2) -> None: ...

    sets: Registry[Any] = Registry("data set")
    sets.add("own")(own)
    monkeypatch.setattr(resolving, "DATASETS", sets)
    with pytest.raises(InputError, match="The data set 'own' has an argument 'shift', which is a field of every recipe"):
        resolve(Config.of({"net": {"units": [1], "widths": [16]}, "data": {"name": "own"}}), FACTS)
