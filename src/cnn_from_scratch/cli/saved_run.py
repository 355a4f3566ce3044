"""A trained model with all that it needs to know about images: what `cnn predict` and `cnn evaluate` work with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..data import Normalization, fit_picture, prepare_digit, prepare_garment, prepare_small_digit
from ..data.picture import Picture
from ..errors import FormatError
from ..formats import load_metadata, load_model
from ..layers import Layer
from ..ops import softmax_forward
from ..typing import Array
from .run_folder import MODEL

LARGEST = 4096
"""No side of an image that a model takes is longer."""


class Preparation(NamedTuple):
    """A way from a picture to an image of a data set."""

    prepare: Callable[[Picture], Array]
    shape: tuple[int, int, int]  # of what it makes, once it has a channel


PREPARATIONS = {
    "uci-digit": Preparation(prepare_small_digit, (1, 8, 8)),
    "mnist-digit": Preparation(prepare_digit, (1, 28, 28)),
    "garment": Preparation(prepare_garment, (1, 28, 28)),
}
"""How a picture is made to look like the training images; others are only scaled."""


class Run(NamedTuple):
    """A trained model and what it needs to know about images."""

    path: Path  # of the model's file
    model: Layer
    dataset: str  # a name, or the path of a folder
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]  # (C, H, W)
    normalization: Normalization
    preparation: str

    def prepare(self, picture: Picture) -> Array:
        """The picture as the training images were, (C, H, W) in [0, 1]."""
        C, H, W = self.input_shape
        if self.preparation in PREPARATIONS:
            return PREPARATIONS[self.preparation].prepare(picture)[None]
        return fit_picture(picture, (H, W), channels=C)

    def predict(self, images: Array) -> Array:
        """Probabilities (N, classes) for prepared images (N, C, H, W)."""
        return softmax_forward(self.model.predict(self.normalization.apply(images)))[0]


def load_run(path: str | Path) -> Run:
    """A run by its folder, or by the file of its model.

    Raises
    ------
    FileNotFoundError
        If there is no such run.
    FormatError
        If the file is damaged, or was not written by `cnn train`.
    """
    file = Path(path) / MODEL if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{path} is no run: there is no {MODEL} in it")
    metadata = load_metadata(file)
    try:
        run = Run(
            path=file,
            model=load_model(file),
            dataset=str(metadata["dataset"]),
            classes=tuple(map(str, metadata["classes"])),
            input_shape=_triple(metadata["input_shape"]),
            normalization=Normalization(*(tuple(map(float, part)) for part in metadata["normalization"])),
            preparation=str(metadata["preparation"]),
        )
        _check(run)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{file}: was not written by cnn train: {type(error).__name__}: {error}") from error
    return run


def _check(run: Run) -> None:
    """Raise ValueError where the parts of a run do not belong together."""
    C, H, W = run.input_shape
    if min(C, H, W) < 1 or max(H, W) > LARGEST or C not in (1, 3):
        raise ValueError(f"images of shape {run.input_shape}")
    if run.preparation in PREPARATIONS and run.input_shape != PREPARATIONS[run.preparation].shape:
        raise ValueError(f"images of shape {run.input_shape} prepared as {run.preparation}")
    if run.model.output_shape(run.input_shape) != (len(run.classes),):
        raise ValueError(f"{len(run.classes)} classes, but the model gives {run.model.output_shape(run.input_shape)}")
    if not (len(run.normalization.mean) == len(run.normalization.std) == C and min(run.normalization.std) > 0):
        raise ValueError(f"{run.normalization} for {C} channels")


def _triple(values: list[Any]) -> tuple[int, int, int]:
    C, H, W = values
    return int(C), int(H), int(W)


def run_metadata(
    dataset: str,
    classes: tuple[str, ...],
    input_shape: tuple[int, ...],
    normalization: Normalization,
    preparation: str,
) -> dict[str, Any]:
    """What goes into the model's file so that `load_run` can make a Run of it."""
    return {
        "dataset": dataset,
        "classes": classes,
        "input_shape": input_shape,
        "normalization": [normalization.mean, normalization.std],
        "preparation": preparation,
    }
