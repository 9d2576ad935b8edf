"""A study's page: question, error table, figures, comparisons, checks, claims, recipe, methods, holes and provenance.

It is made as Markdown (``templates/report.md.j2``), from which all other formats follow (``report.publishing``); the CSV comes from the
same rows. The same study and trials give the same bytes. Jinja's own escaping is for HTML and stays off: every text that comes from outside
(names, notes, reasons) passes the filter ``plain``, which makes it Markdown that shows exactly those characters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import jinja2

from ablations.published import published
from ablations.statistics.claims import Answer
from ablations.statistics.comparison import FEWEST
from ablations.store import Store
from ablations.study import Study
from report import both_settings, captions, factorial, own_study, search, several, tuning
from report.captions import Captions
from report.checks import checks, checks_line
from report.drawings import Shown, drawings
from report.excitation_words import pages_text
from report.figures import Drawing, drawn, style
from report.levels import intervals_text, level_text, open_ends
from report.methods import methods
from report.noise import by_images, by_source
from report.numbers import plain
from report.overview import overview_figure
from report.publishing import Document, Published, publish, write_files
from report.raw import tables as raw_tables
from report.recipe import recipe
from report.record import command, commands, holes, keys, provenance
from report.rows import Reading, read
from report.tables import comparisons, fixed_width, markdown, signal
from report.wording import claim_text, headline, part_text, quotation, seeds_text

STEM, ALL = "report", "all"


@dataclass(frozen=True)
class Page:
    """A study as it was read, with its drawn figures."""

    reading: Reading
    store: Store
    figures: Mapping[str, Shown]

    @property
    def name(self) -> str:
        """The study's name, which is that of the page's folder."""
        return self.reading.study.name


def write(names: Sequence[str], store: Store, out: Path, formats: Collection[str] = ("md",)) -> list[Published]:
    """Write each study's page into ``out/<study>/``, and of several also one document ``out/all``; holes are shown, not refused.

    A study of a user's own training loop has a page of another kind (``report.own_study``), and so has the held-out part of a tuning
    (``report.tuning``) and a search (``report.search``); these are not part of that document.

    :raises InputError: if there is no such study, or the folder cannot be written.
    """
    all_ = [store.study(name) for name in names]
    own = [own_study.write(study, store, out / study.name, STEM, formats) for study in all_ if study.metric]
    own += [tuning.write(study, store, out / study.name, STEM, formats) for study in all_ if study.candidates]
    own += [search.write(study, store, out / study.name, STEM, formats) for study in all_ if study.search]
    studies = [study for study in all_ if study.metric is None and study.candidates is None and study.search is None]
    pages = [Page(reading, store, drawings(reading, formats)) for reading in (read(study, store) for study in studies)]
    done = [_written(page, out / page.name, formats) for page in pages]
    together = set(formats) & {"md", "html", "pdf"}
    several_ = [publish(_all(pages, together), out, ALL, together)] if len(pages) > 1 and together else []
    return [*done, *own, *several_]


def page(study_name: str, out: Path) -> Path:
    """Where ``write`` puts a study's page in Markdown."""
    return out / study_name / f"{STEM}.md"


def summary(study: Study, store: Store) -> str:
    """The error table in a few columns of fixed width, for the end of a run in a terminal."""
    if study.candidates is not None:
        return tuning.summary(study, store)
    if study.search is not None:
        return search.summary(study)
    if study.metric is not None:
        return own_study.summary(study, store)
    reading = read(study, store)
    return "\n\n".join(filter(None, [fixed_width(study, reading.rows()), factorial.summary(reading)]))


def _written(page: Page, folder: Path, formats: Collection[str]) -> Published:
    targets = {f"{stem}.png": one.drawing for stem, one in page.figures.items()}
    text = markdown_page(page, Captions())
    done = publish(Document(text, page.name, targets, _date([page])), folder, STEM, formats)
    if "csv" not in formats:
        return done
    files = write_files(folder, {name: text.encode() for name, text in raw_tables(page.reading).items()})
    return Published((*done.files, *files), done.missing)


