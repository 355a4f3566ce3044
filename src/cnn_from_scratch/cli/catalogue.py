"""Data sets by the names that the command line uses, and what its networks are made for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..data import Dataset, load_cifar10, load_digits, load_fashion_mnist, load_image_folder, load_mnist
from ..data.places import data_root
from ..models import IMAGENET_MODELS

LOADERS: dict[str, Callable[[Path | None], Dataset]] = {
    "digits": lambda data_dir: load_digits(),
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
}

MODEL_INPUTS = {"digits_cnn": (1, 8, 8), "lenet5": (1, 28, 28), "mnist_cnn": (1, 28, 28)} | dict.fromkeys(
    IMAGENET_MODELS, (3, 224, 224)
)


def usual_input(model: str) -> tuple[int, int, int]:
    """The shape (C, H, W) of what a network of this package is usually shown."""
    return MODEL_INPUTS.get(model, (3, 32, 32))


def load_dataset(name: str, *, data_dir: Path | None = None, size: tuple[int, int] | None = None) -> Dataset:
    """A data set by name, or the pictures of a folder.

    Parameters
    ----------
    name : str
        One of `LOADERS`, or a folder with a folder of pictures for each class.
    data_dir : path, optional
        Where the files of a named data set lie, or are put; it must be there.
    size : (H, W), optional
        To what the pictures of a folder are scaled.

    Raises
    ------
    ValueError
        If it is neither.
    FileNotFoundError
        If there is no folder `data_dir`.
    """
    if data_dir is not None and not data_root(data_dir).is_dir():
        raise FileNotFoundError(f"there is no folder {str(data_dir)!r}; --data-dir names one that is there")
    if name in LOADERS:
        return LOADERS[name](data_dir)
    if not Path(name).is_dir():
        raise ValueError(f"{name!r} is neither a data set ({', '.join(LOADERS)}) nor a folder of pictures")
    return load_image_folder(name, size=size)


def recipe_name(name: str) -> str:
    """Which recipe belongs to it."""
    return name if name in LOADERS else "folder"
