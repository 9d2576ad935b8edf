"""Do the statistics keep their promises? ``python -m benchmarks.validity [--small] [--draws 50000] [--seed 1709] [--out FILE.md]``.

Simulated studies go through the very functions of ``ablations`` that a report uses. Every figure is printed; the exit code is 0 only where
all bounds hold, 1 otherwise. ``docs/validity.md`` is the output of the full form, ``docs/statistics.md`` explains it.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import scipy

from benchmarks import validity_arms, validity_intervals, validity_stopping
from benchmarks.validity_page import Scale, Section

SMALL_DRAWS = 1000


def sections(scale: Scale) -> Iterator[Section]:
    """All simulations, one after another."""
    return chain(validity_intervals.sections(scale), validity_stopping.sections(scale), validity_arms.sections(scale))


def heading(scale: Scale) -> str:
    """What was run, and how its bounds are made."""
    form = "small form (fewer settings)" if scale.small else "full form"
    worst = (
        "for the worst of several figures it is so much more that a false alarm stays as rare as with one"
        if scale.small
        else "also for the worst of many cells, which may lie beyond it by luck with another random seed; other bounds on the worst of "
        "several figures are so much wider that a false alarm stays as rare as with one"
    )
    return (
        f"# Validity of the statistics\n\nOutput of `python -m benchmarks.validity`, {form}: {scale.draws:,} draws a cell "
        f"({scale.few:,} where a draw is a whole study in Python), random seed {scale.seed}; Python {platform.python_version()}, NumPy "
        f"{np.__version__}, SciPy {scipy.__version__}. A figure near 5 % or 95 % has a standard error of "
        f"{100 * scale.slack(0.05) / scale.errors:.2f} points. A bound on 5 % is 5 % plus {scale.errors:g} standard errors"
        f"{'; ' if scale.small else ', '}{worst}. A bound on 95 % is 94.5 %, or as many standard errors below 95 % where "
        "that is less. What the figures mean: [statistics.md](statistics.md).\n"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Simulate, print as it goes, and return 0 where every bound holds, else 1."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.validity", description="Simulated studies, decided by the code that decides real ones."
    )
    options.add_argument("--draws", type=int, help=f"simulated studies a cell; 50000, or {SMALL_DRAWS} in the small form")
    options.add_argument("--seed", type=int, default=1709)
    options.add_argument("--small", action="store_true", help="fewer settings and draws, bounds widened to four standard errors")
    options.add_argument("--out", type=Path, metavar="FILE.md")
    chosen = options.parse_args(words)
    if chosen.draws is not None and chosen.draws < 100:
        options.error("--draws must be at least 100")
    draws = chosen.draws or (SMALL_DRAWS if chosen.small else 50_000)
    scale = Scale(draws, chosen.seed, errors=4 if chosen.small else 2, small=chosen.small)
    page, failed = [heading(scale)], []
    print(page[0], flush=True)
    for section in sections(scale):
        page.append(section.markdown())
        print(page[-1], flush=True)
        failed += [check for check in section.checks if not check.holds]
    verdict = "All bounds hold." if not failed else "\n".join(["Bounds that do not hold:", "", *(f"- {check}" for check in failed)])
    print(verdict)
    if chosen.out:
        chosen.out.write_text("\n".join([*page, verdict, ""]), encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    raise SystemExit(main())
