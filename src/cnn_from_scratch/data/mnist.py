"""MNIST and Fashion-MNIST: 60,000 training and 10,000 test images of 28 x 28 grey pixels, in four IDX files each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import FormatError
from ..typing import Array
from .dataset import Dataset, Examples
from .download import RemoteFile, fetch
from .idx import read_idx
from .places import data_root, find_file


class _Published(NamedTuple):
    """A data set in the form of MNIST: where it lies and what its files hash to."""

    name: str
    mirrors: tuple[str, ...]
    digests: tuple[str, str, str, str]  # of the decompressed files, in the order of _FILES
    classes: tuple[str, ...]


_FILES = (
    ("train-images-idx3-ubyte.gz", 47_040_016),
    ("train-labels-idx1-ubyte.gz", 60_008),
    ("t10k-images-idx3-ubyte.gz", 7_840_016),
    ("t10k-labels-idx1-ubyte.gz", 10_008),
)
"""Names, and the sizes of what they hold."""

_MNIST = _Published(
    name="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    digests=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    classes=tuple("0123456789"),
)

_FASHION_MNIST = _Published(
    name="fashion-mnist",
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    ),
    digests=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
)  # fmt: skip


def load_mnist(data_dir: str | os.PathLike[str] | None = None, *, verify: bool = True) -> Dataset:
    """Handwritten digits: 60,000 training and 10,000 test images, (1, 28, 28), uint8.

    Files that are already there are used; what is missing is downloaded.

    Parameters
    ----------
    data_dir : path, optional
        The folder that holds the files (with or without .gz), or the one above it that holds ``mnist/``. Otherwise
        $CNN_DATA_DIR, otherwise the user's cache folder. Downloads go into its ``mnist/``.
    verify : bool
        Compare the SHA-256 of what the files hold with that of the published ones. Downloads are always verified.

    Raises
    ------
    FormatError
        If a file is damaged or not the published one.
    DownloadError
        If a file is missing and no mirror gives it.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998).

    Examples
    --------
    >>> data = load_mnist().scaled()  # doctest: +SKIP
    >>> data.train.x.shape, data.test.x.shape  # doctest: +SKIP
    ((60000, 1, 28, 28), (10000, 1, 28, 28))
    """
    return _load(_MNIST, data_dir, verify)


def load_fashion_mnist(data_dir: str | os.PathLike[str] | None = None, *, verify: bool = True) -> Dataset:
    """Articles of clothing in the form of MNIST: 60,000 training and 10,000 test images, (1, 28, 28), uint8.

    Parameters
    ----------
    data_dir : path, optional
        As for `load_mnist`; the folder is called ``fashion-mnist``.
    verify : bool
        As for `load_mnist`.

    Raises
    ------
    FormatError, DownloadError
        As for `load_mnist`.

    References
    ----------
    Xiao, Rasul, Vollgraf: Fashion-MNIST (2017). https://arxiv.org/abs/1708.07747 (MIT licence)

    Examples
    --------
    >>> load_fashion_mnist().classes[9]  # doctest: +SKIP
    'Ankle boot'
    """
    return _load(_FASHION_MNIST, data_dir, verify)


def _load(published: _Published, data_dir: str | os.PathLike[str] | None, verify: bool) -> Dataset:
    root = data_root(data_dir)
    files = []
    for (name, size), digest in zip(_FILES, published.digests, strict=True):
        urls = tuple(mirror + name for mirror in published.mirrors)
        file = RemoteFile(name, urls, digest, size)
        files.append(find_file(root, published.name, name) or fetch(file, root / published.name))
    digests = published.digests if verify else (None, None, None, None)
    arrays = [read_idx(path, sha256=digest) for path, digest in zip(files, digests, strict=True)]
    train = _examples(arrays[0], arrays[1], files[0], files[1], len(published.classes))
    test = _examples(arrays[2], arrays[3], files[2], files[3], len(published.classes))
    return Dataset(published.name, train, test, published.classes)


def _examples(images: Array, labels: Array, images_path: Path, labels_path: Path, classes: int) -> Examples:
    if images.dtype != np.uint8 or images.ndim != 3:
        raise FormatError(f"{images_path}: expected uint8 images (N, H, W), got {images.dtype} {images.shape}")
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise FormatError(f"{labels_path}: expected {len(images)} uint8 labels, got {labels.dtype} {labels.shape}")
    if labels.size and labels.max() >= classes:
        raise FormatError(f"{labels_path}: labels must lie in 0..{classes - 1}, got {labels.max()}")
    return Examples(images[:, None], labels.astype(np.int64))
