"""Every block equals its paper's equations, written a second time in plain NumPy, in value and in gradient.

An equation takes the input (N, C, H, W) and the block's parameters by their names, in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ablations.presets import PRESETS
from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Facts
from senet_core.gates import block_gates
from senet_core.registry import BLOCKS
from senet_core.resolve import resolve

A = np.ndarray
Values = Mapping[str, A]
Equation = Callable[[A, Values], A]
Arguments = Mapping[str, Any]

N, C, SIZE = 2, 6, 5


def sigmoid(t: A) -> A:
    return 1 / (1 + np.exp(-t))


def hard_sigmoid(t: A) -> A:
    return np.clip(t + 3, 0, 6) / 6


def relu(t: A) -> A:
    return np.maximum(t, 0)


def over_map(s: A) -> A:
    return s[:, :, None, None]


SQUEEZES: Mapping[str, Callable[[A], list[A]]] = {
    "average": lambda x: [x.mean((2, 3))],
    "max": lambda x: [x.max((2, 3))],
    "both": lambda x: [x.mean((2, 3)), x.max((2, 3))],
}
GATES: Mapping[tuple[str, str], Callable[[A], A]] = {
    ("published", "sigmoid"): sigmoid,
    ("published", "tanh"): np.tanh,
    ("published", "relu"): relu,
    ("published", "hard_sigmoid"): hard_sigmoid,
    ("matched", "sigmoid"): lambda t: 2 / (1 + np.exp(-t)),
    ("matched", "tanh"): lambda t: 1 + np.tanh(t),
    ("matched", "relu"): lambda t: relu(1 + t),
    ("matched", "hard_sigmoid"): lambda t: np.clip(t + 3, 0, 6) / 3,
}


def excited(z: A, p: Values) -> A:
    """W2 delta(W1 z), on the last axis of z, with biases where there are some."""
    hidden = relu(z @ p["down.weight"].T + p.get("down.bias", 0))
    return hidden @ p["up.weight"].T + p.get("up.bias", 0)


def se(squeeze: str, init: str, gate: str) -> Equation:
    return lambda x, p: over_map(GATES[init, gate](sum(excited(z, p) for z in SQUEEZES[squeeze](x)))) * x


def no_squeeze(x: A, p: Values) -> A:
    return sigmoid(excited(x.transpose(0, 2, 3, 1), p)).transpose(0, 3, 1, 2) * x


def static_scale(x: A, p: Values) -> A:
    return p["scale"][None, :, None, None] * x


def eca(x: A, p: Values) -> A:
    w = p["conv.weight"].ravel()
    k = len(w) // 2
    z = np.pad(x.mean((2, 3)), ((0, 0), (k, k)))
    return over_map(sigmoid(sum(w[i] * z[:, i : i + x.shape[1]] for i in range(len(w))))) * x


def ese(x: A, p: Values) -> A:
    return over_map(hard_sigmoid(x.mean((2, 3)) @ p["full.weight"].T + p["full.bias"])) * x


def convolved(x: A, w: A, stride: int, pad: int) -> A:
    """x (N, I, H, W) with w (O, I, k, k), or depthwise with w (C, 1, k, k)."""
    x, k = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))), w.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[:, :, ::stride, ::stride]
    depthwise = w.shape[1] == 1 and x.shape[1] == w.shape[0]
    return np.einsum("nchwij,cij->nchw", windows, w[:, 0]) if depthwise else np.einsum("nchwij,ocij->nohw", windows, w)


def normalised(x: A, p: Values, path: str) -> A:
    """Batch normalisation by the running statistics."""
    mean, variance, scale, shift = (p[f"{path}.{n}"][:, None, None] for n in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift


def cbam_channel(x: A, p: Values) -> A:
    return se("both", "published", "sigmoid")(x, p)


def cbam(x: A, p: Values) -> A:
    y = cbam_channel(x, p)
    w = p["conv.weight"]
    maps = np.stack([y.max(1), y.mean(1)], 1)
    return sigmoid(normalised(convolved(maps, w, 1, w.shape[2] // 2), p, "norm")) * y


def gct(x: A, p: Values) -> A:
    e = p["alpha"] * np.sqrt((x**2).sum((2, 3)) + 1e-5)
    h = e / np.sqrt((e**2).mean(1, keepdims=True) + 1e-5)
    return x * over_map(1 + np.tanh(p["gamma"] * h + p["beta"]))


def simam(x: A, p: Values) -> A:
    d = (x - x.mean((2, 3), keepdims=True)) ** 2
    v = d.sum((2, 3), keepdims=True) / (x.shape[2] * x.shape[3] - 1)
    return x * sigmoid(d / (4 * (v + 1e-4)) + 0.5)


def pooled(x: A, extent: int) -> A:
    """Averages over 2 e - 1 pixels at stride e, of the pixels that there are."""
    if extent == 0:
        return x.mean((2, 3), keepdims=True)
    e, (h, w) = extent, x.shape[2:]
    rows = [[x[:, :, max(i - e + 1, 0) : i + e, max(j - e + 1, 0) : j + e].mean((2, 3)) for j in range(0, w, e)] for i in range(0, h, e)]
    return np.array(rows).transpose(2, 3, 0, 1)


def gathered(x: A, p: Values, extent: int) -> A:
    if extent == 0:
        return normalised((x * p["gather.0.weight"][:, 0]).sum((2, 3), keepdims=True), p, "gather.1")
    for step in range(int(np.log2(extent))):
        x = relu(x) if step else x
        x = normalised(convolved(x, p[f"gather.{3 * step}.weight"], 2, 1), p, f"gather.{3 * step + 1}")
    return x


def gather_excite(form: str, extent: int) -> Equation:
    def equation(x: A, p: Values) -> A:
        context = pooled(x, extent) if form == "theta_minus" else gathered(x, p, extent)
        if form == "theta_plus":
            context = excited(context.transpose(0, 2, 3, 1), p).transpose(0, 3, 1, 2)
        rows, columns = (np.arange(n) * m // n for n, m in zip(x.shape[2:], context.shape[2:], strict=True))  # nearest neighbours
        return x * sigmoid(context[:, :, rows][:, :, :, columns])

    return equation


def cases() -> list[tuple[str, Arguments, Equation]]:
    found: list[tuple[str, Arguments, Equation]] = []
    for squeeze in SQUEEZES:
        for init, gate in GATES:
            arguments = {"reduction": 2, "squeeze": squeeze, "gate": gate, "init": init}
            found.append(("se", arguments, se(squeeze, init, gate)))
    found.append(("se", {"reduction": 2, "bias": True, "squeeze": "both"}, se("both", "published", "sigmoid")))
    found += [("no_squeeze", {"reduction": 2, "bias": bias}, no_squeeze) for bias in (False, True)]
    found += [("static_scale", {}, static_scale), ("static_scale", {"start": 1.5}, static_scale)]
    found += [("constant", {}, lambda x, p: 0.5 * x), ("constant", {"value": -2.0}, lambda x, p: -2 * x)]
    found += [("eca", {}, eca), ("eca", {"kernel": 3}, eca), ("eca", {"kernel": 5}, eca)]
    found += [("cbam", {"reduction": 2, **more}, cbam) for more in ({}, {"bias": False}, {"kernel": 3})]
    found.append(("cbam", {"reduction": 2, "spatial": False}, cbam_channel))
    for extent in (0, 2, 4):
        found += [("gather_excite", {"form": form, "extent": extent}, gather_excite(form, extent)) for form in ("theta_minus", "theta")]
        found.append(("gather_excite", {"extent": extent, "reduction": 2}, gather_excite("theta_plus", extent)))
    return [*found, ("ese", {}, ese), ("gct", {}, gct), ("simam", {}, simam)]


CASES = cases()


def label(value: Any) -> str | None:
    return ",".join(f"{k}={v}" for k, v in value.items()) or "defaults" if isinstance(value, Mapping) else "" if callable(value) else None


def test_every_block_has_an_equation_here() -> None:
    assert {name for name, _, _ in CASES} == set(BLOCKS.names())


@pytest.mark.parametrize(("name", "arguments", "equation"), CASES, ids=label)
def test_a_block_equals_its_equation_in_value_and_gradient(name: str, arguments: Arguments, equation: Equation) -> None:
    made: nn.Module = BLOCKS[name].value(C, SIZE, **arguments).double().eval()
    rng = np.random.default_rng(3)
    redraw(made, rng)
    x = torch.from_numpy(rng.standard_normal((N, C, SIZE, SIZE))).requires_grad_()
    values = {key: value.detach().numpy() for key, value in made.state_dict().items()}
    y = made(x)
    assert np.allclose(y.detach().numpy(), equation(x.detach().numpy(), values), atol=1e-12)

    cotangent = rng.standard_normal(tuple(x.shape))
    parameters = dict(made.named_parameters())
    gradients = torch.autograd.grad((y * torch.from_numpy(cotangent)).sum(), [x, *parameters.values()])
    for key, gradient in zip(["x", *parameters], gradients, strict=True):
        places = np.unique(np.linspace(0, gradient.numel() - 1, 16).astype(int))
        expected = numeric_gradient(equation, x.detach().numpy(), values, key, places, cotangent)
        assert np.allclose(gradient.numpy().ravel()[places], expected, atol=2e-7, rtol=1e-6), key


def redraw(made: nn.Module, rng: np.random.Generator) -> None:
    """Every parameter and buffer at random, so that none hides behind where it starts; variances positive."""
    with torch.no_grad():
        for key, value in made.state_dict().items():
            if value.is_floating_point():
                drawn = rng.standard_normal(tuple(value.shape))
                value.copy_(torch.from_numpy(np.abs(drawn) + 0.5 if key.endswith("running_var") else drawn * 0.8))


def numeric_gradient(equation: Equation, x: A, values: Values, key: str, places: A, cotangent: A) -> list[float]:
    """Central differences of an equation for some entries of its input ("x") or of one parameter."""
    found, step = [], 1e-6
    for place in places:
        sums = []
        for sign in (1, -1):
            moved = {"x": x, **values}
            moved[key] = moved[key].copy()
            moved[key].ravel()[place] += sign * step
            sums.append((equation(moved.pop("x"), moved) * cotangent).sum())
        found.append(float(sums[0] - sums[1]) / (2 * step))
    return found


# -- what identifies a version

GOLDEN: list[tuple[str, Arguments, int, list[float]]] = [
    ("cbam", {"reduction": 2}, 1, [-0.08879, 0.01487, 0.4404, 1.08088]),
    ("cbam", {"reduction": 2, "spatial": False}, 1, [-0.15187, 0.02543, 0.75322, 1.84865]),
    ("constant", {}, 1, [-0.46875, 0.03125, 0.53125, 1.03125]),
    ("eca", {}, 1, [-0.56408, 0.03145, 0.42959, 0.64496]),
    ("ese", {}, 1, [-0.36536, 0.03184, 0.66863, 1.545]),
    ("gather_excite", {"reduction": 2}, 1, [-0.24806, 0.02838, 0.69892, 1.6836]),
    ("gather_excite", {"form": "theta", "extent": 2}, 1, [-0.23877, 0.02872, 0.59674, 1.89193]),
    ("gather_excite", {"form": "theta_minus", "extent": 4}, 1, [-0.24641, 0.03076, 0.77017, 1.8098]),
    ("gct", {}, 1, [-0.95189, 0.05416, 1.19411, 3.57978]),
    ("no_squeeze", {"reduction": 2}, 1, [-0.37431, 0.03041, 0.61057, 1.35766]),
    ("se", {"reduction": 2}, 1, [-0.37381, 0.03026, 0.60633, 1.3468]),
    ("se", {"reduction": 2, "squeeze": "both", "gate": "hard_sigmoid", "init": "matched"}, 1, [-0.66278, 0.0603, 1.299, 3.05333]),
    ("simam", {}, 1, [-0.589, 0.03927, 0.66753, 1.2958]),
    ("static_scale", {}, 1, [0.375, -0.00938, 0.10625, 0.72188]),
]


def filled(name: str, arguments: Arguments) -> nn.Module:
    """A block of 4 channels of 4x4 pixels whose parameters count upwards from -0.4 to below 0.6."""
    made: nn.Module = BLOCKS[name].value(4, 4, **arguments)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) / parameter.numel() - 0.4)
    return made.eval()


def picture() -> Tensor:
    return torch.arange(64.0).reshape(1, 4, 4, 4).sub(24).div(16)


@pytest.mark.parametrize(("name", "arguments", "version", "expected"), GOLDEN, ids=label)
def test_a_blocks_golden_output_is_that_of_its_version(name: str, arguments: Arguments, version: int, expected: list[float]) -> None:
    assert BLOCKS[name].version == version, "pin the new version's numbers here"
    found = filled(name, arguments)(picture())[0, :, 2, 1]
    assert found.tolist() == pytest.approx(expected, abs=1e-4), "if this moves, raise the block's version"


def test_every_block_has_a_golden_output() -> None:
    assert {name for name, *_ in GOLDEN} == set(BLOCKS.names())


# -- sizes


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        ("se", {}, lambda c, s: 2 * c * (c // 16)),
        ("se", {"reduction": 4, "squeeze": "both"}, lambda c, s: 2 * c * (c // 4)),
        ("se", {"bias": True}, lambda c, s: 2 * c * (c // 16) + c // 16 + c),
        ("no_squeeze", {}, lambda c, s: 2 * c * (c // 16)),
        ("static_scale", {}, lambda c, s: c),
        ("constant", {}, lambda c, s: 0),
        ("eca", {"kernel": 9}, lambda c, s: 9),
        ("cbam", {}, lambda c, s: 2 * c * (c // 16) + c // 16 + c + 2 * 7 * 7 + 2),
        ("cbam", {"bias": False, "kernel": 3}, lambda c, s: 2 * c * (c // 16) + 2 * 3 * 3 + 2),
        ("cbam", {"spatial": False}, lambda c, s: 2 * c * (c // 16) + c // 16 + c),
        ("gather_excite", {"form": "theta_minus"}, lambda c, s: 0),
        ("gather_excite", {"form": "theta_minus", "extent": 4}, lambda c, s: 0),
        ("gather_excite", {"form": "theta"}, lambda c, s: c * (s * s + 2)),
        ("gather_excite", {"form": "theta", "extent": 8}, lambda c, s: 3 * c * (9 + 2)),
        ("gather_excite", {}, lambda c, s: c * (s * s + 2) + 2 * c * (c // 16)),
        ("gather_excite", {"extent": 2, "reduction": 8}, lambda c, s: c * (9 + 2) + 2 * c * (c // 8)),
        ("ese", {}, lambda c, s: c * c + c),
        ("gct", {}, lambda c, s: 3 * c),
        ("simam", {}, lambda c, s: 0),
    ],
    ids=label,
)
@pytest.mark.parametrize(("channels", "size"), [(16, 8), (64, 16), (256, 8)])
def test_a_block_has_as_many_parameters_as_its_formula_says(
    name: str, arguments: Arguments, count: Callable[[int, int], int], channels: int, size: int
) -> None:
    made = BLOCKS[name].value(channels, size, **arguments)
    assert sum(p.numel() for p in made.parameters()) == count(channels, size)


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [(1, 1), (3, 1), (8, 3), (16, 3), (32, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)],
)
def test_the_adaptive_kernel_of_eca_is_that_of_equation_12(channels: int, kernel: int) -> None:
    assert BLOCKS["eca"].value(channels, 8).conv.weight.numel() == kernel


@pytest.mark.parametrize(("gamma", "b", "kernel"), [(1.0, 1.0, 7), (2.0, 5.0, 5), (4.0, 1.0, 1), (2.0, -20.0, 7)])
def test_gamma_and_b_choose_the_kernel_of_eca(gamma: float, b: float, kernel: int) -> None:
    assert BLOCKS["eca"].value(64, 8, gamma=gamma, b=b).conv.weight.numel() == kernel


@pytest.mark.parametrize(
    ("name", "arguments", "size", "reason"),
    [
        *((name, {"reduction": 0}, 8, "at least 1") for name in ("cbam", "gather_excite", "no_squeeze", "se")),
        ("eca", {"kernel": 4}, 8, "odd"),
        ("eca", {"kernel": -1}, 8, "odd"),
        ("eca", {"gamma": 0.0}, 8, "above 0"),
        ("eca", {"kernel": 3, "gamma": 1.0}, 8, "cannot be given"),
        ("eca", {"kernel": 3, "b": 2.0}, 8, "cannot be given"),
        ("cbam", {"kernel": 6}, 8, "odd"),
        ("cbam", {"kernel": -3}, 8, "odd"),
        ("cbam", {"spatial": False, "kernel": 3}, 8, "no kernel"),
        ("gather_excite", {"extent": 8}, 4, "does not fit"),
        ("gather_excite", {"form": "theta_minus", "extent": 4}, 2, "does not fit"),
        ("gather_excite", {"form": "theta", "reduction": 8}, 8, "only form"),
        ("gather_excite", {"form": "theta_minus", "reduction": 8}, 8, "only form"),
        ("gct", {"eps": 0.0}, 8, "above 0"),
        ("simam", {"lambda_": -1.0}, 8, "above 0"),
        ("simam", {}, 1, "variance"),
    ],
)
def test_a_block_refuses_what_it_cannot_do_and_what_would_change_nothing(name: str, arguments: Arguments, size: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        BLOCKS[name].value(16, size, **arguments)


# -- where the gates begin

FACTS = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))
TOLERANCE = 0.04
"""A block's gates are a few hundred draws around their mean; measured on the quick network the average is missed by 0.025 at most."""


