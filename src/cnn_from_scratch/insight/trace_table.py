"""A trace in figures: one row for each layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers import Container, ReLU, ReLU6
from ..ops import ConvCache
from ..typing import Array
from .trace import LayerTrace, Trace

if TYPE_CHECKING:
    import pandas as pd


def trace_table(trace: Trace) -> pd.DataFrame:
    """What each layer was given, gave, holds and learns, in figures. All counts are of the whole batch.

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    DataFrame
        One row for each layer, in the order in which the forward pass finished them.

        ==================  =========================================================================================
        key                 of the layer
        layer               as it prints; of a container its class
        container           whether it consists of layers that have rows of their own: sums are over the others
        input_shape         with the batch axis
        output_shape        likewise
        parameters          how many numbers could be learned
        multiply_adds       of the forward pass
        output_bytes        memory of the output
        cache_bytes         what the cache holds besides input, output and parameters, which are there anyway
        columns_bytes       what the columns of a convolution would take if they were kept; 0 for all else
        mean, std           of the output
        dead                share of the units (channels, or features) whose output is 0 in the whole batch, of a
                            `ReLU`; NaN for layers that cut nothing off
        norm_dy, norm_dx    Euclidean length of the incoming and of the outgoing gradient
        norm_dweight ...    of the gradient of each parameter, by its name; NaN where there is none of it
        update_ratio        length of the optimizer's update over the length of the parameters it is added to; about
                            1e-3 is usual, and far from it the learning rate is too large or too small
        ==================  =========================================================================================

        Without a backward pass or an optimizer, what would need it is NaN.

    References
    ----------
    Ratio of updates to weights: Karpathy and others: CS231n, Neural Networks Part 3.
    https://cs231n.github.io/neural-networks-3/

    Examples
    --------
    The second of two units is dead: it is below 0 for both examples.

    >>> from cnn_from_scratch.insight.trace import trace
    >>> seen = trace(ReLU(), np.array([[1.0, -1.0], [3.0, -2.0]], np.float32))
    >>> trace_table(seen)[["layer", "output_shape", "output_bytes", "mean", "dead"]]
        layer output_shape  output_bytes  mean  dead
    0  ReLU()       (2, 2)            16   1.0   0.5
    """
    import pandas as pd

    names = _parameter_names(trace)
    with np.errstate(over="ignore", invalid="ignore"):  # a network that has blown up has a table, too
        rows = [_row(seen, names) for seen in trace.layers.values()]
    return pd.DataFrame(rows, columns=[*FIRST, *_norms(names), LAST])


FIRST = (
    "key", "layer", "container", "input_shape", "output_shape", "parameters", "multiply_adds", "output_bytes",
    "cache_bytes", "columns_bytes", "mean", "std", "dead", "norm_dy", "norm_dx",
)  # fmt: skip
LAST = "update_ratio"


def _norms(names: list[str]) -> list[str]:
    return [f"norm_d{name}" for name in names]


def _parameter_names(trace: Trace) -> list[str]:
    """Of all single layers, "weight" first as they have it, each once."""
    single = [seen for seen in trace.layers.values() if not isinstance(seen.layer, Container)]
    return list(dict.fromkeys(name for seen in single for name in seen.params))


def _row(seen: LayerTrace, names: list[str]) -> dict[str, Any]:
    container = isinstance(seen.layer, Container)
    gradients = [seen.grads.get(name) for name in names]
    return {
        "key": seen.key,
        "layer": type(seen.layer).__name__ if container else repr(seen.layer),
        "container": container,
        "input_shape": seen.input.shape,
        "output_shape": seen.output.shape,
        "parameters": sum(array.size for array in seen.params.values()),
        "multiply_adds": len(seen.input) * seen.layer.multiply_adds(seen.input.shape[1:]),
        "output_bytes": seen.output.nbytes,
        "cache_bytes": 0 if container else cache_bytes(seen),
        "columns_bytes": columns_bytes(seen),
        "mean": _of(np.mean, seen.output),
        "std": _of(np.std, seen.output),
        "dead": dead_share(seen.output) if isinstance(seen.layer, ReLU | ReLU6) else math.nan,
        "norm_dy": norm(seen.dy),
        "norm_dx": norm(seen.dx),
        **dict(zip(_norms(names), map(norm, gradients), strict=True)),
        LAST: update_ratio(seen.params, seen.update),
    }


def dead_share(y: Array) -> float:
    """Share of the units (axis 1) that are 0 for every example and at every place; NaN for an empty batch.

    Examples
    --------
    >>> dead_share(np.array([[0.0, 1.0], [0.0, 0.0]]))
    0.5
    """
    if not y.size:
        return math.nan
    units = np.moveaxis(y, 1, 0).reshape(y.shape[1], -1)
    return float(np.mean(~units.any(axis=1)))


def norm(array: Array | None) -> float:
    """Euclidean length of all numbers as one vector, in float64; NaN for None.

    Examples
    --------
    >>> norm(np.array([[3.0], [4.0]]))
    5.0
    """
    return math.nan if array is None else float(np.linalg.norm(array.astype(np.float64).ravel()))


def update_ratio(params: Mapping[str, Array], update: Mapping[str, Array]) -> float:
    """|update| / |parameters it is added to|; NaN where there is no update, infinity where they are all 0.

    Examples
    --------
    >>> update_ratio({"weight": np.array([3.0, 4.0])}, {"weight": np.array([0.0, 0.5])})
    0.1
    """
    if not update:
        return math.nan
    step = math.hypot(*(norm(array) for array in update.values()))
    size = math.hypot(*(norm(params[name]) for name in update))
    return step / size if size else (math.inf if step else 0.0)


def cache_bytes(seen: LayerTrace) -> int:
    """Memory of what only the cache of a layer holds: not its input, its output and its parameters."""
    there = [seen.input, seen.output, *seen.params.values()]
    own = {id(array): array for array in arrays_in(seen.cache)}.values()
    return sum(array.nbytes for array in own if not any(_is(array, other) for other in there))


def columns_bytes(seen: LayerTrace) -> int:
    """Memory of the columns (N, C*KH*KW, OH*OW) that `Trace.columns` makes; 0 where there are none."""
    if not isinstance(seen.cache, ConvCache):
        return 0
    N, C = seen.input.shape[:2]
    KH, KW = seen.cache.geometry.kernel
    OH, OW = seen.cache.geometry.output
    return int(N * C * KH * KW * OH * OW * seen.input.itemsize)


def arrays_in(value: Any) -> Iterator[Array]:
    """Every array in a cache, however deep."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from arrays_in(item)


def _is(array: Array, other: Array) -> bool:
    """Whether these are one and the same, or the same in another memory order."""
    if array is other:
        return True
    moved = array.shape == other.shape and array.strides != other.strides
    return moved and array.dtype == other.dtype and np.array_equal(array, other, equal_nan=array.dtype.kind == "f")


def _of(function: Any, array: Array) -> float:
    """Mean or spread in float64; NaN of nothing."""
    return float(function(array, dtype=np.float64)) if array.size else math.nan
