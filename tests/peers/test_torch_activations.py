"""Every activation beside PyTorch's, live, number by number: from the smallest to the largest, infinities and NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peers.compare import DTYPES, Array, as_tensor, assert_near, assert_same_op, torch

from cnn_from_scratch import ops

F = torch.nn.functional
INF, NAN = np.inf, np.nan
many = settings(max_examples=100, deadline=None)
dtypes = st.sampled_from(DTYPES)
seeds = st.integers(0, 2**16)

ACTIVATIONS = [
    ("relu", {}, F.relu),
    ("relu6", {}, F.relu6),
    *(("leaky_relu", {"negative_slope": a}, lambda x, a=a: F.leaky_relu(x, a)) for a in (0.01, 0.2, 0.0, -1.0, 3.0)),
    *(("elu", {"alpha": a}, lambda x, a=a: F.elu(x, a)) for a in (1.0, 0.3, 2.0)),
    *(("gelu", {"approximate": a}, lambda x, a=a: F.gelu(x, approximate=a)) for a in ("none", "tanh")),
    ("silu", {}, F.silu),
    ("sigmoid", {}, torch.sigmoid),
    ("tanh", {}, torch.tanh),
    *(
        ("softplus", {"beta": b, "threshold": t}, lambda x, b=b, t=t: F.softplus(x, b, t))
        for b, t in ((1.0, 20.0), (2.0, 5.0), (0.5, 20.0), (1.0, 0.0))
    ),
]
activations = pytest.mark.parametrize(
    ("op", "options", "peer"), ACTIVATIONS, ids=[f"{op}-{'-'.join(map(str, o.values()))}" for op, o, _ in ACTIVATIONS]
)
NUMBERS = [0.0, 1e-30, 1e-8, 1e-3, 0.4, 0.46875, 0.5, 1, 2, 3, 4, 4.9, 5, 5.1, 6, 8, 10, 13, 14, 15, 18, 20, 20.0001]
NUMBERS += [30, 37, 38.5, 50, 51, 88, 89, 100, 104, 700, 709, 710, 745, 746, 1e4, 1e10, 1e30, 1e38]
NUMBERS += [-number for number in NUMBERS] + [NAN]


@pytest.mark.parametrize("dtype", DTYPES)
@activations
def test_every_number(op, options, peer, dtype):
    for number in NUMBERS:
        assert_same_number(op, options, peer, dtype(number))


@many
@activations
@given(number=st.floats(width=32), dtype=dtypes)
def test_any_number(op, options, peer, number, dtype):
    assert_same_number(op, options, peer, dtype(number))


def assert_same_number(op, options, peer, number):
    """Compared by itself, for among others its error would be small beside the largest; often, for PyTorch computes
    long arrays in another way than short ones, and gives elu(NaN) the slope 1 in these.
    """
    x = np.full(64, number)
    tensor = as_tensor(x)
    with np.errstate(invalid="ignore", over="ignore"):  # 0 * -inf; 3 * -1e38
        y, cache = getattr(ops, f"{op}_forward")(x, **options)
        dx = getattr(ops, f"{op}_backward")(np.full_like(x, -1.5), cache)
    expected = peer(tensor)
    (gradient,) = torch.autograd.grad(expected, tensor, torch.full_like(expected, -1.5))
    if op in ("gelu", "silu") and abs(number) > 1e12:
        return  # PyTorch's own formulas overflow on the way: see test_limits
    if op == "relu6" and np.isnan(number):
        return  # by design: a gradient at NaN passes, as that of ReLU does; PyTorch stops it
    assert_near(y, expected, f"y of {number}", scale=1.0)
    assert_near(dx, gradient, f"dx of {number}", scale=1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["gelu", "silu"])
def test_limits(op, dtype):
    # by design: x * 0 at x = -inf is NaN for PyTorch; we give the limits, 0 and x, and their slopes 0 and 1
    for number in (1e20, 1e38, INF):
        x = np.array([-number, number], dtype)
        y, cache = getattr(ops, f"{op}_forward")(x)
        np.testing.assert_array_equal(y, [0, x[1]])
        np.testing.assert_array_equal(getattr(ops, f"{op}_backward")(np.ones_like(x), cache), [0, 1])


@many
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.booleans(), seeds, dtypes)
def test_prelu(shape, of_channels, seed, dtype):
    rng = np.random.default_rng(seed)
    count = shape[1] if of_channels and len(shape) > 1 and shape[1] else 1
    x = rng.choice([-2.5, -1.0, -0.0, 0.0, 1.0, 2.0], shape)
    assert_same_op("prelu", F.prelu, {"x": x, "slope": rng.standard_normal(count)}, dtype)


@many
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data(), seeds, dtypes)
def test_softmax(shape, data, seed, dtype):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(seed).standard_normal(shape) * data.draw(st.sampled_from([1.0, 30.0, 1e4]))
    assert_same_op("softmax", lambda x: F.softmax(x, axis), {"x": x}, dtype, scale=1.0, axis=axis)
    assert_same_op("log_softmax", lambda x: F.log_softmax(x, axis), {"x": x}, dtype, scale=1.0, axis=axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", [[-INF, 1, 2], [-INF, -INF, 3], [-INF] * 3, [INF, 1, 2], [NAN, 1, 2], [-INF, 1, NAN]])
def test_softmax_of_infinities(row, dtype):
    x: Array = np.array([row, [1, 2, 3]], dtype)
    for op, peer in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
        y, cache = getattr(ops, f"{op}_forward")(x)
        tensor = as_tensor(x)
        expected = peer(tensor, -1)
        assert_near(y, expected)
        (gradient,) = torch.autograd.grad(expected, tensor, torch.ones_like(expected))
        assert_near(getattr(ops, f"{op}_backward")(np.ones_like(x), cache), gradient, scale=1.0)


@many
@given(st.floats(width=32), dtypes)
def test_erf(number, dtype):
    expected = torch.erf(torch.tensor([number], dtype=torch.float64)).numpy().astype(dtype)
    actual = ops.erf(np.array([number], dtype))
    np.testing.assert_allclose(actual, expected, rtol=1e-15 if dtype is np.float64 else 5e-7)
