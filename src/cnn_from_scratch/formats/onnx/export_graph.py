"""An ONNX graph while it is being written: nodes in a row, the arrays they use, and names that are given once.

Nothing here needs the package `onnx`: what the layers' exporters write are plain tuples, and writing.py makes a file of
them. Our parameters and buffers are initializers under their own keys, and the only ones; every other array (a shape,
the root of two) is the output of a Constant node, so that nobody takes it for something to train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import UnsupportedOpError
from ...layers import Layer
from ...layers.context import join
from ...typing import Array


class ExportNode(NamedTuple):
    """One node: what it computes, and the names of its values; an empty name is an optional input left out."""

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class ExportValue(NamedTuple):
    """An input or output of the graph. An axis is a length, the name of a free one, or None for one without a name."""

    name: str
    dtype: np.dtype[Any] | None  # None where it is still to be inferred
    shape: tuple[int | str | None, ...] | None  # None where nothing is known


class ExportGraph:
    """What has been written so far.

    Parameters
    ----------
    opset : int
        The version of ONNX's operators to write in.
    dtype : dtype
        Of the model.
    reserved : names
        Names that are spoken for: no value gets one of them.
    """

    def __init__(self, opset: int, dtype: np.dtype[Any], reserved: Iterable[str] = ()) -> None:
        self.opset, self.dtype = opset, dtype
        self.inputs: list[ExportValue] = []
        self.outputs: list[ExportValue] = []
        self.otherwise: Callable[[], dict[str, ExportValue]] = dict  # outputs that ONNX infers nothing about
        self.nodes: list[ExportNode] = []
        self.initializers: dict[str, Array] = {}
        self._taken = set(reserved)
        self._node_names: set[str] = set()

    def new_name(self, wanted: str) -> str:
        """The name, or with a number behind it where it is taken; taken from now on.

        Examples
        --------
        >>> graph = ExportGraph(21, np.dtype("f4"))
        >>> graph.new_name("relu"), graph.new_name("relu")
        ('relu', 'relu_2')
        """
        return _unique(wanted, self._taken)

    def add(self, name: str, op_type: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Any) -> None:
        """Write a node; it gets a number behind its name where another node bears it."""
        name = _unique(name, self._node_names)
        self.nodes.append(ExportNode(op_type, name, tuple(inputs), tuple(outputs), dict(attributes)))

    def rename(self, name: str, new: str) -> None:
        """Give the output of a node another name, where it is made and wherever it is used."""
        for at, node in enumerate(self.nodes):
            inputs = tuple(new if value == name else value for value in node.inputs)
            outputs = tuple(new if value == name else value for value in node.outputs)
            self.nodes[at] = node._replace(inputs=inputs, outputs=outputs)

    def place(self, layer: Layer, key: str) -> Place:
        """Where the nodes of one layer go."""
        return Place(self, layer, key)


class Place(NamedTuple):
    """A layer's place in the graph: nodes and values written through it are named after the layer's key."""

    graph: ExportGraph
    layer: Layer
    key: str

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with one output; gives the name of that."""
        name = join(self.key, op_type)
        output = self.graph.new_name(f"{name}.output")
        self.graph.add(name, op_type, inputs, (output,), attributes)
        return output

    def constant(self, values: Any, dtype: Any = None) -> str:
        """A Constant node: numbers of the model's dtype unless told otherwise.

        Before opset 9 such nodes held floating numbers alone; integers are initializers then.
        """
        array = np.array(values, self.graph.dtype if dtype is None else dtype)
        if array.dtype.kind == "f" or self.graph.opset >= 9:
            return self.node("Constant", value=array)
        name = self.graph.new_name(join(self.key, "Constant.output"))
        self.graph.initializers[name] = array
        return name

    def integers(self, *values: int) -> str:
        """A Constant node of int64: a shape, axes, pads."""
        return self.constant(values, np.int64)

    def arrays(self, *names: str) -> tuple[str, ...]:
        """The layer's own parameters and buffers of these names, as far as there are any: their full keys."""
        own = self.layer.params | self.layer.buffers
        found = {join(self.key, name): own[name] for name in names if name in own}
        self.graph.initializers.update(found)
        return tuple(found)

    def array_or(self, name: str, value: float, shape: Sequence[int]) -> str:
        """The layer's own array of this name, or a constant where it has none."""
        return next(iter(self.arrays(name)), None) or self.constant(np.full(shape, value))

    def require_opset(self, least: int) -> None:
        """Raise unless the graph is written in this version or a newer one.

        Raises
        ------
        UnsupportedOpError
            Naming the layer.
        """
        if self.graph.opset < least:
            kind = type(self.layer).__name__
            raise UnsupportedOpError(
                f"save_onnx: layer {self.key!r} = {kind} can be written in opset {least} or newer, "
                f"not in opset {self.graph.opset}"
            )


def _unique(wanted: str, taken: set[str]) -> str:
    """The name, or with the first number behind it that is free; taken from now on."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name
