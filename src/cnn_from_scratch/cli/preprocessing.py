"""A model whose file does not say how its images are made, or says something else than what is wanted."""

from __future__ import annotations

from pathlib import Path

from ..data import IMAGENET_NORMALIZATION
from .foreign import Told, foreign_run
from .run_folder import MODEL
from .saved_run import PREPARATIONS, Run


def run_prepared_as(path: Path, preparation: str) -> Run:
    """The model of a run or a file, for pictures that are prepared in this way.

    With "imagenet", images are also normalized as torchvision's networks expect it; otherwise as the file says.

    Raises
    ------
    ValueError
        If there is no such way.
    FileNotFoundError, FormatError
        If there is no such model, or it does not take such images.
    """
    if preparation not in PREPARATIONS:
        raise ValueError(f"--preprocessing {preparation}: there is no such way; there are {', '.join(PREPARATIONS)}")
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"{path} is no run: there is no {MODEL} in it")
    told = Told(input_shape=PREPARATIONS[preparation].shape, preparation=preparation)
    if preparation == "imagenet":
        told = told._replace(mean=IMAGENET_NORMALIZATION.mean, std=IMAGENET_NORMALIZATION.std)
    return foreign_run(file, told)[0]
