"""The epochs of a training: steps, validation, the history, callbacks, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from ..data import Batch, BatchSource
from ..errors import NotFiniteError
from ..randomness import Place
from .callbacks import Callback, Progress
from .evaluate import evaluate
from .history import History
from .interrupts import Interrupt
from .meter import Bar, Meter
from .resume import Start
from .saver import Saver
from .stepper import Setting, take_step


class How(NamedTuple):
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


def run_epochs(start: Start, batches: Callable[..., Any], how: How) -> History:
    """All epochs that are left."""
    state = start.progress
    try:
        for epoch in start.epochs_left():
            first_step, meter = start.enter(epoch, how.setting.loss.name)
            with closing(batches(epoch=epoch, first_step=first_step)) as made:  # a prefetching thread ends with it
                state = _run_epoch(state._replace(epoch=epoch), made, meter, how)
            stopped = _end_epoch(state, meter, how)
            if how.saver is not None:
                how.saver.after_epoch(state, meter, stopped=stopped)
            how.interrupt.check()
            if stopped:
                break
    finally:
        tell(how.callbacks, "on_train_end", state)
    return state.history


def _run_epoch(state: Progress, batches: Iterable[Batch], meter: Meter, how: How) -> Progress:
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


def _end_step(state: Progress, meter: Meter, how: How) -> None:
    """A checkpoint if it is time for one; the end, after a checkpoint, if somebody has asked for it."""
    interrupted = how.interrupt.pending
    if how.saver is not None:
        how.saver.after_step(state, meter, interrupted=interrupted)
    if interrupted:
        how.interrupt.check()


def _end_epoch(state: Progress, meter: Meter, how: How) -> bool:
    """Validate, and add a row to the history; whether a callback wants the training to stop."""
    seconds, row = meter.seconds, {"epoch": state.epoch, **meter.row()}
    row |= {"lr": float(state.optimizer.lr), "seconds": seconds}
    row |= _validate(state, how)
    state.history.rows.append(row)
    how.bar.end_epoch(row)
    wishes = [callback.on_epoch_end(state, row) for callback in how.callbacks]  # every one is told
    return any(wishes)


def _validate(state: Progress, how: How) -> dict[str, Any]:
    """Loss and accuracy on what was held out; callbacks may lend the model other weights for it."""
    tell(how.callbacks, "before_evaluation", state)
    try:
        if how.held_out is None:
            return {}
        loss = how.setting.loss
        report = evaluate(state.model, how.held_out, loss=(loss.forward, loss.backward), batch_size=how.batch_size)
    finally:
        tell(how.callbacks[::-1], "after_evaluation", state)
    row = {"val_loss": report.loss}
    return row if report.accuracy is None else row | {"val_accuracy": report.accuracy}


def tell(callbacks: Sequence[Callback], event: str, state: Progress) -> None:
    """One event to all of them."""
    for callback in callbacks:
        getattr(callback, event)(state)
