"""A model's layers as plain data, and back: the name of each layer and the arguments that make it again.

``{"type": "Conv2d", "config": {"in_channels": 1, "out_channels": 8, "kernel_size": 3, ...}}``; a container has other
layers among its arguments, a graph its nodes (see graph_spec.py). Names are looked up in a fixed list, so a file can
ask for nothing but layers.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from .. import layers as room
from ..errors import FormatError
from ..layers import Container, Graph, Layer
from ..layers.context import join
from .graph_spec import build_graph, describe_graph, graph_size
from .shown import short

Spec: TypeAlias = dict[str, Any]
"""One layer as JSON."""

MAX_LAYERS = 10_000
MAX_DEPTH = 32
"""Containers within containers."""

SPARE = 1 << 24
"""Numbers that layers may ask for beyond those in the file: a layer without parameters has a size, too."""

SIZES = ("in_channels", "out_channels", "in_features", "out_features", "num_features", "num_channels",
         "num_parameters", "normalized_shape", "kernel_size")  # fmt: skip
"""Arguments whose product is how many numbers a layer holds, but for small factors."""


def registry(layers: Mapping[str, type[Layer]] | None = None) -> dict[str, type[Layer]]:
    """Every layer that this package offers, by name, and those of your own.

    Raises
    ------
    ValueError, TypeError
        If one of your own has the name of one of ours, or is no layer.

    Examples
    --------
    >>> registry()["Sequential"]
    <class 'cnn_from_scratch.layers.containers.Sequential'>
    """
    known = {name: getattr(room, name) for name in room.__all__}
    known = {name: value for name, value in known.items() if _is_layer(value) and value not in (Layer, Container)}
    for name, own in (layers or {}).items():
        if name in known:
            raise ValueError(f"layers: {name!r} is the name of a layer of this package; choose another one")
        if not _is_layer(own):
            raise TypeError(f"layers: {name!r} must be a class derived from Layer, got {own!r}")
    return known | dict(layers or {})


def _is_layer(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Layer)


# --- from a model ---------------------------------------------------------------------------------------------------


def describe(layer: Layer, known: Mapping[str, type[Layer]], key: str = "", depth: int = 0) -> Spec:
    """The layer, and all layers inside, as plain data.

    Raises
    ------
    TypeError
        If a layer is not among `known`, or an argument of it cannot be written as JSON.
    ValueError
        If containers are nested too deeply.

    Examples
    --------
    >>> from cnn_from_scratch.layers import ReLU, Sequential
    >>> describe(Sequential(ReLU()), registry())
    {'type': 'Sequential', 'config': {'layers': {'0': {'type': 'ReLU', 'config': {}}}}}
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"save_model: containers are nested more than {MAX_DEPTH} deep at layer {key!r}")
    name = next((name for name, cls in known.items() if cls is type(layer)), None)
    if name is None:
        own = type(layer).__name__
        raise TypeError(
            f"save_model: layer {key!r} is of type {own}, which is not of this package; "
            f"give layers={{{own!r}: {own}}} to save_model, and to load_model when it is loaded"
        )
    if isinstance(layer, Graph):
        return {"type": name, "config": describe_graph(layer, key)}
    config = {argument: _plain(value, known, key, argument, depth) for argument, value in layer.config().items()}
    return {"type": name, "config": config}


def _plain(value: Any, known: Mapping[str, type[Layer]], key: str, argument: str, depth: int) -> Any:
    """An argument as JSON has it."""
    if isinstance(value, Layer):
        return describe(value, known, join(key, argument), depth + 1)
    if isinstance(value, Mapping):
        return {name: _plain(item, known, key, name, depth) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, known, key, argument, depth) for item in value]
    if isinstance(value, np.integer | np.floating):
        value = value.item()
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise TypeError(f"save_model: layer {key!r} has {argument}={value!r}, which cannot be written as JSON")


# --- and back -------------------------------------------------------------------------------------------------------


