"""Branches: containers whose children see the same input, and that add or split gradients in plain sight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops.memory import empty_like
from ..ops.utils import empty_nchw
from ..typing import Array
from .base import Grads, Layer, Shape
from .containers import Container, ContainerCache, by_name
from .context import Context


class ConcatCache(NamedTuple):
    """The caches of all branches, the context they ran in, and how many channels each of them gave."""

    caches: list[Any]
    ctx: Context
    sizes: list[int]


class _Branches(Container):
    """All children see the same input."""

    def child_inputs(self, input_shape: Shape) -> Iterator[tuple[str, Shape]]:
        """The same for all."""
        for name in self.children:
            yield name, input_shape


class Residual(_Branches):
    """y = body(x) + shortcut(x); without a shortcut, y = body(x) + x

    Parameters
    ----------
    body : Layer
        The branch that computes.
    shortcut : Layer, optional
        The branch that leads around it: a 1x1 convolution where the shapes differ.
    body_name, shortcut_name : str
        Names under which their parameters are found. An empty name gives no prefix, so that
        ``Residual(body, down, body_name="", shortcut_name="downsample")`` has torchvision's names.

    Raises
    ------
    TypeError, ValueError
        If a branch is no layer, both have one name, or a layer or parameter would be there twice.

    References
    ----------
    He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition (2015). https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> from cnn_from_scratch.layers import ReLU
    >>> Residual(ReLU()).forward(np.array([[1.0, -1.0]], np.float32), Context())[0]
    array([[ 2., -1.]], dtype=float32)
    """

    def __init__(
        self,
        body: Layer,
        shortcut: Layer | None = None,
        *,
        body_name: str = "body",
        shortcut_name: str = "shortcut",
    ) -> None:
        for name, value in (("body_name", body_name), ("shortcut_name", shortcut_name)):
            if not isinstance(value, str):
                raise TypeError(f"Residual: {name} must be a string, got {value!r}")
        if body_name == shortcut_name:
            raise ValueError(f"Residual: body_name and shortcut_name must differ, both are {body_name!r}")
        self.body_name, self.shortcut_name = body_name, shortcut_name
        super().__init__({body_name: body} | ({} if shortcut is None else {shortcut_name: shortcut}))

    @property
    def body(self) -> Layer:
        """The branch that computes."""
        return self.children[self.body_name]

    @property
    def shortcut(self) -> Layer | None:
        """The branch around it, None where it is the identity."""
        return self.children.get(self.shortcut_name)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, ContainerCache]:
        """The two branches, added."""
        outputs, caches = zip(*(self._forward(name, x, ctx) for name in self.children), strict=True)
        branch, around = outputs if self.shortcut is not None else (*outputs, x)
        if branch.shape != around.shape:
            raise ShapeError(f"Residual: body gives {branch.shape} but the shortcut gives {around.shape}")
        return _add(branch, around), ContainerCache(list(caches), ctx)

    def backward(self, dy: Array, cache: ContainerCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """dy goes into both branches; what comes back is added."""
        self._require_cache(cache, ContainerCache)
        dx, grads = self._backward(self.body_name, dy, cache.caches[0], cache.ctx, need_dx)
        around: Array | None = dy
        if self.shortcut is not None:
            around, found = self._backward(self.shortcut_name, dy, cache.caches[1], cache.ctx, need_dx)
            grads |= found
        if not need_dx or dx is None or around is None:
            return None, grads
        return _add(dx, around), grads

    def output_shape(self, input_shape: Shape) -> Shape:
        """The body's output shape, which the shortcut must share."""
        branch = self._child_shape(self.body_name, input_shape)
        around = input_shape if self.shortcut is None else self._child_shape(self.shortcut_name, input_shape)
        if branch != around:
            raise ShapeError(f"Residual: body gives {branch} but the shortcut gives {around}")
        return branch


class Concat(_Branches):
    """y = branches' outputs side by side along the channels (axis 1)

    Parameters
    ----------
    *branches : Layer, or one dict of named layers
        All see the same input.

    Raises
    ------
    TypeError, ValueError
        If there is no branch, one is no layer, or a layer would be there twice.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d
    >>> Concat(Conv2d(3, 4, 1), Conv2d(3, 8, 3, padding=1)).output_shape((3, 6, 6))
    (12, 6, 6)
    """

    def __init__(self, *branches: Layer | Mapping[str, Layer]) -> None:
        super().__init__(by_name(branches))
        if not self.children:
            raise ValueError("Concat: at least one branch is needed")

    def forward(self, x: Array, ctx: Context) -> tuple[Array, ConcatCache]:
        """Every branch sees x."""
        outputs, caches = zip(*(self._forward(name, x, ctx) for name in self.children), strict=True)
        if len({(len(y), *y.shape[2:]) for y in outputs}) > 1:
            raise ShapeError(f"Concat: outputs must agree in all axes but axis 1, got {[y.shape for y in outputs]}")
        sizes = [y.shape[1] for y in outputs]
        return _side_by_side(outputs), ConcatCache(list(caches), ctx, sizes)

    def backward(self, dy: Array, cache: ConcatCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """Each branch gets its own channels of dy; what comes back is added."""
        self._require_cache(cache, ConcatCache)
        grads: Grads = {}
        total: Array | None = None
        first = 0
        for name, own, size in zip(self.children, cache.caches, cache.sizes, strict=True):
            part = _copy_in_order(dy[:, first : first + size], dy)
            dx, found = self._backward(name, part, own, cache.ctx, need_dx)
            grads |= found
            if dx is not None:
                total = dx if total is None else _add(total, dx)
            first += size
        return (total if need_dx else None), grads

    def output_shape(self, input_shape: Shape) -> Shape:
        """Channels add up; the other axes must agree."""
        shapes = [self._child_shape(name, input_shape) for name in self.children]
        if len({shape[1:] for shape in shapes}) > 1:
            raise ShapeError(f"Concat: outputs must agree in all axes but the first, got {shapes}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def config(self) -> dict[str, Any]:
        """The branches by name."""
        return {"branches": dict(self.children)}


def _add(a: Array, b: Array) -> Array:
    """a + b, in the memory order of a."""
    total: Array = np.add(a, b, out=empty_like(a))
    return total


def _side_by_side(outputs: Sequence[Array]) -> Array:
    """Concatenate along axis 1, in the memory order of the first."""
    N, _, *lengths = outputs[0].shape
    out = empty_nchw((N, sum(y.shape[1] for y in outputs), *lengths), outputs[0].dtype, like=outputs[0])
    first = 0
    for y in outputs:
        out[:, first : first + y.shape[1]] = y
        first += y.shape[1]
    return out


def _copy_in_order(part: Array, like: Array) -> Array:
    """A contiguous copy of a slice, in the memory order of what it was cut from."""
    out = empty_nchw(part.shape, part.dtype, like=like)
    out[...] = part
    return out
