"""An ONNX file in, a `Graph` of our own operations out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import CnnError, FormatError, LimitError, ShapeError, UnsupportedOpError
from ...layers.graph import Graph, GraphNode, ValueInfo
from ...layers.operation import Operation
from .description import Described, Placed, describe
from .free_batch import declared_batch, freed
from .package import require_onnx
from .registry import make_operation

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_BYTES = (1 << 31) - 1
"""No message of protobuf is longer."""


def load_onnx(path: str | os.PathLike[str], *, batch: Literal["free"] | None = None) -> Graph:
    """The network in an ONNX file, as a graph: to predict with, to look into, to train on, to save.

    Weights become `params` under the names that the file gives them, running statistics of batch normalization become
    `buffers`; see `Graph`. Opsets 1 to 27 are read; `supported_operators` lists the operators.

    Parameters
    ----------
    path : path
    batch : "free" or None
        Many files are for batches of one length, most often 1, and say so in the input's shape. "free" makes that
        length free, also where a Reshape has it as a constant: ``[1, 256]`` becomes ``[-1, 256]``. What was changed
        is in the graph's `notes`. Where it cannot be shown that every example of a batch is then computed by itself,
        it is an error.

    Returns
    -------
    graph : Graph

    Raises
    ------
    MissingPackageError
        If the package `onnx`, which defines the format, is not installed.
    FormatError
        If the file is damaged, contradicts itself, or keeps numbers in other files. Reading runs no code and opens no
        other file.
    LimitError
        If the file is longer than 2 GiB, or has more than 100 000 nodes.
    UnsupportedOpError
        If it uses operators, versions or types that are not here; the message names them.
    ShapeError
        If `batch` is "free" and that cannot be shown to be right.
    FileNotFoundError
        If there is none.

    References
    ----------
    https://onnx.ai/onnx/repo-docs/IR.html

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from onnx import TensorProto, helper, numpy_helper
    >>> weight = numpy_helper.from_array(np.array([[2.0], [3.0]], np.float32), "weight")
    >>> x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    >>> graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "g", [x], [y], [weight])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = Path(f"{folder}/tiny.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    ...     model = load_onnx(f"{folder}/tiny.onnx")
    >>> model.run({"x": np.array([[10.0, 100.0]], np.float32)})
    {'y': array([[320.]], dtype=float32)}
    >>> list(model.params)
    ['weight']
    """
    if batch not in (None, "free"):
        raise ValueError(f"load_onnx: batch must be None or 'free', got {batch!r}")
    message = parse(path, require_onnx("load_onnx"))
    try:
        described = describe(message)
        notes: tuple[str, ...] = ()
        length = declared_batch(described) if batch == "free" else None
        if length is not None:
            described, notes = freed(described, length)
        graph = _graph(described)
        if length is not None:
            _require_examples_alone(graph, length)
    except CnnError as error:
        raise type(error)(f"{path}: {error}") from error
    graph.notes = notes
    return graph


# --- the file -------------------------------------------------------------------------------------------------------


def parse(path: str | os.PathLike[str], onnx: Any) -> ModelProto:
    """The file as a message."""
    from google.protobuf.message import DecodeError

    size = Path(path).stat().st_size
    if size > MAX_BYTES:
        raise LimitError(f"{path}: has {size} bytes; an ONNX file has at most {MAX_BYTES}")
    try:
        message: ModelProto = onnx.ModelProto.FromString(Path(path).read_bytes())
    except (DecodeError, ValueError) as error:  # ValueError: text that is no UTF-8
        raise FormatError(f"{path}: not an ONNX file: {error}") from error
    if not message.HasField("graph"):
        raise FormatError(f"{path}: not an ONNX file: it holds no graph")
    return message


# --- the graph ------------------------------------------------------------------------------------------------------


def _graph(described: Described) -> Graph:
    """Operations for nodes, and all of it in order.

    What a Constant node holds belongs to the formula and is not learned, unless there is nothing else to learn: some
    programs write all weights so.
    """
    nodes = [
        GraphNode(placed.node.name, operation, placed.inputs, placed.outputs)
        for placed, operation in zip(described.nodes, _operations(described.nodes), strict=True)
    ]
    try:
        graph = Graph(nodes, described.inputs, described.outputs, described.initializers)
    except ValueError as error:
        raise FormatError(str(error)) from error
    learned = [name for name in graph.params if name not in described.fixed]
    if not learned or len(learned) == len(graph.params):
        return graph
    return Graph(nodes, described.inputs, described.outputs, described.initializers, trainable=learned)


def _operations(nodes: Sequence[Placed]) -> list[Operation]:
    """One for each node. Everything that is not supported is named at once."""
    found, missing = [], []
    for placed in nodes:
        try:
            found.append(make_operation(placed.node))
        except UnsupportedOpError as error:
            missing.append((placed.node.op_type, error))
        except FormatError:
            raise
        except Exception as error:  # attributes that nobody expects
            raise FormatError(f"node {placed.node.name!r} ({placed.node.op_type}): {error}") from error
    if missing:
        others = sorted({op_type for op_type, _ in missing[1:]} - {missing[0][0]})
        raise UnsupportedOpError(f"{missing[0][1]}" + (f"; nor are {', '.join(others)}" if others else ""))
    return found


def _require_examples_alone(graph: Graph, length: int) -> None:
    """Raise unless it can be shown that the graph computes each example of a batch by itself."""
    source = _only_input(graph)
    shape = source.shape or ()
    if not all(isinstance(n, int) for n in shape[1:]):
        raise ShapeError(f"batch={length} cannot be freed: {source} has no fixed size, by which it could be shown")
    try:
        alone = graph.keeps_batch(tuple(int(n) for n in shape[1:] if n is not None))
    except CnnError:
        raise
    except Exception as error:  # zeros run through a graph that may be made of anything
        raise ShapeError(f"batch={length} cannot be freed: {type(error).__name__}: {error}") from error
    if not alone:
        raise ShapeError(f"batch={length} cannot be freed: it cannot be shown that each example is computed by itself")


def _only_input(graph: Graph) -> ValueInfo:
    try:
        return graph.single("batch='free'")[0]
    except ValueError as error:
        raise ShapeError(str(error)) from error
