"""What a model consists of, from shapes alone: no number is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ShapeError
from .base import Layer, Shape
from .containers import Container
from .context import join

if TYPE_CHECKING:
    import pandas as pd

WIDEST = 52
"""Longer descriptions of a layer are cut."""


class SummaryRow(NamedTuple):
    """One layer."""

    key: str
    layer: str  # as it prints
    output_shape: Shape  # of one example, without the batch axis
    parameters: int
    frozen: int  # how many of them training leaves alone
    multiply_adds: int  # for one example, in the forward pass
    bytes: int  # of the output for one example


class Summary(NamedTuple):
    """A table of layers with its totals. Print it, or ask it `to_frame()`."""

    input_shape: Shape
    dtype: str
    rows: tuple[SummaryRow, ...]

    @property
    def parameters(self) -> int:
        """How many numbers are learned, or could be."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiplications followed by an addition that one example costs in the forward pass."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def bytes(self) -> int:
        """Memory that the outputs of all layers need for one example: what training keeps, more or less."""
        return sum(row.bytes for row in self.rows)

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=SummaryRow._fields)

    def __str__(self) -> str:
        head = ("key", "layer", "output", "parameters", "multiply-adds", "memory")
        body = [
            (
                r.key,
                _cut(r.layer),
                str(r.output_shape),
                f"{r.parameters:,}",
                f"{r.multiply_adds:,}",
                readable_bytes(r.bytes),
            )
            for r in self.rows
        ]
        total = ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", readable_bytes(self.bytes))
        widths = [max(len(line[i]) for line in (head, *body, total)) for i in range(len(head))]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [_line(head, widths), rule, *(_line(line, widths) for line in body), rule, _line(total, widths)]
        frozen = sum(row.frozen for row in self.rows)
        held = (
            f"{self.parameters:,} parameters ({frozen:,} of them frozen)"
            if frozen
            else f"{self.parameters:,} parameters"
        )
        size = readable_bytes(self.parameters * np.dtype(self.dtype).itemsize)
        return "\n".join([*lines, f"for one example {self.input_shape} in {self.dtype}; {held} take {size}"])

    def __repr__(self) -> str:
        return f"Summary({len(self.rows)} layers, {self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds)"


def summarize(model: Layer, input_shape: Shape) -> Summary:
    """A table of the layers, containers opened: output shape, parameters, multiply-adds, memory of the output.

    Parameters
    ----------
    model : Layer
    input_shape : (C, H, W) or (features,)
        Shape of one example, without the batch axis.

    Raises
    ------
    ShapeError
        If an example does not fit into the model; the error names the layer.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d, Flatten, Linear, ReLU, Sequential
    >>> model = Sequential(Conv2d(1, 4, 3), ReLU(), Flatten(), Linear(144, 10))
    >>> print(summarize(model, (1, 8, 8)))
    key    layer            output     parameters  multiply-adds   memory
    ---------------------------------------------------------------------
    0      Conv2d(1, 4, 3)  (4, 6, 6)          40          1,296    576 B
    1      ReLU()           (4, 6, 6)           0              0    576 B
    2      Flatten()        (144,)              0              0    576 B
    3      Linear(144, 10)  (10,)           1,450          1,440     40 B
    ---------------------------------------------------------------------
    total                                   1,490          2,736  1.7 KiB
    for one example (1, 8, 8) in float32; 1,490 parameters take 5.8 KiB
    """
    input_shape = _example_shape(input_shape)
    model.output_shape(input_shape)  # an error from here names the layer with its full key
    return Summary(input_shape, str(model.dtype), tuple(_rows(model, input_shape, "", model.dtype.itemsize, set())))


def _example_shape(input_shape: Shape) -> Shape:
    """As a tuple of Python's ints, each at least 1."""
    if isinstance(input_shape, tuple | list):
        lengths = [n for n in input_shape if isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1]
        if lengths and len(lengths) == len(input_shape):
            return tuple(map(int, lengths))
    raise ShapeError(
        f"summary: input_shape must be the shape of one example, as in (C, H, W), in ints >= 1; got {input_shape!r}"
    )


def _rows(layer: Layer, input_shape: Shape, key: str, itemsize: int, met: set[int]) -> Iterator[SummaryRow]:
    """One row for a layer, the rows of its children for a container. A weight that two share counts with the first."""
    if isinstance(layer, Container):
        for name, shape in layer.child_inputs(input_shape):
            yield from _rows(layer.children[name], shape, join(key, name), itemsize, met)
        return
    output = layer.output_shape(input_shape)
    sizes = {name: array.size for name, array in layer.params.items() if id(array) not in met}
    met.update(map(id, layer.params.values()))
    yield SummaryRow(
        key,
        repr(layer),
        output,
        sum(sizes.values()),
        sum(size for name, size in sizes.items() if name in layer.frozen),
        layer.multiply_adds(input_shape),
        math.prod(output) * itemsize,
    )


# --- printing -------------------------------------------------------------------------------------------------------


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """Words to the left, numbers to the right."""
    aligned = [cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(aligned).rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def readable_bytes(count: int) -> str:
    """Bytes for people.

    Examples
    --------
    >>> readable_bytes(576), readable_bytes(2048), readable_bytes(3 << 20)
    ('576 B', '2.0 KiB', '3.0 MiB')
    """
    if count < 1024:
        return f"{count} B"
    value, unit = count / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}"
