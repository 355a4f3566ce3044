"""Plans: every model and every layer compiles, and a plan gives what its model gives."""

from __future__ import annotations

import copy
import gc
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import layouts
from layers.test_all_layers import TABLE, Row

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Context,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Plan,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)
from cnn_from_scratch.layers.predict import predict
from cnn_from_scratch.models import IMAGENET_MODELS, MODELS
from cnn_from_scratch.parallel import default_shards

EXACT = 1e-12
"""float64: the same sums in another order, relative to the spread of the result."""

ROUNDED = 3e-5
"""float32: Winograd's F(4x4) rounds by up to 5e-5 of one layer's spread at worst and 2e-6 as a rule."""


def numbers(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def unsettled(model: Layer, dtype: type = np.float32) -> Layer:
    """A copy whose biases and batch norms do something."""
    model = copy.deepcopy(model).astype(dtype)
    rng = np.random.default_rng(1)
    for key, array in (model.params | model.buffers).items():
        if key.endswith(("bias", "running_mean")):
            array[...] = rng.standard_normal(array.shape) * 0.3
        elif key.endswith("running_var"):
            array[...] = rng.uniform(0.3, 2, array.shape)
    return model


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert found.flags.c_contiguous
    bound = EXACT if expected.dtype == np.float64 else ROUNDED
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * max(1.0, float(np.abs(expected).max(initial=0))))


# --- the same numbers -----------------------------------------------------------------------------------------------


def test_by_hand():
    # a convolution that adds up 2x2 pixels, minus 5, ReLU, and the largest of the 2x2 results:
    # 1 2 3      1+2+4+5 = 12  2+3+5+6 = 16
    # 4 5 6  ->  4+5+7+8 = 24  5+6+8+9 = 28  -> 28 - 5 = 23
    # 7 8 9
    model = Sequential(Conv2d(1, 1, 2), ReLU(), MaxPool2d(2))
    model.params["0.weight"] = np.ones((1, 1, 2, 2), np.float32)
    model.params["0.bias"] = np.array([-5], np.float32)
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)
    assert model.compile(x.shape)(x).tolist() == [[[[23.0]]]]


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(MODELS.keys() - IMAGENET_MODELS.keys()))
def test_every_model(name, dtype, count):
    model = unsettled(MODELS[name](), dtype)
    shape = {"digits_cnn": (1, 8, 8), "lenet5": (1, 28, 28), "mnist_cnn": (1, 28, 28)}.get(name, (3, 16, 12))
    x = numbers((count, *shape), dtype)
    assert_same(model.compile(x.shape)(x), model.predict(x))


@pytest.mark.parametrize("row", TABLE, ids=[row.text for row in TABLE])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_every_layer(row: Row, count):
    for dtype in (np.float32, np.float64):
        layer = unsettled(row.layer, dtype)
        x = numbers((count, *row.input_shape), dtype)
        expected = predict(layer, x, shards=1)  # one of them takes the statistics of its shard
        assert_same(layer.compile(x.shape)(x), expected)


def stack(*layers: Layer) -> Sequential:
    return Sequential(*layers).initialize(3)


