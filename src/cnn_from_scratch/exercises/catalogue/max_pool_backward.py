"""The exercise max_pool_backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...layers import MaxPool2d
from ...ops import conv_output_size
from ...typing import Array
from ..arrays import whole
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.max_pool_backward import MISTAKES, correct


def _rungs() -> list[Rung]:
    def case(x: Array, kernel_size: tuple[int, int], stride: int, padding: int = 0) -> Arguments:
        OH, OW = (
            conv_output_size(size, kernel, stride=stride, padding=padding)
            for size, kernel in zip(x.shape[2:], kernel_size, strict=True)
        )
        dy = whole(x.size, *x.shape[:2], OH, OW, dtype=x.dtype)
        given = {"dy": dy, "x": x, "kernel_size": kernel_size, "stride": stride}
        return given | ({"padding": padding} if padding else {})

    def image(*rows: list[Any], dtype: str = "float64") -> Array:
        return np.array(rows, dtype)[None, None]

    rng = np.random.default_rng(0)
    apart = rng.permutation(2 * 2 * 5 * 7).reshape(2, 2, 5, 7) - 70.0  # no two are equal
    many = rng.integers(-3, 3, (2, 3, 8, 9)).astype(np.float32)
    return [
        Rung("one window", case(image([1, 5], [3, 4]), (2, 2), 2)),
        Rung(
            "windows side by side, positive and negative numbers",
            case(image([-1, 5, -2, -9], [3, 4, -7, -6]), (2, 2), 2),
        ),
        Rung("equal numbers: the first one wins", case(image([1, 4, 3, 3], [4, 4, 3, 3]), (2, 2), 2)),
        Rung("windows that overlap", case(image([1, 2, 3], [4, 9, 5], [6, 7, 8]), (2, 2), 1)),
        Rung("batch, channels, a window that is not square", case(apart, (2, 3), 2)),
        Rung("padding, and only negative numbers", case(image([-5, -4, -3], [-1, -2, -9]), (2, 2), 1, 1)),
        Rung("all of it, in float32", case(many, (3, 2), 2, 1)),
    ]


def _answer(dy: Array, x: Array, kernel_size: tuple[int, int], stride: int, padding: int = 0) -> Array:
    return correct(dy, x, kernel_size, stride, padding)


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """The windows that hold the number, and which of them it wins."""
    from ...insight.arithmetic import pooling  # insight is imported only once something is wrong
    from ...insight.trace import LayerTrace
    from .windows import written_sum

    layer = MaxPool2d(1)
    layer.kernel_size, layer.stride, layer.padding = given["kernel_size"], given["stride"], given.get("padding", 0)
    x = given["x"]
    parts = pooling.blame_max_input(LayerTrace("", layer, x, x, None, given["dy"], None, {}, {}, {}), index)
    said = ", ".join(str(i) for i in index)
    return [f"x[{said}] = {x[index]:g}", *written_sum(parts)]


EXERCISE = Exercise(
    name="max_pool_backward",
    summary="the gradient goes to the largest of each window",
    read="your col2im; np.argmax, and how it decides between equal numbers",
    start="start with plain loops over n, c, oh, ow: cut the window out of the padded x, find where its largest number "
    "is, and add dy[n, c, oh, ow] there",
    hints=(
        "Every window has one winner. Find it by argmax (which gives the first of equal numbers), and add the window's "
        "dy to dx at that place.",
        "Pad x with -np.inf and make dx of zeros with the size of the padded x. np.unravel_index(window.argmax(), "
        "window.shape) is the place inside the window; the window itself begins at oh*stride, ow*stride. Crop at the "
        "end.",
        "For n, c, oh, ow in np.ndindex(dy.shape): window = xp[n, c, oh*stride : oh*stride + KH, ow*stride : ow*stride "
        "+ KW]; i, j = np.unravel_index(window.argmax(), window.shape); dxp[n, c, oh*stride + i, ow*stride + j] += "
        "dy[n, c, oh, ow]. Return dxp[:, :, p : p + H, p : p + W].",
    ),
    solution=("ops.pooling:max_pool_backward", "ops.pooling:_winners"),
    outputs=("dx",),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
)
