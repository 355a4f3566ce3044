"""One training by a recipe: the model, its history, and what it is worth on the test images."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..data import Dataset, Examples, Normalization, batch_count, stratified_split
from ..errors import ShapeError
from ..layers import Sequential
from ..models import MODELS
from ..optim import NO_DECAY_1D, SGD, Adam, AdamW, Optimizer, RMSprop, constant, cosine, one_cycle, step_lr
from ..optim import Schedule as Rate
from ..training import (
    AverageWeights,
    BestWeights,
    Callback,
    EarlyStopping,
    Evaluation,
    History,
    Progress,
    evaluate,
    fit,
)
from .catalogue import usual_input
from .recipes import AUGMENTATIONS, Recipe
from .source import PixelSource, normalization_of


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


class Plan(NamedTuple):
    """All that a training needs, made and checked before it begins."""

    recipe: Recipe
    model: Sequential
    normalization: Normalization
    learn: PixelSource
    check: PixelSource | None  # held out of the training images
    choosing: list[Callback]
    optimizer: Optimizer
    schedule: Rate
    seed: int


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


def build_model(recipe: Recipe, dataset: Dataset, *, seed: int) -> Sequential:
    """The recipe's model for the images and classes of a data set.

    Raises
    ------
    ValueError
        If there is no such model, or it has no dropout to be set.
    ShapeError
        If the images do not fit.
    """
    if recipe.model not in MODELS:
        raise ValueError(f"there is no model {recipe.model!r}; there are {', '.join(MODELS)}")
    make: Callable[..., Sequential] = MODELS[recipe.model]
    options = {"in_channels": dataset.train.x.shape[1], "num_classes": len(dataset.classes), "seed": seed}
    if recipe.dropout is None:
        model = make(**options)
    elif "dropout" in inspect.signature(make).parameters:
        model = make(**options, dropout=recipe.dropout)
    else:
        raise ValueError(f"the model {recipe.model} has no dropout to be set")
    try:
        model.output_shape(dataset.train.x.shape[1:])
    except ShapeError as error:
        _, H, W = usual_input(recipe.model)
        raise ShapeError(f"{error}; the model {recipe.model} is made for images of {H} x {W}") from error
    return model


def plan_training(recipe: Recipe, dataset: Dataset, *, seed: int) -> Plan:
    """The model and all that its training needs; whatever does not fit is said here, before anything is written.

    Raises
    ------
    ValueError, ShapeError
        If the recipe, or the images, do not fit.
    """
    model = build_model(recipe, dataset, seed=seed)
    normalization = normalization_of(dataset.train, dataset.maximum)
    learn, check = _parts(recipe, dataset, normalization, seed)
    schedule = _schedule(recipe, recipe.epochs * batch_count(len(learn), recipe.batch_size))
    choosing = _choosing(recipe, check)
    return Plan(recipe, model, normalization, learn, check, choosing, _optimizer(recipe), schedule, seed)


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


def _parts(
    recipe: Recipe, dataset: Dataset, normalization: Normalization, seed: int
) -> tuple[PixelSource, PixelSource | None]:
    """The images to learn from, and those held out of them for validation. The test images take no part."""
    x, y = dataset.train
    augment = AUGMENTATIONS[recipe.augment]
    if recipe.validation == 0:
        return PixelSource(dataset.train, dataset.maximum, normalization, augment), None
    kept, held_out = stratified_split(y, recipe.validation, seed=seed)
    return (
        PixelSource(Examples(x[kept], y[kept]), dataset.maximum, normalization, augment),
        PixelSource(Examples(x[held_out], y[held_out]), dataset.maximum, normalization),
    )


def _choosing(recipe: Recipe, check: PixelSource | None) -> list[Callback]:
    """The average of the weights, and the callbacks that choose by the validation images."""
    if check is None and (recipe.best_weights or recipe.early_stopping):
        raise ValueError("best weights and early stopping choose by validation images; validation must be above 0")
    best: list[Callback] = [AverageWeights(recipe.average)] if recipe.average else []
    if recipe.best_weights:
        best.append(BestWeights())
    return [*best, EarlyStopping(patience=recipe.early_stopping)] if recipe.early_stopping else best


def _optimizer(recipe: Recipe) -> Optimizer:
    lr, decay, groups = recipe.lr, recipe.weight_decay, [NO_DECAY_1D]
    if recipe.optimizer == "adam":
        return Adam(lr, weight_decay=decay, groups=groups)
    if recipe.optimizer == "adamw":
        return AdamW(lr, weight_decay=decay, groups=groups)
    if recipe.optimizer == "sgd":
        return SGD(lr, momentum=0.9, nesterov=True, weight_decay=decay, groups=groups)
    if recipe.optimizer == "rmsprop":
        return RMSprop(lr, weight_decay=decay, groups=groups)
    raise ValueError(f"there is no optimizer {recipe.optimizer!r}; there are adam, adamw, sgd, rmsprop")


def _schedule(recipe: Recipe, steps: int) -> Rate:
    if recipe.schedule == "one-cycle":
        return one_cycle(recipe.lr, steps)
    if recipe.schedule == "cosine":
        return cosine(recipe.lr, steps)
    if recipe.schedule == "step":
        return step_lr(recipe.lr, max(1, -(-steps // 3)))
    if recipe.schedule == "constant":
        return constant(recipe.lr)
    raise ValueError(f"there is no schedule {recipe.schedule!r}; there are one-cycle, cosine, step, constant")
