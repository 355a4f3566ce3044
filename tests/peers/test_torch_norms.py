"""Every normalization beside PyTorch's, live: batches of any rank, with and without weight and bias."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.compare import DTYPES, Array, assert_near, assert_same_op, torch

from cnn_from_scratch import ops

F = torch.nn.functional
many = settings(max_examples=100, deadline=None)
dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**16)
momenta = st.sampled_from([0.0, 0.1, 0.7, 1.0])
small = st.sampled_from([1e-5, 1e-3, 2.0])
present = st.sampled_from([(True, True), (True, False), (False, True), (False, False)])


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def affine(shape: tuple[int, ...], seed: int, present: tuple[bool, bool]) -> dict[str, Array | None]:
    with_weight, with_bias = present
    return {
        "weight": normal(seed + 1, *shape) if with_weight else None,
        "bias": normal(seed + 2, *shape) if with_bias else None,
    }


def steepness(x: Array, axes: tuple[int, ...], eps: float) -> float:
    """How large the summands may be that cancel: numbers of about 10 divided by the least spread."""
    return 10 / np.sqrt(np.min(x.var(axes), initial=1.0) + eps) if x.size else 1.0


@st.composite
def batches(draw, least_count: int):
    """A shape (N, C, ...) of 2 to 5 axes with at least so many values for each channel."""
    N, C = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(1, 4), max_size=3))
    return (N if N * np.prod(lengths) >= least_count else least_count), C, *lengths


def running_statistics(seed: int, C: int, dtype) -> tuple[Array, Array]:
    return normal(seed + 3, C).astype(dtype), normal(seed + 4, C).astype(dtype) ** 2 + dtype(0.01)


@many
@given(batches(least_count=2), present, momenta, small, seeds, dtypes)
def test_batch_norm_in_training(shape, present, momentum, eps, seed, dtype):
    x = 3 * normal(seed, *shape) + 2
    mean, var = running_statistics(seed, shape[1], dtype)
    theirs = torch.tensor(mean), torch.tensor(var)
    options = {"running_mean": mean, "running_var": var, "train": True, "momentum": momentum, "eps": eps}
    _, cache, _ = assert_same_op(
        "batch_norm",
        lambda x, w, b: F.batch_norm(x, *theirs, w, b, training=True, momentum=momentum, eps=eps),
        {"x": x} | affine(shape[1:2], seed, present),
        dtype,
        scale=steepness(x, (0, *range(2, x.ndim)), eps),
        **options,
    )
    assert_near(cache.running_mean, theirs[0], "running_mean", scale=1.0)
    assert_near(cache.running_var, theirs[1], "running_var")


@many
@given(batches(least_count=0), present, small, seeds, dtypes)
def test_batch_norm_in_evaluation(shape, present, eps, seed, dtype):
    mean, var = running_statistics(seed, shape[1], dtype)
    assert_same_op(
        "batch_norm",
        lambda x, w, b: F.batch_norm(x, torch.tensor(mean), torch.tensor(var), w, b, eps=eps),
        {"x": 3 * normal(seed, *shape) + 2} | affine(shape[1:2], seed, present),
        dtype,
        scale=10 / np.sqrt(var.min() + eps),
        running_mean=mean,
        running_var=var,
        train=False,
        eps=eps,
    )


def test_batch_norm_without_running_statistics():
    x = normal(0, 4, 3, 2)
    peer = lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)  # noqa: E731
    options = {"running_mean": None, "running_var": None, "train": True}
    assert_same_op("batch_norm", peer, {"x": x} | affine((3,), 0, (True, True)), np.float64, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_batch_norm_shows_where_the_fault_is(value, dtype):
    x = normal(0, 4, 3, 2).astype(dtype)
    x[1, 2, 0] = value
    with np.errstate(invalid="ignore"):
        y, _ = ops.batch_norm_forward(x, None, None, None, None, train=True)
    expected = F.batch_norm(torch.tensor(x), None, None, training=True)
    assert_near(y, expected)


@many
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data(), present, small, seeds, dtypes)
def test_layer_norm(shape, data, present, eps, seed, dtype):
    last = tuple(shape[data.draw(st.integers(0, len(shape) - 1)) :])
    if len(shape) > len(last) and data.draw(st.booleans()):
        shape[0] = 0
    x = 3 * normal(seed, *shape) + 2
    assert_same_op(
        "layer_norm",
        lambda x, w, b: F.layer_norm(x, last, w, b, eps),
        {"x": x} | affine(last, seed, present),
        dtype,
        scale=steepness(x, tuple(range(len(shape) - len(last), len(shape))), eps),
        normalized_shape=last,
        eps=eps,
    )


@many
@given(batches(least_count=0), st.integers(1, 3), present, small, seeds, dtypes)
def test_group_norm(shape, G, present, eps, seed, dtype):
    N, C, *lengths = shape
    if N * C * np.prod(lengths) == 1:
        N = 2  # one value for a group is more than PyTorch allows, if it is the only group
    if present == (False, True):
        present = (True, True)  # PyTorch fails where there is a bias and no weight
    x = 3 * normal(seed, N, G * C, *lengths) + 2
    groups = x.reshape(N, G, C, *lengths)
    assert_same_op(
        "group_norm",
        lambda x, w, b: F.group_norm(x, G, w, b, eps),
        {"x": x} | affine((G * C,), seed, present),
        dtype,
        scale=steepness(groups, tuple(range(2, groups.ndim)), eps),
        num_groups=G,
        eps=eps,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["batch_norm", "layer_norm", "group_norm"])
def test_means_far_above_the_spread(op, dtype):
    # PyTorch's answer in float64 is the measure for both, for in float32 it loses digits here that we keep
    far = (normal(0, 8, 4, 5, 5) + 1e4).astype(dtype)
    x = torch.tensor(far.astype(np.float64))
    options, expected = {
        "batch_norm": (
            {"running_mean": None, "running_var": None, "train": True},
            F.batch_norm(x, None, None, training=True),
        ),
        "layer_norm": ({"normalized_shape": (4, 5, 5)}, F.layer_norm(x, (4, 5, 5))),
        "group_norm": ({"num_groups": 2}, F.group_norm(x, 2)),
    }[op]
    y, _ = getattr(ops, f"{op}_forward")(far, None, None, **options)
    np.testing.assert_allclose(y, expected.numpy(), rtol=0, atol=1e-9 if dtype is np.float64 else 1e-5)
