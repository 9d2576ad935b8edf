"""One page in all its formats: the same numbers, the same names, one document of several studies."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from test_report import FORMATS, WRONG, key, make_store, make_study, save

import runner
from ablations.store import Failure, Store
from ablations.study import Study
from report.captions import Captions
from report.document import write
from report.glyphs import missing, named, spelled
from report.latex import escaped, latex
from report.markup import Break, CodeBlock, Heading, Listing, Paragraph, Picture, Quote, Table, headings, parse, plain_text
from report.methods import factor_text, methods
from report.numbers import plain
from report.record import command, holes, keys, provenance
from report.rows import read, rows

STUDIES = Path(__file__).resolve().parent.parent / "docs" / "studies" / "quick-cifar10-jpeg"
NASTY = "a|b <i>*x*</i> `c`\n_d_ $e$ [f](g) \\| & # \"q\" 's' ~t~ ^u^ 100 %"
"""A name with everything that one of the formats takes for its own."""


def in_one_line(name: str) -> str:
    """A name as pages show it."""
    return " ".join(name.split())


def made(tmp_path: Path, wrong: Mapping[str, Sequence[int | None]], **changes: object) -> tuple[Path, Store, Study]:
    """The folder of a study's page in all formats, its store and the study."""
    store, study = make_store(tmp_path / "store", wrong, **changes)
    (done,) = write([study.name], store, tmp_path / "out", FORMATS)
    return done.files[0].parent, store, study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store, Study]:
    """The same of a study with all its trials; nobody changes it."""
    return made(tmp_path_factory.mktemp("whole"), WRONG)


def tables(folder: Path) -> list[Table]:
    """The tables of a page as its Markdown has them."""
    return [block for block in parse((folder / "report.md").read_text(encoding="utf-8")) if isinstance(block, Table)]


def html(path: Path) -> ET.Element:
    """An HTML file; it is well-formed XML below its first line."""
    first, rest = path.read_text(encoding="utf-8").split("\n", 1)
    assert first == "<!DOCTYPE html>"
    return ET.fromstring(rest)


