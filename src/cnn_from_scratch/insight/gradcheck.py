"""Is a backward pass the derivative of its forward pass? If not: where, by how much, and what is the likely mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..layers import Container, Layer
from ..training.losses import LossPair, as_loss
from ..typing import Array
from .gradcheck_arrays import Rules, check_problem
from .gradcheck_problem import Pair, Problem, layer_inputs, layer_problem, pair_problem
from .gradcheck_result import GradCheck


def gradcheck(
    target: Pair | Layer,
    *inputs: Any,
    loss: str | LossPair = "cross_entropy",
    train: bool = True,
    only: str | Sequence[str] | None = None,
    elements: int = 64,
    directions: int = 2,
    step: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> GradCheck:
    """Compare a backward pass with (f(x + h) - f(x - h)) / 2h, in float64 and on copies.

    f is sum(y * dy) for a random dy, or the loss. Elements are moved one by one (all, or a sample that the seed
    decides), and every array along random directions, in which all its elements take part; where only a direction
    disagrees, halving finds an element that does. Where a kink or a tie lies between x - h and x + h, smaller steps
    are tried; an element at a kink is reported as skipped: neither right nor wrong.

    Parameters
    ----------
    target : (forward, backward) or Layer
        A pair as in `ops` (`functools.partial` sets options; a loss is known by its ``backward(cache, dloss)``), or a
        layer or a model. It is copied, never changed.
    *inputs : Array
        What forward takes. For a layer ``x``; for a model and its loss ``x, y``. Integers are not moved.
    loss : str or (forward, backward)
        Used where y is given; see `fit`.
    train : bool
        Whether layers run as in training (batch norm's statistics, dropout with one fixed mask).
    only : str or sequence of str, optional
        Names of the arrays to check, as ``"weight"`` or ``"0.weight"``; all floating inputs and all parameters that
        are not frozen if not given.
    elements : int
        An array with more elements than this is sampled.
    directions : int
        How many random directions are compared for each array.
    step : float
        h for numbers up to 1 by amount; for an element that is larger, h is so much larger, too.
    rtol : float
        Relative error that is allowed, besides what rounding explains.
    seed : int
        Decides dy, samples, directions and dropout.

    Returns
    -------
    check : GradCheck
        Prints as a table and sentences; has `ok`, `arrays`, `worst`, `to_frame()`, `raise_if_bad()`. For a model that
        is wrong, `layers` holds the checks of the layers that are wrong on their own.

    Raises
    ------
    TypeError, ValueError, ShapeError
        If target or inputs are not what they should be, or the output is not float64.

    References
    ----------
    Bengio: Practical recommendations for gradient-based training of deep architectures (arXiv 1206.5533), section 4.2.
    Goodfellow, Bengio, Courville: Deep Learning (2016), section 11.5: random projections.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.ops import relu_forward
    >>> x = np.array([-1.0, 0.0, 2.0])
    >>> print(gradcheck((relu_forward, lambda dy, cache: -dy * (cache.y > 0)), x))
    gradcheck of relu_forward: WRONG
    array  shape  compared            skipped  wrong  worst error
    x      (3,)   2/3 + 1 directions  1        1      2.0e+00
    dx[2]: backward says 0.673428, central differences -0.673428 (error 2). Likely: the sign is flipped
    """
    _check_numbers(elements, directions, step, rtol)
    rules = Rules(elements, directions, step, rtol, seed)
    if isinstance(target, Layer):
        x, y = _layer_inputs(inputs)
        problem = layer_problem(target, x, y, loss=as_loss(loss), train=train, seed=seed)
    elif isinstance(target, tuple) and len(target) == 2 and all(callable(part) for part in target):
        problem = pair_problem(target, inputs)
    else:
        raise TypeError(f"gradcheck: target must be a (forward, backward) pair or a Layer, got {target!r}")
    check = check_problem(problem, _chosen(problem, only), rules)
    if check.ok or not isinstance(target, Container):
        return check
    return GradCheck(check.target, check.arrays, _wrong_layers(target, inputs[0], rules, train), check.remarks)


def _wrong_layers(model: Layer, x: Array, rules: Rules, train: bool) -> dict[str, GradCheck]:
    """The checks of the layers that are wrong on their own, given what reaches them."""
    found = {}
    for key, (layer, reaching) in layer_inputs(model, x, train=train, seed=rules.seed).items():
        problem = layer_problem(layer, reaching, None, loss=as_loss("cross_entropy"), train=train, seed=rules.seed)
        check = check_problem(problem, list(problem.values), rules)
        if not check.ok:
            found[key] = check
    return found


def _layer_inputs(inputs: Sequence[Any]) -> tuple[Any, Any]:
    if len(inputs) not in (1, 2):
        raise TypeError(f"gradcheck: a layer takes x, a model with its loss x and y; got {len(inputs)} inputs")
    return inputs[0], inputs[1] if len(inputs) == 2 else None


def _chosen(problem: Problem, only: str | Sequence[str] | None) -> list[str]:
    names = list(problem.values)
    wanted = names if only is None else [only] if isinstance(only, str) else list(only)
    for name in wanted:
        if name not in names:
            raise ValueError(f"gradcheck: only={name!r} is none of the arrays {', '.join(names)}")
    return wanted


def _check_numbers(elements: int, directions: int, step: float, rtol: float) -> None:
    for name, value, least in (("elements", elements, 1), ("directions", directions, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"gradcheck: {name} must be an int >= {least}, got {value!r}")
    for name, number in (("step", step), ("rtol", rtol)):
        if not number > 0:
            raise ValueError(f"gradcheck: {name} must be above 0, got {number!r}")
