"""The exercise im2col."""

from __future__ import annotations

from typing import Any

from ...ops import im2col
from ...typing import Array
from ..arrays import counted, whole
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.im2col import MISTAKES


def _answer(x: Array, kernel_size: tuple[int, int], stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    return im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)


def _rungs() -> list[Rung]:
    def case(x: Array, kernel_size: tuple[int, int], **more: Any) -> Arguments:
        return {"x": x, "kernel_size": kernel_size, **more}

    return [
        Rung("a 3x3 image and a 2x2 kernel", case(counted(1, 1, 3, 3), (2, 2))),
        Rung("image and kernel that are not square", case(counted(1, 1, 4, 5), (2, 3))),
        Rung("two channels", case(counted(1, 2, 3, 4), (2, 2))),
        Rung("a batch of two images", case(whole(1, 2, 2, 4, 3), (2, 2))),
        Rung("a stride of 2", case(counted(1, 1, 5, 7), (2, 3), stride=2)),
        Rung("padding", case(counted(1, 1, 3, 4), (2, 2), padding=1)),
        Rung("dilation", case(counted(1, 1, 5, 6), (2, 3), dilation=2)),
        Rung(
            "all of it, in float32",
            case(whole(2, 2, 3, 8, 9, dtype="float32"), (3, 2), stride=3, padding=2, dilation=2),
        ),
    ]


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """Which pixel, or that it lies in the padding."""
    from .windows import window_axes  # insight is imported only once something is wrong

    n, row, column = index
    x, (KH, KW) = given["x"], given["kernel_size"]
    H, W = x.shape[2:]
    settings = {name: given.get(name, usual) for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1))}
    rows, columns = window_axes((H, W), (KH, KW), **settings)
    (c, rest), (oh, ow) = divmod(row, KH * KW), divmod(column, columns.output)
    kh, kw = divmod(rest, KW)
    h, w = int(rows.seen(oh)[kh]), int(columns.seen(ow)[kw])
    inside = 0 <= h < H and 0 <= w < W
    value = f"x[{n}, {c}, {h}, {w}] = {x[n, c, h, w]:g}" if inside else f"row {h}, column {w}: in the padding, so 0"
    stride, padding, dilation = settings.values()
    return [
        f"row {row} of cols is c = {c}, kh = {kh}, kw = {kw}; column {column} is oh = {oh}, ow = {ow}",
        f"h = oh*stride + kh*dilation - padding = {oh}*{stride} + {kh}*{dilation} - {padding} = {h}",
        f"w = ow*stride + kw*dilation - padding = {ow}*{stride} + {kw}*{dilation} - {padding} = {w}",
        value,
    ]


EXERCISE = Exercise(
    name="im2col",
    summary="patches to columns",
    read="the docstring in the file; then slicing with a step, a[start:stop:step], and np.pad",
    start="start with the picture in its docstring: stride 1, no padding, one image. Make an array (N, C, KH, KW, OH, "
    "OW) of zeros, fill it in a loop over kh and kw, and reshape it at the end",
    hints=(
        "Fix one kernel offset (kh, kw) and ask which pixels it meets while the window slides over the image. They "
        "form a grid: rows kh, kh + stride, kh + 2*stride ... What slice of the image is that?",
        "Pad first, so that no window looks outside: np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))). Then loop only over "
        "kh and kw, copy one strided slice of the padded image for each, and let NumPy do N, C, OH and OW at once.",
        "top = kh*dilation; xp[:, :, top : top + stride*(OH - 1) + 1 : stride, ...] are the OH rows for kernel row kh; "
        "likewise the columns. Put it into cols[:, :, kh, kw] of an array (N, C, KH, KW, OH, OW), and return "
        "cols.reshape(N, C*KH*KW, OH*OW).",
    ),
    solution=("ops.im2col:im2col",),
    outputs=("cols",),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
)
