"""What was checked beside the question: networks alike, false alarms, correlation of seeds, divergence, dead gates; in Markdown."""

from __future__ import annotations

from ablations.statistics.noise import false_alarm_check
from ablations.statistics.rounding import number
from report.numbers import plain
from report.rows import Reading


def checks(reading: Reading) -> list[str]:
    """A sentence for each check, also for those that have nothing to look at yet; none before the first result."""
    if not any(row.errors or row.states.get("diverged") for row in reading.rows()):
        return []
    return [_networks(reading), _alarms(reading), _correlation(reading), _divergence(reading), _gates(reading)]


def checks_line(reading: Reading) -> str | None:
    """The same in one line, for the first screen; None before the first result."""
    told = checks(reading)
    if not told:
        return None
    twins = sum(variant.same_as is not None for variant in reading.study.variants)
    diverged = sum(row.states.get("diverged", 0) for row in reading.rows())
    alarms, correlation = false_alarm_check(reading.study, reading.arms), reading.seed_correlation()
    dead = [row.dead_gates for row in reading.rows() if row.dead_gates is not None]
    words = [
        f"{twins} null ablation{'' if twins == 1 else 's'}" if twins else "no two networks alike",
        f"{diverged} trial{'' if diverged == 1 else 's'} diverged" if diverged else "none diverged",
        "false alarms not measured" if alarms is None else f"false alarms {number(100 * alarms.alarms / alarms.splits, 1)} %",
        "seed correlation not measured" if correlation is None else f"seed correlation {number(correlation, 2)}",
        "dead gates not looked at" if not dead else f"dead gates at most {number(100 * max(dead), 1)} %",
    ]
    return f"Checks: {'; '.join(words)}."


def _networks(reading: Reading) -> str:
    twins = [f"{plain(v.name)} is {plain(v.same_as)}" for v in reading.study.variants if v.same_as is not None]
    return (
        f"Null ablations: {'; '.join(twins)} (one network, trained once)."
        if twins
        else "Null ablations: none; no two variants build one network."
    )


def _alarms(reading: Reading) -> str:
    found = false_alarm_check(reading.study, reading.arms)
    if found is None:
        n = len(reading.arms[reading.study.reference].values)
        return f"False alarms (the reference against itself): not measured; that takes six seeds that differ, and there are {n}."
    share = number(100 * found.alarms / found.splits, 1)
    return (
        f"False alarms (the reference against itself): {share} %; {found.alarms:,} of {found.splits:,} splits of its seeds differ at 5 %."
    )


def _correlation(reading: Reading) -> str:
    correlation = reading.seed_correlation()
    if correlation is None:
        return "Correlation of seeds: not measured, for that takes three pairs."
    return f"Correlation of seeds: {number(correlation, 2)}, the share of a difference's variance that pairing takes away."


def _divergence(reading: Reading) -> str:
    told = [
        f"{plain(row.variant)} {row.states['diverged']} of {sum(row.states.values())}"
        for row in reading.rows()
        if row.states.get("diverged")
    ]
    return f"Divergence: {', '.join(told)}; counted, never averaged." if told else "Divergence: none."


def _gates(reading: Reading) -> str:
    shares = [(row.variant, row.dead_gates) for row in reading.rows() if row.dead_gates is not None]
    if not shares:
        return "Dead gates after training: not looked at."
    told = [f"{plain(name)} {number(100 * share, 1)} %" for name, share in shares if share > 0]
    return f"Dead gates after training: {', '.join(told) or 'none'}."
