"""Competitors take turns: one burst each, round after round, so that the machine's moods hit all of them alike.

Before each burst there is a call that is not timed: it fills the caches, and lets threads that still spin elsewhere
fall asleep. A sample is the median of a burst; a competitor's figure is the median of its samples; a ratio is one of
medians from the same rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from child import Child
from tasks import Competitor, Task, Unavailable

PAUSE = 0.1
"""Seconds between two bursts: BLAS's workers spin for 80 milliseconds before they sleep, onnxruntime's for 40."""


class Effort(NamedTuple):
    """How much to measure."""

    rounds: int = 11
    burst: float = 0.1  # seconds that a burst takes at least, if 200 calls are enough for that
    budget: float = 60.0  # seconds for all rounds of a case; five rounds at least


BRIEF = Effort(rounds=7, burst=0.05, budget=20.0)
QUICK = Effort(rounds=3, burst=0.02, budget=20.0)


def compete(task: Task, competitors: Sequence[Competitor], effort: Effort) -> list[dict[str, Any]]:
    """Times of all competitors at a task, the first of which is the measure for the values of the others."""
    entries: list[dict[str, Any]] = []
    children: list[tuple[Child, dict[str, Any]]] = []
    try:
        for competitor in competitors:
            entries.append({"name": competitor.name})
            try:
                child = Child(competitor, task)
                children.append((child, entries[-1]))
                entries[-1] |= {"version": child.ready.version, "values": child.values()}
                child.run(1)
            except Unavailable as reason:
                entries[-1]["unavailable"] = str(reason)
        _compare(entries)
        _take_turns([pair for pair in children if "unavailable" not in pair[1]], effort)
    finally:
        for child, _ in children:
            child.stop()
    return entries


def _take_turns(children: list[tuple[Child, dict[str, Any]]], effort: Effort) -> None:
    """Fill in the samples, in milliseconds. Who fails on the way is out."""
    cost = sum(_plan_burst(child, entry, effort) for child, entry in children)
    rounds = max(min(5, effort.rounds), min(effort.rounds, int(effort.budget / max(cost, 1e-9))))
    for _ in range(rounds):
        for child, entry in children:
            if "unavailable" not in entry:
                _burst(child, entry)
    for _, entry in children:
        if "unavailable" not in entry:
            entry |= summary(entry["samples"])
            entry["samples"] = [short(sample) for sample in entry["samples"]]


def _plan_burst(child: Child, entry: dict[str, Any], effort: Effort) -> float:
    """How many calls make a burst; the seconds that a turn will take."""
    seconds = statistics.median(child.run(3))
    entry["calls"], entry["samples"] = min(200, max(1, round(effort.burst / seconds))), []
    return seconds * (entry["calls"] + 1) + PAUSE


def _burst(child: Child, entry: dict[str, Any]) -> None:
    time.sleep(PAUSE)
    try:
        entry["samples"].append(1e3 * statistics.median(child.run(entry["calls"])))
    except Unavailable as reason:
        entry["unavailable"] = str(reason)
        del entry["samples"]


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles.

    >>> summary([1.0, 2.0, 3.0, 4.0, 5.0])
    {'median': 3.0, 'quartiles': [2.0, 4.0]}
    """
    low, middle, high = np.percentile(samples, [25, 50, 75])
    return {"median": short(middle), "quartiles": [short(low), short(high)]}


def short(value: float) -> float:
    """Four digits.

    >>> short(0.123456), short(1234.56)
    (0.1235, 1235.0)
    """
    return float(f"{value:.4g}")


# --- do they compute the same? --------------------------------------------------------------------------------------


def _compare(entries: list[dict[str, Any]]) -> None:
    """Replace what was computed by how far it is from what the first one computed."""
    values = [entry.pop("values", None) for entry in entries]
    reference = next((value for value in values if value is not None), None)
    for entry, value in zip(entries, values, strict=True):
        if value is not None and value is not reference:
            entry["difference"] = difference(value, reference)


def difference(values: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """The largest relative difference of any array: of its largest element from the reference's, and where.

    >>> difference({"a": np.array([1.0, 2.0])}, {"a": np.array([1.0, 2.5])})
    {'largest': 0.2, 'where': 'a'}
    """
    if values.keys() != reference.keys():
        return {"largest": float("inf"), "where": ", ".join(sorted(values.keys() ^ reference.keys()))}
    far = {}
    for key, expected in reference.items():
        scale = float(np.abs(expected).max()) or 1.0
        far[key] = float(np.abs(np.asarray(values[key], np.float64) - expected).max()) / scale
    where = max(far, key=lambda key: far[key])
    return {"largest": short(far[where]), "where": where}


def same_in_float64(task: Task, competitors: Sequence[Competitor]) -> dict[str, Any]:
    """How far apart two competitors are in float64, where no ReLU or maximum falls the other way by rounding."""
    exact = task._replace(dtype="float64")
    values = []
    for competitor in competitors:
        child = Child(competitor, exact)
        values.append(child.values())
        child.stop()
    return difference(values[1], values[0])
