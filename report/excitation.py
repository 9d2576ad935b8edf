"""The page on the role of excitation in one variant (Section 7.2 of the paper): tables, figures and claims, in the formats of a report.

Made from stored numbers alone; the same ones give the same bytes. What is computed, and by which rules the claims are decided:
``ablations.excitation`` and ``ablations.excitation_claims``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from ablations.excitation import Look, read
from ablations.excitation_claims import Findings, findings
from ablations.statistics.comparison import FEWEST
from ablations.statistics.estimation import interval
from ablations.statistics.rounding import NONE, difference_text, error_text, number, p_text
from ablations.store import Store
from ablations.study import Study, StudyVariant
from report.captions import Captions
from report.drawings import Shown
from report.excitation_figures import classes_figure, depth_figure, drawn_blocks, drawn_classes, knockout_figure, label
from report.excitation_words import part_text, reading_text, roles_text, setting_text, shown
from report.figures import drawn, style
from report.levels import open_ends
from report.numbers import plain
from report.publishing import Document, Published, publish, write_files
from report.raw import gates as gates_csv
from report.tables import aligned
from report.wording import claim_text, verdict_text
from senet_core.class_gates import HIGH, LOW
from senet_core.errors import InputError
from senet_core.seeds import seed_label

STEM = "excitation"


def write(study: Study, variant: StudyVariant, store: Store, out: Path, formats: Collection[str] = ("md",)) -> Published:
    """Write ``excitation.md`` and its figures, or the same page in other formats, into a folder of the study's own.

    :raises InputError: if nothing is stored to tell, or the folder cannot be written.
    """
    looks = read(study, variant, store)
    if not looks:
        raise InputError(f"Nothing is stored of the gates of '{variant.name}': neither what its trials kept of them nor their weights.")
    name, found = f"excitation-{_slug(study, variant)}", findings(study, looks)
    figures = _figures(study, looks, found, formats)
    text = _page(study, variant, looks, found, figures, Captions())
    drawings = {f"{stem}.png": one.drawing for stem, one in figures.items()}
    folder = out / study.name / name
    done = publish(Document(text, f"{study.name}-{name}", drawings, _date(store, looks)), folder, STEM, formats)
    if "csv" not in formats:
        return done
    return Published((*done.files, *write_files(folder, {"gates.csv": gates_csv(looks).encode()})), done.missing)


def _date(store: Store, looks: Sequence[Look]) -> datetime:
    """When the newest of what the page tells was stored."""
    results = [store.result(look.key) for look in looks]
    made = [result.provenance.created for result in results if result] + [look.record.created for look in looks if look.record]
    return max(map(datetime.fromisoformat, made))


def _slug(study: Study, variant: StudyVariant) -> str:
    """The variant's name for a folder; where two of the study would have the same, with its place."""
    slugs = [re.sub(r"[^a-z0-9]+", "-", each.name.lower()).strip("-") or "variant" for each in study.variants]
    place = [each.name for each in study.variants].index(variant.name)
    return slugs[place] if slugs.count(slugs[place]) == 1 else f"{slugs[place]}-{place + 1}"


def _page(
    study: Study, variant: StudyVariant, looks: Sequence[Look], found: Findings, figures: Mapping[str, Shown], numbers: Captions
) -> str:
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
        return f"[![{figures[stem].alt}]({stem}.png)]({stem}.svg)\n\n{numbers.figure(figures[stem].caption)}"

    records = [look.record for look in looks if look.record]
    knocked = [record for record in records if record.knockout]
    names = {block.path: label(block) for block in looks[0].gates}
    return templates.get_template("excitation.md.j2").render(
        study=study,
        variant=variant,
        setting=setting_text(study, looks),
        few=len(looks) < FEWEST,
        gates=_gates(looks),
        reading=reading_text(looks),
        knockouts=_knockouts(looks, found),
        intact=error_text(interval(record.error for record in knocked)),
        knocked=len(knocked),
        delta=f"{study.delta:g}",
        family=found.knockouts.family,
        open_ends=open_ends(found.knockouts.found),
        off=number(max((abs(look.record.error - look.error) for look in looks if look.record), default=0.0), 2),
        roles=found.roles and roles_text(found.roles, names, len({block.stage for block in looks[0].gates})),
        claims=[(claim_text(answer), [part_text(part, names) for part in answer.parts]) for answer in found.claims],
        figures=figures,
        figure=figure,
        caption=numbers.table,
        devices=Counter(record.device for record in records),
        commits=Counter((record.commit or "unknown") + (" with uncommitted changes" if record.dirty else "") for record in records),
    )


