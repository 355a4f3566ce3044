"""Training: epochs of batches, each a step of gradients, clipping and the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..data import (
    ArrayData,
    Augment,
    Batch,
    BatchSource,
    Data,
    as_source,
    batch_count,
    iterate_batches,
    stratified_split,
)
from ..errors import NotFiniteError, ShapeError
from ..layers import Layer
from ..ops.memory import Store
from ..optim import Adam, Optimizer
from ..parallel import default_shards
from ..randomness import Place
from .callbacks import Callback, Progress
from .evaluate import evaluate
from .history import History
from .interrupts import interrupt_between_steps
from .losses import LossPair, as_loss
from .meter import Bar, Meter, progress_bar
from .stepper import Setting, take_step
from .teams import Workers, open_team


def fit(
    model: Layer,
    data: Data,
    *,
    epochs: int,
    batch_size: int = 128,
    optimizer: Optimizer | None = None,
    schedule: Callable[[int], float] | None = None,
    loss: str | LossPair = "cross_entropy",
    label_smoothing: float = 0.0,
    validation: float | Data | None = None,
    augment: Augment | None = None,
    callbacks: Sequence[Callback] = (),
    clip_norm: float | None = None,
    clip_value: float | None = None,
    seed: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    prefetch: int = 0,
    shards: int | None = None,
    workers: Workers = "auto",
    trainable: str | Sequence[str] = "*",
    progress: bool = True,
) -> History:
    """Train a model, in place.

    Parameters
    ----------
    model : Layer
        Trained as it stands: `fit` never initialises.
    data : (x, y), or anything with ``__len__`` and ``batch(indices, rng) -> (x, y)``
        Floating images and their targets: class indices, or what the loss asks for.
    epochs, batch_size : int
        At least 1.
    optimizer : Optimizer
        `Adam()` unless given.
    schedule : callable
        ``schedule(step) -> lr``, with step counted from 0 over the whole training; sets ``optimizer.lr``.
    loss : str or (forward, backward)
        "cross_entropy", "binary_cross_entropy", "mse", "l1" or "huber".
    label_smoothing : float
        Share of the target that cross-entropy spreads over all classes.
    validation : float or data
        A share of `data` to hold out (stratified by class where targets are class indices; needs a pair of
        arrays), or data of its own. Measured after every epoch; nothing learns from it.
    augment : callable
        ``augment(x, rng) -> x``, applied to every training batch.
    callbacks : sequence of Callback
        See `Callback`; `EarlyStopping`, `BestWeights`, `AverageWeights`.
    clip_norm, clip_value : float
        Limit the norm of all gradients together, or each of their elements.
    seed : int
        Decides the order, the augmentation and dropout, all of it, whatever ran before.
    shuffle, drop_last, prefetch
        See `cnn_from_scratch.data.iterate_batches`.
    shards : int
        Into how many parts a batch is cut; one per core unless told otherwise. A run is bitwise repeatable for
        a given number of shards.
    workers : "auto", "threads" or "processes"
        Who computes the shards. Forked processes do not wait for each other's Python, which makes small networks up
        to a third faster; they are there on Linux, for models and losses of this package alone, since a fork would
        not notice what your own code changes as it goes. "auto" takes them where it can, else threads. The numbers
        are the same, bit by bit.
    trainable : str or sequence of str
        Patterns over the keys of parameters; all others stay frozen for this training.
    progress : bool
        Show a bar with loss, accuracy, images per second and the time left.

    Returns
    -------
    History
        One row an epoch.

    Raises
    ------
    TypeError
        If images are integers (divide them by 255), or data is not what it should be.
    ShapeError
        If an example does not fit into the model; raised before anything is computed, naming the layer.
    FloatingPointError
        If loss or gradients are no longer finite, naming layer, epoch and step. The parameters are those before
        that step.
    KeyboardInterrupt
        After Ctrl-C, at the end of the step; the model is whole. (A second Ctrl-C does not wait.)

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear, Sequential
    >>> x = np.array([[-1.0], [1.0]], np.float32).repeat(8, axis=0)
    >>> y = np.array([0, 1]).repeat(8)
    >>> model = Sequential(Linear(1, 2, rng=0))
    >>> history = fit(model, (x, y), epochs=20, batch_size=4, optimizer=Adam(lr=0.1), progress=False)
    >>> history["accuracy"][-1]
    1.0
    """
    _check_count("epochs", epochs)
    _check_count("batch_size", batch_size)
    count = min(default_shards(), batch_size) if shards is None else _check_count("shards", shards)
    if count > batch_size:
        raise ValueError(f"fit: shards={count} cannot share a batch_size of {batch_size}; each needs an example")
    optimizer = Adam() if optimizer is None else optimizer
    _check_kinds(model, optimizer, schedule, augment, callbacks)
    chosen = as_loss(loss, label_smoothing=label_smoothing)
    source, held_out = _split(data, validation, augment, seed)
    steps = _count_steps(source, batch_size, drop_last)
    state = Progress(model, optimizer, History(), 0, 0, steps, epochs, held_out is not None)
    batches = partial(
        iterate_batches, source, batch_size, seed=seed, shuffle=shuffle, drop_last=drop_last, prefetch=prefetch
    )
    with (
        _only_trainable(model, trainable),
        open_team(model, chosen, count, workers) as team,
        progress_bar(progress, len(source), epochs) as bar,
        interrupt_between_steps() as check_interrupt,
    ):
        setting = Setting(model, optimizer, chosen, team, Store(), clip_norm, clip_value)
        how = _How(setting, seed, schedule, callbacks, bar, check_interrupt)
        _tell(callbacks, "on_train_begin", state)
        try:
            for epoch in range(1, epochs + 1):
                state, row = _run_epoch(state._replace(epoch=epoch), batches(epoch=epoch), how)
                row |= _validate(state, held_out, how, batch_size)
                state.history.rows.append(row)
                bar.end_epoch(row)
                wishes = [callback.on_epoch_end(state, row) for callback in callbacks]  # every one is told
                check_interrupt()
                if any(wishes):
                    break
        finally:
            _tell(callbacks, "on_train_end", state)
    return state.history


class _How(NamedTuple):
    """What stays the same from step to step."""

    setting: Setting
    seed: int
    schedule: Callable[[int], float] | None
    callbacks: Sequence[Callback]
    bar: Bar
    check_interrupt: Callable[[], None]


def _run_epoch(state: Progress, batches: Iterable[Batch], how: _How) -> tuple[Progress, dict[str, Any]]:
    """All steps of one epoch; where it got to, and its row of the history."""
    meter = Meter(how.setting.loss.name)
    how.bar.start_epoch(state.epoch)
    for batch in batches:
        step, x, y = batch
        state = state._replace(step=step, batch=batch)
        if how.schedule is not None:
            state.optimizer.lr = how.schedule((state.epoch - 1) * state.steps_per_epoch + step)
        try:
            result = take_step(how.setting, x, y, Place(how.seed, state.epoch, step))
        except NotFiniteError as error:
            for callback in how.callbacks:
                callback.on_not_finite(state, error)
            raise
        meter.add(result)
        how.bar.advance(result.examples, meter)
        for callback in how.callbacks:
            callback.on_step_end(state, result)
        how.check_interrupt()
    row = {"epoch": state.epoch, **meter.row(), "lr": float(state.optimizer.lr), "seconds": meter.seconds}
    return state, row


def _validate(state: Progress, held_out: BatchSource | None, how: _How, batch_size: int) -> dict[str, Any]:
    """Loss and accuracy on what was held out; callbacks may lend the model other weights for it."""
    _tell(how.callbacks, "before_evaluation", state)
    try:
        if held_out is None:
            return {}
        loss = how.setting.loss
        report = evaluate(state.model, held_out, loss=(loss.forward, loss.backward), batch_size=batch_size)
    finally:
        _tell(how.callbacks[::-1], "after_evaluation", state)
    row = {"val_loss": report.loss}
    return row if report.accuracy is None else row | {"val_accuracy": report.accuracy}


def _count_steps(source: BatchSource, batch_size: int, drop_last: bool) -> int:
    """Steps in an epoch; at least one."""
    if len(source) == 0:
        raise ValueError("fit: there is no example to train on")
    steps = batch_count(len(source), batch_size, drop_last=drop_last)
    if steps == 0:
        raise ValueError(f"fit: {len(source)} examples make no batch of {batch_size} with drop_last=True")
    return steps


def _split(
    data: Data, validation: float | Data | None, augment: Augment | None, seed: int
) -> tuple[BatchSource, BatchSource | None]:
    """The examples to train on, augmented, and those to validate on, as they are."""
    if isinstance(validation, float | int):
        if not 0 < validation < 1:
            raise ValueError(f"fit: validation must be a share between 0 and 1, or data; got {validation!r}")
        if not isinstance(data, tuple):
            raise TypeError("fit: a share for validation can be held out of a pair of arrays (x, y) only")
        x, y = data
        if len(x) != len(y):
            raise ShapeError(f"fit: x and y must have the same length, got shapes {x.shape} and {y.shape}")
        strata = y if y.ndim == 1 and y.dtype.kind in "ui" else np.zeros(len(y), np.int64)
        learn, check = stratified_split(strata, float(validation), seed=seed)
        return ArrayData(x[learn], y[learn], augment), ArrayData(x[check], y[check])
    held_out = None if validation is None else as_source(validation)
    if augment is None:
        return as_source(data), held_out
    if not isinstance(data, tuple):
        raise TypeError("fit: augment needs a pair of arrays (x, y); data of your own augments in its batch()")
    return ArrayData(*data, augment), held_out


@contextmanager
def _only_trainable(model: Layer, patterns: str | Sequence[str]) -> Iterator[None]:
    """Freeze all that does not match, for a while."""
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    keys = [*model.params, *model.buffers]
    for pattern in wanted:
        if pattern != "*" and not any(fnmatchcase(key, pattern) for key in keys):
            raise ValueError(f"fit: trainable={pattern!r} matches no key; the keys are {', '.join(keys)}")
    before = model.frozen
    others = frozenset(key for key in keys if not any(fnmatchcase(key, pattern) for pattern in wanted))
    model._set_frozen(before | others)
    try:
        if model.params and not model.trainable:
            raise ValueError("fit: every parameter is frozen; there is nothing to train")
        yield
    finally:
        model._set_frozen(before)


def _tell(callbacks: Sequence[Callback], event: str, state: Progress) -> None:
    for callback in callbacks:
        getattr(callback, event)(state)


def _check_kinds(
    model: object, optimizer: object, schedule: object, augment: object, callbacks: Sequence[object]
) -> None:
    """The right kinds of things, before anything is computed."""
    if not isinstance(model, Layer):
        raise TypeError(f"fit: model must be a Layer, such as a Sequential, got {model!r}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit: optimizer must be an Optimizer, such as Adam(lr=1e-3), got {optimizer!r}")
    for name, value in (("schedule", schedule), ("augment", augment)):
        if value is not None and not callable(value):
            raise TypeError(f"fit: {name} must be a function or None, got {value!r}")
    if not isinstance(callbacks, Sequence) or not all(isinstance(callback, Callback) for callback in callbacks):
        raise TypeError(f"fit: callbacks must be a list of Callback objects, got {callbacks!r}")


def _check_count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"fit: {name} must be an int >= 1, got {value!r}")
    return int(value)
