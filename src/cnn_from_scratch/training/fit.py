"""Training: epochs of batches, each a step of gradients, clipping and the optimizer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..data import Augment, Batch, BatchSource, Data, iterate_batches
from ..errors import NotFiniteError
from ..layers import Layer
from ..ops.memory import Store
from ..optim import Adam, Optimizer
from ..parallel import default_shards
from ..randomness import Place
from .arguments import check_checkpoints, check_count, check_kinds, count_steps, only_trainable, split_data
from .callbacks import Callback, Progress
from .evaluate import evaluate
from .history import History
from .interrupts import Interrupt, interrupt_between_steps
from .losses import LossPair, as_loss
from .meter import Bar, Meter, progress_bar
from .resume import Found, Start, find_checkpoint, restore, restore_callbacks, shards_of
from .same_training import describe
from .saver import Saver, open_saver
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
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    keep: int = 2,
    resume: bool = False,
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
    checkpoint : path, optional
        A folder, made if it is missing, for checkpoints: files that hold all that a training needs to go on. One is
        written at the end of every epoch, and where an interruption ends the training. They are named
        ``checkpoint-EPOCH-STEPS.safetensors``; ``best.safetensors`` is that of the best epoch (by val_loss where there
        is validation, else by loss).
    every : int, optional
        Steps between two checkpoints, besides those.
    keep : int
        How many of the last checkpoints are kept, at least 1. Two leave one to go back to, should the last be damaged.
    resume : bool
        Go on from the last checkpoint that can be read; begin where there is none, so that the same script can be run
        again and again. What comes out is bitwise what an uninterrupted training gives: parameters, buffers, moments,
        callbacks, history but for the times. All else must be given as it was: the same data, model and settings;
        `epochs` may be larger, and shards=None takes as many as before.

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
        that step; the last checkpoint stays.
    KeyboardInterrupt
        After Ctrl-C, and as its subclass `Terminated` after SIGTERM, at the end of the step; the model is whole, and
        there is a checkpoint of this step. (A second one does not wait.) Handlers of your own stay as they are.
    ValueError
        If there are checkpoints already and `resume` was not asked for, or what is resumed differs from before.
    FormatError
        If every checkpoint is damaged. (If only the last is: RuntimeWarning, and the one before is taken.)
    OSError
        If a checkpoint cannot be written, as the disk is full; the model is whole, older checkpoints are as they were.
        PermissionError, before anything is computed, if the folder cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.layers import Linear, Sequential
    >>> x = np.array([[-1.0], [1.0]], np.float32).repeat(8, axis=0)
    >>> y = np.array([0, 1]).repeat(8)
    >>> model = Sequential(Linear(1, 2, rng=0))
    >>> history = fit(model, (x, y), epochs=20, batch_size=4, optimizer=Adam(lr=0.1), progress=False)
    >>> history["accuracy"][-1]
    1.0
    """
    check_count("epochs", epochs)
    check_count("batch_size", batch_size)
    optimizer = Adam() if optimizer is None else optimizer
    check_kinds(model, optimizer, schedule, augment, callbacks)
    check_checkpoints(checkpoint, every, keep, resume)
    chosen = as_loss(loss, label_smoothing=label_smoothing)
    source, held_out = split_data(data, validation, augment, seed)
    steps = count_steps(source, batch_size, drop_last)
    found = None if checkpoint is None else find_checkpoint(checkpoint, resume=resume)
    count = _count_shards(shards, batch_size, found)
    batches = partial(
        iterate_batches, source, batch_size, seed=seed, shuffle=shuffle, drop_last=drop_last, prefetch=prefetch
    )
    given = {
        "augment": augment is not None,
        "batch_size": int(batch_size),
        "clip_norm": clip_norm,
        "clip_value": clip_value,
        "drop_last": bool(drop_last),
        "examples": len(source),
        "label_smoothing": label_smoothing,
        "loss": chosen.name,
        "schedule": schedule is not None,
        "seed": int(seed),
        "shards": count,
        "shuffle": bool(shuffle),
        "validation": None if held_out is None else len(held_out),
    }
    start = Start(Progress(model, optimizer, History(), 0, 0, steps, epochs, held_out is not None))
    with only_trainable(model, trainable):
        saver = None
        if checkpoint is not None:
            settings = given | describe(model, optimizer, callbacks, scheduled=schedule is not None)
            saver = open_saver(checkpoint, every, keep, settings, callbacks, found, start)
            start = start if found is None else restore(found, start)
        with (
            open_team(model, chosen, count, workers) as team,
            progress_bar(progress, len(source), epochs) as bar,
            interrupt_between_steps() as interrupt,
        ):
            setting = Setting(model, optimizer, chosen, team, Store(), clip_norm, clip_value)
            how = _How(setting, seed, schedule, callbacks, bar, interrupt, saver, held_out, batch_size)
            _tell(callbacks, "on_train_begin", start.progress)
            if found is not None:
                restore_callbacks(found, callbacks)
            return _run(start, batches, how)


