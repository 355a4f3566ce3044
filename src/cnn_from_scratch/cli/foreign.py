"""A model that another program wrote, as a run: with what its file does not say about images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..data import IMAGENET_NORMALIZATION
from ..errors import FormatError
from ..layers import Layer
from ..models import IMAGENET_MODELS
from .catalogue import usual_input
from .model_file import ModelFile, open_model
from .saved_run import PREPARATIONS, Run, run_of


class Told(NamedTuple):
    """What is told about a model beside its file; None for what is not."""

    network: str | None = None
    input_shape: tuple[int, int, int] | None = None
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    preparation: str | None = None
    dataset: str | None = None


NOTHING = Told()


def foreign_run(path: Path, told: Told = NOTHING) -> tuple[Run, ModelFile]:
    """The model in a file as a run.

    What is told counts, then what the file says; otherwise classes are numbers, and pictures are scaled to 0..1.

    Raises
    ------
    FormatError
        If it is no model that sorts images into classes, or what is told does not fit.
    """
    found = open_model(path, told.network)
    shape = told.input_shape or found.metadata.get("input_shape") or found.input_shape or _usual(told.network)
    if shape is None:
        raise FormatError(f"{path}: does not say how large its images are; --input CxHxW does")
    if len(shape) != 3:
        raise FormatError(f"{path}: takes no images (C, H, W) but {tuple(shape)}")
    scores = _scores(path, found.model, tuple(shape))
    known = {
        "dataset": "",
        "classes": [str(k) for k in range(scores)],
        "input_shape": list(shape),
        "normalization": _normalization(told.network, shape[0]),
        "preparation": _preparation(told.network, shape),
        **found.metadata,
    }
    for name in ("classes", "input_shape", "preparation", "dataset"):
        if getattr(told, name) is not None:
            known[name] = getattr(told, name)
    mean, std = known["normalization"]
    known["normalization"] = [_each(told.mean or mean, shape[0]), _each(told.std or std, shape[0])]
    return run_of(path, found.model, known, "cannot be used as a run"), found


def _usual(network: str | None) -> tuple[int, int, int] | None:
    return None if network is None else usual_input(network)


def _scores(path: Path, model: Layer, shape: tuple[int, ...]) -> int:
    """How many classes the model gives scores for."""
    try:
        output = model.output_shape(shape)
    except Exception as error:  # zeros run through a model that may be made of anything
        raise FormatError(f"{path}: does not take images {shape}: {type(error).__name__}: {error}") from error
    if len(output) != 1:
        raise FormatError(f"{path}: gives {output} for an image, not one score for each class")
    return output[0]


def _normalization(network: str | None, channels: int) -> list[Sequence[float]]:
    if network in IMAGENET_MODELS and channels == 3:
        return [*IMAGENET_NORMALIZATION]
    return [[0.0], [1.0]]


def _preparation(network: str | None, shape: tuple[int, ...]) -> str:
    photographs = network in IMAGENET_MODELS and shape == PREPARATIONS["imagenet"].shape
    return "imagenet" if photographs else "picture"


def _each(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """One number for each channel; a single one is for all."""
    return tuple(values) * channels if len(values) == 1 else tuple(values)
