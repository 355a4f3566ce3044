"""The exercise conv_forward."""

from __future__ import annotations

import numpy as np

from ...typing import Array
from ..arrays import counted, whole
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.conv_forward import MISTAKES, correct


def _rungs() -> list[Rung]:
    zero = np.zeros(1)
    return [
        Rung(
            "one filter, no bias to speak of",
            {"x": counted(1, 1, 3, 3), "weight": np.array([[[[1.0, 2.0], [-1.0, 3.0]]]]), "bias": zero},
        ),
        Rung(
            "two filters, each with its bias",
            {"x": counted(1, 1, 3, 3), "weight": whole(1, 2, 1, 2, 2), "bias": np.array([10.0, -20.0])},
        ),
        Rung(
            "three channels",
            {"x": whole(2, 1, 3, 3, 4), "weight": whole(3, 2, 3, 2, 2), "bias": np.array([5.0, 7.0])},
        ),
        Rung(
            "a batch of two, image and kernel not square",
            {"x": whole(4, 2, 2, 4, 6), "weight": whole(5, 3, 2, 2, 3), "bias": np.array([1.0, 2.0, 3.0])},
        ),
        Rung(
            "a stride of 2",
            {"x": whole(6, 1, 1, 7, 6), "weight": whole(7, 2, 1, 3, 2), "bias": np.array([1.0, 2.0]), "stride": 2},
        ),
        Rung(
            "padding",
            {"x": whole(8, 1, 1, 3, 4), "weight": whole(9, 2, 1, 2, 2), "bias": np.array([1.0, 2.0]), "padding": 1},
        ),
        Rung(
            "all of it, in float32",
            {
                "x": whole(10, 2, 3, 7, 8, dtype="float32"),
                "weight": whole(11, 4, 3, 3, 2, dtype="float32"),
                "bias": whole(12, 4, dtype="float32"),
                "stride": 2,
                "padding": 1,
            },
        ),
    ]


def _answer(x: Array, weight: Array, bias: Array, stride: int = 1, padding: int = 0) -> Array:
    return correct(x, weight, bias, stride, padding)


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """The products that add up to the number."""
    from .convolution import conv_terms  # insight is imported only once something is wrong

    return conv_terms(given, output, index)


EXERCISE = Exercise(
    name="conv_forward",
    summary="filters slide over images",
    read="the docstring of your im2col; matrix products of NumPy (@), and how reshape and transpose differ",
    start="start with your im2col: cols is (N, C*KH*KW, OH*OW), weight.reshape(F, -1) is (F, C*KH*KW). One @ does all "
    "the products; what is its shape, and what is missing to (N, F, OH, OW)?",
    hints=(
        "Every number of y is a sum of C*KH*KW products: one filter, laid out as a row, times one patch, laid out as a "
        "column. im2col has all the columns.",
        "weight.reshape(F, -1) @ cols gives (N, F, OH*OW): NumPy multiplies matrix by matrix over the batch. Add the "
        "bias so that it goes with F and not with the last axis.",
        "y = weight.reshape(F, -1) @ im2col(x, (KH, KW), stride, padding); y = y + bias[:, None]; and return "
        "y.reshape(N, F, OH, OW) with OH = (H + 2*padding - KH)//stride + 1.",
    ),
    solution=("ops.conv_forward:conv_forward", "ops.conv_forward:_forward_im2col", "ops.conv_forward:_forward_loops"),
    outputs=("y",),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
)
