"""Layers that know whether they are trained: batch norm and dropout; and flatten, which knows how its input lay."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.layers import BatchNorm1d, BatchNorm2d, Context, Dropout, Flatten, Sequential
from cnn_from_scratch.ops import is_hwnc, to_hwnc
from cnn_from_scratch.parallel import open_group, shard_slices
from cnn_from_scratch.randomness import Place

X = np.random.default_rng(0).standard_normal((6, 3, 4, 5)).astype(np.float32) * 3 + 2
TRAIN = Context(train=True, rng=Place(seed=1))


def batch_mean(x):
    return x.mean((0, 2, 3))


# --- batch norm -----------------------------------------------------------------------------------------------------


def test_training_normalizes_by_the_batch_and_evaluation_by_what_was_remembered():
    layer = BatchNorm2d(3, momentum=1.0)
    y, cache = layer.forward(X, TRAIN)
    np.testing.assert_allclose(batch_mean(y), 0, atol=1e-5)
    np.testing.assert_array_equal(layer.forward(X, Context())[0], X / np.float32(np.sqrt(1 + 1e-5)))  # nothing yet
    layer.commit(cache)
    np.testing.assert_allclose(layer.buffers["running_mean"], batch_mean(X), rtol=1e-5)
    np.testing.assert_allclose(layer.buffers["running_var"], X.var((0, 2, 3), ddof=1), rtol=1e-5)
    np.testing.assert_allclose(layer.predict(X), y, atol=0.02)  # n and n - 1 differ by 1 %


def test_commit_writes_in_place_and_counts():
    layer = BatchNorm2d(3)
    buffers = dict(layer.buffers)
    for _ in range(3):
        layer.commit(layer.forward(X, TRAIN)[1])
    assert all(layer.buffers[key] is array for key, array in buffers.items())
    assert layer.buffers["num_batches_tracked"] == 3
    assert layer.buffers["num_batches_tracked"].dtype == np.int64
    assert layer.buffers["num_batches_tracked"].shape == ()
    np.testing.assert_allclose(layer.buffers["running_mean"], batch_mean(X) * (1 - 0.9**3), rtol=1e-5)


def test_without_momentum_the_running_mean_is_that_of_all_batches():
    layer = BatchNorm2d(3, momentum=None)
    for batch in (X[:2], X[2:4], X[4:]):
        layer.commit(layer.forward(batch, TRAIN)[1])
    np.testing.assert_allclose(layer.buffers["running_mean"], batch_mean(X), rtol=1e-5)


def test_without_running_statistics_evaluation_takes_those_of_its_batch():
    layer = BatchNorm2d(3, track_running_stats=False)
    assert layer.buffers == {}
    y, cache = layer.forward(X, Context())
    np.testing.assert_array_equal(y, layer.forward(X, TRAIN)[0])
    layer.commit(cache)
    assert layer.buffers == {}


def test_without_affine_there_is_nothing_to_learn():
    layer = BatchNorm1d(3, affine=False)
    y, cache = layer.forward(X[:, :, 0, 0], TRAIN)
    dx, grads = layer.backward(np.ones_like(y), cache)
    assert grads == {}
    np.testing.assert_allclose(dx, 0, atol=1e-6)  # a shift of all rows changes nothing
    assert not layer.freeze("num_batches_tracked")._is_frozen()


@pytest.mark.parametrize("patterns", [("*",), ("weight", "bias"), ("running_mean",)])
def test_frozen_stays_in_evaluation(patterns):
    model = Sequential(BatchNorm2d(3)).freeze(*(f"0.{pattern}" for pattern in patterns))
    y, cache = model.forward(X, TRAIN)
    np.testing.assert_array_equal(y, model.forward(X, Context())[0])
    model.commit(cache)
    np.testing.assert_array_equal(model.buffers["0.running_mean"], 0)
    assert model.buffers["0.num_batches_tracked"] == 0


@pytest.mark.parametrize("pattern", ["weight", "bias", "running_var"])
def test_half_frozen_goes_on_normalizing_by_the_batch(pattern):
    layer = BatchNorm2d(3).freeze(pattern)
    np.testing.assert_array_equal(layer.forward(X, TRAIN)[0], BatchNorm2d(3).forward(X, TRAIN)[0])


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_shards_normalize_by_the_whole_batch(shards):
    layer = BatchNorm2d(3).astype(np.float64)
    x = X.astype(np.float64)
    dy = np.random.default_rng(1).standard_normal(x.shape)
    expected, cache = layer.forward(x, TRAIN)
    expected_dx, expected_grads = layer.backward(dy, cache)

    def run(member):
        part = shard_slices(len(x), member.size)[member.rank]  # with 8 shards, two of them are empty
        y, cache = layer.forward(x[part], TRAIN._replace(group=member))
        return y, *layer.backward(dy[part], cache), cache

    with open_group(shards) as group:
        ys, dxs, grads, caches = zip(*group.run(run), strict=True)
    np.testing.assert_allclose(np.concatenate(ys), expected, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(dxs), expected_dx, atol=1e-12)
    for key, grad in expected_grads.items():
        np.testing.assert_allclose(sum(g[key] for g in grads), grad, atol=1e-12)
    for own in caches:
        np.testing.assert_allclose(own.running_var, cache.running_var, atol=1e-12)


def test_one_value_per_channel_cannot_be_trained_on():
    layer = BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than one value per channel"):
        layer.forward(np.ones((1, 3), np.float32), TRAIN)
    assert layer.predict(np.ones((1, 3), np.float32)).shape == (1, 3)


# --- dropout --------------------------------------------------------------------------------------------------------


def test_dropout_drops_a_share_and_keeps_the_mean():
    x = np.ones((50, 400), np.float32)
    y, cache = Dropout(0.3).forward(x, TRAIN)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.02)
    dx, grads = Dropout(0.3).backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(dx, y)  # the same numbers are dropped on the way back
    assert grads == {}


def test_dropout_does_nothing_in_evaluation_and_asks_for_no_randomness():
    for layer, ctx in ((Dropout(0.5), Context()), (Dropout(0.0), Context(train=True))):
        y, cache = layer.forward(X, ctx)
        np.testing.assert_array_equal(y, X)
        np.testing.assert_array_equal(layer.backward(X, cache)[0], X)


def test_dropout_in_training_says_what_it_needs():
    with pytest.raises(ValueError, match="needs random numbers") as caught:
        Dropout().forward(X, Context(train=True, key="head.drop"))
    assert str(caught.value) == (
        "Context: layer 'head.drop' needs random numbers for dropout; "
        "give the context a place to derive them from, as in Context(train=True, rng=Place(seed=0))"
    )


def test_dropout_is_the_same_in_any_memory_order():
    y, _ = Dropout().forward(X, TRAIN)
    np.testing.assert_array_equal(Dropout().forward(to_hwnc(X), TRAIN)[0], y)


# --- flatten --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc, lambda x: x[::-1], lambda x: x[:, :, ::2]])
def test_flatten_reads_channels_then_rows_then_columns(order):
    x = order(np.arange(120.0).reshape(2, 3, 4, 5))
    y, cache = Flatten().forward(x, Context())
    np.testing.assert_array_equal(y, np.ascontiguousarray(x).reshape(2, -1))
    assert y.flags.c_contiguous
    dx, _ = Flatten().backward(y, cache)
    np.testing.assert_array_equal(dx, x)
    assert is_hwnc(dx) == is_hwnc(x)


def test_flatten_keeps_nothing_of_its_input():
    _, cache = Flatten().forward(X, Context())
    assert cache == ((6, 3, 4, 5), False)


@pytest.mark.parametrize(
    ("start", "end", "flat"), [(1, -1, (60,)), (2, 3, (3, 20)), (-2, -1, (3, 20)), (1, 2, (12, 5))]
)
def test_flatten_joins_any_run_of_axes(start, end, flat):
    layer = Flatten(start, end)
    assert layer.output_shape((3, 4, 5)) == flat
    y, cache = layer.forward(X, Context())
    np.testing.assert_array_equal(y, X.reshape(6, *flat))
    np.testing.assert_array_equal(layer.backward(y, cache)[0], X)


@pytest.mark.parametrize(("start", "end"), [(-4, -1), (1, 0), (1, 4), (-5, 2), (3, 2)])
def test_flatten_leaves_the_batch_alone(start, end):
    with pytest.raises(ValueError, match="are no run of axes after the batch"):
        Flatten(start, end).output_shape((3, 4, 5))