def _all(pages: Sequence[Page], formats: Collection[str]) -> Document:
    readings, numbers = [page.reading for page in pages], Captions()
    targets: dict[str, Drawing] = {}
    if any(row.comparison and row.comparison.mean is not None for reading in readings for row in reading.rows()):
        with style():
            targets["overview.png"] = drawn(overview_figure(readings), formats)
    figure = "[![Differences of all suites](overview.png)](overview.svg)" if targets else None
    # numbers run through the document, and the summary comes first
    numbers.tables, numbers.figures = 1, len(targets)
    texts = [markdown_page(page, numbers, title, 2, f"{page.name}/") for page, title in zip(pages, several.titles(readings), strict=True)]
    together = "\n***\n\n".join(texts)
    targets |= {f"{page.name}/{stem}.png": one.drawing for page in pages for stem, one in page.figures.items()}
    return Document(f"{several.opening(readings, Captions(), together, figure)}\n***\n\n{together}", ALL, targets, _date(pages))


def _date(pages: Sequence[Page]) -> datetime | None:
    """When the newest of the trials was stored."""
    made = [cell.result.provenance.created for page in pages for cell in page.reading.cells if cell.result]
    return datetime.fromisoformat(max(made)) if made else None


def markdown_page(page: Page, numbers: Captions, title: str | None = None, level: int = 1, folder: str = "") -> str:
    """The page in Markdown: under a heading of that level, its pictures in that folder, its captions counted by ``numbers``."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["plain"] = plain

    def figure(stem: str) -> str:
        one = page.figures[stem]
        return f"[![{one.alt}]({folder}{stem}.png)]({folder}{stem}.svg)\n\n{numbers.figure(one.caption)}"

    reading, study, rows = page.reading, page.reading.study, page.reading.rows()
    missing, of_rows = reading.holes(), [row.comparison for row in rows if row.comparison is not None]
    return templates.get_template("report.md.j2").render(
        study=study,
        title=title or plain(study.title),
        h="#" * level,
        figure=figure,
        figures=page.figures,
        caption=numbers.table,
        captions=captions,
        rows=rows,
        paper=published(study.table),
        headline=factorial.headline(reading) if study.crossed else headline(study, rows),
        table=markdown(study, rows),
        mixed=list(dict.fromkeys(name for row in rows for name in row.mixed)),
        family=reading.verdicts.comparisons.family,
        delta=f"{study.delta:g}",
        checks=checks(reading),
        checks_line=checks_line(reading),
        by_images=by_images(reading, page.store),
        by_source=by_source(reading, page.store),
        few=any(one.n < FEWEST for one in of_rows),
        rates=any(one.n < FEWEST and one.word is not None for one in of_rows),
        intervals=intervals_text(reading.verdicts.comparisons.family, study.planned_looks) if reading.verdicts.comparisons.family else "",
        level=level_text(study.planned_looks),
        open_ends=open_ends([*reading.verdicts.comparisons.found, *(one.apart for one in reading.verdicts.effects if one.apart)]),
        signal=signal(rows),
        excitation=pages_text(study, page.store),
        recipe=recipe(study),
        methods=methods(reading),
        comparisons=comparisons(reading),
        effects=factorial.section(reading),
        tuned=lambda: both_settings.section(reading, page.store, numbers),
        claims=[_claim(reading, answer) for answer in reading.verdicts.claims()],
        seeds=[*seeds_text(study, reading.verdicts.comparisons, reading.finished), *tuning.beside(study, page.store)],
        finished=any(row.errors for row in rows),
        holes=holes(reading),
        go_on=command(study, missing),
        again=commands(study),
        unfinished=not reading.finished,
        provenance=provenance(reading),
        keys=keys(reading),
    )


def _claim(reading: Reading, answer: Answer) -> tuple[str, list[str], str | None]:
    """A claim's line, one for each of its comparisons, and the sentence to quote."""
    return claim_text(answer), [part_text(reading, part) for part in answer.parts], quotation(reading, answer)
