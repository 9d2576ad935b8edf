"""What matters in a search, in words: the importances of its factors, and what they do not say."""

from __future__ import annotations

from ablations.search.importance import FEWEST, RESAMPLED, Among, Importance, Ranking, installed, ranking
from ablations.statistics.rounding import NONE, number
from ablations.study import Search
from report.captions import Captions
from report.numbers import plain
from report.tables import by_column


def importances_text(search: Search, numbers: Captions) -> list[str]:
    """The section's paragraphs, its caption counted by ``numbers``."""
    if not installed():
        return [
            "How much each factor matters is worked out by Optuna, which is not installed here: pip install 'senet-ablations\\[search\\]'."
        ]
    known = [(one.choices, error) for one in search.designs if one.errors and (error := one.errors[0]) is not None]
    if len(known) < FEWEST:
        return [
            f"Importances of the factors are told from {FEWEST} designs with an error on, and there are {len(known)}: of so few, noise too "
            "often decides which factor comes first."
        ]
    if len({error for _, error in known}) < 2:
        return ["All designs gave the same so far, so nothing can be told of what matters."]
    found = ranking([name for name, _ in search.factors], known)
    return [
        numbers.table(
            f"What a random forest that has learned the held-out error at {search.epochs[0]} epochs, which all designs were trained for, "
            "puts down to each factor by itself (fANOVA): its main effect as a share of the sum of all main effects, mean ± standard "
            f"deviation over {RESAMPLED} tables drawn from the designs with replacement."
        ),
        _shares(found),
        *_read_with_care(found),
    ]


def _shares(found: Ranking) -> str:
    lines = [(_of(among), one.name, _share(one)) for among in found.among for one in sorted(among.found, key=lambda one: -one.mean)]
    lines += [("", name, _LEFT[why].format(count)) for name, (why, count) in found.left.items()]
    columns = {"Factor": [plain(name) for _, name, _ in lines], "Share (%)": [share for *_, share in lines]}
    if any(not among.whole for among in found.among):
        columns = {"Among": [of or NONE for of, *_ in lines], **columns}
    return by_column(columns, words=("Among", "Factor"))


_LEFT = {
    "never varied": f"{NONE} (never varied)",
    "too few": f"{NONE} (only {{}} designs have it)",
    "alone": f"{NONE} (no other factor is in the {{}} designs)",
    "alike": f"{NONE} (the {{}} designs gave the same)",
}


def _of(among: Among) -> str:
    if among.whole:
        return f"all {among.designs} designs"
    return f"{among.designs} designs with {', '.join(map(plain, among.because))}"


def _read_with_care(found: Ranking) -> list[str]:
    """What such shares do not say."""
    told = [
        "A main effect is what the forest says of a factor's levels, averaged over all combinations of the others' levels; what factors do "
        "together is left out. Shares rank the factors and decide nothing: they add up to 100 % also where there is nothing but noise, and "
        "the search looked more often where errors were low."
    ]
    if any(not among.whole for among in found.among):
        told.append(
            "A factor that is there under a condition alone is judged among the designs that have it, beside the factors that all of these "
            "have; shares among different designs are parts of different sums."
        )
    if found.thirds:
        told.append(
            f"{', '.join(map(plain, found.thirds))}: numbers count as low, middle or high, by their rank among the different values that "
            "were tried, a third of these each; that is no third of the range."
        )
    return told


def _share(one: Importance) -> str:
    return number(100 * one.mean, 1) + (f" ± {number(100 * one.deviation, 1)}" if one.deviation is not None else "")
