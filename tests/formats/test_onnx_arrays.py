"""Operators that move, repeat, choose and reduce numbers: cases by hand, NumPy as an oracle, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from formats.onnx_nodes import make, run
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import layouts

from cnn_from_scratch.errors import FormatError, LimitError, ShapeError, UnsupportedOpError
from cnn_from_scratch.layers.context import Context
from cnn_from_scratch.ops import pad_forward, upsample_forward

X = np.arange(24.0).reshape(2, 3, 4)
IMAGES = np.random.default_rng(0).standard_normal((2, 4, 6, 4)).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


# --- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, -1), (-1,), (4, 0, 2), (2, 3, 4), (1, 24, -1)])
def test_reshape(shape):
    expected = X.reshape([X.shape[i] if size == 0 else size for i, size in enumerate(shape)])
    assert np.array_equal(run("Reshape", X, ints(*shape)), expected)
    assert np.array_equal(run("Reshape", X, attributes={"shape": list(shape)}, opset=1), expected)
    for name, other in layouts(X):
        assert np.array_equal(run("Reshape", other, ints(*shape)), expected), name


def test_reshape_of_nothing():
    assert run("Reshape", np.zeros((0, 3, 4)), ints(3, 0), attributes={"allowzero": 1}).shape == (3, 0)
    assert run("Reshape", np.zeros((3, 0)), ints(-1, 3)).shape == (0, 3)
    assert run("Reshape", np.array([5.0]), ints()).shape == ()


@pytest.mark.parametrize("shape", [(5, -1), (-1, -1), (-2, 12), (25,), (1, 1, 1, 0)])
def test_reshape_refuses(shape):
    with pytest.raises(ShapeError, match=r"Reshape: an array of shape \(2, 3, 4\) cannot take shape"):
        run("Reshape", X, ints(*shape))


def test_reshape_refuses_to_guess():
    with pytest.raises(ShapeError, match="cannot take shape"):
        run("Reshape", np.zeros((0, 3)), ints(0, -1), attributes={"allowzero": 1})
    with pytest.raises(ShapeError, match="Reshape: shape must be integers in a row, got float64"):
        run("Reshape", X, np.ones(2))
    with pytest.raises(ShapeError, match="Reshape: input shape is missing"):
        run("Reshape", X)


def test_axes_of_size_one():
    x = X[:1, :, None]
    assert run("Squeeze", x, ints(-2)).shape == (1, 3, 4)
    assert run("Squeeze", x).shape == (3, 4)
    assert run("Squeeze", x, attributes={"axes": [0]}, opset=11).shape == (3, 1, 4)
    assert run("Unsqueeze", X, ints(0, -1)).shape == (1, 2, 3, 4, 1)
    assert run("Unsqueeze", X, attributes={"axes": [4, 1]}, opset=1).shape == (2, 1, 3, 4, 1)
    with pytest.raises(ShapeError, match=r"Squeeze: inputs \(float64 \(2, 3, 4\), int64 \(1,\)\) do not fit"):
        run("Squeeze", X, ints(0))
    with pytest.raises(ShapeError, match=r"Unsqueeze: axes must be different, got \(0, -5\)"):
        run("Unsqueeze", X, ints(0, -5))
    with pytest.raises(ShapeError, match=r"Squeeze: axes must be in \[-3, 2\] for an array of 3 axes, got 3"):
        run("Squeeze", X, ints(3))


def test_transpose_refuses():
    with pytest.raises(ShapeError, match=r"Transpose: perm \(0, 1\) must name all 3 axes"):
        run("Transpose", X, attributes={"perm": [0, 1]})
    with pytest.raises(ShapeError, match="Transpose: axes must be different"):
        run("Transpose", X, attributes={"perm": [0, 1, 1]})


def test_sizes():
    assert run("Shape", X).tolist() == [2, 3, 4]
    assert run("Shape", X, attributes={"start": -2, "end": -1}).tolist() == [3]
    assert run("Shape", np.array(1.0)).dtype == np.int64
    assert run("Size", X).item() == 24


def test_copies():
    assert run("Expand", np.array([[1], [2]]), ints(3, 1, 2)).tolist() == [[[1, 1], [2, 2]]] * 3
    assert run("Tile", np.array([[1, 2]]), ints(2, 2)).tolist() == [[1, 2, 1, 2]] * 2
    with pytest.raises(ShapeError, match="Expand: inputs"):
        run("Expand", X, ints(4, 3, 5))
    with pytest.raises(ShapeError, match=r"Tile: repeats must be 3 numbers of at least 0, got \(2,\)"):
        run("Tile", X, ints(2))
    with pytest.raises(UnsupportedOpError, match="tiles and axis as inputs"):
        make("Tile", opset=1, inputs=2)


# --- side by side ----------------------------------------------------------------------------------------------------


def test_concat():
    assert run("Concat", ints(1, 2), ints(), ints(3), attributes={"axis": -1}).tolist() == [1, 2, 3]
    assert run("Concat", X, X, opset=1).shape == (2, 6, 4)
    with pytest.raises(ShapeError, match=r"Concat: shapes must agree in all axes but 0, got \(2, 3, 4\), \(2, 3\)"):
        run("Concat", X, X[..., 0], attributes={"axis": 0})
    with pytest.raises(FormatError, match="attribute axis is missing"):
        make("Concat", inputs=2)


def test_split():
    assert [y.tolist() for y in run("Split", ints(1, 2, 3, 4, 5), outputs=3, opset=18)] == [[1, 2], [3, 4], [5]]
    assert [y.tolist() for y in run("Split", ints(1, 2, 3), ints(1, 2), outputs=2)] == [[1], [2, 3]]
    assert [y.tolist() for y in run("Split", ints(1, 2), ints(2, 0), outputs=2, opset=1)] == [[1, 2], []]
    with pytest.raises(ShapeError, match="Split: 5 cannot be cut into 2 equal parts"):
        run("Split", np.ones(5), outputs=2, opset=13)
    with pytest.raises(ShapeError, match="Split: 5 cannot be cut into 4 parts of 2, the last one shorter"):
        run("Split", np.ones(5), outputs=4, opset=18)
    with pytest.raises(ShapeError, match=r"axis 0 of an array \(5,\) cannot be cut into \(2, 2\) for 2 outputs"):
        run("Split", np.ones(5), ints(2, 2), outputs=2)


# --- some of them ----------------------------------------------------------------------------------------------------

places = st.one_of(st.integers(-7, 7), st.sampled_from([2**63 - 1, -(2**63)]))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 5), places, places, st.sampled_from([-3, -2, -1, 1, 2, 3]))
def test_slice_is_a_walk_along_the_axis(size, start, end, step):
    """Clamped as ONNX says, then walked one step at a time."""
    found = run("Slice", np.arange(size), ints(start), ints(end), ints(0), ints(step))
    start, end = (place + size if place < 0 else place for place in (start, end))
    low, high = (0, size) if step > 0 else (-1, size - 1)
    place, end = min(max(start, 0), high), min(max(end, low), high)
    walked = []
    while size and (place < end if step > 0 else place > end):
        walked.append(place)
        place += step
    assert found.tolist() == walked


def test_slice_refuses():
    with pytest.raises(ShapeError, match="Slice: a step must not be 0"):
        run("Slice", X, ints(0), ints(1), ints(0), ints(0))
    with pytest.raises(ShapeError, match="must be equally many"):
        run("Slice", X, ints(0), ints(1, 2))
    with pytest.raises(ShapeError, match="Slice: starts and ends must be there"):
        run("Slice", X)


def test_gather():
    assert run("Gather", X, ints(-1, 0), attributes={"axis": 2}).tolist() == X[:, :, [-1, 0]].tolist()
    assert run("Gather", X, np.array(1)).tolist() == X[1].tolist()
    assert run("Gather", X, ints()).shape == (0, 3, 4)
    with pytest.raises(ShapeError, match=r"Gather: indices must be in \[-3, 2\] for axis 1 of an array .*, got 0 to 3"):
        run("Gather", X, ints(0, 3), attributes={"axis": 1})
    with pytest.raises(TypeError, match="Gather: indices must be integers, got float64"):
        run("Gather", X, np.ones(1))


# --- Pad -------------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["constant", "reflect", "edge", "wrap"]), st.lists(st.integers(0, 9), min_size=6, max_size=6))
def test_pad_is_numpys(mode, pads):
    expected = np.pad(X, list(zip(pads[:3], pads[3:], strict=True)), mode=mode)
    assert np.array_equal(run("Pad", X, ints(*pads), attributes={"mode": mode}), expected)


def test_pad_cuts_first():
    """Of 1 2 3 4 the 1 goes; then 2 is doubled on the right end: 4 3 is what a mirror shows."""
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert run("Pad", x, ints(-1, 2), attributes={"mode": "reflect"}).tolist() == [2, 3, 4, 3, 2]
    assert run("Pad", x, ints(-1, 2), attributes={"mode": "wrap"}).tolist() == [2, 3, 4, 2, 3]
    assert run("Pad", x, ints(-2, -2)).tolist() == []


def test_pad_in_all_its_forms():
    x = np.array([[1, 2]])
    assert run("Pad", x, ints(1, 0), np.array(7), ints(1)).tolist() == [[7, 1, 2]]
    assert run("Pad", x, ints(0, 1, 0, 0), np.array([7])).tolist() == [[7, 1, 2]]
    assert run("Pad", x * 1.0, attributes={"pads": [0, 1, 0, 0], "value": 7.0}, opset=2).tolist() == [[7, 1, 2]]
    assert run("Pad", x * 1.0, attributes={"paddings": [0, 1, 0, 0], "value": 7.0}, opset=1).tolist() == [[7, 1, 2]]


def test_pad_of_images_is_our_own():
    for mode, ours in [("constant", "constant"), ("reflect", "reflect"), ("edge", "replicate")]:
        y = run("Pad", IMAGES, ints(0, 0, 1, 2, 0, 0, 3, 0), attributes={"mode": mode})
        assert np.array_equal(y, pad_forward(IMAGES, ((1, 3), (2, 0)), mode=ours)[0])


def test_pad_refuses():
    with pytest.raises(ShapeError, match=r"Pad: pads must be 6 numbers for 3 axes, got \(1, 2\)"):
        run("Pad", X, ints(1, 2))
    with pytest.raises(ShapeError, match=r"Pad: pads \(-2, -1\) take more than axis 0 of an array \(2, 3, 4\) has"):
        run("Pad", X, ints(-2, -1), None, ints(0))
    with pytest.raises(ShapeError, match="an axis without numbers cannot be padded by mode 'edge'"):
        run("Pad", X[:0], ints(1, 0), None, ints(0), attributes={"mode": "edge"})
    with pytest.raises(FormatError, match="mode must be one of constant, reflect, edge, wrap, got 'mirror'"):
        make("Pad", {"mode": "mirror"}, inputs=2)


# --- reductions ------------------------------------------------------------------------------------------------------

ORACLES = {
    "Sum": np.sum,
    "Mean": np.mean,
    "Prod": np.prod,
    "Max": np.max,
    "Min": np.min,
    "L1": lambda x, axis, keepdims: np.abs(x).sum(axis, keepdims=keepdims),
    "L2": lambda x, axis, keepdims: np.sqrt((x * x).sum(axis, keepdims=keepdims)),
    "SumSquare": lambda x, axis, keepdims: (x * x).sum(axis, keepdims=keepdims),
    "LogSum": lambda x, axis, keepdims: np.log(x.sum(axis, keepdims=keepdims)),
    "LogSumExp": lambda x, axis, keepdims: np.log(np.exp(x).sum(axis, keepdims=keepdims)),
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("axes", [(0,), (-1, 0), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions(name, axes, keepdims):
    x = np.random.default_rng(0).uniform(0.5, 2, (2, 3, 4))
    expected = ORACLES[name](x, axis=axes, keepdims=bool(keepdims))
    old = {"axes": list(axes), "keepdims": keepdims}
    found = [
        run(f"Reduce{name}", x, ints(*axes), attributes={"keepdims": keepdims}),
        run(f"Reduce{name}", x, attributes=old, opset=11),
        *([run(f"Reduce{name}", x, attributes=old, opset=17)] if name != "Sum" else []),
    ]
    for y in found:
        assert y.shape == np.shape(expected)
        np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_reductions_of_nothing():
    """Their neutral elements."""
    empty = {"Sum": 0, "Prod": 1, "L1": 0, "L2": 0, "SumSquare": 0, "LogSum": -np.inf, "LogSumExp": -np.inf}
    for name, value in {**empty, "Max": -np.inf, "Min": np.inf}.items():
        assert run(f"Reduce{name}", np.zeros((2, 0)), ints(1)).tolist() == [[value]] * 2, name
    assert run("ReduceMax", np.zeros((1, 0), np.int8), ints(1)).tolist() == [[-128]]
    assert run("ReduceMin", np.zeros((1, 0), np.uint8), ints(1)).tolist() == [[255]]
    assert run("ReduceMax", np.zeros((1, 0), bool), ints(1)).tolist() == [[False]]


def test_reductions_over_no_axes():
    x = np.array([-2.0, 3.0])
    for name, values in {"Sum": [-2, 3], "L1": [2, 3], "SumSquare": [4, 9], "Max": [-2, 3]}.items():
        noop = {"noop_with_empty_axes": 1}
        assert run(f"Reduce{name}", x, attributes=noop).tolist() == values
        assert run(f"Reduce{name}", x, ints(), attributes=noop).tolist() == values
        assert run(f"Reduce{name}", x, ints(0), attributes=noop | {"keepdims": 0}).shape == ()


def test_integers_reduce_as_integers():
    x = np.array([[-7, 2], [100, 101]], np.int32)
    assert run("ReduceMean", x, ints(1), attributes={"keepdims": 0}).tolist() == [-2, 100]  # -5/2 towards zero
    for name in ("Sum", "Prod", "L1", "L2", "SumSquare", "Max", "Min", "Mean"):
        assert run(f"Reduce{name}", x, ints(1)).dtype == np.int32
    assert run("ReduceL2", np.array([3, 4])).tolist() == [5]


def test_log_sum_exp_does_not_overflow():
    np.testing.assert_allclose(run("ReduceLogSumExp", np.array([1000.0, 1000.0])), [1000 + np.log(2)])
    assert run("ReduceLogSumExp", np.array([-np.inf, -np.inf])).tolist() == [-np.inf]
    assert run("ReduceLogSumExp", np.array([np.inf, 0])).tolist() == [np.inf]


def test_halves_add_up_in_single_precision():
    assert run("ReduceSum", np.ones(4096, np.float16) + np.float16(0.5)).tolist() == [6144]


def test_positions():
    x = np.array([[1.0, 3.0, 3.0]])
    assert run("ArgMax", x, attributes={"axis": 1}).tolist() == [[1]]
    assert run("ArgMax", x, attributes={"axis": -1, "select_last_index": 1, "keepdims": 0}).tolist() == [2]
    assert run("ArgMin", x).tolist() == [[0, 0, 0]]
    assert run("ArgMin", x).dtype == np.int64
    with pytest.raises(ShapeError, match=r"ArgMax: axis 0 of an array \(0, 3\) is empty"):
        run("ArgMax", x[:0])


# --- resizing --------------------------------------------------------------------------------------------------------


def test_enlarging_by_hand():
    """Halfway between two pixels of 0 and 4 lie 1 and 3, a quarter from each; beyond them nothing changes."""
    x, scales = np.array([0.0, 4.0]), np.array([2], np.float32)
    assert run("Resize", x, None, scales, attributes={"mode": "linear"}).tolist() == [0, 1, 3, 4]
    assert run("Resize", x, None, scales).tolist() == [0, 0, 4, 4]
    attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    assert run("Resize", x, None, None, ints(5), attributes=attributes).tolist() == [0, 1, 2, 3, 4]


def test_corners_lie_on_corners_whatever_the_scale():
    """3 of 5 pixels by a scale of 0.6, rounded down or not: 0, 2 and 4, as onnxruntime and PyTorch have it."""
    attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    y = run("Resize", np.arange(5.0), None, np.array([0.7], np.float32), attributes=attributes)
    assert y.tolist() == [0, 2, 4]


def test_a_scale_is_multiplied_in_float32():
    """0.7 of 10 pixels are 7, though 0.7 is a little less in float32."""
    assert run("Resize", np.arange(10.0), None, np.array([0.7], np.float32)).shape == (7,)


def test_whole_factors_are_our_own_upsampling():
    expected = upsample_forward(IMAGES, (2, 3))[0]
    scales = np.array([1, 1, 2, 3], np.float32)
    assert np.array_equal(run("Resize", IMAGES, None, scales), expected)
    assert np.array_equal(run("Resize", IMAGES, scales, opset=10), expected)
    assert np.array_equal(run("Upsample", IMAGES, scales, opset=9), expected)
    assert np.array_equal(run("Upsample", IMAGES, attributes={"scales": [1.0, 1.0, 2.0, 3.0]}, opset=7), expected)
    old = {"height_scale": 2.0, "width_scale": 3.0}
    assert np.array_equal(run("Upsample", IMAGES, attributes=old, opset=1), expected)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_in_any_memory_layout(mode):
    scales = np.array([1, 1, 1.5, 0.6], np.float32)
    expected = run("Resize", IMAGES, None, scales, attributes={"mode": mode})
    for name, other in layouts(IMAGES):
        found = run("Resize", other, None, scales, attributes={"mode": mode})
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_resize_of_all_axes_and_of_none():
    x = np.random.default_rng(0).random((3, 4, 5))
    sizes = run("Resize", x, None, None, ints(5, 4, 3), attributes={"mode": "linear"})
    assert sizes.shape == (5, 4, 3)
    assert np.array_equal(run("Resize", x, None, np.ones(3, np.float32), attributes={"mode": "cubic"}), x)
    assert run("Resize", x[:0], None, np.array([1, 2, 2], np.float32), attributes={"mode": "linear"}).shape == (
        0,
        8,
        10,
    )


def test_a_constant_picture_stays_constant():
    x = np.full((1, 1, 5, 7), 3.0)
    for mode in ("linear", "cubic"):
        for antialias in (0, 1):
            attributes = {"mode": mode, "antialias": antialias}
            y = run("Resize", x, None, np.array([1, 1, 0.4, 1.9], np.float32), attributes=attributes)
            np.testing.assert_allclose(y, 3, rtol=1e-12)


def test_resize_refuses():
    with pytest.raises(ShapeError, match="either scales or sizes must be there, and not both"):
        run("Resize", X, None, np.ones(3, np.float32), ints(2, 3, 4))
    with pytest.raises(ShapeError, match=r"Resize: scales must be 3 numbers above 0, got \[1.0, 0.0, 1.0\]"):
        run("Resize", X, None, np.array([1, 0, 1], np.float32))
    with pytest.raises(ShapeError, match=r"an array of shape \(0, 3\) cannot get shape \(2, 3\)"):
        run("Resize", np.zeros((0, 3)), None, None, ints(2, 3))
    with pytest.raises(ShapeError, match=r"Resize: sizes must be 3 numbers, got \(2,\)"):
        run("Resize", X, None, None, ints(2))
    with pytest.raises(FormatError, match="mode must be one of nearest, linear, cubic, got 'lanczos'"):
        make("Resize", {"mode": "lanczos"}, inputs=3)


def test_blocks():
    """Four channels become the four pixels of a block, and back."""
    x = np.arange(4.0).reshape(1, 4, 1, 1)
    y = run("DepthToSpace", x, attributes={"blocksize": 2})
    assert y.tolist() == [[[[0, 1], [2, 3]]]]
    assert np.array_equal(run("SpaceToDepth", y, attributes={"blocksize": 2}), x)
    expected = run("DepthToSpace", IMAGES, attributes={"blocksize": 2})
    for name, other in layouts(IMAGES):
        assert np.array_equal(run("DepthToSpace", other, attributes={"blocksize": 2}), expected), name
    with pytest.raises(ShapeError, match="C=4 channels cannot become blocks of 3x3 pixels"):
        run("DepthToSpace", IMAGES, attributes={"blocksize": 3})
    with pytest.raises(ShapeError, match="images of 6x4 pixels cannot be cut into blocks of 4x4"):
        run("SpaceToDepth", IMAGES, attributes={"blocksize": 4})
    with pytest.raises(FormatError, match="blocksize must be at least 1, got 0"):
        make("DepthToSpace", {"blocksize": 0})


# --- constants -------------------------------------------------------------------------------------------------------


def constant(**attributes):
    (y,), _ = make("Constant", attributes, inputs=0).forward([], Context())
    return y


def test_constants():
    assert constant(value=X) is not X
    assert np.array_equal(constant(value=X), X)
    assert (constant(value_float=1.5).shape, constant(value_float=1.5).dtype) == ((), np.float32)
    assert constant(value_floats=[1.5, 2.0]).dtype == np.float32
    assert (constant(value_int=7).item(), constant(value_ints=[7]).dtype) == (7, np.int64)
    assert constant(value_strings=["a", "b"]).tolist() == ["a", "b"]
    assert constant(value_string="a").item() == "a"
    with pytest.raises(ValueError, match="read-only"):
        constant(value=X)[0] = 1
    with pytest.raises(FormatError, match="must have exactly one of value, value_float"):
        constant(value_int=7, value_float=1.0)
    with pytest.raises(FormatError, match="value must be a tensor, got int"):
        constant(value=7)


def test_constants_of_a_shape():
    assert run("ConstantOfShape", ints(2, 1)).tolist() == [[0], [0]]
    assert run("ConstantOfShape", ints(), attributes={"value": np.array([7], np.int8)}).dtype == np.int8
    with pytest.raises(ShapeError, match=r"ConstantOfShape: sizes must be at least 0, got \(-1,\)"):
        run("ConstantOfShape", ints(-1))
    with pytest.raises(FormatError, match="value must be a tensor of one number"):
        make("ConstantOfShape", {"value": np.ones(2)})


# --- what a file may ask for -----------------------------------------------------------------------------------------

HUGE = 1 << 40


@pytest.mark.parametrize(
    ("op_type", "arrays"),
    [
        ("ConstantOfShape", [ints(HUGE)]),
        ("Expand", [np.ones(1), ints(HUGE)]),
        ("Tile", [np.ones(1), ints(HUGE)]),
        ("Pad", [np.ones(1), ints(HUGE, 0)]),
        ("Resize", [np.ones(1), None, None, ints(HUGE)]),
        ("Resize", [np.ones(1), None, np.array([1e12], np.float32)]),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_allocated(op_type, arrays):
    with pytest.raises(LimitError, match=f"{op_type}: an output of shape .* has .* bytes; at most 4294967296"):
        run(op_type, *arrays)


def test_an_axis_without_images_cannot_be_absurd_either():
    with pytest.raises(LimitError, match="Resize: an output of shape"):
        run("Resize", np.zeros((0, 1)), None, np.array([1, 1e12], np.float32))


def test_resize_to_nothing():
    attributes = {"mode": "linear", "antialias": 1}
    assert run("Resize", np.ones((1, 3)), None, None, ints(1, 0), attributes=attributes).shape == (1, 0)
