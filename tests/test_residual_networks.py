"""The residual families: published sizes, what each placement computes, and other people's networks given the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import relu

from senet_core.attach import Place
from senet_core.build import build, skeleton
from senet_core.config import Config
from senet_core.cost import cost
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.networks.preact_resnet import PreActUnit
from senet_core.networks.resnet import ResNet
from senet_core.networks.shake_shake import Halves, Mixed
from senet_core.registry import NETWORKS
from senet_core.resolve import resolve
from senet_core.units import Shape, Unit

CIFAR = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))
IMAGENET = Facts("ImageNet", tuple(str(k) for k in range(1000)), 224, 3, 1281167, 50000, ())
SMALL_IMAGES = Facts("ImageNet at 64x64", IMAGENET.classes, 64, 3, 1281167, 50000, ())
BIASED = {"name": "se", "bias": True}
SMALL: dict[str, dict[str, Any]] = {
    "resnet": {"name": "resnet", "units": [2, 1], "widths": [16, 32], "stem": 8, "stem_kernel": 5, "stem_pool": True, "stride_in": "1x1"},
    "preact": {"name": "preact_resnet", "units": [2, 1], "widths": [16, 32], "stem": 16},
    "preact basic": {"name": "preact_resnet", "unit": "basic", "units": [2, 1], "widths": [8, 16], "stem": 8},
    "resnext": {"name": "resnext", "units": [2, 1], "widths": [16, 32], "cardinality": 4, "width_per_group": 2, "stem": 8},
    "shake": {"name": "shake_shake", "units": [2, 1], "widths": [8, 16], "stem": 8},
    "shake even": {
        "name": "shake_shake",
        "unit": "bottleneck",
        "units": [2, 1],
        "widths": [16, 32],
        "width_per_group": 2,
        "backward": "even",
    },
    "senet": {"name": "senet", "units": [2, 1], "widths": [16, 32], "cardinality": 4, "width_per_group": 2, "stem": 4},
}
PLACEMENTS = {name: [*("standard", "pre", "post", "identity"), *([] if "shake" in name else ["inside"])] for name in SMALL}
PLACED = [(name, placement) for name, placements in PLACEMENTS.items() for placement in placements]


def resolved(facts: Facts = CIFAR, **net: Any) -> Config:
    return resolve(Config.of({"net": net}), facts)


def parameters(name: str, facts: Facts = CIFAR, **net: Any) -> int:
    return sum(parameter.numel() for parameter in skeleton(resolved(facts, name=name, **net), facts).parameters())


# Sizes


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("preact-resnet-20", 272_282),
        ("preact-resnet-56", 855_578),
        ("preact-resnet-110", 1_730_522),
        ("preact-resnet-164", 1_703_258),
        ("wrn-16-8", 10_961_370),
        ("wrn-28-10", 36_479_194),
        ("resnext-29-16x64d", 68_155_210),
        ("shake-shake-26-2x32d", 2_923_162),
    ],
)
def test_networks_for_small_images_have_the_parameters_that_others_count(name: str, count: int) -> None:
    assert parameters(name) == count


@pytest.mark.parametrize(
    ("name", "millions"), [("resnext-29-8x64d", 34.4), ("shake-shake-26-2x96d", 26.2), ("shake-even-29-2x4x64d", 34.4)]
)
def test_networks_for_small_images_have_the_parameters_that_their_papers_print(name: str, millions: float) -> None:
    assert parameters(name) / 1e6 == pytest.approx(millions, abs=0.05)


def test_a_resnext_29_of_4_channels_per_group_is_that_of_the_literature() -> None:
    assert parameters("resnext-29-8x64d", cardinality=32, width_per_group=4) == 4_775_754


@pytest.mark.parametrize(
    ("name", "last", "theirs"),
    [
        ("preact-resnet-20", 64, 274_559),
        ("preact-resnet-56", 64, 862_601),
        ("preact-resnet-110", 64, 1_744_664),
        ("preact-resnet-164", 256, 1_904_882),
    ],
)
def test_se_preact_resnets_differ_from_imgclsmob_by_two_batch_normalisations(name: str, last: int, theirs: int) -> None:
    """Its SE-PreResNets, unlike its PreResNets, have a BN after the stem and none before the classifier."""
    assert parameters(name, block=BIASED) - 2 * last + 2 * 16 == theirs


@pytest.mark.parametrize(
    ("name", "block", "added"),
    [
        ("preact-resnet-20", {"name": "se"}, 2_016),
        ("preact-resnet-20", BIASED, 2_373),
        ("preact-resnet-32", {"name": "se", "reduction": 8}, 6_720),
        ("preact-resnet-110", {"name": "se", "reduction": 4}, 48_384),
        ("preact-resnet-164", {"name": "se"}, 193_536),
        ("preact-resnet-164", BIASED, 202_104),
        ("wrn-16-8", {"name": "se"}, 86_016),
        ("resnext-29-8x64d", {"name": "se"}, 3 * (256**2 + 512**2 + 1024**2) // 8),
        ("shake-shake-26-2x96d", {"name": "se"}, 4 * (96**2 + 192**2 + 384**2) // 8),
        ("shake-even-29-2x4x64d", {"name": "se"}, 3 * (256**2 + 512**2 + 1024**2) // 8),
    ],
)
def test_se_adds_the_parameters_of_equation_5(name: str, block: dict[str, Any], added: int) -> None:
    assert parameters(name, block=block) - parameters(name) == added


@pytest.mark.parametrize(("n", "unbiased", "biased"), [(7, 4_704, 5_537), (9, 6_048, 7_119), (5, 3_360, 3_955)])
def test_se_on_the_post_activation_resnets_adds_what_the_table_says(n: int, unbiased: int, biased: int) -> None:
    net = {"unit": "basic", "units": [n] * 3, "widths": [16, 32, 64], "stem": 16, "shortcut": "padding"}
    plain = parameters("resnet", **net)
    assert (parameters("resnet", **net, block="se") - plain, parameters("resnet", **net, block=BIASED) - plain) == (unbiased, biased)


@pytest.mark.parametrize(("name", "macs"), [("preact-resnet-164", 247.65e6), ("wrn-16-8", 1548.15e6)])
def test_multiply_adds_are_those_that_others_count(name: str, macs: float) -> None:
    assert cost(resolved(name=name), CIFAR).macs == pytest.approx(macs, abs=5e3)


@pytest.mark.parametrize(
    ("name", "count", "printed", "printed_with_se"),
    [
        ("resnet-50", 25_557_032, 3.86, 3.87),
        ("resnet-101", 44_549_160, 7.58, 7.60),
        ("resnet-152", 60_192_808, 11.30, 11.32),
        ("resnext-50-32x4d", 25_028_904, 4.24, 4.25),
        ("resnext-101-32x4d", 44_177_704, 7.99, 8.00),
    ],
)
def test_networks_for_large_images_cost_what_table_2_prints(name: str, count: int, printed: float, printed_with_se: float) -> None:
    """Table 2 seems to count a little more than convolutions and matrix products: it is above ours, by less than half a percent."""
    plain = cost(resolved(IMAGENET, name=name), IMAGENET)
    with_se = plain.macs + parameters(name, IMAGENET, block="se") - plain.parameters  # SE uses each of its weights once
    assert plain.parameters == count
    assert -0.005 < printed - plain.macs / 1e9 < 0.005 * printed
    assert -0.005 < printed_with_se - with_se / 1e9 < 0.005 * printed_with_se


def test_the_multiply_adds_of_se_are_its_weights() -> None:
    plain, se = (cost(resolved(IMAGENET, name="resnext-50-32x4d", block=block), IMAGENET) for block in (None, "se"))
    assert se.macs - plain.macs == se.parameters - plain.parameters == 2_514_944


def test_senet_154_is_as_large_as_the_released_model() -> None:
    assert parameters("senet-154", IMAGENET, block=BIASED) == 115_088_984


def test_se_3x3_adds_the_parameters_of_table_15() -> None:
    added = parameters("resnet-50", IMAGENET, block="se", placement="inside") - parameters("resnet-50", IMAGENET)
    assert added == (3 * 64**2 + 4 * 128**2 + 6 * 256**2 + 3 * 512**2) // 8


def test_the_stride_of_a_bottleneck_decides_its_cost() -> None:
    """3.86 billion multiply-adds belong to the Caffe layout; the other one has 4.09 (torchvision's documentation)."""
    later = cost(resolved(IMAGENET, name="resnet-50", stride_in="3x3"), IMAGENET)
    assert later.macs / 1e9 == pytest.approx(4.09, abs=0.005)
    assert later.parameters == parameters("resnet-50", IMAGENET)


# What a unit computes


class Marked(nn.Module):
    """Stands for SE: multiplies by 3."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * x


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def unit_of(name: str, path: str, placement: str) -> Any:
    """A unit with a marked block, in evaluation mode, its BN no identity."""
    unit = build(resolved(**SMALL[name]), CIFAR, 0).get_submodule(f"stages.{path}")
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(1))  # type: ignore[union-attr]
    assert getattr(unit, placement) is None
    setattr(unit, placement, Marked())
    return unit.eval()


def in_pieces(layers: list[nn.Module], cut: int, x: Tensor) -> Tensor:
    return nn.Sequential(*layers[cut:])(3 * nn.Sequential(*layers[:cut])(x))


@pytest.mark.parametrize("placement", PLACEMENTS["preact"])
@pytest.mark.parametrize("name", ["preact", "preact basic"])
def test_a_pre_activation_unit_computes_what_its_placement_says(name: str, placement: str) -> None:
    unit = unit_of(name, "stage1.unit2", placement)
    assert isinstance(unit, PreActUnit) and unit.shortcut is None
    x = drawn(2, SMALL[name]["widths"][0], 6, 6)
    g, layers = unit.branch, list(unit.branch)
    cut = next(index for index, layer in enumerate(layers, 1) if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3))

    def act(y: Tensor) -> Tensor:
        return relu(unit.norm(y))

    expected = {
        "standard": lambda: x + 3 * g(act(x)),
        "pre": lambda: x + g(act(3 * x)),
        "post": lambda: 3 * (x + g(act(x))),
        "identity": lambda: 3 * x + g(act(x)),
        "inside": lambda: x + in_pieces(layers, cut, act(x)),
    }[placement]()
    assert torch.allclose(unit(x), expected, atol=1e-5)


@pytest.mark.parametrize("placement", PLACEMENTS["preact"])
def test_a_pre_activation_unit_that_changes_the_shape_projects_the_activated_input(placement: str) -> None:
    unit = unit_of("preact", "stage2.unit1", placement)
    p, g, layers = unit.shortcut, unit.branch, list(unit.branch)
    assert isinstance(p, nn.Conv2d) and (p.kernel_size, p.stride) == ((1, 1), (2, 2))
    x = drawn(2, 16, 6, 6)
    a = relu(unit.norm(x))
    expected = {
        "standard": lambda: p(a) + 3 * g(a),
        "pre": lambda: p(a) + g(3 * a),
        "post": lambda: 3 * (p(a) + g(a)),
        "identity": lambda: 3 * p(a) + g(a),
        "inside": lambda: p(a) + in_pieces(layers, 4, a),
    }[placement]()
    assert torch.allclose(unit(x), expected, atol=1e-5)


@pytest.mark.parametrize("placement", PLACEMENTS["shake"])
@pytest.mark.parametrize("path", ["stage1.unit2", "stage2.unit1"])
@pytest.mark.parametrize("name", ["shake", "shake even"])
def test_a_shake_shake_unit_computes_what_its_placement_says(name: str, path: str, placement: str) -> None:
    unit = unit_of(name, path, placement)
    x = drawn(2, SMALL[name]["widths"][0], 6, 6)

    def r(y: Tensor) -> Tensor:
        return (unit.branch.first(y) + unit.branch.second(y)) / 2

    after: Callable[[Tensor], Tensor] = relu if name == "shake even" else nn.Identity()
    s = unit.shortcut or nn.Identity()
    expected = {
        "standard": lambda: after(s(x) + 3 * r(x)),
        "pre": lambda: after(s(x) + r(3 * x)),
        "post": lambda: 3 * after(s(x) + r(x)),
        "identity": lambda: after(3 * s(x) + r(x)),
    }[placement]()
    assert torch.allclose(unit(x), expected, atol=1e-5)


@pytest.mark.parametrize(("unit", "cut", "inner"), [("basic", 1, 16), ("bottleneck", 3, 4)])
def test_se_3x3_sits_between_the_3x3_convolutions_normalisation_and_its_relu(unit: str, cut: int, inner: int) -> None:
    net = {"name": "resnet", "unit": unit, "units": [1, 1], "widths": [8, 16], "stem": 8}
    found = build(resolved(**net), CIFAR, 0).eval().get_submodule("stages.stage2.unit1")
    assert isinstance(found, Unit) and found.shortcut is not None
    layers = list(found.branch.children())
    x = drawn(2, 8, 6, 6)
    expected = relu(found.shortcut(x) + in_pieces(layers, cut, x))
    found.inside = Marked()
    assert torch.allclose(found(x), expected, atol=1e-6)
    block = build(resolved(**net, block={"name": "se", "reduction": 2}, placement="inside"), CIFAR, 0).get_submodule(
        "stages.stage2.unit1.inside"
    )
    assert block.get_submodule("down").weight.shape == (inner // 2, inner)


def test_a_block_inside_may_keep_its_own_output() -> None:
    """A ReLU in place behind it would overwrite what a block needs for its gradient."""
    network = ResNet(10, 3, 8, lambda placement, place: nn.Sigmoid() if placement == "inside" else None)  # type: ignore[arg-type]
    network(drawn(2, 3, 8, 8)).sum().backward()


class Recorder(nn.Module):
    """A block that compares what passes it with what its place says."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place, self.right = place, False

    def forward(self, x: Tensor) -> Tensor:
        self.right = x.shape[1:] == (self.place.channels, self.place.size, self.place.size)
        return x


@pytest.mark.parametrize(("name", "placement"), PLACED)
@pytest.mark.parametrize("size", [29, 31])
def test_blocks_get_the_channels_and_size_that_pass_them(name: str, placement: str, size: int) -> None:
    make, arguments = NETWORKS[SMALL[name]["name"]].value, resolved(**SMALL[name]).net.arguments
    network = make(10, 3, size, lambda asked, place: Recorder(place) if asked == placement else None, **arguments)
    network(drawn(2, 3, size, size))
    found = {module.place.path: module.right for module in network.modules() if isinstance(module, Recorder)}
    assert found == {"stage1.unit1": True, "stage1.unit2": True, "stage2.unit1": True}


# Shake-Shake


class Times(nn.Module):
    """A branch of one number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def test_shaking_draws_one_number_per_image_and_averages_in_evaluation() -> None:
    torch.manual_seed(0)
    mixed, x = Mixed(Times(2.0), Times(4.0), "shake"), torch.ones(4000, 2, 2, 2)
    y = mixed(x)
    assert torch.equal(y, y[:, :1, :1, :1].expand_as(y))  # one number for a whole image
    per_image = y[:, 0, 0, 0]
    assert 2 <= per_image.min() < 2.01 and 3.99 < per_image.max() <= 4
    assert per_image.mean().item() == pytest.approx(3, abs=0.03)
    assert per_image.std().item() == pytest.approx(2 / 12**0.5, abs=0.02)
    assert torch.equal(mixed.eval()(x), 3 * x)


@pytest.mark.parametrize("backward", ["shake", "even"])
def test_the_gradient_is_mixed_by_other_numbers_than_the_output(backward: Any) -> None:
    torch.manual_seed(0)
    first, second = (torch.zeros(2000, 1, 1, 1, requires_grad=True) for _ in range(2))
    outputs = iter((first + 1.0, second + 0.0))
    mixed = Mixed(nn.Identity(), nn.Identity(), backward)
    mixed.first.forward = mixed.second.forward = lambda x: next(outputs)  # type: ignore[method-assign]
    alpha = mixed(torch.zeros(2000, 1, 1, 1))
    alpha.sum().backward()
    assert first.grad is not None and second.grad is not None
    assert torch.allclose(first.grad + second.grad, torch.ones(2000, 1, 1, 1))
    if backward == "even":
        assert torch.equal(first.grad, torch.full_like(alpha, 0.5))
        return
    assert first.grad.mean().item() == pytest.approx(0.5, abs=0.03) and first.grad.std().item() == pytest.approx(12**-0.5, abs=0.02)
    assert abs(torch.corrcoef(torch.stack([first.grad.flatten(), alpha.detach().flatten()]))[0, 1]) < 0.1


def test_a_seed_fixes_the_output_and_the_gradient_of_shaking() -> None:
    network = build(resolved(**SMALL["shake"]), CIFAR, 0)
    x = drawn(4, 3, 32, 32)

    def passes(seed: int, seed_of_backward: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(seed)
        y = network(x)
        torch.manual_seed(seed_of_backward)
        network.zero_grad()
        y.square().sum().backward()
        gradient = next(network.parameters()).grad
        assert gradient is not None
        return y.detach(), gradient.clone()

    a, b, c = passes(1, 7), passes(1, 8), passes(2, 7)
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    assert not torch.allclose(a[0], c[0]) and not torch.allclose(a[1], c[1])


def test_the_two_halves_of_a_shortcut_see_different_pixels() -> None:
    halves = Halves(Shape("", 2, 1, 2, 4, 2)).eval()
    halves.straight.weight.data.fill_(1)
    halves.shifted.weight.data.fill_(1)
    y = halves(torch.arange(-2.0, 14.0).view(1, 1, 4, 4)) * (1 + halves.norm.eps) ** 0.5
    assert torch.allclose(y[0, 0], torch.tensor([[0.0, 0.0], [6.0, 8.0]]))  # of -2 and 0, 6 and 8, after a ReLU
    assert torch.allclose(y[0, 1], torch.tensor([[0.0, 0.0], [0.0, 3.0]]))


def test_shake_shake_activates_before_the_pooling_and_shake_even_after_the_stem() -> None:
    for name in ("shake", "shake even"):
        network: Any = build(resolved(**SMALL[name]), CIFAR, 0).eval()
        stem = network.stem(drawn(2, 3, 32, 32))
        features = relu(network.stages(stem)) if name == "shake" else network.stages(relu(stem))
        assert torch.allclose(network(drawn(2, 3, 32, 32)), network.classifier(features.mean((2, 3))), atol=1e-6)


# What every family keeps


@pytest.mark.parametrize(("name", "placement"), PLACED)
def test_parameters_of_the_same_path_start_alike_whatever_the_block_and_its_place(name: str, placement: str) -> None:
    plain = build(resolved(**SMALL[name]), CIFAR, 5).state_dict()
    other = build(resolved(**SMALL[name], block={"name": "se", "reduction": 2}, placement=placement), CIFAR, 5).state_dict()
    assert len(other) == len(plain) + 3 * 2
    assert all(torch.equal(value, other[key]) for key, value in plain.items())


@pytest.mark.parametrize("name", SMALL)
def test_families_run_without_values_in_channels_last_and_in_bf16(name: str) -> None:
    config = resolved(**SMALL[name], block="se")
    assert skeleton(config, CIFAR)(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)  # asks nothing of the host, in training, too
    network = build(config, CIFAR, 0).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = drawn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(3)
    exact = network(x)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(x)
    rough.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert (rough - exact).abs().max() < 0.1 * (1 + exact.abs().max())


def test_dropout_before_the_classifier_is_for_training_only() -> None:
    network = build(resolved(**SMALL["senet"], dropout=0.5), CIFAR, 0)
    features: list[Tensor] = []
    network.get_submodule("classifier").register_forward_pre_hook(lambda m, args: features.append(args[0]))
    for mode in (True, False):
        network.train(mode)(drawn(64, 3, 32, 32))
    assert 0.4 < (features[0] == 0).double().mean() < 0.7 and (features[1] == 0).double().mean() < 0.2


# Other people's networks, given the same weights


@torch.no_grad()
def filled(network: nn.Module) -> nn.Module:
    """A network made without memory, with drawn values everywhere: weights that keep the signal's size, BN that is no identity."""
    network = network.to_empty(device="cpu")
    rng = torch.Generator().manual_seed(0)
    for key, value in network.state_dict().items():
        if value.dim() > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=rng)
        elif value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=rng) if key.endswith(("weight", "running_var")) else value.normal_(0, 0.1, generator=rng)
        else:
            value.zero_()
    return network.eval()


