"""What a gradient check moves and what it compares with: a pair of operations, a layer or a model, in float64."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..layers import Context, Layer
from ..layers.predict import as_model_input
from ..randomness import Place
from ..training.losses import Loss
from ..typing import Array

Pair: TypeAlias = tuple[Callable[..., Any], Callable[..., Any]]
"""(forward, backward)"""


class Problem(NamedTuple):
    """A function of named arrays, and its backward pass."""

    name: str
    values: dict[str, Array]  # own copies in float64; written while slopes are measured, and put back
    run: Callable[[], tuple[Array, Any]]  # y and cache for the values as they stand
    backward: Callable[[Array, Any], dict[str, Array | None]]
    batch: int
    ends_in_loss: bool


def pair_problem(pair: Pair, inputs: Sequence[Any]) -> Problem:
    """Forward and backward as `ops` has them: one gradient for each floating input; of a loss, for the first."""
    forward, backward = pair
    arrays = [np.asarray(value) if isinstance(value, np.generic) else value for value in inputs]
    floats = {i: _own(a) for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"}
    if not floats:
        raise TypeError("gradcheck: none of the inputs is an array of floating numbers; there is nothing to move")
    names = _argument_names(forward, len(inputs))
    is_loss = next(iter(_argument_names(backward, 1))) == "cache"
    moved = {names[i]: a for i, a in floats.items()}
    if is_loss:
        moved = dict([next(iter(moved.items()))])
    arguments = [floats.get(i, value) for i, value in enumerate(arrays)]

    def run() -> tuple[Array, Any]:
        y, cache = forward(*arguments)
        return _result(name, y), cache

    def run_backward(dy: Array, cache: Any) -> dict[str, Array | None]:
        found = backward(cache, dy) if is_loss else backward(dy, cache)
        gradients = list(found) if isinstance(found, tuple | list) else [found]
        if len(gradients) > len(moved):
            raise ValueError(f"gradcheck: {name}: backward gave {len(gradients)} gradients for {', '.join(moved)}")
        return dict(zip(moved, gradients, strict=False))

    name = getattr(forward, "__name__", getattr(getattr(forward, "func", None), "__name__", "the pair"))
    first = next(iter(floats.values()))
    return Problem(name, moved, run, run_backward, len(first) if first.ndim else 1, is_loss)


def layer_problem(layer: Layer, x: Array, y: Array | None, *, loss: Loss, train: bool, seed: int) -> Problem:
    """A layer or a model, with a loss at its end if there are targets."""
    own = copy.deepcopy(layer).astype(np.float64)
    x = _own(as_model_input("gradcheck", own, x))
    targets = y.astype(np.float64) if y is not None and y.dtype.kind == "f" else y
    ctx = Context(train=train, rng=Place(seed))
    name = f"{type(layer).__name__} and {loss.name}" if y is not None else " ".join(repr(layer).split())
    trainable = own.trainable

    def run() -> tuple[Array, Any]:
        output, cache = own.forward(x, ctx)
        if targets is None:
            return _result(name, output), (cache, None)
        value, loss_cache = loss.forward(output, targets, reduction="mean")
        return _result(name, value), (cache, loss_cache)

    def run_backward(dy: Array, cache: Any) -> dict[str, Array | None]:
        own_cache, loss_cache = cache
        dx, grads = own.backward(dy if loss_cache is None else loss.backward(loss_cache, 1.0), own_cache)
        unknown = {key: grad for key, grad in grads.items() if key not in own.params}
        return {"x": dx, **{key: grads.get(key) for key in trainable}, **unknown}

    values = {"x": x, **{key: value for key, value in own.params.items() if key in trainable}}
    return Problem(name, values, run, run_backward, len(x), y is not None)


def layer_inputs(model: Layer, x: Array, *, train: bool, seed: int) -> dict[str, tuple[Layer, Array]]:
    """Every layer that holds no other, with what reaches it in float64."""
    own = copy.deepcopy(model).astype(np.float64)
    plain = dict(own.layers())
    found: dict[str, tuple[Layer, Array]] = {}

    def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
        if key in plain:
            found[key] = plain[key], _own(values["input"])

    own.forward(_own(x), Context(train=train, rng=Place(seed), tap=tap))
    return found


def pattern(y: Array, cache: Any) -> list[Array]:
    """Which side of every kink one is on: masks and indices that the forward pass kept, and which outputs are 0."""
    return [y == 0, *_discrete(cache)]


def _discrete(cache: Any) -> Iterator[Array]:
    """Every array of booleans or integers in a cache; of floats, which are above 0."""
    if isinstance(cache, np.ndarray):
        yield cache > 0 if cache.dtype.kind == "f" else cache
    elif isinstance(cache, Mapping):
        yield from (a for value in cache.values() for a in _discrete(value))
    elif isinstance(cache, tuple | list):
        yield from (a for value in cache for a in _discrete(value))


def _own(array: Array) -> Array:
    """A copy in float64 that is C-contiguous and ours to write."""
    copied: Array = np.array(array, np.float64, order="C")
    return copied


def _result(name: str, output: Any) -> Array:
    """The output, copied: it may be a view of an input that is about to move."""
    y: Array = np.array(output)
    if y.dtype != np.float64:
        raise TypeError(f"gradcheck: {name} answers float64 with {y.dtype}; a check needs float64 all the way")
    return y


def _argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the first arguments, as far as the function tells them."""
    parameters = inspect.signature(function).parameters.values()
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return (positional + [f"input {i}" for i in range(len(positional), count)])[: max(count, 1)]
