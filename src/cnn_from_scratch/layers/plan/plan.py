"""`model.compile(batch_shape)`: inference as a list of NumPy calls with everything they need made beforehand."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ...errors import ShapeError
from ...parallel import (
    ALONE,
    Group,
    ProcessLock,
    ThreadGroup,
    default_shards,
    shard_slices,
    single_threaded_blas,
    unlimited_blas,
)
from ...typing import Array
from ..base import Layer, Shape
from ..batch_norm import BatchNorm1d, BatchNorm2d
from ..predict import require_floats
from .build import build
from .calls import CallList
from .graph import Graph
from .rewrite import rewrite

PIECE = 32
"""How many images run at a time: what goes from layer to layer then stays in the cache, and memory stays small."""

WORTH_SHARDS = 150_000_000
"""Multiply-adds of a batch from which on more than one thread is worth its hand-over: 1.5 ms of one core."""

Schedule: TypeAlias = list[tuple[slice, CallList]]
"""Which examples of a batch run by which calls, one after the other."""


class Plan:
    """A model made ready for batches of one shape; made by `Layer.compile`.

    A plan has its own copy of the weights: training the model later does not change it. Batch norm is folded into the
    convolution before it, bias, ReLU and pool are done while its result is in the cache, filters are transformed once,
    and what is left is a list of NumPy calls whose arrays and views exist already. ``print(plan)`` shows it.

    In float32 the 3x3 convolutions run by Winograd's algorithm, which rounds more than the plain sum (an error of 2e-6
    of the spread of the result, see ops/winograd.py); a NaN or infinity spreads over its tile. In float64 a plan and
    its model agree to rounding.

    One call at a time: a plan owns its memory, so a second thread waits for the first. For more at once, make a plan
    for each thread. Shards hold BLAS at one thread each while they run; a plan of one shard leaves that number alone
    (and BLAS rounds in another order by another number of threads).

    A layer that takes the statistics of its batch even in evaluation takes those of its shard, as in `predict`.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
    >>> model = Sequential(Conv2d(1, 4, 3, rng=0), ReLU(), MaxPool2d(2), Flatten(), Linear(36, 10, rng=1))
    >>> plan = model.compile((1, 1, 8, 8))
    >>> plan(np.zeros((1, 1, 8, 8), np.float32)).shape
    (1, 10)
    >>> print(plan)
    Plan of 7 calls for (1, 1, 8, 8) -> (1, 10), float32, 1 shard
    0+1+2                    copyto         (1, 3, 3, 2, 2, 3, 3, 1) -> (1, 3, 3, 2, 2, 3, 3, 1)
    0+1+2                    matmul         (36, 10), (10, 4) -> (36, 4)
    0+1+2                    maximum        (2, 3, 3, 1, 4), (2, 3, 3, 1, 4) -> (2, 3, 3, 1, 4)
    0+1+2                    maximum        (3, 3, 1, 4), (3, 3, 1, 4) -> (3, 3, 1, 4)
    0+1+2                    maximum        (3, 3, 1, 4), (3, 3, 1, 4) -> (3, 3, 1, 4)
    4                        matmul         (10, 36), (36,) -> (10,)
    4                        add            (1, 10), (1, 10) -> (1, 10)
    """

    def __init__(self, model: Layer, batch_shape: Shape, *, shards: int | None = None) -> None:
        self.batch_shape = _checked_shape(batch_shape)
        N, self.input_shape = self.batch_shape[0], self.batch_shape[1:]
        self.dtype = model.dtype
        model.output_shape(self.input_shape)  # its error names the layer where shapes stop fitting
        graph = Graph(model, self.input_shape)
        self.output_shape: Shape = graph.shapes[graph.output]
        self._stages, self._output = rewrite(graph), graph.output
        whole = not model.keeps_batch(self.input_shape)
        self._limit = N if whole or mixes_examples(graph) else PIECE
        self.shards = 1 if whole else _checked_shards(shards, N, N * model.multiply_adds(self.input_shape))
        self._group: Group = ALONE if self.shards == 1 else ThreadGroup(self.shards)
        self._lock = ProcessLock()
        self._made: list[dict[int, CallList]] = [{} for _ in range(self.shards)]
        self._schedule = self._schedule_for(N)

    def __call__(self, x: Array) -> Array:
        """The model's output for a batch of exactly `batch_shape`.

        Parameters
        ----------
        x : batch_shape
            Inputs; floating, cast to the dtype of the model.

        Returns
        -------
        y : (N, ...)
            A C-contiguous array of its own.

        Raises
        ------
        TypeError
            If x is no floating array.
        ShapeError
            If x has another shape.
        """
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            require_floats("plan", x)
        if x.shape != self.batch_shape:
            raise ShapeError(
                f"plan: x must have shape {self.batch_shape}, got {x.shape}; plan.predict takes any number of examples"
            )
        y = np.empty((len(x), *self.output_shape), self.dtype)
        self._run(x, y)
        return y

    def predict(self, x: Array) -> Array:
        """The model's output for any number of examples, N at a time.

        Parameters
        ----------
        x : (any number, ...)
            Inputs; floating, cast to the dtype of the model.

        Returns
        -------
        y : (any number, ...)
            C-contiguous.

        Raises
        ------
        TypeError
            If x is no floating array.
        ShapeError
            If an example has another shape than those of `batch_shape`.
        """
        function = "plan.predict"
        require_floats(function, x)
        if x.shape[1:] != self.input_shape:
            raise ShapeError(f"{function}: x must have shape (any, {str(self.input_shape)[1:]}, got {x.shape}")
        y = np.empty((len(x), *self.output_shape), self.dtype)
        for first in range(0, len(x), self.batch_shape[0]):
            rows = slice(first, first + self.batch_shape[0])
            self._run(x[rows], y[rows])
        return y

    def table(self) -> list[tuple[str, str, str, Shape]]:
        """One row for each call: the layers it works for, the function, what goes in, the shape of what comes out."""
        return [(call.label, call.function.__name__, call.operands, call.out.shape) for call in self._first_calls()]

    def __repr__(self) -> str:
        calls = self._first_calls()
        pieces = f", {self._piece_size} at a time" if self._piece_size < self.batch_shape[0] else ""
        shards = "1 shard" if self.shards == 1 else f"{self.shards} shards"
        head = (
            f"Plan of {len(calls)} calls for {self.batch_shape} -> {(self.batch_shape[0], *self.output_shape)}, "
            f"{self.dtype}, {shards}{pieces}"
        )
        return "\n".join([head, *map(str, calls)])

    # --- running ------------------------------------------------------------------------------------------------

    def _run(self, x: Array, y: Array) -> None:
        """Write the results for `x`, of at most N examples, into `y`."""
        with self._lock:
            whole = len(x) == self.batch_shape[0]
            schedule = self._schedule if whole else self._schedule_for(len(x))
            if self.shards == 1:
                with unlimited_blas():
                    run_in_turn(schedule[0], x, y)
                return
            with single_threaded_blas():
                self._group.run(lambda member: run_in_turn(schedule[member.rank], x, y))

    def _schedule_for(self, count: int) -> list[Schedule]:
        """For each shard, which examples run by which calls."""
        return [
            [(rows, self._calls(rank, rows.stop - rows.start)) for rows in in_pieces(part, self._limit)]
            for rank, part in enumerate(shard_slices(count, self.shards))
        ]

    def _calls(self, rank: int, n: int) -> CallList:
        """The calls of one shard for `n` examples at a time; those of the last odd size are kept for the next time."""
        made = self._made[rank]
        if n not in made:
            if len(made) > 2:
                made.popitem()
            made[n] = build(self._stages, n, self.input_shape, self._output, self.dtype)
        return made[n]

    def _first_calls(self) -> CallList:
        return self._schedule[0][0][1]

    @property
    def _piece_size(self) -> int:
        return len(self._first_calls().input)


def run_in_turn(schedule: Schedule, x: Array, y: Array) -> None:
    """One piece of the batch after the other."""
    for rows, calls in schedule:
        calls.run(x[rows], y[rows])


def in_pieces(part: slice, limit: int) -> list[slice]:
    """Cut a slice into even pieces of at most `limit`.

    Examples
    --------
    >>> in_pieces(slice(4, 9), 3)
    [slice(4, 6, None), slice(6, 9, None)]
    """
    count = part.stop - part.start
    cuts = shard_slices(count, -(-count // limit)) if count else []
    return [slice(part.start + cut.start, part.start + cut.stop) for cut in cuts]


def mixes_examples(graph: Graph) -> bool:
    """Whether the result for one example can depend on the others: then a shard's batch must not run in pieces."""
    ours = __name__.split(".")[0]
    return any(
        type(node.layer).__module__.split(".")[0] != ours
        or (isinstance(node.layer, BatchNorm1d | BatchNorm2d) and not node.layer.track_running_stats)
        for node in graph.nodes
    )


def _checked_shape(batch_shape: Shape) -> Shape:
    """The shape of a batch as a tuple of Python's ints, all at least 1."""
    if (
        not isinstance(batch_shape, tuple | list)
        or len(batch_shape) < 2
        or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in batch_shape)
    ):
        raise ShapeError(
            f"compile: batch_shape must be the shape of a batch, (N, C, H, W) or (N, features), got {batch_shape!r}"
        )
    return tuple(int(n) for n in batch_shape)


def _checked_shards(shards: int | None, N: int, work: int) -> int:
    """As many as cores for a batch with enough work, unless told otherwise; never more than examples."""
    if shards is None:
        shards = default_shards() if work >= WORTH_SHARDS else 1
    if isinstance(shards, bool) or not isinstance(shards, int) or shards < 1:
        raise ValueError(f"compile: shards must be an int >= 1, got {shards!r}")
    return min(shards, N)
