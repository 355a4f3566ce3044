"""Which layer follows which rule."""

from __future__ import annotations

from ...layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    Identity,
    Layer,
    LayerNorm,
    Linear,
    LogSoftmax,
    MaxPool2d,
    PReLU,
    ReflectionPad2d,
    ReplicationPad2d,
    Softmax,
    Upsample,
    ZeroPad2d,
)
from . import convolution, elementwise, linear, moving, normalization, pooling, softmax, transposed
from .branches import KINDS
from .rule import Rule

RULES: dict[type[Layer], Rule] = {
    Conv2d: convolution.RULE,
    ConvTranspose2d: transposed.RULE,
    MaxPool2d: pooling.MAXIMUM,
    AdaptiveMaxPool2d: pooling.MAXIMUM,
    GlobalMaxPool2d: pooling.MAXIMUM,
    AvgPool2d: pooling.MEAN,
    AdaptiveAvgPool2d: pooling.MEAN,
    GlobalAvgPool2d: pooling.MEAN,
    Linear: linear.RULE,
    BatchNorm1d: normalization.BATCH,
    BatchNorm2d: normalization.BATCH,
    LayerNorm: normalization.LAYER,
    GroupNorm: normalization.GROUP,
    Softmax: softmax.SOFTMAX,
    LogSoftmax: softmax.LOGARITHM,
    Dropout: moving.DROPOUT,
    Flatten: moving.MOVING,
    Identity: moving.MOVING,
    ZeroPad2d: moving.MOVING,
    ReflectionPad2d: moving.MOVING,
    ReplicationPad2d: moving.MOVING,
    Upsample: moving.MOVING,
    **dict.fromkeys(elementwise.CURVES, elementwise.RULE),
    PReLU: elementwise.PRELU,
}


def find_rule(layer: Layer) -> Rule | None:
    """The rule of exactly this kind of layer: a subclass may compute something else."""
    return RULES.get(type(layer))


def rule_of(function: str, key: str, layer: Layer) -> Rule:
    """The rule of a layer.

    Raises
    ------
    TypeError
        If there is none: it is a layer of somebody's own.
    """
    rule = find_rule(layer)
    if rule is None:
        known = ", ".join(sorted({kind.__name__ for kind in (*RULES, *KINDS)}))
        raise TypeError(
            f"{function}: layer {key!r} is a {type(layer).__name__}, whose arithmetic is not known; "
            f"known are {known}, and 'loss'"
        )
    return rule
