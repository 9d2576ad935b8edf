"""Models of torchvision and timm as hosts: where blocks land, what they cost, how they start, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import runner
from senet_core import hosts
from senet_core.build import build
from senet_core.config import Config
from senet_core.cost import cost
from senet_core.dataset import Facts
from senet_core.describe import describe
from senet_core.errors import InputError
from senet_core.function import first_equal
from senet_core.identity import trial_key
from senet_core.resolve import resolve, stage_count

FACTS = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))
SE = {"name": "se", "reduction": 4}
TINY = {"name": "hosted", "library": "timm", "model": "test_resnet", "after": ["layer[1-3].*"]}
RESNET = {"name": "hosted", "model": "resnet18", "after": ["layer*.*.bn2"]}


def resolved(net: dict[str, Any], **more: Any) -> Config:
    return resolve(Config.of({"net": {**net, **more}}), FACTS)


def blocks_of(network: nn.Module) -> list[str]:
    return [path for path, module in network.named_modules() if hasattr(module, "hidden_width")]


@pytest.mark.parametrize(
    ("net", "theirs"),
    [
        (RESNET, lambda: torchvision.models.resnet18(num_classes=10)),
        ({"name": "hosted", "model": "mobilenet_v3_small"}, lambda: torchvision.models.mobilenet_v3_small(num_classes=10)),
        (TINY, lambda: timm.create_model("test_resnet", num_classes=10)),
    ],
)
def test_without_a_block_it_is_the_librarys_own_model_with_the_data_s_classes(net: dict[str, Any], theirs: Any) -> None:
    ours, own = build(resolved(net), FACTS, 0).eval(), theirs().eval()
    own.load_state_dict({path.removeprefix("host."): value for path, value in ours.state_dict().items()})
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ours(x), own(x), atol=1e-6) and own(x).shape == (2, 10)
    assert cost(resolved(net), FACTS).parameters == sum(value.numel() for value in own.parameters())


def test_a_block_follows_each_module_that_is_named() -> None:
    network = build(resolved(RESNET, block=SE), FACTS, 0).eval()
    names = [f"layer{stage}.{unit}.bn2" for stage in (1, 2, 3, 4) for unit in (0, 1)]
    assert blocks_of(network) == [f"blocks.stage{name[5]}.{name.replace('.', '_')}.standard" for name in names]
    x, host = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), network.host
    with torch.no_grad():
        unit, y = host.layer2[0], host.layer1(host.maxpool(host.relu(host.bn1(host.conv1(x)))))
        branch = unit.bn2(unit.conv2(unit.relu(unit.bn1(unit.conv1(y)))))  # bn2 has the block in it, by its hook
        plain = nn.functional.batch_norm(
            unit.conv2(unit.relu(unit.bn1(unit.conv1(y)))), unit.bn2.running_mean, unit.bn2.running_var, unit.bn2.weight, unit.bn2.bias
        )
        block = network.get_submodule("blocks.stage2.layer2_0_bn2.standard")
        assert torch.allclose(branch, block(plain), atol=1e-6) and not torch.allclose(branch, plain, atol=1e-3)


def test_the_host_starts_alike_with_every_block_and_none_and_as_its_library_starts_it() -> None:
    plain = build(resolved(RESNET), FACTS, 5).state_dict()
    for more in ({"block": SE}, {"block": "eca", "stages": [2]}, {"block": "se", "after": ["layer3.*"]}):
        other = build(resolved({**RESNET, **more}), FACTS, 5).state_dict()
        assert all(torch.equal(value, other[path]) for path, value in plain.items())
    first = "host.layer1.0.conv1.weight"
    assert not torch.equal(plain[first], build(resolved(RESNET), FACTS, 6).state_dict()[first])
    # torchvision starts its ResNets by He's rule over outputs (0.0589 here); PyTorch's own start would give 0.0241
    assert float(plain[first].std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_blocks_start_alike_wherever_the_others_are_left_out() -> None:
    everywhere, alone = (build(resolved(TINY, block=SE, stages=stages), FACTS, 0).state_dict() for stages in ("all", [2]))
    assert {path for path in alone if path.startswith("blocks.")} == {path for path in everywhere if path.startswith("blocks.stage2.")}
    assert all(torch.equal(value, everywhere[path]) for path, value in alone.items())


def test_building_leaves_the_global_generators_alone_and_uses_no_other() -> None:
    hosts.seen.cache_clear()
    torch.manual_seed(0)
    np.random.seed(0)
    before, one = torch.get_rng_state(), build(resolved(TINY, block=SE), FACTS, 0)
    assert torch.equal(before, torch.get_rng_state())
    np.random.seed(1)
    other = build(resolved(TINY, block=SE), FACTS, 0).state_dict()
    assert all(torch.equal(value, other[path]) for path, value in one.state_dict().items())


def test_a_copy_has_blocks_of_its_own() -> None:
    network = build(resolved(TINY, block=SE), FACTS, 0).eval()
    twin, x = copy.deepcopy(network), torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = network(x)
    for path in blocks_of(twin):
        nn.init.ones_(twin.get_submodule(path).up.weight)
    assert not torch.allclose(twin(x), expected) and torch.equal(network(x), expected)


# --- cost, description, stages


@pytest.mark.parametrize("net", [TINY, {"name": "hosted", "model": "regnet_y_400mf", "after": ["trunk_output.*.*"]}])
def test_the_lines_of_a_description_add_up_and_each_block_has_one(net: dict[str, Any]) -> None:
    found = describe(resolved(net, block=SE), FACTS)
    assert not [line for line in found.lines if line.path == "(elsewhere)" and (line.parameters or line.macs < 0)]
    assert sum(line.parameters for line in found.lines) == found.cost.parameters
    assert sum(line.macs for line in found.lines) == found.cost.macs
    blocks = [line for line in found.lines if line.block]
    assert len(blocks) == len(hosts.places(hosts.Host(net.get("library", "torchvision"), net["model"]), net["after"], 3, 32))
    assert all(line.macs == line.parameters and line.shape for line in blocks)  # SE's two layers, at one pixel


@pytest.mark.parametrize(
    ("model", "after", "stages"),
    [("resnet18", ["layer*.*.bn2"], 4), ("resnet18", ["layer2.*"], 1), ("mobilenet_v2", ["features.*"], 5), ("resnet18", [], 1)],
)
def test_stages_are_the_spatial_sizes_of_the_places(model: str, after: list[str], stages: int) -> None:
    net = resolved({"name": "hosted", "model": model, "after": after}).net
    assert stage_count(net) == stages
    found = hosts.places(hosts.Host("torchvision", model), after, 3, 64)
    assert [place.stage for place in found] == sorted(place.stage for place in found)
    for place in found:  # behind each other at a real size, too, as long as there is something to halve
        assert place.size == max(1, max(p.size for p in found) >> place.stage - 1)


def test_a_stage_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="this network has stages 1 to 3"):
        resolved(TINY, block=SE, stages=[4])


# --- identity


def test_the_installed_version_is_part_of_the_recipe_and_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolved(TINY, block=SE)
    assert config.net.arguments["version"] == timm.__version__ and "version" in config.tree()["net"]
    assert resolve(config, FACTS) == config == resolved(TINY, block=SE, version=timm.__version__)
    before = trial_key(config, 0)
    monkeypatch.setattr(hosts.importlib.metadata, "version", lambda library: "9.9.9+cpu")
    assert trial_key(resolved(TINY, block=SE), 0) != before
    assert resolved(TINY, block=SE).net.arguments["version"] == "9.9.9"
    for refused in (lambda: resolve(config, FACTS), lambda: build(config, FACTS, 0)):
        with pytest.raises(InputError, match=rf"for timm {timm.__version__}, and 9.9.9 is installed"):
            refused()


def test_orders_that_mean_nothing_are_one_recipe() -> None:
    one = resolved(TINY, after=["layer2.*", "layer1.*"], options=["drop_rate=0.1", "zero_init_last=false"])
    assert one == resolved(TINY, after=["layer1.*", "layer2.*", "layer1.*"], options=["zero_init_last=false", "drop_rate=0.1"])


def test_patterns_that_name_the_same_modules_train_once() -> None:
    assert first_equal([resolved(TINY, block=SE), resolved(TINY, block=SE, after=["layer1.0", "layer2.0", "layer3.0"])], FACTS) == [0, 0]


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "resnet17"}, "torchvision .* has no image classifier named 'resnet17'; did you mean 'resnet18'"),
        ({"library": "timm", "model": "resnet18.a1_in1k"}, "did you mean"),
        ({"library": "keras"}, "library cannot be 'keras'"),
        ({"after": ["layer*.*.bn3"]}, r"named 'layer\*.\*.bn3'; did you mean"),
        ({"after": ["layer1.0.bn22"]}, "did you mean 'layer1.0.bn2'"),
        ({"after": []}, "no place for it: name the modules"),
        ({"after": ["fc"]}, r"'fc' of torchvision's resnet18: it gives \(N, 10\), and a block takes \(N, C, H, W\)"),
        ({"after": ["layer1.0.relu"]}, "called 2 times in one forward pass"),
        ({"model": "densenet121", "after": ["features.denseblock1"], "options": ["weights=DEFAULT"]}, "trained weights"),
        ({"model": "swin_t", "after": ["features.1"]}, r"it gives \(N, 56, 56, 96\), and a block takes"),
        ({"model": "mnasnet0_5", "after": ["layers.8.0.layers"], "options": ["num_classes=3"]}, "set from the data"),
        ({"options": ["drop_rate"]}, "takes name=value"),
        ({"options": ["drop_rate=0.1"]}, "cannot be built with drop_rate=0.1: .*drop_rate"),
        ({"model": "alexnet", "after": ["features.0"]}, "cannot take 32x32 images"),
        ({"model": "googlenet", "after": ["inception*"]}, "add --net.options aux_logits=false"),
        ({"model": "vit_b_16", "after": ["conv_proj"]}, "cannot take 32x32 images: Wrong image height"),
        ({"placement": "post"}, "has no placement 'post': a host is known by its modules alone"),
    ],
)
def test_what_cannot_be_is_a_sentence(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        build(resolved({**RESNET, "block": SE, **changes}), FACTS, 0)


def test_a_container_that_never_runs_itself_is_refused() -> None:
    host = hosts.Host("torchvision", "mnasnet0_5")
    hosts._refuse(host, "here", hosts.Seen(1, (2, 8, 4, 4)))
    with pytest.raises(InputError, match="never called"):
        hosts._refuse(host, "there", None)


def test_grey_images_go_into_timms_models_and_not_into_torchvisions() -> None:
    grey = Facts("grey", ("a", "b"), 32, 1, 200, 100, ())
    assert build(resolve(Config.of({"net": {**TINY, "block": SE}}), grey), grey, 0)(torch.zeros(2, 1, 32, 32)).shape == (2, 2)
    with pytest.raises(InputError, match="of 3 channels, not 1"):
        build(resolve(Config.of({"net": {**RESNET, "block": SE}}), grey), grey, 0)


def test_a_library_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(library: str) -> str:
        raise hosts.importlib.metadata.PackageNotFoundError(library)

    monkeypatch.setattr(hosts.importlib.metadata, "version", missing)
    with pytest.raises(InputError, match="pip install timm"):
        resolved(TINY)


# --- a step, and a study


@pytest.mark.parametrize("net", [TINY, RESNET, {"name": "hosted", "model": "mobilenet_v3_small", "after": ["features.[1-9]"]}])
def test_a_step_reaches_every_parameter_in_bf16_and_channels_last(net: dict[str, Any]) -> None:
    network = build(resolved(net, block=SE), FACTS, 0).to(memory_format=torch.channels_last).train()
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        nn.functional.cross_entropy(network(x), torch.arange(8)).backward()
    assert [path for path, value in network.named_parameters() if value.grad is None or not value.grad.isfinite().all()] == []


def test_a_suite_trains_on_a_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = ["--net.name", "hosted", "--net.library", "timm", "--net.model", "test_resnet", "--net.after", "layer1.*,layer2.*"]
    small = ["--data.train", "256", "--data.test", "128", "--train.epochs", "1", "--threads", "1", "--seeds", "1", "--no-mlflow"]
    words = ["run", "stages", "--preset", "smoke", *host, *small, "--workspace", str(tmp_path)]
    assert runner.main(words) == 0
    assert "4 trained" in capsys.readouterr().out
    assert runner.main(words) == 0
    assert "0 trained" in capsys.readouterr().out
    page = next(tmp_path.rglob("report.md")).read_text(encoding="utf-8")
    assert "stage 2" in page and f"version {timm.__version__}" in page
