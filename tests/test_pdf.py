"""The PDF: its text can be searched and holds the store's numbers, its fonts are inside, its tables fit, nothing is dropped."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typst
from PIL import Image
from pypdf import PdfReader
from test_formats import NASTY, STUDIES, in_one_line
from test_report import WRONG, key, make_store, make_study

from ablations.statistics.comparison import FEWEST
from ablations.statistics.rounding import difference_text, error_text, number
from ablations.store import Store
from report.captions import Captions
from report.document import Page, markdown_page, write
from report.figures import Drawing
from report.glyphs import fonts
from report.markup import Table, parse, plain_text
from report.numbers import plain
from report.publishing import Document, faces
from report.rows import read, rows
from report.typeset import pdf, typst_source


def made(tmp_path: Path, wrong: Mapping[str, Sequence[int | None]], **changes: object) -> PdfReader:
    """A study's page as a PDF, without its figures."""
    store, study = make_store(tmp_path, wrong, **changes)
    text = markdown_page(Page(read(study, store), store, {}), Captions())
    return PdfReader(io.BytesIO(faces(Document(text, study.name), "report", ["pdf"])["report.pdf"]))


def text_of(reader: PdfReader) -> str:
    """The text of all pages in one line."""
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def fonts_of(reader: PdfReader) -> dict[str, Any]:
    """{name: descriptor} of every font of every page."""
    found = {}
    for page in reader.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            below = font.get_object()["/DescendantFonts"][0].get_object()
            found[str(below["/BaseFont"])] = below["/FontDescriptor"].get_object()
    return found


def test_the_numbers_of_the_store_can_be_searched(tmp_path: Path) -> None:
    store = Store(STUDIES)
    for name in (study for study in store.studies() if study.startswith(("reduction", "stages"))):
        (done,) = write([name], store, tmp_path, ["pdf"])
        text = text_of(PdfReader(done.files[0]))
        for row in rows(store.study(name), store):
            told = [f"{row.parameters:,}", error_text(row.error), str(row.published)]
            if row.comparison is not None and row.comparison.mean is not None:
                shown = row.comparison.n >= FEWEST
                told.append(difference_text(row.comparison.all) if shown else number(row.comparison.mean, 2, sign=True))
            assert all(part in text for part in told), row.variant
        study = store.study(name)
        assert all(cell in text for variant in study.variants for cell in variant.keys.values())
        assert study.data.fingerprint is not None and study.data.fingerprint in text


def test_intervals_stand_in_the_text(tmp_path: Path) -> None:
    text = text_of(made(tmp_path, WRONG))
    store = Store(tmp_path)
    study = store.study("reduction-quick")
    for row in rows(study, store):
        if row.comparison:
            assert difference_text(row.comparison.all) in text and difference_text(row.comparison.own) in text


def test_fonts_are_inside_and_few(tmp_path: Path) -> None:
    found = fonts_of(made(tmp_path, WRONG))
    assert {name.split("+")[1].split("-")[0] for name in found} == {"LibertinusSerif", "DejaVuSansMono"}
    assert all({"/FontFile2", "/FontFile3"} & set(font) for font in found.values())


def test_names_and_their_signs_survive(tmp_path: Path) -> None:
    long = "one_long_name-" * 12
    text = text_of(made(tmp_path, {"[ref]": [50, 52, 53], NASTY: [41, 42, 43], long: [50, 51, 55]}, title=NASTY))
    assert in_one_line(NASTY) in text
    assert long in text.replace(" ", "")


@pytest.mark.parametrize("columns", [2, 11])
def test_a_word_that_fits_its_column_can_be_searched(columns: int) -> None:
    words = ["no_stage_but_the_last", "Inception-ResNet-v2-SE", "x" * 30, "5.21 ± 0.34"]
    rows = "\n".join(f"| {plain(word)} |{' 1.23 |' * (columns - 1)}" for word in words)
    text = text_of(PdfReader(io.BytesIO(pdf(parse(f"| A |{' B |' * (columns - 1)}\n|:--|{'--:|' * (columns - 1)}\n{rows}\n"), {}))))
    assert all(f"{word} 1.23" in text for word in words)


def test_a_word_is_broken_only_where_the_type_would_be_too_small() -> None:
    long = "one_long_name-" * 9
    blocks = parse(f"| A |{' B |' * 9}\n|:--|{'--:|' * 9}\n| {plain(long)} |{' 12.34 |' * 9}\n| a_name_of_sixteen |{' 5.67 |' * 9}\n")
    found = text_of(PdfReader(io.BytesIO(pdf(blocks, {}))))
    assert long not in found and long in found.replace(" ", "") and "a_name_of_sixteen 5.67" in found
    assert not {"\u200b", "\u00ad"} & set(found)


def test_a_word_that_is_longer_than_a_line_is_broken_in_other_text_too() -> None:
    (page,) = PdfReader(io.BytesIO(pdf(parse(f"{'x' * 300}\n"), {}))).pages
    lines = page.extract_text().splitlines()
    assert next(len(line) for line in lines if set(line) == {"x"}) < 120 and "".join(lines).count("x") == 300