def block_means(block: Arguments) -> list[float]:
    """The mean gate of each of the quick network's blocks, from noise, batch normalisation on the batch's own statistics."""
    recipe = PRESETS["quick"].config
    config = resolve(Config.of({**recipe.tree(), "net": {**recipe.net.model_dump(), "block": block}}), FACTS)
    network = build(config, FACTS, 0).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the running statistics become the batch's
    x = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network(x)
    return [found.mean for found in block_gates(network, [x])]


@pytest.mark.parametrize("gate", ["sigmoid", "tanh", "relu", "hard_sigmoid"])
def test_a_matched_gate_starts_at_a_mean_near_1(gate: str) -> None:
    assert block_means({"name": "se", "gate": gate, "init": "matched"}) == pytest.approx([1.0] * 6, abs=TOLERANCE)


@pytest.mark.parametrize("squeeze", ["max", "both"])
@pytest.mark.parametrize("gate", ["sigmoid", "tanh", "hard_sigmoid"])
def test_a_matched_gate_of_the_maximum_starts_around_1_more_loosely(gate: str, squeeze: str) -> None:
    """The maximum is several times as large as the average, so the gates scatter more."""
    means = block_means({"name": "se", "gate": gate, "init": "matched", "squeeze": squeeze})
    assert means == pytest.approx([1.0] * 6, abs=0.15)


