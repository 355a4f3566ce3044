"""The callbacks that everyone wants: stop early, keep the best weights, average them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from ..layers import Layer
from ..optim import ExponentialMovingAverage
from ..typing import Array
from .callbacks import Callback, Progress, check_state
from .step import StepResult


def _better(value: float, best: float, monitor: str, min_delta: float = 0.0) -> bool:
    """Accuracies should rise, everything else should fall."""
    if monitor.endswith("accuracy"):
        return value > best + min_delta
    return value < best - min_delta


def _worst(monitor: str) -> float:
    return -math.inf if monitor.endswith("accuracy") else math.inf


def _check_monitor(callback: str, monitor: str, progress: Progress) -> None:
    if monitor.startswith("val_") and not progress.validates:
        raise ValueError(f"{callback}: nothing is held out to measure {monitor!r} on; give fit a validation=...")


def _value(callback: str, monitor: str, row: dict[str, Any]) -> float:
    if monitor not in row:
        raise KeyError(
            f"{callback}: the history has no column {monitor!r}; it has {', '.join(row)} "
            "(validation=... adds val_loss and val_accuracy)"
        )
    return float(row[monitor])


class EarlyStopping(Callback):
    """Stop when `monitor` has not become better for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A column of the history; accuracies should rise, all else should fall.
    patience : int
        Epochs without progress that are allowed, at least 1.
    min_delta : float
        How much better counts as better.

    Examples
    --------
    >>> EarlyStopping(patience=0)
    Traceback (most recent call last):
        ...
    ValueError: EarlyStopping: patience must be an int >= 1, got 0
    """

    def __init__(self, monitor: str = "val_loss", *, patience: int = 5, min_delta: float = 0.0) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: patience must be an int >= 1, got {patience!r}")
        if min_delta < 0:
            raise ValueError(f"EarlyStopping: min_delta must be >= 0, got {min_delta!r}")
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.best, self.waited = _worst(monitor), 0

    def on_train_begin(self, progress: Progress) -> None:
        """Forget an earlier training."""
        _check_monitor("EarlyStopping", self.monitor, progress)
        self.best, self.waited = _worst(self.monitor), 0

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        """Whether the patience has run out."""
        value = _value("EarlyStopping", self.monitor, row)
        if _better(value, self.best, self.monitor, self.min_delta):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, and for how many epochs it has stood."""
        return {"monitor": self.monitor, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Callback.load_state_dict`."""
        kinds = {"monitor": str, "best": float, "waited": int}
        check_state("EarlyStopping", state, kinds, monitor=self.monitor)
        self.best, self.waited = state["best"], state["waited"]


class BestWeights(Callback):
    """Keep the parameters and buffers of the best epoch, and put them back at the end.

    Parameters
    ----------
    monitor : str
        A column of the history. Use the validation part: test data choose nothing.
    """

    def __init__(self, monitor: str = "val_loss") -> None:
        self.monitor = monitor
        self.best, self.epoch = _worst(monitor), 0
        self._measured: dict[str, Array] = {}
        self._kept: dict[str, Array] = {}

    def on_train_begin(self, progress: Progress) -> None:
        """Forget an earlier training."""
        _check_monitor("BestWeights", self.monitor, progress)
        self.best, self.epoch, self._kept = _worst(self.monitor), 0, {}

    def after_evaluation(self, progress: Progress) -> None:
        """Copy the weights that were measured: those of `AverageWeights`, if that stands before this callback."""
        self._measured = {key: array.copy() for key, array in _state(progress.model).items()}

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        """Keep the copy if this epoch is the best so far."""
        value = _value("BestWeights", self.monitor, row)
        if _better(value, self.best, self.monitor):
            self.best, self.epoch = value, progress.epoch
            self._kept = self._measured
        return False

    def on_train_end(self, progress: Progress) -> None:
        """Write the best weights back into the model."""
        state = _state(progress.model)
        for key, array in self._kept.items():
            state[key][...] = array
        self._kept = self._measured = {}

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, its epoch and weights."""
        kept = {key: array.copy() for key, array in self._kept.items()}
        return {"monitor": self.monitor, "best": self.best, "epoch": self.epoch, "kept": kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Callback.load_state_dict`."""
        kinds = {"monitor": str, "best": float, "epoch": int, "kept": dict}
        check_state("BestWeights", state, kinds, monitor=self.monitor)
        self.best, self.epoch, self._kept = state["best"], state["epoch"], dict(state["kept"])


class AverageWeights(Callback):
    """Train on, but validate and finish with an exponential moving average of the weights.

    Parameters
    ----------
    decay : float
        See `cnn_from_scratch.optim.ExponentialMovingAverage`.

    References
    ----------
    Polyak, Juditsky: Acceleration of stochastic approximation by averaging (1992).
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay
        self._average = ExponentialMovingAverage(decay)
        self._lent = ExitStack()

    def on_train_begin(self, progress: Progress) -> None:
        """Forget an earlier training."""
        self._average = ExponentialMovingAverage(self.decay)

    def on_step_end(self, progress: Progress, result: StepResult) -> None:
        """Take the new weights into the average."""
        self._average.update(_state(progress.model))

    def before_evaluation(self, progress: Progress) -> None:
        """Lend the averages to the model."""
        self._lent.enter_context(self._average.swap(_state(progress.model)))

    def after_evaluation(self, progress: Progress) -> None:
        """Give the model its own weights back."""
        self._lent.close()

    def on_train_end(self, progress: Progress) -> None:
        """The averages stay in the model."""
        state = _state(progress.model)
        for key, average in self._average.averaged.items():
            state[key][...] = average

    def state_dict(self) -> dict[str, Any]:
        """The averages, and of how many updates they are."""
        return {"decay": float(self.decay), "average": self._average.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Callback.load_state_dict`."""
        check_state("AverageWeights", state, {"decay": float, "average": dict}, decay=self.decay)
        self._average.load_state_dict(state["average"])


def _state(model: Layer) -> dict[str, Array]:
    return model.params | model.buffers