def test_pictures_that_follow_each_other_keep_their_order() -> None:
    def svg(height: int, text: str) -> Drawing:
        inside = f"<text x='5' y='20' font-family='DejaVu Sans'>{text}</text>"
        return Drawing(live=f"<svg xmlns='http://www.w3.org/2000/svg' width='500' height='{height}'>{inside}</svg>".encode())

    figures = {"a.png": svg(600, "first"), "b.png": svg(100, "second"), "c.png": svg(600, "third")}
    text = (
        "# T\n\n"
        + "Some words. " * 300
        + "\n\n![a](a.png)\n\n![b](b.png)\n\n"
        + "More words. " * 300
        + "\n\n## Alone\n\n![c](c.png)\n\nThe end.\n"
    )
    found = text_of(PdfReader(io.BytesIO(pdf(parse(text), figures))))
    assert found.index("first") < found.index("second")
    assert found.index("Alone") < found.index("third") < found.index("The end.")


def test_a_high_table_goes_over_several_pages_with_its_headings(tmp_path: Path) -> None:
    rows = "\n".join(f"| {plain('a name of some words ' * 30)} | {n} |" for n in range(20))
    reader = PdfReader(io.BytesIO(pdf(parse(f"| Heading | n |\n|:--|--:|\n{rows}\n"), {})))
    assert len(reader.pages) > 1 and all("Heading" in page.extract_text() for page in reader.pages)


def test_a_glyph_that_no_font_has_is_spelled_and_named(tmp_path: Path) -> None:
    reader = made(tmp_path, {"r=16": [50, 52], "漢🦊": [41, 42], "Ж é א": [44, 45]})
    text, found = text_of(reader), fonts_of(reader)
    assert "U+6F22 U+1F98A" in text and "Ж é" in text and "א" in text
    assert "no font of this file has stand as their code points: U+6F22 (CJK UNIFIED IDEOGRAPH-6F22), U+1F98A (FOX FACE)." in text
    assert not any("LastResort" in name for name in found)


@pytest.mark.parametrize("name", ["r=8", "a name of some words, as long as a line of the page is wide, and then some more " * 2, "x" * 200])
def test_nothing_stands_in_the_margins(tmp_path: Path, name: str) -> None:
    wrong: dict[str, list[int | None]] = {"r=16": [*range(50, 62)], name: [*range(40, 50), None, None], "none": [None] * 11 + [55]}
    store, study = make_store(tmp_path, wrong)
    source = typst_source(parse(markdown_page(Page(read(study, store), store, {}), Captions())), {})
    pages = typst.compile(source.encode(), format="png", ppi=72, font_paths=[fonts()], ignore_system_fonts=True)
    assert isinstance(pages, list) and len(pages) > 2
    for page in pages:
        dark = np.array(Image.open(io.BytesIO(page)).convert("L")) < 128
        side = round(16.5 * 72 / 25.4)
        assert dark.any() and not dark[:, :side].any() and not dark[:, -side:].any() and not dark[:30].any() and not dark[-20:].any()


def test_pages_are_numbered_and_tagged_and_dated_by_the_newest_trial(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, WRONG)
    (done,) = write([study.name], store, tmp_path / "out", ["pdf"])
    reader = PdfReader(done.files[0])
    for count, page in enumerate(reader.pages, start=1):
        assert f"{count} / {len(reader.pages)}" in page.extract_text()
        assert [float(side) for side in page.mediabox[2:]] == pytest.approx([595.28, 841.89], abs=0.01)
    assert reader.metadata is not None and reader.metadata.title == "The reduction ratio"
    assert str(reader.metadata.creation_date) == "2025-01-01 00:00:00+00:00"
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]


def test_the_record_stands_on_the_last_page(tmp_path: Path) -> None:
    reader = made(
        tmp_path,
        {"r=16": [50, 52, None], "r=8": [41, None, None]},
        data=make_study(["x"], 1).data.model_copy(update={"fingerprint": "f00d"}),
    )
    last = " ".join(reader.pages[-1].extract_text().split())
    for part in (
        "commit: abc1234 (3 trials)",
        "torch 2.11",
        "device: A processor",
        "fingerprint f00d",
        "r=8, seeds 1, 2 (missing)",
        key(1, 2),
    ):
        assert part in last, part
    assert last.count("ablate run reduction --preset quick --seed-list 0,1,2") == 2


def test_every_block_is_set() -> None:
    text = "# T\n\nA *b* **c** `d` [e](#t) [f](https://g.org) [h](i.svg) ![j](k.png)\n\n1. one\n2. two\n\n> said\n\n    code\n"
    text += "\n***\n\n---\n\nend:\n\n    x\n"
    reader = PdfReader(io.BytesIO(pdf(parse(text), {})))
    assert len(reader.pages) == 2
    assert "A b c d e f h j 1. one 2. two said code" in text_of(reader)


def test_a_table_without_headings_or_rows_is_set() -> None:
    blocks = parse("|  | B |\n|:--|--:|\n")
    assert isinstance(blocks[0], Table) and blocks[0].rows == () and plain_text(blocks[0].head[0]) == ""
    assert "B" in text_of(PdfReader(io.BytesIO(pdf(blocks, {}))))


def test_nothing_of_a_text_is_markup() -> None:
    nasty = '#pagebreak() #let x = 1 $a$ \\u{41} "quoted" = head *bold* _it_ @ref <label> // comment /* */ `raw` https://a.b --- ~ \\'
    source = typst_source(parse(f"{plain(nasty)}\n"), {})
    assert source.rstrip().endswith(f'#"{nasty.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"')
    assert nasty in text_of(PdfReader(io.BytesIO(pdf(parse(f"{plain(nasty)}\n"), {}))))
