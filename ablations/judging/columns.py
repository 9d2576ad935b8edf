"""Which column of a table of runs holds what: asked for by name, or known by the names that trackers and people give it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ablations.judging.cells import STATES, number_like, numbers, seed_name
from ablations.judging.table import Table
from senet_core.errors import InputError, unknown

TOOLS = re.compile(r"(params?|metrics|tags|config|summary|hparams|hyperparameters|attributes)[./](?=.)", re.IGNORECASE)
"""What trackers write before a name: "params.seed" (MLflow), "config.seed" and "summary.loss" (W&B), "hparams/seed" (TensorBoard)."""
SEEDS = ("seed", "random_seed", "rng_seed", "global_seed", "manual_seed", "random_state")
VARIANTS = (
    *("variant", "arm", "condition", "treatment", "ablation", "method", "algorithm", "algo", "approach"),
    *("model", "architecture", "arch", "setting", "configuration", "config", "group", "experiment"),
)
NAMES = ("name", "run_name", "runname", "run", "display_name", "displayname")
STATE = ("state", "status")
PARENT = ("mlflow.parentrunid", "parent_run_id")
IDENTITY = ("run_id", "id")
BOOKKEEPING = {
    *(*NAMES, *STATE, *PARENT, *IDENTITY, "notes", "user", "tags", "created", "updated", "runtime", "sweep", "host", "hostname"),
    *("start_time", "end_time", "duration", "source_type", "source_name", "experiment_id", "artifact_uri", "job_type", "commit", "github"),
    *("step", "epoch", "epochs", "iteration", "timestamp", "_step", "_runtime", "_timestamp", "_wandb", "gpu_count", "gpu_type", ""),
}
LOWER = {
    *("error", "errors", "err", "loss", "losses", "nll", "perplexity", "ppl", "crossentropy", "xent", "hinge", "misclassification"),
    *("rmse", "mse", "mae", "mape", "wer", "cer", "eer", "fid", "kid", "ece", "bpc", "bpb", "brier", "regret", "latency"),
}
HIGHER = {
    *("accuracy", "accuracies", "acc", "auc", "auroc", "auprc", "rocauc", "prauc", "map", "ap", "f", "precision", "prec", "recall"),
    *("sensitivity", "specificity", "mcc", "ndcg", "mrr", "bleu", "rouge", "meteor", "cider", "iou", "miou", "dice", "psnr", "ssim"),
    *("reward", "return", "returns"),
}
"""Words in the name of a metric that say which way is better; a name with words of both kinds, or of none, says nothing."""
IN_NAME = re.compile(r"[\s_\-./,;:|]*(?<![a-z])seeds?[\s_\-=:#]*(\d+)(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """Texts by run, and in words where they come from."""

    name: str
    cells: tuple[str, ...]


def bare(name: str) -> str:
    """A column's name without its tracker's prefix, in one spelling: "params.Random Seed" is random_seed."""
    return re.sub(r"[\s-]+", "_", TOOLS.sub("", name, count=1).strip().casefold())


def last(name: str) -> str:
    """The last part of a dotted name: seed for "tags.ablate.seed"."""
    return re.split(r"[./]", bare(name))[-1]


def asked(table: Table, name: str, option: str) -> Column:
    """The column that an option names: as it is written, else without regard to case, to a tracker's prefix, to all parts but the last.

    :raises InputError: if there is none, or there are several that differ.
    """
    wanted = bare(name)
    spellings: tuple[Callable[[str], bool], ...] = (
        lambda column: column == name,
        lambda column: column.casefold() == name.casefold(),
        lambda column: bare(column) == wanted,
        lambda column: last(column) == wanted,
    )
    for fits in spellings:
        found = [index for index, column in enumerate(table.columns) if fits(column)]
        if found:
            return _one(table, found, option)
    raise unknown("column", name, table.columns)


def _one(table: Table, found: Sequence[int], option: str) -> Column:
    """The first of several columns with the same cells."""
    columns = [Column(table.columns[index], table.column(index)) for index in found]
    if any(column.cells != columns[0].cells for column in columns):
        names = [f"'{column.name}'" for column in columns]
        if len(set(names)) == 1:
            raise InputError(f"'{table.source}' has {len(names)} columns named {names[0]}, and they differ; give one of them another name.")
        raise InputError(f"The columns {', '.join(names[:-1])} and {names[-1]} differ; say which one is meant by {option}.")
    return columns[0]


def seeds(table: Table, name: str | None) -> Column:
    """The seed of each run: of the column named, of one that is known, or of the runs' names where each says "seed 3".

    :raises InputError: where runs have no seeds.
    """
    if name is not None:
        found = asked(table, name, "--seed-column")
        return Column(found.name, tuple(map(seed_name, found.cells)))
    for part in (bare, last):
        known = [index for index, column in enumerate(table.columns) if part(column) in SEEDS]
        if known:
            found = _one(table, known, "--seed-column")
            return Column(found.name, tuple(map(seed_name, found.cells)))
    named = _in_names(table)
    if named is not None:
        return Column(f"seed in '{named.name}'", tuple(seed_name(IN_NAME.findall(cell)[0]) for cell in named.cells))
    raise InputError(
        f"'{table.source}' does not tell the seed of a run, and runs are paired by their seeds. Name the column by --seed-column"
        f"{_with_dictionaries(table)}; its columns are: {listed(table.columns)}."
    )


def variants(table: Table, name: str | None, reference: str, taken: Iterable[str]) -> Column:
    """The variant of each run: of the column named, or of the one that holds the reference; ``taken`` names columns of something else.

    A known name goes before the others, and what is left of the runs' names without their seeds before columns of any name.

    :raises InputError: where no column, or more than one, can be meant.
    """
    if name is not None:
        return asked(table, name, "--variant-column")
    free = [index for index, column in enumerate(table.columns) if column not in taken]
    holds = [index for index in free if reference in table.column(index)]
    known: tuple[Callable[[int], bool], ...] = (
        lambda index: bare(table.columns[index]) == "variant",
        lambda index: bare(table.columns[index]) in VARIANTS,
        lambda index: last(table.columns[index]) in VARIANTS,
    )
    for fits in known:
        if found := [index for index in holds if fits(index)]:
            return _one(table, found, "--variant-column")
    named = _in_names(table)
    named = named and Column(f"'{named.name}' without its seed", tuple(_without_seed(cell) for cell in named.cells))
    if named is not None and reference in named.cells:
        return named
    if found := [index for index in holds if bare(table.columns[index]) not in BOOKKEEPING] or holds:
        return _one(table, found, "--variant-column")
    if named is not None:
        return named  # the reference is not in it, and the error will say what is
    if found := [index for index in free for fits in known if fits(index)]:
        return Column(table.columns[found[0]], table.column(found[0]))
    raise InputError(
        f"No column of '{table.source}' holds the reference '{reference}'. Name the column of the variants by --variant-column"
        f"{_with_dictionaries(table)}; its columns are: {listed(table.columns)}."
    )


def metric(table: Table, name: str | None, taken: Iterable[str]) -> Column:
    """The column of the numbers to judge: the one named, else the only one that holds numbers and nothing known.

    :raises InputError: where there are none, or several. Where there would be one but for some cells, these are what it names.
    """
    if name is not None:
        return asked(table, name, "--metric")
    logged = [index for index, column in enumerate(table.columns) if column.casefold().startswith(("metrics.", "summary."))]
    candidates = logged or [
        index
        for index, column in enumerate(table.columns)
        if column not in taken and last(column) not in SEEDS and bare(column) not in BOOKKEEPING and not TOOLS.match(column)
    ]
    found = [index for index in candidates if _numeric(table, index)]
    if len(found) == 1:
        return Column(table.columns[found[0]], table.column(found[0]))
    if not found:
        _blame(table, candidates)
        raise InputError(f"'{table.source}' has no column of numbers beside the seeds; its columns are: {listed(table.columns)}.")
    raise InputError(f"Say which number is to be judged by --metric: {listed([table.columns[index] for index in found])}.")


def states(table: Table) -> list[Column]:
    """The columns that say how runs ended."""
    found = [Column(column, table.column(index)) for index, column in enumerate(table.columns) if last(column) in STATE]
    return [column for column in found if any(cell.casefold() in STATES for cell in column.cells)]


def parents(table: Table) -> frozenset[str]:
    """The ids of runs that other runs are nested under, as MLflow has it: they summarise, and are no runs of a seed."""
    found = [index for index, column in enumerate(table.columns) if bare(column) in PARENT]
    return frozenset(cell for index in found for cell in table.column(index) if cell)


def identities(table: Table) -> tuple[str, ...]:
    """The id of each run, empty where the table has none."""
    found = [index for index, column in enumerate(table.columns) if bare(column) in IDENTITY]
    return table.column(found[0]) if found else ("",) * len(table.runs)


def lower_is_better(name: str) -> bool | None:
    """Which way a metric is better, by the words of its name; None where they do not say it."""
    parts = [*re.findall(r"[a-z]+", name.casefold()), *re.findall(r"[A-Z]?[a-z]+", name)]  # "mIoU" and "valLoss"
    words = {part.casefold() for part in parts}
    lower, higher = bool(words & LOWER), bool(words & HIGHER)
    return lower if lower != higher else None


def listed(names: Sequence[str], most: int = 30) -> str:
    """Names in a sentence, the first of them where they are many."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _numeric(table: Table, index: int) -> bool:
    cells = table.column(index)
    try:
        found = numbers(cells, cells, table.columns[index], comma=False)
    except InputError:
        return False
    return any(value is not None for value in found)


def _blame(table: Table, candidates: Sequence[int]) -> None:
    """Raise what is wrong with the column that has the most numbers, if half of its cells or more are some."""
    counts = {index: number_like(table.column(index)) for index in candidates}
    most = max(counts, key=lambda index: counts[index], default=None)
    if most is not None and counts[most] and 2 * counts[most] >= sum(bool(cell) for cell in table.column(most)):
        numbers(table.column(most), [run.place for run in table.runs], table.columns[most], table.comma)


def _in_names(table: Table) -> Column | None:
    """The column of the runs' names, where each of them says a seed once."""
    for index in (index for index, column in enumerate(table.columns) if last(column) in NAMES):
        cells = table.column(index)
        if all(len(IN_NAME.findall(cell)) == 1 for cell in cells):
            return Column(table.columns[index], cells)
    return None


def _without_seed(name: str) -> str:
    return IN_NAME.sub("", name, count=1).strip(" _-./,;:|()[]")


def _with_dictionaries(table: Table) -> str:
    """A hint for what W&B's own example of its API writes: a dictionary in a cell."""
    packed = any(cell.startswith("{") and cell.endswith("}") for run in table.runs[:1] for cell in run.cells)
    return " (cells in braces hold several values: give each a column of its own)" if packed else ""
