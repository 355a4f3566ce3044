"""Layers made of layers: the base that keeps names and gradients together, and the chain. See also branches.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any, NamedTuple, Self

import numpy.typing as npt

from ..errors import ShapeError
from ..typing import Array
from .arrays import Arrays, GatheredArrays
from .base import Grads, Layer, Shape, example_shape, require_gradient
from .context import Context, join


class ContainerCache(NamedTuple):
    """The caches of all children, in their order, and the context they ran in."""

    caches: list[Any]
    ctx: Context


class Container(Layer):
    """A layer with named children; the key of a child's parameter is ``name.key``.

    A container of your own defines `forward`, `backward`, `output_shape` and `child_inputs`. It runs its children
    by `_forward` and `_backward`, which show them to the tap and give the gradients their keys, and keeps their caches
    in a `ContainerCache`.
    """

    children: dict[str, Layer]
    """Fixed once the container is made; for another head, make another container."""

    def __init__(self, children: Mapping[str, Layer]) -> None:
        super().__init__()
        for name, child in children.items():
            if not isinstance(child, Layer):
                raise TypeError(f"{type(self).__name__}: child {name!r} must be a Layer, got {type(child).__name__}")
            if not isinstance(name, str):
                raise TypeError(f"{type(self).__name__}: a child's name must be a str, got {name!r}")
            if "." in name:
                raise ValueError(f"{type(self).__name__}: a child's name must hold no dot, got {name!r}")
        self.children = dict(children)
        self._layers = [(join(name, key), layer) for name, child in children.items() for key, layer in child.layers()]
        self._refuse_repeated_layers()
        self._refuse_repeated_keys()

    def _refuse_repeated_layers(self) -> None:
        """A layer met twice would have two names, and lose the gradient of one of them."""
        met: dict[int, str] = {}
        for key, layer in self._layers:
            if id(layer) in met:
                raise ValueError(
                    f"{type(self).__name__}: layers {met[id(layer)]!r} and {key!r} are one and the same {layer!r}; "
                    "make a layer of its own for each place"
                )
            met[id(layer)] = key

    def _refuse_repeated_keys(self) -> None:
        """Children without a name could have parameters of the same name."""
        for kind in ("params", "buffers"):
            met: set[str] = set()
            for name, layer in self._layers:
                for full in (join(name, key) for key in getattr(layer, kind)):
                    if full in met:
                        raise ValueError(f"{type(self).__name__}: two children have a parameter named {full!r}")
                    met.add(full)

    @property
    def params(self) -> Arrays:
        """The parameters of all layers inside: their own arrays, under their full keys."""
        return GatheredArrays((join(name, key), a) for name, layer in self._layers for key, a in layer.params.items())

    @params.setter
    def params(self, arrays: Mapping[str, Array]) -> None:
        raise TypeError(f"{type(self).__name__}: params cannot be replaced; write into them, as in params[key] = value")

    @property
    def buffers(self) -> Arrays:
        """The buffers of all layers inside: their own arrays, under their full keys."""
        return GatheredArrays((join(name, key), a) for name, layer in self._layers for key, a in layer.buffers.items())

    @buffers.setter
    def buffers(self, arrays: Mapping[str, Array]) -> None:
        raise TypeError(
            f"{type(self).__name__}: buffers cannot be replaced; write into them, as in buffers[key] = value"
        )

    # --- running the children -----------------------------------------------------------------------------------

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
        require_gradients(join(ctx.key, name), child, grads)
        if ctx.tap is not None and self._has_key(name):
            ctx.tap(join(ctx.key, name), "backward", {"dy": dy, "dx": dx, "grads": grads})
        return dx, {join(name, key): grad for key, grad in grads.items() if key in learning}

    def _has_key(self, name: str) -> bool:
        """Whether this child has a key that tells it from its parent: a container without a name has none."""
        return bool(name) or not isinstance(self.children[name], Container)

    def _require_cache(self, cache: Any, kind: type) -> None:
        """Raise unless this is the cache of a forward pass of such a container, with as many children."""
        if not isinstance(cache, kind) or len(cache.caches) != len(self.children):  # type: ignore[attr-defined]
            name = type(self).__name__
            raise TypeError(f"{name}: cache must come from the forward of this {name}, got {type(cache).__name__}")

    def to_commit(self, cache: Any) -> Any:
        """What each child needs."""
        kept = [child.to_commit(own) for child, own in zip(self.children.values(), cache.caches, strict=True)]
        return ContainerCache(kept, cache.ctx)

    def commit(self, cache: Any) -> None:
        """Every child writes its own buffers."""
        for child, own in zip(self.children.values(), cache.caches, strict=True):
            child.commit(own)

    # --- shapes -------------------------------------------------------------------------------------------------

    def child_inputs(self, input_shape: Shape) -> Iterator[tuple[str, Shape]]:
        """Every child's name and the shape of its input, in order."""
        raise NotImplementedError(f"{type(self).__name__} has no child_inputs")

    def _child_shape(self, name: str, input_shape: Shape) -> Shape:
        """One child's output shape; an error says which child it was."""
        child = self.children[name]
        try:
            return child.output_shape(input_shape)
        except ShapeError as error:
            if isinstance(child, Container):
                raise _at(name, error) from error
            raise ShapeError(f"layer {name!r} = {child!r} does not take {input_shape}: {error}") from error

    def multiply_adds(self, input_shape: Shape) -> int:
        """The sum over the children."""
        self.output_shape(input_shape)
        return sum(self.children[name].multiply_adds(shape) for name, shape in self.child_inputs(input_shape))

    def keeps_batch(self, input_shape: Shape) -> bool:
        """Whether all children do that may not; the others are not asked."""
        if all(type(layer).keeps_batch is Layer.keeps_batch for _, layer in self.layers()):
            return True
        return all(self.children[name].keeps_batch(shape) for name, shape in self.child_inputs(input_shape))

    # --- what all layers have, gathered from the children -------------------------------------------------------

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Every layer inside, also inside of containers, with its key, in order."""
        return iter(self._layers)

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters and floating buffers to float32 or float64, in this model; returns the model."""
        for child in self.children.values():
            child.astype(dtype)
        return self

    @property
    def frozen(self) -> frozenset[str]:
        """Keys of params and buffers that training must leave alone: what the layers inside say."""
        return frozenset(join(name, key) for name, layer in self._layers for key in layer.frozen)

    def _set_frozen(self, keys: frozenset[str]) -> None:
        for name, layer in self._layers:
            own = (*layer.params, *layer.buffers)
            layer._set_frozen(frozenset(key for key in own if join(name, key) in keys))

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


