"""The exercise col2im."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops import col2im, im2col
from ...typing import Array
from ..arrays import counted, whole
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.col2im import MISTAKES


def _answer(
    cols: Array,
    input_shape: tuple[int, int, int, int],
    kernel_size: tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Array:
    return col2im(cols, input_shape, kernel_size, stride=stride, padding=padding, dilation=dilation)


def _rungs() -> list[Rung]:
    def case(
        shape: tuple[int, ...],
        kernel_size: tuple[int, int],
        *,
        count: bool = False,
        dtype: str = "float64",
        **more: Any,
    ) -> Arguments:
        size = im2col(np.empty(shape), kernel_size, **more).shape
        cols = counted(*size) if count else whole(sum(size), *size, dtype=dtype)
        return {"cols": cols, "input_shape": shape, "kernel_size": kernel_size, **more}

    return [
        Rung("patches side by side, no overlap", case((1, 1, 2, 4), (2, 2), count=True, stride=2)),
        Rung("patches that overlap", case((1, 1, 3, 3), (2, 2), count=True)),
        Rung("image and kernel that are not square", case((1, 1, 4, 6), (3, 2))),
        Rung("two channels, a batch of two", case((2, 2, 3, 4), (2, 2))),
        Rung("a stride of 2 with overlaps", case((1, 1, 7, 6), (3, 3), stride=2)),
        Rung("padding", case((1, 1, 3, 4), (2, 2), padding=1)),
        Rung("dilation", case((1, 1, 5, 6), (2, 3), dilation=2)),
        Rung("all of it, in float32", case((2, 3, 8, 9), (3, 2), dtype="float32", stride=2, padding=2, dilation=2)),
    ]


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """The columns that the pixel is in, and their sum."""
    from ...insight.arithmetic.rule import Parts  # insight is imported only once something is wrong
    from ...insight.arithmetic.terms import Place, at, grid, products
    from .windows import window_axes, written_sum

    n, c, h, w = index
    (KH, KW), (H, W) = given["kernel_size"], given["input_shape"][2:]
    settings = (given.get("stride", 1), given.get("padding", 0), given.get("dilation", 1))
    rows, columns = window_axes((H, W), (KH, KW), *settings)
    (kh, oh), (kw, ow) = rows.seen_by(h), columns.seen_by(w)
    kernel, windows = grid(kh, kw), grid(oh, ow)
    places = np.stack(
        [
            np.full(len(kernel), n),
            c * KH * KW + kernel[:, 0] * KW + kernel[:, 1],
            windows[:, 0] * columns.output + windows[:, 1],
        ],
        axis=1,
    )
    terms = products((Place("cols", places),), cols=at(given["cols"], places))
    number = f"the pixel is in {len(places)} window{'s' * (len(places) != 1)}"
    return written_sum(Parts("x[n, c, h, w] = sum of cols[n, (c, kh, kw), (oh, ow)]", terms, notes=(number,)))


EXERCISE = Exercise(
    name="col2im",
    summary="columns back to the image, overlaps added",
    read="your im2col: this is the same loop with the arrow turned round",
    start="start from your im2col: the same loop over kh and kw and the same slices, but now the slice of the padded "
    "image is what is written. Begin with an image of zeros",
    hints=(
        "im2col copies slice -> column. Turn each copy round: column -> slice. What must happen where two windows "
        "share a pixel?",
        "cols.reshape(N, C, KH, KW, OH, OW) gives the loop its kh and kw back. Write into zeros of the size of the "
        "padded image, and cut the padding off at the end.",
        "xp[:, :, top : top + stride*(OH - 1) + 1 : stride, left : left + stride*(OW - 1) + 1 : stride] += "
        "cols6[:, :, kh, kw] with top = kh*dilation and left = kw*dilation; at the end xp[:, :, p : p + H, p : p + W].",
    ),
    solution=("ops.col2im:col2im",),
    outputs=("x",),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
)
