"""A trace is what happened, and looking changes nothing."""

from __future__ import annotations

import copy
import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layers.test_all_layers import TABLE, example
from random_models import kinds_met, kinds_offered, random_batch, random_model

from cnn_from_scratch.insight.trace import trace
from cnn_from_scratch.insight.trace_table import arrays_in
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Container,
    Context,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sequential,
)
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward, im2col, is_hwnc, to_hwnc
from cnn_from_scratch.optim import SGD, Adam, AdamW, ParamGroup, RMSprop
from cnn_from_scratch.randomness import Place
from cnn_from_scratch.training import training_steps
from cnn_from_scratch.training.losses import as_loss
from cnn_from_scratch.training.step import compute_gradients

RECTIFIERS = ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU")

seeds = st.integers(0, 2**32 - 1)


def contents(model):
    return {key: array.tobytes() for key, array in (model.params | model.buffers).items()}


def assert_bits(actual, expected):
    """The same numbers, NaN and the sign of 0 included."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert actual.tobytes() == expected.tobytes()


# --- by hand --------------------------------------------------------------------------------------------------------


def test_two_layers_by_hand():
    """x = (1, 2) -> (1*3 + 2*1, 1*1 - 2*2) = (5, -3) -> ReLU (5, 0); loss = (1^2 + 2^2) / 2 for the target (4, 2).

    dlogits = 2 * (1, -2) / 2 = (1, -2); ReLU lets (1, 0) pass; dweight = (1, 0)^T (1, 2); dx = (1, 0) weight = (3, 1).
    """
    model = Sequential({"map": Linear(2, 2, bias=False), "cut": ReLU()})
    model.params["map.weight"][...] = [[3, 1], [1, -2]]
    x, y = np.array([[1, 2]], np.float32), np.array([[4, 2]], np.float32)
    seen = trace(model, x, y, loss="mse", optimizer=SGD(0.1))
    assert list(seen.layers) == ["map", "cut"]
    assert seen.loss == 2.5
    assert (seen.loss_name, seen.train) == ("mse", False)
    np.testing.assert_array_equal(seen["map"].input, [[1, 2]])
    np.testing.assert_array_equal(seen["map"].output, [[5, -3]])
    np.testing.assert_array_equal(seen.logits, [[5, 0]])
    np.testing.assert_array_equal(seen.dlogits, [[1, -2]])
    np.testing.assert_array_equal(seen["cut"].dx, [[1, 0]])
    np.testing.assert_array_equal(seen["map"].grads["weight"], [[1, 2], [0, 0]])
    np.testing.assert_array_equal(seen["map"].dx, [[3, 1]])
    np.testing.assert_allclose(seen["map"].update["weight"], [[-0.1, -0.2], [0, 0]], rtol=1e-6)
    assert list(seen.grads) == list(seen.update) == ["map.weight"]


def test_without_targets_there_is_no_way_back():
    model, (x, _) = random_model(0), random_batch(0)
    seen = trace(model, x)
    assert (seen.y, seen.loss, seen.dlogits, seen.loss_name, seen.grads, seen.update) == (None, None, None, "", {}, {})
    for layer in seen.layers.values():
        assert (layer.dy, layer.dx, layer.grads, layer.update) == (None, None, {}, {})
    assert_bits(seen.logits, model.forward(x, Context())[0])


# --- looking changes nothing ----------------------------------------------------------------------------------------


def test_random_models_have_every_kind_of_layer():
    assert kinds_met() == kinds_offered()


@settings(max_examples=60, deadline=None)
@given(seed=seeds, train=st.booleans(), dtype=st.sampled_from([np.float32, np.float64]), order=st.sampled_from("CH"))
def test_outputs_and_gradients_are_those_without_a_trace(seed, train, dtype, order):
    model, (x, y) = random_model(seed, dtype), random_batch(seed, dtype=dtype)
    x = to_hwnc(x) if order == "H" else x
    place = Place(seed % 1000, epoch=1, step=3)
    logits, cache = model.forward(x, Context(train=train, rng=place if train else None))
    total, of_loss = cross_entropy_forward(logits, y, reduction="sum")
    dlogits = cross_entropy_backward(of_loss, 1 / len(y))
    dx, grads = model.backward(dlogits, cache)

    before = contents(model)
    seen = trace(model, x, y, train=train, seed=place)
    assert contents(model) == before
    assert_bits(seen.logits, logits)
    assert_bits(seen.dlogits, dlogits)
    assert seen.loss == float(total) / len(y)
    assert seen.grads.keys() == grads.keys()
    for key, grad in grads.items():
        assert_bits(seen.grads[key], grad)
    assert_bits(seen.dx, dx)
    assert seen["0"].dx is seen.dx

    again_logits, again_cache = model.forward(x, Context(train=train, rng=place if train else None))
    assert_bits(again_logits, logits)
    assert_bits(model.backward(dlogits, again_cache)[0], dx)


def on_a_kink(seen):
    """Whether a rectifier meets a number that is 0 but for rounding, which may then fall either way."""
    rectifiers = [layer.input for layer in seen.layers.values() if type(layer.layer).__name__ in RECTIFIERS]
    return any(((x != 0) & (np.abs(x) < 1e-12)).any() for x in rectifiers)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
@hypothesis.example(seed=486)  # padding and group norm, so that a ReLU meets 1e-17
def test_gradients_are_those_of_a_training_step(seed):
    """`fit` fuses layers and lays images out otherwise, so in float64 all but the last digits agree."""
    model, (x, y) = random_model(seed), random_batch(seed, count=6)
    place = Place(seed % 1000, epoch=2, step=5)
    step = compute_gradients(model, x, y, as_loss("cross_entropy"), place=place)
    seen = trace(model, x, y, train=True, seed=place)
    assert seen.loss == pytest.approx(step.loss, rel=1e-10)
    assert seen.grads.keys() == step.grads.keys()
    assume(not on_a_kink(seen))
    for key, grad in step.grads.items():
        np.testing.assert_allclose(seen.grads[key], grad, rtol=1e-6, atol=1e-9 * (1 + np.abs(grad).max()), err_msg=key)


def test_the_next_step_of_a_run_is_foreseen():
    model, (x, y) = random_model(7, kinds=("dropout", "conv", "batch norm", "residual")), random_batch(7)
    optimizer = Adam(0.01)
    with training_steps(model, optimizer=optimizer, shards=1, seed=9) as step:
        for number in range(4):
            seen = trace(model, x, y, optimizer=optimizer, train=True, seed=Place(9, epoch=1, step=number))
            before = {key: array.copy() for key, array in model.params.items()}
            result = step(x, y)
            assert seen.loss == pytest.approx(result.loss, rel=1e-10)
            for key, array in model.params.items():
                np.testing.assert_allclose(seen.grads[key], result.grads[key], rtol=1e-6, atol=1e-9, err_msg=key)
                large = np.abs(result.grads[key]) > 1e-6  # Adam makes much of gradients that are rounding alone
                np.testing.assert_allclose((before[key] + seen.update[key])[large], array[large], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("row", TABLE, ids=[row.text for row in TABLE])
@pytest.mark.parametrize("train", [False, True])
def test_every_layer_alone(row, train):
    layer, x = copy.deepcopy(row.layer), example(row, 3)
    place = Place(4)
    output, cache = layer.forward(x, Context(train=train, rng=place))
    target = np.zeros_like(output)
    seen = trace(layer, x, target, loss="mse", train=train, seed=4)
    assert list(seen.layers) == [""]
    alone = seen[""]
    assert_bits(alone.output, output)
    dx, grads = layer.backward(alone.dy, cache)
    assert_bits(alone.dx, dx)
    assert alone.grads.keys() == grads.keys() == layer.params.keys()
    for key, grad in grads.items():
        assert_bits(alone.grads[key], grad)
        assert_bits(alone.params[key], layer.params[key])
    assert type(alone.cache) is type(cache)
    again_dx, again_grads = layer.backward(alone.dy, alone.cache)
    assert_bits(again_dx, dx)
    for key, grad in grads.items():
        assert_bits(again_grads[key], grad)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, train=st.booleans())
def test_each_layers_backward_runs_again_on_what_was_kept(seed, train):
    model, (x, y) = random_model(seed), random_batch(seed)
    for key, layer in trace(model, x, y, train=train).layers.items():
        dx, grads = layer.layer.backward(layer.dy, layer.cache)
        assert_bits(np.ascontiguousarray(dx), layer.dx)
        if not isinstance(layer.layer, Container):
            assert grads.keys() == layer.grads.keys(), key
        for name, grad in grads.items():
            assert_bits(np.ascontiguousarray(grad), layer.grads[name])


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_one_array_is_kept_once():
    model = Sequential(Conv2d(1, 2, 3, rng=0), ReLU(), Flatten(), Linear(8, 3, rng=1))
    x, y = np.random.default_rng(0).random((2, 1, 4, 4), np.float32), np.array([0, 2])
    seen = trace(model, x, y)
    layers = list(seen.layers.values())
    assert layers[0].input is seen.x
    assert layers[-1].output is seen.logits
    assert layers[-1].dy is seen.dlogits
    for below, above in itertools.pairwise(layers):
        assert above.input is below.output
        assert below.dy is above.dx
    assert layers[0].cache.x is seen.x
    assert layers[0].cache.weight is layers[0].params["weight"] is seen.model.params["0.weight"]
    assert layers[1].cache.y is layers[1].output


def test_containers_have_records_of_their_own():
    body = Sequential(Conv2d(1, 1, 3, padding=1, rng=0), ReLU())
    model = Sequential({"block": Residual(body), "flat": Flatten(), "head": Linear(9, 2, rng=1)})
    x = np.random.default_rng(0).random((2, 1, 3, 3), np.float32)
    seen = trace(model, x, np.array([0, 1]), optimizer=SGD(1.0))
    assert list(seen.layers) == ["block.body.0", "block.body.1", "block.body", "block", "flat", "head"]
    block = seen["block"]
    np.testing.assert_array_equal(block.output, seen["block.body"].output + x)
    np.testing.assert_array_equal(block.dx, seen["block.body"].dx + block.dy)
    assert list(block.params) == list(block.grads) == list(block.update) == ["body.0.weight", "body.0.bias"]
    assert block.grads["body.0.weight"] is seen["block.body.0"].grads["weight"]
    assert block.cache.ctx.tap is None
    assert block.cache.caches[0] is seen["block.body"].cache
    assert list(seen.grads) == ["block.body.0.weight", "block.body.0.bias", "head.weight", "head.bias"]


@pytest.mark.parametrize("order", ["C", "H"])
def test_arrays_are_contiguous_read_only_and_of_nobody_else(order):
    model, (x, y) = random_model(1, np.float32, kinds=("conv", "batch norm", "residual", "max")), random_batch(1)
    x = (to_hwnc(x) if order == "H" else x).astype(np.float32)
    seen = trace(model, x, y, optimizer=Adam())
    theirs = [x, y, *model.params.values(), *model.buffers.values()]
    found = list(arrays_in((seen.x, seen.y, seen.logits, seen.dlogits, seen.dx, seen.layers)))
    assert len(found) > 50
    assert not any(array.flags.writeable for array in found)
    assert not any(np.shares_memory(array, other) for array in found for other in theirs)
    for layer in seen.layers.values():
        plain = [layer.input, layer.output, layer.dy, layer.dx]
        plain += [*layer.params.values(), *layer.grads.values(), *layer.update.values()]
        assert all(array.flags.c_contiguous for array in plain)
    assert is_hwnc(seen["0"].cache.x) == (order == "H")


def test_later_training_does_not_change_a_trace():
    model, (x, y) = random_model(2), random_batch(2)
    x = x.copy()
    seen = trace(model, x, y)
    before, bits = contents(seen.model), seen.logits.tobytes()
    for array in (*model.params.values(), *model.buffers.values(), x):
        array[...] = 7
    assert contents(seen.model) == before
    assert trace(seen.model, seen.x, y).logits.tobytes() == bits
    with pytest.raises(ValueError, match="read-only"):
        next(iter(seen.model.params.values()))[...] = 0


class _WritesIntoItsInput(Layer):
    """Against the rules."""

    def forward(self, x, ctx):
        x *= 2
        return x, None

    def backward(self, dy, cache, *, need_dx=True):
        return dy * 2, {}


def test_a_layer_that_writes_into_its_input_is_seen_doing_it():
    seen = trace(Sequential(Linear(1, 1, rng=0), _WritesIntoItsInput()), np.ones((1, 1), np.float32))
    np.testing.assert_array_equal(seen["1"].output, 2 * seen["0"].output)
    np.testing.assert_array_equal(seen["1"].input, 2 * seen["0"].output)


def test_networks_that_have_blown_up():
    model, (x, y) = random_model(3, np.float32), random_batch(3, dtype=np.float32)
    model.params[list(model.params)[-1]][...] = np.nan
    seen = trace(model, x, y, optimizer=Adam())
    assert np.isnan(seen.loss)
    assert "nan" in str(seen)
    assert np.isnan(seen.table().norm_dy).any()


def test_batches_of_nothing():
    model = random_model(4, kinds=("conv", "relu", "max", "batch norm"))
    x, y = random_batch(4, count=0)
    seen = trace(model, x)
    assert seen.logits.shape == (0, 5)
    assert np.isnan(seen.table()["mean"]).all()
    with pytest.raises(ValueError, match="trace: the mean of the loss cross_entropy over no example is undefined"):
        trace(model, x, y)


# --- dropout, batch norm, frozen layers -----------------------------------------------------------------------------


def test_training_and_evaluation_are_two_functions():
    model = Sequential(BatchNorm2d(1), Flatten(), Dropout(0.5), Linear(4, 2, rng=0))
    x = np.random.default_rng(0).random((8, 1, 2, 2), np.float32)
    seen, trained = trace(model, x), trace(model, x, train=True, seed=1)
    np.testing.assert_allclose(seen["0"].output, x / np.sqrt(1 + 1e-5), rtol=1e-6)
    assert seen["2"].output is seen["1"].output
    assert abs(trained["0"].output.mean()) < 1e-6
    np.testing.assert_array_equal(trained["2"].output != 0, trained["2"].cache.keep)
    assert trained["2"].output.tobytes() == trace(model, x, train=True, seed=1)["2"].output.tobytes()
    assert trained["2"].output.tobytes() != trace(model, x, train=True, seed=2)["2"].output.tobytes()
    assert trained["2"].output.tobytes() == trace(model, x, train=True, seed=Place(1))["2"].output.tobytes()


def test_frozen_parameters_learn_nothing():
    model = Sequential(Linear(2, 2, rng=0), Linear(2, 2, rng=1)).freeze("0.*")
    seen = trace(model, np.ones((1, 2), np.float32), np.array([0]), optimizer=SGD(1.0))
    assert list(seen.grads) == list(seen.update) == ["1.weight", "1.bias"]
    assert seen["0"].dx is not None
    assert seen["0"].update == {}


# --- the update -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(0.1),
        lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda: Adam(0.01, amsgrad=True),
        lambda: AdamW(0.01, groups=[ParamGroup("*.bias", weight_decay=0.0)]),
        lambda: RMSprop(0.01, momentum=0.5, centered=True),
    ],
)
def test_the_update_is_what_the_next_step_adds(make):
    model, (x, y), optimizer = random_model(5), random_batch(5), make()
    for _ in range(3):  # moments are no longer 0
        optimizer.step(model.params, trace(model, x, y).grads)
    state, before, settings_before = optimizer.state_dict(), contents(model), repr(optimizer)
    seen = trace(model, x, y, optimizer=optimizer)
    assert contents(model) == before
    assert repr(optimizer) == settings_before
    for key, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, state[key])
    assert optimizer.state_dict().keys() == state.keys()
    old = {key: array.copy() for key, array in model.params.items()}
    optimizer.step(model.params, seen.grads)
    assert seen.update.keys() == model.params.keys()
    for key, array in model.params.items():
        np.testing.assert_array_equal(seen.update[key], array - old[key])


# --- columns --------------------------------------------------------------------------------------------------------


def test_columns_times_filters_is_the_output():
    model = Sequential(ReLU(), Conv2d(4, 6, (3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), groups=2, rng=0))
    x = np.random.default_rng(0).standard_normal((2, 4, 7, 5)).astype(np.float32)
    seen = trace(model, x)
    cols = seen.columns("1")
    assert cols.flags.c_contiguous
    expected = im2col(np.maximum(x, 0), (3, 2), stride=(2, 1), padding=((1, 0), (0, 2)))
    np.testing.assert_array_equal(cols, expected)
    layer = seen["1"]
    rows = layer.params["weight"].reshape(2, 3, 12)
    y = np.einsum("gfk,ngko->ngfo", rows, cols.reshape(2, 2, 12, -1)).reshape(layer.output.shape)
    np.testing.assert_allclose(y + layer.params["bias"][:, None, None], layer.output, rtol=1e-4, atol=1e-5)


# --- what goes wrong is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: trace(ReLU(), np.zeros((1, 2), np.uint8)),
            TypeError,
            "trace: x has dtype uint8; expected floating numbers "
            "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)",
        ),
        (
            lambda: trace(ReLU(), np.zeros((1, 2), np.float32), [0]),
            TypeError,
            "trace: y must be a NumPy array, got list",
        ),
        (
            lambda: trace(ReLU(), np.zeros((1, 2), np.float32), np.array([0]), loss="hinge"),
            ValueError,
            "loss must be one of cross_entropy, binary_cross_entropy, mse, l1, huber or a (forward, backward) pair, "
            "got 'hinge'",
        ),
        (
            lambda: trace(ReLU(), np.zeros((1, 2), np.float32), optimizer=SGD(0.1)),
            ValueError,
            "trace: an optimizer needs gradients, and these need targets; give y",
        ),
        (
            lambda: trace(ReLU(), np.zeros((1, 2), np.float32), np.array([0]), optimizer="sgd"),
            TypeError,
            "trace: optimizer must be an Optimizer, got 'sgd'",
        ),
        (
            lambda: trace(ReLU(), np.zeros((1, 2), np.float32))["0"],
            KeyError,
            "trace: no layer '0'; the keys are ''",
        ),
        (
            lambda: trace(ReLU(), np.zeros((1, 2), np.float32)).columns(""),
            TypeError,
            "columns: layer '' = ReLU() is no convolution, so it has no columns",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert caught.value.args[0] == message


def test_repr_is_short():
    model, (x, y) = random_model(0), random_batch(0)
    count = len(trace(model, x).layers)
    assert repr(trace(model, x)) == f"Trace({count} layers, x (4, 2, 7, 6), no loss, train=False)"
    assert repr(trace(model, x, y, train=True)).endswith(", train=True)")
