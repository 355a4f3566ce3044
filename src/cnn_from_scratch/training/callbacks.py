"""What may happen between the steps and epochs of `fit`: what callbacks are told, and what they remember."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..data import Batch
from ..errors import NotFiniteError
from ..layers import Layer
from ..optim import Optimizer
from .history import History
from .step import StepResult


class Progress(NamedTuple):
    """Where a training is: what every callback is told."""

    model: Layer
    optimizer: Optimizer
    history: History
    epoch: int  # from 1; 0 before the first
    step: int  # within the epoch, from 0
    steps_per_epoch: int
    epochs: int
    validates: bool = False  # whether there is something to measure val_loss and val_accuracy on
    batch: Batch | None = None  # the examples of this step; None before the first


class Callback:
    """Base of all callbacks: override what you need.

    `before_evaluation` and `after_evaluation` surround what is measured at the end of an epoch, so that a callback
    can lend the model other weights for it; the latter is called in reverse order, as one leaves nested blocks.

    A callback that remembers something says what in `state_dict`, so that it gets into checkpoints, and takes it back
    in `load_state_dict`. When a training is resumed, `on_train_begin` comes first: model, optimizer and history are
    those of the checkpoint by then.
    """

    def on_train_begin(self, progress: Progress) -> None:
        """Before the first step."""

    def on_step_end(self, progress: Progress, result: StepResult) -> None:
        """After the parameters were updated."""

    def on_not_finite(self, progress: Progress, error: NotFiniteError) -> None:
        """Loss or gradients of a step are NaN or infinite: the training ends with this error."""

    def before_evaluation(self, progress: Progress) -> None:
        """After the last step of an epoch, before validation."""

    def after_evaluation(self, progress: Progress) -> None:
        """After validation."""

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        """Look at the new row of the history; return True to stop the training."""
        return False

    def on_train_end(self, progress: Progress) -> None:
        """After the last step, also when the training was interrupted."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers between steps: None, numbers, strings, arrays; lists, tuples and dicts of these."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; the arrays are its own.

        Raises
        ------
        ValueError
            If it is the state of something else.
        """
        check_state(type(self).__name__, state, {})


def check_state(callback: str, state: Mapping[str, Any], kinds: Mapping[str, type], **settings: Any) -> None:
    """Raise if a state has not these parts, of these types, or was made with other settings, which are among them.

    Examples
    --------
    >>> kinds = {"monitor": str, "waited": int}
    >>> check_state("EarlyStopping", {"monitor": "loss", "waited": 2}, kinds, monitor="val_loss")
    Traceback (most recent call last):
        ...
    ValueError: EarlyStopping.load_state_dict: monitor is 'val_loss', but it was 'loss'
    """
    owner = f"{callback}.load_state_dict"
    if set(state) != set(kinds):
        raise ValueError(
            f"{owner}: state must have {', '.join(kinds) or 'nothing'}; got {', '.join(state) or 'nothing'}"
        )
    for name, kind in kinds.items():
        if type(state[name]) is not kind:
            raise ValueError(f"{owner}: {name} must be of type {kind.__name__}, got {state[name]!r:.80}")
    for name, value in settings.items():
        if state[name] != value:
            raise ValueError(f"{owner}: {name} is {value!r}, but it was {state[name]!r}")
