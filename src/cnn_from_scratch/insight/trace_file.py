"""A trace in one file: the model, every array, and how they belong together. Loading runs no code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FormatError
from ..formats.architecture import describe, registry
from ..formats.document import Kind, read_described, write_described
from ..formats.graph_spec import constants_of
from ..formats.saved_model import assemble
from ..layers import Layer
from ..layers.containers import named_layers
from .copies import freeze_arrays
from .trace import LayerTrace, Trace
from .trace_values import Pool, Reader, encode

Path = str | os.PathLike[str]

TRACE = Kind("cnn_from_scratch.trace", "trace", "architecture and caches", "save_trace")
PARTS = {
    "architecture": object, "train": bool, "loss_name": str, "loss": object, "x": object, "y": object,
    "logits": object, "dlogits": object, "dx": object, "layers": list,
}  # fmt: skip
MODEL = "model/"
"""Names of parameters and buffers begin so, before their keys."""


def save_trace(trace: Trace, path: Path, *, layers: Mapping[str, type[Layer]] | None = None) -> None:
    """Write a trace into one safetensors file, atomically: model, arrays, caches.

    The arrays have telling names, as ``layers/features.0/output``, so that other programs can use them, too. An array
    that is in several places is written once.

    Parameters
    ----------
    trace : Trace
    path : path
        By custom it ends in ``.safetensors``. An older file is replaced once the new one is complete.
    layers : dict of classes, optional
        Layers of your own, by name; give the same to `load_trace`. Their caches may hold arrays, numbers, strings,
        None, tuples, lists and dicts.

    Raises
    ------
    TypeError
        If a layer is neither of this package nor in `layers`, or its cache holds something else.
    OSError
        If the file cannot be written. An older one is untouched.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from cnn_from_scratch.insight.trace import trace
    >>> from cnn_from_scratch.layers import ReLU, Sequential
    >>> seen = trace(Sequential(ReLU()), np.array([[-1.0, 2.0]], np.float32), np.array([1]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_trace(seen, f"{folder}/step.safetensors")
    ...     again = load_trace(f"{folder}/step.safetensors")
    >>> again, again["0"].output
    (Trace(1 layers, x (1, 2), cross_entropy 0.1269, train=False), array([[0., 2.]], dtype=float32))
    """
    pool = Pool()
    for key, array in (trace.model.params | trace.model.buffers | constants_of(trace.model)).items():
        pool.name(array, MODEL + key)
    document = {"architecture": describe(trace.model, registry(layers)), "train": trace.train}
    document |= {name: encode(getattr(trace, name), pool, name) for name in ("loss_name", "loss", *WHOLE)}
    document["layers"] = [_encode_layer(seen, pool) for seen in trace.layers.values()]
    write_described(TRACE, path, document, pool.arrays)


WHOLE = ("x", "y", "logits", "dlogits", "dx")
"""Arrays of the whole network."""

OF_A_LAYER = ("input", "output", "dy", "dx", "params", "grads", "update", "cache")


def _encode_layer(seen: LayerTrace, pool: Pool) -> dict[str, Any]:
    parts = {name: encode(getattr(seen, name), pool, f"layers/{seen.key}/{name}") for name in OF_A_LAYER}
    return {"key": seen.key} | parts


# --- and back -------------------------------------------------------------------------------------------------------


def load_trace(path: Path, *, layers: Mapping[str, type[Layer]] | None = None) -> Trace:
    """The trace that `save_trace` wrote: every array bitwise the same, and shared as it was.

    Parameters
    ----------
    path : path
    layers : dict of classes, optional
        Layers of your own, by the names under which they were saved.

    Raises
    ------
    FormatError
        If the file is damaged, not written by `save_trace`, or does not fit together. No file can do harm: it names
        layers and caches from fixed lists, and nothing in it is run.
    FileNotFoundError
        If there is none.
    """
    known = registry(layers)
    document, arrays = read_described(TRACE, path, PARTS)
    own = {name.removeprefix(MODEL): array for name, array in arrays.items() if name.startswith(MODEL)}
    model = assemble(path, document["architecture"], own, known)
    freeze_arrays(arrays, model.params, model.buffers)
    held = {MODEL + key: array for key, array in (model.params | model.buffers).items()}
    try:
        return _decode(document, model, Reader(arrays | held), shapes=not layers)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error.__cause__


def _decode(document: Mapping[str, Any], model: Layer, reader: Reader, *, shapes: bool) -> Trace:
    """The whole trace, checked against its model; the shapes of outputs, too, if every layer tells them."""
    whole = {name: reader.decode(document[name]) for name in WHOLE}
    for name, value in whole.items():
        missing = value is None and name in ("y", "dlogits", "dx")
        _require(missing or isinstance(value, np.ndarray), f"{name} is no array")
    _require(whole["x"].ndim > 1, f"x has the shape {whole['x'].shape}, but a batch has at least 2 axes")
    loss = reader.decode(document["loss"])
    _require(loss is None or type(loss) is float, "its loss is no number")
    known, seen = dict(named_layers(model)), {}
    for spec in document["layers"]:
        layer = _decode_layer(spec, known, reader)
        _require(layer.key not in seen, f"describes layer {layer.key!r} twice")
        _check_batch(layer, whole["x"].shape[:1])
        if shapes:
            _check_shape(layer)
        seen[layer.key] = layer
    train, loss_name = document["train"], document["loss_name"]
    return Trace(model=model, **whole, loss=loss, train=train, layers=seen, loss_name=loss_name)


def _decode_layer(spec: Any, known: Mapping[str, Layer], reader: Reader) -> LayerTrace:
    """One layer; what it has are arrays."""
    whole = isinstance(spec, dict) and spec.keys() == {"key", *OF_A_LAYER}
    _require(whole and isinstance(spec["key"], str), "describes a layer that lacks a part, or has one too many")
    _require(spec["key"] in known, f"describes layer {spec['key']!r}, which the model lacks")
    parts = {name: reader.decode(spec[name]) for name in OF_A_LAYER}
    for name, value in parts.items():
        _require(_is_part(name, value), f"{name} of layer {spec['key']!r} is not what it should be")
    return LayerTrace(key=spec["key"], layer=known[spec["key"]], **parts)


def _is_part(name: str, value: Any) -> bool:
    """Whether this can be what a record of a layer has under this name."""
    if name in ("params", "grads", "update"):
        return isinstance(value, dict) and all(isinstance(array, np.ndarray) for array in value.values())
    return name == "cache" or isinstance(value, np.ndarray) or (value is None and name in ("dy", "dx"))


def _check_batch(seen: LayerTrace, batch: tuple[int, ...]) -> None:
    """Raise where arrays of one layer do not have the shapes of one another."""
    own, name = seen.layer.params, f"layer {seen.key!r}"
    _require(seen.input.shape[:1] == seen.output.shape[:1] == batch, f"{name} has another batch than x")
    _require(seen.dy is None or seen.dy.shape == seen.output.shape, f"dy of {name} has not the shape of its output")
    _require(seen.dx is None or seen.dx.shape == seen.input.shape, f"dx of {name} has not the shape of its input")
    _require(seen.params.keys() == own.keys(), f"{name} has other parameters than in the model")
    for part in (seen.params, seen.grads, seen.update):
        fit = all(part[key].shape == own[key].shape for key in part.keys() & own.keys())
        _require(fit, f"{name} has parameters of other shapes in the model")


def _check_shape(seen: LayerTrace) -> None:
    """Raise unless the output has the shape that the layer makes of the input."""
    try:
        expected = seen.layer.output_shape(seen.input.shape[1:])
    except Exception as error:  # a layer made from a file can have arguments that no caller would give it
        raise FormatError(f"layer {seen.key!r} does not take its input: {type(error).__name__}: {error}") from error
    _require(seen.output.shape[1:] == expected, f"layer {seen.key!r} cannot give {seen.output.shape[1:]}")


def _require(sound: bool, problem: str) -> None:
    if not sound:
        raise FormatError(problem)
