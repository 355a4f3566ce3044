"""The table of exporters: a type of layer, the function that writes it, and the oldest opset that it can write in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from ....errors import UnsupportedOpError
from ....layers import Layer
from ....layers.base import Shape
from ..export_graph import ExportGraph

Write: TypeAlias = Callable[..., str]
"""write(place, layer, x, shape) -> the name of y; x is the name of the input, shape that of one example of it"""


class Exporter(NamedTuple):
    """How one type of layer is written."""

    write: Write
    since: int  # the oldest opset


EXPORTERS: dict[type[Layer], Exporter] = {}


def exports(*kinds: type[Layer], since: int = 13) -> Callable[[Write], Write]:
    """Register a function that writes layers of these types, exactly: a subclass may compute something else."""

    def register(write: Write) -> Write:
        EXPORTERS.update(dict.fromkeys(kinds, Exporter(write, since)))
        return write

    return register


def export(graph: ExportGraph, layer: Layer, key: str, x: str, shape: Shape) -> str:
    """Write one layer, and all layers inside; gives the name of its output.

    Raises
    ------
    UnsupportedOpError
        If it is a layer of your own, or one that an old opset has no words for.
    """
    exporter = EXPORTERS.get(type(layer))
    if exporter is None:
        raise UnsupportedOpError(
            f"save_onnx: layer {key!r} is of type {type(layer).__name__}, which is not of this package; "
            "ONNX has no words for a layer of your own"
        )
    place: Any = graph.place(layer, key)
    place.require_opset(exporter.since)
    return exporter.write(place, layer, x, shape)
