"""One long cycle: the learning rate goes up and then down to nearly nothing, the momentum the other way."""

from __future__ import annotations

from .checks import check_count, check_number
from .schedules import Schedule, along_cosine


def one_cycle(
    max_lr: float,
    total_steps: int,
    *,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """From max_lr / div_factor up to max_lr, then down to max_lr / div_factor / final_div_factor, along half cosines

    PyTorch's ``OneCycleLR``, up at step pct_start*total_steps - 1, down at the last step, total_steps - 1. It moves the
    momentum the other way, which is a schedule of its own here: `one_cycle_momentum`.

    Parameters
    ----------
    max_lr : float
        The rate in between, at least 0.
    total_steps : int
        At least 1.
    pct_start : float
        Share of the steps (not per cent) on the way up, from 0 to 1.
    div_factor, final_div_factor : float
        Above 0.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Smith, Topin: Super-Convergence (2017). https://arxiv.org/abs/1708.07120

    Examples
    --------
    >>> schedule = one_cycle(1.0, 10, div_factor=10, final_div_factor=10)
    >>> [round(schedule(step), 2) for step in range(10)]
    [0.1, 0.55, 1.0, 0.95, 0.81, 0.62, 0.39, 0.2, 0.06, 0.01]
    """
    check_number("one_cycle", "max_lr", max_lr)
    for name, factor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
        check_number("one_cycle", name, factor)
        if factor == 0:
            raise ValueError(f"one_cycle: {name} must be > 0, got {factor!r}")
    first = max_lr / div_factor
    return _there_and_on("one_cycle", (first, max_lr, first / final_div_factor), total_steps, pct_start)


def one_cycle_momentum(
    total_steps: int, *, pct_start: float = 0.3, base_momentum: float = 0.85, max_momentum: float = 0.95
) -> Schedule:
    """From max_momentum down to base_momentum while `one_cycle` raises the rate, and up again while it falls

    Set ``optimizer.momentum = momentum(step)``, or ``optimizer.betas = (momentum(step), 0.999)`` for Adam.

    Parameters
    ----------
    total_steps, pct_start
        As in `one_cycle`.
    base_momentum, max_momentum : float
        At least 0 and below 1.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> momentum = one_cycle_momentum(10)
    >>> momentum(0), momentum(2), momentum(9)
    (0.95, 0.85, 0.95)
    """
    check_number("one_cycle_momentum", "base_momentum", base_momentum, below=1.0)
    check_number("one_cycle_momentum", "max_momentum", max_momentum, below=1.0)
    return _there_and_on("one_cycle_momentum", (max_momentum, base_momentum, max_momentum), total_steps, pct_start)


def _there_and_on(owner: str, stations: tuple[float, float, float], total_steps: int, pct_start: float) -> Schedule:
    """From the first station to the second at step pct_start*total_steps - 1, and to the third at the last step."""
    check_count(owner, "total_steps", total_steps)
    check_number(owner, "pct_start", pct_start)
    if pct_start > 1:
        raise ValueError(f"{owner}: pct_start must be a share from 0 to 1, got {pct_start!r}")
    start, turn, end = stations
    turning_step, last_step = pct_start * total_steps - 1, total_steps - 1

    def schedule(step: int) -> float:
        step = min(step, last_step)
        if step <= turning_step:
            return along_cosine(start, turn, step / turning_step if turning_step else 1.0)
        return along_cosine(turn, end, (step - turning_step) / (last_step - turning_step))

    return schedule