def build(spec: Any, known: Mapping[str, type[Layer]], *, numbers: int) -> Layer:
    """Make the layers of `spec`, with parameters as they begin.

    Parameters
    ----------
    spec : dict
        What `describe` gave.
    known : dict of classes
        The layers that may be made.
    numbers : int
        How many numbers there are to fill into the layers; more than these (and some) must not be asked for.

    Raises
    ------
    FormatError
        If it describes no model: unknown layers, unknown or wrong arguments, too many or too large layers. The message
        does not name the file.
    """
    claimed, ours = 0, registry()
    for count, (kind, config) in enumerate(_walk(spec), 1):
        if kind in ours:
            claimed += graph_size(config) if ours[kind] is Graph else _size(config)
        if count > MAX_LAYERS:
            raise FormatError(f"has more than {MAX_LAYERS} layers")
        if claimed > numbers + SPARE:
            raise FormatError(f"its layers ask for {short(claimed)} numbers, but it holds {numbers}")
    return _make(spec, known, "")


def _walk(spec: Any, depth: int = 0) -> Iterator[tuple[str, Spec]]:
    """Name and arguments of every layer; raises where something is not as `describe` writes it."""
    if depth > MAX_DEPTH:
        raise FormatError(f"its layers are nested more than {MAX_DEPTH} deep")
    if not _is_spec(spec) or spec.keys() != {"type", "config"} or not isinstance(spec["config"], dict):
        raise FormatError(f"expected a layer as {{'type': ..., 'config': {{...}}}}, got {short(spec)}")
    yield spec["type"], spec["config"]
    inside = spec["config"].values() if spec["type"] != Graph.__name__ else ()  # which has nodes, not layers
    for value in inside:
        yield from _walk_argument(value, depth + 1)


def _walk_argument(value: Any, depth: int) -> Iterator[tuple[str, Spec]]:
    """The layers in an argument, wherever `_value` would make one."""
    if isinstance(value, list):
        for item in value:
            yield from _walk_argument(item, depth)
    elif isinstance(value, dict):
        for inside in [value] if _is_spec(value) else value.values():
            yield from _walk(inside, depth)


def _is_spec(value: Any) -> bool:
    """Whether this is a layer, and not a dict of named layers (where "type" would be the name of another dict)."""
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def _size(config: Spec) -> int:
    """About how many numbers a layer with these arguments holds; at least a quarter of them."""
    size = 1
    for name in SIZES:
        values = config.get(name)
        for value in values if isinstance(values, list) else [values]:
            size *= value if isinstance(value, int) and value > 0 else 1
    groups = config.get("groups")
    return size // (groups if isinstance(groups, int) and groups > 0 else 1)


def _make(spec: Spec, known: Mapping[str, type[Layer]], key: str) -> Layer:
    """One layer, after the layers among its arguments."""
    name, config = spec["type"], spec["config"]
    if name not in known:
        raise FormatError(
            f"layer {key!r} is of the unknown type {short(name)} "
            "(a layer of your own is made known by load_model(path, layers={'Name': Class}))"
        )
    if known[name] is Graph:
        return build_graph(config, key)
    arguments = {argument: _value(value, known, key, argument) for argument, value in config.items()}
    parameters = inspect.signature(known[name]).parameters
    unknown = [argument for argument in arguments if argument not in parameters or argument == "rng"]
    if unknown:
        raise FormatError(f"layer {key!r}: {name} takes no argument {short(unknown[0])}")
    several = [argument for argument in arguments if parameters[argument].kind is inspect.Parameter.VAR_POSITIONAL]
    try:
        return known[name](*[arguments.pop(argument) for argument in several], **arguments)
    except Exception as error:  # a constructor meets values that no caller would give it
        raise FormatError(f"layer {key!r} cannot be made: {type(error).__name__}: {error}") from error


def _value(value: Any, known: Mapping[str, type[Layer]], key: str, argument: str) -> Any:
    """An argument as a constructor takes it."""
    if isinstance(value, list):
        return tuple(_value(item, known, key, argument) for item in value)
    if _is_spec(value):
        return _make(value, known, join(key, argument))
    if isinstance(value, dict):
        return {name: _make(item, known, join(key, name)) for name, item in value.items()}
    return value
