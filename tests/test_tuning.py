"""Fair tuning: the same candidates for every variant, a choice on held-out images alone, and what becomes of claims. Trials are made up."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from command_line import Ablate
from scipy.stats import qmc

import runner
from ablations import asked
from ablations.execution import engines, pricing
from ablations.execution.trial import Trial
from ablations.options import take_recipe
from ablations.planning import DataSource, Order, plan_study
from ablations.presets import preset
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.selection import companions, meant
from ablations.statistics.claims import Answer, decide
from ablations.statistics.comparison import Comparison, Divergence, Word
from ablations.statistics.estimation import Estimate, paired, two_stage
from ablations.statistics.power import stein_seeds
from ablations.statistics.robustness import Survival, direction, robustness, unmatched
from ablations.statistics.verdicts import family
from ablations.store import Correctness, Store
from ablations.study import Precision, Study
from ablations.suite import Claim, Contrast, Expectation
from ablations.tuning.choice import Edge, NotChosen, best, choice_text, choose, edges
from ablations.tuning.course import Tuning, tunings
from ablations.tuning.points import points, radical_inverse, spans
from ablations.tuning.record import Choice, Point, Tuned
from ablations.tuning.studies import tuned_study
from report import document
from report.both_settings import _only
from report.record import command, commands
from report.rows import Cell, Reading
from senet_core.config import Config
from senet_core.data.digits import Digits
from senet_core.dataset import Arrays
from senet_core.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
OWN = Point(lr=0.2, weight_decay=5e-4)
IMAGES = 1000
TINY = {"net.units": 1, "net.widths": 16, "net.stem": 8, "data.train": 400, "data.test": 200, "train.epochs": 1}
WORDS = ["--preset", "smoke", *(word for path, value in TINY.items() for word in (f"--{path}", str(value)))]
Errs = Callable[[Config, int], float | None]
"""The error (%) of a config at a seed; None where it diverges; it may raise."""


# -- candidates


def test_the_first_candidate_is_the_recipes_own_and_a_greater_budget_keeps_the_first_ones() -> None:
    few, many = (points(OWN, *spans(OWN), budget) for budget in (8, 12))
    assert many[:8] == few and many[0] == OWN and len(set(many)) == 12
    assert all(0.025 <= point.lr <= 0.8 and 6.25e-5 <= point.weight_decay <= 4e-3 for point in many)
    assert all(float(f"{value:.3g}") == value for point in many for value in (point.lr, point.weight_decay))


def test_the_candidates_are_a_halton_sequence() -> None:
    """Held against SciPy's, which begins at 0."""
    theirs = qmc.Halton(2, scramble=False).fast_forward(1).random(40)
    ours = [[radical_inverse(index, base) for base in (2, 3)] for index in range(1, 41)]
    assert np.allclose(ours, theirs, atol=1e-12)
    assert radical_inverse(6, 2) == 3 / 8


def test_what_has_no_range_stays_and_a_range_too_narrow_is_refused() -> None:
    alone = points(OWN, (0.1, 0.4), None, 5)
    assert {point.weight_decay for point in alone} == {OWN.weight_decay} and len({point.lr for point in alone}) == 5
    assert spans(Point(lr=0.2, weight_decay=0.0))[1] is None
    with pytest.raises(InputError, match=r"fewer than 12 different settings of 3 digits from 0\.2 to 0\.201"):
        points(OWN, (0.2, 0.201), None, 12)
    with pytest.raises(InputError, match="nothing to tune"):
        points(OWN, None, None, 12)


# -- the choice


@pytest.mark.parametrize(
    ("errors", "place"),
    [
        ([20.0, 19.0, 19.5], 1),
        ([20.0, 19.0, 19.0], 1),
        ([19.0, 19.0, 19.0], 0),
        ([20.2, (20.1 + 20.3) / 2, 20.2 - 1e-13], 0),
        ([20.0, None, 21.0], 0),
        ([None, None, 30.0], 2),
    ],
)
def test_the_least_error_is_chosen_the_first_of_equals_and_never_what_diverged(errors: list[float | None], place: int) -> None:
    assert choose(errors).place == place and not choose(errors).lost


def test_where_everything_diverged_the_suites_own_setting_stays() -> None:
    assert choose([None, None]).place == 0 and choose([None, None]).lost


def test_a_best_candidate_beyond_which_none_was_tried_is_at_the_edge() -> None:
    tried = [Point(lr=lr, weight_decay=5e-4) for lr in (0.2, 0.05, 0.8)]
    assert [edges(tried, [place]) for place in range(3)] == [(), (Edge("lr", "least"),), (Edge("lr", "greatest"),)]
    both = [Point(lr=0.2, weight_decay=1e-4), Point(lr=0.1, weight_decay=1e-3)]
    found = edges(both, [1])
    assert found == (Edge("lr", "least"), Edge("weight_decay", "greatest")) and edges(both, []) == ()
    assert found[1].told(both[1]) == "its weight decay, 0.001, is the greatest that was tried; widen --weight-decay or raise --budget"


def test_of_candidates_that_tie_the_first_is_taken_and_is_at_no_edge_where_one_lies_inside() -> None:
    tried = [Point(lr=lr, weight_decay=5e-4) for lr in (0.05, 0.2, 0.8)]
    assert best([20.0, 20.0 + 1e-12, 21.0]) == (0, 1) and best([None, None]) == () and best([None, 30.0]) == (1,)
    assert edges(tried, (0, 1)) == () and edges(tried, (0, 2)) == (Edge("lr", "least"),)
    assert choice_text(tried, choose([20.0, 20.0, 21.0])) == (
        "lr 0.05, wd 0.0005, held-out error 20.00 %, tied with 1 other, so it gets the first of them"
    )
    assert "tied with 2 others" in choice_text(tried, choose([20.0, 20.0, 20.0]))
    assert choice_text(tried, choose([20.0, 21.0, 21.0])).endswith("is the least that was tried; widen --lr or raise --budget")


# -- whether a claim survives


def compared(mean: float | None, word: Word | None = None, n: int = 3, diverged: Divergence | None = None) -> Comparison:
    """A comparison of "a" with "b"."""
    return Comparison("a", "b", n, Estimate(mean, None, None, n), Estimate(mean, None, None, n), word=word, divergence=diverged)


