"""Learning rates as functions of the step: ``schedule = cosine(0.1, total_steps)``, ``optimizer.lr = schedule(step)``.

Every function here, in cycle.py and in sequence.py makes a schedule, and a schedule returns the learning rate itself
for a step counted from 0: what PyTorch's schedulers call ``last_epoch``. It remembers nothing, so a resumed run needs
only to know its step. Beyond its last step a schedule stays where it ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from .checks import check_count, check_number

Schedule: TypeAlias = Callable[[int], float]
"""schedule(step) -> learning rate, with steps counted from 0."""


def constant(lr: float) -> Schedule:
    """lr, always

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    check_number("constant", "lr", lr)

    def schedule(step: int) -> float:
        return float(lr)

    return schedule


def step_lr(lr: float, step_size: int, *, gamma: float = 0.1) -> Schedule:
    """lr * gamma^floor(step / step_size): a stair (``StepLR``)

    Parameters
    ----------
    lr : float
        The first rate, at least 0.
    step_size : int
        Length of a stair, at least 1.
    gamma : float
        From one stair to the next, at least 0.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> schedule = step_lr(8.0, 2, gamma=0.5)
    >>> [schedule(step) for step in range(5)]
    [8.0, 8.0, 4.0, 4.0, 2.0]
    """
    check_number("step_lr", "lr", lr)
    check_count("step_lr", "step_size", step_size)
    check_number("step_lr", "gamma", gamma)

    def schedule(step: int) -> float:
        return float(lr * gamma ** (step // step_size))

    return schedule


def linear_warmup(lr: float, total_iters: int = 5, *, start_factor: float = 1 / 3, end_factor: float = 1.0) -> Schedule:
    """lr * (start_factor + (end_factor - start_factor) * step / total_iters), and lr * end_factor afterwards

    PyTorch's ``LinearLR``. `with_warmup` puts it before another schedule.

    Parameters
    ----------
    lr : float
        At least 0.
    total_iters : int
        Steps until end_factor, at least 1.
    start_factor, end_factor : float
        At least 0.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> schedule = linear_warmup(8.0, 4, start_factor=0.0)
    >>> [schedule(step) for step in range(6)]
    [0.0, 2.0, 4.0, 6.0, 8.0, 8.0]
    """
    check_number("linear_warmup", "lr", lr)
    check_count("linear_warmup", "total_iters", total_iters)
    check_number("linear_warmup", "start_factor", start_factor)
    check_number("linear_warmup", "end_factor", end_factor)

    def schedule(step: int) -> float:
        share = min(step, total_iters) / total_iters
        return lr * (start_factor + (end_factor - start_factor) * share)

    return schedule


def cosine(lr: float, total_steps: int, *, lr_min: float = 0.0) -> Schedule:
    """lr_min + (lr - lr_min) * (1 + cos(pi * step / total_steps)) / 2, and lr_min from step total_steps on

    PyTorch's ``CosineAnnealingLR``, with ``T_max`` and ``eta_min``, which however rises again after ``T_max``.

    Parameters
    ----------
    lr, lr_min : float
        The first rate and the last, at least 0.
    total_steps : int
        At least 1.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Loshchilov, Hutter: SGDR (2016), equation 5. https://arxiv.org/abs/1608.03983

    Examples
    --------
    >>> schedule = cosine(1.0, 4)
    >>> [round(schedule(step), 4) for step in range(6)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """
    check_number("cosine", "lr", lr)
    check_count("cosine", "total_steps", total_steps)
    check_number("cosine", "lr_min", lr_min)

    def schedule(step: int) -> float:
        return along_cosine(lr, lr_min, min(step, total_steps) / total_steps)

    return schedule


def along_cosine(start: float, end: float, share: float) -> float:
    """From start, at share 0, to end, at share 1, along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
