"""Every loss beside PyTorch's, live, with every option crossed with every other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.compare import DTYPES, Array, as_tensor, assert_near, torch

from cnn_from_scratch import ops

F = torch.nn.functional
INF, NAN = np.inf, np.nan
REDUCTIONS = ("mean", "sum", "none")
many = settings(max_examples=100, deadline=None)
dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**16)


def assert_same_loss(op: str, peer, x: Array, target: Array, *, scale: float = 0.0, **options) -> None:
    """The loss, and its gradient for a gradient that arrives: one number, or one for each loss."""
    loss, cache = getattr(ops, f"{op}_forward")(x, target, **options)
    tensor = as_tensor(x)
    expected = peer(tensor, torch.tensor(target))
    assert_near(loss, expected, "loss", scale=scale)
    dloss = np.random.default_rng(1).standard_normal(np.shape(loss)).astype(x.dtype)
    (gradient,) = torch.autograd.grad(expected, tensor, torch.tensor(dloss))
    assert_near(
        getattr(ops, f"{op}_backward")(cache, dloss if dloss.ndim else dloss.item()), gradient, "gradient", scale=scale
    )


# --- cross-entropy --------------------------------------------------------------------------------------------------

EXTRA_AXES = [(), (3,), (2, 3)]
SMOOTHINGS = (0.0, 0.1, 1.0)
KEPT, SOME, ALL = range(3)  # how many of the targets are ignored


def cross_entropy_settings(seed: int, K: int, dtype, smoothing: float, weighted: bool, reduction: str):
    """Our options, and PyTorch's."""
    weights = np.random.default_rng(seed).uniform(0.1, 3, K).astype(dtype) if weighted else None
    ours = {"label_smoothing": smoothing, "class_weights": weights, "reduction": reduction}
    theirs = {
        "label_smoothing": smoothing,
        "weight": None if weights is None else torch.tensor(weights),
        "reduction": reduction,
    }
    return ours, theirs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ignored", [KEPT, SOME, ALL])
def test_cross_entropy_of_class_indices(ignored, reduction, dtype):
    if ignored == ALL and reduction == "mean":
        return  # see test_a_mean_over_nothing
    crossed = itertools.product(EXTRA_AXES, SMOOTHINGS, (False, True), (-100, 2, 99))
    for seed, (axes, smoothing, weighted, ignore_index) in enumerate(crossed):
        rng = np.random.default_rng(seed)
        N, K = 4, 5
        logits, targets = 5 * rng.standard_normal((N, K, *axes)).astype(dtype), rng.integers(0, K, (N, *axes))
        if ignored:
            targets[rng.random(targets.shape) < (0.5 if ignored == SOME else 2)] = ignore_index
            targets.flat[0] = 1 if ignored == SOME else ignore_index
        ours, theirs = cross_entropy_settings(seed, K, dtype, smoothing, weighted, reduction)
        peer = lambda x, t, o=theirs, i=ignore_index: F.cross_entropy(x, t, ignore_index=i, **o)  # noqa: E731
        assert_same_loss("cross_entropy", peer, logits, targets, ignore_index=ignore_index, **ours)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_probabilities(reduction, dtype):
    for seed, (axes, smoothing, weighted) in enumerate(itertools.product(EXTRA_AXES, SMOOTHINGS, (False, True))):
        rng = np.random.default_rng(seed)
        logits = 5 * rng.standard_normal((4, 5, *axes)).astype(dtype)
        targets = rng.uniform(0, 2, logits.shape).astype(dtype)  # their sum need not be 1
        targets[0, 0] = 0
        ours, theirs = cross_entropy_settings(seed, 5, dtype, smoothing, weighted, reduction)
        peer = lambda x, t, o=theirs: F.cross_entropy(x, t, **o)  # noqa: E731
        assert_same_loss("cross_entropy", peer, logits, targets, **ours)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    "row", [[0, 1e4, -1e4], [1e4, 0, 0], [-INF, 1, 2], [1, -INF, -INF], [0, -1e30, 1], [NAN, 1, 2]]
)
def test_cross_entropy_of_extreme_logits(row, smoothing, dtype):
    logits = np.array([row, [1, 2, 3]], dtype)
    for label in range(3):
        peer = lambda x, t: F.cross_entropy(x, t, label_smoothing=smoothing)  # noqa: E731
        assert_same_loss("cross_entropy", peer, logits, np.array([label, 0]), label_smoothing=smoothing)


