"""The data set that comes with the package: 1,797 handwritten digits of 8 x 8 pixels. No download, seconds to train."""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .dataset import Dataset, Examples
from .npz import read_npz
from .splits import stratified_folds, stratified_split

SPLIT_SEED = 0
TEST_FRACTION = 0.2
CLASSES = tuple("0123456789")


def load_digits() -> Dataset:
    """1,438 training and 359 test images of handwritten digits, (1, 8, 8), uint8 in 0..16.

    The images are the test part of "Optical Recognition of Handwritten Digits", where each pixel counts the ink
    in a 4 x 4 block of a 32 x 32 bitmap. The split is fixed: 20 % of each class, rounded, are held out, by
    ``stratified_split(y, 0.2, seed=0)``. The same 13 people wrote both parts, so a test figure says how well digits
    of known writers are read; it is more favourable than one for strangers.

    Returns
    -------
    Dataset
        With maximum = 16: ``load_digits().scaled()`` gives float32 in [0, 1].

    References
    ----------
    E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits (1998), UCI Machine Learning Repository,
    https://doi.org/10.24432/C50P49, licence CC BY 4.0. Repacked; see NOTICE.

    Examples
    --------
    >>> data = load_digits()
    >>> print(data)
    digits: 1438 training and 359 test images of shape (1, 8, 8), uint8, 10 classes
    """
    images, labels = _all_digits()
    train, test = stratified_split(labels, TEST_FRACTION, seed=SPLIT_SEED)
    return _dataset("digits", images, labels, train, test)


def digits_folds(k: int = 5) -> list[Dataset]:
    """k data sets, each holding out another k-th of the 1,797 digits, with every class in its share.

    The mean over the folds says more than a single split of so few images, and its spread says how much to believe.

    Examples
    --------
    >>> [len(fold.test.y) for fold in digits_folds(5)]
    [360, 360, 359, 359, 359]
    """
    images, labels = _all_digits()
    folds = stratified_folds(labels, k, seed=SPLIT_SEED)
    return [_dataset(f"digits, fold {i} of {k}", images, labels, *fold) for i, fold in enumerate(folds, 1)]


def _all_digits() -> tuple[Array, Array]:
    """Images (1797, 1, 8, 8) uint8 and labels (1797,) int64, in the published order."""
    from importlib import resources

    with resources.as_file(resources.files(__package__) / "digits.npz") as path:
        arrays = read_npz(path)
    return arrays["images"][:, None], arrays["labels"].astype(np.int64)


def _dataset(name: str, images: Array, labels: Array, train: Array, test: Array) -> Dataset:
    parts = [Examples(images[part], labels[part]) for part in (train, test)]
    return Dataset(name, parts[0], parts[1], CLASSES, maximum=16)
