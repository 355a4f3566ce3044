"""A whole training, from the first step to the last: each competitor in turn, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from child import Child
from tasks import Competitor, Task, Unavailable
from timing import short


def race(task: Task, competitors: Sequence[Competitor]) -> list[dict[str, Any]]:
    """Seconds of the training and test accuracy at its end."""
    entries: list[dict[str, Any]] = []
    for competitor in competitors:
        entries.append({"name": competitor.name})
        try:
            child = Child(competitor, task)
            try:
                child.run(1, warm=0)
                found = child.values()
            finally:
                child.stop()
            entries[-1] |= {
                "version": child.ready.version,
                "median": short(float(found["seconds"])),
                "accuracy": round(float(found["accuracy"]), 4),
            }
        except Unavailable as reason:
            entries[-1]["unavailable"] = str(reason)
    return entries
