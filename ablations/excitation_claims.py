"""What Section 7.2 of the paper says of excitation, decided on one variant over its seeds, by rules that stand here before any number.

The paper looks at the gates of SE-ResNet-50 on ImageNet (its stages counted from 2) and says: the last block of stage 2 treats all classes
alike; at the last block of stage 4 and the first of stage 5 gates depend on the class; the last blocks of stage 5 saturate or show one
pattern for all classes, so they matter less. Networks for CIFAR have three stages. Here the *first* stage stands for stage 2, the last but
one for stage 4 and the last one for stage 5, whatever their number, so a network of four stages is read as the paper's own.

*Share* is the share of the gates' variance that lies between classes (``ClassGates.share``; 0 where they do not vary), in percent; *spread*
is their standard deviation over images (``ClassGates.spread``), times 100. Both are taken by block and seed, and averaged where several
blocks are meant.

1. "Early blocks treat all classes alike": the share of the first stage's blocks is lower than that of the last stage but one.
2. "Later blocks depend on the class": in the last block of the last stage but one, and in the first of the last stage (unless that is
   its only one), the share is higher than in the first stage, *and* the error rises when the block's gates are dealt out to other images.
3. "The last block's gates are nearly constant": the error changes by less than δ when they are replaced by their mean (equivalence),
   *and* their spread is lower than that of the blocks before it.

Every contrast is a paired t test over seeds at 5 %, corrected by Holm within its family: one family of shares and spreads, and one of all
knockouts, two a block. As for every claim, a verdict needs a preset that trains to convergence; elsewhere the direction alone is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ablations.excitation import Look
from ablations.statistics.claims import Answer, decide
from ablations.statistics.comparison import Arm, Comparison, Comparisons, Pair, Rule, compare
from ablations.statistics.estimation import Estimate
from ablations.study import Study
from ablations.suite import Claim, Contrast
from senet_core.class_gates import ClassGates

INTACT = "intact"
FIRST, LATE, BEFORE = "share: first stage", "share: last stage but one", "spread: blocks before the last"


@dataclass(frozen=True)
class Roles:
    """Which blocks, by path, stand for which of the paper's; of a network with gated blocks in three stages at least."""

    first: tuple[str, ...]
    late: tuple[str, ...]
    specific: tuple[str, ...]
    before: tuple[str, ...]
    last: str


def roles(blocks: Sequence[ClassGates]) -> Roles | None:
    """The blocks' roles; None for a network of fewer than three stages with such blocks."""
    stages = sorted({block.stage for block in blocks})
    if len(stages) < 3:
        return None
    paths = {stage: tuple(block.path for block in blocks if block.stage == stage) for stage in stages}
    *_, late, final = paths.values()
    specific = (late[-1], final[0]) if len(final) > 1 else (late[-1],)
    return Roles(paths[stages[0]], late, specific, tuple(block.path for block in blocks)[:-1], final[-1])


@dataclass(frozen=True)
class Findings:
    """All knockouts against the intact network, and the paper's claims; ``roles`` is None where these cannot be put to the network."""

    roles: Roles | None
    knockouts: Comparisons
    claims: tuple[Answer, ...]

    def knockout(self, path: str, how: str) -> Comparison | None:
        """A block's "mean" or "shuffled" gates against the intact network; None where that was not measured."""
        return self.knockouts.of(f"{how}: {path}", INTACT)


def findings(study: Study, looks: Sequence[Look]) -> Findings:
    """Decide everything by what is stored of some seeds of one variant."""
    measured = [look for look in looks if look.record is not None and look.record.knockout]
    knockouts = _knockouts(study, measured)
    found = roles(looks[0].gates) if looks else None
    if found is None:
        return Findings(None, knockouts, ())
    spreads = _spreads(study, looks, found)

    def lookup(variant: str, reference: str) -> Comparison | None:
        return knockouts.of(variant, reference) or spreads.of(variant, reference) or _unmeasured(variant, reference)

    return Findings(found, knockouts, tuple(decide(_claims(found), lookup, study.delta, study.converged)))


def _knockouts(study: Study, measured: Sequence[Look]) -> Comparisons:
    """Every block's gates replaced or dealt out, against the same network intact, paired by seed."""
    if not measured:
        return Comparisons()
    arms: dict[str, dict[str, float]] = {INTACT: {look.seed: look.record.error for look in measured if look.record}}
    for look in measured:
        for block in look.record.blocks if look.record else ():
            for how, error in (("mean", block.mean), ("shuffled", block.shuffled)):
                if error is not None:
                    arms.setdefault(f"{how}: {block.path}", {})[look.seed] = error
    return _compared(study, arms, [Pair(name, INTACT) for name in arms if name != INTACT], study.delta)


def _spreads(study: Study, looks: Sequence[Look], found: Roles) -> Comparisons:
    """The contrasts of shares and spreads that the claims need; "better" is lower."""
    last = _spread(found.last)
    arms: dict[str, dict[str, float]] = {name: {} for name in (FIRST, LATE, BEFORE, last, *map(_share, found.specific))}
    for look in looks:
        shares = {block.path: 100 * (block.share or 0.0) for block in look.gates}
        spreads = {block.path: 100 * block.spread for block in look.gates}
        values = {FIRST: fmean(shares[p] for p in found.first), LATE: fmean(shares[p] for p in found.late)}
        values |= {BEFORE: fmean(spreads[p] for p in found.before), last: spreads[found.last]}
        values |= {_share(path): shares[path] for path in found.specific}
        for name, value in values.items():
            arms[name][look.seed] = value
    pairs = [Pair(FIRST, LATE), *(Pair(_share(path), FIRST) for path in found.specific), Pair(last, BEFORE)]
    return _compared(study, arms, pairs, None)


def _compared(study: Study, arms: Mapping[str, Mapping[str, float]], pairs: Sequence[Pair], delta: float | None) -> Comparisons:
    return compare({name: Arm(values) for name, values in arms.items()}, pairs, delta, Rule(seeds=study.seeds))


def _claims(found: Roles) -> list[Claim]:
    specific = [
        contrast
        for path in found.specific
        for contrast in (
            Contrast(variant=_share(path), reference=FIRST, expect="worse"),
            Contrast(variant=f"shuffled: {path}", reference=INTACT, expect="worse"),
        )
    ]
    last = (
        Contrast(variant=f"mean: {found.last}", reference=INTACT, expect="equivalent"),
        Contrast(variant=_spread(found.last), reference=BEFORE, expect="better"),
    )
    return [
        Claim(text="Early blocks treat all classes alike.", contrasts=(Contrast(variant=FIRST, reference=LATE, expect="better"),)),
        Claim(text="The gates of later blocks depend on the class.", contrasts=tuple(specific)),
        Claim(text="The gates of the last block are nearly constant.", contrasts=last),
    ]


def _share(path: str) -> str:
    return f"share: {path}"


def _spread(path: str) -> str:
    return f"spread: {path}"


def _unmeasured(variant: str, reference: str) -> Comparison:
    """A comparison of which nothing is stored: without it, ``ablations.statistics.claims`` would take the two for one network."""
    nothing = Estimate(None, None, None, 0)
    return Comparison(variant, reference, 0, nothing, nothing, reason="not measured; --knockout measures it")
