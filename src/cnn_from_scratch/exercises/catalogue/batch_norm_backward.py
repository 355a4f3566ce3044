"""The exercise batch_norm_backward."""

from __future__ import annotations

import numpy as np

from ...layers import BatchNorm2d
from ...ops import batch_norm_forward
from ...typing import Array
from ..arrays import real, whole
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.batch_norm_backward import MISTAKES
from ..mistakes.norm_gradients import correct


def _rungs() -> list[Rung]:
    line = np.array([1.0, 3.0, 8.0]).reshape(3, 1, 1, 1)
    return [
        Rung(
            "three numbers of one channel, weight 1",
            {"dy": np.array([2.0, -1.0, 5.0]).reshape(3, 1, 1, 1), "x": line, "weight": np.ones(1), "eps": 0.0},
        ),
        Rung(
            "a weight",
            {"dy": np.array([2.0, -1.0, 5.0]).reshape(3, 1, 1, 1), "x": line, "weight": np.array([4.0]), "eps": 0.0},
        ),
        Rung(
            "pixels: the statistics go over them, too",
            {"dy": whole(1, 2, 1, 2, 3), "x": whole(2, 2, 1, 2, 3), "weight": np.array([2.0]), "eps": 0.0},
        ),
        Rung(
            "three channels, each by itself",
            {"dy": whole(3, 2, 3, 2, 2), "x": whole(4, 2, 3, 2, 2), "weight": np.array([2.0, -3.0, 0.5]), "eps": 0.0},
        ),
        Rung(
            "an eps that is large enough to be seen",
            {"dy": whole(5, 2, 2, 2, 3), "x": whole(6, 2, 2, 2, 3), "weight": np.array([2.0, 3.0]), "eps": 0.5},
        ),
        Rung(
            "a channel in which all numbers are the same",
            {"dy": whole(7, 2, 1, 2, 2), "x": np.full((2, 1, 2, 2), 7.0), "weight": np.array([2.0]), "eps": 1e-2},
        ),
        Rung(
            "larger, in float32",
            {
                "dy": real(8, 4, 3, 5, 6, dtype="float32"),
                "x": 3 * real(9, 4, 3, 5, 6, dtype="float32") + np.float32(2),
                "weight": real(10, 3, dtype="float32"),
            },
        ),
    ]


def _answer(dy: Array, x: Array, weight: Array, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    return correct(dy, x, weight, eps)


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """Mean and variance of the channel, and the sum."""
    from ...insight.arithmetic import normalization  # insight is imported only once something is wrong
    from ...insight.trace import LayerTrace
    from .windows import written_sum

    dy, x, weight, eps = given["dy"], given["x"], given["weight"], given.get("eps", 1e-5)
    bias = np.zeros_like(weight)
    _, cache = batch_norm_forward(x, weight, bias, None, None, train=True, eps=eps)
    layer = BatchNorm2d(len(weight), eps=eps)
    entry = LayerTrace("", layer, x, x, cache, dy, None, {"weight": weight, "bias": bias}, {}, {})
    rule = {
        "dx": normalization.blame_input,
        "dweight": normalization.blame_weight,
        "dbias": normalization.blame_bias,
    }[output]
    channel = x[:, index[1] if output == "dx" else index[0]]
    mean, variance = channel.mean(dtype=np.float64), channel.var(dtype=np.float64)
    said = f"its channel: n = {channel.size}, mean {mean:.6g}, variance {variance:.6g}, eps {eps:g}"
    return [said, *written_sum(rule(entry, index))]


EXERCISE = Exercise(
    name="batch_norm_backward",
    summary="the gradients of batch normalisation",
    read="the chain rule with several paths; sums of NumPy over axes with keepdims=True",
    start="start with the forward pass: mean, variance and xhat over the axes (0, 2, 3) with keepdims=True. Then dbias "
    "and dweight are one line each",
    hints=(
        "dbias and dweight are sums over everything but the channels. For dx, count the ways in which one x acts on "
        "the loss: directly, through the mean, through the variance. Each is one term.",
        "Everything about a channel has the shape (1, C, 1, 1) with keepdims=True and multiplies whole images. weight "
        "comes as (C,): weight[:, None, None] goes with the channels.",
        "With axes (0, 2, 3): dx = weight[:, None, None] / std * (dy - dy.mean(axes, keepdims=True) - xhat * (dy * "
        "xhat).mean(axes, keepdims=True)), where std = np.sqrt(x.var(axes, keepdims=True) + eps).",
    ),
    solution=("ops.batch_norm:batch_norm_backward", "ops.batch_statistics:gradient_terms"),
    outputs=("dx", "dweight", "dbias"),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
    examined=("dbias", "dweight", "dx"),
)
