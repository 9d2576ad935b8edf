"""Fair tuning: the same candidates for every variant, a choice on held-out images alone, and what becomes of claims. Trials are made up."""

from __future__ import annotations

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
from ablations.selection import meant
from ablations.statistics.claims import Answer, Part, Verdict
from ablations.statistics.comparison import Comparison, Divergence, Word
from ablations.statistics.estimation import Estimate
from ablations.statistics.robustness import Survival, direction, robustness
from ablations.statistics.verdicts import family
from ablations.store import Correctness, Store
from ablations.study import Study
from ablations.suite import Contrast, Expectation
from ablations.tuning.choice import Edge, choose, edges
from ablations.tuning.course import Tuning, tunings
from ablations.tuning.points import points, radical_inverse, spans
from ablations.tuning.record import Point
from report import document
from report.record import command
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
    assert [edges(tried, place) for place in range(3)] == [(), (Edge("lr", "least"),), (Edge("lr", "greatest"),)]
    both = [Point(lr=0.2, weight_decay=1e-4), Point(lr=0.1, weight_decay=1e-3)]
    assert edges(both, 1) == (Edge("lr", "least"), Edge("weight_decay", "greatest"))
    assert (
        edges(both, 1)[1].told(both[1]) == "its weight decay, 0.001, is the greatest that was tried; widen --weight-decay or raise --budget"
    )


# -- whether a claim survives


def compared(mean: float | None, word: Word | None = None, n: int = 3, diverged: Divergence | None = None) -> Comparison:
    """A comparison of "a" with "b"."""
    return Comparison("a", "b", n, Estimate(mean, None, None, n), Estimate(mean, None, None, n), word=word, divergence=diverged)


@pytest.mark.parametrize(
    ("shared", "tuned", "survival"),
    [
        (compared(0.4, "open"), compared(0.1, "open"), "survives"),
        (compared(0.4, "worse"), compared(-0.1, "open"), "sign changes"),
        (compared(0.4, "worse"), compared(-0.1, "better"), "sign changes"),
        (compared(0.4, "worse"), compared(None, n=0), "not known yet"),
        (compared(0.4, n=2), compared(0.4, "worse"), "not known yet"),
        (compared(-0.4, "worse", diverged=Divergence(3, 8, 0, 8, 0.01)), compared(0.2, "open"), "survives"),
        (None, None, "survives"),
    ],
)
def test_a_difference_survives_where_its_sign_does(shared: Comparison | None, tuned: Comparison | None, survival: Survival) -> None:
    assert survived("worse", (shared, "open"), (tuned, "open")) == survival


@pytest.mark.parametrize(
    ("answers", "survival"),
    [(("holds", "holds"), "survives"), (("holds", "fails"), "answer changes"), (("holds", "open"), "not known yet")],
)
def test_an_expected_equivalence_survives_where_its_answer_does(answers: tuple[Verdict, Verdict], survival: Survival) -> None:
    one, other = answers
    assert survived("equivalent", (compared(0.1), one), (compared(-0.1), other)) == survival


def survived(expect: Expectation, *settings: tuple[Comparison | None, Verdict]) -> Survival:
    contrast = Contrast(variant="a", reference="b", expect=expect)
    shared, tuned = ([Answer("Claim.", (Part(contrast, one, word, "agrees"),), None, "agrees")] for one, word in settings)
    (found,) = robustness(shared, tuned)
    assert not robustness([], tuned), "a claim of only one of the two studies is left out"
    return found.survival


def test_a_claim_changes_where_one_of_its_differences_does() -> None:
    contrast = Contrast(variant="a", reference="b", expect="worse")

    def answer(*means: float) -> Answer:
        return Answer("Both.", tuple(Part(contrast, compared(mean, "open"), "open", "agrees") for mean in means), None, "agrees")

    assert robustness([answer(0.1, 0.2)], [answer(0.2, -0.1)])[0].survival == "sign changes"
    assert robustness([answer(0.1, 0.2)], [answer(0.2, 0.1)])[0].survival == "survives"
    assert direction(compared(0.0, "open")) == 0


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
    """The command line in a workspace of its own, a tuning always with the small recipe; its output as one line."""

    def call(name: str, *words: object) -> tuple[int, str, str]:
        more = [*WORDS, "--no-mlflow", "--threads", "1"] if name == "tune" else []
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
    assert "The same suite was also tuned otherwise in this workspace: squeeze-tuned-6" in page(tmp_path, tuned).replace("\\", "")


