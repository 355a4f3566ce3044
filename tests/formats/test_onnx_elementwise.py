"""Operators that compute number by number, or broadcast: what ONNX says beyond what their tests show."""

from __future__ import annotations

import numpy as np
import pytest
from formats.onnx_nodes import make, run
from ladder import frozen, layouts

from cnn_from_scratch.errors import FormatError, ShapeError, UnsupportedOpError
from cnn_from_scratch.layers.context import Context
from cnn_from_scratch.ops import is_hwnc, relu_forward, to_hwnc

FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)

ACTIVATIONS = (
    "Relu LeakyRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Mish Swish ThresholdedRelu"
).split()
FUNCTIONS = "Sqrt Exp Log Neg Abs Reciprocal Erf Sign Floor Ceil Round".split()


def test_activations_by_hand():
    """Worked out with exp(-log 2) = 1/2 and its like."""
    half = np.array([-np.log(2.0)])
    assert run("Elu", half, attributes={"alpha": 4.0}).tolist() == [-2]  # 4 * (1/2 - 1)
    assert run("Selu", half, attributes={"alpha": 4.0, "gamma": 3.0}).tolist() == [-6]
    np.testing.assert_allclose(run("Celu", 2 * half, attributes={"alpha": 2.0}), [-1])  # 2 * (1/2 - 1)
    assert run("ThresholdedRelu", np.array([0.5, 1.0, 1.5])).tolist() == [0, 0, 1.5]
    assert run("HardSigmoid", np.array([-3.0, 1.0, 3.0])).tolist() == [0, 0.7, 1]
    assert run("HardSwish", np.array([-4.0, 1.5, 4.0])).tolist() == [0, 1.125, 4]  # 1.5 * (1/4 + 1/2)
    assert run("Softsign", np.array([-1.0, 3.0])).tolist() == [-0.5, 0.75]
    assert run("Swish", -half, attributes={"alpha": 2.0}, opset=24) == pytest.approx(np.log(2) * 0.8)  # 4 / (4 + 1)
    assert run("PRelu", np.array([-2.0, 3.0]), np.array([0.5, 9.0])).tolist() == [-1, 3]


@pytest.mark.parametrize("op_type", ACTIVATIONS)
def test_activations_have_limits_and_keep_nan(op_type):
    y = run(op_type, np.array([-np.inf, np.inf, np.nan]), opset=24)
    low = {
        "LeakyRelu": -np.inf,
        "Elu": -1,
        "Selu": -1.0507009873 * 1.6732632423,
        "Celu": -1,
        "Tanh": -1,
        "Softsign": -1,
    }
    high = {"Sigmoid": 1, "HardSigmoid": 1, "Tanh": 1, "Softsign": 1}
    np.testing.assert_allclose(y[:2], [low.get(op_type, 0), high.get(op_type, np.inf)], rtol=1e-7)
    assert np.isnan(y[2]) or op_type == "ThresholdedRelu"  # NaN is not above the threshold


