"""Pure operations in pairs: ``y, cache = NAME_forward(x, ...)`` and ``dx, ... = NAME_backward(dy, cache)``.

Nothing hidden, nothing global, and nothing written that was borrowed. Every operation takes logical (N, C, H, W)
arrays in any memory order and answers in the order it was given.
"""

from .activations import (
    EluCache,
    LeakyReluCache,
    PreluCache,
    ReluCache,
    elu_backward,
    elu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    prelu_backward,
    prelu_forward,
    relu_backward,
    relu_forward,
)
from .adaptive_pooling import (
    AdaptiveAvgPoolCache,
    AdaptiveMaxPoolCache,
    adaptive_avg_pool_backward,
    adaptive_avg_pool_forward,
    adaptive_max_pool_backward,
    adaptive_max_pool_forward,
)
from .add_relu import AddReluCache, add_relu_backward, add_relu_forward
from .avg_pooling import AvgPoolCache, avg_pool_backward, avg_pool_forward
from .batch_norm import BatchNormCache, batch_norm_backward, batch_norm_forward
from .batch_norm_relu import BatchNormReluCache, batch_norm_relu_backward, batch_norm_relu_forward
from .bias_relu import BiasReluCache, bias_relu_backward, bias_relu_forward
from .binary_cross_entropy import BinaryCrossEntropyCache, binary_cross_entropy_backward, binary_cross_entropy_forward
from .col2im import col2im
from .conv_backward import conv_backward
from .conv_batch_norm import ConvBatchNormCache, conv_batch_norm_backward, conv_batch_norm_forward
from .conv_batch_norm_relu import ConvBatchNormReluCache, conv_batch_norm_relu_backward, conv_batch_norm_relu_forward
from .conv_batch_norm_relu_pool import (
    ConvBatchNormReluPoolCache,
    conv_batch_norm_relu_pool_backward,
    conv_batch_norm_relu_pool_forward,
)
from .conv_forward import ConvCache, conv_forward
from .conv_transpose import ConvTransposeCache, conv_transpose_backward, conv_transpose_forward
from .cross_entropy import CrossEntropyCache, cross_entropy_backward, cross_entropy_forward
from .dropout import DropoutCache, dropout_backward, dropout_forward
from .erf import erf
from .gelu import GeluCache, gelu_backward, gelu_forward
from .global_pooling import (
    global_avg_pool_backward,
    global_avg_pool_forward,
    global_max_pool_backward,
    global_max_pool_forward,
)
from .group_norm import GroupNormCache, group_norm_backward, group_norm_forward
from .im2col import im2col
from .linear import LinearCache, linear_backward, linear_forward
from .losses import (
    HuberCache,
    L1Cache,
    MseCache,
    huber_backward,
    huber_forward,
    l1_backward,
    l1_forward,
    mse_backward,
    mse_forward,
)
from .normalization import LayerNormCache, layer_norm_backward, layer_norm_forward
from .padding import PadCache, pad_backward, pad_forward
from .pooling import MaxPoolCache, max_pool_backward, max_pool_forward, max_pool_indices
from .relu6 import Relu6Cache, relu6_backward, relu6_forward
from .sigmoid import (
    SigmoidCache,
    SiluCache,
    SoftplusCache,
    TanhCache,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from .softmax import (
    LogSoftmaxCache,
    SoftmaxCache,
    log_softmax_backward,
    log_softmax_forward,
    softmax_backward,
    softmax_forward,
)
from .upsample import UpsampleCache, upsample_backward, upsample_forward
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
    "AdaptiveAvgPoolCache",
    "AdaptiveMaxPoolCache",
    "AddReluCache",
    "AvgPoolCache",
    "BatchNormCache",
    "BatchNormReluCache",
    "BiasReluCache",
    "BinaryCrossEntropyCache",
    "ConvBatchNormCache",
    "ConvBatchNormReluCache",
    "ConvBatchNormReluPoolCache",
    "ConvCache",
    "ConvGeometry",
    "ConvTransposeCache",
    "CrossEntropyCache",
    "DropoutCache",
    "EluCache",
    "GeluCache",
    "GroupNormCache",
    "HuberCache",
    "L1Cache",
    "LayerNormCache",
    "LeakyReluCache",
    "LinearCache",
    "LogSoftmaxCache",
    "MaxPoolCache",
    "MseCache",
    "PadCache",
    "PreluCache",
    "Relu6Cache",
    "ReluCache",
    "SigmoidCache",
    "SiluCache",
    "SoftmaxCache",
    "SoftplusCache",
    "TanhCache",
    "UpsampleCache",
    "adaptive_avg_pool_backward",
    "adaptive_avg_pool_forward",
    "adaptive_max_pool_backward",
    "adaptive_max_pool_forward",
    "add_relu_backward",
    "add_relu_forward",
    "avg_pool_backward",
    "avg_pool_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_norm_relu_backward",
    "batch_norm_relu_forward",
    "bias_relu_backward",
    "bias_relu_forward",
    "binary_cross_entropy_backward",
    "binary_cross_entropy_forward",
    "col2im",
    "conv_backward",
    "conv_batch_norm_backward",
    "conv_batch_norm_forward",
    "conv_batch_norm_relu_backward",
    "conv_batch_norm_relu_forward",
    "conv_batch_norm_relu_pool_backward",
    "conv_batch_norm_relu_pool_forward",
    "conv_forward",
    "conv_geometry",
    "conv_output_size",
    "conv_transpose_backward",
    "conv_transpose_forward",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "dropout_backward",
    "dropout_forward",
    "elu_backward",
    "elu_forward",
    "erf",
    "gelu_backward",
    "gelu_forward",
    "global_avg_pool_backward",
    "global_avg_pool_forward",
    "global_max_pool_backward",
    "global_max_pool_forward",
    "group_norm_backward",
    "group_norm_forward",
    "huber_backward",
    "huber_forward",
    "im2col",
    "initialize_bias",
    "initialize_filters",
    "is_hwnc",
    "l1_backward",
    "l1_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "linear_backward",
    "linear_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "max_pool_backward",
    "max_pool_forward",
    "max_pool_indices",
    "mse_backward",
    "mse_forward",
    "pad_backward",
    "pad_forward",
    "prelu_backward",
    "prelu_forward",
    "print_shape",
    "relu6_backward",
    "relu6_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "silu_backward",
    "silu_forward",
    "softmax_backward",
    "softmax_forward",
    "softplus_backward",
    "softplus_forward",
    "tanh_backward",
    "tanh_forward",
    "to_hwnc",
    "upsample_backward",
    "upsample_forward",
]
