"""What is asked for by options: a layer of the model, a class, a position; and whether they are there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import typer

from ..layers import Container, Layer


def layer_keys(model: Layer) -> list[str]:
    """The keys of all layers and containers, in the order in which they run; "" for a model that is a single layer."""
    from ..layers.containers import named_layers

    return [key for key, _ in named_layers(model) if key or not isinstance(model, Container)]


def check_layer(layer: str, keys: Iterable[str]) -> None:
    """Raise ValueError unless there is such a layer.

    Examples
    --------
    >>> check_layer("conv9", ["conv1", "relu1"])
    Traceback (most recent call last):
        ...
    ValueError: --layer conv9: there is no such layer; those of this model: conv1, relu1
    """
    known = list(keys)
    if layer not in known:
        raise ValueError(f"--layer {layer}: there is no such layer; those of this model: {', '.join(known)}")


def class_number(name: str | None, classes: Sequence[str]) -> int | None:
    """A class by its name, or by its number; None where none is asked for.

    Raises
    ------
    ValueError
        If there is no such class.

    Examples
    --------
    >>> class_number("dog", ("cat", "dog")), class_number("0", ("cat", "dog")), class_number(None, ("cat", "dog"))
    (1, 0, None)
    """
    if name is None:
        return None
    if name in classes:
        return list(classes).index(name)
    if name.isdecimal() and int(name) < len(classes):
        return int(name)
    numbers = "" if list(classes) == [str(k) for k in range(len(classes))] else f", or 0 to {len(classes) - 1}"
    raise ValueError(f"--class {name}: the classes are {', '.join(classes)}{numbers}")


def position(text: str) -> tuple[int, ...]:
    """The numbers of a position.

    Raises
    ------
    typer.BadParameter
        If it is none.

    Examples
    --------
    >>> position("3,10,7"), position("5")
    ((3, 10, 7), (5,))
    """
    if re.fullmatch(r"\d{1,9}( *, *\d{1,9})*", text) is None:
        raise typer.BadParameter(f"{text!r} is not a position as in 3,10,7.", param_hint="--at")
    return tuple(map(int, text.split(",")))


def check_position(at: tuple[int, ...] | None, shape: Sequence[int], axes: Sequence[str], whose: str) -> None:
    """Raise ValueError unless the position lies in an array of this shape.

    Examples
    --------
    >>> check_position((7,), (5,), ("o",), "the output of layer fc")
    Traceback (most recent call last):
        ...
    ValueError: --at 7 is not in the output of layer fc, where o goes from 0 to 4
    """
    if not shape:
        if at is not None:
            raise ValueError(f"--at {','.join(map(str, at))}: {whose} is a single number; leave --at out")
        return
    there = f"{whose}, where {ranges(shape, axes)}"
    if at is None:
        raise ValueError(f"--at is needed: {','.join(axes)} in {there}")
    given = ",".join(map(str, at))
    if len(at) != len(shape):
        raise ValueError(f"--at {given}: {_count(len(shape))} needed, {','.join(axes)} in {there}")
    if not all(i < size for i, size in zip(at, shape, strict=True)):
        raise ValueError(f"--at {given} is not in {there}")


def ranges(shape: Sequence[int], axes: Sequence[str]) -> str:
    """How far each axis goes.

    Examples
    --------
    >>> ranges((2, 5), ("f", "oh"))
    'f goes from 0 to 1, oh from 0 to 4'
    """
    parts = [f"{axis} from 0 to {size - 1}" for axis, size in zip(axes, shape, strict=True)]
    return ", ".join(parts).replace(" from", " goes from", 1)


def _count(numbers: int) -> str:
    return "1 number is" if numbers == 1 else f"{numbers} numbers are"
