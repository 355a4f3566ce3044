"""What a training must have in common with the one that it goes on with, and where two of them differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..layers import Layer
from ..optim import Optimizer, ParamGroup
from .callbacks import Callback, Progress
from .checkpoint import Checkpoint

STATE_OF_OPTIMIZERS = ("t", "steps", "state")
"""Attributes of an optimizer that are no settings."""


def describe(model: Layer, optimizer: Optimizer, callbacks: Sequence[Callback], *, scheduled: bool) -> dict[str, Any]:
    """What is frozen, the optimizer with its settings, and the kinds of the callbacks, as a training begins.

    The learning rate is no setting where a schedule sets it.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear
    >>> from cnn_from_scratch.optim import SGD
    >>> described = describe(Linear(1, 1), SGD(0.5, momentum=0.9), [], scheduled=True)
    >>> described["optimizer"], described["optimizer.momentum"], "optimizer.lr" in described
    ('SGD', 0.9, False)
    """
    hidden = (*STATE_OF_OPTIMIZERS, "lr") if scheduled else STATE_OF_OPTIMIZERS
    settings = {
        f"optimizer.{name}": repr(value) if isinstance(value, tuple) else value
        for name, value in vars(optimizer).items()
        if name not in hidden and _is_plain(value)
    }
    return {
        "callbacks": [type(callback).__name__ for callback in callbacks],
        "frozen": sorted(model.frozen),
        "optimizer": type(optimizer).__name__,
        **settings,
    }


def _is_plain(value: Any) -> bool:
    """Whether it can be compared with another one that has been in a file."""
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str | ParamGroup)


def differences(checkpoint: Checkpoint, settings: Mapping[str, Any], progress: Progress) -> list[str]:
    """Everything that is not as it was, in words; empty if the checkpoint is one of this training."""
    found = [*_different_settings(checkpoint, settings), *_different_arrays(checkpoint, progress.model)]
    if not found and not _adds_up(checkpoint, progress.steps_per_epoch):
        found.append("its epochs, steps and history do not add up")
    if checkpoint.epoch > progress.epochs:
        found.append(f"epochs is {progress.epochs}, but epoch {checkpoint.epoch} has begun")
    return found


def _different_settings(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> list[str]:
    """What was given otherwise. (The learning rate may also be what it had become.)"""
    was, wrong = checkpoint.settings, []
    for name in sorted(settings.keys() | was.keys()):
        now, before = settings.get(name), was.get(name)
        if name.startswith("optimizer.") and not (name in settings and name in was):
            continue  # a setting that only one of two kinds of optimizers has
        if now != before and not (name == "optimizer.lr" and now == checkpoint.optimizer.get("lr")):
            wrong.append(f"{name} is {_shown(name, now)}, not {_shown(name, before)}")
    return wrong


def _different_arrays(checkpoint: Checkpoint, model: Layer) -> list[str]:
    """Keys, shapes and dtypes that differ."""
    own, kept = model.params | model.buffers, checkpoint.model
    wrong = [f"the model has no {key!r}" for key in kept if key not in own]
    wrong += [f"the model has {key!r} besides" for key in own if key not in kept]
    for key in own.keys() & kept.keys():
        now, before = own[key], kept[key]
        if (now.shape, now.dtype) != (before.shape, before.dtype):
            wrong.append(f"{key!r} is {now.dtype} of shape {now.shape}, not {before.dtype} of shape {before.shape}")
    return sorted(wrong)


def _adds_up(checkpoint: Checkpoint, steps_per_epoch: int) -> bool:
    """Whether steps and rows of the history are as many as there must be in this epoch."""
    before = checkpoint.epoch - 1
    done = checkpoint.steps - before * steps_per_epoch
    rows = before + checkpoint.finished
    return (done == steps_per_epoch if checkpoint.finished else 1 <= done <= steps_per_epoch) and (
        len(checkpoint.history) == rows and len(checkpoint.callbacks) == len(checkpoint.settings["callbacks"])
    )


def _shown(name: str, value: Any) -> str:
    """A setting for a message; those of optimizers that are no numbers are texts already."""
    text = value if name.startswith("optimizer.") and isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
