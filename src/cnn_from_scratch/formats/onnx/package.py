"""The package `onnx`, which defines the file format: only whoever reads or writes such files needs it."""

from __future__ import annotations

from types import ModuleType

from ...errors import MissingPackageError


def require_onnx(function: str) -> ModuleType:
    """The package.

    Raises
    ------
    MissingPackageError
        If it is not installed; says how it is.

    Examples
    --------
    >>> require_onnx("load_onnx").__name__
    'onnx'
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError(
            f"{function}: the package onnx is not installed; pip install onnx brings it"
        ) from error
    return onnx
