"""A graph: named values, nodes that compute them from one another, several inputs and several outputs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..ops.memory import empty_like
from ..typing import Array
from .arrays import Arrays
from .base import Grads, Layer, Shape
from .containers import Container
from .context import Context
from .graph_inputs import check_input
from .graph_node import NodeLayer
from .graph_order import GraphNode, ValueInfo, in_order
from .graph_probe import Probe, probe
from .graph_run import Runner
from .graph_statistics import node_contexts, remembers
from .graph_tap import backward_tap, forward_tap
from .graph_weights import sort_initializers

if TYPE_CHECKING:
    from .graph_lowering import Lowered

__all__ = ["Graph", "GraphCache", "GraphNode", "ValueInfo"]


SHAPES = 16
"""Of so many input shapes a graph remembers what they lead to."""


class GraphCache(NamedTuple):
    """The caches of all nodes, in the order they ran, the context they ran in, and the input."""

    caches: list[Any]
    ctx: Context
    x: Array  # borrowed


class Graph(Container):
    """values[output] = operation(values[input], ...), node after node

    Parameters
    ----------
    nodes : sequence of GraphNode
        In any order in which every value has been made before it is read, or any other: they are sorted. Nodes that no
        output needs are left out.
    inputs : sequence of ValueInfo
        What is given to the graph. One that is an initializer, too, may be left out.
    outputs : sequence of str
        The values that are asked for.
    initializers : dict of arrays
        Values that are there from the start. The floating ones that reach an output through operations with gradients
        become `params`, under their own names; the running statistics of batch normalization become `buffers`; all
        others are `constants`, also scalars and what only sets an operation's mode.
    trainable : sequence of str, optional
        Which initializers are to be the params instead.

    Raises
    ------
    ValueError
        If names are given twice, a value is read or asked for that nobody makes, or nodes form a circle.

    Notes
    -----
    A value that is read twice gets the sum of the gradients, and so does a weight. A weight that nodes compute, as by a
    Reshape of an initializer, hands its gradient on to what it is computed from.

    With one input and one output a graph is a layer like any other: `predict`, `fit`, `summary`, traces, in which every
    node is a layer under its own name. `run` serves all graphs. Where nodes do what layers of this package do, they run
    through these (see `to_layers`), fused and compiled as they are. What asks a model for its convolutions or
    rectifiers, as pictures of filters and `explain` do, is given ``graph.to_layers(input_shape)``.

    `predict` cuts a batch, and `fit` shares it among shards, only where it can be shown that each example is computed
    by itself (graph_batch.py). All else runs in one piece; a graph that is declared for one example at a time, one by
    one.

    `initialize` leaves a graph as it is: where its numbers come from, it does not know.

    Examples
    --------
    y = x * w + x, whose gradient by x is w + 1 and by w is the sum of x:

    >>> from cnn_from_scratch.layers.operation import Operation
    >>> class Add(Operation):
    ...     def forward(self, inputs, ctx):
    ...         return (inputs[0] + inputs[1],), None
    ...
    ...     def backward(self, doutputs, cache, wanted):
    ...         return doutputs[0], doutputs[0]
    >>> class Scale(Operation):
    ...     def forward(self, inputs, ctx):
    ...         return (inputs[0] * inputs[1],), inputs
    ...
    ...     def backward(self, doutputs, cache, wanted):
    ...         return doutputs[0] * cache[1], (doutputs[0] * cache[0]).sum(0)
    >>> graph = Graph(
    ...     [GraphNode("scale", Scale(), ("x", "w"), ("s",)), GraphNode("add", Add(), ("s", "x"), ("y",))],
    ...     [ValueInfo("x", np.dtype(np.float32), ("N", 2))],
    ...     ["y"],
    ...     {"w": np.array([2.0, 3.0], np.float32)},
    ... )
    >>> graph.run({"x": np.array([[1.0, 10.0]], np.float32)})
    {'y': array([[ 3., 40.]], dtype=float32)}
    >>> y, cache = graph.forward(np.array([[1.0, 10.0]], np.float32), Context())
    >>> graph.backward(np.ones_like(y), cache)
    (array([[3., 4.]], dtype=float32), {'w': array([ 1., 10.], dtype=float32)})
    """

    notes: tuple[str, ...] = ()
    """What whoever made the graph wants said about it, such as what was changed when it was read from a file."""

    def __init__(
        self,
        nodes: Sequence[GraphNode],
        inputs: Sequence[ValueInfo],
        outputs: Sequence[str],
        initializers: Mapping[str, Array],
        *,
        trainable: Sequence[str] | None = None,
    ) -> None:
        Layer.__init__(self)
        self.notes: tuple[str, ...] = ()  # what was changed when it was read from a file
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        initializers = {name: _array(name, value) for name, value in initializers.items()}
        self.nodes = in_order(nodes, [value.name for value in inputs], initializers, outputs)
        kinds = sort_initializers(self.nodes, initializers, outputs, trainable)
        self._params = Arrays((name, initializers[name]) for name in kinds.params)
        self._buffers = Arrays((name, initializers[name]) for name in kinds.buffers)
        self.constants = Arrays((name, initializers[name]) for name in kinds.constants)
        self.runner = Runner(self.nodes, self.outputs)
        self.data = self.runner.reached(value.name for value in self.inputs)
        self.children = {node.name: NodeLayer(self, node) for node in self.nodes}
        self._forget()

    def _forget(self) -> None:
        """What was found out about shapes; a copy finds it out for itself."""
        self._probes: dict[Shape, Probe] = {}
        self._lowered: dict[Shape, Lowered | None] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_probes", "_lowered", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    # --- parameters: a graph holds them itself, its nodes only show them ------------------------------------------

    @property
    def params(self) -> Arrays:
        """What is trained, under the names of the initializers."""
        return self._params

    @params.setter
    def params(self, arrays: Mapping[str, Array]) -> None:
        self._params = Arrays(arrays)

    @property
    def buffers(self) -> Arrays:
        """Running statistics of batch normalization."""
        return self._buffers

    @buffers.setter
    def buffers(self, arrays: Mapping[str, Array]) -> None:
        self._buffers = Arrays(arrays)

    @property
    def frozen(self) -> frozenset[str]:
        """Keys of params and buffers that training must leave alone."""
        return self._frozen

    def _set_frozen(self, keys: frozenset[str]) -> None:
        self._frozen = keys

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """The graph itself, which holds all parameters."""
        yield "", self

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters, floating buffers, constants and declared inputs, in this model; returns the model."""
        old = self.dtype
        Layer.astype(self, dtype)
        new = np.dtype(dtype)
        self.constants = Arrays({k: a.astype(new) if a.dtype == old else a for k, a in self.constants.items()})
        self.inputs = tuple(v._replace(dtype=new) if v.dtype == old else v for v in self.inputs)
        self._forget()
        return self

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of the parameters; of a graph without any, that of its first floating input."""
        arrays = (*self.params.values(), *self.buffers.values())
        found = [*(a.dtype for a in arrays), *(v.dtype for v in self.inputs)]
        return next((dtype for dtype in found if dtype.kind == "f"), np.dtype(np.float32))

    # --- running --------------------------------------------------------------------------------------------------

    def run(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs for all inputs, whatever their dtypes, in evaluation.

        Parameters
        ----------
        values : dict of arrays
            One for each input; those that are initializers, too, may be left out.

        Returns
        -------
        dict of arrays
            C-contiguous, by the names in `outputs`.

        Raises
        ------
        ValueError, TypeError, ShapeError
            If an input is missing, unknown, or not of the declared dtype and shape; or where a node does not take what
            it is given: the message names it.
        """
        given = self._given(values)
        found, _ = self.runner.forward(given, node_contexts(self, Context()), keep=False)
        held = {id(array) for array in given.values()}
        return {name: _own(array, id(array) in held) for name, array in found.items()}

    def forward(self, x: Array, ctx: Context) -> tuple[Array, GraphCache]:
        """The one output for the one input, node by node, as written."""
        source, target = self.single("forward")
        given = self.initializers() | {source.name: x}
        check_input("forward", self._for_batch_of(x, source), x)
        seen = None if ctx.tap is None else forward_tap(self, ctx)
        found, caches = self.runner.forward(given, node_contexts(self, ctx), keep=True, seen=seen)
        return found[target], GraphCache(caches, ctx, x)

    def compute(self, x: Array, ctx: Context) -> Array:
        """The output alone; every value is let go once it has been read for the last time."""
        source, target = self.single("forward")
        check_input("forward", self._for_batch_of(x, source), x)
        return self.runner.forward(self.initializers() | {source.name: x}, node_contexts(self, ctx), keep=False)[0][
            target
        ]

    def backward(
        self, dy: Array, cache: GraphCache, *, need_dx: bool = True, let_go: bool = False
    ) -> tuple[Array | None, Grads]:
        """The chain rule over all nodes; gradients of values that are read twice are added.

        With `let_go` the list of caches is emptied on the way, which spares memory.
        """
        if not isinstance(cache, GraphCache) or (len(cache.caches) != len(self.nodes)):
            raise TypeError(f"Graph: cache must come from the forward of this Graph, got {type(cache).__name__}")
        source, target = self.single("backward")
        learning = self.trainable
        wanted = self.runner.reached(learning | ({source.name} if need_dx else set()))
        seen = None if cache.ctx.tap is None else backward_tap(self, cache.ctx)
        found = self.runner.backward({target: dy}, cache.caches, wanted, seen=seen, let_go=let_go)
        grads = {name: found[name] if name in found else _zeros(self.params[name]) for name in self.params}
        dx = found.get(source.name, _zeros(cache.x)) if need_dx else None
        return dx, {name: grad for name, grad in grads.items() if name in learning}

    def to_commit(self, cache: GraphCache) -> dict[str, Array]:
        """The new values of buffers, by their names."""
        return {
            node.inputs[i]: value
            for node, own in zip(self.nodes, cache.caches, strict=True)
            if remembers(self, node)
            for i, value in node.operation.updates(own).items()
        }

    def commit(self, cache: GraphCache | dict[str, Array]) -> None:
        """Write the buffers."""
        for name, value in (self.to_commit(cache) if isinstance(cache, GraphCache) else cache).items():
            if name in self.buffers:
                self.buffers[name][...] = value

    def single(self, function: str) -> tuple[ValueInfo, str]:
        """The one input and the one output that a layer has.

        Raises
        ------
        ValueError
            If there are more.
        """
        required = [value for value in self.inputs if value.name not in self.initializers()]
        if len(required) != 1 or len(self.outputs) != 1:
            raise ValueError(
                f"Graph: {function} needs one input and one output, but there are the inputs "
                f"{', '.join(v.name for v in required) or '(none)'} and the outputs {', '.join(self.outputs)}; "
                "graph.run({name: array}) takes and gives any number"
            )
        return required[0], self.outputs[0]

    def initializer(self, name: str) -> Array:
        """A parameter, buffer or constant."""
        found = self._params.get(name, self._buffers.get(name, self.constants.get(name)))
        if found is None:
            raise KeyError(f"Graph: no initializer is named {name!r}")
        return found

    def initializers(self) -> dict[str, Array]:
        """Parameters, buffers and constants."""
        return dict(self.params) | self.buffers | self.constants

    def _given(self, values: Mapping[str, Array]) -> dict[str, Array]:
        given = self.initializers()
        declared = {value.name: value for value in self.inputs}
        if unknown := values.keys() - declared.keys():
            raise ValueError(f"run: no input is named {min(unknown)!r}; there are {', '.join(declared)}")
        for name, value in declared.items():
            if name in values:
                check_input("run", value, values[name])
            elif name not in given:
                raise ValueError(f"run: input {name!r} is missing; the inputs are {', '.join(declared)}")
        return given | dict(values)

    def _for_batch_of(self, x: Array, declared: ValueInfo) -> ValueInfo:
        """What is declared; without its length of batch where x has another one and this can be shown not to matter."""
        fixed, shape = declared.shape is not None and self.batch is not None, declared.shape or ()
        if fixed and np.ndim(x) > 1 and len(x) != self.batch and self.keeps_batch(x.shape[1:]):
            return declared._replace(shape=(None, *shape[1:]))
        return declared

    def main_input(self, node: GraphNode) -> str | None:
        """The input that a trace shows: the first that depends on the graph's inputs, or else the first of all."""
        names = [name for name in node.inputs if name]
        return next((name for name in names if name in self.data), names[0] if names else None)

    # --- shapes -----------------------------------------------------------------------------------------------------

    def probe(self, input_shape: Shape) -> Probe:
        """What becomes of the shapes, for an example of this shape: found out once, by running zeros."""
        shape = tuple(input_shape)
        with self._lock:
            if shape not in self._probes:
                _make_room(self._probes)
                self._probes[shape] = probe(self, shape)
            return self._probes[shape]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one output; the error of a node that does not take what it gets names it."""
        return self.probe(input_shape).shapes[self.single("output_shape")[1]][1:]

    def child_inputs(self, input_shape: Shape) -> Iterator[tuple[str, Shape]]:
        """Every node's name, and the shape of the input that a trace shows; the nodes are told what they make of it."""
        found = self.probe(input_shape)
        for node in self.nodes:
            source, target = self.main_input(node), node.outputs[0]
            if source is not None and found.is_float(target):
                shape = found.example(source)
                known = found.example(target), found.multiply_adds[node.name]
                self.children[node.name].example_shapes[shape] = known  # type: ignore[attr-defined]
                yield node.name, shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """Of all convolutions and matrix products."""
        return sum(self.probe(input_shape).multiply_adds.values())

    def keeps_batch(self, input_shape: Shape) -> bool:
        """Whether it can be shown that each example of a batch is computed by itself; see graph_batch.py."""
        return self.probe(input_shape).keeps_batch

    @property
    def batch(self) -> int | None:
        """The length of batch that the graph is declared for, None for any."""
        shape = self.single("batch")[0].shape
        return shape[0] if shape and isinstance(shape[0], int) else None

    def lowered(self, input_shape: Shape) -> Lowered | None:
        """The same computation by the layers of this package, as far as it can be shown; None where nothing can."""
        from .graph_lowering import lower

        shape = tuple(input_shape)
        with self._lock:
            if shape not in self._lowered:
                _make_room(self._lowered)
                self._lowered[shape] = lower(self, shape)
            found = self._lowered[shape]
            if found is not None:
                found.bind(self)
        return found

    def to_layers(self, input_shape: Shape) -> Layer | None:
        """The graph as a model of the layers of this package, for examples of this shape.

        Parameters
        ----------
        input_shape : (C, H, W) or (features,)
            Shape of one example, without the batch axis.

        Returns
        -------
        model : Layer or None
            Its arrays are the graph's own, or views of them. What there is no layer for is a `Graph` in it. None where
            it cannot be shown that the graph keeps the batch, where one weight would be in two layers, or where no
            node has a layer.
        """
        found = self.lowered(input_shape)
        return None if found is None else found.model

    def config(self) -> dict[str, Any]:
        """The arguments that make this graph again."""
        return {
            "nodes": self.nodes,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "initializers": self.initializers(),
            "trainable": tuple(self.params),
        }

    def __repr__(self) -> str:
        lines = [
            f"({node.name}): {node.operation!r}  {', '.join(node.inputs)} -> {', '.join(node.outputs)}"
            for node in self.nodes
        ]
        inside = "".join(f"\n{indent(line, '  ')}" for line in lines)
        head = f"{', '.join(map(str, self.inputs))} -> {', '.join(self.outputs)}"
        return f"Graph({head}{inside}\n)"


def _array(name: str, value: Array) -> Array:
    """An initializer, C-contiguous and in native byte order, which can be written."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"Graph: initializer {name!r} must be a NumPy array, got {type(value).__name__}")
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    return native if native.flags.c_contiguous and native.flags.writeable else native.copy(order="C")


def _make_room(known: dict[Shape, Any]) -> None:
    """Forget what is known of the oldest shape where there are many."""
    while len(known) >= SHAPES:
        del known[next(iter(known))]


def _own(array: Array, held: bool) -> Array:
    """An output, C-contiguous, that is nobody else's."""
    return (
        array.copy(order="C") if held or not array.flags.owndata else np.ascontiguousarray(array).reshape(array.shape)
    )


def _zeros(like: Array) -> Array:
    """The gradient of what has no influence."""
    zeros = empty_like(like)
    zeros[...] = 0
    return zeros