def csv_lines(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV file by their headings."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# -- the tree


def test_markdown_becomes_a_tree_of_blocks() -> None:
    text = """# A *b*

## Errors

**Table 1:** words.

| A | B |
|:--|--:|
| x | 1 |

## Errors

[![what it shows](a.png)](a.svg)

**Figure 1:** more words.

- one
  - two

> said

    code  here

---

***
"""
    blocks = parse(text)
    assert [heading.anchor for heading in headings(blocks)] == ["a-b", "errors", "errors-1"]
    table, picture = next(b for b in blocks if isinstance(b, Table)), next(b for b in blocks if isinstance(b, Picture))
    assert (plain_text(table.caption), table.right) == ("Table 1: words.", (False, True))
    assert [[plain_text(cell) for cell in row] for row in table.rows] == [["x", "1"]]
    assert (picture.target, picture.alt, plain_text(picture.caption)) == ("a.png", "what it shows", "Figure 1: more words.")
    listing = next(b for b in blocks if isinstance(b, Listing))
    assert isinstance(listing.items[0][0], Paragraph) and isinstance(listing.items[0][1], Listing)
    assert isinstance(next(b for b in blocks if isinstance(b, Quote)).blocks[0], Paragraph)
    assert CodeBlock("code  here") in blocks and [b.page for b in blocks if isinstance(b, Break)] == [False, True]
    assert isinstance(blocks[0], Heading) and len(blocks) == 10


def test_only_a_caption_is_taken_for_one() -> None:
    blocks = parse("**Table one:** no.\n\n| A |\n|:--|\n| x |\n\n**Table 2:** not above a table.\n")
    assert [type(block) for block in blocks] == [Paragraph, Table, Paragraph]


@pytest.mark.parametrize(
    "text", [NASTY, "- a", "1. b", "# c", "> d", "    e", "***", "---", "| x |", "&amp;", "<!-- f -->", "\\", "![g](h)", "+"]
)
def test_any_text_shows_its_own_characters(text: str) -> None:
    shown = f"{plain(text)}\n\n| {plain(text)} | B |\n|:--|:--|\n| {plain(text)} | b |\n"
    paragraph, table = parse(shown)
    assert isinstance(paragraph, Paragraph) and isinstance(table, Table)
    assert plain_text(paragraph.parts) == plain_text(table.head[0]) == plain_text(table.rows[0][0]) == in_one_line(text)
    assert (len(table.head), len(table.rows[0])) == (2, 2)


def test_characters_that_steer_are_spelled() -> None:
    assert plain("a\x1b[31mb\u202ec\ud800") == "a U+001B\\[31mb U+202E c U+D800"


# -- the same in every format


def test_html_has_the_same_tables(whole: tuple[Path, Store, Study]) -> None:
    folder, _, _ = whole
    page = html(folder / "report.html")
    for shown, table in zip(page.iter("table"), tables(folder), strict=True):
        lines = [["".join(cell.itertext()) for cell in line] for line in shown.iter("tr")]
        assert lines == [[plain_text(cell) for cell in line] for line in (table.head, *table.rows)]
    captions = ["".join(caption.itertext()) for caption in page.iter("figcaption")]
    assert [text.split(":")[0] for text in captions if text.startswith("Table")] == [
        f"Table {n}" for n in range(1, len(tables(folder)) + 1)
    ]
    assert sum(text.startswith("Figure") for text in captions) == len(list(page.iter("img"))) == 5


def test_html_stands_alone(whole: tuple[Path, Store, Study]) -> None:
    folder, _, _ = whole
    page = html(folder / "report.html")
    assert [heading.text for heading in page.iter("h1")] == ["The reduction ratio"] == [title.text for title in page.iter("title")]
    assert all(image.get("alt") and str(image.get("src")).startswith("data:image/svg+xml;base64,") for image in page.iter("img"))
    addresses = [value for each in page.iter() for name, value in each.attrib.items() if name in ("src", "href")]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    style = "".join(page.find("head/style").itertext())
    assert "url(" not in style and "@import" not in style and not list(page.iter("script")) + list(page.iter("link"))
    ids = [each.get("id") for each in page.iter() if each.get("id")]
    assert len(ids) == len(set(ids))


def test_latex_has_the_same_tables_but_for_the_record(whole: tuple[Path, Store, Study]) -> None:
    folder, _, _ = whole
    text = (folder / "report.tex").read_text(encoding="utf-8")
    assert text.isascii() and "\\usepackage{booktabs,graphicx}" in text.splitlines()[0]
    found = re.findall(r"\\midrule\n(.*?)\n\\bottomrule", text, re.DOTALL)
    paper = tables(folder)[:-1]
    assert len(found) == len(paper) == len(set(re.findall(r"\\label\{(.*?)\}", text)))
    for body, table in zip(found, paper, strict=True):
        assert body.splitlines() == [" & ".join(escaped(plain_text(cell)) for cell in row) + r" \\" for row in table.rows]
    assert (
        "\\caption{The reduction ratio: top-1 error" in text and "none & 4, 8, 16 & 100,001 & 41.2 M & 3 & 6.50 $\\pm$ 0.90 & +1.20" in text
    )


def test_csv_has_the_numbers_in_full(whole: tuple[Path, Store, Study]) -> None:
    folder, store, study = whole
    found = csv_lines(folder / "rows.csv")
    for line, row in zip(found, rows(study, store), strict=True):
        assert (line["variant"], line["reference"], line["hidden_widths"]) == (row.variant, "r=16", "4 4 8 16")
        assert [float(line[f"error_{name}"]) for name in ("mean", "low", "high")] == [row.error.mean, row.error.low, row.error.high]
        if row.comparison is None:
            assert (line["difference_mean"], line["verdict"], line["p_holm"]) == ("", "", "")
            continue
        own, together = row.comparison.own, row.comparison.all
        assert [float(line[f"difference_{end}"]) for end in ("mean", "own_low", "own_high")] == [own.mean, own.low, own.high]
        assert [float(line[f"difference_simultaneous_{end}"]) for end in ("low", "high")] == [together.low, together.high]
        assert (float(line["p"]), float(line["p_holm"]), line["verdict"]) == (
            row.comparison.p,
            row.comparison.adjusted,
            row.comparison.word,
        )
        assert line["seeds_needed"] == ("" if row.comparison.needed is None else str(row.comparison.needed))
    trials = csv_lines(folder / "trials.csv")
    assert len(trials) == 12 and trials[1] == {
        "variant": "none", "seed": "0", "key": key(1, 0), "state": "done", "error": "6.1", "seconds": "10.0", "reason": "",
    }  # fmt: skip
    assert [line["variant"] for line in csv_lines(folder / "comparisons.csv")] == ["none", "r=8", "r=4"]


def test_names_come_out_as_text_in_every_format(tmp_path: Path) -> None:
    folder, _, _ = made(
        tmp_path, {"[ref]": [50, 52, 53], NASTY: [41, 42, 43], "*star*": [51, 52, 55]}, title=NASTY, notes=(NASTY,), table=None
    )
    name = in_one_line(NASTY)
    assert [plain_text(row[0]) for row in tables(folder)[0].rows] == ["[ref]", name, "*star*"]
    page = html(folder / "report.html")
    assert ["".join(cell.itertext()) for cell in next(page.iter("tbody")).findall("tr/td[1]")] == ["[ref]", name, "*star*"]
    assert next(page.iter("h1")).text == name and f"{name}" in ["".join(item.itertext()) for item in page.iter("li")]
    assert [line["variant"] for line in csv_lines(folder / "rows.csv")] == ["[ref]", NASTY, "*star*"]
    latex_rows = re.findall(r"\\midrule\n(.*?)\n\\bottomrule", (folder / "report.tex").read_text(encoding="utf-8"), re.DOTALL)[
        0
    ].splitlines()
    assert latex_rows[0].startswith("{}[ref] &") and latex_rows[2].startswith("{}*star* &")
    assert r"a$|$b $<$i$>$*x*$<$/i$>$ {\char96}c{\char96}" in latex_rows[1] and r"\$e\$" in latex_rows[1] and r"\& \#" in latex_rows[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("−0.7 ± 4.1, δ = 1", r"$-$0.7 $\pm$ 4.1, $\delta$ = 1"),
        ("50 % of {a_b}^2~\\", r"50 \% of \{a\_b\}{\textasciicircum}2{\textasciitilde}{\textbackslash}"),
        ("a--b ,, '' <<", r"a-{}-b ,{}, '{}' $<$$<$"),
        ("é ç Ł ß", r"{\'{e}} {\c{c}} {\L} {\ss}"),
        ("漢 †", r"U+6F22 \textdagger{}"),
        ("漢字a漢", "U+6F22 U+5B57 a U+6F22"),
        ("(漢)-字", "(U+6F22)-U+5B57"),
    ],
)
def test_latex_shows_the_characters(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_latex_leaves_a_text_without_captions_alone() -> None:
    assert latex(parse("| A |\n|:--|\n| x |\n"), "x") is None
    assert latex(parse("**Table 1:** words\n\n| A |\n|:--|\n| 漢 |\n"), "a_b: c") == (
        "% Needs \\usepackage{booktabs,graphicx}\n"
        "% Spelled by their code points, as LaTeX may lack them: U+6F22 (CJK UNIFIED IDEOGRAPH-6F22)\n\n"
        "\\begin{table}\n\\centering\n\\caption{words}\n\\label{tab:a-b-c-1}\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        "\\begin{tabular}{l}\n\\toprule\nA \\\\\n\\midrule\nU+6F22 \\\\\n\\bottomrule\n\\end{tabular}}\n\\end{table}\n"
    )


