"""Losses number by number climb the ladder: by hand, by their definitions, by finite differences, by PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from ladder import Case, assert_forward, assert_gradient, assert_gradients_match, conformance, frozen, layouts, spaced

from cnn_from_scratch import ops
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import is_hwnc


class Loss(NamedTuple):
    """One loss as a table row: its options, its definition on one pair, and a case by hand."""

    name: str
    options: dict[str, Any]
    definition: Callable[[float, float], float]
    by_hand: tuple[tuple[float, float, float, float], ...]  # (prediction, target, loss, slope)

    def __str__(self):
        return "-".join([self.name, *(str(v) for v in self.options.values())])

    def forward(self, prediction, target, **reduction):
        return getattr(ops, f"{self.name}_forward")(prediction, target, **self.options, **reduction)

    def backward(self, cache, *dloss):
        return getattr(ops, f"{self.name}_backward")(cache, *dloss)


def huber(d: float, delta: float) -> float:
    return d * d / 2 if abs(d) <= delta else delta * (abs(d) - delta / 2)


def binary_cross_entropy(x: float, t: float) -> float:
    p = 1 / (1 + math.exp(-x))
    return -(t * math.log(p) + (1 - t) * math.log(1 - p))


LOG3 = math.log(3)
TABLE = [
    Loss("mse", {}, lambda x, t: (x - t) ** 2, ((3, 1, 4, 4), (1, 2, 1, -2), (5, 5, 0, 0))),
    Loss("l1", {}, lambda x, t: abs(x - t), ((3, 1, 2, 1), (1, 2, 1, -1), (5, 5, 0, 0))),
    # |d| = 2 is beyond delta = 1: 1 * (2 - 1/2); |d| = 1/2 is within: 1/8
    Loss("huber", {}, lambda x, t: huber(x - t, 1.0), ((3, 1, 1.5, 1), (1, 1.5, 0.125, -0.5), (1, 2, 0.5, -1))),
    # |d| = 4 is beyond delta = 3: 3 * (4 - 3/2)
    Loss("huber", {"delta": 3.0}, lambda x, t: huber(x - t, 3.0), ((1, 5, 7.5, -3), (3, 1, 2, 2))),
    # sigmoid(log 3) = 3/4: -log(3/4) for a one, -log(1/4) for a zero, and the slopes 3/4 - target
    Loss(
        "binary_cross_entropy",
        {},
        binary_cross_entropy,
        ((LOG3, 1, math.log(4 / 3), -0.25), (LOG3, 0, math.log(4), 0.75), (0, 0.5, math.log(2), 0)),
    ),
]
every_loss = pytest.mark.parametrize("loss", TABLE, ids=str)


@every_loss
def test_by_hand(loss):
    prediction, target, each, slope = np.array(loss.by_hand, float).T
    total, count = sum(each), len(each)
    for reduction, value, gradient in (
        ("none", each, slope),
        ("sum", total, slope),
        ("mean", total / count, slope / count),
    ):
        actual, cache = loss.forward(prediction, target, reduction=reduction)
        np.testing.assert_allclose(actual, value, rtol=1e-15)
        np.testing.assert_allclose(loss.backward(cache), gradient, rtol=1e-15)
        np.testing.assert_allclose(loss.backward(cache, 10), 10 * gradient, rtol=1e-15)
        assert cache.divisor == count
    assert isinstance(cache.divisor, float)


@every_loss
@settings(max_examples=30, deadline=None)
@given(shape=array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), seed=st.integers(0, 2**16))
def test_any_shape_follows_the_definition(loss, shape, seed):
    rng = np.random.default_rng(seed)
    prediction, target = frozen(np.asarray(rng.normal(0, 2, shape)), np.asarray(rng.random(shape)))
    each, cache = loss.forward(prediction, target, reduction="none")
    expected = [loss.definition(x, t) for x, t in zip(prediction.ravel(), target.ravel(), strict=True)]
    assert each.shape == loss.backward(cache).shape == shape
    np.testing.assert_allclose(np.ravel(each), expected, rtol=1e-12, atol=1e-14)
    total, cache = loss.forward(prediction, target, reduction="sum")
    np.testing.assert_allclose(total, sum(expected), rtol=1e-12)
    assert cache.divisor == prediction.size


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_by_finite_differences(loss, reduction):
    rng = np.random.default_rng(0)
    prediction = spaced((3, 4), rng, gap=0.3)  # differences keep away from 0, 1 and 3
    target = np.zeros((3, 4))
    value, cache = loss.forward(prediction, target, reduction=reduction)
    dloss = rng.standard_normal(np.shape(value))
    gradients = {"prediction": loss.backward(cache, dloss)}
    assert_gradients_match(
        lambda prediction: loss.forward(prediction, target, reduction=reduction)[0],
        {"prediction": prediction},
        gradients,
        dloss,
    )


NAMES = {
    "mse_loss": "mse",
    "l1_loss": "l1",
    "huber_loss": "huber",
    "binary_cross_entropy_with_logits": "binary_cross_entropy",
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("softmax_loss", *NAMES))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    name = NAMES[case.op]
    value, cache = getattr(ops, f"{name}_forward")(case["x"], case["target"], reduction=case.attrs["reduction"])
    assert value.dtype == dtype
    assert_forward(value, case["y"].reshape(value.shape))  # stored as (1,)
    gradient = getattr(ops, f"{name}_backward")(cache, case["dy"].reshape(value.shape))
    assert gradient.dtype == dtype
    assert_gradient(gradient, case["dx"])


@every_loss
def test_shards_that_sum_and_share_a_divisor_make_the_mean(loss):
    rng = np.random.default_rng(0)
    prediction, target = rng.standard_normal((7, 2)), rng.random((7, 2))
    mean, cache = loss.forward(prediction, target)
    gradient = loss.backward(cache)
    parts = [slice(0, 4), slice(4, 7), slice(7, 7)]  # the last shard is empty
    shards = [loss.forward(prediction[part], target[part], reduction="sum") for part in parts]
    divisor = sum(cache.divisor for _, cache in shards)
    np.testing.assert_allclose(sum(value for value, _ in shards) / divisor, mean, rtol=1e-14)
    pieces = [loss.backward(cache, 1 / divisor) for _, cache in shards]
    np.testing.assert_allclose(np.concatenate(pieces), gradient, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_cross_entropy_of_extreme_logits(dtype):
    # right and wrong by 1e4: the loss is 0 or 1e4, and nothing overflows
    x, t = np.array([1e4, -1e4, 1e4, -1e4], dtype), np.array([1, 0, 0, 1])
    each, cache = ops.binary_cross_entropy_forward(x, t, reduction="none")
    np.testing.assert_array_equal(each, [0, 0, 1e4, 1e4])
    np.testing.assert_array_equal(ops.binary_cross_entropy_backward(cache), [0, 0, 1, -1])


def test_float32_losses_are_added_up_in_float64():
    # 2**24 + 1 is no float32 number: added one by one in float32, the ones would be lost
    prediction = np.ones(65, np.float32)
    prediction[0] = 2**24
    assert prediction.sum() != 2**24 + 64
    total, _ = ops.l1_forward(prediction, np.zeros_like(prediction), reduction="sum")
    assert total == 2**24 + 64


@every_loss
def test_nan_reaches_the_loss(loss):
    value, cache = loss.forward(np.array([1.0, np.nan]), np.zeros(2))
    assert np.isnan(value)
    np.testing.assert_array_equal(np.isnan(loss.backward(cache)), [False, True])


@pytest.mark.fault("odd-arrays")
@every_loss
def test_any_layout_gives_the_same_result(loss):
    rng = np.random.default_rng(1)
    prediction, target, dloss = rng.standard_normal((2, 3, 4, 5)), rng.random((2, 3, 4, 5)), rng.random((2, 3, 4, 5))
    value, cache = loss.forward(prediction, target, reduction="none")
    expected = (value, loss.backward(cache, dloss))
    for (label, xs), (_, ts), (_, ds) in zip(layouts(prediction), layouts(target), layouts(dloss), strict=True):
        for other in (target, ts):
            value, cache = loss.forward(xs, other, reduction="none")
            gradient = loss.backward(cache, ds)
            for actual, wanted in zip((value, gradient), expected, strict=True):
                np.testing.assert_allclose(actual, wanted, rtol=1e-13, err_msg=label)
                assert actual.dtype == np.dtype(np.float64)
            assert is_hwnc(gradient) == is_hwnc(xs)


@pytest.mark.parametrize("target_dtype", [np.float32, np.float64, np.uint8, np.int64, np.bool_])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@every_loss
def test_dtype_in_is_dtype_out_whatever_the_targets_are(loss, reduction, dtype, target_dtype):
    prediction, target = np.linspace(-1, 1, 6, dtype=dtype), np.array([0, 1, 0, 1, 0, 1], target_dtype)
    loss = loss._replace(options={k: np.float64(v) for k, v in loss.options.items()})
    value, cache = loss.forward(prediction, target, reduction=reduction)
    assert isinstance(value, np.ndarray if reduction == "none" else dtype)
    assert value.dtype == loss.backward(cache, np.float64(2.0)).dtype == dtype
    assert loss.backward(cache, np.ones(np.shape(value))).dtype == dtype


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("empty-batch")
@every_loss
def test_a_mean_over_nothing_is_refused_and_a_sum_is_zero(loss):
    nothing = np.ones((0, 3), np.float32)
    with pytest.raises(ValueError, match="over nothing") as caught:
        loss.forward(nothing, nothing)
    assert str(caught.value) == (
        f"{loss.name}_forward: reduction='mean' over nothing: the losses have shape (0, 3) "
        "and their weights add up to 0"
    )
    value, cache = loss.forward(nothing, nothing, reduction="sum")
    assert value == 0
    assert cache.divisor == 0
    assert loss.backward(cache).shape == (0, 3)


@every_loss
def test_bad_input_is_named(loss):
    x, name = np.ones((2, 3)), loss.name
    for call, error, message in (
        (lambda: loss.forward(x, x[0]), ShapeError, f"{name}_forward: target must have shape (2, 3), got (3,)"),
        (
            lambda: loss.forward(x, x, reduction="avg"),
            ValueError,
            f"{name}_forward: reduction must be 'mean', 'sum' or 'none', got 'avg'",
        ),
        (
            lambda: loss.forward(x.astype(int), x),
            TypeError,
            f"{name}_forward: prediction has dtype int64; expected float32 or float64 "
            "(convert it, as in prediction.astype(np.float32))",
        ),
        (
            lambda: loss.forward(x, x.astype(complex)),
            TypeError,
            f"{name}_forward: target must be a NumPy array of real numbers, got complex128",
        ),
        (
            lambda: loss.forward(x, [[1.0] * 3] * 2),
            TypeError,
            f"{name}_forward: target must be a NumPy array of real numbers, got list",
        ),
        (
            lambda: loss.backward(loss.forward(x, x)[1], np.ones(1)),
            ShapeError,
            f"{name}_backward: dloss must have shape (), got (1,)",
        ),
        (
            lambda: loss.backward(loss.forward(x, x, reduction="none")[1], np.ones(3)),
            ShapeError,
            f"{name}_backward: dloss must have shape (2, 3), got (3,)",
        ),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan])
def test_huber_needs_a_delta_above_zero(delta):
    with pytest.raises(ValueError, match="delta") as caught:
        ops.huber_forward(np.ones(2), np.ones(2), delta=delta)
    assert str(caught.value) == f"huber_forward: delta must be above 0, got {delta!r}"
