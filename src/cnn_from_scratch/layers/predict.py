"""Prediction: batches through a model in evaluation mode, one shard on each core."""

from __future__ import annotations

import numpy as np

from ..errors import ShapeError
from ..ops import to_hwnc
from ..ops.checks import plain_array
from ..ops.memory import Store, recycled
from ..parallel import Member, default_shards, open_group, shard_slices, unlimited_blas
from ..typing import Array
from .base import Layer
from .context import Context
from .fusion import as_program
from .graph import Graph

SMALL = 32
"""Fewer examples than this are not worth more than one thread."""


def predict(model: Layer, x: Array, *, batch_size: int = 256, shards: int | None = None) -> Array:
    """The model's output for a batch of any size, in evaluation mode; safe to call from many threads.

    Parameters
    ----------
    model : Layer
    x : (N, ...)
        Inputs; floating, cast to the dtype of the model.
    batch_size : int
        How many examples run at a time; at least 1.
    shards : int, optional
        On how many threads; one per core unless told otherwise, and one alone for fewer than 32 examples.

    Returns
    -------
    y : (N, ...)
        C-contiguous, in the dtype of the model.

    Raises
    ------
    TypeError
        If x is not floating.
    ShapeError
        If an example does not fit into the model; the error names the layer.

    Notes
    -----
    The bits of the answer are those of any other call with as many shards. With one shard BLAS may share a product
    among threads of its own, which rounds in another order; how many it may use is one setting for the whole process,
    and whoever works in several shards sets it to one as long as that lasts. So a small batch may come out differently,
    by rounding, while another thread trains; not so inside of `cnn_from_scratch.parallel.single_threaded_blas()`.
    """
    x = as_model_input("predict", model, x)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"predict: batch_size must be an int >= 1, got {batch_size!r}")
    if not model.keeps_batch(x.shape[1:]):
        return _whole(model, x)
    if shards is None:
        shards = default_shards() if len(x) >= SMALL else 1
    out = np.empty((len(x), *model.output_shape(x.shape[1:])), model.dtype)

    def run(member: Member) -> None:
        part = shard_slices(len(x), member.size)[member.rank]
        for first in range(part.start, part.stop, batch_size):
            rows = slice(first, min(first + batch_size, part.stop))
            with recycled(store):
                out[rows] = program.predict(in_fast_order(x[rows]), Context())

    program, store = as_program(model), Store()
    with open_group(shards) as group:
        group.run(run)
    return out


def _whole(model: Layer, x: Array) -> Array:
    """A batch in one piece; one by one for a graph that is declared for one example at a time."""
    program = as_program(model)
    one_by_one = isinstance(model, Graph) and model.batch == 1
    parts = [x[n : n + 1] for n in range(len(x))] if one_by_one else [x]
    with unlimited_blas():
        found = [program.predict(in_fast_order(part), Context()) for part in parts]
    if not found:
        return np.empty((0, *model.output_shape(x.shape[1:])), model.dtype)
    return np.concatenate(found) if len(found) > 1 else found[0].copy(order="C")


def as_model_input(function: str, model: Layer, x: Array) -> Array:
    """`x` in the dtype of the model, checked against the shapes of its layers."""
    require_layer(function, model)
    require_floats(function, x)
    if x.ndim < 2:
        raise ShapeError(f"{function}: x must be a batch with at least 2 axes, got shape {x.shape}")
    model.output_shape(x.shape[1:])
    return x.astype(model.dtype, copy=False)


def require_layer(function: str, model: object) -> None:
    """Raise unless `model` is a layer."""
    if not isinstance(model, Layer):
        raise TypeError(f"{function}: model must be a Layer, such as a Sequential, got {model!r}")


def require_floats(function: str, x: Array) -> None:
    """Raise unless `x` is an array of floating numbers."""
    plain_array(function, "x", x)
    if x.dtype.kind != "f":
        raise TypeError(
            f"{function}: x has dtype {x.dtype}; expected floating numbers "
            "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)"
        )


def in_fast_order(x: Array) -> Array:
    """Images lying as (H, W, N, C), the order that the operations are fastest in; anything else as it is."""
    return to_hwnc(x) if x.ndim == 4 else x
