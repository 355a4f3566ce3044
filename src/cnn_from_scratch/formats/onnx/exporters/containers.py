"""Containers: the nodes of what is inside, and the sum or the concatenation where branches meet."""

from __future__ import annotations

from ....layers import Concat, Residual, Sequential
from ....layers.base import Shape
from ....layers.containers import Container
from ....layers.context import join
from ..export_graph import Place
from .table import export, exports


@exports(Sequential, since=1)
def sequential(place: Place, layer: Sequential, x: str, shape: Shape) -> str:
    """One after the other."""
    for name, inside in layer.child_inputs(shape):
        x = _child(place, layer, name, x, inside)
    return x


@exports(Residual, since=7)
def residual(place: Place, layer: Residual, x: str, shape: Shape) -> str:
    """Add."""
    branch = _child(place, layer, layer.body_name, x, shape)
    around = x if layer.shortcut is None else _child(place, layer, layer.shortcut_name, x, shape)
    return place.node("Add", branch, around)


@exports(Concat, since=4)
def concat(place: Place, layer: Concat, x: str, shape: Shape) -> str:
    """Concat along the channels."""
    return place.node("Concat", *(_child(place, layer, name, x, shape) for name in layer.children), axis=1)


def _child(place: Place, parent: Container, name: str, x: str, shape: Shape) -> str:
    """What one child computes."""
    return export(place.graph, parent.children[name], join(place.key, name), x, shape)
