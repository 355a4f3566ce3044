"""Cross-entropy climbs the ladder: by hand, by its definition, by finite differences, by PyTorch's vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import Case, assert_forward, assert_gradient, assert_gradients_match, conformance, frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward, is_hwnc

# probabilities (1/4, 3/4) and (1/2, 1/2)
LOGITS = np.log([[1.0, 3.0], [2.0, 2.0]])
LOG2, LOG43 = math.log(2), math.log(4 / 3)


def test_by_hand():
    loss, cache = cross_entropy_forward(LOGITS, np.array([1, 0]))
    np.testing.assert_allclose(loss, (LOG43 + LOG2) / 2, rtol=1e-15)
    # (p - one-hot) / 2: (1/4, 3/4 - 1) and (1/2 - 1, 1/2)
    np.testing.assert_allclose(cross_entropy_backward(cache), [[0.125, -0.125], [-0.25, 0.25]], rtol=1e-15)
    assert cache.divisor == 2
    assert isinstance(cache.divisor, float)


def test_class_weights_by_hand():
    # the weights of the two targets are 3 and 1: (3 * log 4/3 + 1 * log 2) / 4
    loss, cache = cross_entropy_forward(LOGITS, np.array([1, 0]), class_weights=np.array([1.0, 3.0]))
    np.testing.assert_allclose(loss, (3 * LOG43 + LOG2) / 4, rtol=1e-15)
    assert cache.divisor == 4


def test_ignored_targets_by_hand():
    loss, cache = cross_entropy_forward(LOGITS, np.array([1, -100]))
    np.testing.assert_allclose(loss, LOG43, rtol=1e-15)
    np.testing.assert_allclose(cross_entropy_backward(cache), [[0.25, -0.25], [0, 0]], rtol=1e-15)
    assert cache.divisor == 1
    # a class of the model can be ignored as well
    loss, _ = cross_entropy_forward(LOGITS, np.array([1, 0]), ignore_index=0)
    np.testing.assert_allclose(loss, LOG43, rtol=1e-15)


def test_label_smoothing_by_hand():
    # one half of the target is shared by two classes: 3/4 and 1/4; the loss is 3/4 * log 4/3 + 1/4 * log 4
    loss, _ = cross_entropy_forward(LOGITS[:1], np.array([1]), label_smoothing=0.5)
    np.testing.assert_allclose(loss, 0.75 * LOG43 + 0.25 * math.log(4), rtol=1e-15)


def test_probabilities_by_hand():
    # with weights (1, 3): 1/2 * 1 * log 4 + 1/2 * 3 * log 4/3, and a mean over one row, whatever the weights
    loss, cache = cross_entropy_forward(LOGITS[:1], np.array([[0.5, 0.5]]), class_weights=np.array([1.0, 3.0]))
    np.testing.assert_allclose(loss, 0.5 * math.log(4) + 1.5 * LOG43, rtol=1e-15)
    assert cache.divisor == 1


@st.composite
def arguments(draw, *, soft=None):
    """Logits, targets and options as they come, and a seed."""
    N, K = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    rest = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    logits = rng.normal(0, 3, (N, K, *rest))
    weights = rng.uniform(0.1, 2, K) if draw(st.booleans()) else None
    options = {"label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])), "class_weights": weights}
    if draw(st.booleans()) if soft is None else soft:
        targets = np.moveaxis(rng.dirichlet(np.ones(K), (N, *rest)), -1, 1)
    else:
        options["ignore_index"] = draw(st.sampled_from([-100, -1, 0, 200]))
        targets = rng.integers(0, K, (N, *rest))
        targets[rng.random(targets.shape) < 0.3] = options["ignore_index"]
    return logits, targets, options


def definition(logits, targets, *, label_smoothing, class_weights, ignore_index=-100):
    """Losses one by one, with their divisor, in plain arithmetic."""
    K = logits.shape[1]
    w = [1.0] * K if class_weights is None else class_weights.tolist()
    losses, divisor = np.zeros((logits.shape[0], *logits.shape[2:])), 0.0
    for place in np.ndindex(losses.shape):
        row = logits[(place[0], slice(None), *place[1:])].tolist()
        logs = [v - math.log(sum(math.exp(u) for u in row)) for v in row]
        if targets.shape == logits.shape:
            q = targets[(place[0], slice(None), *place[1:])].tolist()
            divisor += 1
        elif targets[place] == ignore_index:
            continue
        else:
            q = [float(k == targets[place]) for k in range(K)]
            divisor += w[targets[place]]
        q = [(1 - label_smoothing) * v + label_smoothing / K for v in q]
        losses[place] = -sum(w[k] * q[k] * logs[k] for k in range(K))
    return losses, divisor


@settings(max_examples=150, deadline=None)
@given(arguments())
def test_every_option_follows_the_definition(drawn):
    logits, targets, options = drawn
    logits, targets, options["class_weights"] = frozen(logits, targets, options["class_weights"])
    expected, divisor = definition(logits, targets, **options)
    losses, cache = cross_entropy_forward(logits, targets, reduction="none", **options)
    assert losses.shape == expected.shape
    np.testing.assert_allclose(losses, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(cache.divisor, divisor, rtol=1e-14)
    gradient = cross_entropy_backward(cache)
    assert gradient.shape == logits.shape
    np.testing.assert_allclose(gradient.sum(1), 0, atol=1e-13)  # a constant added to the logits changes nothing
    total, cache = cross_entropy_forward(logits, targets, reduction="sum", **options)
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-12, atol=1e-13)
    if divisor:
        mean, cache = cross_entropy_forward(logits, targets, **options)
        np.testing.assert_allclose(mean, expected.sum() / divisor, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(cross_entropy_backward(cache), gradient / divisor, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.2, "class_weights": np.array([1.0, 0.5, 2.0, 0.0])}], ids=["plain", "all"]
)
def test_gradients_by_finite_differences(options, reduction, soft):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((3, 4, 2))
    targets = np.moveaxis(rng.dirichlet(np.ones(4), (3, 2)), -1, 1) if soft else np.array([[0, 3], [-100, 1], [2, 2]])

    def forward(logits):
        return cross_entropy_forward(logits, targets, reduction=reduction, **options)

    loss, cache = forward(logits)
    dloss = rng.standard_normal(np.shape(loss))
    gradients = {"logits": cross_entropy_backward(cache, dloss)}
    assert_gradients_match(lambda logits: forward(logits)[0], {"logits": logits}, gradients, dloss)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("softmax_loss", "cross_entropy"))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    options = {name: case.attrs[name] for name in ("reduction", "label_smoothing", "ignore_index")}
    loss, cache = cross_entropy_forward(case["x"], case["target"], class_weights=case.get("class_weight"), **options)
    assert loss.dtype == dtype
    assert_forward(loss, case["y"].reshape(loss.shape))  # a scalar is stored as (1,)
    gradient = cross_entropy_backward(cache, case["dy"].reshape(loss.shape))
    assert gradient.dtype == dtype
    assert_gradient(gradient, case["dx"])


@settings(max_examples=50, deadline=None)
@given(arguments(), st.data())
def test_shards_that_sum_and_share_a_divisor_make_the_mean(drawn, data):
    logits, targets, options = drawn
    cut = data.draw(st.integers(0, len(logits)))  # a shard may be empty, or without a target that counts
    parts = [slice(0, cut), slice(cut, None)]
    shards = [cross_entropy_forward(logits[part], targets[part], reduction="sum", **options) for part in parts]
    divisor = sum(cache.divisor for _, cache in shards)
    if divisor == 0:
        with pytest.raises(ValueError, match="over nothing"):
            cross_entropy_forward(logits, targets, **options)
        return
    mean, cache = cross_entropy_forward(logits, targets, **options)
    np.testing.assert_allclose(sum(loss for loss, _ in shards) / divisor, mean, rtol=1e-12, atol=1e-13)
    pieces = np.concatenate([cross_entropy_backward(cache, 1 / divisor) for _, cache in shards])
    np.testing.assert_allclose(pieces, cross_entropy_backward(cache), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_logits(dtype):
    logits = np.array([[1e4, -1e4], [1e4, -1e4], [-np.inf, 0]], dtype)
    losses, cache = cross_entropy_forward(logits, np.array([0, 1, 1]), reduction="none")
    np.testing.assert_array_equal(
        losses, [0, 2e4, 0]
    )  # a class that is ruled out (-inf) and not asked for costs nothing
    np.testing.assert_array_equal(cross_entropy_backward(cache), [[0, 0], [1, -1], [0, 0]])
    losses, _ = cross_entropy_forward(logits[2:], np.array([0]), reduction="none")
    np.testing.assert_array_equal(losses, [np.inf])


def test_nan_reaches_the_loss():
    logits = np.array([[0.0, np.nan], [0.0, 0.0]])
    loss, cache = cross_entropy_forward(logits, np.array([0, 0]))
    assert np.isnan(loss)
    np.testing.assert_array_equal(np.isnan(cross_entropy_backward(cache)), [[True, True], [False, False]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64, ">i4"])
def test_class_indices_of_any_width(dtype):
    expected, _ = cross_entropy_forward(LOGITS, np.array([1, 0]), label_smoothing=0.1)
    for ignored in (-100, 1000):  # outside the range of the narrow types
        loss, _ = cross_entropy_forward(LOGITS, np.array([1, 0], dtype), label_smoothing=0.1, ignore_index=ignored)
        assert loss == expected


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("soft", [False, True])
def test_any_layout_gives_the_same_result(soft):
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((2, 3, 4, 5))
    indices = rng.integers(0, 3, (2, 4, 5))
    targets = np.moveaxis(rng.dirichlet(np.ones(3), (2, 4, 5)), -1, 1).copy() if soft else indices
    weights = np.array([1.0, 2.0, 0.5])
    loss, cache = cross_entropy_forward(logits, targets, class_weights=weights)
    gradient = cross_entropy_backward(cache)
    target_layouts = [targets.astype(targets.dtype.newbyteorder()), targets[::-1, ::-1].copy()[::-1, ::-1]]
    target_layouts += [np.asfortranarray(targets), *frozen(targets)]
    for label, xs in layouts(logits):
        for ts in target_layouts:
            for _, ws in layouts(weights):
                actual, cache = cross_entropy_forward(xs, ts, class_weights=ws)
                np.testing.assert_allclose(actual, loss, rtol=1e-14, err_msg=label)
                dlogits = cross_entropy_backward(cache)
                np.testing.assert_allclose(dlogits, gradient, rtol=1e-13, atol=1e-17, err_msg=label)
                assert actual.dtype == dlogits.dtype == np.dtype(np.float64)
                assert is_hwnc(dlogits) == is_hwnc(xs)


@pytest.mark.parametrize("soft", [None, np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_dtype_in_is_dtype_out_whatever_the_targets_are(reduction, dtype, soft):
    logits = np.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3)
    targets = np.array([2, 0]) if soft is None else np.full((2, 3), 1 / 3, soft)
    options = {"label_smoothing": np.float64(0.1), "class_weights": np.ones(3)}
    loss, cache = cross_entropy_forward(logits, targets, reduction=reduction, **options)
    assert isinstance(loss, np.ndarray if reduction == "none" else dtype)
    assert loss.dtype == cross_entropy_backward(cache, np.float64(2.0)).dtype == dtype
    assert cross_entropy_backward(cache, np.ones(np.shape(loss))).dtype == dtype


# --- bad input ------------------------------------------------------------------------------------------------------

X, T = np.ones((4, 3)), np.array([0, 1, 2, 0])
DENSE = np.ones((2, 3, 2, 2))
F = "cross_entropy_forward: "


def with_label(targets, place, value):
    targets = targets.copy()
    targets[place] = value
    return targets


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: cross_entropy_forward(X, np.array([0, 3, -1, 0])),
            IndexError,
            F + "targets[1] is 3, neither in [0, 3) nor ignore_index=-100",
        ),
        (
            lambda: cross_entropy_forward(X, np.array([0, -100, -1, 3]), ignore_index=-2),
            IndexError,
            F + "targets[1] is -100, neither in [0, 3) nor ignore_index=-2",
        ),
        (
            lambda: cross_entropy_forward(X, np.array([0, 255, 0, 0], np.uint8), ignore_index=-1),
            IndexError,
            F + "targets[1] is 255, neither in [0, 3) nor ignore_index=-1",
        ),
        (
            lambda: cross_entropy_forward(DENSE, with_label(np.zeros((2, 2, 2), int, order="F"), (0, 1, 0), 9)),
            IndexError,
            F + "targets[0, 1, 0] is 9, neither in [0, 3) nor ignore_index=-100",
        ),
        (
            lambda: cross_entropy_forward(X, T.astype(float)),
            TypeError,
            F + "targets of shape (4,) are class indices and must be integers, got float64",
        ),
        (
            lambda: cross_entropy_forward(X, T.astype(bool)),
            TypeError,
            F + "targets of shape (4,) are class indices and must be integers, got bool",
        ),
        (
            lambda: cross_entropy_forward(X, np.ones((4, 3), int)),
            TypeError,
            F + "targets of the logits' shape (4, 3) are probabilities and must be floats, got int64",
        ),
        (lambda: cross_entropy_forward(X, [0, 1, 2, 0]), TypeError, F + "targets must be a NumPy array, got list"),
        (
            lambda: cross_entropy_forward(X, T[:3]),
            ShapeError,
            F + "targets must have shape (4,) (class indices) or (4, 3) (probabilities), got (3,)",
        ),
        (
            lambda: cross_entropy_forward(DENSE, T),
            ShapeError,
            F + "targets must have shape (2, 2, 2) (class indices) or (2, 3, 2, 2) (probabilities), got (4,)",
        ),
        (
            lambda: cross_entropy_forward(X[0], T),
            ShapeError,
            F + "logits must have shape (N, K) or (N, K, d1, ...), got (3,)",
        ),
        (
            lambda: cross_entropy_forward(X[:, :0], T),
            ShapeError,
            F + "logits must have shape (N, K) or (N, K, d1, ...), got (4, 0)",
        ),
        (
            lambda: cross_entropy_forward(X.astype(int), T),
            TypeError,
            F + "logits has dtype int64; expected float32 or float64 (convert it, as in logits.astype(np.float32))",
        ),
        (
            lambda: cross_entropy_forward(X, T, label_smoothing=1.5),
            ValueError,
            F + "label_smoothing must be in [0, 1], got 1.5",
        ),
        (
            lambda: cross_entropy_forward(X, T, reduction="avg"),
            ValueError,
            F + "reduction must be 'mean', 'sum' or 'none', got 'avg'",
        ),
        (
            lambda: cross_entropy_forward(X, T, class_weights=np.ones(4)),
            ShapeError,
            F + "class_weights must have shape (3,), got (4,)",
        ),
        (
            lambda: cross_entropy_forward(X, T, class_weights=[1.0, 1.0, 1.0]),
            TypeError,
            F + "class_weights must be a NumPy array of real numbers, got list",
        ),
        (
            lambda: cross_entropy_forward(X, X, ignore_index=0),
            ValueError,
            F + "ignore_index=0 needs class indices; targets are probabilities",
        ),
        (
            lambda: cross_entropy_forward(X[:0], T[:0]),
            ValueError,
            F + "reduction='mean' over nothing: the losses have shape (0,) and their weights add up to 0",
        ),
        (
            lambda: cross_entropy_forward(X, np.full(4, -100)),
            ValueError,
            F + "reduction='mean' over nothing: the losses have shape (4,) and their weights add up to 0",
        ),
        (
            lambda: cross_entropy_forward(X, T * 0, class_weights=np.array([0.0, 1.0, 1.0])),
            ValueError,
            F + "reduction='mean' over nothing: the losses have shape (4,) and their weights add up to 0",
        ),
        (
            lambda: cross_entropy_backward(cross_entropy_forward(X, T)[1], np.ones(4)),
            ShapeError,
            "cross_entropy_backward: dloss must have shape (), got (4,)",
        ),
        (
            lambda: cross_entropy_backward(cross_entropy_forward(X, T, reduction="none")[1], np.ones((4, 1))),
            ShapeError,
            "cross_entropy_backward: dloss must have shape (4,), got (4, 1)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