@pytest.mark.parametrize(
    ("best", "gap", "word"),
    [({"average": 0.2, "max": 0.2}, 2.0, "lr-robust"), ({"average": 0.2, "max": 0.0595}, -2.0, "sign changes")],
)
def test_the_page_says_which_claims_survive(
    best: dict[str, float], gap: float, word: str, ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(monkeypatch, bowl(best, gap))
    assert ablate("tune", "squeeze", "--budget", 4, "--weight-decay", 5e-4)[0] == 0
    _, tuned, held = studies(tmp_path)
    assert tuned.tuned is not None
    text = page(tmp_path, tuned)
    section = text[text.index("## Shared and tuned setting") : text.index("## Comparisons")]
    assert f"- The maximum is a little worse than the average. **{word}**" in section
    assert re.search(r"max against average, expected worse: \+\d.* shared, [+−]\d.* tuned\.", section)
    assert "a learning rate of its own: the best of 4 candidates" in section and "weight decay" not in tuned.notes[-1]
    line = next(line for line in section.splitlines() if line.startswith("| max"))
    assert f"| {best['max']:g} " in " ".join(line.split()) and "the reference's; each variant has a setting of its own" in text
    own = page(tmp_path, held)
    assert "What each variant gets" in own and "errs on" not in own and "the test set was not read" in own and "| **20.0" in own
    assert "better" not in own and f"    {command(held)}\n" in own
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
        assert f"its learning rate, {greatest:g}, is the greatest that was tried; widen --lr or raise --budget" in text
    assert f"{greatest:g} ‡" in page(tmp_path, tuned) and "| diverged |" in " ".join(page(tmp_path, held).split())


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
    assert "max: not chosen yet" in out and len(Store(tmp_path).studies()) == 1
    with pytest.raises(InputError, match=r"Nothing is chosen while held-out trials .* \(max\)"):
        tuning(tmp_path, "--budget", "3").finals()
    ran = made_up(monkeypatch, whole)
    code, out, _ = ablate("tune", "squeeze", "--budget", 3, "--retry-failed")
    assert code == 0 and len(ran) == 1 + 6 + 3, "only what is missing"


def test_a_precision_gives_both_settings_a_second_stage(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, bowl({"average": 0.2, "max": 0.06}, 1.0))
    code, out, err = ablate("tune", "squeeze", "--budget", 3, "--until-half-width", 0.2, "--first-seeds", 3, "--max-seeds", 9)
    shared, tuned, _ = studies(tmp_path)
    assert code == 0 and out.count("held-out error") == out.count("max: lr 0.0595") + out.count("average: lr 0.2"), err
    assert shared.seeds == tuned.seeds and 3 < len(tuned.seeds) <= 9 and tuned.tuned is not None and tuned.precision is not None


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


class Unreadable:
    """A side of a data set that must not be touched."""

    def _raise(self, *rest: object) -> NoReturn:
        raise AssertionError("the test side was read")

    __getattr__ = __getitem__ = __len__ = __iter__ = __array__ = _raise


def test_tuning_reads_no_test_label(ablate: Ablate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real trainings. That a label cannot be read unseen is proved by the final trials, which fail for it."""
    whole = Digits.arrays

    def arrays(self: Digits) -> Arrays:
        nothing: Any = Unreadable()
        return replace(whole(self), test_images=nothing, test_labels=nothing)

    monkeypatch.setattr(Digits, "arrays", arrays)
    monkeypatch.setattr(document, "drawings", lambda reading, formats: {})
    code, out, err = ablate("tune", "squeeze", "--budget", 2, "--only-tuning")
    assert code == 0 and "4 trained, 0 of them diverged; 0 failed" in out, err
    code, out, err = ablate("tune", "squeeze", "--budget", 2, "--seeds", 1)
    assert code == 1 and "the test side was read" in err


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
