"""What a number sees of the image, exactly: marks are led back through the layers, window by window."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...layers import BatchNorm1d, BatchNorm2d, Concat, Container, Context, Layer, Residual, Sequential
from ...layers.context import join
from ...typing import Array
from .rule import Shape
from .rules import find_rule


class Field(NamedTuple):
    """The numbers of one example that are seen: those the result could change with, whatever the weights are.

    Examples
    --------
    >>> field = Field(np.array([[[False, True, True], [False, False, True]]]))
    >>> field.box
    (slice(0, 2, None), slice(1, 3, None))
    >>> print(field)
    rows 0 to 1, columns 1 to 2: 3 pixels
    """

    full: Array  # (C, H, W) or (features,), bool
    unknown: tuple[str, ...] = ()  # keys of layers whose windows are not known; they are taken to see everything

    @property
    def mask(self) -> Array:
        """The pixels seen in any channel, (H, W); of vectors the features."""
        pixels: Array = np.logical_or.reduce(self.full, 0) if self.full.ndim == 3 else self.full
        return pixels

    @property
    def box(self) -> tuple[slice, ...]:
        """The smallest box around them: ``image[:, *box]``. Empty slices where nothing is seen."""
        mask = self.mask
        sides = (np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis))) for axis in range(mask.ndim))
        return tuple(slice(int(s[0]), int(s[-1]) + 1) if len(s) else slice(0, 0) for s in sides)

    def __str__(self) -> str:
        count = int(self.mask.sum())
        if not count:
            return "nothing"
        names = ("row", "column") if self.mask.ndim == 2 else ("feature",) if self.mask.ndim == 1 else ()
        sides = [_said(name, side) for name, side in zip(names, self.box, strict=False)]
        unit = "pixel" if self.mask.ndim == 2 else "number"
        if self.mask.all():
            return f"all of it, {count} {unit}{'s' * (count > 1)}" if count > 1 else f"its only {unit}"
        return ", ".join(sides) + f": {count} {unit}{'s' * (count > 1)}"


def receptive_field(model: Layer, key: str, input_shape: Shape, seen: Array, *, train: bool = False) -> Field:
    """What the marked numbers of a layer's input see of the model's input, through all layers before it.

    Parameters
    ----------
    model : Layer
    key : str
        Of the layer; "" for the model itself.
    input_shape : (C, H, W) or (features,)
        Of the model, for one example.
    seen : bool array
        Marks in the shape of the layer's input, for one example.
    train : bool
        Whether batch norm takes the statistics of the batch, so that a number sees all of its channel (and all other
        examples, which no mask shows).

    Returns
    -------
    Field

    Examples
    --------
    Two 1x3 windows one after the other see five pixels, of which two lie beyond the left edge here.

    >>> from cnn_from_scratch.layers import Conv2d
    >>> model = Sequential(*(Conv2d(1, 1, (1, 3), padding=(0, 1), rng=0) for _ in range(3)))
    >>> seen = np.zeros((1, 1, 6), bool)
    >>> seen[0, 0, 0] = True
    >>> receptive_field(model, "2", (1, 1, 6), seen).mask
    array([[ True,  True,  True, False, False, False]])
    """
    way = _Way(train)
    return Field(way.to_start(model, "", key, input_shape, seen), tuple(way.unknown))


def layer_field(layer: Layer, input_shape: Shape, seen: Array, *, train: bool = False) -> Field:
    """What the marked numbers of a layer's output see of its input, each for one example."""
    way = _Way(train)
    return Field(way.through(layer, "", input_shape, seen), tuple(way.unknown))


class _Way:
    """The way back from a layer; it notes what it did not know."""

    def __init__(self, train: bool) -> None:
        self.ctx = Context(train=train)
        self.unknown: list[str] = []

    def to_start(self, layer: Layer, own: str, key: str, input_shape: Shape, seen: Array) -> Array:
        """From the input of layer `key`, which is `layer` or inside of it, to the input of `layer`, called `own`."""
        if own == key or not isinstance(layer, Container):
            return seen
        if not isinstance(layer, Sequential | Residual | Concat):
            self.unknown.append(own)
            return np.full(input_shape, bool(seen.any()))
        shapes = dict(layer.child_inputs(input_shape))
        name = next(name for name, child in layer.children.items() if _holds(child, join(own, name), key))
        seen = self.to_start(layer.children[name], join(own, name), key, shapes[name], seen)
        if isinstance(layer, Sequential):
            names = list(layer.children)
            for before in reversed(names[: names.index(name)]):
                seen = self.through(layer.children[before], join(own, before), shapes[before], seen)
        return seen

    def through(self, layer: Layer, key: str, input_shape: Shape, seen: Array) -> Array:
        """From the output of a layer to its input."""
        if isinstance(layer, Sequential):
            for name, shape in reversed(list(layer.child_inputs(input_shape))):
                seen = self.through(layer.children[name], join(key, name), shape, seen)
            return seen
        if isinstance(layer, Residual | Concat):
            return self._through_branches(layer, key, input_shape, seen)
        if isinstance(layer, BatchNorm1d | BatchNorm2d) and layer.trains(self.ctx):
            channels = seen.reshape(len(seen), -1).any(1)
            return np.broadcast_to(channels.reshape(-1, *[1] * (seen.ndim - 1)), seen.shape).copy()
        rule = find_rule(layer)
        if rule is None:
            self.unknown.append(key)
            return np.full(input_shape, bool(seen.any()))
        return rule.field(layer, input_shape, seen)

    def _through_branches(self, layer: Residual | Concat, key: str, input_shape: Shape, seen: Array) -> Array:
        """Every branch leads back by itself; in a concatenation with its own channels."""
        pixels = np.zeros(input_shape, bool)
        first = 0
        for name, child in layer.children.items():
            part = seen
            if isinstance(layer, Concat):
                channels = child.output_shape(input_shape)[0]
                part, first = seen[first : first + channels], first + channels
            pixels |= self.through(child, join(key, name), input_shape, part)
        return pixels | seen if isinstance(layer, Residual) and layer.shortcut is None else pixels


def _holds(layer: Layer, own: str, key: str) -> bool:
    """Whether the key is this layer's or one inside of it; a nameless container has the key of its parent."""
    if own == key:
        return True
    return isinstance(layer, Container) and any(
        _holds(child, join(own, name), key) for name, child in layer.children.items()
    )


def _said(name: str, side: slice) -> str:
    first, last = side.start, side.stop - 1
    return f"{name} {first}" if first == last else f"{name}s {first} to {last}"
