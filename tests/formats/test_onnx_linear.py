import numpy as np
import pytest
from formats.onnx_nodes import assert_node_gradients, make, run
from ladder import frozen

from cnn_from_scratch.errors import FormatError, ShapeError
from cnn_from_scratch.layers.context import Context
from cnn_from_scratch.randomness import Place


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


# --- Gemm -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 1.0), (1.0, -2.0), (0.0, 0.0)])
@pytest.mark.parametrize("c_shape", [None, (), (1,), (4,), (1, 4), (2, 1), (2, 4)])
def test_gemm(trans_a, trans_b, alpha, beta, c_shape):
    a, b = arrays((3, 2) if trans_a else (2, 3), (4, 3) if trans_b else (3, 4))
    c = [] if c_shape is None else arrays(c_shape, seed=1)
    attributes = {"transA": trans_a, "transB": trans_b, "alpha": alpha, "beta": beta}
    y = run("Gemm", a, b, *c, attributes=attributes)
    expected = alpha * (a.T if trans_a else a) @ (b.T if trans_b else b) + (beta * c[0] if c else 0)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert_node_gradients("Gemm", a, b, *c, attributes=attributes)


def test_gemm_of_ints_and_of_half_precision():
    a, b = np.array([[1, 2]], np.int32), np.array([[3], [4]], np.int32)
    y = run("Gemm", a, b, np.array([100], np.int32), attributes={"alpha": 2.0})
    assert y.dtype == np.int32
    assert y.tolist() == [[122]]
    half = run("Gemm", np.full((1, 4096), 1, np.float16), np.full((4096, 1), 1, np.float16))
    assert half.dtype == np.float16
    assert half.item() == 4096  # added up one by one in float16 they would stop at 2048


def test_the_third_input_of_old_versions_is_spread_where_they_say_so():
    a, b, c = arrays((2, 3), (3, 4), (4,))
    expected = a @ b + c
    np.testing.assert_allclose(run("Gemm", a, b, c, attributes={"broadcast": 1}, opset=6), expected, rtol=1e-12)
    np.testing.assert_allclose(run("Gemm", a, b, c, opset=7), expected, rtol=1e-12)


def test_errors_of_gemm():
    a, b, c = arrays((2, 3), (3, 4), (3,))
    for given, message in [
        ((a, b.T), r"a \(2, 3\) and b \(4, 3\), transposed as they should be, have no product"),
        ((a[0], b), r"a and b must be matrices, got \(3,\) and \(3, 4\)"),
        ((a, b, c), "Gemm"),
        ((a, b, np.ones((5, 2, 4))), r"c of shape \(5, 2, 4\) cannot be added to a product of shape \(2, 4\)"),
    ]:
        with pytest.raises(ShapeError, match=message):
            run("Gemm", *given)
    with pytest.raises(TypeError, match="Gemm: all inputs must have one dtype, got float64, float32"):
        run("Gemm", a, b.astype(np.float32))


# --- MatMul ---------------------------------------------------------------------------------------------------------

SHAPES = [((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
          ((5, 1, 2, 3), (6, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((1, 2, 3), (5, 3, 4))]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_matmul_of_all_ranks(left, right):
    a, b = arrays(left, right)
    y = run("MatMul", a, b)
    np.testing.assert_allclose(y, a @ b, rtol=1e-12)
    assert isinstance(y, np.ndarray)
    assert_node_gradients("MatMul", a, b)


def test_matmul_of_ints_is_exact():
    a = np.array([[2**62, 1]], np.int64)
    assert run("MatMul", a, np.array([[1], [3]], np.int64)).item() == 2**62 + 3


def test_errors_of_matmul():
    a, b = arrays((2, 3), (4, 5))
    with pytest.raises(ShapeError, match=r"MatMul: inputs \(float64 \(2, 3\), float64 \(4, 5\)\) do not fit"):
        run("MatMul", a, b)


# --- Dropout --------------------------------------------------------------------------------------------------------

TRUE = np.array(True)


def test_outside_of_training_dropout_is_the_identity_and_its_mask_true():
    x = np.ones((2, 3), np.float32)
    for opset, dtype in ((7, np.float32), (10, bool), (13, bool)):
        y, mask = run("Dropout", x, opset=opset, outputs=2)
        assert np.array_equal(y, x)
        assert mask.dtype == dtype
        assert mask.all()
    assert np.array_equal(run("Dropout", x, attributes={"is_test": 1}, opset=6), x)
    assert np.array_equal(run("Dropout", x, np.array(0.9, np.float32), np.array(False), opset=12), x)


@pytest.mark.parametrize("opset", [1, 6, 12, 13, 22])
def test_dropout_drops_where_the_node_says_so_and_the_gradient_follows_the_mask(opset):
    x = np.random.default_rng(0).random((40, 50))
    inputs = (x,) if opset < 12 else (x, np.array(0.25), TRUE)
    attributes = {"ratio": 0.25} if opset < 12 else {"seed": 3}
    operation = make("Dropout", attributes, opset=opset, inputs=len(inputs), outputs=2)
    (y, mask), cache = operation.forward(frozen(*inputs), Context())
    keep = mask.astype(bool)
    assert 0.7 < keep.mean() < 0.8
    np.testing.assert_allclose(y, x * keep / 0.75, rtol=1e-12)
    dx, *others = operation.backward([np.ones_like(y), None], cache, [True] * len(inputs))
    np.testing.assert_allclose(dx, keep / 0.75, rtol=1e-12)
    assert others == [None] * (len(inputs) - 1)
    again, _ = operation.forward(inputs, Context())
    assert np.array_equal(again[0], y)


def test_the_seed_is_that_of_onnx_s_own_evaluator():
    x = np.ones((3, 4))
    expected = np.random.RandomState(7).uniform(0, 1, (3, 4)) >= 0.5
    _, mask = run("Dropout", x, np.array(0.5), TRUE, attributes={"seed": 7}, opset=13, outputs=2)
    assert np.array_equal(mask, expected)


def test_a_step_of_training_drops_by_its_place():
    x = np.ones((30, 30), np.float32)

    def mask_at(step):
        ctx = Context(train=True, rng=Place(seed=0, step=step), key="drop")
        return run("Dropout", x, opset=7, attributes={"ratio": 0.5}, outputs=2, ctx=ctx)[1]

    assert np.array_equal(mask_at(0), mask_at(0))
    assert not np.array_equal(mask_at(0), mask_at(1))
    assert 0.4 < mask_at(0).mean() < 0.6


def test_errors_of_dropout():
    x = np.ones(3)
    with pytest.raises(FormatError, match=r"the ratio must be in \[0, 1\), got 1\.5"):
        run("Dropout", x, np.array(1.5), opset=13)
    with pytest.raises(FormatError, match=r"ratio and training_mode must be single numbers, got shape \(2,\)"):
        run("Dropout", x, np.ones(2), opset=13)
    with pytest.raises(TypeError, match="Dropout: input must be of floats, got int64"):
        run("Dropout", np.ones(3, np.int64))
