"""What is printed where not every letter can be: into a file on Windows, in an old locale."""

from __future__ import annotations

import codecs
import io
import sys

LIKE = dict(zip("✓✗·×∗−–…“”’→²ᵀ█▓▒░", '+x.x*--~""\'>2T#%o:', strict=True))
"""Letters that we use, and what stands for each: one letter for one, so that columns stay columns."""


def print_everywhere() -> None:
    """From here on, a letter that standard output does not have is printed as one that is like it.

    References
    ----------
    PEP 293, Codec error handling callbacks.
    """
    codecs.register_error("cnn.like", like)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="cnn.like")


def like(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""The letter for one that cannot be encoded; bytes of a file's name that are no letter go out as they came in.

    Raises
    ------
    UnicodeError
        What is decoded is not for us.

    Examples
    --------
    >>> like(UnicodeEncodeError("ascii", "3 × 3", 2, 3, "not in it"))
    ('x', 3)
    >>> like(UnicodeEncodeError("ascii", "a\udcff", 1, 2, "not in it"))
    (b'\xff', 2)
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":  # PEP 383: a byte that could not be decoded
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return LIKE.get(letter, "?"), error.start + 1
