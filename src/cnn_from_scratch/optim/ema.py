"""A moving average of the weights: steadier than the weights themselves, and often better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from ..typing import Array
from .checks import check_array, check_mapping, check_number, check_same, check_writeable, some
from .pieces import piece_shape, pieces
from .running_mean import follow
from .state import State, array_of, count_of, split_state


class ExponentialMovingAverage:
    """averaged <- d * averaged + (1 - d) * values, with d = min(decay, (1 + t) / (10 + t)) in update t = 0, 1, ...

    The first update copies the values. Then d grows with t: an average that kept 0.999 of itself from the start would
    remember the random initialization for a thousand steps. (With decay = 0.999 the bound is reached at t = 8990.)

    Give it all that makes up the model in evaluation, weights and buffers: ``model.params | model.buffers``. Integers,
    such as a count of batches, are copied.

    Parameters
    ----------
    decay : float
        At least 0 and below 1.

    Attributes
    ----------
    averaged : dict of Array
        The averages, under the keys of the values and in their dtypes. Its own arrays.
    t : int
        Updates so far.

    Raises
    ------
    ValueError
        If decay is out of range.

    References
    ----------
    Polyak, Juditsky: Acceleration of stochastic approximation by averaging (1992). The growing d is that of
    TensorFlow's ``tf.train.ExponentialMovingAverage(decay, num_updates)``; without it this is
    ``torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))``.

    Examples
    --------
    At t = 1, d = min(0.999, 2/11): the average of 11 and 0 goes to 2/11 * 11.

    >>> params, average = {"weight": np.array([11.0])}, ExponentialMovingAverage()
    >>> average.update(params)
    >>> params["weight"][...] = 0.0
    >>> average.update(params)
    >>> average.averaged["weight"].round(6)
    array([2.])
    >>> with average.swap(params):
    ...     print(params["weight"].round(6))
    [2.]
    >>> params["weight"]
    array([0.])
    """

    def __init__(self, decay: float = 0.999) -> None:
        check_number("ExponentialMovingAverage", "decay", decay, below=1.0)
        self.decay = decay
        self.t = 0
        self.averaged: dict[str, Array] = {}

    def update(self, values: Mapping[str, Array]) -> None:
        """Let the averages follow the values, usually after each step of the optimizer.

        Raises
        ------
        ValueError
            If there is no value, or the keys are not those of the updates before.
        ShapeError, TypeError
            If a value has not the shape and dtype of its average. Nothing has changed then.
        """
        check_mapping("ExponentialMovingAverage.update", "values", values)
        if self.t == 0:
            self.averaged = _copies(values)
        else:
            self._check("update", values)
            for key, average in self.averaged.items():
                self._follow(average, values[key])
        self.t += 1

    @contextmanager
    def swap(self, values: Mapping[str, Array]) -> Iterator[None]:
        """The averages in the place of the values for the length of a ``with`` block, and then the values again.

        The values come back bit by bit, also after an exception; what the block writes into them is lost.

        Raises
        ------
        ValueError
            If there was no update, the keys are not those of the updates, or an array is read-only.
        ShapeError, TypeError
            If a value has not the shape and dtype of its average. Nothing has changed then.
        """
        self._check("swap", values)
        for key, value in values.items():
            check_writeable("ExponentialMovingAverage.swap", f"values[{key!r}]", value)
        kept = {key: value.copy() for key, value in values.items()}
        try:
            for key, value in values.items():
                np.copyto(value, self.averaged[key])
            yield
        finally:
            for key, value in values.items():
                np.copyto(value, kept[key])

    def state_dict(self) -> State:
        """``"t"``, and a copy of each average as ``"averaged/KEY"``, for a checkpoint."""
        state: State = {"t": self.t}
        return state | {f"averaged/{key}": average.copy() for key, average in self.averaged.items()}

    def load_state_dict(self, state: Mapping[str, Array | int | float]) -> None:
        """Take over what `state_dict` gave; a number may be an array of one number.

        Raises
        ------
        ValueError
            If something is missing, left over or out of range. Nothing has changed then.
        """
        owner = "ExponentialMovingAverage.load_state_dict"
        keys = split_state(owner, state, once=("t",), per_key=("averaged",))
        t = count_of(owner, state, "t")
        if bool(t) != bool(keys):
            raise ValueError(f"{owner}: t is {t} but state has {len(keys)} averages")
        self.averaged = {key: array_of(owner, state, f"averaged/{key}") for key in keys}
        self.t = t

    def _follow(self, average: Array, value: Array) -> None:
        if average.dtype.kind != "f":
            np.copyto(average, value)
            return
        keep = min(float(self.decay), (1 + self.t) / (10 + self.t))
        scratch = np.empty(piece_shape(average), average.dtype)
        for a, v in pieces(average, value):
            follow(a, v, keep, scratch[: len(a)])

    def _check(self, method: str, values: Mapping[str, Array]) -> None:
        owner = f"ExponentialMovingAverage.{method}"
        check_mapping(owner, "values", values)
        if self.t == 0:
            raise ValueError(f"{owner}: there is no average before the first update")
        missing, unknown = self.averaged.keys() - values.keys(), values.keys() - self.averaged.keys()
        if missing or unknown:
            raise ValueError(
                f"{owner}: values must have the keys of the averages; "
                f"missing are {some(sorted(missing))}, unknown {some(sorted(unknown))}"
            )
        for key, value in values.items():
            check_array(owner, f"values[{key!r}]", value)
            check_same(owner, f"values[{key!r}]", value, "its average", self.averaged[key])


def _copies(values: Mapping[str, Array]) -> dict[str, Array]:
    """Copies of the values, in the byte order of this machine."""
    if not values:
        raise ValueError("ExponentialMovingAverage.update: values is empty, so there is nothing to average")
    for key, value in values.items():
        check_array("ExponentialMovingAverage.update", f"values[{key!r}]", value)
    return {key: value.astype(value.dtype.newbyteorder("=")) for key, value in values.items()}
