"""Layers made of layers. A branch of a network is a container that adds or splits gradients in plain sight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from ..typing import Array
from .base import Grads, Layer, Shape
from .context import Context, join


class Container(Layer):
    """A layer with named children; the key of a child's parameter is ``name.key``."""

    children: dict[str, Layer]

    def __init__(self, children: Mapping[str, Layer]) -> None:
        super().__init__()
        for name, child in children.items():
            if not isinstance(child, Layer):
                raise TypeError(f"{type(self).__name__}: child {name!r} must be a Layer, got {type(child).__name__}")
            if "." in name:
                raise ValueError(f"{type(self).__name__}: a child's name must hold no dot, got {name!r}")
        self.children = dict(children)
        self._refuse_repeated_layers()
        self._gather()

    def _refuse_repeated_layers(self) -> None:
        """A layer met twice would have two names, and lose the gradient of one of them."""
        met: dict[int, str] = {}
        for key, layer in self.layers():
            if id(layer) in met:
                raise ValueError(
                    f"{type(self).__name__}: layers {met[id(layer)]!r} and {key!r} are one and the same {layer!r}; "
                    "make a layer of its own for each place"
                )
            met[id(layer)] = key

    def _gather(self) -> None:
        """The children's own arrays, under their full keys."""
        for kind in ("params", "buffers"):
            merged: dict[str, Array] = {}
            for name, child in self.children.items():
                for key, array in getattr(child, kind).items():
                    full = join(name, key)
                    if full in merged:
                        raise ValueError(f"{type(self).__name__}: two children have a parameter named {full!r}")
                    merged[full] = array
            setattr(self, kind, merged)

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Every layer inside, also inside of containers, with its key, in order."""
        for name, child in self.children.items():
            for key, layer in child.layers():
                yield join(name, key), layer

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters and floating buffers to float32 or float64, in this model; returns the model."""
        for child in self.children.values():
            child.astype(dtype)
        self._gather()
        return self

    @property
    def frozen(self) -> frozenset[str]:
        """Keys of params and buffers that training must leave alone: what the layers inside say."""
        return frozenset(join(name, key) for name, layer in self.layers() for key in layer.frozen)

    def _set_frozen(self, keys: frozenset[str]) -> None:
        for name, layer in self.layers():
            own = (*layer.params, *layer.buffers)
            layer._set_frozen(frozenset(key for key in own if join(name, key) in keys))

    def _forward(self, name: str, x: Array, ctx: Context) -> tuple[Array, Any]:
        """One child's forward pass, shown to the tap if there is one."""
        inside = ctx.child(name)
        y, cache = self.children[name].forward(x, inside)
        if ctx.tap is not None and self._has_key(name):
            ctx.tap(inside.key, "forward", {"input": x, "output": y, "cache": cache})
        return y, cache

    def _backward(self, name: str, dy: Array, cache: Any, ctx: Context, need_dx: bool) -> tuple[Array | None, Grads]:
        """One child's backward pass: gradients under their full keys, none for what is frozen."""
        child = self.children[name]
        learning = child.trainable
        if not (need_dx or learning):
            return None, {}
        dx, grads = child.backward(dy, cache, need_dx=need_dx)
        if not learning <= grads.keys():
            lost = ", ".join(sorted(learning - grads.keys()))
            raise ValueError(f"backward of layer {join(ctx.key, name)!r} = {child!r} gave no gradient for {lost}")
        if ctx.tap is not None and self._has_key(name):
            ctx.tap(join(ctx.key, name), "backward", {"dy": dy, "dx": dx, "grads": grads})
        return dx, {join(name, key): grad for key, grad in grads.items() if key in learning}

    def _has_key(self, name: str) -> bool:
        """Whether this child has a key that tells it from its parent: a container without a name has none."""
        return bool(name) or not isinstance(self.children[name], Container)

    def _child_shape(self, name: str, input_shape: Shape) -> Shape:
        """One child's output shape; an error says which child it was."""
        child = self.children[name]
        try:
            return child.output_shape(input_shape)
        except ShapeError as error:
            if isinstance(child, Container):
                raise _at(name, error) from error
            raise ShapeError(f"layer {name!r} = {child!r} does not take {input_shape}: {error}") from error

    def __repr__(self) -> str:
        labels = [f"({name}): {child!r}" if name else repr(child) for name, child in self.children.items()]
        inside = "".join(f"\n{indent(label, '  ')}" for label in labels)
        return f"{type(self).__name__}({inside}\n)" if inside else f"{type(self).__name__}()"


