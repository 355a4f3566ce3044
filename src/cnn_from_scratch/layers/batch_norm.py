"""Batch normalization as a layer: a scale and offset that are learned, and statistics that are remembered."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from ..errors import ShapeError
from ..ops import BatchNormCache, batch_norm_backward, batch_norm_forward
from ..typing import Array
from .base import (
    Grads,
    Layer,
    Shape,
    example_shape,
    require_counts,
    require_memory,
    require_numbers,
    require_switches,
    weight_and_bias,
)
from .context import Context


class RunningStatistics(NamedTuple):
    """What batch norm wants remembered of a training step; None where there is nothing."""

    running_mean: Array | None  # (C,)
    running_var: Array | None  # (C,)


class HasStatistics(Protocol):
    """The cache of a batch norm, or what was kept of it."""

    @property
    def running_mean(self) -> Array | None:
        """New; None where nothing is to be remembered."""

    @property
    def running_var(self) -> Array | None:
        """Likewise."""


class _BatchNorm(Layer):
    """What batch norm of vectors and of images share."""

    ranks: ClassVar[tuple[int, ...]]
    """How many axes one example may have."""

    axes: ClassVar[str]
    """Their names."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        require_counts(self, "num_features")
        require_switches(self, "affine", "track_running_stats")
        require_memory(self, (num_features,))
        require_numbers(self, "eps", *(() if momentum is None else ("momentum",)))
        if not eps >= 0:
            raise ValueError(f"{type(self).__name__}: eps must be at least 0, got {eps!r}")
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"{type(self).__name__}: momentum must be between 0 and 1, or None, got {momentum!r}")
        if affine:
            self.params = {"weight": np.ones(num_features, np.float32), "bias": np.zeros(num_features, np.float32)}
        if track_running_stats:
            self.buffers = {
                "running_mean": np.zeros(num_features, np.float32),
                "running_var": np.ones(num_features, np.float32),
                "num_batches_tracked": np.zeros((), np.int64),
            }

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Scale 1, offset 0, and running statistics as if nothing had been seen."""
        for key, array in (self.params | self.buffers).items():
            array[...] = 1 if key in ("weight", "running_var") else 0

    def forward(self, x: Array, ctx: Context) -> tuple[Array, BatchNormCache]:
        """See `cnn_from_scratch.ops.batch_norm_forward`. Writes nothing: `commit` does."""
        self.output_shape(example_shape(self, x))
        train, momentum = self.trains(ctx), self.share_of_next_batch()
        return batch_norm_forward(x, *self.vectors(), train=train, momentum=momentum, eps=self.eps, group=ctx.group)

    def backward(self, dy: Array, cache: BatchNormCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """See `cnn_from_scratch.ops.batch_norm_backward`."""
        dx, dweight, dbias = batch_norm_backward(dy, cache)
        return dx, weight_and_bias(dweight, dbias)

    def to_commit(self, cache: HasStatistics) -> RunningStatistics:
        """The new running statistics: two vectors instead of the images."""
        return RunningStatistics(cache.running_mean, cache.running_var)

    def commit(self, cache: HasStatistics) -> None:
        """Take over the running statistics that a training step left in its cache."""
        if cache.running_mean is None or cache.running_var is None:
            return
        self.buffers["running_mean"][...] = cache.running_mean
        self.buffers["running_var"][...] = cache.running_var
        self.buffers["num_batches_tracked"] += 1

    def output_shape(self, input_shape: Shape) -> Shape:
        """The same; the first axis must be the channels."""
        name = type(self).__name__
        if len(input_shape) not in self.ranks:
            raise ShapeError(f"{name}: an example must be {self.axes}, got {input_shape}")
        if input_shape[0] != self.num_features:
            raise ShapeError(f"{name}: expects {self.num_features} channels, got {input_shape[0]}")
        return input_shape

    def vectors(self) -> tuple[Array | None, Array | None, Array | None, Array | None]:
        """weight, bias, running mean and running variance, None for what there is not."""
        params, buffers = self.params, self.buffers
        return params.get("weight"), params.get("bias"), buffers.get("running_mean"), buffers.get("running_var")

    def trains(self, ctx: Context) -> bool:
        """Whether the statistics of the batch count, and not those that are remembered."""
        return (ctx.train and not self._is_frozen()) or not self.track_running_stats

    def _is_frozen(self) -> bool:
        """Whether training must not change what this layer does: its scale and offset, or its statistics."""
        learned = frozenset(self.params)
        return "running_mean" in self.frozen or (bool(learned) and learned <= self.frozen)

    def share_of_next_batch(self) -> float:
        """The momentum; without one, the share that makes the running statistics the mean over all batches."""
        if self.momentum is None and self.track_running_stats:
            return 1 / (1 + int(self.buffers["num_batches_tracked"]))
        return self.momentum or 0.0


class BatchNorm1d(_BatchNorm):
    """y[n,c] = (x[n,c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c], for (N, C) or (N, C, L)

    Parameters
    ----------
    num_features : int
        C, the number of channels.
    eps : float
        At least 0.
    momentum : float or None
        Share of a new batch in the running statistics; None for the mean over all batches so far.
    affine : bool
        Whether there are weight and bias.
    track_running_stats : bool
        Whether there are running statistics; without, evaluation takes the statistics of its batch, too.

    Raises
    ------
    ShapeError
        If num_features is no int of at least 1.
    TypeError, ValueError
        If eps or momentum is no number, or out of range.

    Examples
    --------
    >>> BatchNorm1d(2).forward(np.array([[1.0, 0.0], [3.0, 8.0]], np.float32), Context(train=True))[0].round(2)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    ranks = (1, 2)
    axes = "(C,) or (C, L)"


class BatchNorm2d(_BatchNorm):
    """y[n,c,h,w] = (x[n,c,h,w] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c]

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats
        See `BatchNorm1d`.

    Raises
    ------
    ShapeError, TypeError, ValueError
        As for `BatchNorm1d`.

    Examples
    --------
    A step of training writes nothing until it is committed.

    >>> layer = BatchNorm2d(1, momentum=0.5)
    >>> y, cache = layer.forward(np.array([1.0, 3.0], np.float32).reshape(1, 1, 1, 2), Context(train=True))
    >>> layer.buffers["running_mean"]
    array([0.], dtype=float32)
    >>> layer.commit(cache)
    >>> layer.buffers["running_mean"]
    array([1.], dtype=float32)
    """

    ranks = (3,)
    axes = "(C, H, W)"