@pytest.mark.parametrize("K", [1, 2])
def test_few_classes_and_no_examples(K):
    peer = lambda x, t: F.cross_entropy(x, t, reduction="sum")  # noqa: E731
    for N in (0, 1, 3):
        logits = np.random.default_rng(0).standard_normal((N, K))
        assert_same_loss("cross_entropy", peer, logits, np.arange(N) % K, reduction="sum")


# --- losses of a difference -----------------------------------------------------------------------------------------

shapes = st.lists(st.integers(1, 4), max_size=3)
DIFFERENCE = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "huber": F.huber_loss,
}


@many
@given(st.sampled_from(sorted(DIFFERENCE)), shapes, st.sampled_from(REDUCTIONS), st.booleans(), seeds, dtypes)
def test_losses_of_a_difference(op, shape, reduction, equal, seed, dtype):
    rng = np.random.default_rng(seed)
    x, target = np.asarray(4 * rng.standard_normal(shape), dtype), np.asarray(rng.random(shape), dtype)
    if equal and x.ndim:
        x[0] = target[0] = 1
    assert_same_loss(op, lambda x, t: DIFFERENCE[op](x, t, reduction=reduction), x, target, reduction=reduction)


@many
@given(st.sampled_from([0.1, 0.5, 1.0, 3.0]), st.sampled_from(REDUCTIONS), seeds, dtypes)
def test_huber_delta(delta, reduction, seed, dtype):
    x = np.random.default_rng(seed).choice(np.array([-9, -3, -1, -0.5, -0.1, 0, 0.1, 0.2, 0.5, 1, 3, 4], dtype), (3, 4))
    peer = lambda x, t: F.huber_loss(x, t, reduction=reduction, delta=delta)  # noqa: E731
    assert_same_loss("huber", peer, x, np.zeros_like(x), reduction=reduction, delta=delta)


@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_cross_entropy_of_extreme_logits(dtype):
    for number, target in itertools.product((-1e30, -1e4, -100, -20, 0, 20, 100, 1e4, 1e30), (0, 0.3, 1)):
        x, t = np.array([number], dtype), np.array([target], dtype)
        assert_same_loss("binary_cross_entropy", F.binary_cross_entropy_with_logits, x, t, scale=1.0)


@pytest.mark.parametrize("op", sorted(DIFFERENCE))
def test_nothing_at_all(op):
    for reduction in ("sum", "none"):
        peer = lambda x, t, r=reduction: DIFFERENCE[op](x, t, reduction=r)  # noqa: E731
        assert_same_loss(op, peer, np.ones((0, 3)), np.ones((0, 3)), reduction=reduction)


# --- what differs by design -----------------------------------------------------------------------------------------


def test_a_mean_over_nothing():
    # PyTorch answers NaN, which would spoil every weight in the next step; we refuse
    logits, targets = np.ones((2, 3)), np.full(2, -100)
    assert F.cross_entropy(torch.tensor(logits), torch.tensor(targets)).isnan()
    with pytest.raises(ValueError, match="reduction='mean' over nothing"):
        ops.cross_entropy_forward(logits, targets)
    for op, peer in DIFFERENCE.items():
        assert peer(torch.ones(0), torch.ones(0)).isnan()
        with pytest.raises(ValueError, match="reduction='mean' over nothing"):
            getattr(ops, f"{op}_forward")(np.ones(0), np.ones(0))


def test_what_has_probability_zero_costs_nothing():
    # a class that is impossible (-inf) and expected with probability 0: PyTorch says 0 * inf = NaN, we say 0
    logits, targets = np.array([[-INF, 0.0, 0.0]]), np.array([[0.0, 0.5, 0.5]])
    assert F.cross_entropy(torch.tensor(logits), torch.tensor(targets)).isnan()
    loss, cache = ops.cross_entropy_forward(logits, targets)
    assert loss == pytest.approx(np.log(2))
    np.testing.assert_allclose(ops.cross_entropy_backward(cache), np.zeros((1, 3)), atol=1e-15)