def _at(name: str, error: ShapeError) -> ShapeError:
    """The same message, its layer named from one level further out."""
    text = str(error)
    if not name:
        return ShapeError(text)
    if text.startswith("layer '"):
        return ShapeError(text.replace("layer '", f"layer '{name}.", 1))
    return ShapeError(f"layer {name!r}: {text}")


class ChainCache(NamedTuple):
    """The caches of a chain of layers, and the context they ran in."""

    caches: list[Any]
    ctx: Context


class Sequential(Container):
    """y = last(... second(first(x)))

    Parameters
    ----------
    *layers : Layer, or one dict of named layers
        Without names, layers are called "0", "1", "2" ...

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d, Flatten, Linear, ReLU
    >>> model = Sequential(Conv2d(1, 4, 3), ReLU(), Flatten(), Linear(4 * 6 * 6, 10))
    >>> list(model.params)
    ['0.weight', '0.bias', '3.weight', '3.bias']
    >>> model.predict(np.zeros((2, 1, 8, 8), np.float32)).shape
    (2, 10)
    >>> model.output_shape((1, 9, 9))
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.ShapeError: layer '3' = Linear(144, 10) does not take (196,): ...
    """

    def __init__(self, *layers: Layer | Mapping[str, Layer]) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            super().__init__(layers[0])
        else:
            super().__init__({str(i): layer for i, layer in enumerate(layers)})  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.children)

    def __getitem__(self, index: int | str) -> Layer:
        return self.children[index] if isinstance(index, str) else list(self.children.values())[index]

    def forward(self, x: Array, ctx: Context) -> tuple[Array, ChainCache]:
        """Each layer takes what the one before gives. Shapes are checked first, before any arithmetic."""
        if not ctx.key:
            self.output_shape(x.shape[1:])
        caches = []
        for name in self.children:
            x, cache = self._forward(name, x, ctx)
            caches.append(cache)
        return x, ChainCache(caches, ctx)

    def backward(self, dy: Array, cache: ChainCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """The chain rule, last layer first; it ends where nothing below learns and nobody asks for dx."""
        names = list(self.children)
        learning = [i for i, name in enumerate(names) if self.children[name].trainable]
        first = 0 if need_dx else min(learning, default=len(names))
        grads: Grads = {}
        dx: Array | None = dy
        for i in range(len(names) - 1, first - 1, -1):
            assert dx is not None
            dx, found = self._backward(names[i], dx, cache.caches[i], cache.ctx, need_dx or i > first)
            grads = found | grads
        return (dx if need_dx else None), grads

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one output; raises at the layer where shapes stop fitting."""
        for name in self.children:
            input_shape = self._child_shape(name, input_shape)
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """The sum over the layers."""
        total = 0
        for name, child in self.children.items():
            total += child.multiply_adds(input_shape)
            input_shape = self._child_shape(name, input_shape)
        return total

    def commit(self, cache: ChainCache) -> None:
        """Every layer writes its own buffers."""
        for child, own in zip(self.children.values(), cache.caches, strict=True):
            child.commit(own)

    def config(self) -> dict[str, Any]:
        """The layers by name."""
        return {"layers": dict(self.children)}


class BranchCache(NamedTuple):
    """The caches of branches that share an input, the context they ran in, and how large each output was."""

    caches: list[Any]
    ctx: Context
    sizes: list[int]


class Residual(Container):
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

    def forward(self, x: Array, ctx: Context) -> tuple[Array, BranchCache]:
        """The two branches, added."""
        branch, cache = self._forward(self.body_name, x, ctx)
        around, shortcut_cache = x, None
        if self.shortcut is not None:
            around, shortcut_cache = self._forward(self.shortcut_name, x, ctx)
        if branch.shape != around.shape:
            raise ShapeError(f"Residual: body gives {branch.shape} but the shortcut gives {around.shape}")
        return branch + around, BranchCache([cache, shortcut_cache], ctx, [])

    def backward(self, dy: Array, cache: BranchCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """dy goes into both branches; what comes back is added."""
        dx, grads = self._backward(self.body_name, dy, cache.caches[0], cache.ctx, need_dx)
        around: Array | None = dy
        if self.shortcut is not None:
            around, found = self._backward(self.shortcut_name, dy, cache.caches[1], cache.ctx, need_dx)
            grads |= found
        if dx is None or around is None or not need_dx:
            return None, grads
        return dx + around, grads

    def output_shape(self, input_shape: Shape) -> Shape:
        """The body's output shape, which the shortcut must share."""
        branch = self._child_shape(self.body_name, input_shape)
        around = input_shape if self.shortcut is None else self._child_shape(self.shortcut_name, input_shape)
        if branch != around:
            raise ShapeError(f"Residual: body gives {branch} but the shortcut gives {around}")
        return branch

    def multiply_adds(self, input_shape: Shape) -> int:
        """The sum over both branches."""
        return sum(child.multiply_adds(input_shape) for child in self.children.values())

    def commit(self, cache: BranchCache) -> None:
        """Both branches write their own buffers."""
        self.body.commit(cache.caches[0])
        if self.shortcut is not None:
            self.shortcut.commit(cache.caches[1])


class Concat(Container):
    """y = branches' outputs side by side along the channels (axis 1)

    Parameters
    ----------
    *branches : Layer, or one dict of named layers
        All see the same input.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d
    >>> Concat(Conv2d(3, 4, 1), Conv2d(3, 8, 3, padding=1)).output_shape((3, 6, 6))
    (12, 6, 6)
    """

    def __init__(self, *branches: Layer | Mapping[str, Layer]) -> None:
        if len(branches) == 1 and isinstance(branches[0], Mapping):
            super().__init__(branches[0])
        else:
            super().__init__({str(i): branch for i, branch in enumerate(branches)})  # type: ignore[misc]
        if not self.children:
            raise ValueError("Concat: at least one branch is needed")

    def forward(self, x: Array, ctx: Context) -> tuple[Array, BranchCache]:
        """Every branch sees x."""
        outputs, caches = zip(*(self._forward(name, x, ctx) for name in self.children), strict=True)
        sizes = [y.shape[1] for y in outputs]
        return _side_by_side(outputs), BranchCache(list(caches), ctx, sizes)

    def backward(self, dy: Array, cache: BranchCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """Each branch gets its own channels of dy; what comes back is added."""
        grads: Grads = {}
        total: Array | None = None
        first = 0
        for name, own, size in zip(self.children, cache.caches, cache.sizes, strict=True):
            part = _copy_in_order(dy[:, first : first + size], dy)
            dx, found = self._backward(name, part, own, cache.ctx, need_dx)
            grads |= found
            if dx is not None:
                total = dx if total is None else total + dx
            first += size
        return (total if need_dx else None), grads

    def output_shape(self, input_shape: Shape) -> Shape:
        """Channels add up; the other axes must agree."""
        shapes = [self._child_shape(name, input_shape) for name in self.children]
        if len({shape[1:] for shape in shapes}) > 1:
            raise ShapeError(f"Concat: outputs must agree in all axes but the first, got {shapes}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def multiply_adds(self, input_shape: Shape) -> int:
        """The sum over the branches."""
        return sum(child.multiply_adds(input_shape) for child in self.children.values())

    def commit(self, cache: BranchCache) -> None:
        """Every branch writes its own buffers."""
        for child, own in zip(self.children.values(), cache.caches, strict=True):
            child.commit(own)

    def config(self) -> dict[str, Any]:
        """The branches by name."""
        return {"branches": dict(self.children)}


def _side_by_side(outputs: Sequence[Array]) -> Array:
    """Concatenate along axis 1, in the memory order of the first."""
    shape = list(outputs[0].shape)
    shape[1] = sum(y.shape[1] for y in outputs)
    out = np.empty_like(outputs[0], shape=tuple(shape))
    first = 0
    for y in outputs:
        out[:, first : first + y.shape[1]] = y
        first += y.shape[1]
    return out


def _copy_in_order(part: Array, like: Array) -> Array:
    """A contiguous copy of a slice, in the memory order of what it was cut from."""
    out = np.empty_like(like, shape=part.shape)
    out[...] = part
    return out
