"""How much memory a task takes: the most the process ever had (VmHWM), less what it had after its imports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from child import Child
from tasks import Competitor, Task, Unavailable
from timing import short

CALLS = 3
"""The first step makes the moments of Adam; what is recycled shows from the second on."""


def weigh(task: Task, competitors: Sequence[Competitor]) -> list[dict[str, Any]]:
    """Each competitor in a fresh process, one after the other."""
    entries: list[dict[str, Any]] = []
    for competitor in competitors:
        entries.append({"name": competitor.name})
        try:
            child = Child(competitor, task)
            try:
                child.run(CALLS, warm=0)
                entries[-1] |= {
                    "version": child.ready.version,
                    "imports": short(child.ready.imported),
                    "median": short(child.peak() - child.ready.imported),
                }
            finally:
                child.stop()
        except Unavailable as reason:
            entries[-1]["unavailable"] = str(reason)
    return entries
