"""NPZ, NumPy's archive of arrays: a zip file of .npy files, each a short header and the numbers.

``np.load(path)`` reads them, too, and refuses pickles unless it is told otherwise; but it allocates whatever a header
claims, and unpacks whatever a zip file holds. Here sizes are compared first, and a header is matched, never evaluated.
"""

from __future__ import annotations

import math
import os
import re
import zipfile
from pathlib import Path

import numpy as np

from ..errors import CnnError, FormatError, LimitError
from ..typing import Array

MAGIC = b"\x93NUMPY"
HEADER = re.compile(
    r"\{'descr': ?'([<>|=]?[a-zA-Z]\d*)', ?'fortran_order': ?(True|False), ?'shape': ?\(([\dL, ]{0,400})\),? ?\}\s*"
)
LENGTHS = {1: 2, 2: 4, 3: 4}
"""How many bytes the length of the header takes, by the version of the format."""

MAX_HEADER = 4096
MAX_ARRAYS = 10_000
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What np.savez and np.savez_compressed write; other methods can make gigabytes of one kilobyte in a single step."""


def read_npz(path: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> dict[str, Array]:
    """The arrays in an NPZ file by name, C-contiguous and in native byte order.

    Parameters
    ----------
    path : path
        A file of ``np.savez`` or ``np.savez_compressed``.
    max_bytes : int
        The most bytes of all arrays together.

    Returns
    -------
    arrays : dict
        Of numbers and booleans. An array of objects would need a pickle, and is refused.

    Raises
    ------
    FormatError
        If it is no such file, is damaged, or holds anything but arrays of numbers. The message names the file.
    LimitError
        If it declares more than `max_bytes`; said before anything is unpacked. No more than declared is unpacked.
    FileNotFoundError
        If there is none.

    References
    ----------
    numpy/lib/format.py describes the format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez_compressed(f"{folder}/a.npz", x=np.ones((1, 2), np.float32), y=np.arange(3))
    ...     read_npz(f"{folder}/a.npz")
    {'x': array([[1., 1.]], dtype=float32), 'y': array([0, 1, 2])}
    """
    with Path(path).open("rb") as file:  # what the system says about the file passes unchanged
        try:
            with zipfile.ZipFile(file) as archive:
                entries = _look_over(archive.infolist(), max_bytes)
                return {name: _array(name, _unpack(archive, entry)) for name, entry in entries.items()}
        except CnnError as error:
            raise type(error)(f"{path}: {error}") from error.__cause__
        except MemoryError:
            raise
        except Exception as error:  # a damaged archive lets zipfile raise almost anything
            raise FormatError(f"{path}: not a sound zip file: {error}") from error


def _look_over(found: list[zipfile.ZipInfo], max_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by name; raises where the list of contents alone shows that something is wrong."""
    if len(found) > MAX_ARRAYS:
        raise LimitError(f"has {len(found)} entries; at most {MAX_ARRAYS} are accepted")
    claimed = sum(entry.file_size for entry in found)
    if claimed > max_bytes:
        raise LimitError(f"claims to hold {claimed} bytes; at most {max_bytes} are accepted")
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in found:
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or entry.flag_bits & 0x1 or entry.compress_type not in METHODS:
            raise FormatError(f"its entry {entry.filename[:80]!r} is no array as np.savez writes them")
        if name in entries:
            raise FormatError(f"holds the array {name[:80]!r} twice")
        entries[name] = entry
    return entries


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What an entry holds, compared with its checksum: as much as it declares, and not a byte more."""
    with archive.open(entry) as stream:
        return stream.read(entry.file_size + 1)


def _array(name: str, data: bytes) -> Array:
    """The array in a .npy file."""
    start, text = _header(name, data)
    match = HEADER.fullmatch(text)
    if match is None:
        raise FormatError(f"the array {name[:80]!r} has the header {text[:80]!r}, which is none")
    dtype = _dtype(name, match[1])
    shape = tuple(int(size.rstrip("L")) for size in match[3].replace(" ", "").split(",") if size)
    if len(shape) > 32 or max(shape, default=0) >= 1 << 62 or len(data) - start != dtype.itemsize * math.prod(shape):
        raise FormatError(f"the array {name[:80]!r} claims {dtype} {shape}, but has {len(data) - start} bytes")
    numbers: Array = np.frombuffer(data, dtype, offset=start)
    numbers = numbers.view(np.uint8) != 0 if dtype.kind == "b" else numbers  # a boolean is 0 or 1, whatever lies there
    array = numbers.reshape(shape, order="F" if match[2] == "True" else "C")
    return array.astype(dtype.newbyteorder("="), order="C")


def _header(name: str, data: bytes) -> tuple[int, str]:
    """Where the numbers begin, and the text before them."""
    width = LENGTHS.get(data[6], 0) if data.startswith(MAGIC) and len(data) > 12 else 0
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    if not width or length > MAX_HEADER or start > len(data):
        raise FormatError(f"its entry {name[:80]!r} is no array: it begins with {data[:8]!r}")
    return start, data[8 + width : start].decode("latin-1")


def _dtype(name: str, code: str) -> np.dtype[np.generic]:
    """A dtype of numbers or booleans."""
    if not re.fullmatch(r"[<>|=]?(b1|[iu][1248]|f[248])", code):
        why = ", which only a pickle could bring" if code.endswith("O") else ", which is no type of numbers"
        raise FormatError(f"the array {name[:80]!r} holds {code!r}{why}")
    return np.dtype(code)