NETS = {
    "tiles cut at the edges": (stack(Conv2d(16, 20, 3, padding=1), ReLU(), Conv2d(20, 16, 3)), (16, 9, 11)),
    "pool in tiles": (stack(Conv2d(16, 16, 3, padding=1), MaxPool2d(2), ReLU()), (16, 15, 10)),
    "small tiles": (stack(Conv2d(16, 16, 3, padding=1), ReLU(), MaxPool2d(2)), (16, 5, 2)),
    "wide padding": (stack(Conv2d(16, 16, 3, padding=2), Tanh()), (16, 7, 6)),
    "uneven padding": (stack(Conv2d(16, 16, 3, padding=((0, 1), (2, 0)))), (16, 7, 6)),
    "one pixel": (stack(Conv2d(16, 16, 3, padding=1)), (16, 1, 1)),
    "few channels": (stack(Conv2d(2, 5, 5, 2, 1), ReLU(), MaxPool2d(2)), (2, 11, 13)),
    "few channels after a layer": (stack(Tanh(), Conv2d(3, 4, 3, padding=1)), (3, 6, 5)),
    "spread kernel": (stack(Conv2d(6, 8, 3, 1, 2, 2), BatchNorm2d(8), ReLU()), (6, 9, 8)),
    "pointwise": (stack(Conv2d(6, 8, 1), ReLU(), Conv2d(8, 6, 1), MaxPool2d(2)), (6, 7, 7)),
    "pointwise with steps": (stack(Conv2d(6, 8, 1, 2), ReLU()), (6, 7, 7)),
    "groups": (stack(Conv2d(6, 9, 3, 1, 1, 1, 3), ReLU(), MaxPool2d(2)), (6, 7, 7)),
    "depthwise": (stack(Conv2d(6, 6, 3, 1, 1, 1, 6), BatchNorm2d(6), ReLU(), Conv2d(6, 8, 1)), (6, 7, 7)),
    "pool, then batch norm": (stack(Conv2d(3, 4, 3), MaxPool2d(2), BatchNorm2d(4), ReLU()), (3, 8, 8)),
    "larger pools": (stack(Conv2d(3, 4, 3), ReLU(), MaxPool2d(3, 2, 1), Conv2d(4, 4, 1), MaxPool2d(3, 2)), (3, 9, 9)),
    "batch norm first": (stack(BatchNorm2d(3), ReLU(), Conv2d(3, 4, 3)), (3, 8, 8)),
    "pools": (stack(MaxPool2d(3, 1), AvgPool2d((2, 3), (1, 2)), MaxPool2d((1, 2), 1), AvgPool2d(1)), (3, 9, 9)),
    "flatten of the input": (stack(Flatten(), Linear(24, 5), BatchNorm1d(5), ReLU()), (2, 3, 4)),
    "flatten at the end": (stack(Conv2d(2, 3, 3), ReLU(), Flatten()), (2, 5, 4)),
    "flatten before no linear": (stack(Conv2d(2, 3, 3), Flatten(), ReLU(), Linear(18, 4)), (2, 5, 4)),
    "flatten of few axes": (stack(Conv2d(2, 3, 3), Flatten(2), Linear(6, 4)), (2, 5, 4)),
    "a large linear layer": (stack(Linear(4096, 64), ReLU(), Linear(64, 4)), (4096,)),
    "nothing": (stack(Identity(), Dropout(0.9)), (3, 4, 4)),
    "nothing but containers": (stack(), (7,)),
    "residual": (stack(Residual(stack(Conv2d(3, 3, 3, padding=1), Sigmoid())), ReLU()), (3, 5, 4)),
    "residual of nothing": (stack(Residual(Identity()), Residual(Dropout(), Conv2d(3, 3, 1))), (3, 5, 4)),
    "flat residual": (stack(Residual(Linear(6, 6)), ReLU(), Residual(Linear(6, 2), Linear(6, 2))), (6,)),
    "the shortcut reads what batch norm reads": (
        stack(Conv2d(2, 4, 3, padding=1), Residual(stack(BatchNorm2d(4), ReLU(), Conv2d(4, 4, 3, padding=1)))),
        (2, 6, 6),
    ),
    "concat": (
        stack(Concat(Conv2d(3, 4, 1), stack(Conv2d(3, 5, 3, padding=1), ReLU()), Identity()), GlobalAvgPool2d()),
        (3, 6, 5),
    ),
    "flat concat": (stack(Concat(Linear(4, 2), Identity(), stack(ReLU(), Linear(4, 3))), Linear(9, 2)), (4,)),
    "two borders": (
        stack(Conv2d(3, 6, 3), Concat(Conv2d(6, 4, 5, padding=2), Conv2d(6, 4, 3, padding=1), MaxPool2d(1))),
        (3, 8, 9),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_what_can_stand_together(name):
    net, example = NETS[name]
    for count in (1, 5, 33):
        for dtype in (np.float32, np.float64):
            model = unsettled(net, dtype)
            x = numbers((count, *example), dtype)
            assert_same(model.compile(x.shape, shards=2 if count == 5 else None)(x), model.predict(x))


@st.composite
def convolutions(draw):
    """A convolution that fits its image, and perhaps a ReLU and a pool behind it."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels, filters = (groups * draw(st.sampled_from([1, 2, 4, 16])) for _ in range(2))
    kernel, dilation = (draw(st.tuples(*2 * [st.integers(1, most)])) for most in (4, 2))
    if draw(st.booleans()):
        kernel, dilation = (3, 3), (1, 1)
    stride = draw(st.sampled_from([1, 1, 1, 2, (1, 2), 3]))
    padding = draw(st.tuples(*2 * [st.tuples(*2 * [st.integers(0, 2)])]))
    size = tuple(
        draw(st.integers(max(1, d * (k - 1) + 1 - sum(sides)), 14))
        for k, d, sides in zip(kernel, dilation, padding, strict=True)
    )
    layers = [Conv2d(channels, filters, kernel, stride, padding, dilation, groups, draw(st.booleans()), rng=0)]
    layers += draw(st.lists(st.sampled_from([BatchNorm2d(filters), ReLU(), LeakyReLU()]), max_size=2, unique_by=type))
    if min(layers[0].output_shape((channels, *size))[1:]) >= 2 and draw(st.booleans()):
        layers.insert(draw(st.integers(1, len(layers))), MaxPool2d(2))
    return Sequential(*layers), (draw(st.sampled_from([1, 2, 7])), channels, *size)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_any_convolution(drawn):
    net, shape = drawn
    for dtype in (np.float32, np.float64):
        model = unsettled(net, dtype)
        x = numbers(shape, dtype)
        assert_same(model.compile(shape)(x), predict(model, x, shards=1))


@pytest.mark.fault("odd-arrays")
def test_any_float_and_any_layout():
    model = unsettled(MODELS["digits_cnn"]())
    x = numbers((3, 1, 8, 8))
    plan = model.compile(x.shape)
    expected = plan(x)
    for label, images in layouts(x):
        np.testing.assert_array_equal(plan(images), expected, err_msg=label)
    wide = plan(x.astype(np.float64))
    np.testing.assert_array_equal(wide, expected)
    assert wide.dtype == np.float32


# --- a plan stands alone --------------------------------------------------------------------------------------------


class Doubled(Layer):
    """A layer that a plan knows nothing of."""

    def __init__(self):
        super().__init__()
        self.params = {"weight": np.full(1, 2, np.float32)}

    def forward(self, x, ctx):
        return x * self.params["weight"] + x.mean(), None


@pytest.mark.parametrize(
    "model",
    [MODELS["digits_cnn"](), MODELS["mnist_cnn"](), MODELS["resnet20"](), Sequential(Doubled(), Conv2d(1, 4, 1))],
    ids=["digits_cnn", "mnist_cnn", "resnet20", "own layer"],
)
def test_training_the_model_does_not_change_it(model):
    model = unsettled(model)
    x = numbers((2, next(iter(model.params.values())).shape[1] if "conv1.weight" in model.params else 1, 28, 28))
    x = x[:, :, :8, :8] if "conv4.weight" in model.params else x
    plan = model.compile(x.shape)
    before = plan(x)
    for array in (model.params | model.buffers).values():
        array[...] = 7
    np.testing.assert_array_equal(plan(x), before)


def test_the_model_is_not_changed():
    model = unsettled(MODELS["resnet20"]())
    before = {key: array.copy() for key, array in (model.params | model.buffers).items()}
    x = numbers((2, 3, 8, 8))
    x.flags.writeable = False
    model.compile(x.shape)(x)
    np.testing.assert_equal(dict(model.params | model.buffers), before)


def test_results_are_arrays_of_their_own():
    model = unsettled(MODELS["digits_cnn"]())
    plan = model.compile((2, 1, 8, 8))
    first = plan(numbers((2, 1, 8, 8)))
    kept = first.copy()
    second = plan(numbers((2, 1, 8, 8), seed=1))
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, second)
    assert first.flags.owndata


def test_the_same_input_gives_the_same_bits():
    x = numbers((70, 1, 28, 28))
    plan = unsettled(MODELS["mnist_cnn"]()).compile(x.shape, shards=2)
    np.testing.assert_array_equal(plan(x), plan(x))
    np.testing.assert_array_equal(plan(x), unsettled(MODELS["mnist_cnn"]()).compile(x.shape, shards=2)(x))


@pytest.mark.parametrize("name", ["mnist_cnn", "resnet20", "vgg_small"])
def test_no_array_is_made_while_it_runs(name):
    shape = (8, 1, 28, 28) if name == "mnist_cnn" else (8, 3, 32, 32)
    calls = MODELS[name]().compile(shape, shards=1)._first_calls()
    x, y = numbers(shape), np.empty((8, 10), np.float32)
    calls.run(x, y)
    tracemalloc.start()
    calls.run(x, y)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy's iterators over strided arrays have buffers of 8192 numbers for each operand; activations are larger
    assert most < 1 << 17


def test_borders_stay_zero():
    model = unsettled(MODELS["resnet20"]())
    x = numbers((2, 3, 10, 10))
    plan = model.compile(x.shape)
    first = plan(x)
    plan(np.full_like(x, 1e3))
    np.testing.assert_array_equal(plan(x), first)


def test_not_a_number_stays_one():
    model = unsettled(MODELS["mnist_cnn"]())
    x = numbers((3, 1, 28, 28))
    plan = model.compile(x.shape)
    clean = plan(x)
    x[1, 0, 3, 3] = np.nan
    found = plan(x)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], clean[[0, 2]])


@pytest.mark.parametrize("count", [2, 40])
def test_from_eight_threads_at_once(count):
    model = unsettled(MODELS["digits_cnn"]())
    plan = model.compile((count, 1, 8, 8), shards=count // 20 + 1)
    inputs = [numbers((count, 1, 8, 8), seed=seed) for seed in range(8)]
    expected = [plan(x) for x in inputs]
    wrong = []

    def work(index):
        for _ in range(10):
            if not np.array_equal(plan(inputs[index]), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_its_threads_end_with_it():
    before = set(threading.enumerate())
    plan = MODELS["digits_cnn"]().compile((40, 1, 8, 8), shards=3)
    plan(numbers((40, 1, 8, 8)))
    workers = set(threading.enumerate()) - before
    assert len(workers) == 2
    del plan
    gc.collect()
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()


def test_an_error_in_a_layer_comes_out_and_the_plan_goes_on():
    def raise_once(x, out):
        if moods:
            moods.pop()
            raise ZeroDivisionError("in a shard")
        out[...] = x

    class Moody(Layer):
        def forward(self, x, ctx):
            y = np.empty_like(x)
            raise_once(x, y)
            return y, None

    moods = [True]
    plan = Sequential(Moody()).compile((4, 2), shards=2)
    with pytest.raises(ZeroDivisionError, match="in a shard"):
        plan(numbers((4, 2)))
    np.testing.assert_array_equal(plan(numbers((4, 2))), numbers((4, 2)))
    del plan
    gc.collect()  # the error holds the frames that it went through, and they the plan and its threads


# --- any number of examples -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [1, 4, 32, 100])
@pytest.mark.parametrize("count", [0, 1, 3, 33, 70])
def test_predict(N, count):
    model = unsettled(MODELS["digits_cnn"]())
    x = numbers((count, 1, 8, 8))
    plan = model.compile((N, 1, 8, 8), shards=2 if N > 4 else 1)
    found = plan.predict(x)
    assert_same(found, model.predict(x))
    np.testing.assert_array_equal(plan.predict(x), found)


def test_shards_come_with_work():
    assert MODELS["mnist_cnn"]().compile((1, 1, 28, 28)).shards == 1
    assert MODELS["mnist_cnn"]().compile((64, 1, 28, 28)).shards == default_shards()
    assert ReLU().compile((4, 3), shards=9).shards == 4


@pytest.mark.parametrize("count", [1, 3, 40])
def test_batches_that_must_not_be_cut(count):
    # statistics of the batch: an example's result depends on the others
    layer = BatchNorm2d(4, track_running_stats=False)
    x = numbers((count, 4, 3, 3))
    found = stack(layer, ReLU()).compile(x.shape, shards=1).predict(x)
    assert_same(found, np.maximum(layer.forward(x, Context())[0], 0))


# --- what it says ---------------------------------------------------------------------------------------------------


def test_what_is_printed():
    net = Sequential({"conv": Conv2d(1, 2, 3), "bn": BatchNorm2d(2), "relu": ReLU(), "flatten": Flatten()})
    plan = net.compile((2, 1, 4, 4))
    assert isinstance(plan, Plan)
    assert repr(plan).splitlines() == [
        "Plan of 4 calls for (2, 1, 4, 4) -> (2, 8), float32, 1 shard",
        "conv+bn+relu             copyto         (1, 3, 3, 2, 2, 2) -> (1, 3, 3, 2, 2, 2)",
        "conv+bn+relu             matmul         (8, 10), (10, 2) -> (8, 2)",
        "conv+bn+relu             maximum        (2, 2, 2, 2), (2, 2, 2, 2) -> (2, 2, 2, 2)",
        "conv+bn+relu             copyto         (2, 2, 2, 2) -> (2, 2, 2, 2)",
    ]
    assert plan.table()[1] == ("conv+bn+relu", "matmul", "(8, 10), (10, 2)", (8, 2))


def test_pieces_and_shards_are_printed():
    plan = Sequential(Doubled(), ReLU()).compile((70, 5), shards=2)
    assert str(plan).splitlines()[0] == "Plan of 2 calls for (70, 5) -> (70, 5), float32, 2 shards, 35 at a time"
    assert "forward_of     Doubled, (35, 5) -> (35, 5)" in str(plan)


NET = Sequential(Conv2d(2, 4, 3), Flatten(), Linear(36, 5)).initialize(0)
PLAN = NET.compile((4, 2, 5, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: PLAN(numbers((3, 2, 5, 5))),
            ShapeError,
            "plan: x must have shape (4, 2, 5, 5), got (3, 2, 5, 5); plan.predict takes any number of examples",
        ),
        (
            lambda: PLAN.predict(numbers((3, 2, 5, 6))),
            ShapeError,
            "plan.predict: x must have shape (any, 2, 5, 5), got (3, 2, 5, 6)",
        ),
        (
            lambda: PLAN(np.zeros((4, 2, 5, 5), np.uint8)),
            TypeError,
            "plan: x has dtype uint8; expected floating numbers "
            "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)",
        ),
        (lambda: PLAN([1.0]), TypeError, "plan: x must be a NumPy array, got list"),
        (lambda: PLAN.predict([1.0]), TypeError, "plan.predict: x must be a NumPy array, got list"),
        (
            lambda: NET.compile((4, 1, 5, 5)),
            ShapeError,
            "layer '0' = Conv2d(2, 4, 3) does not take (1, 5, 5): Conv2d: expects 2 channels, got 1",
        ),
        (
            lambda: NET.compile((0, 2, 5, 5)),
            ShapeError,
            "compile: batch_shape must be the shape of a batch, (N, C, H, W) or (N, features), got (0, 2, 5, 5)",
        ),
        (
            lambda: NET.compile(4),
            ShapeError,
            "compile: batch_shape must be the shape of a batch, (N, C, H, W) or (N, features), got 4",
        ),
        (lambda: NET.compile((4, 2, 5, 5), shards=0), ValueError, "compile: shards must be an int >= 1, got 0"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
