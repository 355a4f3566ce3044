"""From a data set to batches: in an order, with augmentation and at a place in the run that the seed alone decides.

Because nothing is drawn from a shared generator, making batches ahead on another thread, skipping the steps that were
done before an interruption, or making one step again gives the very same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from ..errors import ShapeError
from ..ops.checks import check_switch, plain_array
from ..randomness import derive
from ..typing import Array
from .prefetch import prefetched

Augment: TypeAlias = Callable[[Array, np.random.Generator], Array]
"""augment(x, rng) -> x: the same number of images, changed by what it draws from rng."""


class BatchSource(Protocol):
    """What `fit` and `evaluate` can take instead of a pair of arrays."""

    def __len__(self) -> int:
        """How many examples there are."""

    def batch(self, indices: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """The examples at these indices, drawing what is random about them from `rng`.

        May be called from another thread, but never from two at once.
        """


class Batch(NamedTuple):
    """One batch and its place in the epoch."""

    step: int
    x: Array
    y: Array


class ArrayData:
    """Examples that lie in memory.

    Parameters
    ----------
    x : (N, ...)
        Images, or whatever the model takes. Kept, never written.
    y : (N, ...)
        Labels or targets.
    augment : callable, optional
        ``augment(x, rng)``, applied to each batch of x.

    Raises
    ------
    ShapeError
        If x and y have different lengths.
    TypeError
        If x or y is no array, or a masked one, or augment cannot be called.

    Examples
    --------
    >>> data = ArrayData(np.array([10.0, 20.0, 30.0]), np.array([1, 2, 3]))
    >>> data.batch(np.array([2, 0]), np.random.default_rng(0))
    (array([30., 10.]), array([3, 1]))
    """

    def __init__(self, x: Array, y: Array, augment: Augment | None = None) -> None:
        for name, array in (("x", x), ("y", y)):
            plain_array("ArrayData", name, array)
        if not x.ndim or not y.ndim or len(x) != len(y):
            raise ShapeError(f"ArrayData: x and y must have the same length, got shapes {x.shape} and {y.shape}")
        if augment is not None and not callable(augment):
            raise TypeError(f"ArrayData: augment must be callable, got {augment!r}")
        self.x, self.y, self.augment = np.asarray(x), np.asarray(y), augment

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """x[indices], augmented, and y[indices]: C-contiguous copies in native byte order."""
        x, y = (a.take(indices, axis=0).astype(a.dtype.newbyteorder("="), copy=False) for a in (self.x, self.y))
        return (x if self.augment is None else self.augment(x, rng)), y


Data: TypeAlias = tuple[Array, Array] | BatchSource


def as_source(data: Data) -> BatchSource:
    """`data` itself if it has ``batch`` and a length, or the pair (x, y) as `ArrayData`.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(data, tuple) and len(data) == 2:
        return ArrayData(*data)
    if not isinstance(data, tuple) and hasattr(data, "batch") and hasattr(data, "__len__"):
        return data
    raise TypeError(
        f"data must be a pair of arrays (x, y), or have __len__ and batch(indices, rng); got {type(data).__name__}"
    )


def batch_count(examples: int, batch_size: int, *, drop_last: bool = False) -> int:
    """ceil(examples / batch_size), or the floor if an incomplete last batch is dropped.

    Examples
    --------
    >>> batch_count(10, 4), batch_count(10, 4, drop_last=True)
    (3, 2)
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_count: batch_size must be an int >= 1, got {batch_size!r}")
    if isinstance(examples, bool) or not isinstance(examples, int | np.integer) or examples < 0:
        raise ValueError(f"batch_count: examples must be an int >= 0, got {examples!r}")
    check_switch("batch_count", "drop_last", drop_last)
    return examples // batch_size if drop_last else -(-examples // batch_size)


def iterate_batches(
    data: Data,
    batch_size: int,
    *,
    seed: int,
    epoch: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    prefetch: int = 0,
    first_step: int = 0,
) -> Iterator[Batch]:
    """One epoch of batches (step, x, y).

    The order comes from ``derive(seed, "order", epoch=epoch)``, and what the augmentation of a step draws from
    ``derive(seed, "augment", epoch=epoch, step=step)``.

    Parameters
    ----------
    data : pair (x, y), or anything with ``__len__`` and ``batch(indices, rng)``
        The examples.
    batch_size : int
        At least 1. The last batch may be smaller, and is the only one if there are fewer examples.
    seed, epoch : int
        Decide everything that is random.
    shuffle : bool
        Visit the examples in random order, or in their own.
    drop_last : bool
        Leave out an incomplete last batch.
    prefetch : int
        How many batches a background thread may be ahead; 0 makes them as they are asked for. The batches are the
        same, and an exception in the thread comes out here. The thread ends when the iterator does, also by
        ``close()``, ``del`` or an exception.
    first_step : int
        Where in the epoch to start, as after an interruption; what comes before is not made.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> x = np.arange(5.0)
    >>> for step, images, labels in iterate_batches((x, x), 2, seed=0, shuffle=False):
    ...     print(step, images)
    0 [0. 1.]
    1 [2. 3.]
    2 [4.]
    """
    for name, value in (("prefetch", prefetch), ("first_step", first_step)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"iterate_batches: {name} must be an int >= 0, got {value!r}")
    check_switch("iterate_batches", "shuffle", shuffle)
    source = as_source(data)
    N = len(source)
    steps = range(first_step, batch_count(N, batch_size, drop_last=drop_last))
    order = derive(seed, "order", epoch=epoch).permutation(N) if shuffle else np.arange(N)

    def make(step: int) -> Batch:
        rng = derive(seed, "augment", epoch=epoch, step=step)
        x, y = source.batch(order[step * batch_size : (step + 1) * batch_size], rng)
        return Batch(step, x, y)

    return prefetched(make, steps, ahead=prefetch) if prefetch else (make(step) for step in steps)
