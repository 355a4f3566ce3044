"""float16 in every operation: computed in float32, back as float16, and infinite only where the result is."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from cnn_from_scratch import ops

pytestmark = pytest.mark.fault("wrong-dtype")
RNG = np.random.default_rng(0)


def numbers(*shape, scale=1.0):
    return (scale * RNG.standard_normal(shape)).astype(np.float16)


X, W, B = numbers(2, 4, 6, 6), numbers(4, 4, 3, 3, scale=0.2), numbers(4)
ROWS = numbers(3, 5)
ONES, ZEROS = np.ones(4, np.float16), np.zeros(4, np.float16)
CALLS = {
    "conv": lambda f: f(X, W, B, padding=1),
    "conv_transpose": lambda f: f(X, W, B, stride=2),
    "linear": lambda f: f(ROWS, numbers(2, 5), numbers(2)),
    "max_pool": lambda f: f(X, 2),
    "avg_pool": lambda f: f(X, 2),
    "adaptive_avg_pool": lambda f: f(X, 2),
    "adaptive_max_pool": lambda f: f(X, 2),
    "pad": lambda f: f(X, ((1, 1), (0, 2))),
    "upsample": lambda f: f(X, 2),
    "prelu": lambda f: f(X, B),
    "batch_norm": lambda f: f(X, ONES, ZEROS, ZEROS, ONES, train=True),
    "layer_norm": lambda f: f(ROWS, None, None, normalized_shape=5),
    "group_norm": lambda f: f(X, ONES, ZEROS, num_groups=2),
    "dropout": lambda f: f(X, p=0.5, train=True, rng=np.random.default_rng(0)),
    "cross_entropy": lambda f: f(ROWS, np.array([0, 4, 2])),
    "mse": lambda f: f(ROWS, ROWS / 2),
    "l1": lambda f: f(ROWS, ROWS / 2),
    "huber": lambda f: f(ROWS, ROWS / 2),
    "binary_cross_entropy": lambda f: f(ROWS, (ROWS > 0).astype(np.float16)),
}
PLAIN = [
    "relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus", "softmax", "log_softmax",
    "global_avg_pool", "global_max_pool",
]  # fmt: skip
LOSSES = ("cross_entropy", "mse", "l1", "huber", "binary_cross_entropy")


def call(name, function):
    return CALLS[name](function) if name in CALLS else function(X)


def widened(function):
    """The same call with every float16 array as float32."""

    def call_it(*args, **kwargs):
        return function(
            *(a.astype(np.float32) if getattr(a, "dtype", None) == np.float16 else a for a in args), **kwargs
        )

    return call_it


@pytest.mark.parametrize("name", [*CALLS, *PLAIN])
def test_every_operation_computes_in_float32_and_comes_back_as_float16(name):
    forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    state = RNG.bit_generator.state
    y, cache = call(name, forward)
    RNG.bit_generator.state = state  # the same numbers for arguments that are drawn
    wide, wide_cache = call(name, widened(forward))
    assert (y.dtype, wide.dtype) == (np.float16, np.float32)
    np.testing.assert_array_equal(y, wide.astype(np.float16))
    if name in LOSSES:
        found, expected = backward(cache), backward(wide_cache)
    else:
        dy = np.ones(y.shape, np.float16)
        found, expected = backward(dy, cache), backward(dy.astype(np.float32), wide_cache)
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    for half, single in pairs:
        if half is not None:
            assert half.dtype == np.float16
            np.testing.assert_array_equal(half, single.astype(np.float16))


def test_no_operation_is_left_out():
    """All that come in pairs, but for those that only fuse others or move numbers."""
    pairs = {name[:-8] for name in dir(ops) if name.endswith("_forward") and hasattr(ops, f"{name[:-8]}_backward")}
    fused = {name for name in pairs if "_relu" in name and name != "leaky_relu"} | {"conv_batch_norm"}
    assert pairs - fused <= set(CALLS) | set(PLAIN)


def test_a_result_is_infinite_only_where_it_is_beyond_65504():
    x = np.full((1, 1, 4, 4), 60000, np.float16)
    np.testing.assert_array_equal(
        ops.avg_pool_forward(x, 4)[0], np.float16(60000)
    )  # the sum is beyond, the mean is not
    np.testing.assert_array_equal(ops.global_avg_pool_forward(x)[0], np.float16(60000))
    weight = np.full((1, 1, 2, 2), 0.25, np.float16)
    np.testing.assert_array_equal(ops.conv_forward(x, weight)[0], np.float16(60000))
    assert np.isinf(ops.conv_forward(x, 2 * weight)[0]).all()
    small = np.array([[1e-7, -1e-7]], np.float16)  # a denormal of float16
    np.testing.assert_array_equal(ops.relu_forward(small)[0], [[small[0, 0], 0]])
    scores = np.array([[65504, -65504]], np.float16)
    np.testing.assert_array_equal(ops.softmax_forward(scores)[0], [[1, 0]])
    assert ops.mse_forward(np.array([200.0], np.float16), np.array([0.0], np.float16))[0] == 40000
    assert np.isinf(ops.mse_forward(np.array([300.0], np.float16), np.array([0.0], np.float16))[0])


@pytest.mark.parametrize("name", [*CALLS, *PLAIN])
def test_the_docstring_or_its_module_says_so(name):
    forward = getattr(ops, f"{name}_forward")
    words = f"{inspect.getdoc(forward)} {inspect.getmodule(forward).__doc__}"
    assert "float16" in words, f"{name}_forward does not say what it does with float16"
