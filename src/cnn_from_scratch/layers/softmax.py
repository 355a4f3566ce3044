"""Softmax as a layer: scores of classes become probabilities, or their logarithms."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import ShapeError
from ..ops import log_softmax_backward, log_softmax_forward, softmax_backward, softmax_forward
from ..typing import Array
from .base import Shape, example_shape
from .context import Context
from .plain import ForwardBackward, PlainLayer


class Softmax(PlainLayer):
    """y[k] = exp(x[k]) / sum_j exp(x[j]): scores become probabilities

    For training give the loss "cross_entropy" the scores themselves: it has its own softmax.

    Parameters
    ----------
    dim : int
        The axis of the classes, counted with the batch as axis 0; 1 for maps of scores (N, K, H, W).

    Raises
    ------
    TypeError
        If dim is no int.
    ShapeError
        If dim is 0.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().predict(np.log(np.array([[1.0, 1.0, 2.0]], np.float32)))
    array([[0.25, 0.25, 0.5 ]], dtype=float32)
    """

    op: ClassVar[ForwardBackward] = (softmax_forward, softmax_backward)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"{type(self).__name__}: dim must be an int, got {dim!r}")
        if dim == 0:
            raise ShapeError(f"{type(self).__name__}: dim must not be 0, for axis 0 is the batch")
        self.dim = dim

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """The first of `op`, along `dim`."""
        self.output_shape(example_shape(self, x))
        forward, _ = self.op
        return forward(x, axis=self.dim)

    def output_shape(self, input_shape: Shape) -> Shape:
        """The same; it must have the axis `dim`."""
        axes = 1 + len(input_shape)
        if not (1 <= self.dim < axes or 1 - axes <= self.dim <= -1):
            raise ShapeError(f"{type(self).__name__}: examples {input_shape} have no axis {self.dim} behind the batch")
        return input_shape


class LogSoftmax(Softmax):
    """y[k] = x[k] - log(sum_j exp(x[j])): the logarithm of softmax, without its overflow

    Parameters
    ----------
    dim : int
        See `Softmax`.

    Raises
    ------
    TypeError, ShapeError
        As for `Softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> LogSoftmax().predict(np.array([[0.0, 0.0]], np.float32)).round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """

    op: ClassVar[ForwardBackward] = (log_softmax_forward, log_softmax_backward)
