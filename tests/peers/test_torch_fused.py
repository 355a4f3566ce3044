"""Operations that do the work of several, beside PyTorch's several, live."""

from __future__ import annotations

import numpy as np
import pytest
from peers.compare import as_tensor, assert_near, assert_same_op, torch

from cnn_from_scratch import ops

F = torch.nn.functional


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bias_with_relu(dtype):
    vectors = {"x": normal(0, 3, 4, 5, 6), "bias": normal(1, 4)}
    assert_same_op("bias_relu", lambda x, bias: F.relu(x + bias[:, None, None]), vectors, dtype, scale=10.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_sum_of_two_branches_with_relu(dtype):
    # one gradient serves both summands
    a, b, dy = (normal(seed, 3, 4, 5, 6).astype(dtype) for seed in (0, 1, 2))
    y, cache = ops.add_relu_forward(a, b)
    tensors = as_tensor(a), as_tensor(b)
    expected = F.relu(tensors[0] + tensors[1])
    assert_near(y, expected)
    for answer in torch.autograd.grad(expected, tensors, torch.from_numpy(dy)):
        assert_near(ops.add_relu_backward(dy, cache), answer)


def batch_norm_of(x, running, weight, bias, train):
    return F.batch_norm(x, *running, weight, bias, training=train)


PEERS = {
    "conv_batch_norm": lambda y: y,
    "conv_batch_norm_relu": F.relu,
    "conv_batch_norm_relu_pool": lambda y: F.max_pool2d(F.relu(y), 2),
}


def statistics(F_):
    return normal(7, F_), np.random.default_rng(8).uniform(0.5, 2, F_)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", PEERS)
def test_convolution_with_batch_norm(name, train):
    mean, var = statistics(6)
    running = torch.tensor(mean), torch.tensor(var)
    inputs = {
        "x": normal(0, 4, 3, 9, 8),
        "weight": normal(1, 6, 3, 3, 3),
        "bias": normal(2, 6),
        "bn_weight": normal(3, 6),
        "bn_bias": normal(4, 6),
    }

    def peer(x, weight, bias, bn_weight, bn_bias):
        y = F.conv2d(x, weight, bias, padding=1)
        return PEERS[name](batch_norm_of(y, running, bn_weight, bn_bias, train))

    options = {"running_mean": mean, "running_var": var, "train": train, "padding": 1}
    _, cache, _ = assert_same_op(name, peer, inputs, np.float64, scale=100.0, **options)
    if train:
        assert_near(cache.norm.running_mean, running[0], "running_mean", scale=1.0)
        assert_near(cache.norm.running_var, running[1], "running_var", scale=1.0)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_with_relu(train):
    mean, var = statistics(4)
    running = torch.tensor(mean), torch.tensor(var)
    inputs = {"x": normal(0, 5, 4, 6, 5), "weight": normal(1, 4), "bias": normal(2, 4)}
    options = {"running_mean": mean, "running_var": var, "train": train}
    peer = lambda x, w, b: F.relu(batch_norm_of(x, running, w, b, train))  # noqa: E731
    _, cache, _ = assert_same_op("batch_norm_relu", peer, inputs, np.float64, scale=10.0, **options)
    if train:
        assert_near(cache.norm.running_var, running[1], "running_var")
