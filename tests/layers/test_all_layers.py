"""What every layer must do, asked of every layer: shapes, dtypes, memory order, gradients, and no memory of its own."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest
from ladder import assert_gradients_match, layouts, spaced

import cnn_from_scratch.layers as room
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Container,
    Context,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Graph,
    GroupNorm,
    Identity,
    Layer,
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
from cnn_from_scratch.ops import is_hwnc, to_hwnc
from cnn_from_scratch.randomness import Place

IMAGE = (4, 6, 5)


class Row(NamedTuple):
    layer: Layer
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    text: str
    params: tuple[str, ...] = ()


WEIGHT = ("weight",)
BOTH = ("weight", "bias")
TABLE = [
    Row(Conv2d(4, 6, 3, rng=0), IMAGE, (6, 4, 3), "Conv2d(4, 6, 3)", BOTH),
    Row(
        Conv2d(4, 6, (3, 1), 2, (1, 0), 1, 2, False, rng=0),
        IMAGE,
        (6, 3, 3),
        "Conv2d(4, 6, (3, 1), stride=2, padding=(1, 0), groups=2, bias=False)",
        WEIGHT,
    ),
    Row(
        Conv2d(4, 2, 3, padding="same", weight_init="he_normal", algorithm="im2col", rng=0),
        IMAGE,
        (2, 6, 5),
        "Conv2d(4, 2, 3, padding='same', weight_init='he_normal', algorithm='im2col')",
        BOTH,
    ),
    Row(
        ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, rng=0),
        IMAGE,
        (6, 12, 10),
        "ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)",
        BOTH,
    ),
    Row(
        ConvTranspose2d(4, 6, (1, 2), bias=False, dilation=2, padding=((0, 0), (0, 1)), rng=0),
        IMAGE,
        (6, 6, 6),
        "ConvTranspose2d(4, 6, (1, 2), padding=((0, 0), (0, 1)), bias=False, dilation=2)",
        WEIGHT,
    ),
    Row(Linear(5, 3, rng=0), (5,), (3,), "Linear(5, 3)", BOTH),
    Row(Linear(5, 3, False, rng=0), (2, 5), (2, 3), "Linear(5, 3, bias=False)", WEIGHT),
    Row(MaxPool2d(2), IMAGE, (4, 3, 2), "MaxPool2d(2)"),
    Row(MaxPool2d(3, 2, 1, ceil_mode=True), IMAGE, (4, 4, 3), "MaxPool2d(3, stride=2, padding=1, ceil_mode=True)"),
    Row(MaxPool2d(2, 1, 0, 2), IMAGE, (4, 4, 3), "MaxPool2d(2, stride=1, dilation=2)"),
    Row(AvgPool2d((2, 1)), IMAGE, (4, 3, 5), "AvgPool2d((2, 1))"),
    Row(
        AvgPool2d(3, 2, 1, False, False),
        IMAGE,
        (4, 3, 3),
        "AvgPool2d(3, stride=2, padding=1, count_include_pad=False)",
    ),
    Row(AdaptiveAvgPool2d((4, None)), IMAGE, (4, 4, 5), "AdaptiveAvgPool2d((4, None))"),
    Row(AdaptiveMaxPool2d(2), IMAGE, (4, 2, 2), "AdaptiveMaxPool2d(2)"),
    Row(GlobalAvgPool2d(), IMAGE, (4, 1, 1), "GlobalAvgPool2d()"),
    Row(GlobalMaxPool2d(), IMAGE, (4, 1, 1), "GlobalMaxPool2d()"),
    Row(Flatten(), IMAGE, (120,), "Flatten()"),
    Row(Flatten(2), IMAGE, (4, 30), "Flatten(start_dim=2)"),
    Row(Flatten(1, -2), IMAGE, (24, 5), "Flatten(end_dim=-2)"),
    Row(Identity(), IMAGE, IMAGE, "Identity()"),
    Row(ReLU(), IMAGE, IMAGE, "ReLU()"),
    Row(ReLU6(), IMAGE, IMAGE, "ReLU6()"),
    Row(LeakyReLU(0.2), IMAGE, IMAGE, "LeakyReLU(negative_slope=0.2)"),
    Row(PReLU(), IMAGE, IMAGE, "PReLU()", WEIGHT),
    Row(PReLU(4, init=0.5), IMAGE, IMAGE, "PReLU(num_parameters=4, init=0.5)", WEIGHT),
    Row(ELU(0.5), IMAGE, IMAGE, "ELU(alpha=0.5)"),
    Row(GELU(), IMAGE, IMAGE, "GELU()"),
    Row(GELU("tanh"), (7,), (7,), "GELU(approximate='tanh')"),
    Row(SiLU(), IMAGE, IMAGE, "SiLU()"),
    Row(Sigmoid(), IMAGE, IMAGE, "Sigmoid()"),
    Row(Tanh(), IMAGE, IMAGE, "Tanh()"),
    Row(Softplus(2.0), IMAGE, IMAGE, "Softplus(beta=2.0)"),
    Row(Softmax(), (7,), (7,), "Softmax()"),
    Row(Softmax(1), IMAGE, IMAGE, "Softmax(dim=1)"),
    Row(LogSoftmax(-3), IMAGE, IMAGE, "LogSoftmax(dim=-3)"),
    Row(BatchNorm1d(7), (7,), (7,), "BatchNorm1d(7)", BOTH),
    Row(BatchNorm1d(3, affine=False), (3, 5), (3, 5), "BatchNorm1d(3, affine=False)"),
    Row(BatchNorm2d(4), IMAGE, IMAGE, "BatchNorm2d(4)", BOTH),
    Row(
        BatchNorm2d(4, 1e-3, None, track_running_stats=False),
        IMAGE,
        IMAGE,
        "BatchNorm2d(4, eps=0.001, momentum=None, track_running_stats=False)",
        BOTH,
    ),
    Row(LayerNorm(IMAGE), IMAGE, IMAGE, "LayerNorm((4, 6, 5))", BOTH),
    Row(LayerNorm(7, bias=False), (7,), (7,), "LayerNorm(7, bias=False)", WEIGHT),
    Row(LayerNorm([6, 5], elementwise_affine=False), IMAGE, IMAGE, "LayerNorm([6, 5], elementwise_affine=False)"),
    Row(GroupNorm(2, 4), IMAGE, IMAGE, "GroupNorm(2, 4)", BOTH),
    Row(GroupNorm(4, 4, affine=False), IMAGE, IMAGE, "GroupNorm(4, 4, affine=False)"),
    Row(Dropout(), IMAGE, IMAGE, "Dropout()"),
    Row(Dropout(0.1), (7,), (7,), "Dropout(p=0.1)"),
    Row(ZeroPad2d((1, 0, 2, 3)), IMAGE, (4, 11, 6), "ZeroPad2d((1, 0, 2, 3))"),
    Row(ReflectionPad2d(2), IMAGE, (4, 10, 9), "ReflectionPad2d(2)"),
    Row(ReplicationPad2d(((1, 0), (2, 3))), IMAGE, (4, 7, 10), "ReplicationPad2d(((1, 0), (2, 3)))"),
    Row(Upsample(scale_factor=(2, 3)), IMAGE, (4, 12, 15), "Upsample(scale_factor=(2, 3))"),
]
each_layer = pytest.mark.parametrize("row", TABLE, ids=[row.text for row in TABLE])
IMAGES = [row for row in TABLE if len(row.input_shape) == 3]
TRAIN = Context(train=True, rng=Place(seed=3), key="layer")


def example(row: Row, count: int, dtype: type = np.float32) -> np.ndarray:
    """Distinct numbers in no order, read-only."""
    x = spaced((count, *row.input_shape), np.random.default_rng(0), gap=0.01).astype(dtype)
    x.flags.writeable = False
    return x


def test_the_table_is_complete():
    base = (Layer, Container, Sequential, Residual, Concat, Graph)
    offered = [value for value in (getattr(room, name) for name in room.__all__) if isinstance(value, type)]
    layers = {cls for cls in offered if issubclass(cls, Layer) and cls not in base}
    assert layers == {type(row.layer) for row in TABLE}
    assert len(layers) >= 30


@each_layer
def test_prints_as_it_is_written(row):
    assert repr(row.layer) == row.text


@each_layer
def test_config_makes_it_again(row):
    again = type(row.layer)(**row.layer.config())
    assert repr(again) == row.text
    assert again.output_shape(row.input_shape) == row.output_shape
    assert {k: v.shape for k, v in again.params.items()} == {k: v.shape for k, v in row.layer.params.items()}


@each_layer
def test_parameters_are_float32_by_name(row):
    assert tuple(row.layer.params) == row.params
    assert {array.dtype for array in row.layer.params.values()} <= {np.dtype(np.float32)}
    assert row.layer.trainable == set(row.params)


@each_layer
@pytest.mark.parametrize("count", [0, 1, 3])
def test_output_is_what_output_shape_says(row, count):
    assert row.layer.output_shape(row.input_shape) == row.output_shape
    y, cache = row.layer.forward(example(row, count), Context())
    assert y.shape == (count, *row.output_shape)
    assert y.dtype == np.float32
    dx, _ = row.layer.backward(np.ones_like(y), cache)
    assert dx.shape == (count, *row.input_shape)
    assert dx.dtype == np.float32


@each_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 3])
def test_training_keeps_dtype_and_keys(row, dtype, count):
    layer = copy.deepcopy(row.layer).astype(dtype)
    y, cache = layer.forward(example(row, count, dtype), TRAIN)
    dy = np.ones_like(y)
    dy.flags.writeable = False
    dx, grads = layer.backward(dy, cache)
    layer.commit(cache)
    assert {a.dtype for a in (y, dx, *grads.values(), *layer.params.values())} == {np.dtype(dtype)}
    assert {key: grad.shape for key, grad in grads.items()} == {k: v.shape for k, v in layer.params.items()}
    assert all(np.isfinite(a).all() for a in (y, dx, *grads.values()))


@pytest.mark.parametrize("row", IMAGES, ids=[row.text for row in IMAGES])
def test_results_lie_as_their_input_does(row):
    x = example(row, 3)
    expected, cache = row.layer.forward(x, TRAIN)
    dy = np.random.default_rng(1).standard_normal(expected.shape).astype(np.float32)
    expected_dx, expected_grads = row.layer.backward(dy, cache)
    y, cache = row.layer.forward(to_hwnc(x), TRAIN)
    dx, grads = row.layer.backward(to_hwnc(dy) if dy.ndim == 4 else dy, cache)
    assert not is_hwnc(expected_dx)
    assert is_hwnc(dx)
    assert dx.transpose(2, 3, 0, 1).flags.c_contiguous
    if y.ndim == 4:
        assert not is_hwnc(expected)
        assert y.transpose(2, 3, 0, 1).flags.c_contiguous
    else:
        assert y.flags.c_contiguous
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-4, atol=1e-5)
    for key in expected_grads:
        np.testing.assert_allclose(grads[key], expected_grads[key], rtol=1e-4, atol=1e-4)


@pytest.mark.fault("odd-arrays")
@each_layer
def test_any_layout_gives_the_same_result(row):
    layer = copy.deepcopy(row.layer).astype(np.float64)
    x = example(row, 3, np.float64)
    expected, cache = layer.forward(x, TRAIN)
    dy = np.random.default_rng(1).standard_normal(expected.shape)
    expected_dx, expected_grads = layer.backward(dy, cache)
    for (label, images), (_, upstream) in zip(layouts(x), layouts(dy), strict=False):
        y, cache = layer.forward(images, TRAIN)
        dx, grads = layer.backward(upstream, cache)
        np.testing.assert_allclose(y, expected, atol=1e-12, err_msg=label)
        np.testing.assert_allclose(dx, expected_dx, atol=1e-12, err_msg=label)
        for key, grad in grads.items():
            np.testing.assert_allclose(grad, expected_grads[key], atol=1e-11, err_msg=label)
        assert {array.dtype for array in (y, dx, *grads.values())} == {np.dtype(np.float64)}, label


@each_layer
def test_gradients_by_finite_differences(row):
    layer = copy.deepcopy(row.layer).astype(np.float64)
    rng = np.random.default_rng(2)
    x = spaced((3, *row.input_shape), rng, gap=0.01)

    def forward(x, **params):
        changed = copy.deepcopy(layer)
        for key, value in params.items():
            changed.params[key][...] = value
        return changed.forward(x, TRAIN)[0]

    y, cache = layer.forward(x, TRAIN)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(dy, cache)
    assert_gradients_match(forward, {"x": x, **layer.params}, {"x": dx, **grads}, dy, rtol=1e-5)


@each_layer
def test_without_dx(row):
    y, cache = row.layer.forward(example(row, 3), TRAIN)
    with_dx = row.layer.backward(np.ones_like(y), cache)[1]
    _, grads = row.layer.backward(np.ones_like(y), cache, need_dx=False)
    assert grads.keys() == with_dx.keys()
    for key in grads:
        np.testing.assert_array_equal(grads[key], with_dx[key])


@each_layer
def test_holds_no_activation(row):
    def contents(layer):
        return {name: (id(value), copy.deepcopy(value)) for name, value in vars(layer).items()}

    before = contents(row.layer)
    y, cache = row.layer.forward(example(row, 3), TRAIN)
    row.layer.backward(np.ones_like(y), cache)
    after = contents(row.layer)
    assert before.keys() == after.keys()
    for name, (identity, value) in before.items():
        assert after[name][0] == identity
        np.testing.assert_equal(after[name][1], value)


@pytest.mark.fault("wrong-dtype")
@each_layer
def test_integers_are_refused(row):
    with pytest.raises(TypeError, match=r"^[a-z]\w+_forward: x has dtype uint8; expected float32 or float64"):
        row.layer.forward(np.ones((3, *row.input_shape), np.uint8), TRAIN)


@each_layer
def test_initialize_starts_anew_in_place(row):
    layer = copy.deepcopy(row.layer)
    arrays = layer.params | layer.buffers
    start = {key: array.copy() for key, array in layer.initialize(5).params.items()}
    buffers = {key: array.copy() for key, array in layer.buffers.items()}
    for array in arrays.values():
        array[...] = 77
    layer.initialize(5)
    for key, array in (layer.params | layer.buffers).items():
        assert array is arrays[key]
        np.testing.assert_array_equal(array, (start | buffers)[key])


# --- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(
    ("layer", "input_shape", "message"),
    [
        (Conv2d(3, 8, 3), (4, 6, 6), "Conv2d: expects 3 channels, got 4"),
        (Conv2d(3, 8, 3), (3, 6), "Conv2d: an example must have 3 axes (C, H, W), got (3, 6)"),
        (
            Conv2d(3, 8, 5),
            (3, 6, 4),
            "Conv2d: the kernel does not fit: width 4 padded by 0 and 0 is 4, "
            "but kernel 5 with dilation 1 reaches over 5",
        ),
        (ConvTranspose2d(3, 8, 3), (4, 6, 6), "ConvTranspose2d: expects 3 channels, got 4"),
        (ConvTranspose2d(3, 8, 3, padding=3), (3, 4, 6), "ConvTranspose2d: padding=3 leaves nothing of (3, 4, 6)"),
        (Linear(5, 3), (6,), "Linear: the last axis must have 5 features, got (6,)"),
        (Linear(5, 3), (), "Linear: the last axis must have 5 features, got ()"),
        (
            MaxPool2d(4),
            (3, 3, 6),
            "MaxPool2d: the kernel does not fit: height 3 padded by 0 and 0 is 3, "
            "but kernel 4 with dilation 1 reaches over 4",
        ),
        (MaxPool2d(2), (6,), "MaxPool2d: an example must have 3 axes (C, H, W), got (6,)"),
        (
            AvgPool2d(4),
            (3, 3, 6),
            "AvgPool2d: the kernel does not fit: height 3 padded by 0 and 0 is 3, "
            "but kernel 4 with dilation 1 reaches over 4",
        ),
        (AdaptiveAvgPool2d(2), (6,), "AdaptiveAvgPool2d: an example must have 3 axes (C, H, W), got (6,)"),
        (GlobalMaxPool2d(), (3, 0, 6), "GlobalMaxPool2d: an example must have at least one pixel, got (3, 0, 6)"),
        (
            Flatten(3),
            (3, 6),
            "Flatten: axes 3 to -1 of an example (3, 6) and its batch axis 0 are no run of axes after the batch",
        ),
        (PReLU(4), (3, 6, 6), "PReLU: expects 4 channels, got (3, 6, 6)"),
        (Softmax(2), (7,), "Softmax: examples (7,) have no axis 2 behind the batch"),
        (Softmax(-2), (7,), "Softmax: examples (7,) have no axis -2 behind the batch"),
        (BatchNorm2d(4), (3, 6, 6), "BatchNorm2d: expects 4 channels, got 3"),
        (BatchNorm2d(4), (4,), "BatchNorm2d: an example must be (C, H, W), got (4,)"),
        (BatchNorm1d(4), (4, 6, 6), "BatchNorm1d: an example must be (C,) or (C, L), got (4, 6, 6)"),
        (LayerNorm((6, 6)), (4, 6, 5), "LayerNorm: an example must end in (6, 6), got (4, 6, 5)"),
        (GroupNorm(2, 4), (6, 6, 6), "GroupNorm: expects 4 channels, got (6, 6, 6)"),
        (ZeroPad2d(1), (6,), "ZeroPad2d: an example must have 3 axes (C, H, W), got (6,)"),
        (
            ReflectionPad2d((1, 2, 3, 0)),
            (3, 3, 3),
            "ReflectionPad2d: padding=(1, 2, 3, 0) needs images of at least 4 x 3, got (3, 3, 3)",
        ),
        (Upsample(scale_factor=2), (6,), "Upsample: an example must have 3 axes (C, H, W), got (6,)"),
    ],
)
def test_shapes_that_do_not_fit(layer, input_shape, message):
    with pytest.raises(ShapeError) as caught:
        layer.output_shape(input_shape)
    assert str(caught.value) == message
    with pytest.raises(ShapeError):
        layer.forward(np.ones((2, *input_shape), np.float32), Context())


@pytest.mark.fault("bad-settings", "bad-geometry")
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2d(0, 8, 3), ShapeError, "Conv2d: in_channels must be an int >= 1, got 0"),
        (lambda: Conv2d(3, True, 3), ShapeError, "Conv2d: out_channels must be an int >= 1, got True"),
        (
            lambda: Conv2d(3, 8, 3, groups=2),
            ShapeError,
            "Conv2d: groups=2 must divide in_channels=3 and out_channels=8",
        ),
        (
            lambda: Conv2d(3, 8, 3, weight_init="zeros"),
            ValueError,
            "Conv2d: weight_init must be one of pytorch, he_normal, he_uniform, glorot_normal, glorot_uniform, "
            "lecun_normal, lecun_uniform, orthogonal, dirac, got 'zeros'",
        ),
        (
            lambda: Conv2d(3, 8, 3, stride=0),
            ShapeError,
            "Conv2d: stride must be an int >= 1 or a pair of them, got 0",
        ),
        (lambda: ConvTranspose2d(3, 2.0, 3), ShapeError, "ConvTranspose2d: out_channels must be an int >= 1, got 2.0"),
        (
            lambda: ConvTranspose2d(3, 8, 3, groups=2),
            ShapeError,
            "ConvTranspose2d: groups=2 must divide in_channels=3 and out_channels=8",
        ),
        (
            lambda: ConvTranspose2d(3, 8, 3, stride=2, output_padding=2),
            ShapeError,
            "ConvTranspose2d: output_padding must be smaller than stride or dilation, "
            "got output_padding=2 for stride=2, dilation=1",
        ),
        (
            lambda: ConvTranspose2d(3, 8, 3, padding="same"),
            ShapeError,
            "ConvTranspose2d: padding must be an int >= 0, a pair (PH, PW) or ((top, bottom), (left, right)), "
            "got 'same'",
        ),
        (lambda: Linear(3, -1), ShapeError, "Linear: out_features must be an int >= 1, got -1"),
        (
            lambda: MaxPool2d(3, padding=2),
            ShapeError,
            "MaxPool2d: padding must be at most half of the kernel, got padding=2 for kernel_size=3",
        ),
        (
            lambda: AvgPool2d((2, 1), padding=(1, 1)),
            ShapeError,
            "AvgPool2d: padding must be at most half of the kernel, got padding=(1, 1) for kernel_size=(2, 1)",
        ),
        (lambda: MaxPool2d(0), ShapeError, "MaxPool2d: kernel_size must be an int >= 1 or a pair of them, got 0"),
        (
            lambda: AdaptiveAvgPool2d(0),
            ShapeError,
            "AdaptiveAvgPool2d: output_size must be an int >= 1, None or a pair of them, got 0",
        ),
        (
            lambda: AdaptiveMaxPool2d((1, 2, 3)),
            ShapeError,
            "AdaptiveMaxPool2d: output_size must be an int >= 1, None or a pair of them, got (1, 2, 3)",
        ),
        (lambda: Flatten(0), ShapeError, "Flatten: start_dim must not be 0, for axis 0 is the batch"),
        (lambda: PReLU(0), ShapeError, "PReLU: num_parameters must be an int >= 1, got 0"),
        (lambda: PReLU(2, init="a"), TypeError, "PReLU: init must be a number, got 'a'"),
        (lambda: LeakyReLU("a"), TypeError, "LeakyReLU: negative_slope must be a number, got 'a'"),
        (lambda: LeakyReLU(True), TypeError, "LeakyReLU: negative_slope must be a number, got True"),
        (lambda: ELU(None), TypeError, "ELU: alpha must be a number, got None"),
        (lambda: Softplus("a"), TypeError, "Softplus: beta must be a number, got 'a'"),
        (lambda: Softplus(1.0, None), TypeError, "Softplus: threshold must be a number, got None"),
        (lambda: BatchNorm2d(4, eps="a"), TypeError, "BatchNorm2d: eps must be a number, got 'a'"),
        (lambda: BatchNorm1d(4, momentum="a"), TypeError, "BatchNorm1d: momentum must be a number, got 'a'"),
        (lambda: LayerNorm(4, None), TypeError, "LayerNorm: eps must be a number, got None"),
        (lambda: GroupNorm(2, 4, "a"), TypeError, "GroupNorm: eps must be a number, got 'a'"),
        (lambda: GELU("erf"), ValueError, "GELU: approximate must be 'none' or 'tanh', got 'erf'"),
        (lambda: Softplus(0.0), ValueError, "Softplus: beta must be above 0, got 0.0"),
        (lambda: Softmax("C"), TypeError, "Softmax: dim must be an int, got 'C'"),
        (lambda: Dropout("half"), ValueError, "Dropout: p must be in [0, 1), got 'half'"),
        (lambda: Softmax(0), ShapeError, "Softmax: dim must not be 0, for axis 0 is the batch"),
        (lambda: BatchNorm2d(0), ShapeError, "BatchNorm2d: num_features must be an int >= 1, got 0"),
        (lambda: BatchNorm2d(4, eps=-1), ValueError, "BatchNorm2d: eps must be at least 0, got -1"),
        (
            lambda: BatchNorm1d(4, momentum=1.5),
            ValueError,
            "BatchNorm1d: momentum must be between 0 and 1, or None, got 1.5",
        ),
        (
            lambda: LayerNorm((4, 0)),
            ShapeError,
            "LayerNorm: normalized_shape must be an int >= 1 or several of them, got (4, 0)",
        ),
        (lambda: LayerNorm(4, eps=-1.0), ValueError, "LayerNorm: eps must be at least 0, got -1.0"),
        (lambda: GroupNorm(3, 4), ShapeError, "GroupNorm: num_groups=3 must divide num_channels=4"),
        (lambda: GroupNorm(0, 4), ShapeError, "GroupNorm: num_groups must be an int >= 1, got 0"),
        (lambda: GroupNorm(2, 4, eps=-1.0), ValueError, "GroupNorm: eps must be at least 0, got -1.0"),
        (lambda: Dropout(1.0), ValueError, "Dropout: p must be in [0, 1), got 1.0"),
        (
            lambda: ZeroPad2d((1, 2, 3)),
            ShapeError,
            "ZeroPad2d: padding must be an int >= 0, a pair (PH, PW) or ((top, bottom), (left, right)), got (1, 2, 3)",
        ),
        (
            lambda: Upsample(scale_factor=0),
            ShapeError,
            "Upsample: scale_factor must be an int >= 1 or a pair of them, got 0",
        ),
        (
            lambda: Upsample(scale_factor=2, mode="bilinear"),
            ValueError,
            "Upsample: mode must be 'nearest', got 'bilinear'",
        ),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_numpys_numbers_do_not_widen():
    for layer in (
        LeakyReLU(np.float64(0.5)),
        ELU(np.float64(0.5)),
        Softplus(np.float64(2.0)),
        PReLU(1, np.float64(0.5)),
    ):
        assert "np." not in repr(layer)
        assert layer.predict(np.ones((1, 2), np.float32)).dtype == np.float32


@each_layer
def test_a_foreign_cache_is_refused(row):
    y, cache = row.layer.forward(example(row, 3), TRAIN)
    if cache is None:
        return
    message = r"^(\w+)_backward: cache must come from \1_forward, got NoneType$"
    with pytest.raises(TypeError, match=message):
        row.layer.backward(np.ones_like(y), None)
    with pytest.raises(TypeError, match=message.replace("NoneType", "tuple")):
        row.layer.backward(np.ones_like(y), tuple(cache))


def test_sizes_may_be_numpys_numbers():
    layer = Conv2d(np.int64(1), np.int32(2), 3)
    assert repr(layer) == "Conv2d(1, 2, 3)"
    assert type(layer.out_channels) is int
