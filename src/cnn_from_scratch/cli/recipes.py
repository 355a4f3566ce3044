"""How each data set is trained unless told otherwise: the one table of numbers to turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..data import Augment, Compose, RandomAffine, RandomCrop, RandomFlip, RandomShift


class Recipe(NamedTuple):
    """All that decides a training besides the data and the seed."""

    model: str
    epochs: int
    batch_size: int = 128
    optimizer: str = "adam"
    lr: float = 3e-3
    schedule: str = "one-cycle"
    augment: str = "none"
    dropout: float | None = None  # None: what the model has by itself
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    average: float = 0.0  # decay of the moving average of the weights, which the model ends with; 0 for none
    validation: float = 0.05  # share of the training images; 0 for none
    best_weights: bool = False
    early_stopping: int = 0  # epochs of patience; 0 for none
    preparation: str = "picture"  # how `cnn predict` makes a picture look like the training images


RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        model="digits_cnn",
        epochs=45,
        batch_size=64,
        lr=4e-3,
        augment="affine-8",
        dropout=0.5,
        label_smoothing=0.05,
        average=0.995,
        validation=0.0,
        preparation="uci-digit",
    ),
    "mnist": Recipe(
        model="mnist_cnn",
        epochs=5,
        batch_size=64,
        lr=2e-3,
        augment="affine-28",
        dropout=0.5,
        average=0.99,
        validation=0.0,
        preparation="mnist-digit",
    ),
    "fashion-mnist": Recipe(
        model="mnist_cnn",
        epochs=5,
        batch_size=64,
        lr=3e-3,
        dropout=0.5,
        label_smoothing=0.05,
        average=0.99,
        validation=0.0,
        preparation="garment",
    ),
    "cifar10": Recipe(model="vgg_small", epochs=10, augment="flip-crop-4", label_smoothing=0.05),
    "folder": Recipe(model="vgg_small", epochs=20, batch_size=32, augment="flip-crop-4"),
}
"""For each data set by name; "folder" for a folder of pictures."""

AUGMENTATIONS: dict[str, Augment | None] = {
    "none": None,
    "affine-8": RandomAffine(degrees=8, scale=(0.92, 1.08), shift=0.4, shear=8),
    "affine-28": RandomAffine(degrees=10, scale=(0.9, 1.1), shift=2),
    "shift": RandomShift(2),
    "flip": RandomFlip(),
    "flip-crop-2": Compose(RandomFlip(), RandomCrop(2)),
    "flip-crop-4": Compose(RandomFlip(), RandomCrop(4)),
}
"""Changes of the training images, in [0, 1] before they are normalized."""

RATES = {"adam": 3e-3, "adamw": 3e-3, "sgd": 0.05, "rmsprop": 1e-3}
"""A learning rate for an optimizer that is not the recipe's own."""


def changed_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with some things changed, and what follows from that.

    A model that is not the recipe's own has its own dropout, an optimizer that is not the recipe's own its own learning
    rate, and what is chosen by validation images needs some.

    Examples
    --------
    >>> changed = changed_recipe(Recipe("mnist_cnn", epochs=5, dropout=0.4), {"model": "lenet5", "optimizer": "sgd"})
    >>> changed.model, changed.dropout, changed.optimizer, changed.lr
    ('lenet5', None, 'sgd', 0.05)
    """
    changed = recipe._replace(**changes)
    if changed.model != recipe.model and "dropout" not in changes:
        changed = changed._replace(dropout=None)
    if changed.optimizer != recipe.optimizer and "lr" not in changes:
        changed = changed._replace(lr=RATES[changed.optimizer])
    if (changed.best_weights or changed.early_stopping) and not changed.validation and "validation" not in changes:
        changed = changed._replace(validation=0.1)
    return changed
