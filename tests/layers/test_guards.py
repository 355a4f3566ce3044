"""Layers that are told nonsense refuse it by name, before any arithmetic, and nothing has changed."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nonsense import HUGE, arrays_of_all_kinds, settings_of_all_kinds

from cnn_from_scratch import layers
from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Context,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    MaxPool2d,
    PReLU,
    ReLU,
    Residual,
    Sequential,
)
from cnn_from_scratch.layers.predict import predict
from cnn_from_scratch.ops import checks

X = np.random.default_rng(0).standard_normal((2, 2, 6, 6)).astype(np.float32)
MADE = {
    "Conv2d": (2, 4, 3),
    "ConvTranspose2d": (2, 4, 3),
    "Linear": (6, 4),
    "MaxPool2d": (2,),
    "AvgPool2d": (2,),
    "AdaptiveAvgPool2d": (2,),
    "AdaptiveMaxPool2d": (2,),
    "BatchNorm1d": (3,),
    "BatchNorm2d": (2,),
    "LayerNorm": ((2, 6, 6),),
    "GroupNorm": (1, 2),
    "Dropout": (0.0,),
    "ZeroPad2d": (1,),
    "ReflectionPad2d": (1,),
    "Upsample": {"scale_factor": 2},
    **dict.fromkeys(("LeakyReLU", "PReLU", "ELU", "GELU", "Softplus", "Softmax", "LogSoftmax", "Flatten"), ()),
    **dict.fromkeys(("ReLU", "ReLU6", "Sigmoid", "SiLU", "Tanh", "GlobalAvgPool2d", "GlobalMaxPool2d", "Identity"), ()),
}
"""Arguments that each layer needs."""

SWITCHES = [
    (name, key)
    for name in MADE
    for key, parameter in inspect.signature(getattr(layers, name)).parameters.items()
    if isinstance(parameter.default, bool)
]
NUMBERS = [
    (name, key)
    for name in MADE
    for key, parameter in inspect.signature(getattr(layers, name)).parameters.items()
    if isinstance(parameter.default, float) and name != "Dropout"
]


def make(name, **changed):
    kind = getattr(layers, name)
    given = MADE[name]
    needed = given if isinstance(given, dict) else inspect.signature(kind).bind(*given).arguments
    return kind(**{**needed, **changed})


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(("name", "key"), SWITCHES)
def test_a_switch_is_true_or_false(name, key):
    for value in ("False", 0, 1, None, 1.0, [True], np.array([True, False])):
        with pytest.raises(TypeError) as caught:
            make(name, **{key: value})
        assert str(caught.value) == f"{name}: {key} must be True or False, got {value!r}"
    assert getattr(make(name, **{key: np.bool_(True)}), key) is True


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(("name", "key"), NUMBERS)
def test_a_number_is_one_and_finite(name, key):
    for value in ("0.1", True, 1j, (0.1,), np.array(0.1)):
        with pytest.raises(TypeError) as caught:
            make(name, **{key: value})
        assert str(caught.value) == f"{name}: {key} must be a number, got {value!r}"
    if key == "threshold":
        return
    for value in (np.inf, np.nan, 10**400):
        with pytest.raises(ValueError, match="must be finite") as caught:
            make(name, **{key: value})
        assert str(caught.value) == f"{name}: {key} must be finite, got {value!r}"


@pytest.mark.fault("bad-settings", "bad-geometry")
@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: Conv2d(2, 4, 3, weight_init=["he_normal"]), ValueError, None),
        (lambda: Linear(2, 4, weight_init={}), ValueError, None),
        (lambda: Conv2d(2, 4, 3, algorithm=None), ValueError, None),
        (
            lambda: Conv2d(2, 4, 3, rng="0"),
            ValueError,
            "Conv2d: rng must be None, a NumPy Generator or an integer >= 0, got '0'",
        ),
        (
            lambda: Linear(2, 4, rng=-1),
            ValueError,
            "Linear: rng must be None, a NumPy Generator or an integer >= 0, got -1",
        ),
        (lambda: Flatten("1"), TypeError, "Flatten: start_dim must be an int, got '1'"),
        (lambda: Flatten(1, None), TypeError, "Flatten: end_dim must be an int, got None"),
        (lambda: Residual(ReLU(), body_name=1), TypeError, "Residual: body_name must be a string, got 1"),
        (lambda: Sequential(ReLU()).astype("int8"), TypeError, "astype: dtype must be a dtype of floats, got 'int8'"),
        (
            lambda: Sequential(ReLU()).astype("nonsense"),
            TypeError,
            "astype: dtype must be a dtype of floats, got 'nonsense'",
        ),
        (lambda: Linear(2, 2).freeze(3), TypeError, "freeze: a pattern must be a string, got 3"),
        (lambda: Linear(2, 2).unfreeze(None), TypeError, "unfreeze: a pattern must be a string, got None"),
        (lambda: AdaptiveAvgPool2d((1, 2, 3)), ShapeError, None),
        (lambda: MaxPool2d(2, padding=2), ShapeError, None),
        (lambda: AvgPool2d(0), ShapeError, "AvgPool2d: kernel_size must be an int >= 1 or a pair of them, got 0"),
    ],
)
def test_arguments_of_the_wrong_kind(attempt, error, message):
    with pytest.raises(error, match=r"^\w+: ") as caught:
        attempt()
    assert type(caught.value) is error
    if message is not None:
        assert str(caught.value) == message


@pytest.mark.fault("absurd-memory")
@pytest.mark.parametrize(
    ("attempt", "shape"),
    [
        (lambda: Conv2d(10**6, 10**6, 99), (10**6, 10**6, 99, 99)),
        (lambda: ConvTranspose2d(HUGE[1], 1, 3), (HUGE[1], 1, 3, 3)),
        (lambda: Linear(10**9, 10**9), (10**9, 10**9)),
        (lambda: BatchNorm1d(10**15), (10**15,)),
        (lambda: BatchNorm2d(HUGE[1]), (HUGE[1],)),
        (lambda: LayerNorm((10**6, 10**9)), (10**6, 10**9)),
        (lambda: GroupNorm(1, 10**15), (10**15,)),
        (lambda: PReLU(10**15), (10**15,)),
    ],
)
def test_parameters_that_no_memory_holds_are_refused_before_they_are_made(attempt, shape, monkeypatch):
    monkeypatch.setattr(checks, "total_memory", lambda: 1 << 40)
    with pytest.raises(LimitError) as caught:
        attempt()
    told = rf"\w+: an array of shape {re.escape(str(shape))} would take [\d.e+]+ GiB; there are 1024\.0 GiB.*"
    assert re.fullmatch(told, str(caught.value)), str(caught.value)


def image_layers():
    return [name for name in MADE if name not in ("Linear", "BatchNorm1d")]


@pytest.mark.fault("wrong-dtype")
@pytest.mark.parametrize("name", [*image_layers(), "Sequential", "Concat", "Residual"])
@pytest.mark.parametrize("x", [[[1.0]], None, "x", 1.0], ids=["list", "None", "str", "float"])
def test_what_is_no_array_is_a_type_error(name, x):
    built = {"Sequential": lambda: Sequential(Conv2d(2, 4, 3), ReLU()), "Concat": lambda: Concat(ReLU(), ReLU())}
    layer = built.get(name, lambda: Residual(ReLU()) if name == "Residual" else make(name))()
    if name == "Identity":
        return
    with pytest.raises(TypeError, match=rf"^\w+: (x|a) must be a NumPy array, got {type(x).__name__}$"):
        layer.forward(x, Context())


class Forgetful(Layer):
    """Gives no dx."""

    def forward(self, x, ctx):
        return x, None

    def backward(self, dy, cache, *, need_dx=True):
        return None, {}


def test_a_layer_that_gives_no_gradient_is_found():
    model = Sequential(Linear(3, 3, rng=0), Forgetful())
    y, cache = model.forward(np.ones((2, 3), np.float32), Context(train=True))
    with pytest.raises(TypeError) as caught:
        model.backward(y, cache)
    assert str(caught.value) == "Linear: dy must be a NumPy array, got None; does the layer above give dx?"


@pytest.mark.fault("bad-settings", "wrong-dtype", "bad-geometry", "absurd-memory")
@pytest.mark.parametrize("name", MADE)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_a_layer_is_told_is_refused_by_name_or_works(name, data):
    keys = [k for k in inspect.signature(getattr(layers, name)).parameters if k not in ("layers",)]
    changed = {}
    if keys and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(keys))
        changed[key] = data.draw(settings_of_all_kinds, label=key)
    try:
        layer = make(name, **changed)
    except (TypeError, ValueError, MemoryError) as error:
        assert re.match(rf"{name}(\.__init__\(\)|:) ", str(error)), str(error)  # noqa: PT017
        return
    before = {k: v.copy() for k, v in (layer.params | layer.buffers).items()}
    x = data.draw(arrays_of_all_kinds(X), label="x")
    try:
        with np.errstate(all="ignore"):
            y, _ = layer.forward(x, Context(train=True, rng=None))
    except (TypeError, ValueError, MemoryError) as error:
        assert re.match(r"\w+: ", str(error)), str(error)  # noqa: PT017
    else:
        assert name == "Identity" or y.dtype == x.dtype.newbyteorder("=")
    for key, value in before.items():
        np.testing.assert_array_equal((layer.params | layer.buffers)[key], value)


@pytest.mark.fault("empty-batch")
@pytest.mark.parametrize("name", image_layers())
def test_a_batch_without_examples_gives_none(name):
    layer = make(name)
    y, cache = layer.forward(X[:0], Context(train=True))
    assert y.shape == (0, *layer.output_shape(X.shape[1:]))
    dx, grads = layer.backward(y, cache)
    assert dx.shape == (0, *X.shape[1:])
    assert all(not grad.any() for grad in grads.values())
    assert layer.predict(X[:0]).shape == y.shape


@pytest.mark.fault("one-value-a-channel")
def test_a_batch_norm_that_was_refused_remembers_nothing():
    layer = BatchNorm2d(2)
    before = {k: v.copy() for k, v in layer.buffers.items()}
    with pytest.raises(ValueError, match=r"^batch_norm_forward: training needs more than one value per channel, got x"):
        layer.forward(X[:1, :, :1, :1], Context(train=True))
    assert layer.predict(X[:1, :, :1, :1]).shape == (1, 2, 1, 1)
    for key, value in before.items():
        np.testing.assert_array_equal(layer.buffers[key], value)


@pytest.mark.parametrize("model", [None, "lenet", 3, np.ones(2), Sequential])
def test_a_model_is_a_layer(model):
    with pytest.raises(TypeError) as caught:
        predict(model, X)
    assert str(caught.value) == f"predict: model must be a Layer, such as a Sequential, got {model!r}"


def test_predict_looks_at_no_mask():
    with pytest.raises(
        TypeError, match=r"^predict: x is a masked array, and masks are not looked at; fill it, as in x"
    ):
        ReLU().predict(np.ma.masked_array(X))
