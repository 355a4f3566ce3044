"""From layers to stages: what stands next to each other becomes one.

    conv, batch norm, ReLU, max-pool 2x2    ->  one convolution with other weights, its pool before bias and ReLU
    linear, batch norm, ReLU                ->  one linear stage
    residual sum, ReLU                      ->  one sum
    flatten, linear                         ->  a linear stage whose weights are in the order of the numbers in memory

In evaluation batch norm is y * scale + offset with scale = weight / sqrt(variance + eps) and
offset = bias - mean * scale, and that is again a convolution: (w * scale, b * scale + offset).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ops import conv_geometry
from ...ops.utils import ConvGeometry
from ...typing import Array
from ..activations import ReLU
from ..adaptive import GlobalAvgPool2d
from ..base import Layer
from ..batch_norm import BatchNorm1d, BatchNorm2d
from ..branches import Concat, Residual
from ..convolution import Conv2d
from ..linear import Linear
from ..pooling import AvgPool2d, MaxPool2d
from ..shape import Flatten
from ..smooth import Tanh
from .conv_columns import ColumnsStage
from .conv_rows import RowsStage
from .conv_winograd import WinogradStage
from .convolution import Convolution, is_winograd
from .graph import Graph, Node
from .simple import (
    AddStage,
    AffineStage,
    ConcatStage,
    FlattenStage,
    LayerStage,
    LinearStage,
    MeanOfPixelsStage,
    PoolStage,
    ReluStage,
    UfuncStage,
)
from .stage import Stage, Wiring

FEW = 4
"""A convolution of so few channels is computed in columns."""


def rewrite(graph: Graph) -> list[Stage]:
    """The stages of a model, in the order they run."""
    stages = []
    done: set[int] = set()  # values inside of a stage
    for node in graph.nodes:
        if node.output not in done:
            chain = Chain(graph, node)
            stages.append(RULES.get(type(node.layer), _any_layer)(chain))
            done.update(chain.covered)
    return stages


class Chain:
    """A node, and those after it that have been taken into its stage."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.graph, self.node = graph, node
        self.layer = node.layer
        self.nodes = [node]

    def take(self, wanted: Callable[[Layer], bool]) -> Layer | None:
        """The next layer, if it is wanted and nobody else reads what it reads: it now belongs to the stage."""
        following = self.graph.only_reader(self.nodes[-1].output)
        if following is None or not wanted(following.layer):
            return None
        self.nodes.append(following)
        return following.layer

    def take_relu(self) -> bool:
        """Whether a ReLU follows, which is taken."""
        return self.take(lambda layer: type(layer) is ReLU) is not None

    @property
    def covered(self) -> list[int]:
        """The numbers of all values that the stage makes."""
        return [node.output for node in self.nodes]

    @property
    def wiring(self) -> Wiring:
        """Where the stage stands."""
        label = "+".join(node.key or type(node.layer).__name__ for node in self.nodes)
        return Wiring(label, self.node.inputs, self.nodes[-1].output, self.nodes[-1].output_shape)


def scale_and_offset(layer: Layer) -> tuple[Array, Array]:
    """What a batch norm with running statistics multiplies by and adds, in float64."""
    mean, variance = (layer.buffers[key].astype(np.float64) for key in ("running_mean", "running_var"))
    scale = 1 / np.sqrt(variance + layer.eps)  # type: ignore[attr-defined]
    if layer.affine:  # type: ignore[attr-defined]
        scale = scale * layer.params["weight"]
        return scale, layer.params["bias"] - mean * scale
    return scale, -mean * scale


def _is_batch_norm(layer: Layer) -> bool:
    return type(layer) in (BatchNorm1d, BatchNorm2d) and layer.track_running_stats  # type: ignore[attr-defined]


def _is_small_max_pool(layer: Layer) -> bool:
    return type(layer) is MaxPool2d and layer.halves()