@pytest.mark.parametrize(
    ("shared", "tuned", "survival"),
    [
        ((0.4, "open"), (0.1, "open"), "survives"),
        ((0.4, "worse"), (0.1, "open"), "survives"),
        ((0.4, "worse"), (-0.1, "open"), "sign changes"),
        ((0.4, "worse"), (-0.1, "better"), "sign changes"),
        ((0.1, "equivalent"), (-0.1, "equivalent"), "sign changes"),
        ((0.4, "worse"), (0.1, "equivalent"), "answer changes"),
        ((0.1, "equivalent"), (0.2, "worse but negligible"), "answer changes"),
        ((-0.4, "better"), (-0.1, "better"), "reversed at both"),
        ((-0.4, "open"), (-0.1, "open"), "reversed at both"),
        ((0.1, "equivalent"), (0.1, "equivalent"), "equivalent at both"),
        ((0.1, "equivalent"), (0.1, "open"), "survives"),
        ((1e-15, "open"), (-1e-15, "open"), "no difference at both"),
        ((0.4, "worse"), (None, None), "not known yet"),
    ],
)
def test_a_difference_survives_where_its_sign_does_and_is_the_claimed_one(
    shared: tuple[float, Word], tuned: tuple[float, Word], survival: Survival
) -> None:
    assert survived("worse", compared(*shared), compared(*tuned)) == survival
    mirrored: dict[str | None, Word] = {"worse": "better", "better": "worse", "worse but negligible": "better but negligible"}
    turned = [compared(None if mean is None else -mean, mirrored.get(word, word)) for mean, word in (shared, tuned)]
    assert survived("better", *turned) == survival, "the same for a claim of the other sign"


def test_the_verdict_of_a_rate_counts_before_the_mean_and_fewer_than_three_pairs_say_nothing() -> None:
    by_rate = compared(-0.4, "worse", diverged=Divergence(3, 8, 0, 8, 0.01))
    assert survived("worse", by_rate, compared(0.2, "open")) == "survives"
    assert survived("worse", compared(0.4, n=2), compared(0.4, "worse")) == "not known yet"
    assert survived("worse", None, None) == "no difference at both", "two variants that are one network"
    assert [direction(compared(mean, "open")) for mean in (0.0, 3e-15, -3e-15, 1e-6)] == [0, 0, 0, 1], "23.4 - 23.1 - 0.3 is not 0"


@pytest.mark.parametrize(
    ("words", "survival"),
    [
        (("equivalent", "worse but negligible"), "survives"),
        (("equivalent", "worse"), "answer changes"),
        (("worse", "worse"), "fails at both"),
        (("worse", "better"), "fails at both"),
        (("equivalent", "open"), "not known yet"),
    ],
)
def test_an_expected_equivalence_survives_where_it_is_shown_at_both(words: tuple[Word, Word], survival: Survival) -> None:
    one, other = (replace(compared(-3.0 if word == "better" else 3.0, word), all=away(word)) for word in words)
    assert survived("equivalent", one, other) == survival


def away(word: Word) -> Estimate:
    """An interval outside ±2, on the side of the word; around 0 where there is none."""
    return {"worse": Estimate(3.0, 2.5, 3.5, 3), "better": Estimate(-3.0, -3.5, -2.5, 3)}.get(word, Estimate(0.1, -1.0, 1.2, 3))


def answered(expect: Expectation, *found: Comparison | None) -> Answer:
    """A claim of one contrast for each comparison, as a study decides it."""
    contrasts = tuple(Contrast(variant=f"a{place}", reference="b", expect=expect) for place in range(len(found)))
    by_name = {contrast.variant: one for contrast, one in zip(contrasts, found, strict=True)}
    (answer,) = decide([Claim(text="Claim.", contrasts=contrasts)], lambda variant, reference: by_name[variant], 2.0, converged=True)
    return answer


def survived(expect: Expectation, shared: Comparison | None, tuned: Comparison | None) -> Survival:
    one, other = answered(expect, shared), answered(expect, tuned)
    (found,) = robustness([one], [other], lambda contrast: True)
    assert (found.shared, found.tuned) == (one, other) and found.parts[0].survival == found.survival
    (unmoved,) = robustness([one], [other], lambda contrast: False)
    assert unmoved.survival == "same trials", "whatever it may be, nothing was put to the test"
    assert not robustness([], [other], lambda contrast: True) and unmatched([other], []) == ["Claim."] and not unmatched([one], [other])
    return found.survival


def test_a_claim_is_called_by_the_worst_of_its_differences() -> None:
    worse, less, reversed_ = compared(0.4, "worse"), compared(0.1, "open"), compared(-0.4, "better")
    few, none = compared(0.4, n=2), compared(0.0, "open")

    def told(*pairs: tuple[Comparison, Comparison], moved: Callable[[Contrast], bool] = lambda contrast: True) -> Survival:
        answers = (answered("worse", *(pair[side] for pair in pairs)) for side in (0, 1))
        return robustness(*([answer] for answer in answers), moved)[0].survival

    same, changed, against = (worse, less), (worse, reversed_), (reversed_, reversed_)
    assert told(same, same) == "survives" and told(same, changed) == told(against, changed) == "sign changes"
    assert told(same, (few, few)) == "not known yet" and told((few, few), against) == "reversed at both"
    assert told(same, (none, none)) == "no difference at both"
    assert told(same, against, moved=lambda contrast: contrast.variant == "a0") == "reversed at both", "trials that stayed count, too"
    assert told(same, same, moved=lambda contrast: contrast.variant == "a0") == "survives"


# -- the studies


def tuning(root: Path, *words: str) -> Tuning:
    """The tuning that a command line asks for."""
    rest, recipe = take_recipe(["tune", "squeeze", *WORDS, *words, "--workspace", str(root)])
    options = runner.parser(runner.COMMANDS).parse_args(rest)
    options.recipe = recipe
    (found,) = tunings(options, Store(root), asked.source(options))
    return found