def with_weights_of(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    """Our network with their tensors: the layers in their order, and apart from them those of the SE blocks in theirs."""

    def split(network: nn.Module, mark: str) -> dict[str, Tensor]:
        state = network.state_dict()
        return {k: v for k, v in state.items() if mark not in k} | {k: v for k, v in state.items() if mark in k}

    wanted, given = split(ours, ".standard."), split(theirs, ".se_module.")
    assert [value.numel() for value in wanted.values()] == [value.numel() for value in given.values()]
    ours.load_state_dict({key: given.reshape(wanted[key].shape) for key, given in zip(wanted, given.values(), strict=True)}, assign=True)
    return ours.eval()


def padded(network: Any) -> Any:
    """Ours pads the stem's pooling on all sides, as torchvision does; Caffe's networks pad below and on the right."""
    network.pool0 = nn.MaxPool2d(3, 2, padding=1)
    return network


PEERS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "torchvision resnet50": (torchvision.models.resnet50, {"name": "resnet-50", "stride_in": "3x3"}),
    "torchvision resnet18": (
        torchvision.models.resnet18,
        {"name": "resnet-50", "unit": "basic", "stride_in": "3x3", "units": [2, 2, 2, 2], "widths": [64, 128, 256, 512]},
    ),
    "torchvision resnext50_32x4d": (torchvision.models.resnext50_32x4d, {"name": "resnext-50-32x4d"}),
    "timm legacy_seresnet50": (lambda: padded(timm.create_model("legacy_seresnet50")), {"name": "resnet-50", "block": BIASED}),
    "timm legacy_seresnext50_32x4d": (
        lambda: padded(timm.create_model("legacy_seresnext50_32x4d")),
        {"name": "resnext-50-32x4d", "block": BIASED},
    ),
    "timm legacy_senet154": (lambda: timm.create_model("legacy_senet154"), {"name": "senet-154", "block": BIASED}),
}


