"""Schedules one after another: a warm-up before the schedule proper.

>>> from cnn_from_scratch.optim import cosine
>>> schedule = with_warmup(cosine(0.1, 90), 10)
>>> [round(schedule(step), 4) for step in (0, 5, 10, 55, 99, 100)]
[0.001, 0.0505, 0.1, 0.05, 0.0, 0.0]
"""

from __future__ import annotations

from .checks import check_count, check_number
from .schedules import Schedule, linear_warmup


def sequential(*parts: tuple[int, Schedule]) -> Schedule:
    """Each schedule for its number of steps, counted from 0 in each; the last one goes on (``SequentialLR``)

    Parameters
    ----------
    *parts : (int, Schedule)
        How many steps, at least 0, of which schedule. The last number is not needed: nothing comes after it.

    Raises
    ------
    ValueError
        If there is no part, or one is not such a pair.

    Examples
    --------
    Up for 4 steps, 2 steps on the plateau, and stairs from there:

    >>> from cnn_from_scratch.optim import constant, step_lr
    >>> schedule = sequential((4, linear_warmup(8.0, 4, start_factor=0.0)), (2, constant(8.0)), (4, step_lr(4.0, 2)))
    >>> [schedule(step) for step in range(8)]
    [0.0, 2.0, 4.0, 6.0, 8.0, 8.0, 4.0, 4.0]
    """
    if not parts:
        raise ValueError("sequential: needs at least one part, got none")
    for part in parts:
        if not isinstance(part, tuple) or len(part) != 2 or not callable(part[1]):
            raise ValueError(f"sequential: a part must be a pair (steps, schedule), got {part!r}")
        check_count("sequential", "steps", part[0], minimum=0)
    *earlier, (_, last) = parts

    def schedule(step: int) -> float:
        for steps, part in earlier:
            if step < steps:
                return part(step)
            step -= steps
        return last(step)

    return schedule


def with_warmup(schedule: Schedule, steps: int, *, start_factor: float = 0.01) -> Schedule:
    """`schedule`, after `steps` steps in which its first rate is reached from start_factor times that rate

    What torchvision's training recipes do: ``SequentialLR`` of a ``LinearLR`` and the schedule proper, which counts its
    steps from 0 when the warm-up is over. `steps` come on top of its own.

    Parameters
    ----------
    schedule : Schedule
        What follows.
    steps : int
        Length of the warm-up, at least 0.
    start_factor : float
        Share of the first rate to begin with, at least 0.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If the schedule cannot be called.

    References
    ----------
    Goyal et al.: Accurate, Large Minibatch SGD (2017), section 2.2. https://arxiv.org/abs/1706.02677

    Examples
    --------
    >>> from cnn_from_scratch.optim import cosine
    >>> schedule = with_warmup(cosine(8.0, 4), 4, start_factor=0.0)
    >>> [round(schedule(step), 4) for step in range(9)]
    [0.0, 2.0, 4.0, 6.0, 8.0, 6.8284, 4.0, 1.1716, 0.0]
    """
    if not callable(schedule):
        raise TypeError(f"with_warmup: schedule must be callable, got {schedule!r}")
    check_count("with_warmup", "steps", steps, minimum=0)
    check_number("with_warmup", "start_factor", start_factor)
    if steps == 0:
        return schedule
    return sequential((steps, linear_warmup(schedule(0), steps, start_factor=start_factor)), (0, schedule))
