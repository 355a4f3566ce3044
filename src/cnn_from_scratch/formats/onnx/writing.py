"""A model as an ONNX file, for every program that reads such files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...errors import LimitError, UnsupportedOpError
from ...layers import Layer
from ...layers.base import Shape
from ...layers.graph import Graph
from ..atomic import write_atomically
from .export_graph import ExportGraph, ExportValue
from .exporters import export
from .exporters.graph import write_whole_graph
from .package import require_onnx
from .protobuf import model_proto

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 21
"""What models of layers are written in: the first in which GroupNormalization is that of PyTorch. From May 2024."""

OLDEST = 7
"""The first opset whose operators broadcast as NumPy does."""

LARGEST = (1 << 31) - 1
"""Bytes of a protobuf message, and so of a file that holds its weights itself."""

BATCH = "N"
"""The name of the axis that is free."""


def save_onnx(
    model: Layer,
    path: str | os.PathLike[str],
    *,
    input_shape: Shape | None = None,
    opset: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a model as it predicts into an ONNX file, atomically; the batch may have any size.

    Every layer becomes the operator that computes the same, or the few of them that do. Parameters and buffers are
    initializers under their own keys, nodes are called after their layers. A `Graph` gives its nodes back as they are.

    Parameters
    ----------
    model : Layer
        Any composition of the layers of this package; batch norm is written in evaluation, dropout not at all.
    path : path
        By custom it ends in ``.onnx``. An older file is replaced once the new one is complete.
    input_shape : (C, H, W) or (features,)
        Shape of one example, without the batch axis. A `Graph` knows its own.
    opset : int, optional
        Version of ONNX's operators: 21 unless told otherwise, that of the graph where there is a `Graph` in the model.
    metadata : dict of str, optional
        What else belongs to the model, for the file's `metadata_props`.

    Raises
    ------
    MissingPackageError
        If the package `onnx` is not installed.
    UnsupportedOpError
        If a layer is of your own, or cannot be written in this opset.
    ShapeError, ValueError
        If input_shape is missing or does not fit the model, or opset is not one that there is.
    LimitError
        If the weights take more than 2 GiB.
    OSError
        If the file cannot be written. An older one is untouched.

    References
    ----------
    Open Neural Network Exchange: Intermediate Representation and Operators. https://onnx.ai/onnx/

    Examples
    --------
    >>> import tempfile
    >>> import onnx
    >>> from cnn_from_scratch.layers import Flatten, Linear, ReLU, Sequential
    >>> model = Sequential(ReLU(), Flatten(), Linear(4, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_onnx(model, f"{folder}/tiny.onnx", input_shape=(1, 2, 2))
    ...     graph = onnx.load(f"{folder}/tiny.onnx").graph
    >>> for node in graph.node:
    ...     print(node.name, list(node.input), list(node.output))
    0.Relu ['input'] ['0.Relu.output']
    1.Flatten ['0.Relu.output'] ['1.Flatten.output']
    2.Gemm ['1.Flatten.output', '2.weight', '2.bias'] ['output']
    """
    data = to_onnx(model, input_shape=input_shape, opset=opset, metadata=metadata).SerializeToString(deterministic=True)
    write_atomically(path, data)


def to_onnx(
    model: Layer,
    *,
    input_shape: Shape | None = None,
    opset: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """What `save_onnx` writes, as a message of the package `onnx`."""
    onnx = require_onnx("save_onnx")
    size = sum(array.nbytes for array in (model.params | model.buffers).values())
    if size > LARGEST - (1 << 20):
        raise LimitError(f"save_onnx: the model has {size} bytes of weights; an ONNX file holds less than {LARGEST}")
    version = _version(model, opset, onnx.defs.onnx_opset_version())
    graph = ExportGraph(version, model.dtype, [*model.params, *model.buffers])
    if isinstance(model, Graph):
        write_whole_graph(graph, model)
    else:
        _write_layers(graph, model, input_shape)
    return model_proto(graph, dict(metadata or {}))


def _version(model: Layer, wanted: int | None, newest: int) -> int:
    """The opset to write in."""
    if wanted is not None and (type(wanted) is not int or not OLDEST <= wanted <= newest):
        raise ValueError(f"save_onnx: opset must be an int from {OLDEST} to {newest}, got {wanted!r}")
    graphs = [layer for _, layer in model.layers() if isinstance(layer, Graph)]
    given = sorted({node.operation.opset for graph in graphs for node in graph.nodes})
    if len(given) > 1 or (given and wanted not in (None, given[0])):
        rest = "; a file has one for all" if len(given) > 1 else f", and cannot be written in opset {wanted}"
        read = " and ".join(map(str, given))
        raise UnsupportedOpError(f"save_onnx: nodes of a Graph stay in the opset that they were read in, {read}{rest}")
    return given[0] if given else wanted or OPSET


def _write_layers(graph: ExportGraph, model: Layer, input_shape: Shape | None) -> None:
    """The nodes of all layers between one input and one output."""
    if input_shape is None:
        raise ValueError("save_onnx: input_shape must be given: the shape of one example, such as (1, 28, 28)")
    shape = tuple(map(int, input_shape))
    output_shape = model.output_shape(shape)
    x, y = graph.new_name("input"), graph.new_name("output")
    last = export(graph, model, "", x, shape)
    if last == x:  # a model of nothing but dropout
        last = graph.place(model, "").node("Identity", x)
    graph.rename(last, y)
    graph.inputs.append(ExportValue(x, model.dtype, (BATCH, *shape)))
    graph.outputs.append(ExportValue(y, model.dtype, (BATCH, *output_shape)))