def test_the_held_out_part_is_every_variant_at_every_candidate_and_compares_nothing(tmp_path: Path) -> None:
    one = tuning(tmp_path, "--budget", "3", "--tune-seeds", "2")
    study = one.held_out().study
    assert study.seeds == ("0", "1") and one.question.holdout == 40 == study.images.evaluated and study.images.evaluated_on == "holdout"
    assert study.candidates is not None and study.candidates.variants == ("max", "average") and study.candidates.points[0] == OWN
    assert [variant.name for variant in study.variants[:3]] == [
        "max @ lr 0.2, wd 0.0005",
        "average @ lr 0.2, wd 0.0005",
        "max @ lr 0.141, wd 0.00025",
    ]
    assert family(study) == () and len({key for _, _, key in study.trials()}) == 12
    point = one.points[2]
    rates = {"train.lr": point.lr, "train.weight_decay": point.weight_decay, "data.holdout": 40}
    alone = plan_study("squeeze", Order(preset("smoke"), {**TINY, **rates}, [0, 1]), DataSource(None, tmp_path))
    assert alone.variant("max").keys == study.variant(study.candidates.cell("max", 2)).keys, "as a run of that recipe would have it"
    assert Study.model_validate_json(study.model_dump_json()) == study


def test_another_question_has_another_name_and_the_same_one_the_same(tmp_path: Path) -> None:
    asked_for = [[], ["--budget", "13"], ["--lr", "0.05,0.8"], ["--lr", "0.2"], ["--tune-seeds", "2"], ["--data.holdout", "50"]]
    names = [tuning(tmp_path, *words).held_out().study.name for words in asked_for]
    assert len(set(names)) == len(names) and all(name.startswith("squeeze-tuning-1") for name in names)
    assert names[0] == tuning(tmp_path, "--lr", "0.025,0.8", "--data.holdout", "40").held_out().study.name
    assert tuning(tmp_path, "--data.holdout", "50").at_shared().study.name == tuning(tmp_path).at_shared().study.name, (
        "no hold-out in the end"
    )


def test_studies_of_before_load(tmp_path: Path) -> None:
    files = sorted((ROOT / "docs" / "studies").rglob("studies/*.json"))
    assert files
    for file in files:
        study = Study.model_validate_json(file.read_text(encoding="utf-8"))
        assert study.candidates is None and study.tuned is None


# -- the course


def made_up(monkeypatch: pytest.MonkeyPatch, errs: Errs) -> list[tuple[str, float, int, int]]:
    """Let trials be stored instead of trained; returns the list that (squeeze, learning rate, hold-out, seed) of each will be in."""
    ran: list[tuple[str, float, int, int]] = []

    def compute(trial: Trial, folder: Path, *rest: object, **others: object) -> Result:
        config, seed = trial.config, trial.seed
        assert isinstance(config, Config) and isinstance(seed, int) and config.net.block is not None
        ran.append((config.net.block.arguments["squeeze"], config.train.lr, config.data.holdout, seed))
        return made(Store(folder.parent.parent), trial, errs(config, seed))

    monkeypatch.setattr(engines, "compute", compute)
    monkeypatch.setattr(pricing, "_probed", lambda *rest: 60.0)
    monkeypatch.setattr(document, "drawings", lambda reading, formats: {})
    return ran


def made(store: Store, trial: Trial, error: float | None) -> Result:
    """What training would leave, with this error (%)."""
    assert isinstance(trial.config, Config)
    digests = {}
    if error is not None:
        right = np.arange(IMAGES) >= round(error * IMAGES / 100)
        correct = Correctness(right, np.ones(IMAGES, bool), np.arange(IMAGES, dtype=np.uint8) % 10)
        digests["correct.npz"] = store.save_correctness(trial.key, correct)
    return Result(
        key=trial.key,
        config=trial.config,
        seed=trial.seed,
        status="diverged" if error is None else "done",
        errors=None if error is None else Errors(top1=error, top5=0.5, loss=0.2, images=IMAGES),
        cost=trial.cost,
        evaluated_on="holdout" if trial.config.data.holdout else "test",
        data_label="Made",
        history=(Epoch(epoch=1, loss=1.0, error=50.0, lr=0.1),),
        timing=Timing(epochs=(1.0,), evaluation=0.1, total=1.1, images_per_second=1.0),
        provenance=Provenance(
            created="2025-01-01T00:00:00Z", commit=None, dirty=None, versions={}, device="", execution={}, sittings=1, digests=digests
        ),
    )


def squeeze(config: Config) -> str:
    """Which squeeze a config has."""
    assert config.net.block is not None
    return str(config.net.block.arguments["squeeze"])


def bowl(best: dict[str, float], gap: float) -> Errs:
    """An error that rises with the distance from each squeeze's best learning rate; at it "max" errs ``gap`` more than "average"."""

    def errs(config: Config, seed: int) -> float:
        away = abs(np.log(config.train.lr / best[squeeze(config)]))
        return round(
            20 + 4 * float(away) + (gap if squeeze(config) == "max" else 0) + 0.3 * seed + 0.1 * (seed * (squeeze(config) == "max")), 1
        )

    return errs


@pytest.fixture
def ablate(ablate: Ablate, tmp_path: Path) -> Ablate:
    """The command line in a workspace of its own, what trains always with the small recipe; its output as one line."""

    def call(name: str, *words: object) -> tuple[int, str, str]:
        more = [*WORDS, "--no-mlflow", "--threads", "1"] if name in ("tune", "run") else []
        code, out, err = ablate(name, *more, *words, "--workspace", tmp_path)
        return code, " ".join(out.split()), err

    return call


def studies(root: Path) -> tuple[Study, Study, Study]:
    """The shared, the tuned and the held-out study of a workspace with one tuning."""
    all_ = [Store(root).study(name) for name in Store(root).studies()]
    (held,), (tuned,) = ([one for one in all_ if getattr(one, field)] for field in ("candidates", "tuned"))
    (shared,) = (one for one in all_ if one not in (held, tuned))
    return shared, tuned, held


def page(root: Path, study: Study) -> str:
    """The Markdown of a study's page."""
    return (root / "reports" / study.name / "report.md").read_text(encoding="utf-8")


