"""training_steps: what `fit` does with a batch, for loops of one's own."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from ladder import assert_recycles

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential
from cnn_from_scratch.models import mnist_cnn
from cnn_from_scratch.optim import SGD, Adam
from cnn_from_scratch.training import fit, training_steps


def network(seed=0, dropout=0.3):
    """Every fused step, and Winograd's convolution."""
    return Sequential(
        Conv2d(3, 16, 3, padding=1),
        BatchNorm2d(16),
        ReLU(),
        MaxPool2d(2),
        Residual(Sequential(Conv2d(16, 16, 3, padding=1, bias=False), BatchNorm2d(16))),
        ReLU(),
        Conv2d(16, 16, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(dropout),
        Linear(64, 4),
    ).initialize(seed)


def batches(count=6, size=10, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((size, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, size)) for _ in range(count)]


def state(model):
    return {key: value.copy() for key, value in (model.params | model.buffers).items()}


def assert_same(a, b):
    for key, value in a.items():
        np.testing.assert_array_equal(b[key], value, err_msg=key)


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_the_same_seed_and_shards_give_the_same_bits(shards):
    results = []
    for _ in range(2):
        model = network()
        with training_steps(model, optimizer=Adam(lr=0.01), shards=shards, seed=4) as step:
            losses = [step(x, y).loss for x, y in batches()]
        results.append((losses, state(model)))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1])
    other = network()
    with training_steps(other, optimizer=Adam(lr=0.01), shards=shards, seed=5) as step:
        assert [step(x, y).loss for x, y in batches()] != results[0][0]


def test_shards_change_nothing_but_rounding():
    states = []
    for shards in (1, 3):
        model = network(dropout=0.0).astype(np.float64)
        with training_steps(model, optimizer=SGD(lr=0.1), shards=shards) as step:
            for x, y in batches(3):
                step(x, y)
        states.append(state(model))
    for key, value in states[0].items():
        np.testing.assert_allclose(states[1][key], value, rtol=1e-8, atol=1e-11, err_msg=key)


def test_fit_is_a_loop_of_such_steps():
    # one epoch, in order: the same batches, the same draws of dropout
    parts = batches(3)
    x, y = np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
    a, b = network(), network()
    fit(a, (x, y), epochs=1, batch_size=10, optimizer=SGD(lr=0.1), shuffle=False, seed=7, shards=2, progress=False)
    with training_steps(b, optimizer=SGD(lr=0.1), seed=7, shards=2) as step:
        for part in parts:
            step(*part)
    assert_same(state(a), state(b))


def test_results_stay_what_they_are_while_memory_is_used_again():
    model = mnist_cnn()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, 16)
    with training_steps(model, shards=2) as step:
        first = step(x, y)
        copies = {key: grad.copy() for key, grad in first.grads.items()}
        for _ in range(3):
            step(x, y)
        assert_same(copies, first.grads)


def test_a_steady_step_asks_for_no_fresh_memory():
    model = mnist_cnn()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, 32)
    with training_steps(model, shards=1) as step:
        step(x, y)
        assert_recycles(lambda: step(x, y), 1 << 20)  # the activations alone are more than 4 MiB


def test_it_leaves_no_thread_and_nothing_half_written():
    model = network()
    before = state(model)
    with pytest.raises(ShapeError, match="does not take"), training_steps(model, shards=2) as step:
        step(np.zeros((4, 5, 8, 8), np.float32), np.zeros(4, np.int64))
    with pytest.raises(FloatingPointError, match="at epoch 1, step 0"), training_steps(model, shards=2) as step:
        step(np.full((4, 3, 8, 8), np.nan, np.float32), np.zeros(4, np.int64))
    assert_same(before, state(model))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cnn-")]


def test_clipping_limits_what_the_optimizer_sees():
    (x, y), model = batches(1)[0], network()
    with training_steps(model, optimizer=SGD(lr=0.1), clip_norm=1e-3, shards=1) as step:
        grads = step(x, y).grads
    assert np.sqrt(sum(float((grad**2).sum()) for grad in grads.values())) == pytest.approx(1e-3, rel=1e-4)