@pytest.mark.parametrize("peer", PEERS)
def test_given_the_same_weights_it_computes_what_others_compute(peer: str) -> None:
    make, net = PEERS[peer]
    with torch.device("meta"):
        made = make()
    theirs = filled(made)
    ours = with_weights_of(theirs, skeleton(resolved(SMALL_IMAGES, **net), SMALL_IMAGES))
    x = drawn(1, 3, 64, 64)
    with torch.no_grad():
        a, b = theirs(x), ours(x)
    assert a.abs().max() > 1e-3
    assert (a - b).abs().max() < 1e-5 * a.abs().max()


# Refusals


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        ({"name": "resnet", "unit": "basic", "stride_in": "1x1"}, "stride_in = '1x1' is for bottleneck units"),
        ({"name": "resnet", "stem_kernel": 4}, "stem_kernel must be an odd number, not 4"),
        ({"name": "resnet", "stem_stride": 0}, "stem and stem_stride must be positive"),
        ({"name": "resnet", "squash": 0}, "squash must be positive"),
        ({"name": "preact_resnet", "unit": "basic", "squash": 2}, "squash = 2 is for bottleneck units"),
        ({"name": "preact_resnet", "units": [2, 2]}, "one positive number for each stage"),
        ({"name": "resnext", "cardinality": 0}, "cardinality and width_per_group must be positive"),
        ({"name": "shake_shake", "cardinality": 8}, "cardinality and width_per_group are for bottleneck units"),
        ({"name": "shake_shake", "units": [1], "widths": [9]}, "widths must be even"),
        ({"name": "senet", "dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"name": "senet", "widths": [8, 8, 8, 0]}, "one positive number for each stage"),
    ],
)
def test_what_cannot_be_built_is_a_sentence(net: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"The network '{net['name']}' cannot be built: .*{sentence}"):
        skeleton(resolved(**net), CIFAR)


def test_images_too_small_for_the_stem_of_senet_are_refused() -> None:
    facts = Facts("tiny", ("a", "b"), 4, 3, 1000, 1000, ())
    with pytest.raises(InputError, match="images of 4x4 are too small"):
        skeleton(resolved(facts, **SMALL["senet"]), facts)


def test_a_placement_that_a_family_lacks_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match=r"no placement 'inside': a unit has two branches .*; it has: standard, pre, post, identity"):
        resolved(**SMALL["shake"], block="se", placement="inside")