# -- tables


def _gates(looks: Sequence[Look]) -> str:
    """A line for each block: what its gates do, as means over seeds with their intervals."""
    lines = []
    for place, block in enumerate(looks[0].gates):
        own, tests = [look.gates[place] for look in looks], [look.block(block.path) for look in looks]
        limits = [100 * test.limit for test in tests if test and test.limit is not None]
        tested = [test.p for test in tests if test and test.p is not None]
        ends = [each.saturated for each in own]
        lines.append(
            {
                "Block": plain(label(block)),
                "Channels": str(block.channels),
                "Variance between classes (%)": _mean(None if each.share is None else 100 * each.share for each in own),
                "Shuffled labels, 95 % point (%)": number(max(limits), 2) if limits else NONE,
                "Greatest p": p_text(max(tested)) if tested else NONE,
                "SD within a class (× 100)": _mean(100 * each.within for each in own),
                "SD over images (× 100)": _mean(100 * each.spread for each in own),
                f"Below {LOW:g} (%)": _mean(None if end is None else 100 * end[0] for end in ends),
                f"Above {HIGH:g} (%)": _mean(None if end is None else 100 * end[1] for end in ends),
            }
        )
    return _lines(lines, "Block")


def _mean(values: Iterable[float | None]) -> str:
    return error_text(interval(value for value in values if value is not None))


def _knockouts(looks: Sequence[Look], found: Findings) -> str | None:
    """A line for each block: what the error becomes without its own gates; None where that was not measured."""
    if not found.knockouts.found:
        return None
    lines = []
    for block in looks[0].gates:
        line = {"Block": plain(label(block)), "Channels": str(block.channels)}
        for how, name in (("mean", "Mean gates"), ("shuffled", "Gates of other images")):
            one = found.knockout(block.path, how)
            line |= {f"{name} (points)": difference_text(shown(one)), f"{name}: verdict": verdict_text(one)}
        lines.append(line)
    return _lines(lines, "Block", "Mean gates: verdict", "Gates of other images: verdict")


def _lines(lines: Sequence[Mapping[str, str]], *words: str) -> str:
    return aligned(list(lines[0]), [list(line.values()) for line in lines], words)


# -- figures


def _figures(study: Study, looks: Sequence[Look], found: Findings, formats: Collection[str]) -> dict[str, Shown]:
    """Draw what there is to draw, by its stem, as these formats need it; nothing where none of them shows pictures."""
    if not set(formats) & {"md", "html", "pdf"}:
        return {}
    shown, classes = drawn_blocks(looks[0].gates), study.images.classes
    some = "" if len(drawn_classes(len(classes))) == len(classes) else f" of {len(drawn_classes(len(classes)))} of {len(classes)} classes"
    few = "" if len(shown) == len(looks[0].gates) else f"; {len(shown)} of {len(looks[0].gates)} blocks"
    curves = f"The mean gate by class{some}, for up to 50 evenly spaced channels of each block, {seed_label(looks[0].seed)}{few}."
    depth = (
        "By depth: variance between classes, spread within a class and saturation; each dot is a seed, the line goes through their means."
    )
    figures: list[tuple[str, str, str, Callable[[], Figure]]] = [
        ("classes", "The mean gate of each class over the channels of each block", curves, lambda: classes_figure(looks[0], classes)),
        ("depth", "What the gates do, block by block", depth, lambda: depth_figure(looks)),
    ]
    if found.knockouts.found:
        intervals = "; thick: 95 % intervals for themselves, thin: together with all others" if found.knockouts.found[0].n >= FEWEST else ""
        replaced = (
            "The change of the error when a block's gates are replaced by their mean (squares) or by those of other images (diamonds)"
        )
        alt = "The change of the error without a block's own gates"
        figures.append(("knockout", alt, f"{replaced}{intervals}.", lambda: knockout_figure(looks, found, study.delta)))
    with style():
        return {stem: Shown(stem, alt, caption, drawn(draw(), formats)) for stem, alt, caption, draw in figures}
