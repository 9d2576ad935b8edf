"""The families without a plain residual unit: published counts, other people's implementations, places for blocks, refusals."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, channel_shuffle, relu

from senet_core.attach import Place
from senet_core.build import build, skeleton
from senet_core.config import Config
from senet_core.cost import NetworkCost, cost
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.networks.shufflenet import shuffled
from senet_core.registry import NETWORKS
from senet_core.resolve import resolve

SMALL = ("vgg-16", "mobilenet-32", "shufflenet-32", "inception-32")


def facts(size: int = 32, classes: int = 10) -> Facts:
    return Facts("images", tuple(map(str, range(classes))), size, 3, 50000, 10000, ())


def resolved(size: int = 32, **net: Any) -> Config:
    return resolve(Config.of({"net": net}), facts(size))


@cache
def costs(name: str, size: int, se: bool = False) -> NetworkCost:
    return cost(resolved(size, name=name, block="se" if se else None), facts(size, 1000))


class Probe(nn.Module):
    """Stands where a block could and holds what passes to its stated shape. Its factor is negative, so that it differs across a ReLU."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1:] == (self.place.channels, self.place.size, self.place.size), self.place
        return -2 * x


def probed(placement: str, size: int, device: str = "meta", **net: Any) -> tuple[nn.Module, list[Place]]:
    """A network with a probe at every place of a placement, and these places."""
    places: list[Place] = []

    def attach(asked: str, place: Place) -> nn.Module | None:
        if asked != placement:
            return None
        places.append(place)
        return Probe(place)

    chosen = resolved(size, **net).net
    with torch.device(device):
        return NETWORKS[chosen.name].value(10, 3, size, attach, **chosen.arguments).eval(), places


def rescaled(name: str, size: int) -> int:
    """How many values the standard blocks of a network rescale."""
    return sum(place.channels * place.size**2 for place in probed("standard", size, name=name)[1])


# --- what is published


@pytest.mark.parametrize(
    ("name", "size", "parameters", "macs"),
    [
        ("vgg-16-imagenet", 224, 138_357_544 + 4_224, 15_470_264_320),  # torchvision's vgg16; its BN has 2 x 4,224, its biases 4,224
        ("mobilenet-224", 224, 4_231_976, 568_740_352),
        ("shufflenet-224", 224, 1_865_728, 137_460_672),
        ("bn-inception", 224, 11_295_240 - 10_016, 2_032_600_064),  # imgclsmob's count has a useless bias in each convolution
        ("inception-resnet-v2", 299, 55_843_464, 13_155_794_016),
    ],
)
def test_counts_at_full_size(name: str, size: int, parameters: int, macs: int) -> None:
    counted = costs(name, size)
    assert (counted.parameters, counted.macs) == (parameters, macs)


def test_table_2_of_the_paper() -> None:
    """Multiply-adds; with SE, one operation for each rescaled value is in the printed figures."""
    for name, plain, with_se in (("vgg-16-imagenet", "15.47", "15.48"), ("bn-inception", "2.03", "2.03")):  # printed: 2.04
        counted, se = costs(name, 224), costs(name, 224, se=True)
        assert f"{counted.macs / 1e9:.2f}" == plain
        assert f"{(se.macs + rescaled(name, 224)) / 1e9:.2f}" == with_se


