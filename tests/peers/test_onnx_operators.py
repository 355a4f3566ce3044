"""ONNX's operators beside onnxruntime, one node at a time: each version with a meaning of its own, every dtype."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from cnn_from_scratch.formats.onnx import Node, make_operation
from cnn_from_scratch.formats.onnx.dtypes import onnx_type
from cnn_from_scratch.layers.context import Context

onnx = pytest.importorskip("onnx", reason="onnx writes the models that onnxruntime reads")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is what is compared with")
helper = onnx.helper

Array = np.ndarray
RNG = np.random.default_rng(3)
IMAGES = RNG.standard_normal((2, 4, 6, 5)).astype(np.float32)
ROWS = RNG.standard_normal((3, 4)).astype(np.float32)
FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def ours(op_type: str, arrays: list[Array | None], attributes: dict[str, Any], opset: int, outputs: int) -> list[Array]:
    for array in arrays:
        if array is not None:
            array.flags.writeable = False
    operation = make_operation(Node(op_type, "n", attributes, opset, len(arrays), outputs))
    found, _ = operation.forward(arrays, Context())
    return [y for y in found if y is not None]


def theirs(op_type: str, arrays: list[Array | None], attributes: dict[str, Any], opset: int, made: list[Array]) -> Any:
    names = ["" if array is None else f"x{i}" for i, array in enumerate(arrays)]
    given = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    results = [f"y{i}" for i in range(len(made))]
    tensors = {k: onnx.numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v for k, v in attributes.items()}
    graph = helper.make_graph(
        [helper.make_node(op_type, names, results, **tensors)],
        "one",
        [helper.make_tensor_value_info(name, onnx_type(x.dtype), x.shape) for name, x in given.items()],
        [helper.make_tensor_value_info(name, onnx_type(y.dtype), None) for name, y in zip(results, made, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, given)


def assert_same(op_type: str, *arrays: Array | None, opset: int = 18, outputs: int = 1, **attributes: Any) -> None:
    """Shape and dtype exactly, values within what their dtype can tell; what onnxruntime lacks is skipped."""
    inputs = [None if array is None else np.asarray(array) for array in arrays]
    found = ours(op_type, inputs, attributes, opset, outputs)
    try:
        expected = theirs(op_type, inputs, attributes, opset, found)
    except Exception as error:
        if type(error).__name__ in ("NotImplemented", "InvalidGraph"):
            pytest.skip(f"onnxruntime has no such {op_type}")
        raise
    for y, other in zip(found, expected, strict=True):
        assert y.dtype == other.dtype
        assert y.shape == other.shape
        rtol, atol = {"float16": (2e-3, 2e-3), "float32": (2e-5, 2e-6)}.get(str(y.dtype), (1e-10, 1e-12))
        np.testing.assert_allclose(y, other, rtol=rtol, atol=atol)


def draw(dtype: str, shape: tuple[int, ...], seed: int = 0, low: int | None = None) -> Array:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.uniform(-3 if low is None else low, 3, shape).astype(dtype)
    return rng.integers((0 if dtype[0] == "u" else -9) if low is None else low, 10, shape).astype(dtype)


# --- activations -----------------------------------------------------------------------------------------------------

ACTIVATIONS: list[tuple[str, int, dict[str, Any]]] = [
    ("Relu", 6, {}),
    ("LeakyRelu", 6, {"alpha": 0.3}),
    ("LeakyRelu", 16, {"alpha": 2.0}),
    ("Elu", 6, {}),
    ("Elu", 6, {"alpha": 0.5}),
    ("Selu", 6, {}),
    ("Selu", 6, {"alpha": 1.5, "gamma": 2.0}),
    ("Celu", 12, {"alpha": 0.6}),
    ("ThresholdedRelu", 10, {"alpha": 0.5}),
    ("Gelu", 20, {}),
    ("Gelu", 20, {"approximate": "tanh"}),
    ("Sigmoid", 6, {}),
    ("HardSigmoid", 6, {}),
    ("HardSigmoid", 6, {"alpha": 0.4, "beta": 0.7}),
    ("HardSwish", 14, {}),
    ("Tanh", 6, {}),
    ("Softplus", 1, {}),
    ("Softsign", 1, {}),
    ("Mish", 18, {}),
    ("Erf", 9, {}),
    ("Exp", 6, {}),
    ("Log", 6, {}),
    ("Sqrt", 6, {}),
    ("Reciprocal", 6, {}),
    ("Neg", 6, {}),
    ("Abs", 6, {}),
    ("Sign", 9, {}),
    ("Floor", 6, {}),
    ("Ceil", 6, {}),
    ("Round", 11, {}),
    ("Identity", 1, {}),
]
EDGES = np.array([-np.inf, -1e30, -100, -3, -0.0, 0, 3, 100, 1e30, np.inf, np.nan, 0.5, 1.5, 2.5], np.float32)
UNBOUNDED = {"Gelu", "HardSwish", "Mish", "Selu", "Celu", "Softsign", "Sign"}  # there onnxruntime gives NaN, or rounds


@pytest.mark.parametrize(("op_type", "opset", "attributes"), ACTIVATIONS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_one_number(op_type: str, opset: int, attributes: dict[str, Any], dtype: str) -> None:
    if (op_type, dtype) == ("Gelu", "float64"):
        pytest.skip("onnxruntime's constants are float32")
    assert_same(op_type, draw(dtype, (3, 17), low=0 if op_type in ("Log", "Sqrt") else None), opset=opset, **attributes)


@pytest.mark.parametrize(("op_type", "opset", "attributes"), ACTIVATIONS)
def test_infinities_and_nan(op_type: str, opset: int, attributes: dict[str, Any]) -> None:
    if op_type in UNBOUNDED:
        pytest.skip("onnxruntime has no limit there")
    assert_same(op_type, EDGES, opset=opset, **attributes)


@pytest.mark.parametrize("op_type", ["Relu", "Neg", "Abs", "Sign"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_one_integer(op_type: str, dtype: str) -> None:
    if op_type in ("Neg", "Relu") and dtype[0] == "u":
        return
    assert_same(op_type, draw(dtype, (3, 5)), opset=14)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 1, 1), (6, 1), (1, 4, 1, 1), (2, 1, 6, 5)])
def test_prelu(shape: tuple[int, ...]) -> None:
    assert_same("PRelu", IMAGES, draw("float32", shape), opset=16)


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("opset", "axis"), [*itertools.product((8, 11, 13), (0, 1, 2, 3)), (11, -2), (13, -3)])
def test_softmax(op_type: str, opset: int, axis: int) -> None:
    assert_same(op_type, IMAGES * 5, opset=opset, axis=axis)
    assert_same(op_type, IMAGES * 5, opset=opset)


# --- arithmetic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "Min", "Max"])
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_two_arrays(op_type: str, dtype: str) -> None:
    assert_same(op_type, draw(dtype, (2, 3, 4)), draw(dtype, (3, 1), 1, low=1), opset=14)
    assert_same(op_type, draw(dtype, ()), draw(dtype, (3, 2), 1, low=1), opset=14)


def test_division_rounds_towards_zero() -> None:
    a, b = np.meshgrid(np.arange(-7, 8), [-3, -2, -1, 1, 2, 3])
    for dtype in ("int8", "int32", "int64"):
        assert_same("Div", a.astype(dtype), b.astype(dtype), opset=14)


@pytest.mark.parametrize("base", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("exponent", ["float32", "float64", "int32", "int64"])
def test_pow(base: str, exponent: str) -> None:
    assert_same("Pow", draw(base, (3, 4), low=1), draw(exponent, (4,), 1, low=0), opset=15)
    assert_same("Pow", draw(base, (3, 4), low=1), np.array(2, exponent), opset=15)


@pytest.mark.parametrize("op_type", ["Sum", "Mean", "Min", "Max"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_many_arrays(op_type: str, count: int) -> None:
    arrays = [draw("float32", shape, i) for i, shape in enumerate([(2, 3, 4), (4,), (3, 1), (2, 1, 1)])]
    assert_same(op_type, *arrays[:count], opset=13)
    assert_same(op_type, *[arrays[0]] * count, opset=6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int32", "int64", "uint8", "uint64"])
def test_clip(dtype: str) -> None:
    x, low, high = draw(dtype, (3, 5)), np.array(2, dtype), np.array(4, dtype)
    for bounds in ([low, high], [None, high], [low, None], [low], [high, low], []):
        assert_same("Clip", x, *bounds, opset=13)


def test_clip_by_attributes() -> None:
    assert_same("Clip", ROWS, opset=6, min=-0.3, max=0.4)
    assert_same("Clip", ROWS, opset=6, max=0.4)
    assert_same("Clip", ROWS, opset=6)


# --- shapes ----------------------------------------------------------------------------------------------------------

SHAPES: list[tuple[str, int, list[Array | None], dict[str, Any]]] = [
    *(("Flatten", opset, [IMAGES], {"axis": axis}) for opset in (9, 13) for axis in range(5)),
    ("Flatten", 11, [IMAGES], {"axis": -2}),
    ("Reshape", 5, [IMAGES, ints(0, -1, 3)], {}),
    ("Reshape", 14, [IMAGES[:0], ints(0, 7, 0)], {"allowzero": 1}),
    ("Reshape", 13, [IMAGES[:0], ints(0, 7)], {}),
    ("Transpose", 1, [IMAGES], {}),
    ("Transpose", 13, [IMAGES], {"perm": [2, 0, 3, 1]}),
    ("Squeeze", 11, [IMAGES[:1, :, :, :1]], {"axes": [-1]}),
    ("Squeeze", 11, [IMAGES[:1, :, :, :1]], {}),
    ("Squeeze", 13, [IMAGES[:1, :, :, :1], ints(0, -1)], {}),
    ("Unsqueeze", 11, [ROWS], {"axes": [-1, 0]}),
    ("Unsqueeze", 13, [ROWS, ints(2, -1)], {}),
    ("Expand", 8, [ROWS, ints(2, 1, 4)], {}),
    ("Expand", 13, [ROWS[:1], ints(5, 1)], {}),
    ("Tile", 13, [ROWS, ints(2, 0)], {}),
    ("Tile", 6, [ROWS, ints(2, 3)], {}),
    ("Shape", 13, [IMAGES], {}),
    ("Shape", 15, [IMAGES], {"start": -3, "end": 99}),
    ("Shape", 15, [IMAGES], {"start": -99, "end": -1}),
    ("Shape", 15, [IMAGES], {"start": 3, "end": 1}),
    ("Size", 13, [IMAGES], {}),
    ("Concat", 4, [ROWS, ROWS[:1], ROWS[:0]], {"axis": 0}),
    ("Concat", 13, [ROWS, ROWS[:, :1]], {"axis": -1}),
    ("Slice", 1, [IMAGES], {"starts": [1, -3], "ends": [99, -1], "axes": [1, 3]}),
    ("Slice", 1, [IMAGES], {"starts": [1, -3], "ends": [99, -1]}),
    ("Slice", 10, [IMAGES, ints(1, -2), ints(99, -99), ints(1, 2), ints(2, -3)], {}),
    ("Slice", 13, [IMAGES, ints(99, -99), ints(-99, 99), ints(-1, 0), ints(-1, 1)], {}),
    ("Slice", 13, [IMAGES, ints(3), ints(1), ints(2)], {}),
    ("Slice", 13, [IMAGES, ints(2**63 - 1), ints(-(2**63)), ints(3), ints(-2)], {}),
    ("Slice", 13, [IMAGES[:, :0], ints(-1), ints(-9), ints(1), ints(-1)], {}),
    ("Gather", 1, [IMAGES, np.array([[1, 0], [3, 2]])], {"axis": 1}),
    ("Gather", 13, [IMAGES, np.array(-1, np.int32)], {"axis": -2}),
    ("DepthToSpace", 1, [IMAGES], {"blocksize": 2}),
    ("DepthToSpace", 13, [IMAGES], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", 13, [IMAGES[:, :, :, :4]], {"blocksize": 2}),
    ("Constant", 13, [], {"value": ROWS}),
    ("Constant", 13, [], {"value_floats": [1.5, 2.0]}),
    ("Constant", 13, [], {"value_float": 1.5}),
    ("Constant", 13, [], {"value_int": 7}),
    ("Constant", 13, [], {"value_ints": [7, -8]}),
    ("ConstantOfShape", 9, [ints(2, 0, 3)], {}),
    ("ConstantOfShape", 9, [ints(2, 3)], {"value": np.array([7], np.int8)}),
    ("ConstantOfShape", 9, [ints()], {"value": np.array([True])}),
]


@pytest.mark.parametrize(("op_type", "opset", "arrays", "attributes"), SHAPES)
def test_moved_numbers(op_type: str, opset: int, arrays: list[Array | None], attributes: dict[str, Any]) -> None:
    assert_same(op_type, *arrays, opset=opset, **attributes)


SPLITS: list[tuple[int, list[Array], int, dict[str, Any]]] = [
    (2, [], 2, {"axis": 1}),
    (2, [], 3, {"axis": 2, "split": [1, 0, 5]}),
    (13, [], 2, {"axis": -3}),
    (13, [ints(1, 3)], 2, {"axis": 1}),
    (18, [], 3, {"axis": 3, "num_outputs": 3}),
    (18, [], 4, {"axis": 1, "num_outputs": 4}),
]


@pytest.mark.parametrize(("opset", "sizes", "outputs", "attributes"), SPLITS)
def test_split(opset: int, sizes: list[Array], outputs: int, attributes: dict[str, Any]) -> None:
    assert_same("Split", IMAGES, *sizes, opset=opset, outputs=outputs, **attributes)


@pytest.mark.parametrize("source", [*FLOATS, *INTEGERS, "bool"])
@pytest.mark.parametrize("target", [*FLOATS, *INTEGERS, "bool"])
def test_cast(source: str, target: str) -> None:
    x = np.array([0, 1, 2.7, 100.2, 3, 0.5]).astype(source)
    assert_same("Cast", x, opset=13, to=onnx_type(np.dtype(target)))


PADS = [(0, 0, 1, 2, 0, 0, 2, 1), (1, 0, 0, 2, 0, 3, 0, 0), (0, 0, -1, 2, 0, -1, 2, -2)]


@pytest.mark.parametrize("pads", PADS)
@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pad(pads: tuple[int, ...], mode: str) -> None:
    value = [np.array(7, np.float32)] if mode == "constant" else []
    if mode == "reflect":
        pads = tuple(min(amount, 1) for amount in pads)
    if mode == "wrap" and min(pads) < 0:
        pytest.skip("onnxruntime wraps what it has cut off")
    assert_same("Pad", IMAGES, ints(*pads), *value, opset=19, mode=mode)
    if mode != "wrap":
        old = {"value": 7.0} if value else {}
        assert_same("Pad", IMAGES, opset=2, pads=list(pads), mode=mode, **old)
        assert_same("Pad", IMAGES, ints(*pads), *value, opset=13, mode=mode)


@pytest.mark.parametrize("dtype", ["float64", "int8", "int32", "int64", "uint8", "bool"])
def test_pad_of_other_types(dtype: str) -> None:
    assert_same("Pad", draw(dtype, (2, 3)), ints(1, 0, 2, 1), opset=13)
    assert_same("Pad", draw(dtype, (2, 3)), ints(1, 2), np.array(1, dtype), ints(-1), opset=18)


# --- reductions ------------------------------------------------------------------------------------------------------

REDUCTIONS = "Sum Mean Prod L1 L2 SumSquare LogSum LogSumExp Max Min".split()


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axes", [None, [1], [0, -1], [2, 3]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(name: str, axes: list[int] | None, keepdims: int) -> None:
    x = np.abs(IMAGES) if name == "LogSum" else IMAGES
    op_type = f"Reduce{name}"
    assert_same(op_type, x, opset=11, keepdims=keepdims, **({} if axes is None else {"axes": axes}))
    assert_same(op_type, x, *([] if axes is None else [ints(*axes)]), opset=18, keepdims=keepdims)
    if axes is None:
        assert_same(op_type, x, ints(), opset=18, keepdims=keepdims)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_of_no_axes(name: str) -> None:
    assert_same(f"Reduce{name}", np.abs(ROWS), opset=18, noop_with_empty_axes=1)


@pytest.mark.parametrize("name", ["Sum", "Mean", "Prod", "L1", "SumSquare", "Max", "Min"])
@pytest.mark.parametrize("dtype", ["float64", "int32", "int64"])
def test_reductions_of_other_types(name: str, dtype: str) -> None:
    assert_same(f"Reduce{name}", draw(dtype, (3, 4)), ints(1), opset=18)


@pytest.mark.parametrize("name", ["Max", "Min"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool"])
def test_extremes_of_small_types(name: str, dtype: str) -> None:
    assert_same(f"Reduce{name}", draw(dtype, (3, 4)), ints(1), opset=20)


@pytest.mark.parametrize("op_type", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("last", [0, 1])
def test_positions(op_type: str, axis: int, last: int) -> None:
    x = np.array([[1, 2, 2], [2, 1, 1]], np.float32)
    assert_same(op_type, x, opset=12, axis=axis, select_last_index=last)
    assert_same(op_type, x, opset=11, axis=axis, keepdims=0)


# --- resizing --------------------------------------------------------------------------------------------------------

SMOOTH = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]
FACTORS = [(1.0, 1.0, 2.0, 3.0), (1.0, 1.0, 0.5, 0.6), (1.0, 1.0, 1.3, 0.7), (1.0, 1.0, 2.0, 1.0)]


@pytest.mark.parametrize("coordinates", SMOOTH)
@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_interpolation(coordinates: str, factors: tuple[float, ...], mode: str) -> None:
    settings = {"mode": mode, "coordinate_transformation_mode": coordinates}
    assert_same("Resize", IMAGES, None, np.array(factors, np.float32), opset=19, **settings)
    sizes = ints(*(int(n * f) for n, f in zip(IMAGES.shape, factors, strict=True)))
    assert_same("Resize", IMAGES, None, None, sizes, opset=19, **settings)


@pytest.mark.parametrize("coordinates", SMOOTH)
@pytest.mark.parametrize("rule", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("factors", FACTORS)
def test_nearest(coordinates: str, rule: str, factors: tuple[float, ...]) -> None:
    if (coordinates, rule, factors[2]) == ("half_pixel_symmetric", "floor", 0.5):
        pytest.skip("1.5 / 0.6 - 0.5 is 2 in float32 or just below, by the order of operations")
    settings = {"mode": "nearest", "coordinate_transformation_mode": coordinates, "nearest_mode": rule}
    assert_same("Resize", IMAGES, None, np.array(factors, np.float32), opset=19, **settings)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("factors", FACTORS)
def test_antialias(mode: str, factors: tuple[float, ...]) -> None:
    assert_same("Resize", IMAGES, None, np.array(factors, np.float32), opset=19, mode=mode, antialias=1)


@pytest.mark.parametrize("a", [-0.75, -0.5])
@pytest.mark.parametrize("factors", FACTORS)
def test_cubic_without_what_lies_outside(a: float, factors: tuple[float, ...]) -> None:
    scales = np.array(factors, np.float32)
    assert_same("Resize", IMAGES, None, scales, opset=19, mode="cubic", cubic_coeff_a=a, exclude_outside=1)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_crop(mode: str) -> None:
    roi = np.array([0, 0, 0.4, 0.6, 1, 1, 1.2, 0.9], np.float32)
    settings = {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 10.0}
    assert_same("Resize", IMAGES, roi, np.array([], np.float32), ints(2, 4, 3, 4), opset=11, **settings)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_aspect_ratio(policy: str) -> None:
    settings = {"axes": [2, 3], "keep_aspect_ratio_policy": policy, "mode": "linear"}
    assert_same("Resize", IMAGES, None, None, ints(7, 8), opset=19, **settings)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int8"])
def test_nearest_of_integers(dtype: str) -> None:
    x = draw(dtype, (1, 1, 3, 4))
    assert_same("Resize", x, None, np.array([1, 1, 2, 1.5], np.float32), opset=13, mode="nearest")


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("factors", FACTORS)
def test_resize_10_and_upsample(mode: str, factors: tuple[float, ...]) -> None:
    scales = np.array(factors, np.float32)
    assert_same("Resize", IMAGES, scales, opset=10, mode=mode)
    if min(factors) >= 1:
        assert_same("Upsample", IMAGES, scales, opset=9, mode=mode)
        assert_same("Upsample", IMAGES, opset=7, mode=mode, scales=list(factors))
