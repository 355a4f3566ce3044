"""A trace in words: what was run, and a line for each layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..layers.summary import readable_bytes
from .style import percent, short, times
from .trace import LayerTrace, Trace
from .trace_table import arrays_in, norm, trace_table

LONGEST_KEY, LONGEST_LAYER = 24, 24
"""Letters of the first two columns."""

MISSING = "-"


def trace_text(trace: Trace) -> str:
    """The head of a trace and its table, for people; `trace_table` has more columns and all digits.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.insight.trace import trace
    >>> from cnn_from_scratch.layers import ReLU, Sequential
    >>> model = Sequential(ReLU())
    >>> print(trace_text(trace(model, np.array([[3.0, -4.0]], np.float32), np.array([0]))))
    Trace of Sequential, 1 example of 2, float32, in evaluation
    cross_entropy 0.04859; gradients of its mean; 40 B held
    <BLANKLINE>
    key  layer   output  mean  std  dead     |dy|     |dx|  |dparams|  update
    -------------------------------------------------------------------------
    0    ReLU()  2        1.5  1.5  50 %  0.06707  0.04743          -       -
    """
    rows = [HEAD, *_rows(trace)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([*_head(trace), "", lines[0], rule, *lines[1:]])


HEAD = ("key", "layer", "output", "mean", "std", "dead", "|dy|", "|dx|", "|dparams|", "update")
WORDS = 3
"""So many of them stand at the left."""


def _head(trace: Trace) -> Iterator[str]:
    """What was run, and what came out."""
    N, *example = trace.x.shape
    examples = f"{N} example{'' if N == 1 else 's'} of {times(*example)}"
    mode = "as in training" if trace.train else "in evaluation"
    yield f"Trace of {type(trace.model).__name__}, {examples}, {trace.x.dtype}, {mode}"
    held = f"{readable_bytes(held_bytes(trace))} held"
    if trace.loss is None:
        yield f"forward only; {held}"
    else:
        yield f"{trace.loss_name} {trace.loss:.4g}; gradients of its mean; {held}"


def held_bytes(trace: Trace) -> int:
    """Memory of all arrays that a trace holds, each counted once."""
    found = arrays_in((trace.x, trace.y, trace.logits, trace.dlogits, trace.dx, trace.layers))
    return sum(array.nbytes for array in {id(array): array for array in found}.values())


def _rows(trace: Trace) -> Iterator[tuple[str, ...]]:
    """One line for each layer, the numbers short."""
    for seen, row in zip(trace.layers.values(), trace_table(trace).to_dict("records"), strict=True):
        yield (
            short(seen.key, LONGEST_KEY),
            short(str(row["layer"]), LONGEST_LAYER),
            times(*seen.output.shape[1:]),
            *map(_number, (row["mean"], row["std"])),
            MISSING if math.isnan(row["dead"]) else percent(row["dead"]),
            *map(_number, (row["norm_dy"], row["norm_dx"], _all_gradients(seen), row["update_ratio"])),
        )


def _all_gradients(seen: LayerTrace) -> float:
    """Length of the gradients of all parameters together; NaN where there are none."""
    return math.hypot(*map(norm, seen.grads.values())) if seen.grads else math.nan


def _number(value: Any) -> str:
    return MISSING if math.isnan(value) else f"{value:.4g}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """Words to the left, numbers to the right."""
    pairs = enumerate(zip(cells, widths, strict=True))
    return "  ".join(cell.ljust(w) if i < WORDS else cell.rjust(w) for i, (cell, w) in pairs).rstrip()