def test_table_3_of_the_paper() -> None:
    plain, se = costs("mobilenet-224", 224), costs("mobilenet-224", 224, se=True)
    assert (f"{plain.macs / 1e6:.0f}", f"{(se.macs + rescaled('mobilenet-224', 224)) / 1e6:.0f}") == ("569", "572")
    assert (f"{plain.parameters / 1e6:.1f}", f"{se.parameters / 1e6:.1f}") == ("4.2", "4.7")
    assert se.parameters - plain.parameters == 479_744
    plain, se = costs("shufflenet-224", 224), costs("shufflenet-224", 224, se=True)
    assert f"{plain.macs / 1e6:.0f}" == "137"  # as in ShuffleNet's own Table 1; 140 is the name of the size class
    assert f"{(se.macs + rescaled('shufflenet-224', 224) - plain.macs) / 1e6:.0f}" == "2"
    assert (plain.parameters // 100_000, se.parameters // 100_000) == (18, 24)  # 1.8 M and 2.4 M, cut off
    # sum of 2 C (C // 16): a branch of stride 2 gives outputs - inputs channels
    assert se.parameters - plain.parameters == sum(n * 2 * c * (c // 16) for n, c in [(1, 216), (4, 240), (8, 480), (3, 960)])


def test_se_bn_inception_has_the_size_and_hidden_widths_of_the_authors_model() -> None:
    counted = cost(resolved(224, name="bn-inception", block={"name": "se", "bias": True}), facts(224, 1000))
    assert counted.hidden_widths == (16, 20, 36, 38, 66, 64)
    folded = counted.parameters - 10_016  # a BN folded into its convolution is one bias for each channel
    assert f"{folded / 1e6:.3f}" == "11.922"  # open_model_zoo, models/public/se-inception


# --- other implementations with the same weights


def redrawn(network: nn.Module) -> nn.Module:
    """Every parameter and buffer drawn anew, in double precision, so that no start value hides a difference."""
    network = network.double().eval()
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.dim() > 1:
                value.normal_(generator=drawn).mul_((2 / value[0].numel()) ** 0.5)
            elif value.is_floating_point():
                value.uniform_(0.5, 1.5, generator=drawn)
    return network


def same(ours: nn.Module, theirs: nn.Module, parts: list[tuple[str, list[str]]], size: int) -> None:
    """Both give the same outputs once ours has the weights of theirs, part by part in the order of their state."""
    for own, others in parts:
        module = ours.get_submodule(own)
        values = [value for other in others for value in theirs.get_submodule(other).state_dict().values()]
        module.load_state_dict(dict(zip(module.state_dict(), values, strict=True)), assign=True)
    x = torch.randn(2, 3, size, size, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs(x)
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours.eval()(x), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


def test_vgg_is_that_of_torchvision() -> None:
    theirs = torchvision.models.vgg16_bn(init_weights=False, num_classes=1)
    linear = [nn.Linear(2048, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 10)]
    theirs.avgpool, theirs.classifier = nn.Identity(), nn.Sequential(*linear)
    theirs = redrawn(theirs)
    for module in theirs.features:
        if isinstance(module, nn.Conv2d):
            module.bias = None  # before a BN it changes nothing
    ours = skeleton(resolved(64, name="vgg-16", hidden=(12, 12), dropout=0.5), facts(64))
    same(ours, theirs, [("stages", ["features"]), ("hidden", ["classifier.0", "classifier.3"]), ("classifier", ["classifier.6"])], 64)


def test_mobilenet_is_that_of_timm() -> None:
    theirs = redrawn(timm.create_model("mobilenetv1_100", act_layer="relu", num_classes=10))
    ours = skeleton(resolved(name="mobilenet-224"), facts())
    same(ours, theirs, [("stem", ["conv_stem", "bn1"]), ("stages", ["blocks"]), ("classifier", ["classifier"])], 64)


def test_inception_resnet_v2_is_that_of_timm() -> None:
    theirs = redrawn(timm.create_model("inception_resnet_v2", num_classes=10))
    ours = skeleton(resolved(107, name="inception-resnet-v2"), facts(107))
    stem = [f"conv2d_{layer}" for layer in ("1a", "2a", "2b", "3b", "4a")]
    stages = [("stages.stage1", ["repeat"]), ("stages.stage2", ["repeat_1"]), ("stages.stage3", ["repeat_2", "block8"])]
    reductions = [("reductions.0", ["mixed_6a"]), ("reductions.1", ["mixed_7a"]), ("last", ["conv2d_7b"])]
    same(ours, theirs, [("stem", stem), ("mixed", ["mixed_5b"]), *stages, *reductions, ("classifier", ["classif"])], 107)


# --- what a unit computes


def test_the_shuffle_is_that_of_pytorch() -> None:
    x = torch.randn(2, 12, 3, 5)
    for image in (x, x.to(memory_format=torch.channels_last)):
        assert torch.equal(shuffled(image, 3), channel_shuffle(x, 3))
    assert shuffled(x.to(memory_format=torch.channels_last), 3).is_contiguous(memory_format=torch.channels_last)


def test_without_an_identity_the_block_follows_the_non_linearity() -> None:
    layer = probed("standard", 32, "cpu", name="vgg-16")[0].get_submodule("stages.stage1.unit2")
    x = torch.randn(2, 64, 32, 32)
    torch.testing.assert_close(layer(x), -2 * relu(layer.conv(x)))
    for placement, (inside, standard) in {"standard": (1, -2), "inside": (-2, 1)}.items():
        unit = probed(placement, 32, "cpu", name="mobilenet-32")[0].get_submodule("stages.stage2.unit1")
        y = relu(unit.pointwise(relu(inside * unit.depthwise(x))))
        torch.testing.assert_close(unit(x), standard * y)


@pytest.mark.parametrize("index", [1, 2])
@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity", "inside"])
def test_a_shuffle_unit_computes_what_its_placement_says(placement: str, index: int) -> None:
    network = probed(placement, 16, "cpu", name="shufflenet", units=[2], widths=[24], groups=3, stem=12)[0]
    unit = network.get_submodule(f"stages.stage1.unit{index}")
    x = torch.randn(2, 12 if index == 1 else 24, 16 if index == 1 else 8, 16 if index == 1 else 8)
    on = {name: -2 if name == placement else 1 for name in ("standard", "pre", "post", "identity", "inside")}
    inner = unit.depthwise(channel_shuffle(relu(unit.reduce(on["pre"] * x)), 3))
    f = on["standard"] * unit.expand(on["inside"] * inner)
    identity = on["identity"] * (avg_pool2d(x, 3, 2, 1) if index == 1 else x)
    expected = on["post"] * relu(torch.cat([identity, f], 1) if index == 1 else identity + f)
    torch.testing.assert_close(unit(x), expected)


@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity"])
def test_an_inception_resnet_unit_computes_what_its_placement_says(placement: str) -> None:
    network = probed(placement, 75, "cpu", name="inception-resnet-v2", units=[1, 1, 2])[0]
    on = {name: -2 if name == placement else 1 for name in ("standard", "pre", "post", "identity")}
    for path, scale in (("stage1.unit1", 0.17), ("stage2.unit1", 0.1), ("stage3.unit1", 0.2), ("stage3.unit2", None)):
        unit = network.get_submodule(f"stages.{path}")
        side, channels = unit.get_submodule(placement).place.size, unit.expand.out_channels
        x = torch.randn(2, channels, side, side)
        f = unit.expand(torch.cat([branch(on["pre"] * x) for branch in unit.branches], 1))
        y = on["identity"] * x + (1.0 if scale is None else scale) * on["standard"] * f
        torch.testing.assert_close(unit(x), on["post"] * (y if scale is None else relu(y)))


@pytest.mark.parametrize(
    ("path", "pool"), [("stage1.3a", "average"), ("stage2.4d", "average"), ("stage3.5b", "max"), ("stage3.4e", "half")]
)
def test_an_inception_module_pools_as_the_authors_have_it_and_is_rescaled_whole(path: str, pool: str) -> None:
    module = probed("standard", 32, "cpu", name="inception-32")[0].get_submodule(f"stages.{path}")
    x = torch.randn(2, next(module.parameters()).shape[1], 8, 8)
    windows = {"average": nn.AvgPool2d(3, 1, 1), "max": nn.MaxPool2d(3, 1, 1), "half": nn.MaxPool2d(3, 2, ceil_mode=True)}
    pooled = windows[pool](x)
    *others, last = module.branches.values()
    outputs = [*(branch(x) for branch in others), pooled if pool == "half" else last[1](pooled)]
    module.standard = None if pool == "half" else module.standard  # its probe knows the size within the network
    if module.standard is not None:
        module.standard.place = Place("", 1, module.outputs, 8)
    torch.testing.assert_close(module(x), torch.cat(outputs, 1) * (1 if pool == "half" else -2))


# --- where blocks sit


@pytest.mark.parametrize(
    ("name", "size", "stages"),
    [
        ("vgg-16", 32, [(2, 64, 32), (2, 128, 16), (3, 256, 8), (3, 512, 4), (3, 512, 2)]),
        ("mobilenet-32", 32, [(1, 64, 32), (2, 128, 16), (2, 256, 8), (6, 512, 4), (2, 1024, 2)]),
        ("mobilenet-224", 224, [(1, 64, 112), (2, 128, 56), (2, 256, 28), (6, 512, 14), (2, 1024, 7)]),
        ("shufflenet-32", 32, [(1, 216, 16), (3, 240, 16), (1, 240, 8), (7, 480, 8), (1, 480, 4), (3, 960, 4)]),
        ("inception-32", 32, [(1, 64, 32), (1, 80, 32), (3, 144, 16), (2, 152, 16), (1, 264, 8), (2, 256, 8)]),
        ("bn-inception", 224, [(1, 256, 28), (1, 320, 28), (3, 576, 14), (2, 608, 14), (1, 1056, 7), (2, 1024, 7)]),
        ("inception-resnet-v2", 299, [(10, 320, 35), (20, 1088, 17), (10, 2080, 8)]),
    ],
)
def test_standard_blocks_and_their_stages(name: str, size: int, stages: list[tuple[int, int, int]]) -> None:
    _, places = probed("standard", size, name=name)
    assert [(place.channels, place.size) for place in places] == [(c, s) for count, c, s in stages for _ in range(count)]
    sizes = sorted({place.size for place in places}, reverse=True)  # a stage is all places that share a size
    assert [place.stage for place in places] == [sizes.index(place.size) + 1 for place in places]
    net = resolved(size, name=name).net
    assert NETWORKS[net.name].value.stage_count(net.arguments) == len(sizes)
    assert len({place.path for place in places}) == len(places)


@pytest.mark.parametrize("name", [*SMALL, "vgg-16-imagenet", "mobilenet-224", "shufflenet-224", "bn-inception", "inception-resnet-v2"])
def test_the_shape_of_every_place_is_what_passes_there_and_paths_do_not_depend_on_it(name: str) -> None:
    size = 32 if name in SMALL else 299 if "resnet" in name else 224
    chosen: dict[str, Any] = {"name": name} | ({"units": (1, 1, 2)} if "resnet" in name or "shuffle" in name else {})
    config = resolved(size, **chosen)
    plain = skeleton(config, facts(size)).state_dict().keys()
    family = NETWORKS[config.net.name].value
    for placement in ("standard", "pre", "post", "identity", "inside"):
        assert (placement in family.placements) != (placement in family.why_not)
        if placement in family.placements:
            network, places = probed(placement, size, **chosen)
            found = [getattr(network.get_submodule(f"stages.{place.path}"), placement).place for place in places]
            assert places and found == places
            assert network(torch.empty(2, 3, size, size, device="meta")).shape == (2, 10)
            with_se = skeleton(resolved(size, **chosen, block="se", placement=placement), facts(size)).state_dict().keys()
            assert plain < with_se


@pytest.mark.parametrize(
    ("size", "net", "reason"),
    [
        (31, {"name": "vgg-16"}, "pooling after stage 5 would get 1 x 1"),
        (32, {"name": "vgg", "units": [1, 1], "widths": [8]}, "one positive number for each stage"),
        (32, {"name": "vgg-16", "dropout": 0.5}, "dropout follows the hidden layers"),
        (16, {"name": "mobilenet-224"}, "stage 5 would get 1 x 1"),
        (32, {"name": "mobilenet-32", "multiplier": 0.01}, "width multiplier"),
        (32, {"name": "mobilenet-32", "units": [1]}, "one positive number for each stage"),
        (4, {"name": "shufflenet-32"}, "stage 3 would get 1 x 1"),
        (32, {"name": "shufflenet-32", "groups": 7}, "7 groups do not divide"),
        (32, {"name": "shufflenet-32", "widths": [240, 240, 960]}, "more than 240 outputs"),
        (30, {"name": "inception-32"}, "module 4e halves its input, so it needs an even size, not 15"),
        (32, {"name": "inception-32", "width": 0.01}, "width factor"),
        (74, {"name": "inception-resnet-v2"}, "the reduction before stage 3 would get 2 x 2"),
        (32, {"name": "inception-resnet-v2"}, "too small"),
        (299, {"name": "inception-resnet-v2", "units": [1, 1]}, "three positive numbers"),
    ],
)
def test_what_cannot_be_built_is_a_sentence(size: int, net: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=rf"cannot be built: .*{reason}"):
        skeleton(resolved(size, **net), facts(size))


@pytest.mark.parametrize(
    ("name", "placement", "reason"),
    [("vgg-16", "identity", "no identity"), ("mobilenet-32", "post", "no sum"), ("inception-32", "inside", "three 3x3")],
)
def test_a_placement_that_makes_no_sense_is_refused_with_its_reason(name: str, placement: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"no placement '{placement}'"):
        resolved(name=name, block="se", placement=placement)
    assert reason in NETWORKS[resolved(name=name).net.name].value.why_not[placement]


# --- a step


@pytest.mark.parametrize("block", [None, "se"])
@pytest.mark.parametrize(
    ("size", "net"),
    [
        *((32, {"name": name}) for name in SMALL),
        (32, {"name": "vgg-16", "hidden": [64], "dropout": 0.5}),
        (75, {"name": "inception-resnet-v2", "units": [1, 1, 1]}),
    ],
)
def test_a_step_reaches_every_parameter(size: int, net: dict[str, Any], block: str | None) -> None:
    network = build(resolved(size, **net, block=block), facts(size), 0).to(memory_format=torch.channels_last).train()
    x = torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    logits = network(x)
    nn.functional.cross_entropy(logits, torch.arange(8)).backward()
    silent = [path for path, value in network.named_parameters() if value.grad is None or not value.grad.isfinite().all()]
    assert silent == []
    assert 0.05 < float(logits.detach().std()) < 20  # the start neither dies nor explodes
    weights = [value for value in network.parameters() if value.dim() > 1]
    assert all(bool(value.grad.any()) for value in weights if value.grad is not None)


@pytest.mark.parametrize("name", SMALL)
def test_bf16_goes_through_and_gives_nearly_what_fp32_gives(name: str) -> None:
    network = build(resolved(name=name, block="se"), facts(), 0).to(memory_format=torch.channels_last).train()
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(x)
    assert rounded.dtype == torch.bfloat16
    assert float(nn.functional.cosine_similarity(rounded.float().flatten(), expected.flatten(), dim=0)) > 0.8
