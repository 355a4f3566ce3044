"""Whether a data set is still the one that a run was begun with: how many images, and a digest of all of them."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

import numpy as np

from ..data import Dataset
from ..errors import FormatError


class Fingerprint(NamedTuple):
    """What tells one data set from another."""

    train_images: int
    test_images: int
    sha256: str


def fingerprint(dataset: Dataset) -> Fingerprint:
    """Count the images, and digest them with their labels and classes.

    Examples
    --------
    >>> from cnn_from_scratch.data import load_digits
    >>> fingerprint(load_digits())[:2]
    (1438, 359)
    """
    digest = hashlib.sha256(json.dumps([dataset.classes, dataset.maximum]).encode())
    for array in (*dataset.train, *dataset.test):
        native = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(repr((native.dtype.str, native.shape)).encode())
        digest.update(native.data)
    return Fingerprint(len(dataset.train.x), len(dataset.test.x), digest.hexdigest())


def check_unchanged(run: str, source: str, begun: Fingerprint, now: Fingerprint) -> None:
    """Raise FormatError, naming what has changed, unless a data set is the one that a run was begun with.

    Examples
    --------
    >>> check_unchanged("runs/a", "photos", Fingerprint(8, 2, "ab"), Fingerprint(9, 2, "cd"))
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.FormatError: photos has 9 training images now, but runs/a was begun with 8: it would be
    another training
    """
    if now == begun:
        return
    for name, what in (("train_images", "training images"), ("test_images", "test images")):
        before, after = getattr(begun, name), getattr(now, name)
        if before != after:
            raise FormatError(
                f"{source} has {after} {what} now, but {run} was begun with {before}: it would be another training"
            )
    raise FormatError(
        f"{source} holds other images, labels or classes than those that {run} was begun with (SHA-256 "
        f"{now.sha256[:12]} now, {begun.sha256[:12]} then): it would be another training"
    )
