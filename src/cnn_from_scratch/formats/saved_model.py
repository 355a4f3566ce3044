"""A model in one file: what its layers are, as JSON, beside the numbers in them. Loading runs no code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FormatError
from ..layers import Layer
from ..typing import Array
from .architecture import build, describe, registry
from .document import Described, Kind, read_described, write_described
from .graph_spec import constants_of
from .tensors import MAX_NESTING, nesting

ENTRY = "cnn_from_scratch"
"""Where the description lies in the metadata of the file."""

MODEL = Kind(ENTRY, "architecture", "architecture and metadata", "save_model")

Metadata = Mapping[str, Any]


def save_model(
    model: Layer,
    path: str | os.PathLike[str],
    *,
    metadata: Metadata | None = None,
    layers: Mapping[str, type[Layer]] | None = None,
) -> None:
    """Write architecture, parameters and buffers into one safetensors file, atomically.

    Parameters
    ----------
    model : Layer
        Any composition of layers.
    path : path
        By custom it ends in ``.safetensors``. An older file is replaced once the new one is complete.
    metadata : dict, optional
        What else belongs to the model: names of classes, how images are normalized ... anything that JSON can hold.
        `load_metadata` gives it back.
    layers : dict of classes, optional
        Layers of your own, by name; give the same to `load_model`.

    Raises
    ------
    TypeError
        If a layer is neither of this package nor in `layers`, or something cannot be written as JSON.
    OSError
        If the file cannot be written. An older one is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from cnn_from_scratch.layers import Linear, Sequential
    >>> model = Sequential(Linear(2, 3, rng=0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/tiny.safetensors", metadata={"classes": ["a", "b", "c"]})
    ...     again = load_model(f"{folder}/tiny.safetensors")
    ...     load_metadata(f"{folder}/tiny.safetensors")
    {'classes': ['a', 'b', 'c']}
    >>> again
    Sequential(
      (0): Linear(2, 3)
    )
    >>> bool((again.params["0.weight"] == model.params["0.weight"]).all())
    True
    """
    document = {"architecture": describe(model, registry(layers)), "metadata": _as_json(metadata or {})}
    write_described(MODEL, path, document, model.params | model.buffers | constants_of(model))


def load_model(path: str | os.PathLike[str], layers: Mapping[str, type[Layer]] | None = None) -> Layer:
    """The model that `save_model` wrote: it predicts bitwise the same.

    Parameters
    ----------
    path : path
    layers : dict of classes, optional
        Layers of your own, by the names under which they were saved.

    Raises
    ------
    FormatError
        If the file is damaged, not written by `save_model`, or asks for what is not known. No file can do harm: it
        names layers from a fixed list, and nothing in it is run.
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> import tempfile
    >>> from cnn_from_scratch.layers import Linear, ReLU, Sequential
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(Sequential(Linear(2, 3), ReLU()), f"{folder}/tiny.safetensors")
    ...     load_model(f"{folder}/tiny.safetensors")
    Sequential(
      (0): Linear(2, 3)
      (1): ReLU()
    )
    """
    known = registry(layers)
    saved = _read(path)
    return assemble(path, saved.document["architecture"], saved.arrays, known)


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata that were given to `save_model`.

    Raises
    ------
    FormatError, FileNotFoundError
        As for `load_model`.
    """
    metadata: dict[str, Any] = _read(path).document["metadata"]
    return metadata


def _read(path: str | os.PathLike[str]) -> Described:
    """The parts of the file, compared with its digest."""
    return read_described(MODEL, path, {"architecture": object, "metadata": dict})


def _as_json(metadata: Metadata) -> Any:
    """The metadata as they come back from JSON: lists instead of tuples, strings as keys."""
    try:
        found = json.loads(json.dumps(dict(metadata), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"save_model: metadata cannot be written as JSON: {error}") from error
    if nesting(found) >= MAX_NESTING:  # they lie one deeper in the file
        raise TypeError(f"save_model: metadata cannot be written: they are nested {MAX_NESTING} deep or more")
    return found


def assemble(
    path: str | os.PathLike[str], architecture: Any, arrays: Mapping[str, Array], known: Mapping[str, type[Layer]]
) -> Layer:
    """Make the layers and fill them.

    Raises
    ------
    FormatError
        If the architecture describes no model, or the arrays are not those of this one.
    """
    numbers = sum(array.size for array in arrays.values())
    try:
        model = build(architecture, known, numbers=numbers)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error.__cause__
    floating = {array.dtype for array in arrays.values() if array.dtype.kind == "f"}
    if floating == {np.dtype(np.float64)}:
        model.astype(np.float64)
    _fill(path, model, arrays)
    return model


def _fill(path: str | os.PathLike[str], model: Layer, arrays: Mapping[str, Array]) -> None:
    """Write the arrays into the model's own, which must have the same keys, shapes and dtypes."""
    own = model.params | model.buffers | constants_of(model)
    for problem, keys in (("lacks", own.keys() - arrays.keys()), ("has unknown", arrays.keys() - own.keys())):
        if keys:
            raise FormatError(f"{path}: {problem} {', '.join(sorted(keys)[:5])}{' ...' if len(keys) > 5 else ''}")
    for key, array in own.items():
        if array.shape != arrays[key].shape or array.dtype != arrays[key].dtype:
            raise FormatError(
                f"{path}: {key} must be {array.dtype} of shape {array.shape}, "
                f"got {arrays[key].dtype} of shape {arrays[key].shape}"
            )
    for key, array in own.items():
        array[...] = arrays[key]
