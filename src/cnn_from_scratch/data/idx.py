"""IDX, the format of the MNIST files: a magic number, the sizes of the axes, then the numbers, big-endian.

byte 0-1   zero
byte 2     dtype: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
byte 3     number of axes
4 bytes    the size of each axis, unsigned, big-endian
the rest   the numbers, last axis fastest
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import FormatError, LimitError
from ..typing import Array
from .content import CHUNK, ContentStream, open_content
from .dataset import check_finite

DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MAX_AXES = 8


class IdxHeader(NamedTuple):
    """What the first bytes of an IDX file say about the rest."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    raw: bytes

    @property
    def nbytes(self) -> int:
        """How many bytes of numbers follow."""
        return self.dtype.itemsize * math.prod(self.shape)


def read_idx(
    path: str | os.PathLike[str], *, sha256: str | None = None, max_bytes: int = 1 << 30, check: bool = True
) -> Array:
    """The array in an IDX file, gzip or plain, in native byte order.

    The header is believed only as far as it agrees with the file: nothing is allocated before the sizes were
    compared with `max_bytes` and with the bytes that are there.

    Parameters
    ----------
    path : path
        Such as ``train-images-idx3-ubyte.gz``; whether it is compressed is seen from its first bytes.
    sha256 : hex digits, optional
        What the decompressed content must hash to.
    max_bytes : int
        The largest array to accept.
    check : bool
        Refuse NaN and infinity in an array of floats.

    Raises
    ------
    FormatError
        If it is not an IDX file, is truncated or damaged, goes on after its end, or has another digest.
    LimitError
        If the header claims more than max_bytes.
    ValueError
        If there are NaN or infinite numbers.

    References
    ----------
    LeCun, Cortes, Burges: The MNIST database of handwritten digits. http://yann.lecun.com/exdb/mnist/

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with open_content(path, limit=max_bytes + 4 + 4 * MAX_AXES) as stream:
        header = _read_header(stream, path)
        _check_size(header, stream, path, max_bytes)
        array, digest = _read_numbers(header, stream, path)
    if sha256 is not None and digest != sha256:
        raise FormatError(f"{path}: its content has SHA-256 {digest}, expected {sha256}; it is not the published file")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if check:
        check_finite(str(path), array)
    return array


def _read_header(stream: ContentStream, path: Path) -> IdxHeader:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES or not 1 <= start[3] <= MAX_AXES:
        page = " (an HTML page, perhaps a server's error message)" if start.lstrip()[:1] == b"<" else ""
        raise FormatError(f"{path}: not an IDX file: it begins with {start!r}{page}")
    axes = start[3]
    sizes = stream.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise FormatError(f"{path}: truncated: it ends within the sizes of its {axes} axes")
    return IdxHeader(np.dtype(DTYPES[start[2]]), struct.unpack(f">{axes}I", sizes), start + sizes)


def _check_size(header: IdxHeader, stream: ContentStream, path: Path, max_bytes: int) -> None:
    """Compare the claim with the cap (an empty axis does not excuse the others) and with the file."""
    claim = header.dtype.itemsize * math.prod(max(size, 1) for size in header.shape)
    if claim > max_bytes:
        raise LimitError(f"{path}: claims shape {header.shape}, {claim} bytes; at most {max_bytes} are accepted")
    if header.nbytes > stream.capacity:
        raise FormatError(
            f"{path}: truncated: claims shape {header.shape}, {header.nbytes} bytes, "
            f"but holds at most {stream.capacity}"
        )


def _read_numbers(header: IdxHeader, stream: ContentStream, path: Path) -> tuple[Array, str]:
    """The array, and the SHA-256 of the whole content."""
    array = np.empty(header.nbytes, np.uint8)
    digest = hashlib.sha256(header.raw)
    filled = 0
    while chunk := stream.read(min(CHUNK, header.nbytes - filled)):
        array[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        digest.update(chunk)
        filled += len(chunk)
    if filled < header.nbytes:
        raise FormatError(f"{path}: truncated: claims shape {header.shape}, {header.nbytes} bytes, but holds {filled}")
    if stream.read(1):
        raise FormatError(f"{path}: goes on after the {header.nbytes} bytes of its shape {header.shape}")
    return array.view(header.dtype).reshape(header.shape), digest.hexdigest()
