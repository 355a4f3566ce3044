"""Containers: a chain hands a number on, branches meet in a sum or stand side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...layers import Concat, Container, Layer, Residual, Sequential
from ...layers.context import join
from ...typing import Array
from .rule import Index, Parts
from .terms import products, said_at

if TYPE_CHECKING:
    from ..trace import LayerTrace, Trace

KINDS = (Sequential, Residual, Concat)


def explain(trace: Trace, entry: LayerTrace, index: Index) -> Parts:
    """The number as the children gave it: of the last, added up, or from the branch that the channel belongs to."""
    layer, x = entry.layer, entry.input
    assert isinstance(layer, Container)
    outputs = _outputs(trace, layer, entry.key, x)
    if isinstance(layer, Concat):
        name, own = _branch(outputs, index)
        return _sum("y = the outputs of the branches side by side", {name: outputs[name]}, own)
    if isinstance(layer, Residual):
        around = {} if layer.shortcut is not None else {"x": x}
        return _sum(f"y = body(x) + {'x' if around else 'shortcut(x)'}", outputs | around, index)
    last = dict(list(outputs.items())[-1:]) or {"x": x}
    return _sum("y = the output of the last layer", last, index)


def blame_input(trace: Trace, entry: LayerTrace, index: Index) -> Parts:
    """What comes back from the children: through the first of a chain, or from all branches, added up."""
    layer, dy = entry.layer, entry.dy
    assert isinstance(layer, Container)
    assert dy is not None
    if isinstance(layer, Sequential):
        for name, child in reversed(layer.children.items()):
            dy = _dx(trace, child, join(entry.key, name), dy)
        names = list(layer.children)[:1]
        through = f"dx of {join(entry.key, names[0])}" if names else "dy"
        return _sum("dx = the dx of the first layer", {through: dy}, index)
    shares = _shares(trace, layer, entry, dy)
    back = {
        f"dx of {join(entry.key, name)}": _dx(trace, child, join(entry.key, name), shares[name])
        for name, child in layer.children.items()
    }
    around = {"dy": dy} if isinstance(layer, Residual) and layer.shortcut is None else {}
    return _sum("dx = the sum of what comes back from the branches", back | around, index)


def _sum(formula: str, arrays: dict[str, Array], index: Index) -> Parts:
    """One term for each array, all at one index."""
    labels = [said_at(name, index) for name in arrays]
    return Parts(formula, products((), labels, value=np.array([float(array[index]) for array in arrays.values()])))


def _branch(outputs: dict[str, Array], index: Index) -> tuple[str, Index]:
    """To which branch of a concatenation a channel belongs, and where in its output the number is."""
    n, channel, *rest = index
    for name, output in outputs.items():
        if channel < output.shape[1]:
            return name, (n, channel, *rest)
        channel -= output.shape[1]
    raise AssertionError("a concatenation has as many channels as its branches together")


def _shares(trace: Trace, layer: Container, entry: LayerTrace, dy: Array) -> dict[str, Array]:
    """The dy of each branch: its own channels in a concatenation, otherwise all of it."""
    if not isinstance(layer, Concat):
        return dict.fromkeys(layer.children, dy)
    shares, first = {}, 0
    for name, output in zip(layer.children, _outputs(trace, layer, entry.key, entry.input).values(), strict=True):
        shares[name] = dy[:, first : first + output.shape[1]]
        first += output.shape[1]
    return shares


# --- what the children gave ------------------------------------------------------------------------------------------


def _outputs(trace: Trace, layer: Container, key: str, x: Array) -> dict[str, Array]:
    """What each child gave, by what it is called."""
    found: dict[str, Array] = {}
    for name, child in layer.children.items():
        y = _output(trace, child, join(key, name), x)
        found[f"output of {join(key, name)}"] = y
        x = y if isinstance(layer, Sequential) else x
    return found


def _output(trace: Trace, layer: Layer, key: str, x: Array) -> Array:
    """What a child gave; one without a name of its own is put together from what its children gave."""
    if key in trace.layers and trace.layers[key].layer is layer:
        return trace.layers[key].output
    outputs = list(_outputs(trace, _nameless(layer, key), key, x).values())
    if isinstance(layer, Concat):
        return np.concatenate(outputs, axis=1)
    if isinstance(layer, Residual):
        return sum(outputs[1:] or [x], start=outputs[0])
    return outputs[-1] if outputs else x


def _dx(trace: Trace, layer: Layer, key: str, dy: Array) -> Array:
    """What came back through a child that was given dy."""
    if key in trace.layers and trace.layers[key].layer is layer:
        dx = trace.layers[key].dx
        assert dx is not None
        return dx
    children = _nameless(layer, key).children
    if isinstance(layer, Residual):
        back = [_dx(trace, child, join(key, name), dy) for name, child in children.items()]
        return sum(back[1:] or [dy], start=back[0])
    for name, child in reversed(children.items()):
        dy = _dx(trace, child, join(key, name), dy)
    return dy


def _nameless(layer: Layer, key: str) -> Container:
    """The layer, if what it gave can be put together from its children."""
    if not isinstance(layer, KINDS):
        raise ValueError(
            f"explain: {layer!r} inside {key!r} has no name of its own, so the trace does not hold what it gave; "
            "give it a name"
        )
    return layer
