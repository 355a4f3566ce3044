"""Going on from a checkpoint: the latest that can be read, and everything put back as it was."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import FormatError
from .callbacks import Callback, Progress
from .checkpoint import BEST, Checkpoint, list_checkpoints, read_checkpoint
from .meter import Meter


class Found(NamedTuple):
    """A checkpoint, and where it lies."""

    path: Path
    checkpoint: Checkpoint


class Start(NamedTuple):
    """Where a training begins, or goes on."""

    progress: Progress
    meter: Meter | None = None  # sums of the epoch that was under way
    stopped: bool = False  # a callback has ended it before

    def epochs_left(self) -> range:
        """Numbers of the epochs to do, from the one that is under way."""
        first = self.progress.epoch + (self.meter is None)
        return range(first, first if self.stopped else self.progress.epochs + 1)

    def enter(self, epoch: int, loss: str) -> tuple[int, Meter]:
        """The first step to do in an epoch, and the sums of those before."""
        if self.meter is not None and epoch == self.progress.epoch:
            return self.progress.step + 1, self.meter
        return 0, Meter(loss)


def find_checkpoint(folder: str | os.PathLike[str], *, resume: bool) -> Found | None:
    """The latest checkpoint that can be read; None where the folder has none.

    Raises
    ------
    ValueError
        If there are checkpoints, and nobody has said `resume`.
    FormatError
        If all of them are damaged.
    PermissionError
        If nobody may look into the folder.
    """
    best = Path(folder) / BEST
    with refusals_named(folder):
        paths = [*list_checkpoints(folder)[::-1], *([best] if best.exists() else [])]
    if paths and not resume:
        raise ValueError(
            f"fit: checkpoint={os.fspath(folder)!r} holds checkpoints of a training, such as {paths[0].name}; "
            "go on with it by resume=True, or choose another folder"
        )
    reasons = []
    for path in paths:
        try:
            found = Found(path, read_checkpoint(path))
        except FormatError as error:
            reasons.append(str(error))
        else:
            for reason in reasons:
                warnings.warn(f"fit: {reason}; going on from {path.name}", RuntimeWarning, stacklevel=3)
            return found
    if reasons:
        raise FormatError(f"fit: no checkpoint can be read: {'; '.join(reasons)}")
    return None


@contextmanager
def refusals_named(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever the system does not allow comes out as PermissionError with the argument's name."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        why = "fit: checkpoint=... names a folder that cannot be written; choose another one"
        raise PermissionError(error.errno, why, os.fspath(folder)) from error


def shards_of(found: Found) -> int:
    """Into how many shards the batches were cut."""
    shards = found.checkpoint.settings.get("shards")
    if type(shards) is not int or shards < 1:
        raise FormatError(f"{found.path}: shards must be an int >= 1, got {shards!r:.80}")
    return shards


def restore(found: Found, start: Start) -> Start:
    """Everything but the callbacks, as it was: the arrays of the model are written in place.

    Raises
    ------
    ValueError
        If the states of optimizer or meter are none of their kind; nothing has changed then.
    """
    checkpoint, progress = found.checkpoint, start.progress
    meter = Meter(checkpoint.settings["loss"])
    meter.load_state_dict(checkpoint.meter)
    progress.optimizer.load_state_dict(checkpoint.optimizer)
    for key, array in (progress.model.params | progress.model.buffers).items():
        array[...] = checkpoint.model[key]
    progress.model._set_frozen(frozenset(checkpoint.frozen))
    progress.history.rows.extend(checkpoint.history)
    step = checkpoint.steps - (checkpoint.epoch - 1) * progress.steps_per_epoch - 1
    progress = progress._replace(epoch=checkpoint.epoch, step=step)
    return Start(progress, None if checkpoint.finished else meter, checkpoint.stopped)


def restore_callbacks(found: Found, callbacks: Sequence[Callback]) -> None:
    """Each gets the state that it gave.

    Raises
    ------
    ValueError
        If one of them does not take it; as FormatError where it did not say why.
    """
    for place, (callback, state) in enumerate(zip(callbacks, found.checkpoint.callbacks, strict=True)):
        try:
            callback.load_state_dict(state)
        except (LookupError, TypeError) as error:
            what = f"callbacks[{place}], {type(callback).__name__}, does not take its state: {error!r}"
            raise FormatError(f"{found.path}: {what}") from error
