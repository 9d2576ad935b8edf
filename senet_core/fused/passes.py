"""What lies between two convolutions as few passes over memory, compiled by Numba, which brings its own compiler.

An activation is an array (N, P, C): images, pixels, channels. Its values are float32, or bf16 as the uint16 of the same bits; all
arithmetic is float32, and what is written is rounded to nearest, ties to even. A narrow map comes *folded*: f of its pixels side by side
as (N, P / f, f C), because a loop over few channels is slow; f follows from the length of what is given for each channel. Every image is
summed on its own, pixel by pixel, and images are added up in their order, so no result depends on the number of threads.

``state`` (4, C) is batch normalisation of one batch: the mean, the inverse standard deviation, and the a and b of BN(y) = a y + b.
A *gate* is (N, C), one factor for each image and channel. With g the gradient behind ReLU, h that of BN(y), and M values a channel::

    dy = a (h - sum(h) / M - (y - mean) inverse^2 sum(h (y - mean)) / M)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, prange, set_num_threads, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Values = NDArray[np.uint16] | NDArray[np.float32]
Table = NDArray[np.float32]
"""(N, C), or (N, f C) where it is of a folded map."""
Channels = NDArray[np.float32]
"""(C,), or (f C,)."""

AHEAD = 4096
"""Bytes. One stream of reads keeps too few of them under way to fill a core's bandwidth, so each pass asks for what it will read so much
later."""

_I16, _I32, _I64, _F32, _POINTER = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.IntType(8).as_pointer()


def _compiler(**options: Any) -> Callable[[Any], Any]:
    """Numba's, which keeps what it compiles beside this file or in the user's cache; where neither can be written to, each process compiles
    for itself. Multiply and add may become one instruction; sums keep their order."""

    def compiled(function: Any) -> Any:
        settings = {"fastmath": {"contract"}, "error_model": "numpy", **options}
        try:
            return njit(cache=True, **settings)(function)
        except RuntimeError:
            return njit(**settings)(function)

    return compiled


_passing, _compiled = _compiler(parallel=True), _compiler()


def use_threads(threads: int) -> None:
    """How many threads the passes that this thread calls take from now on, as far as Numba has so many."""
    set_num_threads(min(threads, config.NUMBA_NUM_THREADS))


# -- Values


@intrinsic
def _read(context: Any, value: Any) -> Any:
    """A stored value as float32."""

    def widened(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if signature.args[0] == types.float32:
            return arguments[0]
        return builder.bitcast(builder.shl(builder.zext(arguments[0], _I32), _I32(16)), _F32)

    return types.float32(value), widened


@intrinsic
def _like(context: Any, value: Any, stored: Any) -> Any:
    """A float32 as values of the kind of ``stored`` are stored; a NaN as a NaN, or a divergence would not be seen."""

    def rounded(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if signature.return_type == types.float32:
            return arguments[0]
        bits = builder.bitcast(arguments[0], _I32)
        odd = builder.and_(builder.lshr(bits, _I32(16)), _I32(1))
        near = builder.trunc(builder.lshr(builder.add(builder.add(bits, _I32(0x7FFF)), odd), _I32(16)), _I16)
        return builder.select(builder.fcmp_unordered("uno", arguments[0], arguments[0]), _I16(0x7FC0), near)

    return stored(types.float32, stored), rounded


@intrinsic
def _fetch(context: Any, row: Any) -> Any:
    """Ask for what lies ``AHEAD`` bytes behind a row, as much of it as the row is long."""

    def prefetched(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.add(builder.ptrtoint(array.data, _I64), _I64(AHEAD))
        length = builder.mul(builder.extract_value(array.shape, 0), _I64(signature.args[0].dtype.bitwidth // 8))
        kind = ir.FunctionType(ir.VoidType(), [_POINTER, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        with cgutils.for_range_slice(builder, _I64(0), length, _I64(64), _I64) as (offset, _):
            builder.call(function, [builder.inttoptr(builder.add(start, offset), _POINTER), _I32(0), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.void(row), prefetched


# -- Passes


@_passing
def _moments(y: Values) -> tuple[Table, Table]:
    """Of each image and lane the mean, and the sum of squared distances from it, for which the image is read again while a cache has it."""
    images, rows, lanes = y.shape
    mean, spread = np.empty((images, lanes), np.float32), np.empty((images, lanes), np.float32)
    for n in prange(images):
        total, squares = mean[n], spread[n]
        for c in range(lanes):
            total[c] = np.float32(0)
            squares[c] = np.float32(0)
        for p in range(rows):
            row = y[n, p]
            _fetch(row)
            for c in range(lanes):
                total[c] += _read(row[c])
        for c in range(lanes):
            total[c] /= np.float32(rows)
        for p in range(rows):
            row = y[n, p]
            for c in range(lanes):
                apart = _read(row[c]) - total[c]
                squares[c] += apart * apart
    return mean, spread


@_passing
def _rescaled(y: Values, a: Table, b: Table, relu: bool, z: Values) -> None:
    """a y + b, or ReLU of it; a and b of each image, or one for all."""
    images, rows, lanes = y.shape
    for n in prange(images):
        scale, shift = a[n % len(a)], b[n % len(b)]
        for p in range(rows):
            row, out = y[n, p], z[n, p]
            _fetch(row)
            for c in range(lanes):
                value = scale[c] * _read(row[c]) + shift[c]
                out[c] = _like(np.float32(0) if relu and value < 0 else value, out[c])


@_passing
def _added(y: Values, a: Table, b: Table, identity: Values, relu: bool, z: Values) -> None:
    """identity + a y + b, or ReLU of it."""
    images, rows, lanes = y.shape
    for n in prange(images):
        scale, shift = a[n % len(a)], b[n % len(b)]
        for p in range(rows):
            row, other, out = y[n, p], identity[n, p], z[n, p]
            _fetch(row)
            _fetch(other)
            for c in range(lanes):
                value = scale[c] * _read(row[c]) + shift[c] + _read(other[c])
                out[c] = _like(np.float32(0) if relu and value < 0 else value, out[c])


@_passing
def _sums(dz: Values, y: Values, a: Channels, b: Channels, relu: bool, centre: Channels) -> tuple[Table, Table]:
    """Over the pixels of each image and lane the sums of g and of g (y - centre), with g = dz, or 0 where ReLU(a y + b) is."""
    images, rows, lanes = y.shape
    total, product = np.empty((images, lanes), np.float32), np.empty((images, lanes), np.float32)
    for n in prange(images):
        plain, weighted = total[n], product[n]
        for c in range(lanes):
            plain[c] = np.float32(0)
            weighted[c] = np.float32(0)
        for p in range(rows):
            row, gradient = y[n, p], dz[n, p]
            _fetch(row)
            _fetch(gradient)
            for c in range(lanes):
                value = _read(row[c])
                g = np.float32(0) if relu and not a[c] * value + b[c] > 0 else _read(gradient[c])
                plain[c] += g
                weighted[c] += g * (value - centre[c])
    return total, product


@_passing
def _kept_sums(
    dz: Values, second: Values, twice: bool, z: Values, relu: bool, y: Values, centre: Channels, g: Values
) -> tuple[Table, Table]:
    """The same with g = dz, or dz + ``second``, and 0 where z is not above 0; g is written."""
    images, rows, lanes = y.shape
    total, product = np.empty((images, lanes), np.float32), np.empty((images, lanes), np.float32)
    for n in prange(images):
        plain, weighted = total[n], product[n]
        for c in range(lanes):
            plain[c] = np.float32(0)
            weighted[c] = np.float32(0)
        for p in range(rows):
            row, gradient, more, output, out = y[n, p], dz[n, p], second[n, p], z[n, p], g[n, p]
            _fetch(row)
            _fetch(gradient)
            _fetch(more)
            _fetch(output)
            for c in range(lanes):
                value = _read(gradient[c])
                if twice:
                    value += _read(more[c])
                if relu and not _read(output[c]) > 0:
                    value = np.float32(0)
                out[c] = _like(value, out[c])
                plain[c] += value
                weighted[c] += value * (_read(row[c]) - centre[c])
    return total, product


@_passing
def _combined(dz: Values, y: Values, a: Channels, b: Channels, relu: bool, scale: Table, slope: Channels, shift: Table, dy: Values) -> None:
    """scale g + slope y + shift, with g as in ``_sums``; scale and shift of each image, or one for all."""
    images, rows, lanes = y.shape
    for n in prange(images):
        scales, shifts = scale[n % len(scale)], shift[n % len(shift)]
        for p in range(rows):
            row, gradient, out = y[n, p], dz[n, p], dy[n, p]
            _fetch(row)
            _fetch(gradient)
            for c in range(lanes):
                value = _read(row[c])
                g = np.float32(0) if relu and not a[c] * value + b[c] > 0 else _read(gradient[c])
                out[c] = _like(scales[c] * g + slope[c] * value + shifts[c], out[c])


# -- Small tables


@_compiled
def _tiled(table: Table, lanes: int) -> Table:
    """(n, C) as (n, f C)."""
    if table.shape[1] == lanes:
        return table
    tiled = np.empty((len(table), lanes), np.float32)
    for n in range(len(table)):
        for c in range(lanes):
            tiled[n, c] = table[n, c % table.shape[1]]
    return tiled


@_compiled
def _gathered(table: Table, channels: int) -> Table:
    """Sums (N, f C) as (N, C)."""
    if table.shape[1] == channels:
        return table
    gathered = np.zeros((len(table), channels), np.float32)
    for n in range(len(table)):
        for c in range(table.shape[1]):
            gathered[n, c % channels] += table[n, c]
    return gathered


@_compiled
def _normalisation(
    y: Values,
    weight: Channels,
    bias: Channels,
    eps: float,
    running_mean: Channels,
    running_variance: Channels,
    momentum: float,
    state: Table,
) -> Table:
    """Write ``state``, move the running statistics on, and return the mean of each image (N, C)."""
    channels, lanes = len(weight), y.shape[2]
    mean, spread = _moments(y)
    means, spreads = mean.reshape(-1, channels), spread.reshape(-1, channels)
    values = y.size // channels
    middle, variance = np.zeros(channels), np.zeros(channels)
    for n in range(len(means)):
        for c in range(channels):
            middle[c] += means[n, c]
    middle /= len(means)
    for n in range(len(means)):  # Chan et al. 1979
        for c in range(channels):
            apart = means[n, c] - middle[c]
            variance[c] += spreads[n, c] + y.shape[1] * apart * apart
    for c in range(channels):
        inverse = 1 / np.sqrt(variance[c] / values + eps)
        state[0, c], state[1, c] = middle[c], inverse
        state[2, c], state[3, c] = weight[c] * inverse, bias[c] - middle[c] * weight[c] * inverse
        running_mean[c] += momentum * (middle[c] - running_mean[c])
        running_variance[c] += momentum * (variance[c] / (values - 1) - running_variance[c])
    averages: Table = _gathered(mean, channels) / np.float32(lanes // channels)
    return averages


@_compiled
def _slopes(total: Table, product: Table, values: int, state: Table, dweight: Channels, dbias: Channels) -> tuple[Table, Table]:
    """From sum(h) and sum(h (y - mean)) of each image: slope and shift (1, C) of dy = a h + slope y + shift; written are the gradients of
    weight and bias."""
    channels = len(dweight)
    slope, shift = np.empty((1, channels), np.float32), np.empty((1, channels), np.float32)
    plain, weighted = np.zeros(channels), np.zeros(channels)
    for n in range(len(total)):
        for c in range(channels):
            plain[c] += total[n, c]
            weighted[c] += product[n, c]
    for c in range(channels):
        mean, inverse, a = state[0, c], state[1, c], state[2, c]
        slope[0, c] = -a * inverse * inverse * weighted[c] / values
        shift[0, c] = -a * plain[c] / values - slope[0, c] * mean
        dweight[c], dbias[c] = inverse * weighted[c], plain[c]
    return slope, shift


# -- BN, and ReLU


@_compiled
def normalised(
    y: Values,
    weight: Channels,
    bias: Channels,
    eps: float,
    running_mean: Channels,
    running_variance: Channels,
    momentum: float,
    relu: bool,
    state: Table,
    z: Values,
) -> None:
    """Write BN(y) or ReLU(BN(y)) and ``state``; the running statistics move on."""
    _normalisation(y, weight, bias, eps, running_mean, running_variance, momentum, state)
    _rescaled(y, _tiled(state[2:3], y.shape[2]), _tiled(state[3:4], y.shape[2]), relu, z)


@_compiled
def normalised_backward(dz: Values, y: Values, state: Table, relu: bool, dy: Values, dweight: Channels, dbias: Channels) -> None:
    """Write the gradients of y, weight and bias."""
    lanes, channels = y.shape[2], len(dweight)
    tiled = _tiled(state, lanes)
    total, product = _sums(dz, y, tiled[2], tiled[3], relu, tiled[0])
    slope, shift = _slopes(_gathered(total, channels), _gathered(product, channels), y.size // channels, state, dweight, dbias)
    _combined(dz, y, tiled[2], tiled[3], relu, tiled[2:3], _tiled(slope, lanes)[0], _tiled(shift, lanes), dy)


# -- BN, squeeze, gate, and a sum with the identity


@_compiled
def squeezed(
    y: Values,
    weight: Channels,
    bias: Channels,
    eps: float,
    running_mean: Channels,
    running_variance: Channels,
    momentum: float,
    state: Table,
    means: Table,
    z: Table,
) -> None:
    """Write ``state``, the mean over pixels of y (N, C), and z, that of BN(y), which follows from it."""
    means[:] = _normalisation(y, weight, bias, eps, running_mean, running_variance, momentum, state)
    for n in range(len(z)):
        for c in range(z.shape[1]):
            z[n, c] = state[2, c] * means[n, c] + state[3, c]


@_compiled
def averaged(y: Values, z: Table) -> None:
    """Write the mean over pixels of y (N, C)."""
    z[:] = _gathered(_moments(y)[0], z.shape[1]) / np.float32(y.shape[2] // z.shape[1])


@_compiled
def joined(y: Values, state: Table, gate: Table, identity: Values, relu: bool, out: Values) -> None:
    """Write identity + gate BN(y), or ReLU of it."""
    lanes = y.shape[2]
    _added(y, _tiled(gate * state[2], lanes), _tiled(gate * state[3], lanes), identity, relu, out)


@_compiled
def joined_backward(
    dout: Values,
    second: Values,
    twice: bool,
    out: Values,
    relu: bool,
    y: Values,
    state: Table,
    gate: Table,
    g: Values,
    dgate: Table,
    total: Table,
    product: Table,
) -> None:
    """Write the gate's gradient, and sum(g) and sum(g (y - mean)) of each image; and g where it is not ``dout`` as it is: behind a ReLU,
    or where ``second`` is a second gradient to be added."""
    lanes, channels = y.shape[2], total.shape[1]
    tiled = _tiled(state, lanes)
    if relu or twice:
        plain, weighted = _kept_sums(dout, second, twice, out, relu, y, tiled[0], g)
    else:
        plain, weighted = _sums(dout, y, tiled[2], tiled[3], False, tiled[0])
    total[:], product[:] = _gathered(plain, channels), _gathered(weighted, channels)
    for n in range(len(dgate)):
        for c in range(channels):
            dgate[n, c] = state[2, c] * product[n, c] + (state[2, c] * state[0, c] + state[3, c]) * total[n, c]


@_compiled
def squeezed_backward(
    dz: Table,
    g: Values,
    y: Values,
    means: Table,
    state: Table,
    gate: Table,
    total: Table,
    product: Table,
    dy: Values,
    dweight: Channels,
    dbias: Channels,
) -> None:
    """Write the gradients of y, weight and bias, from that of the squeeze and what ``joined_backward`` wrote: h = gate g + dz / P."""
    lanes, channels, pixels = y.shape[2], len(dweight), y.size // dz.size
    slope, common = _slopes(gate * total + dz, gate * product + dz * (means - state[0]), y.size // channels, state, dweight, dbias)
    scale, shift = gate * state[2], common + state[2] * dz / np.float32(pixels)
    tiled = _tiled(state, lanes)
    _combined(g, y, tiled[2], tiled[3], False, _tiled(scale, lanes), _tiled(slope, lanes)[0], _tiled(shift, lanes), dy)


# -- Squeeze and gate alone


@_compiled
def scaled(y: Values, gate: Table, out: Values) -> None:
    """Write gate y."""
    lanes = y.shape[2]
    _rescaled(y, _tiled(gate, lanes), np.zeros((1, lanes), np.float32), False, out)


@_compiled
def scaled_backward(dout: Values, y: Values, dgate: Table) -> None:
    """Write the gate's gradient."""
    nothing = np.zeros(y.shape[2], np.float32)
    dgate[:] = _gathered(_sums(dout, y, nothing, nothing, False, nothing)[1], dgate.shape[1])


@_compiled
def averaged_backward(dz: Table, g: Values, gate: Table, dy: Values) -> None:
    """Write gate g + dz / P, the gradient of y from those of its mean and of gate y."""
    lanes, pixels = g.shape[2], g.size // dz.size
    _rescaled(g, _tiled(gate, lanes), _tiled(dz / np.float32(pixels), lanes), False, dy)
