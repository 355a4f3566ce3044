"""When a training writes its checkpoints, and which of them it keeps."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..formats.atomic import remove_stale, replacing, temporary
from ..formats.graph_spec import constants_of
from .callbacks import Callback, Progress
from .checkpoint import BEST, Checkpoint, architecture_of, list_checkpoints, steps_of, write_checkpoint
from .meter import Meter
from .resume import Found, Start, refusals_named
from .same_training import differences


def prepare_folder(folder: str | os.PathLike[str]) -> None:
    """Make the folder, see that files can be written there, and clear away what killed writers have left.

    Raises
    ------
    PermissionError
        If it cannot be written.
    """
    path = Path(folder)
    with refusals_named(folder):
        path.mkdir(parents=True, exist_ok=True)
        with temporary(path / BEST):
            pass
    for name in ("checkpoint-*.safetensors", BEST):
        remove_stale(path, name)


def open_saver(
    folder: str | os.PathLike[str],
    every: int | None,
    keep: int,
    settings: dict[str, Any],
    callbacks: Sequence[Callback],
    found: Found | None,
    start: Start,
) -> Saver:
    """The saver of a training that begins, or goes on from a checkpoint that was found.

    Raises
    ------
    ValueError
        If that is one of another training, naming in what they differ. Nothing has changed then.
    PermissionError
        If the folder cannot be written.
    """
    if found is not None and (wrong := differences(found.checkpoint, settings, start.progress)):
        raise ValueError(f"fit: cannot go on from {found.path}: {'; '.join(wrong)}")
    prepare_folder(folder)
    saver = Saver(folder, every, keep, settings, callbacks)
    if found is not None:
        saver.settings = found.checkpoint.settings  # the learning rate that it began with
        if found.checkpoint.finished and is_best(found.checkpoint.history):
            saver.keep_as_best(found.path)  # in case that was what it was killed at
    return saver


class Saver:
    """Writes a checkpoint after so many steps, after every epoch, and where an interruption ends the training."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every: int | None,
        keep: int,
        settings: dict[str, Any],
        callbacks: Sequence[Callback],
    ) -> None:
        self.folder, self.every, self.keep = Path(folder), every, keep
        self.settings, self.callbacks = settings, callbacks

    def after_step(self, progress: Progress, meter: Meter, *, interrupted: bool) -> None:
        """Write one if it is time to; the end of an epoch has its own, after validation."""
        steps, last = steps_done(progress), progress.step + 1 == progress.steps_per_epoch
        if interrupted or (self.every is not None and steps % self.every == 0 and not last):
            self._write(progress, meter, finished=False, stopped=False)

    def after_epoch(self, progress: Progress, meter: Meter, *, stopped: bool) -> None:
        """Write one, and keep it besides the others if the epoch was the best."""
        path = self._write(progress, meter, finished=True, stopped=stopped)
        if path is not None and is_best(progress.history.rows):
            self.keep_as_best(path)

    def keep_as_best(self, path: Path) -> None:
        """Copy it; the copy also stands in for the others, should they be damaged."""
        if path.name != BEST:
            with replacing(self.folder / BEST) as part:
                shutil.copyfile(path, part)

    def _write(self, progress: Progress, meter: Meter, *, finished: bool, stopped: bool) -> Path | None:
        """One more, and the oldest goes. Numbers that are no longer finite are not worth keeping."""
        if not _is_finite(progress):
            return None
        model = progress.model
        path = write_checkpoint(
            self.folder,
            Checkpoint(
                epoch=progress.epoch,
                steps=steps_done(progress),
                finished=finished,
                stopped=stopped,
                settings=self.settings,
                architecture=architecture_of(model),
                model=model.params | model.buffers,
                constants=constants_of(model),
                frozen=sorted(model.frozen),
                optimizer=progress.optimizer.state_dict(),
                callbacks=[callback.state_dict() for callback in self.callbacks],
                meter=meter.state_dict(),
                history=progress.history.rows,
            ),
        )
        self._remove_old(steps_done(progress))
        return path

    def _remove_old(self, steps: int) -> None:
        """Keep the last few of those up to here; one that lies ahead, damaged, is none of them."""
        for path in [path for path in list_checkpoints(self.folder) if steps_of(path) <= steps][: -self.keep]:
            path.unlink(missing_ok=True)


def steps_done(progress: Progress) -> int:
    """Steps since the training began."""
    return (progress.epoch - 1) * progress.steps_per_epoch + progress.step + 1


def _is_finite(progress: Progress) -> bool:
    """Whether all that is being trained is; an infinity would come up in the next step."""
    params = progress.model.params
    with np.errstate(over="ignore", invalid="ignore"):
        return all(np.isfinite(params[key].sum()) for key in progress.model.trainable)


def is_best(history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last epoch is the best so far: by val_loss where there is validation, else by loss.

    Examples
    --------
    >>> is_best([{"loss": 0.5}, {"loss": 0.25}]), is_best([{"loss": 0.5}, {"loss": 0.5}])
    (True, False)
    """
    values = [_comparable(row.get("val_loss", row.get("loss"))) for row in history]
    return bool(values) and (len(values) == 1 or values[-1] < min(values[:-1]))


def _comparable(value: Any) -> float:
    """NaN, and what is no number, is worse than any number."""
    number = float(value) if isinstance(value, int | float | np.number) else math.inf
    return math.inf if math.isnan(number) else number
