"""Pure operations in pairs: ``y, cache = NAME_forward(x, ...)`` and ``dx, ... = NAME_backward(dy, cache)``.

Nothing hidden, nothing global, and nothing written that was borrowed. Every operation takes logical (N, C, H, W)
arrays in any memory order and answers in the order it was given.
"""

from .batch_norm import BatchNormCache, batch_norm_backward, batch_norm_forward
from .col2im import col2im
from .conv_backward import conv_backward
from .conv_forward import ConvCache, conv_forward
from .im2col import im2col
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
    "MaxPoolCache",
    "batch_norm_backward",
    "batch_norm_forward",
    "col2im",
    "conv_backward",
    "conv_forward",
    "conv_geometry",
    "conv_output_size",
    "im2col",
    "initialize_bias",
    "initialize_filters",
    "is_hwnc",
    "max_pool_backward",
    "max_pool_forward",
    "max_pool_indices",
    "print_shape",
    "to_hwnc",
]
