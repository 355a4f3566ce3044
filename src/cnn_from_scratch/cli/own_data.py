"""The data set that a run was trained on, and the image that a command is about."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..data import Dataset, Examples, scale
from ..errors import FormatError
from ..typing import Array
from .catalogue import load_dataset
from .errors import sentence
from .saved_run import Run

TRIED, SURE = 512, 0.9999
"""So many test images are read in search of one that is read right, but not more surely than that: of one that is, the
gradients are mostly rounding."""


class Subject(NamedTuple):
    """One image, and what is known of it."""

    name: str  # the file, or "test image 3 of digits"
    image: Array  # (C, H, W) in [0, 1]
    label: int | None  # its class, if that is known
    probabilities: Array  # (classes,)

    def told(self, classes: tuple[str, ...]) -> str:
        """What it is, and what the model takes it for."""
        guess = int(self.probabilities.argmax())
        taken = f"taken for {classes[guess]}, {100 * self.probabilities[guess]:.1f} %"
        return f"{self.name}: " + (taken if self.label is None else f"{classes[self.label]}, {taken}")


class OwnData:
    """The data set of a run, loaded when it is first asked for; where that fails, it is not tried again."""

    def __init__(self, run: Run, data_dir: Path | None) -> None:
        self.run, self.data_dir = run, data_dir

    @property
    def dataset(self) -> Dataset:
        """All of it.

        Raises
        ------
        OSError
            If it is not to be had.
        FormatError
            If it has other classes now.
        """
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded

    @cached_property
    def _loaded(self) -> Dataset | Exception:
        try:
            return dataset_of(self.run, self.data_dir)
        except (OSError, ValueError) as error:
            return error

    def test_images(self, most: int) -> Examples:
        """The first test images in [0, 1], and their classes."""
        dataset = self.dataset
        return Examples(scale(dataset.test.x[:most], maximum=dataset.maximum), dataset.test.y[:most])


def dataset_of(run: Run, data_dir: Path | None) -> Dataset:
    """The data set that a run was trained on.

    Raises
    ------
    FormatError
        If its classes are not those of the run, or the run knows of none.
    """
    if not run.dataset:
        raise FormatError(f"{run.path}: does not say which data set it is for; cnn import {run.path} --data NAME does")
    dataset = load_dataset(run.dataset, data_dir=data_dir, size=run.input_shape[1:])
    if dataset.classes != run.classes:
        raise FormatError(f"{run.path}: was trained on other classes than {run.dataset} has now")
    return dataset


def find_subject(data: OwnData, picture: Path | None, index: int | None) -> Subject:
    """A picture, prepared as `cnn predict` does; or a test image, without an index the first one that is read right.

    Raises
    ------
    ValueError
        If both are asked for, or there is no such test image.
    OSError
        If none is asked for, and the data set is not to be had.
    """
    run = data.run
    if picture is not None:
        if index is not None:
            raise ValueError(f"--index {index} is a test image, and {picture} is another one; ask for one of them")
        image = run.prepare(picture)
        return Subject(str(picture), image, None, run.predict(image[None])[0])
    try:
        dataset = data.dataset
    except (OSError, ValueError) as error:
        raise OSError(f"{sentence(error)}; or name a picture after the run") from error
    count = len(dataset.test.x)
    if not count:
        raise ValueError(f"{run.dataset} has no test images; name a picture after the run")
    number = _well_read(run, dataset) if index is None else index
    if not 0 <= number < count:
        raise ValueError(f"--index {number}: the test images of {run.dataset} go from 0 to {count - 1}")
    image = scale(dataset.test.x[number], maximum=dataset.maximum)
    name = f"test image {number} of {run.dataset}"
    return Subject(name, image, int(dataset.test.y[number]), run.predict(image[None])[0])


def _well_read(run: Run, dataset: Dataset) -> int:
    """The number of the first test image that the model reads right, without being all too sure; 0 if there is none."""
    images, labels = scale(dataset.test.x[:TRIED], maximum=dataset.maximum), dataset.test.y[:TRIED]
    probabilities = run.predict(images)
    right = probabilities.argmax(1) == labels
    unsure = right & (probabilities.max(1) <= SURE)
    return int((unsure if unsure.any() else right).argmax())