@pytest.mark.parametrize("op_type", ACTIVATIONS + FUNCTIONS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_dtype_and_memory_stay(op_type, dtype):
    x = np.abs(IMAGES).astype(dtype) + dtype(0.5)
    expected = run(op_type, x, opset=24)
    assert expected.dtype == dtype
    for name, other in layouts(x):
        y = run_unfrozen(op_type, other)
        np.testing.assert_allclose(y, expected, rtol=2 * np.finfo(dtype).eps, err_msg=name)  # exp has two ways
        assert y.dtype == dtype
        assert is_hwnc(y) == (name == "H, W, N, C"), name


def run_unfrozen(op_type, *arrays, attributes=None, opset=24):
    """As `run`, for arrays whose memory order must be kept; they may not be written either."""
    for array in arrays:
        array.flags.writeable = False
    (y,), _ = make(op_type, attributes, opset=opset, inputs=len(arrays)).forward(arrays, Context())
    return y


def test_images_stay_in_their_memory_order():
    x, channel = to_hwnc(IMAGES), np.ones((1, 3, 1, 1), np.float32)
    for op_type in ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean"):
        assert is_hwnc(run_unfrozen(op_type, x, channel)), op_type
        assert is_hwnc(run_unfrozen(op_type, channel, x)), op_type
    scales = np.array([1, 1, 2, 1.5], np.float32)
    pads = np.array([0, 0, 1, 0, 0, 0, 0, 1])
    assert is_hwnc(run_unfrozen("Clip", x, np.array(0, np.float32)))
    assert is_hwnc(run_unfrozen("Concat", x, x, attributes={"axis": 1}))
    assert is_hwnc(run_unfrozen("ReduceMax", x, np.array([2])))
    assert is_hwnc(run_unfrozen("Pad", x, pads))
    for mode in ("linear", "cubic"):
        operation = make("Resize", {"mode": mode}, opset=19, inputs=3)
        (y,), cache = operation.forward([x, None, scales], Context())
        assert is_hwnc(y)
        assert is_hwnc(operation.backward([y], cache, [True, False, False])[0])


def test_activations_are_our_own_operations_bitwise():
    assert np.array_equal(run("Relu", IMAGES), relu_forward(IMAGES)[0])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_stay_integers(dtype):
    a, b = np.array([7, 0, 5], dtype), np.array([2, 3, 5], dtype)
    expected = {"Add": [9, 3, 10], "Sub": [5, None, 0], "Mul": [14, 0, 25], "Div": [3, 0, 1], "Pow": [49, 0, None]}
    for op_type, values in expected.items():
        y = run(op_type, a, b)
        assert y.dtype == dtype
        assert all(value is None or value == found for found, value in zip(y.tolist(), values, strict=True)), op_type
    assert run("Max", a, b).tolist() == [7, 3, 5]
    assert run("Min", a, b, b).tolist() == [2, 0, 5]
    assert run("Clip", a, np.array(1, dtype), np.array(5, dtype)).tolist() == [5, 1, 5]
    assert run("Abs", a).dtype == dtype


def test_large_integers_are_exact():
    large = np.array([2**62 + 1])
    assert run("Div", large, np.array([1])).tolist() == large.tolist()
    assert run("Pow", np.array([3]), np.array([39])).tolist() == [3**39]


def test_what_has_no_axes_is_an_array_too():
    for op_type in ("Add", "Mul", "Max", "Pow"):
        y = run(op_type, np.array(2.0), np.array(3.0))
        assert isinstance(y, np.ndarray)
        assert y.shape == ()
    for op_type in ("Exp", "Relu", "Neg"):
        assert isinstance(run(op_type, np.array(2.0)), np.ndarray)


def test_ieee_arithmetic_says_nothing():
    """Warnings are errors here: none comes."""
    zero = np.zeros(1, np.float32)
    assert np.isnan(run("Div", zero, zero)).all()
    assert run("Log", zero).tolist() == [-np.inf]
    assert run("Exp", zero + 1000).tolist() == [np.inf]
    assert np.isnan(run("Sqrt", zero - 1)).all()
    assert run("Mul", np.array([60000], np.float16), np.array([2], np.float16)).tolist() == [np.inf]


# --- before version 7 ------------------------------------------------------------------------------------------------


def test_broadcasting_as_it_was():
    """The examples of ONNX's own text: shapes of B that fit (2, 3, 4, 5)."""
    a = np.arange(120.0).reshape(2, 3, 4, 5)
    for shape, axis in [((), None), ((1, 1), None), ((5,), None), ((4, 5), None), ((3, 4), 1), ((2,), 0), ((3, 4), -3)]:
        b = np.random.default_rng(1).random(shape)
        attributes = {"broadcast": 1} | ({} if axis is None else {"axis": axis})
        first = 4 - len(shape) if axis is None else axis % 4
        seen = b.reshape(()) if b.size == 1 else b.reshape(shape + (1,) * (4 - first - len(shape)))
        assert np.array_equal(run("Add", a, b, attributes=attributes, opset=6), a + seen)


def test_broadcasting_as_it_was_must_be_asked_for():
    with pytest.raises(ShapeError, match=r"Add: shapes \(2, 3\) and \(3,\) differ, and the node does not say"):
        run("Add", np.ones((2, 3)), np.ones(3), opset=6)
    with pytest.raises(ShapeError, match=r"Mul: shape \(2,\) is not found in \(2, 3\) at axis 1"):
        run("Mul", np.ones((2, 3)), np.ones(2), attributes={"broadcast": 1}, opset=6)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"Add: shapes \(2, 3\), \(4,\) cannot be broadcast to one"):
        run("Add", np.ones((2, 3)), np.ones(4))
    with pytest.raises(ShapeError, match=r"PRelu: slope \(2, 3\) cannot be broadcast over x \(3,\)"):
        run("PRelu", np.ones(3), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"Clip: min must be a single number, got shape \(2,\)"):
        run("Clip", np.ones(3), np.ones(2))


