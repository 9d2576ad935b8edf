"""The figures: every name in full, nothing cut off or on top of another, the same look in every format."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from pypdf import PdfReader
from test_report import make_store

from report.drawings import drawings
from report.figures import curves_figure, differences_figure, dots_figure, drawn, style
from report.glyphs import fonts
from report.markup import parse
from report.names import MOST, WIDEST, Stack, wrapped
from report.overview import overview_figure
from report.pareto import pareto_figure
from report.rows import Reading, read
from report.seeds_needed import seeds_needed_figure
from report.typeset import pdf

NAMES = [
    "SE", "none", "_under", "SE_RESNEXT_101_32X4D_WITH_STOCHASTIC_DEPTH_AND_CUTOUT",
    "no_spaces_in_this_name_and_it_is_longer_than_any_line_of_it",
    *(f"{name} with squeeze and excitation in the last stage but one, as published in Table {place}" for place, name in enumerate(
        ["ResNet-50", "ResNet-101", "ResNet-152", "ResNeXt-50", "ResNeXt-101", "VGG-16", "BN-Inception", "Inception-ResNet-v2", "MobileNet",
         "ShuffleNet", "Wide ResNet-16-8", "Shake-Even 26 2x96d", "漢字"])),
]  # fmt: skip
"""Eighteen, most of them far longer than a line."""


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """A study of those, three seeds each; the last misses two."""
    wrong: dict[str, list[int | None]] = {name: [50 + place, 52 + place // 2, 57 - place] for place, name in enumerate(NAMES)}
    wrong[NAMES[-1]] = [40, None, None]
    store, study = make_store(tmp_path_factory.mktemp("many"), wrong, title="A question with a title that is longer than a line " * 2)
    return read(study, store)


FIGURES: dict[str, Callable[[Reading], Figure]] = {
    "dots": lambda one: dots_figure(one.rows(), "Top-1 error (%)"),
    "differences": lambda one: differences_figure([each for each in one.verdicts.comparisons.found if each.n >= 3], 0.5),
    "pareto": lambda one: pareto_figure(one.rows(), "Top-1 error (%)"),
    "curves": lambda one: curves_figure(one.curves(), "SE"),
    "overview": lambda one: overview_figure([one, one]),
    "seeds": lambda one: seeds_needed_figure(0.3, 17, 0.5, 3, 0.05),
}


def shown(figure: Figure) -> list[tuple[str, Bbox]]:
    """What is written in a figure, and where: all that matplotlib draws."""
    canvas, found = FigureCanvasAgg(figure), []
    canvas.draw()
    renderer = canvas.get_renderer()
    hidden = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden |= {label for tick in ticks if not low <= tick.get_loc() <= high for label in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden:
            found.append((text.get_text(), text.get_window_extent(renderer)))
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off_and_nothing_lies_on_another(name: str, reading: Reading) -> None:
    with style():
        figure = FIGURES[name](reading)
        texts = shown(figure)
    assert len(texts) > 8
    for text, box in texts:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    for place, (text, box) in enumerate(texts):
        for other, below in texts[place + 1 :]:
            across = min(box.x1, below.x1) - max(box.x0, below.x0)
            along = min(box.y1, below.y1) - max(box.y0, below.y0)
            assert across <= 1 or along <= 2, (text, other)


@pytest.mark.parametrize("name", ["dots", "differences", "pareto", "curves", "overview"])
def test_every_name_stands_in_full(name: str, reading: Reading) -> None:
    with style():
        told = re.sub(r"\s", "", "".join(text for text, _ in shown(FIGURES[name](reading))))
    names = NAMES[1:-1] if name == "differences" else NAMES
    for each in names:
        assert re.sub(r"\s", "", each.replace("漢字", "U+6F22 U+5B57")) in told, each
    assert "…" not in told


def test_the_axes_keep_their_room(reading: Reading) -> None:
    for name, make in FIGURES.items():
        with style():
            figure = make(reading)
            FigureCanvasAgg(figure).draw()
        (ax,) = figure.axes
        assert ax.get_position().width * 7.2 > 2.2, name


def test_a_row_is_as_high_as_its_own_name_only() -> None:
    short, long = Stack.of(["a\nn = 1"] * 3), Stack.of(["a\nn = 1", "b\n" * 6 + "n = 1", "a\nn = 1"])
    assert short.height == pytest.approx(3 * 0.42) and long.height == pytest.approx(2 * 0.42 + 0.09 + 7 * 0.165)
    assert all(low < high for low, high in pairwise(long.at))
    assert long.at[0] == short.at[0] and long.at[-1] == pytest.approx(long.height - 0.21)


def test_only_a_name_of_many_lines_loses_its_end() -> None:
    assert wrapped("x" * WIDEST * MOST).replace("\n", "") == "x" * WIDEST * MOST
    assert wrapped("x" * (WIDEST * MOST + 1)).endswith("x…") and wrapped("x" * 9999).count("\n") == MOST - 1


# -- formats


def test_formats_draw_what_they_need(reading: Reading) -> None:
    for formats, kinds in (
        (["md"], {"svg", "png"}), (["html"], {"svg"}), (["pdf"], {"live"}), (["md", "pdf"], {"svg", "png", "live"}), (["tex"], set()),
    ):  # fmt: skip
        with style():
            one = drawn(seeds_needed_figure(0.3, 17, 0.5, 3, 0.05), formats)
        assert {kind for kind in ("svg", "png", "live") if getattr(one, kind) is not None} == kinds
    assert drawings(reading, ["tex", "csv"]) == {}


def test_the_pdfs_figures_are_those_of_the_other_formats_with_text_that_can_be_searched(reading: Reading) -> None:
    with style():
        one = drawn(FIGURES["dots"](reading), ["html", "pdf"])
    assert one.svg is not None and one.live is not None
    paths, live = ET.fromstring(one.svg), ET.fromstring(one.live)
    space = "{http://www.w3.org/2000/svg}"
    assert not list(paths.iter(f"{space}text")) and len(list(live.iter(f"{space}text"))) > 40
    assert paths.get("viewBox") == live.get("viewBox")
    assert {"DejaVu Sans"} == set(re.findall(r"font-family: '(.*?)'", one.live.decode()))
    reader = PdfReader(io.BytesIO(pdf(parse("![a](a.png)\n"), {"a.png": one})))
    text = re.sub(r"\s", "", "".join(page.extract_text() for page in reader.pages))
    for name in NAMES[:-1]:
        assert re.sub(r"\s", "", name) in text, name
    (page,) = reader.pages
    found = [font.get_object()["/DescendantFonts"][0].get_object() for font in page["/Resources"]["/Font"].values()]
    named = {str(font["/BaseFont"]).split("+")[1]: font["/FontDescriptor"] for font in found}
    assert "DejaVuSans" in named and "/FontFile2" in named["DejaVuSans"]


def test_the_font_is_matplotlibs_own() -> None:
    assert (fonts() / "DejaVuSans.ttf").is_file() and Path(mpl.get_data_path()) in fonts().parents
