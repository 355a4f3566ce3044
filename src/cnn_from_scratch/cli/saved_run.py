"""A trained model with all that it needs to know about images: what `cnn predict` and `cnn evaluate` work with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..data import (
    Normalization,
    fit_picture,
    prepare_digit,
    prepare_garment,
    prepare_imagenet,
    prepare_small_digit,
)
from ..data.picture import Picture
from ..errors import FormatError
from ..formats import load_metadata, load_model
from ..layers import Layer, Sequential, Softmax
from ..layers.graph import Graph
from ..ops import softmax_forward
from ..typing import Array
from .going_on import resume_command
from .model_file import is_foreign
from .run_folder import JOB, MODEL

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
    "imagenet": Preparation(prepare_imagenet, (3, 224, 224)),
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
            return PREPARATIONS[self.preparation].prepare(picture).reshape(self.input_shape)
        return fit_picture(picture, (H, W), channels=C)

    def predict(self, images: Array) -> Array:
        """Probabilities (N, classes) for prepared images (N, C, H, W)."""
        scores = self.model.predict(self.normalization.apply(images))
        return scores if ends_in_softmax(self.model) else softmax_forward(scores)[0]


def load_run(path: str | Path) -> Run:
    """A run by its folder, or by the file of its model, which may be an ONNX file.

    Raises
    ------
    FileNotFoundError
        If there is no such run.
    FormatError
        If the file is damaged, or is no classifier of images.
    """
    file = Path(path) / MODEL if Path(path).is_dir() else Path(path)
    if not file.is_file() and (Path(path) / JOB).is_file():
        raise FileNotFoundError(f"{path} has no {MODEL} yet; {resume_command(Path(path))} trains it to its end")
    if not file.is_file():
        raise FileNotFoundError(f"{path} is no run: there is no {MODEL} in it")
    if is_foreign(file):
        from .foreign import foreign_run

        return foreign_run(file)[0]
    metadata = load_metadata(file)
    return run_of(file, load_model(file), metadata, "was not written by cnn train")


def run_of(file: Path, model: Layer, metadata: Mapping[str, Any], complaint: str) -> Run:
    """A model and what is known of it.

    Raises
    ------
    FormatError
        If something is missing or does not fit; it begins with the file and the complaint.
    """
    try:
        run = Run(
            path=file,
            model=model,
            dataset=str(metadata["dataset"]),
            classes=tuple(map(str, metadata["classes"])),
            input_shape=_triple(metadata["input_shape"]),
            normalization=Normalization(*(tuple(map(float, part)) for part in metadata["normalization"])),
            preparation=str(metadata["preparation"]),
        )
        _check(run)
    except FormatError:
        raise
    except Exception as error:  # a model from a file can have arguments that no caller would give
        raise FormatError(f"{file}: {complaint}: {type(error).__name__}: {error}") from error
    return run


def ends_in_softmax(model: Layer) -> bool:
    """Whether the model gives probabilities by itself.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear, Sequential, Softmax
    >>> ends_in_softmax(Sequential(Linear(2, 3), Sequential(Softmax()))), ends_in_softmax(Linear(2, 3))
    (True, False)
    """
    if isinstance(model, Graph):
        return any(model.outputs[0] in node.outputs and node.operation.op_type == "Softmax" for node in model.nodes)
    if isinstance(model, Sequential) and len(model):
        return ends_in_softmax(model[-1])
    return isinstance(model, Softmax)


def _check(run: Run) -> None:
    """Raise ValueError where the parts of a run do not belong together."""
    C, H, W = run.input_shape
    if min(C, H, W) < 1 or max(H, W) > LARGEST or C not in (1, 3):
        raise ValueError(f"images of shape {run.input_shape}")
    if run.preparation in PREPARATIONS and run.input_shape != PREPARATIONS[run.preparation].shape:
        raise ValueError(f"images of shape {run.input_shape} prepared as {run.preparation}")
    if not all(name.isprintable() for name in (run.dataset, *run.classes)):
        raise ValueError("a name that cannot be printed; on a terminal it could do anything")
    if run.model.output_shape(run.input_shape) != (len(run.classes),):
        raise ValueError(f"{len(run.classes)} classes, but the model gives {run.model.output_shape(run.input_shape)}")
    mean, std = run.normalization
    if not (len(mean) == len(std) == C and all(map(math.isfinite, (*mean, *std))) and min(std) > 0):
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