def test_dtypes_that_differ():
    with pytest.raises(TypeError, match="Add: all inputs must have one dtype, got float64, float32; a Cast"):
        run("Add", np.ones(2), np.ones(2, np.float32))
    with pytest.raises(TypeError, match="Exp: input must be of floats, got int64"):
        run("Exp", np.arange(3))
    with pytest.raises(TypeError, match="Pow: all inputs must have one dtype"):
        run("Pow", np.ones(2), np.arange(2), opset=7)


def test_inputs_that_are_missing():
    with pytest.raises(FormatError, match=r"node 'n' \(Add, opset 22\) has 1 inputs; Add takes 2"):
        make("Add")
    with pytest.raises(FormatError, match="Add: its first 2 inputs must be there"):
        make("Add", inputs=2).forward([np.ones(2), None], Context())


# --- Cast ------------------------------------------------------------------------------------------------------------


def test_cast_between_all_types():
    """Truncated as in C; True is 1, and whatever is not 0 is True."""
    x = np.array([0.0, 1.9, -1.9, 3.0])
    assert run("Cast", x, attributes={"to": 7}).tolist() == [0, 1, -1, 3]
    assert run("Cast", x, attributes={"to": 9}).tolist() == [False, True, True, True]
    assert run("Cast", x > 1, attributes={"to": 10}).tolist() == [0, 1, 0, 1]
    assert run("Cast", np.array([-1, 256]), attributes={"to": 2}).tolist() == [255, 0]
    assert run("Cast", np.array([65520.0, 1e-8]), attributes={"to": 10}).tolist() == [np.inf, 0]
    assert run("CastLike", x, np.zeros(1, np.int8)).dtype == np.int8


def test_cast_before_version_6_names_its_type():
    assert run("Cast", np.array([1.5]), attributes={"to": "INT32"}, opset=1).dtype == np.int32


def test_cast_refuses_what_numpy_lacks():
    with pytest.raises(UnsupportedOpError, match="to = string is not supported"):
        make("Cast", {"to": 8})
    with pytest.raises(UnsupportedOpError, match="to = bfloat16, which NumPy lacks, is not supported"):
        make("Cast", {"to": 16})
    with pytest.raises(FormatError, match="attribute to is missing"):
        make("Cast")
    with pytest.raises(UnsupportedOpError, match="Cast: input is of strings"):
        run("Cast", np.array(["1"], object), attributes={"to": 1})
    with pytest.raises(FormatError, match="is of type 99, which ONNX does not define"):
        make("Cast", {"to": 99})


# --- softmax ---------------------------------------------------------------------------------------------------------


def test_softmax_before_version_13_sees_a_matrix():
    x = np.log(np.array([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]]))
    np.testing.assert_allclose(run("Softmax", x, opset=11), [[[0.1, 0.2], [0.3, 0.4]], [[0.25, 0.25], [0.25, 0.25]]])
    np.testing.assert_allclose(run("Softmax", x, opset=13)[0], [[1 / 3, 2 / 3], [3 / 7, 4 / 7]])
    np.testing.assert_allclose(run("Softmax", x, opset=11, attributes={"axis": 0}).sum(), 1)
    np.testing.assert_allclose(run("Softmax", x, opset=11, attributes={"axis": 3}), np.ones_like(x))


def test_softmax_of_maps_lies_as_they_do():
    for opset in (11, 13):
        y = run_unfrozen("Softmax", to_hwnc(IMAGES[:, :, :1, :1]), attributes={"axis": 1}, opset=opset)
        np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)


def test_softmax_of_nothing():
    assert run("Softmax", np.zeros((3, 0))).shape == (3, 0)
    assert run("LogSoftmax", np.zeros((0, 3)), opset=1).shape == (0, 3)


def test_softmax_without_such_an_axis():
    with pytest.raises(ShapeError, match=r"Softmax: axis must be in \[-2, 1\] for an array of 2 axes, got 2"):
        run("Softmax", np.ones((2, 3)), attributes={"axis": 2})


def test_backward_writes_nothing():
    for op_type in ("Add", "Mul", "Div", "Max", "PRelu"):
        operation = make(op_type, inputs=2)
        (y,), cache = operation.forward(frozen(IMAGES, IMAGES + 1), Context())
        y.flags.writeable = False
        operation.backward(frozen(y), cache, [True, True])


def test_types_that_an_operator_does_not_have():
    with pytest.raises(TypeError, match="Mean: input must be of floats, got int64"):
        run("Mean", np.arange(3))
    with pytest.raises(TypeError, match=r"Sign: does not compute with inputs \(bool \(2,\)\)"):
        run("Sign", np.ones(2, bool))
    with pytest.raises(FormatError, match="Max: its first 3 inputs must be there"):
        make("Max", inputs=3).forward([np.ones(2), None, np.ones(2)], Context())
