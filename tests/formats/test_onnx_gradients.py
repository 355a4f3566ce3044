"""The gradient of every differentiable operator of ONNX that is not a layer: finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
from formats.onnx_nodes import assert_node_gradients, make
from ladder import spaced

from cnn_from_scratch.errors import UnsupportedOpError

RNG = np.random.default_rng(5)
X = spaced((2, 3, 4), RNG)  # distinct, 0.1 apart, none of them zero: no kink, no tie
Y = spaced((2, 3, 4), RNG) + 0.03
IMAGES = spaced((2, 4, 4, 6), RNG, gap=0.01)
POSITIVE = RNG.uniform(0.5, 2.0, (2, 3, 4))
SCALES = np.array([1, 1, 2, 2], np.float32)


def ints(*values):
    return np.array(values, np.int64)


ACTIVATIONS = {
    "Relu": {},
    "LeakyRelu": {"alpha": 0.3},
    "Elu": {"alpha": 0.7},
    "Selu": {},
    "Celu": {"alpha": 1.7},
    "ThresholdedRelu": {"alpha": 0.33},
    "Sigmoid": {},
    "Tanh": {},
    "Softplus": {},
    "Softsign": {},
    "Gelu": {},
    "Swish": {"alpha": 1.3},
    "Mish": {},
    "HardSigmoid": {"alpha": 0.7, "beta": 0.41},
    "HardSwish": {},
    "Abs": {},
    "Neg": {},
    "Exp": {},
    "Erf": {},
    "Identity": {},
}


@pytest.mark.parametrize("op_type", ACTIVATIONS)
def test_of_one_number(op_type):
    x = X * 5 if op_type in ("HardSwish", "Celu") else X
    assert_node_gradients(op_type, x, attributes=ACTIVATIONS[op_type], opset=25)


@pytest.mark.parametrize("op_type", ["Sqrt", "Log", "Reciprocal"])
def test_of_one_positive_number(op_type):
    assert_node_gradients(op_type, POSITIVE)


def test_of_other_settings():
    assert_node_gradients("Gelu", X, attributes={"approximate": "tanh"})
    assert_node_gradients("Swish", X, opset=25)
    assert_node_gradients("Selu", X, opset=1)


@pytest.mark.parametrize("shape", [(), (1,), (3, 1), (1, 4), (2, 1, 1), (2, 3, 4)])
def test_of_prelu(shape):
    assert_node_gradients("PRelu", X, RNG.random(shape))


def test_of_prelu_before_version_7():
    assert_node_gradients("PRelu", IMAGES, RNG.random(4), opset=6)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("opset", "axis"), [(13, 0), (13, -1), (13, 1), (11, 1), (11, -1), (1, 0), (1, 3)])
def test_of_softmax(op_type, opset, axis):
    assert_node_gradients(op_type, X, attributes={"axis": axis}, opset=opset)


BROADCAST = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (2, 1, 4)), ((), (2, 3)), ((2, 1, 4), (3, 1))]


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Pow", "Sum", "Mean", "Min", "Max"])
@pytest.mark.parametrize(("a", "b"), BROADCAST)
def test_of_two_arrays(op_type, a, b):
    assert_node_gradients(op_type, RNG.uniform(0.5, 2, a), RNG.uniform(0.5, 2, b))


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Pow"])
@pytest.mark.parametrize(("shape", "axis"), [((3, 4), 1), ((2, 3), 0), ((4,), None), ((1, 1), None)])
def test_of_two_arrays_before_version_7(op_type, shape, axis):
    attributes = {"broadcast": 1} | ({} if axis is None else {"axis": axis})
    a = RNG.uniform(0.5, 2, (2, 3, 4, 5) if axis == 1 else (2, 3, 4))
    assert_node_gradients(op_type, a, RNG.uniform(0.5, 2, shape), attributes=attributes, opset=6)


@pytest.mark.parametrize("op_type", ["Sum", "Mean", "Min", "Max"])
def test_of_many_arrays(op_type):
    assert_node_gradients(op_type, X, Y[:1], Y[..., :1] + 0.02)
    assert_node_gradients(op_type, X)


def test_of_an_integer_power():
    assert_node_gradients("Pow", X, ints(3))
    assert_node_gradients("Pow", X, np.array(2, np.int32))


def test_of_clip():
    assert_node_gradients("Clip", X, np.array(-0.42), np.array(0.63))
    assert_node_gradients("Clip", X, None, np.array([0.63]))
    assert_node_gradients("Clip", X, np.array(-0.42))
    assert_node_gradients("Clip", X, np.array(0.63), np.array(-0.42))  # the maximum wins
    assert_node_gradients("Clip", X)
    assert_node_gradients("Clip", X, attributes={"min": -0.42}, opset=6)


SHAPES = [
    ("Flatten", [IMAGES], {"axis": 2}),
    ("Reshape", [X, ints(0, -1)], {}),
    ("Transpose", [X], {"perm": [1, 2, 0]}),
    ("Transpose", [X], {}),
    ("Squeeze", [X[:, :1], ints(1)], {}),
    ("Unsqueeze", [X, ints(-1, 0)], {}),
    ("Expand", [X[:, :1], ints(5, 1, 3, 4)], {}),
    ("Tile", [X, ints(2, 1, 3)], {}),
    ("Concat", [X, Y[:, :1], X[:, :0]], {"axis": -2}),
    ("Slice", [X, ints(-1, 0), ints(-10, 4), ints(1, 2), ints(-2, 3)], {}),
    ("Slice", [X, ints(0), ints(1)], {}),
    ("Gather", [X, np.array([[0, -1, 0], [2, 2, 1]])], {"axis": 1}),
    ("Gather", [X, np.array(-1)], {"axis": -1}),
    ("DepthToSpace", [IMAGES], {"blocksize": 2}),
    ("DepthToSpace", [IMAGES], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", [IMAGES], {"blocksize": 2}),
    ("Cast", [X], {"to": 11}),
]


@pytest.mark.parametrize(("op_type", "arrays", "attributes"), SHAPES)
def test_of_moving_numbers(op_type, arrays, attributes):
    assert_node_gradients(op_type, *arrays, attributes=attributes)


@pytest.mark.parametrize("pieces", [(1, 2), (0, 3), None])
def test_of_split(pieces):
    x = X[:, :3] if pieces else X[:, :2]
    sizes = () if pieces is None else (ints(*pieces),)
    assert_node_gradients("Split", x, *sizes, attributes={"axis": 1}, outputs=2)


def test_of_split_with_a_part_that_nobody_uses():
    operation = make("Split", {"axis": 0}, outputs=2)
    _, cache = operation.forward([np.arange(4.0)], None)
    (dx,) = operation.backward([None, np.array([5.0, 6.0])], cache, [True])
    assert dx.tolist() == [0, 0, 5, 6]


PADS = [
    ("constant", (0, 0, 1, 2, 0, 0, 0, 3)),
    ("constant", (0, 1, -1, 2, 0, 0, 3, -2)),
    ("reflect", (0, 0, 1, 2, 0, 0, 3, 0)),
    ("reflect", (0, 5, 0, 0, 0, 0, 7, -1)),  # there and back again
    ("edge", (0, 0, 1, 2, 0, 0, 7, 0)),
    ("edge", (1, 0, -1, 2, 0, 3, 0, 0)),
    ("wrap", (0, 0, 1, 2, 1, 0, 9, 0)),
]


@pytest.mark.parametrize(("mode", "pads"), PADS)
def test_of_pad(mode, pads):
    assert_node_gradients("Pad", IMAGES, ints(*pads), attributes={"mode": mode})


def test_of_the_constant_of_pad():
    assert_node_gradients("Pad", X, ints(1, 2, 0, -1), np.array(0.5), ints(-1, 0))
    assert_node_gradients("Pad", IMAGES, ints(0, 0, 1, 2, 0, 0, 3, 0), np.array([0.5]))


REDUCTIONS = "Sum Mean Prod L1 L2 SumSquare LogSum LogSumExp Max Min".split()


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axes", [None, (1,), (-1, 0), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_of_reductions(name, axes, keepdims):
    x = POSITIVE if name in ("LogSum", "Prod") else X
    inputs = () if axes is None else (ints(*axes),)
    assert_node_gradients(f"Reduce{name}", x, *inputs, attributes={"keepdims": keepdims})


@pytest.mark.parametrize("name", REDUCTIONS)
def test_of_reductions_of_no_axes_at_all(name):
    assert_node_gradients(f"Reduce{name}", POSITIVE, attributes={"noop_with_empty_axes": 1})


def test_of_a_mean_over_pixels():
    for keepdims in (0, 1):
        assert_node_gradients("ReduceMean", IMAGES, attributes={"axes": [2, -1], "keepdims": keepdims}, opset=11)


def test_of_a_product_with_zeros():
    """Of 0 * 2 * 3 the zero has the slope 6 and the others 0; of 0 * 0 * 3 all have 0."""
    operation = make("ReduceProd", {"axes": [1], "keepdims": 0}, opset=13)
    _, cache = operation.forward([np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0]])], None)
    (dx,) = operation.backward([np.ones(2)], cache, [True])
    assert dx.tolist() == [[6, 0, 0], [0, 0, 0]]


RESIZES = [
    {"mode": "nearest"},
    {"mode": "linear"},
    {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric", "antialias": 1},
    {"mode": "cubic", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5},
    {"mode": "cubic", "antialias": 1},
    {"mode": "nearest", "nearest_mode": "ceil", "coordinate_transformation_mode": "align_corners"},
]


@pytest.mark.parametrize("attributes", RESIZES)
@pytest.mark.parametrize("factors", [(1, 1, 2, 2), (1, 1, 0.6, 1.7), (1, 1.5, 0.5, 1)])
def test_of_resize(attributes, factors):
    operation = make("Resize", attributes, opset=19, inputs=3)
    scales = np.array(factors, np.float32)
    y, cache = operation.forward([IMAGES, None, scales], None)
    dy = RNG.standard_normal(y[0].shape)
    dx, droi, dscales = operation.backward([dy], cache, [True, True, True])
    assert droi is None
    assert dscales is None
    v = RNG.standard_normal(IMAGES.shape)  # linear: <dx, v> = <dy, f(v)>, exactly
    (image,), _ = operation.forward([v, None, scales], None)
    np.testing.assert_allclose((dx * v).sum(), (dy * image).sum(), rtol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_of_a_crop_beyond_the_picture(mode):
    attributes = {
        "mode": mode,
        "coordinate_transformation_mode": "tf_crop_and_resize",
        "extrapolation_value": 10.0,
        "axes": [2, 3],
    }
    operation = make("Resize", attributes, opset=19, inputs=4)
    rest = [np.array([0.4, 0.6, 1.2, 1.7]), None, ints(3, 3)]
    y, cache = operation.forward([IMAGES, *rest], None)
    assert (y[0] == 10).any()
    assert not (y[0] == 10).all()
    dy, v = RNG.standard_normal(y[0].shape), RNG.standard_normal(IMAGES.shape)
    dx = operation.backward([dy], cache, [True, False, False, False])[0]
    moved = operation.forward([IMAGES + v, *rest], None)[0][0] - y[0]
    np.testing.assert_allclose((dx * v).sum(), (dy * moved).sum(), rtol=1e-10)


@pytest.mark.parametrize("opset", [7, 9])
def test_of_upsample(opset):
    scales = np.array([1, 1, 2, 3], np.float32)
    arrays, attributes = ([IMAGES], {"scales": [1.0, 1.0, 2.0, 3.0]}) if opset < 9 else ([IMAGES, scales], {})
    for mode in ("nearest", "linear"):
        assert_node_gradients("Upsample", *arrays, attributes=attributes | {"mode": mode}, opset=opset)


# --- ties, kinks and what has no gradient ----------------------------------------------------------------------------


@pytest.mark.parametrize("op_type", ["Min", "Max"])
def test_inputs_that_tie_share(op_type):
    operation = make(op_type, inputs=3)
    a = np.array([1.0, 1.0])
    _, cache = operation.forward([a, a, a + np.array([0.0, 1.0 if op_type == "Min" else -1.0])], None)
    found = operation.backward([np.array([6.0, 6.0])], cache, [True, True, True])
    assert [dx.tolist() for dx in found] == [[2, 3], [2, 3], [2, 0]]


def test_numbers_that_tie_share_the_gradient_of_a_reduction():
    operation = make("ReduceMax", {"keepdims": 0})
    _, cache = operation.forward([np.array([3.0, 1.0, 3.0])], None)
    assert operation.backward([np.array(8.0)], cache, [True])[0].tolist() == [4, 0, 4]


def test_a_bound_itself_is_not_cut():
    operation = make("Clip", inputs=3)
    _, cache = operation.forward([np.array([-1.0, 0.0, 3.0, 6.0, 7.0]), np.array(0.0), np.array(6.0)], None)
    dx, dlow, dhigh = operation.backward([np.array([1.0, 2.0, 4.0, 8.0, 16.0])], cache, [True, True, True])
    assert (dx.tolist(), dlow.item(), dhigh.item()) == ([0, 2, 4, 8, 0], 1, 16)


def test_only_what_is_wanted_is_computed():
    operation = make("Mul", inputs=2)
    _, cache = operation.forward([X, Y], None)
    da, db = operation.backward([X], cache, [False, True])
    assert da is None
    assert np.array_equal(db, X * X)


def test_nothing_depends_on_whose_type_a_cast_takes():
    operation = make("CastLike", inputs=2)
    _, cache = operation.forward([X.astype(np.float32), X], None)
    dx, dlike = operation.backward([X], cache, [True, True])
    assert dx.dtype == np.float32
    assert dlike is None


@pytest.mark.parametrize("op_type", ["Shape", "Size"])
def test_sizes_have_no_gradient(op_type):
    assert make(op_type).backward([ints(1)], None, [True]) == (None,)


def test_a_cast_to_integers_and_back_has_no_gradient():
    operation = make("Cast", {"to": 1})
    _, cache = operation.forward([ints(1, 2)], None)
    assert operation.backward([np.ones(2, np.float32)], cache, [True]) == (None,)


def test_a_position_says_that_it_has_none():
    operation = make("ArgMax", {"axis": 0})
    _, cache = operation.forward([X], None)
    with pytest.raises(UnsupportedOpError, match="ArgMax has no gradient"):
        operation.backward([X], cache, [True])


@pytest.mark.parametrize("op_type", ["Sign", "Floor", "Ceil", "Round"])
def test_the_slope_of_a_step_is_zero(op_type):
    operation = make(op_type)
    _, cache = operation.forward([X], None)
    assert not operation.backward([X], cache, [True])[0].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gradients_have_the_dtype_of_the_input(dtype):
    for op_type, attributes in ACTIVATIONS.items():
        operation = make(op_type, attributes, opset=25)
        (y,), cache = operation.forward([X.astype(dtype)], None)
        assert y.dtype == dtype, op_type
        assert operation.backward([y], cache, [True])[0].dtype == dtype, op_type
    for name in REDUCTIONS:
        operation = make(f"Reduce{name}", {"keepdims": 0})
        (y,), cache = operation.forward([POSITIVE.astype(dtype)], None)
        assert y.dtype == dtype, name
        assert operation.backward([y], cache, [True])[0].dtype == dtype, name
    for op_type in ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean"):
        operation = make(op_type, inputs=2)
        (y,), cache = operation.forward([POSITIVE.astype(dtype), POSITIVE[:1].astype(dtype)], None)
        assert [y.dtype, *(dx.dtype for dx in operation.backward([y], cache, [True, True]))] == [dtype] * 3, op_type
    for attributes in RESIZES:
        operation = make("Resize", attributes, opset=19, inputs=3)
        (y,), cache = operation.forward([IMAGES.astype(dtype), None, SCALES], None)
        assert [y.dtype, operation.backward([y], cache, [True, False, False])[0].dtype] == [dtype] * 2, attributes
