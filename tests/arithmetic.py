"""What the tests of explain and blame share: random layers of every kind, and the demand that everything adds up."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight.blame import blame
from cnn_from_scratch.insight.explain import explain
from cnn_from_scratch.insight.trace import trace
from cnn_from_scratch.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    Identity,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    PReLU,
    ReflectionPad2d,
    ReLU,
    ReLU6,
    ReplicationPad2d,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)

C, H, W = 4, 7, 6
IMAGE = (C, H, W)

SIMPLE = [
    (GlobalAvgPool2d(), IMAGE),
    (GlobalMaxPool2d(), IMAGE),
    (Linear(6, 3), (6,)),
    (Linear(6, 3, bias=False), (5, 6)),
    (Flatten(), IMAGE),
    (Flatten(2), IMAGE),
    (Identity(), IMAGE),
    (ReLU(), IMAGE),
    (ReLU6(), IMAGE),
    (LeakyReLU(0.2), IMAGE),
    (PReLU(), IMAGE),
    (PReLU(C), IMAGE),
    (ELU(0.5), IMAGE),
    (GELU(), IMAGE),
    (GELU("tanh"), (7,)),
    (SiLU(), IMAGE),
    (Sigmoid(), IMAGE),
    (Tanh(), IMAGE),
    (Softplus(2.0), IMAGE),
    (Softplus(5.0, threshold=1.0), (7,)),
    (Softmax(), (7,)),
    (Softmax(1), IMAGE),
    (LogSoftmax(-3), IMAGE),
    (LogSoftmax(), (1,)),
    (BatchNorm1d(7), (7,)),
    (BatchNorm1d(3, affine=False), (3, 5)),
    (BatchNorm2d(C), IMAGE),
    (BatchNorm2d(C, track_running_stats=False), IMAGE),
    (LayerNorm(IMAGE), IMAGE),
    (LayerNorm(7, bias=False), (7,)),
    (LayerNorm((H, W), elementwise_affine=False), IMAGE),
    (GroupNorm(2, C), IMAGE),
    (GroupNorm(C, C, affine=False), IMAGE),
    (Dropout(0.4), IMAGE),
    (ZeroPad2d((1, 0, 2, 3)), IMAGE),
    (ReflectionPad2d(2), IMAGE),
    (ReplicationPad2d(((1, 0), (2, 3))), IMAGE),
    (Upsample(scale_factor=(2, 3)), IMAGE),
]
"""Layers with the shape of an example, one of each kind that has no window to choose; windows are drawn at random."""


def pairs(low, high):
    numbers = st.integers(low, high)
    return st.one_of(numbers, st.tuples(numbers, numbers))


def paddings(most):
    sides = st.integers(0, most)
    return st.one_of(
        st.sampled_from(["same", "valid"]), sides, st.tuples(st.tuples(sides, sides), st.tuples(sides, sides))
    )


@st.composite
def convolutions(draw):
    groups = draw(st.sampled_from([1, 2, 4]))
    return Conv2d(
        C,
        draw(st.integers(1, 2)) * groups,
        draw(pairs(1, 3)),
        draw(pairs(1, 4)),
        draw(paddings(3)),
        draw(pairs(1, 2)),
        groups,
        draw(st.booleans()),
        rng=0,
    )


@st.composite
def transposed_convolutions(draw):
    groups, stride = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 3))
    sides = st.integers(0, 2)
    return ConvTranspose2d(
        C,
        draw(st.integers(1, 2)) * groups,
        draw(pairs(1, 3)),
        stride,
        draw(st.one_of(sides, st.tuples(st.tuples(sides, sides), st.tuples(sides, sides)))),
        draw(st.integers(0, stride - 1)),
        groups,
        draw(st.booleans()),
        draw(st.integers(1, 2)),
        rng=0,
    )


@st.composite
def pools(draw):
    kind = draw(st.sampled_from(["max", "avg", "adaptive avg", "adaptive max"]))
    if kind.startswith("adaptive"):
        size = (draw(st.sampled_from([1, 2, 3, 5, None])), draw(st.sampled_from([1, 3, 4, 6])))
        return (AdaptiveAvgPool2d if kind.endswith("avg") else AdaptiveMaxPool2d)(size)
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.one_of(st.just("same"), st.just(tuple((draw(st.integers(0, k // 2)), k // 2) for k in kernel))))
    stride, ceil_mode = draw(st.one_of(st.none(), pairs(1, 4))), draw(st.booleans())
    if kind == "max":
        return MaxPool2d(kernel, stride, padding, draw(pairs(1, 2)), ceil_mode=ceil_mode)
    return AvgPool2d(kernel, stride, padding, ceil_mode, draw(st.booleans()))


def networks(seed):
    """Models in which everything meets, for images of 1x10x9."""
    rng = np.random.default_rng(seed)
    body = {"conv1": Conv2d(4, 4, 3, padding=1, groups=2), "bn1": BatchNorm2d(4), "act": SiLU()}
    named_as_torchvision = Residual(
        Sequential({"conv1": Conv2d(4, 6, 3, 2, 1), "relu": ReLU(), "conv2": Conv2d(6, 6, 3, padding=2, dilation=2)}),
        Sequential(Conv2d(4, 6, 1, 2)),
        body_name="",
        shortcut_name="downsample",
    )
    model = Sequential(
        {
            "stem": Conv2d(1, 4, 3, padding=((1, 0), (2, 1))),
            "residual": Residual(Sequential(body)),
            "concat": Concat(Conv2d(4, 2, 1), Sequential(AvgPool2d(3, 1, 1), Conv2d(4, 2, (1, 3), padding=(0, 1)))),
            "block": named_as_torchvision,
            "norm": GroupNorm(2, 6),
            "pool": MaxPool2d(2, ceil_mode=True),
            "up": ConvTranspose2d(6, 4, 3, 2, 1, 1),
            "drop": Dropout(0.3),
            "global": AdaptiveAvgPool2d(2),
            "flat": Flatten(),
            "head": Linear(16, 5),
        }
    ).initialize(seed)
    for name, array in (model.params | model.buffers).items():
        if array.dtype.kind == "f" and array.ndim == 1:
            array[...] = rng.uniform(0.5, 1.5, array.shape) if name.endswith(("weight", "var")) else rng.normal(0, 0.3)
    return model


@st.composite
def models(draw):
    """A chain of up to five random layers, branches among them, for images of 2x9x8, with a head of three classes."""
    shape, layers = (2, 9, 8), []
    for _ in range(draw(st.integers(1, 5))):
        layer = draw(st.sampled_from(ANY))(draw, shape[0])
        try:
            after = layer.output_shape(shape)
        except ShapeError:
            continue
        if max(after[1:]) <= 14:
            layers.append(layer)
            shape = after
    return Sequential(*layers, Flatten(), Linear(math.prod(shape), 3)).initialize(draw(st.integers(0, 99)))


def _same(C):
    return Conv2d(C, C, 3, padding=1)


ANY = [
    lambda draw, C: Conv2d(C, 4, draw(pairs(1, 3)), draw(pairs(1, 2)), draw(paddings(2)), groups=2),
    lambda draw, C: ConvTranspose2d(C, 2, draw(pairs(1, 3)), 2, 1, 1, groups=2),
    lambda draw, C: draw(pools()),
    lambda draw, C: BatchNorm2d(C),
    lambda draw, C: GroupNorm(2, C),
    lambda draw, C: draw(st.sampled_from([ReLU, SiLU, ELU, Tanh, Dropout]))(),
    lambda draw, C: Residual(Sequential(_same(C), ReLU()), Conv2d(C, C, 1)),
    lambda draw, C: Residual(Sequential({"conv": _same(C)}), body_name=""),
    lambda draw, C: Concat(Conv2d(C, 2, 3, padding="same"), Sequential(MaxPool2d(3, 1, 1), Conv2d(C, 2, 1))),
    lambda draw, C: ZeroPad2d((0, 1, 2, 0)),
    lambda draw, C: Upsample(scale_factor=(1, 2)),
]
"""Ways to draw a layer for images of C channels, an even number, which give an even number again."""


def traced(layer, input_shape, seed, *, count=2, dtype=np.float64, train=True):
    """The trace of "layer", with random parameters, input and incoming gradient.

    What follows it does nothing, but has a parameter: a model without any computes in float32.
    """
    rng = np.random.default_rng(seed)
    model = Sequential({"layer": layer, "same": PReLU(init=1.0)}).astype(dtype)
    for array in layer.params.values():
        array[...] = rng.standard_normal(array.shape)
    x = rng.standard_normal((count, *input_shape)).astype(dtype)
    y = 9 * rng.standard_normal((count, *layer.output_shape(input_shape))).astype(dtype)
    seen = trace(model, x, y, loss="mse", train=train, seed=seed)
    assert {seen["layer"].output.dtype, seen["layer"].dx.dtype} == {np.dtype(dtype)}
    return seen


def everything(seen, key, rng, count):
    """Some of all that can be asked of one layer."""
    entry = seen[key]

    def somewhere(shape):
        return tuple(int(rng.integers(size)) for size in shape)

    for _ in range(count):
        if entry.output.size:
            yield explain(seen, key, somewhere(entry.output.shape))
        yield blame(seen, key, input=somewhere(entry.input.shape))
        for name, array in entry.params.items():
            if name in ("weight", "bias"):
                yield blame(seen, key, **{name: somewhere(array.shape)})


def assert_adds_up(found):
    """The amounts are what they say, products, and their sum is the number, within what rounding may do."""
    constant = found.constant or 0.0
    assert found.total == math.fsum([constant, *found.amounts])
    assert found.adds_up, f"{found}\n{found.value - found.total} of {found.bound}"
    scale = max(found.terms.scale, found.parts.scale or 0) + abs(constant)
    if found.dtype == np.float64:
        assert abs(found.value - found.total) <= 1e-12 * scale, str(found)
    with np.errstate(invalid="ignore"):
        products = np.prod(list(found.terms.factors.values()), axis=0)
    np.testing.assert_array_equal(np.where(np.isfinite(products), products, 0), found.amounts)
