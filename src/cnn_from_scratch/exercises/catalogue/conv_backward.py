"""The exercise conv_backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import conv_output_size
from ...typing import Array
from ..arrays import counted, whole
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.conv_backward import MISTAKES, correct


def _rungs() -> list[Rung]:
    def case(x: Array, weight: Array, **more: Any) -> Arguments:
        (H, W), (KH, KW), stride, padding = x.shape[2:], weight.shape[2:], more.get("stride", 1), more.get("padding", 0)
        OH, OW = (conv_output_size(size, kernel, stride=stride, padding=padding) for size, kernel in ((H, KH), (W, KW)))
        dy = whole(x.size, len(x), len(weight), OH, OW, dtype=x.dtype)
        return {"dy": dy, "x": x, "weight": weight, **more}

    first = np.array([[[[2.0, 3.0], [5.0, 7.0]]]])
    return [
        Rung("one filter that fits exactly: a single dy", case(counted(1, 1, 2, 2), first)),
        Rung("one filter, overlapping windows", case(counted(1, 1, 3, 3), first)),
        Rung("two filters, two channels", case(whole(1, 1, 2, 3, 4), whole(2, 2, 2, 2, 2))),
        Rung("a batch of two, image and kernel not square", case(whole(3, 2, 2, 4, 5), whole(4, 3, 2, 2, 3))),
        Rung("a stride of 2", case(whole(5, 1, 1, 7, 5), whole(6, 2, 1, 3, 3), stride=2)),
        Rung("padding", case(whole(7, 1, 1, 3, 4), whole(8, 2, 1, 2, 2), padding=1)),
        Rung(
            "all of it, in float32",
            case(whole(9, 2, 3, 7, 8, dtype="float32"), whole(10, 4, 3, 3, 2, dtype="float32"), stride=2, padding=1),
        ),
    ]


def _answer(dy: Array, x: Array, weight: Array, stride: int = 1, padding: int = 0) -> tuple[Array, Array, Array]:
    return correct(dy, x, weight, stride, padding)


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """The products that add up to the number."""
    from .convolution import conv_terms  # insight is imported only once something is wrong

    return conv_terms(given, output, index)


EXERCISE = Exercise(
    name="conv_backward",
    summary="the gradients of a convolution",
    read="the chain rule; your conv_forward and col2im",
    start="start with dbias, one line: which axes of dy (N, F, OH, OW) have to be summed away so that (F,) is left? "
    "Then dweight from the columns of x, then dx by col2im",
    hints=(
        "Write y = W @ cols + b for one example and differentiate: dW = dy @ cols^T, dcols = W^T @ dy, db = the row "
        "sums of dy. What several examples share (W and b) adds up over them; what each has for itself (cols) does "
        "not.",
        "dy2 = dy.reshape(N, F, OH*OW). dweight is (dy2 @ cols transposed in its last two axes), summed over N; dcols "
        "is weight.reshape(F, -1).T @ dy2; col2im brings it home.",
        "dbias = dy.sum((0, 2, 3)); dweight = (dy2 @ cols.swapaxes(1, 2)).sum(0).reshape(weight.shape); dx = "
        "col2im(weight.reshape(F, -1).T @ dy2, x.shape, (KH, KW), stride, padding).",
    ),
    solution=("ops.conv_backward:conv_backward", "ops.conv_backward:_backward_im2col"),
    outputs=("dx", "dweight", "dbias"),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
    examined=("dbias", "dweight", "dx"),
)
