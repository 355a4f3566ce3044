"""A convolution of an exercise as a traced layer, so that `insight` can take its numbers apart."""

from __future__ import annotations

import numpy as np

from ...insight.arithmetic import convolution
from ...insight.trace import LayerTrace
from ...layers import Conv2d
from ..exercise import Arguments
from .windows import written_sum


def _traced(given: Arguments) -> LayerTrace:
    x, weight = given["x"], given["weight"]
    bias = given.get("bias", np.zeros(len(weight)))
    F, C, KH, KW = weight.shape
    layer = Conv2d(C, F, (KH, KW), stride=given.get("stride", 1), padding=given.get("padding", 0))
    return LayerTrace("", layer, x, x, None, given.get("dy"), None, {"weight": weight, "bias": bias}, {}, {})


def conv_terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """The products that add up to one number of y, dx, dweight or dbias."""
    rule = {
        "y": convolution.explain,
        "dx": convolution.blame_input,
        "dweight": convolution.blame_weight,
        "dbias": convolution.blame_bias,
    }[output]
    return written_sum(rule(_traced(given), index))