@pytest.mark.parametrize(
    "wrong", [{"r=16": [50, 51, 52]}, {"r=16": [50], "r=8": [49]}, {"r=16": [None], "r=8": [None]}, {"r=16": [50, 51], "r=8": [None, None]}]
)
def test_a_page_with_little_or_nothing_says_what_is_missing(tmp_path: Path, wrong: Mapping[str, Sequence[int | None]]) -> None:
    folder, _, _ = made(tmp_path, wrong)
    assert {path.suffix for path in folder.iterdir()} >= {".md", ".html", ".pdf", ".tex", ".csv"}
    text = (folder / "report.md").read_text(encoding="utf-8")
    lacking = sum(seed is None for seeds in wrong.values() for seed in seeds)
    assert text.count("(missing): not started") == sum(None in seeds for seeds in wrong.values())
    assert ("To go on" in text) is bool(lacking) and ("no other variant to compare it with" in text) is (len(wrong) == 1)


def test_each_format_alone_writes_nothing_else(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50], "r=8": [49]})
    for kind, names in (("pdf", ["report.pdf"]), ("html", ["report.html"]), ("tex", ["report.tex"])):
        write([study.name], store, tmp_path / kind, [kind])
        assert [path.name for path in (tmp_path / kind / study.name).iterdir()] == names
    (done,) = write([study.name], store, tmp_path / "csv", ["csv"])
    assert [path.name for path in done.files] == ["rows.csv", "comparisons.csv", "trials.csv"] and done.missing == ()


