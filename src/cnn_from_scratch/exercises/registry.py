"""All exercises, in the order in which one leads to the next."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType

from .catalogue import (
    adam,
    batch_norm_backward,
    col2im,
    conv_backward,
    conv_forward,
    im2col,
    max_pool_backward,
    softmax_cross_entropy,
    training_loop,
)
from .exercise import Arguments, Exercise

EXERCISES: Mapping[str, Exercise] = MappingProxyType(
    {
        module.EXERCISE.name: module.EXERCISE
        for module in (
            im2col,
            col2im,
            conv_forward,
            conv_backward,
            max_pool_backward,
            batch_norm_backward,
            softmax_cross_entropy,
            adam,
            training_loop,
        )
    }
)
"""By name; each knows its ladder, its hints and its classic mistakes."""


def find_exercise(name: str) -> Exercise:
    """One of `EXERCISES`.

    Raises
    ------
    ValueError
        If there is none of this name.

    Examples
    --------
    >>> find_exercise("im2row")
    Traceback (most recent call last):
        ...
    ValueError: there is no exercise 'im2row'; there are im2col, col2im, conv_forward, ...
    """
    if name not in EXERCISES:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}")
    return EXERCISES[name]


def arguments(name: str, rung: int) -> Arguments:
    """What a function is called with on one rung of its ladder, to be tried by hand.

    Parameters
    ----------
    name : str
        Of the exercise.
    rung : int
        From 0, the simplest.

    Returns
    -------
    dict
        By the names of the function's arguments.

    Raises
    ------
    ValueError
        If there is no such exercise, or no such rung.

    Examples
    --------
    >>> given = arguments("im2col", 0)
    >>> given["x"][0, 0]
    array([[1., 2., 3.],
           [4., 5., 6.],
           [7., 8., 9.]])
    >>> given["kernel_size"]
    (2, 2)
    """
    rungs = find_exercise(name).rungs()
    if not 0 <= rung < len(rungs):
        raise ValueError(f"arguments: rung must be 0 to {len(rungs) - 1} for {name}, got {rung!r}")
    return copy.deepcopy(rungs[rung].arguments)