def test_every_variant_is_tried_alike_then_trained_at_both_settings(
    ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = made_up(monkeypatch, bowl({"average": 0.2, "max": 0.06}, gap=1.0))
    code, out, err = ablate("tune", "squeeze", "--budget", 5)
    assert code == 0, err
    shared, tuned, held = studies(tmp_path)
    assert tuned.tuned is not None and held.candidates is not None
    first = [one for one in ran if one[2]]
    assert ran[: len(first)] == first and len(first) == 10 and len(ran) == 10 + 6 + 3, "held-out first; the reference keeps its setting"
    assert {lr for name, lr, _, _ in first if name == "max"} == {lr for name, lr, _, _ in first if name == "average"}
    assert tuned.tuned.point("average") == OWN and tuned.tuned.point("max").lr == 0.0595
    assert tuned.variant("average").keys == shared.variant("average").keys and tuned.variant("max").keys != shared.variant("max").keys
    assert tuned.factor == ("net.block.squeeze", "train.lr", "train.weight_decay") and tuned.claims == shared.claims and not held.claims
    assert tuned.variant("max").changes["train.lr"] == (0.2, 0.0595) and tuned.delta == shared.delta
    assert tuned.tuned.shared == shared.name and tuned.tuned.held_out == held.name and shared.name == tuned.name.replace("-tuned-5", "")
    assert "max: lr 0.0595, wd 0.001, held-out error" in out and "2 variants x 5 settings x 1 seed, on 40 held-out training images" in out
    assert "squeeze: max, seed 0 starts" in out and "squeeze tuned: max, seed 0 starts" in out, "two trials, two names"

    code, out, _ = ablate("tune", "squeeze", "--budget", 5)
    assert code == 0 and "0 trained" in out and len(ran) == 19, "the same command again has nothing to do"
    code, out, _ = ablate("tune", "squeeze", "--budget", 5, "--seeds", 4)
    assert code == 0 and len(ran) == 19 + 3 and studies(tmp_path)[1].seeds == tuple("0123") == studies(tmp_path)[0].seeds
    ablate("tune", "squeeze", "--budget", 6)
    assert [one[2] for one in ran[22:]] == [40, 40], "a greater budget trains the new candidate alone, where it changes no choice"
    assert ablate("prune")[1] == "Every stored trial belongs to a study."

    names = Store(tmp_path).studies()
    assert [one.name for one in meant([Store(tmp_path).study(name) for name in names], "squeeze")] == [shared.name]
    assert ablate("compare", "squeeze:max", "squeeze:average")[0] == 0, "the suite's name means its own setting"
    assert ablate("status")[0] == 0 and ablate("report", "--format", "md", "html", "tex", "csv")[0] == 0
    assert "The same suite was also tuned otherwise in this workspace: squeeze-tuned-6" in page(tmp_path, tuned)
    rows = table(tmp_path / "reports" / tuned.name / "candidates.csv")
    assert [(row["variant"], row["learning_rate"], row["weight_decay"]) for row in rows if row["chosen"] == "True"] == [
        ("max", "0.0595", "0.001"),
        ("average", "0.2", "0.0005"),
    ]
    assert rows == table(tmp_path / "reports" / held.name / "candidates.csv") and len(rows) == 10


def table(file: Path) -> list[dict[str, str]]:
    """The lines of a CSV file."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def part(text: str, name: str = "Shared and tuned setting") -> str:
    """A section of a page."""
    return text.partition(f"## {name}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("rates", "gap", "answer"),
    [
        ({"average": 0.2, "max": 0.0595}, 2.0, "Direction agrees at both settings; its sign survives: **lr-robust**"),
        (
            {"average": 0.2, "max": 0.0595},
            -2.0,
            "Direction agrees at the shared setting, direction is reversed at the tuned one: **sign changes**",
        ),
        ({"average": 0.2, "max": 0.0595}, -8.0, "Direction is reversed at both settings: **reversed at both**"),
        (
            {"average": 0.2, "max": 0.0595},
            0.1,
            "Direction agrees at the shared setting, not resolved at the tuned one: **answer changes**",
        ),
        ({"average": 0.2, "max": 0.2}, 2.0, "Direction agrees at both settings: **the same trials at both settings**"),
    ],
)
def test_the_page_says_which_claims_survive(
    rates: dict[str, float], gap: float, answer: str, ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, bowl(rates, gap))
    assert ablate("tune", "squeeze", "--budget", 4, "--weight-decay", 5e-4)[0] == 0
    _, tuned, held = studies(tmp_path)
    assert tuned.tuned is not None
    text, moved = page(tmp_path, tuned), rates["max"] != OWN.lr
    section = part(text)
    assert f"- The maximum is a little worse than the average. {answer}\n" in section
    same = "the trials of average are the same at both" if moved else "the same trials at both settings"
    assert re.search(rf"max against average, expected worse: [+−]\d.*n = 3\) shared, [+−]\d.*n = 3\) tuned; {same}\.", section)
    assert "a learning rate of its own: the best of 4 candidates" in section and "weight decay" not in tuned.notes[-1]
    line = next(line for line in section.splitlines() if line.startswith("| max"))
    assert f"| {rates['max']:g} " in " ".join(line.split()) and "the reference's; each variant has a setting of its own" in text
    assert line.split("|")[-2].strip() == ("−4.80 (no spread)" if moved else "the same trials"), "what tuning changed"
    assert "The choice was made by seed 0, which is among the seeds here." in section and "Not the same" not in section
    error = re.search(r"An error of (\d+\.\d) % on 40 images has a binomial standard error of (\d+\.\d) points", section)
    assert error and abs(float(error[2]) - (float(error[1]) * (100 - float(error[1])) / 40) ** 0.5) < 0.06
    own = page(tmp_path, held)
    assert "What each variant gets" in own and "errs on" not in own and "the test set was not read" in own and "| **20.0" in own
    assert "better" not in own and f"    {command(held)}\n" in own
    listed = f"This suite was also trained with each variant tuned, in this workspace: {tuned.name} (4 candidates, shared setting lr 0.2"
    shared, _, _ = studies(tmp_path)
    assert listed in page(tmp_path, shared) and listed not in text and "also tuned" not in text
    (tmp_path / "studies" / f"{tuned.tuned.shared}.json").unlink()
    ablate("report", tuned.name)
    assert "is not in this workspace, so nothing is held against it" in page(tmp_path, tuned)
    # the printed command asks for these very studies
    words = command(tuned).split()[2:]
    again = tuning(tmp_path, *words[words.index("--budget") :])
    assert again.held_out().study == held and [share.study.name for share in again.finals()][1] == tuned.name


def test_a_best_at_the_edge_and_a_variant_that_always_diverges_are_told(
    ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def errs(config: Config, seed: int) -> float | None:
        return None if squeeze(config) == "max" and config.data.holdout else 40 - 10 * config.train.lr - seed

    made_up(monkeypatch, errs)
    code, _, _ = ablate("tune", "squeeze", "--budget", 4)
    _, tuned, held = studies(tmp_path)
    assert code == 0 and tuned.tuned is not None and tuned.tuned.choices["max"].lost and tuned.tuned.point("max") == OWN
    greatest = max(point.lr for point in tuned.tuned.points)
    for text in (page(tmp_path, tuned), page(tmp_path, held)):
        assert "max: all 4 candidates diverged on the held-out images, so it keeps the shared setting, lr 0.2, wd 0.0005" in text
        assert f"**{40 - 10 * greatest:.2f}**" in text and "| diverged |" in " ".join(text.split())
    assert f"its learning rate, {greatest:g}, is the greatest that was tried; widen --lr or raise --budget" in page(tmp_path, held)
    assert f"{greatest:g} ‡" in page(tmp_path, tuned)
    assert "no candidate has a smaller or a greater value than this best one" in page(tmp_path, tuned), "its weight decay is the least"


def test_nothing_is_chosen_and_no_test_image_read_while_a_held_out_trial_is_missing(
    ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bowl({"average": 0.2, "max": 0.06}, 1.0)

    def errs(config: Config, seed: int) -> float | None:
        if squeeze(config) == "max" and config.train.lr == 0.141:
            raise RuntimeError("no memory")
        return whole(config, seed)

    ran = made_up(monkeypatch, errs)
    code, out, err = ablate("tune", "squeeze", "--budget", 3)
    assert code == 1 and "no memory" in err and all(holdout for _, _, holdout, _ in ran) and len(ran) == 6
    assert "Nothing is chosen while held-out trials" in out and "average: lr" not in out and len(Store(tmp_path).studies()) == 1
    with pytest.raises(NotChosen, match=r"Nothing is chosen while held-out trials .* \(max\)"):
        tuning(tmp_path, "--budget", "3").finals()
    (held,) = map(Store(tmp_path).study, Store(tmp_path).studies())
    ablate("report", "--format", "md", "csv")
    assert "| **" not in page(tmp_path, held) and "Nothing is chosen while" in part(page(tmp_path, held), "What each variant gets")
    rows = table(tmp_path / "reports" / held.name / "candidates.csv")
    assert [row["state"] for row in rows] == ["done", "missing", "done"] + 3 * ["done"] and {row["chosen"] for row in rows} == {""}
    ran = made_up(monkeypatch, whole)
    code, out, _ = ablate("tune", "squeeze", "--budget", 3, "--retry-failed")
    assert code == 0 and len(ran) == 1 + 6 + 3, "only what is missing"


def test_a_precision_gives_both_settings_a_second_stage(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, bowl({"average": 0.2, "max": 0.06}, 1.0))
    code, out, err = ablate("tune", "squeeze", "--budget", 3, "--until-half-width", 0.2, "--first-seeds", 3, "--max-seeds", 9)
    shared, tuned, _ = studies(tmp_path)
    assert code == 0 and out.count("held-out error") == out.count("max: lr 0.0595") + out.count("average: lr 0.2"), err
    assert shared.seeds == tuned.seeds and 3 < len(tuned.seeds) <= 9 and tuned.tuned is not None and tuned.precision == shared.precision


def test_a_precision_is_decided_by_the_shared_setting_for_both(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def errs(config: Config, seed: int) -> float:
        wild = 1.0 if config.train.lr == 0.0595 else 0.1
        noise = wild * (-1) ** seed * (1 + seed % 3) if squeeze(config) == "max" else 0.0
        return round(bowl({"average": 0.2, "max": 0.0595}, 1.0)(config, 0) + noise, 1)

    made_up(monkeypatch, errs)
    code, _, err = ablate("tune", "squeeze", "--budget", 4, "--until-half-width", 1, "--first-seeds", 3, "--max-seeds", 12)
    shared, tuned, _ = studies(tmp_path)
    assert code == 0 and shared.seeds == tuned.seeds == tuple("012") and shared.looks == tuned.looks, err
    assert "The spread of the first 3 seeds at the shared setting decided how many there are" in page(tmp_path, tuned)
    assert "**not reached**" in page(tmp_path, tuned) and ": reached." in page(tmp_path, shared)


def test_intervals_stay_exact_where_the_spread_at_the_other_setting_decided_the_number_of_seeds() -> None:
    """Simulated: differences at the two settings that go together by 0.9, as they do where both share their seeds. The usual t, with the
    spread over all seeds, is what would not do."""
    generator, first, most, studies = np.random.default_rng(1), 5, 30, 20_000
    shared, own = generator.normal(size=(2, studies, most))
    tuned = 0.9 * shared + (1 - 0.9**2) ** 0.5 * own
    asked = np.array([min(most, stein_seeds(float(spread), first, 0.8)) for spread in shared[:, :first].std(1, ddof=1)])
    covered = usual = 0
    for count in np.unique(asked):
        some = tuned[asked == count][:, :count]
        (low, high), (below, above) = (found.interval() for found in (two_stage(some, 0 * some, first), paired(some, 0 * some)))
        covered, usual = covered + int(((low <= 0) & (high >= 0)).sum()), usual + int(((below <= 0) & (above >= 0)).sum())
    assert len(np.unique(asked)) == most - first + 1 and abs(covered / studies - 0.95) < 0.005 and usual / studies < 0.94


# -- both settings have the same seeds, claims, δ and rules


def test_the_tuned_study_has_what_the_stored_shared_one_has(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = made_up(monkeypatch, bowl({"average": 0.2, "max": 0.0595}, 1.0))
    ablate("run", "squeeze", "--seeds", 4, "--looks", 2)
    (name,) = Store(tmp_path).studies()
    edited(tmp_path, name, text="Older words of the claim.", delta=7.0, looks=2)
    del ran[:]
    code, out, _ = ablate("tune", "squeeze", "--budget", 3)
    shared, tuned, _ = studies(tmp_path)
    assert code == 0 and f"{shared.name}: it has 4 seeds in this workspace, so both settings get these." in out
    assert [seed for name, _, holdout, seed in ran if not holdout] == [0, 1, 2, 3], "the tuned variant at all of them"
    assert shared.name == name and shared.seeds == tuned.seeds == tuple("0123") and shared.planned_looks == tuned.planned_looks == 2
    assert shared.looks == tuned.looks and shared.claims == tuned.claims and shared.delta == tuned.delta == 7.0
    section = part(page(tmp_path, tuned))
    assert "- Older words of the claim. " in section and "Not the same" not in section and "n = 4) shared" in section
    ablate("tune", "squeeze", "--budget", 3, "--seed-list", "7")
    assert [study.seeds for study in studies(tmp_path)[:2]] == 2 * [("0", "1", "2", "3", "7")]


def edited(root: Path, name: str, text: str, delta: float, looks: int = 1) -> None:
    """A stored study as it would be had it been declared otherwise."""
    file = root / "studies" / f"{name}.json"
    tree = json.loads(file.read_text())
    tree["claims"][0]["text"], tree["delta"], tree["planned_looks"] = text, delta, looks
    file.write_text(json.dumps(tree))


def test_what_the_two_studies_do_not_share_is_said_and_left_out(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, bowl({"average": 0.2, "max": 0.0595}, 1.0))
    ablate("tune", "squeeze", "--budget", 3)
    shared, tuned, _ = studies(tmp_path)
    before = part(page(tmp_path, tuned))
    ablate("run", "squeeze", "--seeds", 5)
    ablate("report", tuned.name)
    section = part(page(tmp_path, tuned))
    assert "**Not the same seeds**: seed 3, seed 4 only at the shared setting." in section
    kept = [line for line in section.splitlines() if "Not the same" not in line and "run again" not in line]
    assert [line for line in kept if line] == [line for line in before.splitlines() if line], "all of it is of the three seeds of both"
    edited(tmp_path, shared.name, text=shared.claims[0].text, delta=7.0)
    ablate("report", tuned.name)
    section = part(page(tmp_path, tuned))
    assert "**Not the same δ**: 7 points at the shared setting and 2 at the tuned one." in section and "lr-robust**" not in section
    assert "Direction agrees at both settings: **not comparable**" in section
    edited(tmp_path, shared.name, text=shared.claims[0].text, delta=2.0, looks=2)
    ablate("report", tuned.name)
    assert "**Not the same rule**" in part(page(tmp_path, tuned))
    edited(tmp_path, shared.name, text="Older words of the claim.", delta=2.0)
    ablate("report", tuned.name)
    section = part(page(tmp_path, tuned))
    assert (
        f"with these comparisons: Older words of the claim. (shared setting); {tuned.claims[0].text} (tuned setting)." in section
        and "lr-robust" not in section
    )
    ablate("tune", "squeeze", "--budget", 3)
    assert "Not the same" not in page(tmp_path, tuned) and "**lr-robust**" in page(tmp_path, tuned)
    assert len(Store(tmp_path).studies()) == 3


def test_a_first_stage_counts_where_the_two_studies_have_all_of_it(tmp_path: Path) -> None:
    study = tuning(tmp_path, "--seeds", "4").at_shared().study.model_copy(update={"precision": Precision(half_width=1.0, first=2, most=9)})
    whole, part_ = (_only(Reading(study, ()), set(), set(seeds)).study for seeds in ("013", "123"))
    assert (whole.seeds, whole.precision) == (("0", "1", "3"), study.precision)
    assert (part_.seeds, part_.precision, part_.looks) == (("1", "2", "3"), None, (("1", "2", "3"),))


def test_seeds_that_only_some_variants_have_are_taken_over(tmp_path: Path) -> None:
    """As ``run --only-open`` adds them."""
    one = tuning(tmp_path, "--budget", "3", "--seeds", "3")
    base = one.at_shared().study
    some = tuple(
        variant if variant.name == base.reference else variant.model_copy(update={"keys": dict(list(variant.keys.items())[:2])})
        for variant in base.variants
    )
    rule = Precision(half_width=1.0, first=2, most=9)
    base = base.model_copy(update={"variants": some, "looks": (("0",), ("1",), ("2",)), "precision": rule})
    choices = {name: Choice(place=2, errors=(2.0, 3.0, 1.0)) for name in ("max", "average")}
    record = Tuned(question=one.question, points=one.points, choices=choices, shared=base.name, held_out="h", options=("--budget", "3"))
    found = tuned_study(base, "t", record)
    assert (found.seeds, found.looks, found.precision) == (base.seeds, base.looks, rule)
    assert {variant.name: tuple(variant.keys) for variant in found.variants} == {"max": ("0", "1"), "average": ("0", "1", "2")}
    assert found.variant("max").recipe.train.lr == one.points[2].lr and not set(found.variant("max").keys.values()) & set(
        some[0].keys.values()
    )
    verbs = [" ".join(line.split()[:2]) for line in commands(found)]
    assert verbs == ["ablate run", "ablate run", "ablate tune"] and "--only-open --add-seeds 1" in commands(found)[1]
    hole = Cell("average", "2", "k", "missing", None, "")
    assert "--only-open" in command(base, [hole]) and "--only-open" not in command(found, [hole]), "tune takes no --only-open"
    assert "--only-open" not in commands(found)[2] and len(commands(found.model_copy(update={"variants": keyed_alike(found)}))) == 1


def keyed_alike(study: Study) -> tuple[Any, ...]:
    """The study's variants, all with keys for every seed."""
    return tuple(
        variant.model_copy(update={"keys": {seed: variant.keys.get(seed, "k") for seed in study.seeds}}) for variant in study.variants
    )


def test_other_choices_make_a_study_of_another_name(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, bowl({"average": 0.2, "max": 0.0595}, 1.0))
    ablate("tune", "squeeze", "--budget", 3)
    _, tuned, held = studies(tmp_path)
    for variant, _, key in held.trials():
        if variant.name.startswith("max @ lr 0.0595"):
            (tmp_path / "trials" / key).rename(tmp_path / key)
    made_up(monkeypatch, bowl({"average": 0.2, "max": 0.2}, 1.0))
    ablate("tune", "squeeze", "--budget", 3)
    (other,) = (study for name in Store(tmp_path).studies() if (study := Store(tmp_path).study(name)).tuned and name != tuned.name)
    assert Store(tmp_path).study(tuned.name) == tuned and other.name.startswith(f"{tuned.name}-")
    assert other.tuned is not None and other.tuned.point("max").lr == 0.141
    assert [one.name for one in companions(tuned, Store(tmp_path))] == [tuned.tuned.shared if tuned.tuned else "", other.name]


def test_a_suite_that_was_tuned_again_from_another_setting_cannot_hide_it(
    ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, bowl({"average": 0.2, "max": 0.0595}, 1.0))
    ablate("tune", "squeeze", "--budget", 3)
    shared, first, _ = studies(tmp_path)
    ablate("tune", "squeeze", "--budget", 2, "--train.lr", 0.15)
    store = Store(tmp_path)
    (second,) = (study for name in store.studies() if (study := store.study(name)).tuned and name != first.name)
    ablate("report")
    assert f"also tuned otherwise in this workspace: {second.name} (2 candidates, shared setting lr 0.15, wd 0.0005)." in page(
        tmp_path, first
    )
    assert f"also tuned otherwise in this workspace: {first.name} (3 candidates, shared setting lr 0.2, wd 0.0005)." in page(
        tmp_path, second
    )
    for study in (shared, store.study(second.tuned.shared if second.tuned else "")):
        assert first.name in page(tmp_path, study) and second.name in page(tmp_path, study)
    ablate("run", "squeeze", "--train.momentum", 0.8)
    (other,) = (name for name in store.studies() if "train.momentum" in store.study(name).overrides)
    assert first.name in page(tmp_path, store.study(other)), "of the same suite, preset and data"
    (tmp_path / "studies" / f"{first.name}.json").write_text("no study")
    assert [one.name for one in companions(shared, store)] == [second.name], "a damaged one does not break the page of another"


def test_two_seeds_choose_by_their_mean_and_one_that_diverged_or_is_missing_is_not_averaged_away(
    ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table_ = {
        ("max", 0.2): (20.0, 22.0),
        ("max", 0.141): (1.0, None),
        ("max", 0.0595): (25.0, 15.0),
        ("average", 0.2): (20.0, 20.0),
        ("average", 0.141): (2.0, 50.0),
        ("average", 0.0595): (19.0, 20.0),
    }
    broken = True

    def errs(config: Config, seed: int) -> float | None:
        if not config.data.holdout:
            return 20.0 + seed
        if broken and (squeeze(config), config.train.lr, seed) == ("average", 0.141, 1):
            raise RuntimeError("no memory")
        return table_[squeeze(config), config.train.lr][seed]

    made_up(monkeypatch, errs)
    code, out, _ = ablate("tune", "squeeze", "--budget", 3, "--tune-seeds", 2)
    (held,) = map(Store(tmp_path).study, Store(tmp_path).studies())
    assert code == 1 and "Nothing is chosen" in out and "(average)" in out and "2.00 (n = 1)" in page(tmp_path, held)
    with pytest.raises(NotChosen):
        tuning(tmp_path, "--budget", "3", "--tune-seeds", "2").finals()
    broken = False
    code, out, err = ablate("tune", "squeeze", "--budget", 3, "--tune-seeds", 2, "--retry-failed")
    _, tuned, held = studies(tmp_path)
    assert code == 0 and tuned.tuned is not None, err
    assert tuned.tuned.choices["max"] == Choice(place=2, errors=(21.0, None, 20.0)), "the one that diverged at one seed has no error"
    assert tuned.tuned.choices["average"] == Choice(place=2, errors=(20.0, 26.0, 19.5))
    section = part(page(tmp_path, tuned))
    assert "mean over 2 seeds" in section and "on 2 × 40 images" in section and "seeds 0, 1, which are among the seeds here" in section
    assert "diverged" in page(tmp_path, held) and "**20.00**" in page(tmp_path, held)


def test_crossed_factors_are_held_against_each_other_by_their_effects(
    ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def errs(config: Config, seed: int) -> float:
        assert config.net.block is not None
        block = config.net.block.arguments
        gate = {"sigmoid": 0, "tanh": 1, "relu": 2}[block["gate"]]
        away = abs(np.log(config.train.lr / (0.0595 if gate else 0.2)))
        noise = np.random.default_rng([seed, gate, block["reduction"], block["squeeze"] == "max"]).integers(-2, 3) / 10
        return round(float(20 + 4 * away + 1.5 * (block["squeeze"] == "max") + noise + 0.1 * seed), 1)

    made_up(monkeypatch, errs)
    code, _, err = ablate("tune", "interactions", "--budget", 3)
    shared, tuned, _ = studies(tmp_path)
    section = part(page(tmp_path, tuned))
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    effects = {cells[0]: cells[1:] for cells in lines if len(cells) == 6 and cells[1] == "3"}
    assert code == 0 and len(effects) == 9, err
    assert effects["tanh − sigmoid"][2] == "worse" and effects["tanh − sigmoid"][4] != "worse"
    assert all(effects["max and tanh"][column].startswith(("add up", "open")) for column in (2, 4)), "in the words for interactions"
    cells = [line for line in lines if len(line) == 7 and line[3] == "3"]
    assert len(cells) == 12 and not any("–" in line for line in cells), "no column of dashes"
    assert "the same trials" in cells[0] and "‡" in cells[2][1] and section.count("At the edge") == 1 and "\n- average, tanh" not in section
    assert "expected to add up" in section and "the trials of 4 of its 8 cells are the same at both" in section
    assert "Tanh and ReLU are worse than the sigmoid" in section and "interactions-tuned-3" in page(tmp_path, shared)


def test_a_dry_run_tells_the_price_and_writes_nothing(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran, probed = made_up(monkeypatch, bowl({"average": 0.2, "max": 0.06}, 1.0)), []
    monkeypatch.setattr(pricing, "_probed", lambda *rest: probed.append(rest) or 60.0)
    code, out, _ = ablate("tune", "squeeze", "--budget", 4, "--dry-run")
    assert code == 0 and not ran and not (tmp_path / "studies").exists()
    assert "8 trials on held-out images, 8 left to train." in out and "6 trials at the tuned setting, at most 6 left to train." in out
    assert "Together about 20 minutes here." in out and len(probed) == 4, "a network costs the same at every rate"
    ablate("tune", "squeeze", "--budget", 4, "--only-tuning")
    code, out, _ = ablate("tune", "squeeze", "--budget", 4, "--dry-run")
    assert "8 trials on held-out images, 0 left" in out and "6 trials at the tuned setting, 3 left to train." in out
    name = [share.study.name for share in tuning(tmp_path, "--budget", "4").finals()][1]
    (tmp_path / "studies" / f"{name}.json").write_text("no study")
    code, _, err = ablate("tune", "squeeze", "--budget", 4, "--dry-run")
    assert code == 1 and f"{name}.json" in err, "what is wrong is no reason to say that nothing is known yet"


def test_what_the_final_studies_refuse_is_refused_before_anything_is_trained(
    ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = made_up(monkeypatch, bowl({"average": 0.2, "max": 0.06}, 1.0))
    ablate("run", "squeeze")
    del ran[:]
    code, _, err = ablate("tune", "squeeze", "--budget", 3, "--looks", 3)
    assert code == 2 and "Looks are declared before any result is there." in err and not ran
    code, _, err = ablate("tune", "reduction", "squeeze", "--budget", 3, "--looks", 3)
    assert code == 2 and "Looks are declared before any result is there." in err and not ran, "of any suite"
    assert len(Store(tmp_path).studies()) == 1


class Unreadable:
    """A side of a data set that must not be touched."""

    def _raise(self, *rest: object) -> NoReturn:
        raise AssertionError("the test side was read")

    __getattr__ = __getitem__ = __len__ = __iter__ = __array__ = _raise


def test_tuning_reads_no_test_label(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real trainings. That nothing can be read unseen is proved by the final trials, which fail for both, and for the labels alone where
    the images can be read."""
    whole, sides = Digits.arrays, {"test_images", "test_labels"}

    def arrays(self: Digits) -> Arrays:
        nothing: Any = Unreadable()
        return replace(whole(self), **dict.fromkeys(sides, nothing))

    monkeypatch.setattr(Digits, "arrays", arrays)
    monkeypatch.setattr(document, "drawings", lambda reading, formats: {})
    code, out, err = ablate("tune", "squeeze", "--budget", 2, "--only-tuning")
    assert code == 0 and "4 trained, 0 of them diverged; 0 failed" in out, err
    for unreadable in ({"test_images", "test_labels"}, {"test_labels"}):
        sides = unreadable
        code, out, err = ablate("tune", "squeeze", "--budget", 2, "--seeds", 1, "--retry-failed")
        assert code == 1 and "the test side was read" in err and "0 trained" in out


# -- mistakes


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["squeeze", "--budget", "1"], "'1' is no budget: a number of settings from 2 to 1000"),
        (["squeeze", "--lr", "0.4,0.1"], "'0.4,0.1' is no range LOW,HIGH"),
        (["squeeze", "--lr", "0,0.1"], "'0,0.1' is no range LOW,HIGH"),
        (["squeeze", "--lr", "1,2,3"], "'1,2,3' is no range LOW,HIGH"),
        (["squeeze", "--weight-decay", "small"], "'small' is no range LOW,HIGH"),
        (["squeeze", "--weight-decay", "0.001"], "the recipe's is 0.0005; say --train.weight_decay 0.001"),
        (["squeeze", "--lr", "0.2", "--weight-decay", "0.0005"], "There is nothing to tune"),
        (["squeeze", "--data.holdout", "0"], "--data.holdout 0 leaves none"),
        (["squeeze", "--data.holdout", "400"], "data.holdout = 400 leaves nothing to train on"),
        (["squeeze", "--data.holdout", "390"], "train.batch = 64 is more than the 10 training images"),
        (["squeeze", "--vary", "init"], "--vary moves one random stream"),
        (["squeeze", "--only-open", "--add-seeds", "2"], "give both more with --seeds"),
        (["squeze"], "did you mean 'squeeze'"),
        ([], "Name one or more suites"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(words: list[str], sentence: str, ablate: Ablate, tmp_path: Path) -> None:
    code, _, err = ablate("tune", *words)
    assert code == 2 and sentence in err and "Traceback" not in err
    assert not (tmp_path / "trials").exists() and not (tmp_path / "studies").exists()


def test_own_loops_and_suites_of_several_rates_are_refused(ablate: Ablate, tmp_path: Path) -> None:
    from test_docs import forget

    loop, suite = tmp_path / "a_loop.py", tmp_path / "rates.py"
    loop.write_text(
        "from ablations.own_loop import loop\n"
        "@loop('a_loop_to_tune', metric='score', better='lower', delta=1, reference='a', variants={'a': {}, 'b': {'x': 1}})\n"
        "def train(config, seed, out, report):\n    return {'score': 1.0}\n"
    )
    suite.write_text(
        "from ablations.suite import SUITES, Suite, Variant\n"
        "@SUITES.add('rates')\n"
        "def rates(setting):\n"
        "    half = setting.base.but({'train.lr': setting.base.train.lr / 2})\n"
        "    variants = (Variant(name='whole', config=setting.base), Variant(name='half', config=half, against='half'))\n"
        "    return Suite(name='rates', title='R', question='?', source='', factor=('train.lr',), reference='whole', variants=variants)\n"
    )
    try:
        code, _, err = ablate("tune", "rates", "--load", suite)
        assert code == 2 and "The suite 'rates' varies the learning rate or the weight decay itself" in err
        code, _, err = ablate("tune", "a_loop_to_tune", "--load", loop)
        assert code == 2 and "'a_loop_to_tune' is a training loop of your own" in err
    finally:
        forget()
