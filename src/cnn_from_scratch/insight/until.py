"""A model up to one of its layers: the part that has to run so that this layer's output is there, and no more."""

from __future__ import annotations

from collections.abc import Iterator

from ..layers import Concat, Container, Layer, Residual, Sequential
from ..layers.context import join


def model_until(model: Layer, key: str | None = None) -> Layer:
    """The layers that lead from the input to the output of one layer, as a model of their own.

    It holds the very layers of `model`, under the same keys, with the same parameters: nothing is copied. Of a
    residual block or of branches only the branch with the layer in it is left, because all branches see the same input.

    Parameters
    ----------
    model : Layer
    key : str, optional
        A layer or container, as ``"conv1"`` or ``"layer1.0.body"``; the whole model if not given.

    Returns
    -------
    Layer

    Raises
    ------
    ValueError
        If nothing has this key, or it lies within a container that is no Sequential, Residual or Concat.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d, Flatten, Linear, ReLU
    >>> model = Sequential(Conv2d(1, 2, 3, rng=0), ReLU(), Flatten(), Linear(8, 10, rng=0))
    >>> model_until(model, "1")
    Sequential(
      (0): Conv2d(1, 2, 3)
      (1): ReLU()
    )
    """
    if key is None or key == "":
        return model
    path = next((path for path, found in _paths(model) if found == key), None)
    if path is None:
        known = ", ".join(repr(found) for _, found in _paths(model) if found)
        raise ValueError(f"model_until: no layer has the key {key!r}; the keys are {known or 'none'}")
    return _cut(model, path)


def _paths(layer: Layer, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The children's names on the way to every layer and container, outer ones first, and the key they make."""
    yield path, join(*path)
    if isinstance(layer, Container):
        for name, child in layer.children.items():
            yield from _paths(child, (*path, name))


def _cut(layer: Layer, path: tuple[str, ...]) -> Layer:
    """What leads to the end of the path."""
    if not path:
        return layer
    assert isinstance(layer, Container)
    name, *rest = path
    end = _cut(layer.children[name], tuple(rest))
    if isinstance(layer, Sequential):
        names = list(layer.children)
        return Sequential({n: layer.children[n] for n in names[: names.index(name)]} | {name: end})
    if isinstance(layer, Residual | Concat):
        return Sequential({name: end})
    raise ValueError(
        f"model_until: {path[-1]!r} lies within {type(layer).__name__}, whose wiring is not known; "
        "only Sequential, Residual and Concat can be cut"
    )
