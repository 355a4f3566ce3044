"""Five epochs of MNIST for both sides: the same images in the same order, changed in the same way, at the same rate."""

from __future__ import annotations

from pathlib import Path

from tasks import Competitor, Task, Unavailable

from cnn_from_scratch.cli.recipes import RECIPES, Recipe
from cnn_from_scratch.data import Dataset, Examples, load_mnist

PLACES = ("data/mnist", "../shared/data/mnist")
"""Where MNIST may lie, seen from the repository."""


def dataset_for(task: Task) -> Dataset:
    """MNIST from a folder near the repository; nothing is downloaded."""
    root = Path(__file__).resolve().parents[1]
    folder = next((root / place for place in PLACES if (root / place).is_dir()), None)
    if folder is None:
        raise Unavailable(f"MNIST is in none of {', '.join(PLACES)}")
    dataset = load_mnist(folder)
    if task.examples:
        x, y = dataset.train
        dataset = dataset._replace(train=Examples(x[: task.examples], y[: task.examples]))
    return dataset


def recipe_for(task: Task, competitor: Competitor) -> Recipe:
    """What `cnn train mnist` does; or, plain, without all that is not the network, Adam and its schedule."""
    recipe = RECIPES["mnist"]._replace(epochs=task.epochs)
    if task.net == "plain":
        recipe = recipe._replace(augment="none", dropout=None, average=0.0)
    return recipe
