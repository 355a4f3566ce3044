"""Pure operations in pairs: ``y, cache = NAME_forward(x, ...)`` and ``dx, ... = NAME_backward(dy, cache)``.

Nothing hidden, nothing global, and nothing written that was borrowed. Every operation takes logical (N, C, H, W)
arrays in any memory order and answers in the order it was given.
"""

from .batch_norm import BatchNormCache, batch_norm_backward, batch_norm_forward
from .col2im import col2im
from .conv_backward import conv_backward
from .conv_forward import ConvCache, conv_forward
from .group_norm import GroupNormCache, group_norm_backward, group_norm_forward
from .im2col import im2col
from .normalization import LayerNormCache, layer_norm_backward, layer_norm_forward
from .pooling import MaxPoolCache, max_pool_backward, max_pool_forward, max_pool_indices
from .utils import (
    ConvGeometry,
    conv_geometry,
    conv_output_size,
    initialize_bias,
    initialize_filters,
    is_hwnc,
    print_shape,
    to_hwnc,
)

__all__ = [
    "BatchNormCache",
    "ConvCache",
    "ConvGeometry",
    "GroupNormCache",
    "LayerNormCache",
    "MaxPoolCache",
    "batch_norm_backward",
    "batch_norm_forward",
    "col2im",
    "conv_backward",
    "conv_forward",
    "conv_geometry",
    "conv_output_size",
    "group_norm_backward",
    "group_norm_forward",
    "im2col",
    "initialize_bias",
    "initialize_filters",
    "is_hwnc",
    "layer_norm_backward",
    "layer_norm_forward",
    "max_pool_backward",
    "max_pool_forward",
    "max_pool_indices",
    "print_shape",
    "to_hwnc",
]
