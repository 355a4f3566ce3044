"""One training by a recipe: the model, its history, and what it is worth on the test images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data import Dataset, Normalization
from ..layers import Sequential
from ..training import Callback, Evaluation, History, Progress, evaluate, fit
from .plan import Plan, plan_training
from .recipes import Recipe
from .source import PixelSource


class Trained(NamedTuple):
    """What a training leaves."""

    model: Sequential
    history: History
    normalization: Normalization
    seconds: float
    stopped: BaseException | None  # what ended the training before its time

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Figures on the test images."""
        return evaluate(self.model, PixelSource(dataset.test, dataset.maximum, self.normalization))


class Checkpoints(NamedTuple):
    """Where checkpoints are kept; see `fit`."""

    folder: Path
    every: int | None = None
    resume: bool = False


class Result(NamedTuple):
    """A training, and its figures on the test images."""

    trained: Trained
    evaluation: Evaluation


def train_recipe(recipe: Recipe, dataset: Dataset, *, seed: int = 0, shards: int | None = None) -> Result:
    """Train a new model by a recipe, and try it on the test images.

    Raises
    ------
    FloatingPointError, KeyboardInterrupt
        What ended the training before its time.
    """
    trained = fit_plan(plan_training(recipe, dataset, seed=seed), shards=shards)
    if trained.stopped is not None:
        raise trained.stopped
    return Result(trained, trained.evaluate(dataset))


def fit_plan(
    plan: Plan,
    *,
    shards: int | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = False,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train as planned. Ctrl-C, SIGTERM and numbers that are no longer finite end it early, and lose nothing."""
    recipe, keep = plan.recipe, _KeepHistory()
    stopped: BaseException | None = None
    start = time.perf_counter()
    try:
        fit(
            plan.model,
            plan.learn,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            optimizer=plan.optimizer,
            schedule=plan.schedule,
            label_smoothing=recipe.label_smoothing,
            validation=plan.check,
            callbacks=[keep, *plan.choosing, *callbacks],
            seed=plan.seed,
            shards=shards,
            progress=progress,
            checkpoint=None if checkpoints is None else checkpoints.folder,
            every=None if checkpoints is None else checkpoints.every,
            resume=checkpoints is not None and checkpoints.resume,
        )
    except (KeyboardInterrupt, FloatingPointError) as error:
        stopped = error
    seconds = time.perf_counter() - start + keep.seconds_before
    return Trained(plan.model, keep.history, plan.normalization, seconds, stopped)


class _KeepHistory(Callback):
    """Holds on to the history, which otherwise is lost when `fit` raises."""

    def __init__(self) -> None:
        self.history = History()
        self._epochs = 0

    def on_train_begin(self, progress: Progress) -> None:
        self.history = progress.history

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        self._epochs += 1
        return False

    def on_train_end(self, progress: Progress) -> None:
        self.history = progress.history

    @property
    def seconds_before(self) -> float:
        """What the epochs took that were there when a training was resumed."""
        before = self.history.rows[: len(self.history) - self._epochs]
        return float(sum(row["seconds"] for row in before))
