"""LpPool and GlobalLpPool: the Lp norm of windows, or of whole images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ....errors import FormatError
from ....typing import Array
from ..attributes import label, number
from ..pooling_nd import widened, window_sums, window_sums_backward
from ..registry import Node, operator
from ..windows import Window, WindowRule
from .pure import PureOperation, require_floats


class LpCache(NamedTuple):
    """What the gradient of an Lp norm needs."""

    x: Array
    y: Array
    window: Window


class _Lp(PureOperation):
    """y = (sum over a window of |x|^p)^(1/p)

    The gradient of y by x is sign(x) * (|x| / y)^(p - 1), and 0 where y is 0.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.p = number(node, "p", 2.0)
        if not self.p > 0:
            raise FormatError(f"{label(node)}: p must be positive, got {self.p}")

    def window(self, lengths: tuple[int, ...]) -> Window:
        """Where the windows are."""
        raise NotImplementedError

    def compute(self, x: Array) -> tuple[Array, LpCache]:
        """In the dtype of x."""
        require_floats(self, x)
        window = self.window(x.shape[2:])
        y = (window_sums(np.abs(widened(x)) ** self.p, window) ** (1 / self.p)).astype(x.dtype, copy=False)
        return y, LpCache(x, y, window)

    def gradients(self, dy: Array, cache: LpCache, wanted: Sequence[bool]) -> tuple[Array]:
        """What every window gives back, times what belongs to the pixel alone."""
        x, y, window = cache
        shares = np.divide(dy, y ** (self.p - 1), out=np.zeros_like(dy), where=y > 0)
        magnitude = np.power(np.abs(x), self.p - 1, out=np.zeros_like(x), where=x != 0)
        return (window_sums_backward(shares, x.shape[2:], window) * np.sign(x) * magnitude,)


@operator("LpPool")
class LpPool(_Lp):
    """The Lp norm of each window."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.rule = WindowRule.of(node)

    def window(self, lengths: tuple[int, ...]) -> Window:
        """As the attributes say."""
        return self.rule.at(lengths)


@operator("GlobalLpPool")
class GlobalLpPool(_Lp):
    """The Lp norm of each channel of each image."""

    def window(self, lengths: tuple[int, ...]) -> Window:
        """The whole image."""
        return whole(lengths)


def whole(lengths: tuple[int, ...]) -> Window:
    """One window over everything."""
    ones = (1,) * len(lengths)
    return Window(lengths, ones, ((0, 0),) * len(lengths), ones)