def named_layers(layer: Layer, key: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer and container inside, with its key; a container after what it contains."""
    if isinstance(layer, Container):
        for name, child in layer.children.items():
            yield from named_layers(child, join(key, name))
    yield key, layer


def require_gradients(key: str, layer: Layer, grads: Grads) -> None:
    """Raise unless the backward pass of a layer gave a gradient for everything in it that learns."""
    if lost := layer.trainable - grads.keys():
        names = ", ".join(sorted(lost))
        raise ValueError(f"backward of layer {key!r} = {layer!r} gave no gradient for {names}")


def by_name(layers: tuple[Layer | Mapping[str, Layer], ...]) -> dict[str, Layer]:
    """Layers in a row as "0", "1", "2" ...; one dict of named layers as it is."""
    if len(layers) == 1 and isinstance(layers[0], Mapping):
        return dict(layers[0])
    return {str(i): layer for i, layer in enumerate(layers)}  # type: ignore[misc]


class Sequential(Container):
    """y = last(... second(first(x)))

    Parameters
    ----------
    *layers : Layer, or one dict of named layers
        Without names, layers are called "0", "1", "2" ...

    Raises
    ------
    TypeError, ValueError
        If one is no layer, a name holds a dot, or a layer or parameter would be there twice.

    Examples
    --------
    >>> import numpy as np
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
        super().__init__(by_name(layers))

    def __len__(self) -> int:
        return len(self.children)

    def __getitem__(self, index: int | str) -> Layer:
        return self.children[index] if isinstance(index, str) else list(self.children.values())[index]

    def forward(self, x: Array, ctx: Context) -> tuple[Array, ContainerCache]:
        """Each layer takes what the one before gives. Shapes are checked first, before any arithmetic."""
        if not ctx.key:
            self.output_shape(example_shape(self, x))
        caches = []
        for name in self.children:
            x, cache = self._forward(name, x, ctx)
            caches.append(cache)
        return x, ContainerCache(caches, ctx)

    def backward(self, dy: Array, cache: ContainerCache, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """The chain rule, last layer first; it ends where nothing below learns and nobody asks for dx."""
        self._require_cache(cache, ContainerCache)
        names = list(self.children)
        learning = [i for i, name in enumerate(names) if self.children[name].trainable]
        first = 0 if need_dx else min(learning, default=len(names))
        grads: Grads = {}
        dx: Array | None = dy
        for i in range(len(names) - 1, first - 1, -1):
            dx, found = self._backward(
                names[i],
                require_gradient(self.children[names[i]], dx),
                cache.caches[i],
                cache.ctx,
                need_dx or i > first,
            )
            grads = found | grads
        return (dx if need_dx else None), grads

    def child_inputs(self, input_shape: Shape) -> Iterator[tuple[str, Shape]]:
        """Each layer takes what the one before gives."""
        for name in self.children:
            yield name, input_shape
            input_shape = self._child_shape(name, input_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one output; raises at the layer where shapes stop fitting."""
        for name in self.children:
            input_shape = self._child_shape(name, input_shape)
        return input_shape

    def config(self) -> dict[str, Any]:
        """The layers by name."""
        return {"layers": dict(self.children)}
