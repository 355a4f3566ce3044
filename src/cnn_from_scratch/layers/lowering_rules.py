"""By operator: the layer of this package that computes the same, where there is one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import CnnError
from ..typing import Pair
from .activations import ELU, LeakyReLU, PReLU, ReLU, ReLU6
from .adaptive import GlobalAvgPool2d, GlobalMaxPool2d
from .base import Layer, Shape
from .batch_norm import BatchNorm1d, BatchNorm2d
from .convolution import Conv2d
from .graph_order import GraphNode
from .graph_tied import Tied
from .linear import Linear
from .pooling import AvgPool2d, MaxPool2d
from .shape import Flatten, Identity
from .smooth import GELU, Sigmoid, SiLU, Tanh
from .softmax import LogSoftmax, Softmax


class Weight(NamedTuple):
    """An input of a node that does not depend on the graph's input."""

    tied: Tied | None  # None where a layer cannot have it
    value: Any  # its numbers as they are now

    @property
    def shape(self) -> Shape:
        """Of the value."""
        return tuple(np.shape(self.value))


class Made(NamedTuple):
    """A layer, and what is to become of its parameters and buffers."""

    layer: Layer
    params: dict[str, Tied]
    buffers: dict[str, Tied]


class NodeCase(NamedTuple):
    """A node with one input that depends on the graph's, and shapes of one example."""

    node: GraphNode
    x: Shape
    y: Shape
    weights: dict[int, Weight]  # the other inputs, by their place

    def get(self, name: str, default: Any) -> Any:
        """An attribute."""
        value = self.node.operation.attributes.get(name)
        return default if value is None else value

    @property
    def opset(self) -> int:
        """Of the operation."""
        return self.node.operation.opset

    def pair(self, name: str, default: int) -> Pair:
        """Two numbers, for rows and columns; one where they are the same."""
        rows, columns = self.get(name, (default, default))
        return int(rows) if rows == columns else (int(rows), int(columns))

    def ints(self, name: str, place: int) -> list[int] | None:
        """Numbers from an attribute or a constant input."""
        value = self.get(name, None)
        if value is None and place in self.weights:
            value = self.weights[place].value
        return None if value is None else [int(n) for n in np.asarray(value).ravel()]


Rule: TypeAlias = Callable[[NodeCase], Made | None]


def as_layer(case: NodeCase) -> Made | None:
    """The layer for a node; None where there is none, or it would not take these numbers."""
    rule = RULES.get(case.node.operation.op_type)
    if rule is None or any(case.node.outputs[1:]):
        return None
    try:
        return rule(case)
    except (CnnError, ValueError, TypeError):  # a layer is stricter than the operator: large paddings, odd axes
        return None


def with_bias(made: Made, bias: Weight) -> Made | None:
    """The same convolution or linear layer with what is added behind it; None where it is no bias."""
    layer, shape = made.layer, bias.shape
    if bias.tied is None or not isinstance(layer, Conv2d | Linear) or layer.bias:
        return None
    features = layer.out_channels if isinstance(layer, Conv2d) else layer.out_features
    ones = (1, 1) if isinstance(layer, Conv2d) else ()
    if shape not in ((features, *ones), (1, features, *ones)):
        return None
    layer.bias = True
    return made._replace(params={**made.params, "bias": bias.tied.turned("flat")})


# --- rules ------------------------------------------------------------------------------------------------------------


def _plain(make: Callable[[NodeCase], Layer]) -> Rule:
    """A layer without parameters."""
    return lambda case: Made(make(case), {}, {})


def _padding(case: NodeCase) -> Any:
    """As our layers have it; None where they have none of the kind."""
    mode = case.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        top, left, bottom, right = (int(n) for n in case.get("pads", (0, 0, 0, 0)))
        if top == bottom and left == right:
            return top if top == left else (top, left)
        return ((top, bottom), (left, right))
    return {"VALID": "valid", "SAME_UPPER": "same"}.get(mode)


def _conv(case: NodeCase) -> Made | None:
    weight, bias, padding = case.weights.get(1), case.weights.get(2), _padding(case)
    if padding is None or len(case.x) != 3 or weight is None or weight.tied is None or (bias and bias.tied is None):
        return None
    F, C, KH, KW = weight.shape
    G = int(case.get("group", 1))
    kernel = KH if KH == KW else (KH, KW)
    layer = Conv2d(G, G, kernel, case.pair("strides", 1), padding, case.pair("dilations", 1), G, bias is not None)
    layer.in_channels, layer.out_channels = C * G, F  # made small: its numbers are those of the graph
    return Made(layer, {"weight": weight.tied} | _optional("bias", bias), {})


def _optional(name: str, weight: Weight | None) -> dict[str, Tied]:
    return {} if weight is None or weight.tied is None else {name: weight.tied}


def _linear(weight: Weight | None, bias: Weight | None, *, turned: bool) -> Made | None:
    """`turned` where the weight is (in, out)."""
    if weight is None or weight.tied is None or len(weight.shape) != 2 or (bias and bias.tied is None):
        return None
    layer = Linear(1, 1, bias is not None)
    layer.in_features, layer.out_features = weight.shape if turned else weight.shape[::-1]
    if bias is not None and bias.shape not in ((layer.out_features,), (1, layer.out_features)):
        return None
    flat = {} if bias is None or bias.tied is None else {"bias": bias.tied.turned("flat")}
    return Made(layer, {"weight": weight.tied.turned("T" if turned else "")} | flat, {})


def _gemm(case: NodeCase) -> Made | None:
    if len(case.x) != 1 or case.get("alpha", 1.0) != 1 or case.get("beta", 1.0) != 1 or case.get("transA", 0):
        return None
    return _linear(case.weights.get(1), case.weights.get(2), turned=not case.get("transB", 0))


