"""What goes wrong, by name. Every error also is the built-in one would expect, so `except ValueError` works."""

__all__ = [
    "CnnError",
    "FormatError",
    "LimitError",
    "MissingPackageError",
    "NotFiniteError",
    "ShapeError",
    "UnsupportedOpError",
]


class CnnError(Exception):
    """Base of every error that this package raises on purpose."""


class ShapeError(CnnError, ValueError):
    """Shapes, sizes or strides that do not fit together."""


class FormatError(CnnError, ValueError):
    """A file that is not what it claims to be."""


class LimitError(CnnError, ValueError):
    """A request beyond a stated limit, refused before anything is allocated."""


class MissingPackageError(CnnError, ImportError):
    """A package that only this needs is not installed; the message says how to get it."""


class NotFiniteError(CnnError, FloatingPointError):
    """NaN or infinity in a training step; `key` is the layer or the parameter that had it first, None if none did."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class UnsupportedOpError(CnnError, NotImplementedError):
    """An operator, or a version of it, that this package does not have."""
