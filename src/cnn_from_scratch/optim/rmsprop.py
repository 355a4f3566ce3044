"""RMSprop: every parameter at its own pace, the gradient divided by its running size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..typing import Array
from .checks import check_number, check_switch
from .groups import ParamGroup
from .optimizer import Now, Optimizer
from .running_mean import follow, follow_square


class RMSprop(Optimizer):
    """param <- param - lr * g / (sqrt(v) + eps), where v is the running mean of g^2

    ::

        g = grad + weight_decay * param
        v <- alpha * v + (1 - alpha) * g^2
        a <- alpha * a + (1 - alpha) * g                centered: v - a^2, the variance of g, stands for v below
        d = g / (sqrt(v) + eps)
        b <- momentum * b + d                           with momentum: b stands for d below
        param <- param - lr * d

    As in PyTorch eps is added after the root, and v starts at 0 without a correction, so first steps are longer. In
    float32 the square of a gradient beyond 1.8e19 is infinite, and that number stands still from then on;
    `clip_grad_norm` keeps gradients from coming to that.

    Parameters
    ----------
    lr : float
        Learning rate, at least 0.
    alpha : float
        How much of its past v keeps: at least 0 and below 1.
    eps : float
        Keeps the divisor away from 0; at least 0.
    momentum : float
        Share of b that the next step keeps, at least 0. 0 for no such moment.
    centered : bool
        Divide by the standard deviation of the gradient. Rounding can make v - a^2 negative where a gradient hardly
        changes; it counts as 0 then (PyTorch gets NaN).
    weight_decay : float
        L2 regularization: adds weight_decay * param to the gradient; at least 0.
    groups : sequence of ParamGroup
        Other settings for some keys.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Hinton: Neural Networks for Machine Learning, lecture 6 (2012).
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf
    -- centered: Graves: Generating Sequences With Recurrent Neural Networks (2013), equations 38-41.
    https://arxiv.org/abs/1308.0850 -- ``torch.optim.RMSprop``

    Examples
    --------
    v = 0.25 * 0 + 0.75 * 2^2 = 3, so the step is 0.3 * 2 / sqrt(3) = 0.3464.

    >>> params = {"weight": np.array([1.0])}
    >>> RMSprop(0.3, alpha=0.25).step(params, {"weight": np.array([2.0])})
    >>> params["weight"].round(4)
    array([0.6536])
    """

    def __init__(
        self,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        *,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        groups: Sequence[ParamGroup] = (),
    ) -> None:
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum
        self.centered = centered
        super().__init__(lr, weight_decay=weight_decay, groups=groups)

    def _check(self) -> None:
        super()._check()
        check_number("RMSprop", "alpha", self.alpha, below=1.0)
        check_number("RMSprop", "eps", self.eps)
        check_number("RMSprop", "momentum", self.momentum)
        check_switch("RMSprop", "centered", self.centered)

    def _moment_names(self) -> tuple[str, ...]:
        centered = ("grad_avg",) if self.centered else ()
        return ("square_avg", *centered, *(("momentum_buffer",) if self.momentum else ()))

    def _update(self, param: Array, grad: Array, moments: list[Array], scratch: Array, now: Now) -> None:
        alpha, square_avg = float(self.alpha), moments[0]
        follow_square(square_avg, grad, alpha, scratch)
        if self.centered:
            follow(moments[1], grad, alpha, scratch)
            _variance(square_avg, moments[1], scratch)
            np.sqrt(scratch, out=scratch)
        else:
            np.sqrt(square_avg, out=scratch)
        np.add(scratch, float(self.eps), out=scratch)
        direction = np.divide(grad, scratch, out=scratch)
        if self.momentum:
            direction = moments[-1]
            np.multiply(direction, float(self.momentum), out=direction)
            np.add(direction, scratch, out=direction)
        np.multiply(direction, now.lr, out=scratch)
        np.subtract(param, scratch, out=param)


def _variance(square_avg: Array, grad_avg: Array, out: Array) -> None:
    """out <- max(0, square_avg - grad_avg^2)"""
    np.multiply(grad_avg, grad_avg, out=out)
    np.minimum(out, np.finfo(out.dtype).max, out=out)  # inf - inf would be NaN
    np.subtract(square_avg, out, out=out)
    np.maximum(out, 0.0, out=out)