# -- several studies


def test_several_studies_make_one_document_that_opens_with_a_summary(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, WRONG)
    store.save_study(study.model_copy(update={"name": "second"}))
    store.save_study(make_study(["x", "y"], 1, name="third", title="Third & last"))
    done = write(["reduction-quick", "second", "third"], store, tmp_path / "out", FORMATS)
    assert [path.name for path in done[-1].files] == ["all.md", "all.html", "all.pdf"]
    text = (tmp_path / "out" / "all.md").read_text(encoding="utf-8")
    blocks = parse(text)
    assert [plain_text(h.parts) for h in headings(blocks) if h.level < 3] == [
        "Ablations", "Summary", "The reduction ratio (reduction-quick)", "The reduction ratio (second)", "Third & last",
    ]  # fmt: skip
    anchors = {heading.anchor for heading in headings(blocks)}
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= anchors and len(re.findall(r"\]\(#(.*?)\)", text)) == 3
    for kind in ("Table", "Figure"):
        numbers = [int(number) for number in re.findall(rf"^\*\*{kind} (\d+):\*\*", text, re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 6
    targets = re.findall(r"\]\(([^#)]+\.(?:png|svg))\)", text)
    assert targets and all((tmp_path / "out" / target).is_file() for target in targets)
    summary = next(block for block in blocks if isinstance(block, Table))
    assert [plain_text(cell) for cell in summary.rows[0]] == [
        "The reduction ratio (reduction-quick)", "the reduction ratio",
        "none − r=16: +1.20 [+0.44, +1.96]", "1 worse, 2 equivalent", "–", "12 of 12",
    ]  # fmt: skip
    assert [plain_text(cell) for cell in summary.rows[2]][2:] == ["y − x: +1.10", "1 without a verdict", "–", "2 of 2"]
    page = html(tmp_path / "out" / "all.html")
    links = {str(link.get("href"))[1:] for link in page.iter("a")}
    assert links == {each.get("id") for each in page.iter("h2")} - {"summary"} and len(list(page.iter("h1"))) == 1


def test_one_study_makes_no_document_of_all(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50], "r=8": [49]})
    assert len(write([study.name], store, tmp_path / "out")) == 1 and not (tmp_path / "out" / "all.md").exists()


# -- what stands around the numbers


def test_methods_stand_alone(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {**WRONG, "div": [50, None, None]})
    save(store, key(4, 1), None)
    text = methods(read(study, store))
    for part in (
        "The variants differ in the reduction ratio and in nothing else.",
        '"r=16", is the network resnet with the block se (reduction 16), placement standard, in all stages: 100,000 parameters and 41.2 M',
        "trained from its start values on Digits: 5,000 training images",
        "on the 1,000 test images of Digits; no epoch and no setting was selected on it.",
        "The seeds 0, 1, 2 fix the 5 random streams (split, init, order, augment, noise)",
        "Of 15 trials, 13 finished, 1 diverged (counted as such, and in no mean), 1 are missing.",
        "adjusted by Holm's procedure over all 4 declared comparisons",
        "with δ = 0.5 percentage points declared before training",
        "Fisher's exact test",
        "commit abc1234; PyTorch 2.11, on A processor.",
    ):
        assert part in text, part
    few, study = make_store(tmp_path / "few", {"r=16": [50], "r=8": [49]}, vary="init")
    told = methods(read(study, few))
    assert "nothing was tested" in told and "Holm" not in told and "The seed 0 fixes the random stream init;" in told


def test_factors_are_told_in_words() -> None:
    assert factor_text(make_study(["x"], 1, factor=("net.widths", "net.block", "net.odd_one"))) == "the widths, the block and net.odd\\_one"