class _How(NamedTuple):
    """What stays the same from step to step."""

    setting: Setting
    seed: int
    schedule: Callable[[int], float] | None
    callbacks: Sequence[Callback]
    bar: Bar
    interrupt: Interrupt
    saver: Saver | None
    held_out: BatchSource | None
    batch_size: int


def _run(start: Start, batches: Callable[..., Iterable[Batch]], how: _How) -> History:
    """All epochs that are left."""
    state = start.progress
    try:
        for epoch in start.epochs_left():
            first_step, meter = start.enter(epoch, how.setting.loss.name)
            state = _run_epoch(state._replace(epoch=epoch), batches(epoch=epoch, first_step=first_step), meter, how)
            stopped = _end_epoch(state, meter, how)
            if how.saver is not None:
                how.saver.after_epoch(state, meter, stopped=stopped)
            how.interrupt.check()
            if stopped:
                break
    finally:
        _tell(how.callbacks, "on_train_end", state)
    return state.history


def _run_epoch(state: Progress, batches: Iterable[Batch], meter: Meter, how: _How) -> Progress:
    """The steps of one epoch; where it got to."""
    how.bar.start_epoch(state.epoch, meter.examples)
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
        _end_step(state, meter, how)
    return state


def _end_step(state: Progress, meter: Meter, how: _How) -> None:
    """A checkpoint if it is time for one; the end, after a checkpoint, if somebody has asked for it."""
    interrupted = how.interrupt.pending
    if how.saver is not None:
        how.saver.after_step(state, meter, interrupted=interrupted)
    if interrupted:
        how.interrupt.check()


def _end_epoch(state: Progress, meter: Meter, how: _How) -> bool:
    """Validate, and add a row to the history; whether a callback wants the training to stop."""
    seconds, row = meter.seconds, {"epoch": state.epoch, **meter.row()}
    row |= {"lr": float(state.optimizer.lr), "seconds": seconds}
    row |= _validate(state, how)
    state.history.rows.append(row)
    how.bar.end_epoch(row)
    wishes = [callback.on_epoch_end(state, row) for callback in how.callbacks]  # every one is told
    return any(wishes)


def _validate(state: Progress, how: _How) -> dict[str, Any]:
    """Loss and accuracy on what was held out; callbacks may lend the model other weights for it."""
    _tell(how.callbacks, "before_evaluation", state)
    try:
        if how.held_out is None:
            return {}
        loss = how.setting.loss
        report = evaluate(state.model, how.held_out, loss=(loss.forward, loss.backward), batch_size=how.batch_size)
    finally:
        _tell(how.callbacks[::-1], "after_evaluation", state)
    row = {"val_loss": report.loss}
    return row if report.accuracy is None else row | {"val_accuracy": report.accuracy}


def _count_shards(shards: int | None, batch_size: int, found: Found | None) -> int:
    """As many as were asked for, as before, or one per core."""
    if shards is None:
        return min(default_shards(), batch_size) if found is None else shards_of(found)
    count = check_count("shards", shards)
    if count > batch_size:
        raise ValueError(f"fit: shards={count} cannot share a batch_size of {batch_size}; each needs an example")
    return count


def _tell(callbacks: Sequence[Callback], event: str, state: Progress) -> None:
    for callback in callbacks:
        getattr(callback, event)(state)
