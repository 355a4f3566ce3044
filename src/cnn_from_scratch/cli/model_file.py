"""A model from a file, whoever wrote it: of this package, of ONNX, or the weights of PyTorch for a network of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import FormatError, ShapeError
from ..formats import (
    load_metadata,
    load_model,
    load_onnx,
    load_onnx_metadata,
    load_state_dict,
    read_state_dict,
)
from ..formats.saved_model import ENTRY
from ..formats.tensors import parse_json
from ..layers import Layer
from ..layers.graph import Graph
from ..models import MODELS
from ..typing import Array

ONNX, WEIGHTS = (".onnx",), (".pt", ".pth", ".bin", ".ckpt")
"""How the names of such files end."""


class ModelFile(NamedTuple):
    """What a file holds."""

    model: Layer
    input_shape: tuple[int, ...] | None  # of one example, if the file says so
    metadata: dict[str, Any]  # how images are prepared, names of classes ...: as `run_metadata` has it
    notes: tuple[str, ...]  # what was changed on the way


def is_foreign(path: Path) -> bool:
    """Whether another program wrote it, by its name."""
    return path.suffix.lower() in (*ONNX, *WEIGHTS)


def open_model(path: Path, network: str | None = None) -> ModelFile:
    """The model in a file.

    Parameters
    ----------
    path : path
        ``.onnx``; or ``.pt``, ``.pth``, ``.safetensors`` with weights; or what `save_model` wrote.
    network : str, optional
        For weights: which network of this package they belong to.

    Raises
    ------
    FormatError
        If it is none of them, or weights and no network was named.
    ValueError
        If there is no such network, or the file holds a whole model and one was named.
    """
    if network is not None:
        return ModelFile(_with_weights(path, network), None, {}, ())
    if path.suffix.lower() in ONNX:
        return _from_onnx(path)
    if path.suffix.lower() in WEIGHTS:
        raise FormatError(f"{path}: holds weights alone; {_named_by(path)}")
    try:
        return ModelFile(load_model(path), None, load_metadata(path), ())
    except FormatError as error:
        if "holds no architecture" not in str(error):
            raise
        raise FormatError(f"{path}: holds weights alone; {_named_by(path)}") from error


def _named_by(path: Path) -> str:
    return f"cnn import {path} --model NAME says which network they belong to"


# --- ONNX -----------------------------------------------------------------------------------------------------------


def _from_onnx(path: Path) -> ModelFile:
    """Its batch made free if that can be shown to be right, and else as it is."""
    try:
        graph = load_onnx(path, batch="free")
        notes = graph.notes
    except ShapeError as error:
        graph = load_onnx(path)
        notes = (str(error).removeprefix(f"{path}: "),)
    return ModelFile(graph, _declared(graph), _own_metadata(path), notes)


def _declared(graph: Graph) -> tuple[int, ...] | None:
    """The shape of an example, if there is one input of fixed size."""
    required = [v for v in graph.inputs if v.name not in {*graph.params, *graph.buffers, *graph.constants}]
    shape = required[0].shape if len(required) == 1 else None
    sizes = [n for n in shape[1:] if isinstance(n, int) and n > 0] if shape else []
    return tuple(sizes) if shape and len(sizes) == len(shape) - 1 else None


def _own_metadata(path: Path) -> dict[str, Any]:
    """What `cnn export` wrote about the run."""
    text = load_onnx_metadata(path).get(ENTRY)
    found = {} if text is None else parse_json(path, "metadata", text)
    if not isinstance(found, dict):
        raise FormatError(f"{path}: its metadata {ENTRY!r} are no JSON object")
    return found


# --- PyTorch --------------------------------------------------------------------------------------------------------


def _with_weights(path: Path, network: str) -> Layer:
    """A network of ours with these weights, for as many classes as they have."""
    if network not in MODELS:
        raise ValueError(f"--model {network}: there is no such network; there are {', '.join(MODELS)}")
    if path.suffix.lower() in ONNX:
        raise ValueError(f"{path} holds a whole model; leave out --model {network}")
    arrays = read_state_dict(path)
    model = _fitting(network, arrays)
    try:
        load_state_dict(model, arrays)
    except FormatError as error:
        raise FormatError(str(error).replace("the state dict", str(path), 1)) from error
    return model


def _fitting(network: str, arrays: Mapping[str, Array]) -> Layer:
    """The network, for as many channels as the first weights take and as many classes as the last ones give."""
    model = MODELS[network]()
    weights = [key for key, array in model.params.items() if array.ndim > 1]
    if not all(key in arrays and arrays[key].ndim > 1 for key in (weights[0], weights[-1])):
        return model  # and the error about keys that do not fit says the rest
    sizes = arrays[weights[0]].shape[1], arrays[weights[-1]].shape[0]
    if sizes == (model.params[weights[0]].shape[1], model.params[weights[-1]].shape[0]):
        return model
    return MODELS[network](in_channels=sizes[0], num_classes=sizes[1])
