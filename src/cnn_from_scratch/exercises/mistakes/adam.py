"""What goes wrong in a step of Adam: the corrections, the root, the decay, and what is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ...optim import AdamW
from ...typing import Array
from ..exercise import Mistake

Result: TypeAlias = tuple[Array, Array, Array]


def correct(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Result:
    """One step of the library's own, from the state that it would have been in."""
    optimizer = AdamW(lr, (beta1, beta2), eps, weight_decay)
    optimizer.load_state_dict({"t": t - 1, "lr": lr, "steps/p": t - 1, "exp_avg/p": m, "exp_avg_sq/p": v})
    params = {"p": param.copy()}
    optimizer.step(params, {"p": grad})
    moments = optimizer.state["p"]
    return params["p"], moments["exp_avg"], moments["exp_avg_sq"]


def _textbook(
    *,
    first: Callable[[float, int], float] = lambda beta, t: 1 - beta**t,
    second: Callable[[float, int], float] = lambda beta, t: 1 - beta**t,
    divisor: Callable[[Array, float], Array] = lambda v, eps: np.sqrt(v) + eps,
    decay: Callable[[float, float], float] = lambda lr, wd: lr * wd,
    square: Callable[[Array], Array] = np.square,
    sign: int = 1,
    mixed: bool = False,
    late: bool = False,
    kept: Callable[[Array, Array, Array, Array], tuple[Array, Array]] = lambda m, v, mhat, vhat: (m, v),
    averages: Callable[[float, float], tuple[float, float]] = lambda a, b: (a, b),
    shares: Callable[[float], float] = lambda beta: 1 - beta,
    share_of_square: Callable[[float, float], float] = lambda beta1, beta2: 1.0,
) -> Callable[..., Result]:
    """Adam from the book, with one part of it replaced."""

    def function(
        param: Array,
        grad: Array,
        m: Array,
        v: Array,
        t: int,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> Result:
        with np.errstate(all="ignore"):
            beta1, beta2 = averages(beta1, beta2)
            if mixed:
                grad, weight_decay = grad + weight_decay * param, 0.0
            past = m, v
            m = beta1 * m + shares(beta1) * grad
            v = beta2 * v + shares(beta2) * share_of_square(beta1, beta2) * square(grad)
            used = past if late else (m, v)
            mhat, vhat = (np.divide(used[0], first(beta1, t)), np.divide(used[1], second(beta2, t)))
            step = lr * mhat / divisor(vhat, eps)
            new = (1 - decay(lr, weight_decay)) * param - sign * step
        return (new, *kept(m, v, mhat, vhat))

    return function


MISTAKES = (
    Mistake(
        "no-bias-correction",
        "the bias correction is missing: m and v begin at 0 and are too small at first; divide by 1 - beta1**t and "
        "1 - beta2**t",
        _textbook(first=lambda beta, t: 1.0, second=lambda beta, t: 1.0),
    ),
    Mistake(
        "only-m-corrected",
        "only m is corrected: v began at 0, too, and is to be divided by 1 - beta2**t",
        _textbook(second=lambda beta, t: 1.0),
    ),
    Mistake(
        "only-v-corrected",
        "only v is corrected: m began at 0, too, and is to be divided by 1 - beta1**t",
        _textbook(first=lambda beta, t: 1.0),
    ),
    Mistake(
        "correction-without-t",
        "the correction divides by 1 - beta and not by 1 - beta**t: it should fade as the steps go by",
        _textbook(first=lambda beta, t: 1 - beta, second=lambda beta, t: 1 - beta),
    ),
    Mistake(
        "t-from-0",
        "the steps are counted from 0, 1 - beta**(t - 1): in the first step that divides by 0. t already is 1, 2, 3 "
        "...",
        _textbook(first=lambda beta, t: 1 - beta ** (t - 1), second=lambda beta, t: 1 - beta ** (t - 1)),
    ),
    Mistake(
        "t-one-too-many",
        "the steps are counted one too far, 1 - beta**(t + 1): t already is the number of this step, 1, 2, 3 ...",
        _textbook(first=lambda beta, t: 1 - beta ** (t + 1), second=lambda beta, t: 1 - beta ** (t + 1)),
    ),
    Mistake(
        "eps-inside-the-root",
        "eps stands inside of the root, sqrt(vhat + eps): it belongs outside, sqrt(vhat) + eps",
        _textbook(divisor=lambda v, eps: np.sqrt(v + eps)),
    ),
    Mistake(
        "eps-forgotten",
        "eps is forgotten: where the gradient is 0 that is 0/0",
        _textbook(divisor=lambda v, eps: np.sqrt(v)),
    ),
    Mistake(
        "no-root",
        "the root is missing: divide by sqrt(vhat) + eps, not by vhat + eps",
        _textbook(divisor=lambda v, eps: v + eps),
    ),
    Mistake(
        "not-squared",
        "v is a mean of the gradient, not of its square",
        _textbook(square=lambda grad: grad),
    ),
    Mistake(
        "absolute-value",
        "v is a mean of |grad|, not of grad**2",
        _textbook(square=np.abs),
    ),
    Mistake(
        "m-and-v-exchanged",
        "m and v are returned in the wrong order: param, m, v",
        _textbook(kept=lambda m, v, mhat, vhat: (v, m)),
    ),
    Mistake(
        "corrected-ones-kept",
        "mhat and vhat are returned, and would be corrected again in the next step: return m and v as they are",
        _textbook(kept=lambda m, v, mhat, vhat: (mhat, vhat)),
    ),
    Mistake(
        "betas-exchanged",
        "beta1 and beta2 are exchanged: beta1 is for m, the gradient, and beta2 for v, its square",
        _textbook(averages=lambda beta1, beta2: (beta2, beta1)),
    ),
    Mistake(
        "square-with-beta1",
        "v takes (1 - beta1) of grad**2: it takes (1 - beta2)",
        _textbook(share_of_square=lambda beta1, beta2: (1 - beta1) / (1 - beta2)),
    ),
    Mistake(
        "shares-exchanged",
        "the past has the share 1 - beta and the new gradient beta: it is the other way round",
        _textbook(averages=lambda beta1, beta2: (1 - beta1, 1 - beta2)),
    ),
    Mistake(
        "whole-gradient",
        "the gradient is added with its whole weight, beta * m + grad: it takes (1 - beta) * grad",
        _textbook(shares=lambda beta: 1.0),
    ),
    Mistake("uphill", "the step goes uphill: param minus the step", _textbook(sign=-1)),
    Mistake(
        "old-moments-used",
        "the step is taken with the m and v of the step before: first renew them, then step",
        _textbook(late=True),
    ),
    Mistake(
        "decay-mixed-in",
        "the weight decay is added to the gradient, and so goes through m and v: that is Adam with L2. Here, as in "
        "AdamW, param shrinks by itself, (1 - lr * weight_decay) * param",
        _textbook(mixed=True),
    ),
    Mistake(
        "decay-without-lr",
        "the weight decay is not multiplied with lr: (1 - lr * weight_decay) * param",
        _textbook(decay=lambda lr, weight_decay: weight_decay),
    ),
    Mistake(
        "decay-forgotten",
        "the weight decay is forgotten: (1 - lr * weight_decay) * param",
        _textbook(decay=lambda lr, weight_decay: 0.0),
    ),
)