@pytest.mark.parametrize("squeeze", ["max", "both"])
def test_a_matched_relu_gate_of_the_maximum_starts_above_1(squeeze: str) -> None:
    """What ReLU cuts off below -1 is missing from the mean: this pair is not matched, whatever ``init`` says."""
    assert min(block_means({"name": "se", "gate": "relu", "init": "matched", "squeeze": squeeze})) > 1.2


@pytest.mark.parametrize(
    ("block", "mean"),
    [
        ({"name": "se"}, 0.5),
        ({"name": "se", "gate": "hard_sigmoid"}, 0.5),
        ({"name": "se", "gate": "tanh"}, 0.0),
        ({"name": "no_squeeze"}, 0.5),
        ({"name": "eca"}, 0.5),
        ({"name": "ese"}, 0.5),
        ({"name": "cbam"}, 0.25),
        ({"name": "gather_excite"}, 0.5),
        ({"name": "gather_excite", "form": "theta"}, 0.5),
        ({"name": "gather_excite", "form": "theta_minus"}, 0.5),
        ({"name": "gct"}, 1.0),
    ],
    ids=label,
)
def test_a_published_gate_starts_where_its_curve_is_at_0(block: Arguments, mean: float) -> None:
    assert block_means(block) == pytest.approx([mean] * 6, abs=TOLERANCE)


def test_a_published_relu_gate_starts_between_0_and_a_half_and_simam_above_the_sigmoid_of_a_half() -> None:
    assert all(0 < mean < 0.5 for mean in block_means({"name": "se", "gate": "relu"}))
    assert all(0.622 < mean < 0.7 for mean in block_means({"name": "simam"}))
