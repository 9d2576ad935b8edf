"""Training curves as a small SVG, drawn without a library: MLflow shows it beside the run, and a thousand of them take no time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 28, 40
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which colour-blind readers can tell apart."""


def curve(title: str, lines: Mapping[str, Sequence[float]]) -> str:
    """The training error (%) after each epoch, one line a name; the names stand in the picture where there are several.

    The text is the same for the same numbers. Lines may differ in length; an empty one is left out.
    """
    drawn = {name: values for name, values in lines.items() if values}
    epochs = max((len(values) for values in drawn.values()), default=1)
    top = _nice(max((max(values) for values in drawn.values()), default=1.0))
    marks = [
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>',
        *_across(epochs),
        *_upward(top),
        *(mark for place, (name, values) in enumerate(drawn.items()) for mark in _line(place, name, values, epochs, top, len(drawn) > 1)),
    ]
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11" fill="#333"'
    body = "\n".join(marks)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _across(epochs: int) -> list[str]:
    """The axis of epochs, with at most eight numbers on it."""
    step = math.ceil(epochs / 8)
    numbers = sorted({1, *range(step, epochs + 1, step)})
    base = HEIGHT - BOTTOM
    return [
        *(f'<text x="{_x(number, epochs):.1f}" y="{base + 15}" text-anchor="middle">{number}</text>' for number in numbers),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">epoch</text>',
    ]


def _upward(top: float) -> list[str]:
    """The axis of errors, with a line at each of five numbers."""
    marks = [f'<text transform="translate(14 {HEIGHT / 2:.1f}) rotate(-90)" text-anchor="middle">training error (%)</text>']
    for value in (top * fifth / 5 for fifth in range(6)):
        y = _y(value, top)
        marks.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        marks.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    return marks


def _line(place: int, name: str, values: Sequence[float], epochs: int, top: float, named: bool) -> list[str]:
    colour = COLOURS[place % len(COLOURS)]
    points = [f"{_x(number, epochs):.1f} {_y(value, top):.1f}" for number, value in enumerate(values, 1)]
    marks = [f'<path d="M{" L".join(points)}" fill="none" stroke="{colour}" stroke-width="1.8"/>']
    if len(values) == 1:
        x, y = points[0].split()
        marks = [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>']
    if named and place < 12:
        right = WIDTH - RIGHT
        marks.append(f'<text x="{right}" y="{TOP + 12 + 13 * place}" text-anchor="end" fill="{colour}">{escape(name)}</text>')
    return marks


def _x(epoch: int, epochs: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 0.5) / epochs


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top


def _nice(largest: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is not below."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= largest)
