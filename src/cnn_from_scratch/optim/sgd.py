"""Stochastic gradient descent: downhill, with momentum if one likes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..typing import Array
from .checks import check_number, check_switch
from .groups import ParamGroup
from .optimizer import Now, Optimizer


class SGD(Optimizer):
    """param <- param - lr * (grad + weight_decay * param), or with momentum along a running sum of these gradients

    ::

        g = grad + weight_decay * param
        b <- momentum * b + (1 - dampening) * g         b <- g in the first step of a parameter
        param <- param - lr * b                         Nesterov: param - lr * (g + momentum * b)

    As in PyTorch the learning rate stands outside of b (Sutskever et al. have it inside), so a new rate acts at once on
    all that b remembers.

    Parameters
    ----------
    lr : float
        Learning rate, at least 0.
    momentum : float
        Share of b that the next step keeps, at least 0; 0.9 is usual. 0 for no moment at all.
    dampening : float
        What b does not take of a new gradient.
    nesterov : bool
        Look at the gradient from where the momentum leads. Needs momentum > 0 and dampening = 0.
    weight_decay : float
        L2 regularization: adds weight_decay * param to the gradient; at least 0.
    groups : sequence of ParamGroup
        Other settings for some keys.

    Raises
    ------
    ValueError
        If a number is out of range, or Nesterov without momentum.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum in deep learning (2013),
    equations 1-4. https://proceedings.mlr.press/v28/sutskever13.html -- ``torch.optim.SGD``

    Examples
    --------
    b = 1, then 0.5 * 1 + 1 = 1.5: the parameter goes to 10 - 0.1 * 1 = 9.9, then to 9.9 - 0.1 * 1.5 = 9.75.

    >>> params, optimizer = {"weight": np.array([10.0])}, SGD(0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.step(params, {"weight": np.array([1.0])})
    ...     print(params["weight"])
    [9.9]
    [9.75]
    """

    def __init__(
        self,
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        *,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        groups: Sequence[ParamGroup] = (),
    ) -> None:
        self.momentum = momentum
        self.dampening = dampening
        self.nesterov = nesterov
        super().__init__(lr, weight_decay=weight_decay, groups=groups)

    def _check(self) -> None:
        super()._check()
        check_switch("SGD", "nesterov", self.nesterov)
        check_number("SGD", "momentum", self.momentum)
        check_number("SGD", "dampening", self.dampening, minimum=-np.inf)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum > 0 and dampening = 0, "
                f"got momentum={self.momentum!r} and dampening={self.dampening!r}"
            )

    def _moment_names(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(self, param: Array, grad: Array, moments: list[Array], scratch: Array, now: Now) -> None:
        direction = grad
        if self.momentum:
            (direction,) = moments
            self._accumulate(direction, grad, scratch, now)
        if self.nesterov:
            np.multiply(direction, float(self.momentum), out=scratch)
            direction = np.add(grad, scratch, out=scratch)
        np.multiply(direction, now.lr, out=scratch)
        np.subtract(param, scratch, out=param)

    def _accumulate(self, buffer: Array, grad: Array, scratch: Array, now: Now) -> None:
        """buffer <- momentum * buffer + (1 - dampening) * grad"""
        if now.t == 1:
            np.copyto(buffer, grad)
            return
        np.multiply(buffer, float(self.momentum), out=buffer)
        if self.dampening:
            grad = np.multiply(grad, 1 - float(self.dampening), out=scratch)
        np.add(buffer, grad, out=buffer)
