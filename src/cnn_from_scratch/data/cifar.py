"""CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 colour pixels, in one tar archive of binary files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from ..errors import CnnError, FormatError, LimitError
from ..typing import Array
from .content import CHUNK, ContentStream, open_content
from .dataset import Dataset, Examples
from .download import RemoteFile, fetch
from .places import data_root, find_file

if TYPE_CHECKING:
    import tarfile

NAME = "cifar-10"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE = RemoteFile(
    name="cifar-10-binary.tar.gz",
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-10-binary.tar.gz",
    ),
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    size=170_052_171,
    gzipped=False,
)
FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"{FOLDER}/data_batch_{i}.bin" for i in range(1, 6))
TEST = (f"{FOLDER}/test_batch.bin",)
IMAGES_PER_FILE = 10_000
PIXELS = 3 * 32 * 32  # all red, then all green, then all blue, row by row; the label is one byte before them
MAX_CONTENT = 256 << 20  # the true archive holds 184 MB
MAX_MEMBERS = 100  # and 9 members


def load_cifar10(data_dir: str | os.PathLike[str] | None = None, *, verify: bool = True) -> Dataset:
    """Ten kinds of things in colour: 50,000 training and 10,000 test images, (3, 32, 32), uint8.

    The archive of the binary version is read as it is: nothing is extracted, and only its six batches are looked at,
    by their exact names and sizes. The digest is that of the archive (170,052,171 bytes) as TensorFlow Datasets
    publishes it; the batches themselves have no digest of their own.

    Parameters
    ----------
    data_dir : path, optional
        The folder that holds ``cifar-10-binary.tar.gz``, or the one above it that holds ``cifar-10/``. Otherwise
        $CNN_DATA_DIR, otherwise the user's cache folder. A download goes into its ``cifar-10/``.
    verify : bool
        Compare the SHA-256 of an archive that is already there. A download is always verified.

    Raises
    ------
    FormatError
        If the archive is damaged, not the published one, or lacks a batch.
    DownloadError
        If it is missing and no mirror gives it.

    References
    ----------
    Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009). https://www.cs.toronto.edu/~kriz/cifar.html

    Examples
    --------
    >>> load_cifar10().train.x.shape  # doctest: +SKIP
    (50000, 3, 32, 32)
    """
    root = data_root(data_dir)
    path = find_file(root, NAME, ARCHIVE.name) or fetch(ARCHIVE, root / NAME)
    if verify:
        _check_digest(path)
    records = _read_members(path, {*TRAIN, *TEST}, IMAGES_PER_FILE * (1 + PIXELS))
    return Dataset(NAME, _examples(path, records, TRAIN), _examples(path, records, TEST), CLASSES)


def _check_digest(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != ARCHIVE.sha256:
        raise FormatError(f"{path}: SHA-256 is {digest}, expected {ARCHIVE.sha256}; it is not the published archive")


def _read_members(path: Path, names: set[str], size: int) -> dict[str, bytes]:
    """The bytes of the members `names`, each a plain file of exactly `size` bytes; no other member is read."""
    import tarfile

    found: dict[str, bytes] = {}
    try:
        with (
            open_content(path, limit=MAX_CONTENT) as stream,
            tarfile.open(fileobj=cast(IO[bytes], _Ending(stream, path)), mode="r|") as archive,
        ):
            for count, member in enumerate(archive, 1):
                if _is_wanted(path, member, names, size, count):
                    if member.name in found:
                        raise FormatError(f"{path}: {member.name} must be one plain file of {size} bytes")
                    content = archive.extractfile(member)
                    found[member.name] = content.read() if content is not None else b""
            while stream.read(CHUNK):  # to the end, where the checksum is
                pass
    except (CnnError, OSError, MemoryError):
        raise
    except Exception as error:  # hostile headers let tarfile raise almost anything
        raise FormatError(f"{path}: damaged tar archive: {error}") from error
    missing = sorted(name for name in names if len(found.get(name, b"")) != size)
    if missing:
        raise FormatError(f"{path}: lacks {', '.join(missing)}")
    return found


class _Ending:
    """Raises where tarfile goes on and on after the end: it reads as many blocks as a header claims, there or not."""

    def __init__(self, stream: ContentStream, path: Path) -> None:
        self._stream, self._path, self._empty = stream, path, 0

    def read(self, n: int) -> bytes:
        """Up to n bytes; the end is told a few times."""
        data = self._stream.read(n)
        self._empty += not data
        if self._empty > 4:
            raise FormatError(f"{self._path}: damaged tar archive: a member claims more than there is")
        return data


def _is_wanted(path: Path, member: tarfile.TarInfo, names: set[str], size: int, count: int) -> bool:
    """Whether a member is one of `names`, and sound; headers cost memory, so there must not be many of them."""
    if count > MAX_MEMBERS:
        raise LimitError(f"{path}: has more than {MAX_MEMBERS} members")
    if member.name not in names:
        return False
    if not member.isreg() or member.issparse() or member.size != size:
        raise FormatError(f"{path}: {member.name} must be one plain file of {size} bytes")
    return True


def _examples(path: Path, records: dict[str, bytes], names: tuple[str, ...]) -> Examples:
    rows = [np.frombuffer(records[name], np.uint8).reshape(-1, 1 + PIXELS) for name in names]
    labels = np.concatenate([row[:, 0] for row in rows]).astype(np.int64)  # (N,)
    if labels.max() >= len(CLASSES):
        raise FormatError(f"{path}: labels must lie in 0..{len(CLASSES) - 1}, got {labels.max()}")
    images: Array = np.concatenate([row[:, 1:] for row in rows]).reshape(-1, 3, 32, 32)
    return Examples(images, labels)