def _convolution(chain: Chain) -> Stage:
    layer = chain.layer
    assert isinstance(layer, Conv2d)
    weight, bias = layer.params["weight"].copy(), layer.params.get("bias")
    _, H, W = chain.node.input_shape
    geometry = conv_geometry("compile", (H, W), layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    conv = Convolution(
        weight, np.zeros(len(weight), weight.dtype) if bias is None else bias.copy(), geometry, layer.groups
    )
    if (norm := chain.take(_is_batch_norm)) is not None:
        conv = conv.scaled(*scale_and_offset(norm))
    relu = chain.take_relu()
    pool = min(geometry.output) >= 2 and chain.take(_is_small_max_pool) is not None
    relu = relu or chain.take_relu()
    conv = conv._replace(relu=relu, pool=pool)
    if conv.groups == 1 and weight.shape[1] <= FEW and geometry.kernel != (1, 1):
        return ColumnsStage(chain.wiring, conv)
    return (WinogradStage if is_winograd(conv, weight.dtype) else RowsStage)(chain.wiring, conv)


def _linear(chain: Chain) -> Stage:
    layer, rank = chain.layer, len(chain.node.input_shape)
    if rank != 1:
        return _any_layer(chain)
    weight = _columns_in_memory_order(chain, layer.params["weight"].copy())
    bias = layer.params["bias"].copy() if "bias" in layer.params else np.zeros(len(weight), weight.dtype)
    if (norm := chain.take(_is_batch_norm)) is not None:
        scale, offset = scale_and_offset(norm)
        weight, bias = (weight * scale[:, None]).astype(weight.dtype), (bias * scale + offset).astype(weight.dtype)
    relu = chain.take_relu()
    return LinearStage(chain.wiring, weight, bias, relu)


def _columns_in_memory_order(chain: Chain, weight: Array) -> Array:
    """Where a flatten before gives H, W, C, the columns of the weight are put into that order."""
    source = next((n for n in chain.graph.nodes if n.output == chain.node.inputs[0]), None)
    if source is None or not _gives_channels_last(chain.graph, source):
        return weight
    C, H, W = source.input_shape
    return weight.reshape(-1, C, H, W).transpose(0, 2, 3, 1).reshape(weight.shape)


def _gives_channels_last(graph: Graph, node: Node) -> bool:
    """Whether this is a flatten of images that only linear layers read."""
    if type(node.layer) is not Flatten or len(node.input_shape) != 3 or len(node.output_shape) != 1:
        return False
    readers = graph.readers(node.output)
    return node.output != graph.output and all(type(reader.layer) is Linear for reader in readers)


def _flatten(chain: Chain) -> Stage:
    node = chain.node
    if len(node.input_shape) != 3 or len(node.output_shape) != 1:
        return _any_layer(chain)
    return FlattenStage(chain.wiring, node.input_shape, _gives_channels_last(chain.graph, node))


def _batch_norm(chain: Chain) -> Stage:
    if not _is_batch_norm(chain.layer) or len(chain.node.input_shape) == 2:
        return _any_layer(chain)
    scale, offset = scale_and_offset(chain.layer)
    relu = chain.take_relu()
    return AffineStage(chain.wiring, scale, offset, relu)


def _pool(chain: Chain) -> Stage:
    layer = chain.layer
    assert isinstance(layer, MaxPool2d | AvgPool2d)
    _, H, W = chain.node.input_shape
    geometry: ConvGeometry = conv_geometry(
        "compile",
        (H, W),
        layer.kernel_size,
        layer.stride or layer.kernel_size,
        layer.padding,
        layer.dilation,
        ceil_mode=layer.ceil_mode,
    )
    if layer.ceil_mode or geometry.padding != ((0, 0), (0, 0)):
        return _any_layer(chain)
    return PoolStage(chain.wiring, geometry, mean=isinstance(layer, AvgPool2d))


def _sum(chain: Chain) -> Stage:
    relu = chain.take_relu()
    return AddStage(chain.wiring, relu)


def _any_layer(chain: Chain) -> Stage:
    return LayerStage(chain.wiring, chain.layer)


RULES: dict[type[Layer], Callable[[Chain], Stage]] = {
    AvgPool2d: _pool,
    BatchNorm1d: _batch_norm,
    BatchNorm2d: _batch_norm,
    Concat: lambda chain: ConcatStage(chain.wiring),
    Conv2d: _convolution,
    Flatten: _flatten,
    GlobalAvgPool2d: lambda chain: MeanOfPixelsStage(chain.wiring),
    Linear: _linear,
    MaxPool2d: _pool,
    ReLU: lambda chain: ReluStage(chain.wiring),
    Residual: _sum,
    Tanh: lambda chain: UfuncStage(chain.wiring, np.tanh),
}
"""Who makes the stage that begins with a layer of this type. Any other type, subclasses too, runs as it is."""
