"""What a recipe comes to for a data set: model, images, optimizer, schedule; made and checked before it begins."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

from ..data import Dataset, Examples, Normalization, batch_count, stratified_split
from ..errors import ShapeError
from ..layers import Sequential
from ..models import MODELS
from ..optim import NO_DECAY_1D, SGD, Adam, AdamW, Optimizer, RMSprop, constant, cosine, one_cycle, step_lr
from ..optim import Schedule as Rate
from ..training import AverageWeights, BestWeights, Callback, EarlyStopping
from .catalogue import usual_input
from .recipes import AUGMENTATIONS, Recipe
from .source import PixelSource, normalization_of


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