def test_holes_are_told_together_where_they_share_their_reason(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50, 51, 52], "r=8": [None, None, 49], "r=4": [None, 50, None]})
    store.save_failure(key(2, 0), Failure(reason="OSError", created=""))
    assert holes(read(study, store)) == [
        "r=8, seeds 0, 1 (missing): not started, or stopped before its first checkpoint",
        "r=4, seed 0 (failed): OSError",
        "r=4, seed 2 (missing): not started, or stopped before its first checkpoint",
    ]


def test_keys_stand_in_tables_of_a_few_seeds(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50] * 12, "r=8": [49]})
    found = keys(read(study, store))
    assert [table.splitlines()[0].count("seed") for table in found] == [5, 5, 2]
    assert f"`{key(0, 11)}`" in found[2] and f"`{key(1, 11)}` missing" in found[2]


def test_provenance_tells_apart_what_differs(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50, 51], "r=8": [49, None]})
    save(store, key(1, 1), 48, execution={"threads": 4, "kernels": "rounded"})
    assert provenance(read(study, store)) == [
        "commit: abc1234 (4 trials)",
        "device: A processor (4 trials)",
        "threads: 2 (3 trials), 4 (1 trial)",
        "kernels: rounded (1 trial)",
        "in all 4 trials: torch 2.11",
    ]


def test_the_command_asks_for_the_seeds_as_they_were_declared() -> None:
    precision = {"half_width": 0.5, "first": 3, "most": 9, "stored": 0}
    study = make_study(["r=16"], 3, precision=precision, looks=(("0", "1", "2"),), vary="init")
    assert command(study) == (
        "ablate run reduction --preset quick --vary init --seed-list 0,1,2 --until-half-width 0.5 --first-seeds 3 --max-seeds 9"
    )


def test_captions_count() -> None:
    captions = Captions()
    assert [captions.table("a"), captions.figure("b"), captions.table("c")] == ["**Table 1:** a", "**Figure 1:** b", "**Table 2:** c"]


# -- glyphs


def test_what_no_font_has_is_named_and_spelled() -> None:
    assert missing("r − 16 ± δ × † é Ж א") == []
    assert missing("b漢a\n🦊漢") == ["漢", "🦊"]
    assert spelled("漢字a 🦊!b漢_") == "U+6F22 U+5B57 a U+1F98A!b U+6F22 _"
    assert spelled("a×b", "×") == "a U+00D7 b"
    assert named(["漢", "🦊"]) == "U+6F22 (CJK UNIFIED IDEOGRAPH-6F22), U+1F98A (FOX FACE)"
    assert named([chr(0x4E00 + n) for n in range(12)]).endswith(" and 2 more")


# -- the command


def test_the_command_writes_all_formats_of_a_committed_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["report", "squeeze", "--workspace", str(STUDIES), "--out", str(tmp_path), "--format", *FORMATS]
    assert runner.main(words) == 0
    told = capsys.readouterr().out
    assert "report.md (report.html, report.pdf, report.tex, rows.csv, comparisons.csv, trials.csv)" in told
    (folder,) = tmp_path.iterdir()
    assert all((folder / name).stat().st_size > 500 for name in ("report.md", "report.html", "report.pdf", "report.tex", "rows.csv"))


def test_a_format_that_there_is_not_is_an_input_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["report", "--workspace", str(STUDIES), "--out", str(tmp_path), "--format", "docx"]) == 2
    assert "docx" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_missing_glyph_is_told_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path, {"漢": [50, 51], "r=8": [49, 50]})
    assert runner.main(["report", "--workspace", str(tmp_path), "--out", str(tmp_path / "out"), "--format", "html"]) == 0
    assert "U+6F22 (CJK UNIFIED IDEOGRAPH-6F22)" in " ".join(capsys.readouterr().err.split())


def test_all_formats_need_neither_torch_nor_mlflow(tmp_path: Path) -> None:
    make_store(tmp_path, WRONG)
    code = (
        "import sys; from pathlib import Path; from ablations.store import Store; from report.document import write\n"
        f"write(['reduction-quick'], Store(Path({str(tmp_path)!r})), Path({str(tmp_path / 'out')!r}), {FORMATS!r})\n"
        "raise SystemExit(str({'torch', 'mlflow'} & set(sys.modules)) if {'torch', 'mlflow'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