def _matmul(case: NodeCase) -> Made | None:
    """Of vectors alone: over more axes NumPy's sums are in another order."""
    return _linear(case.weights.get(1), None, turned=True) if len(case.x) == 1 else None


def _batch_norm(case: NodeCase) -> Made | None:
    """In version 7 to 13 further outputs ask for the statistics of the batch; here there are none."""
    of_batch = case.get("training_mode", 0) or (case.opset < 7 and not case.get("is_test", 0))
    weights = [case.weights.get(i) for i in (1, 2, 3, 4)]
    if of_batch or (case.opset < 9 and not case.get("spatial", 1)) or len(case.x) not in (1, 2, 3):
        return None
    if any(w is None or w.tied is None or w.shape != (case.x[0],) for w in weights):
        return None
    kind = BatchNorm2d if len(case.x) == 3 else BatchNorm1d
    layer = kind(case.x[0], float(case.get("epsilon", 1e-5)), 1 - float(case.get("momentum", 0.9)))
    scale, offset, mean, var = (w.tied for w in weights if w is not None and w.tied is not None)
    return Made(layer, {"weight": scale, "bias": offset}, {"running_mean": mean, "running_var": var})


def _max_pool(case: NodeCase) -> Made | None:
    padding = _padding(case)
    if padding is None or len(case.x) != 3:
        return None
    kernel, dilations = case.pair("kernel_shape", 1), case.pair("dilations", 1)
    ceil_mode = bool(case.get("ceil_mode", 0))
    return Made(MaxPool2d(kernel, _stride(case), padding, dilations, ceil_mode=ceil_mode), {}, {})


def _stride(case: NodeCase) -> Pair | None:
    """As our layers have it: None for the size of the kernel."""
    stride = case.pair("strides", 1)
    return None if stride == case.pair("kernel_shape", 1) else stride


def _avg_pool(case: NodeCase) -> Made | None:
    """Windows that hang over the edge are counted in more than one way: they stay with the operator."""
    padding = _padding(case)
    odd = case.get("ceil_mode", 0) or case.pair("dilations", 1) != 1 or padding == "same"
    if padding is None or odd or len(case.x) != 3:
        return None
    counts = bool(case.get("count_include_pad", 0))
    return Made(AvgPool2d(case.pair("kernel_shape", 1), _stride(case), padding, False, counts), {}, {})


def _flatten(case: NodeCase) -> Made | None:
    """Flatten, or any change of shape that comes to the same."""
    same = len(case.y) == 1 and case.y[0] == math.prod(case.x) and len(case.x) > 1
    return Made(Flatten(), {}, {}) if same else (Made(Identity(), {}, {}) if case.y == case.x else None)


def _global(layer: type[Layer]) -> Rule:
    return lambda case: Made(layer(), {}, {}) if len(case.x) == 3 else None


def _reduce_mean(case: NodeCase) -> Made | None:
    axes = case.ints("axes", 1) or []
    pixels = sorted(axis % 4 for axis in axes) == [2, 3] and len(case.x) == 3
    return Made(GlobalAvgPool2d(), {}, {}) if pixels and case.get("keepdims", 1) else None


def _softmax(kind: type[Softmax]) -> Rule:
    """Along one axis; before opset 13 the operator sees a matrix, which for vectors is the same."""

    def rule(case: NodeCase) -> Made | None:
        axis = int(case.get("axis", 1 if case.opset < 13 else -1))
        return Made(kind(axis), {}, {}) if case.opset >= 13 or (len(case.x) == 1 and axis in (1, -1)) else None

    return rule


def _prelu(case: NodeCase) -> Made | None:
    slope = case.weights.get(1)
    channels = {(case.x[0],)} if len(case.x) == 1 else {(case.x[0], *[1] * (len(case.x) - 1))}
    if slope is None or slope.tied is None or slope.shape not in channels:
        return None
    return Made(PReLU(case.x[0]), {"weight": slope.tied.turned("flat")}, {})


def _clip(case: NodeCase) -> Made | None:
    """Between 0 and 6."""
    bounds = [case.get(name, case.weights[i].value if i in case.weights else None)
              for i, name in ((1, "min"), (2, "max"))]  # fmt: skip
    known = all(bound is not None and np.size(bound) == 1 for bound in bounds)
    return Made(ReLU6(), {}, {}) if known and [float(np.ravel(b)[0]) for b in bounds] == [0, 6] else None


RULES: dict[str, Rule] = {
    "AveragePool": _avg_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": _conv,
    "Elu": _plain(lambda case: ELU(float(case.get("alpha", 1.0)))),
    "Flatten": _flatten,
    "Gelu": _plain(lambda case: GELU(case.get("approximate", "none"))),
    "Gemm": _gemm,
    "GlobalAveragePool": _global(GlobalAvgPool2d),
    "GlobalMaxPool": _global(GlobalMaxPool2d),
    "Identity": _plain(lambda case: Identity()),
    "LeakyRelu": _plain(lambda case: LeakyReLU(float(case.get("alpha", 0.01)))),
    "LogSoftmax": _softmax(LogSoftmax),
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "PRelu": _prelu,
    "ReduceMean": _reduce_mean,
    "Relu": _plain(lambda case: ReLU()),
    "Reshape": _flatten,
    "Sigmoid": _plain(lambda case: Sigmoid()),
    "Softmax": _softmax(Softmax),
    "Squeeze": _flatten,
    "Swish": lambda case: Made(SiLU(), {}, {}) if case.get("alpha", 1.0) == 1 else None,
    "Tanh": _plain(lambda case: Tanh()),
}
"""What is not here runs as the operation that it is."""
