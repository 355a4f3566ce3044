"""Adam: momentum and a pace of its own for every parameter; AdamW: the same with weight decay kept out of both."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..typing import Array
from .checks import check_number, check_switch
from .groups import ParamGroup
from .optimizer import Now, Optimizer
from .running_mean import follow, follow_square


class Adam(Optimizer):
    """param <- param - lr * mhat / (sqrt(vhat) + eps), with running means m of the gradient and v of its square

    ::

        g = grad + weight_decay * param
        m <- beta1 * m + (1 - beta1) * g                mhat = m / (1 - beta1^t)
        v <- beta2 * v + (1 - beta2) * g^2              vhat = v / (1 - beta2^t)
        amsgrad: the largest v so far stands for v in vhat

    m and v start at 0; dividing by 1 - beta^t makes them true means of the t gradients seen. The first step of every
    parameter has therefore length lr, whatever the size of its gradient: between some 1e-6, below which eps counts, and
    1.8e19, above which the square is beyond float32 and v infinite. A number with such a gradient stands still from
    then on (as in PyTorch from 6e20); `clip_grad_norm` keeps gradients from coming to that.

    Parameters
    ----------
    lr : float
        Learning rate, at least 0.
    betas : (float, float)
        How much of their past m and v keep: at least 0 and below 1.
    eps : float
        Keeps the divisor away from 0; at least 0.
    weight_decay : float
        L2 regularization: adds weight_decay * param to the gradient, and so to m and v; at least 0. See `AdamW`.
    amsgrad : bool
        Never let the pace of a parameter go up again.
    groups : sequence of ParamGroup
        Other settings for some keys.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Kingma, Ba: Adam: A Method for Stochastic Optimization (2014), algorithm 1. https://arxiv.org/abs/1412.6980
    -- amsgrad: Reddi, Kale, Kumar: On the Convergence of Adam and Beyond (2018).
    https://openreview.net/forum?id=ryQu7f-RZ -- ``torch.optim.Adam``, which as here takes the largest v before the
    correction by 1 - beta2^t.

    Examples
    --------
    m = 0.1 * 4 and v = 0.001 * 16, so mhat = 4 and vhat = 16: a step of 0.5 * 4 / sqrt(16).

    >>> params = {"weight": np.array([1.0])}
    >>> Adam(0.5).step(params, {"weight": np.array([4.0])})
    >>> params["weight"].round(6)
    array([0.5])
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        groups: Sequence[ParamGroup] = (),
    ) -> None:
        self.betas = betas
        self.eps = eps
        self.amsgrad = amsgrad
        super().__init__(lr, weight_decay=weight_decay, groups=groups)

    def _check(self) -> None:
        super()._check()
        owner = type(self).__name__
        if not isinstance(self.betas, Sequence) or len(self.betas) != 2:
            raise ValueError(f"{owner}: betas must be a pair of numbers, got {self.betas!r}")
        for i, beta in enumerate(self.betas):
            check_number(owner, f"betas[{i}]", beta, below=1.0)
        check_number(owner, "eps", self.eps)
        check_switch(owner, "amsgrad", self.amsgrad)

    def _moment_names(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if self.amsgrad else ("exp_avg", "exp_avg_sq")

    def _update(self, param: Array, grad: Array, moments: list[Array], scratch: Array, now: Now) -> None:
        beta1, beta2 = map(float, self.betas)
        m, v, *largest = moments
        follow(m, grad, beta1, scratch)
        follow_square(v, grad, beta2, scratch)
        for top in largest:  # none or one
            v = np.maximum(top, v, out=top)

        # lr * mhat / (sqrt(vhat) + eps), above and below the line times `root`, which spares a pass
        root = math.sqrt(1 - beta2**now.t)
        np.sqrt(v, out=scratch)
        np.add(scratch, float(self.eps) * root, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, now.lr / (1 - beta1**now.t) * root, out=scratch)
        np.subtract(param, scratch, out=param)


class AdamW(Adam):
    """param <- (1 - lr * weight_decay) * param, and then Adam's step, in which the decay has no part

    In Adam the pull of weight decay towards 0 passes through m and sqrt(v) like the gradient, so that parameters with
    large gradients hardly decay. Here every parameter decays at the same rate.

    Parameters
    ----------
    lr, betas, eps, amsgrad, groups
        As in `Adam`.
    weight_decay : float
        Share of the parameter that goes in each step, times lr; at least 0. `NO_DECAY_1D` spares biases and norms.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Loshchilov, Hutter: Decoupled Weight Decay Regularization (2017), algorithm 2. https://arxiv.org/abs/1711.05101
    -- ``torch.optim.AdamW``

    Examples
    --------
    10 decays to (1 - 0.5 * 0.2) * 10 = 9, and Adam's first step takes 0.5 more.

    >>> params = {"weight": np.array([10.0])}
    >>> AdamW(0.5, weight_decay=0.2).step(params, {"weight": np.array([4.0])})
    >>> params["weight"].round(6)
    array([8.5])
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        groups: Sequence[ParamGroup] = (),
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, amsgrad, groups=groups)

    def _decay(self, param: Array, grad: Array, now: Now, out: Array) -> Array:
        """param <- (1 - lr * weight_decay) * param; the gradient stays as it is."""
        if now.weight_decay:
            np.multiply(param, 1 - now.lr * now.weight_decay, out=param)
        return grad
