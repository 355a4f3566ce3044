"""Which numbers of a trace can be asked for, and the one that is."""

from __future__ import annotations

from typing import NamedTuple

from ..insight import Blame, Explanation, Trace
from ..insight.arithmetic.terms import axis_names
from .choices import Blamed
from .requests import check_layer, check_position, position

LOSS = "loss"
"""The key by which the loss is asked for, unless a layer is called so."""


class Numbers(NamedTuple):
    """An array that numbers are asked of; of arrays of a batch, what belongs to the one image."""

    whose: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]


def take_apart(trace: Trace, key: str, at: str | None, blamed: Blamed | None) -> Explanation | Blame:
    """The number that is asked for, once it is known to be there.

    Raises
    ------
    ValueError
        If there is no such layer, or it has no such number.
    """
    numbers = None if at is None else position(at)
    if not is_loss(trace, key):
        check_layer(key, [*trace.layers, LOSS])
    asked = numbers_of(trace, key, blamed)
    if asked is not None:
        check_position(numbers, asked.shape, asked.axes, asked.whose)
    where = numbers or ()  # a single number has no position; and of what is not there, `blame` says so
    if blamed is None:
        return trace.explain(key, (0, *where))
    if blamed is Blamed.INPUT:
        return trace.blame(key, input=(0, *where))
    return trace.blame(key, weight=where) if blamed is Blamed.WEIGHT else trace.blame(key, bias=where)


def numbers_of(trace: Trace, key: str, blamed: Blamed | None) -> Numbers | None:
    """What can be asked for of a layer; None if it has nothing of the kind."""
    if is_loss(trace, key):
        return _of_loss(trace, blamed)
    seen, whose = trace[key], f"the {blamed or 'output'} of layer {key}"
    if blamed in (None, Blamed.INPUT):
        array, name = (seen.output, "y") if blamed is None else (seen.input, "x")
        return Numbers(whose, tuple(axis_names(name, array.ndim)[1:]), array.shape[1:])
    assert blamed is not None
    shape = seen.params[blamed].shape if blamed in seen.params else None
    return None if shape is None else Numbers(whose, tuple(axis_names(blamed, len(shape))), shape)


def is_loss(trace: Trace, key: str) -> bool:
    """Whether the key means the loss."""
    return key == LOSS and LOSS not in trace.layers


def _of_loss(trace: Trace, blamed: Blamed | None) -> Numbers:
    if blamed is None:
        return Numbers("the loss", (), ())
    if blamed is Blamed.INPUT:
        return Numbers("the scores", ("k",), trace.logits.shape[1:])
    raise ValueError(f"the loss has no {blamed}; --blame input is its gradient by the scores")
