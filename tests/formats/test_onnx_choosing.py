"""Comparisons, logic and Where."""

from __future__ import annotations

import numpy as np
import pytest
from formats.onnx_nodes import assert_node_gradients, make, run

from cnn_from_scratch.errors import ShapeError, UnsupportedOpError
from cnn_from_scratch.layers.context import Context

ONE_TO_THREE = np.array([1.0, 2.0, 3.0], np.float32)


@pytest.mark.parametrize(
    ("op_type", "expected"),
    [
        ("Equal", [False, True, False]),
        ("Greater", [False, False, True]),
        ("GreaterOrEqual", [False, True, True]),
        ("Less", [True, False, False]),
        ("LessOrEqual", [True, True, False]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint64])
def test_comparisons_with_two(op_type, expected, dtype):
    y = run(op_type, ONE_TO_THREE.astype(dtype), np.array(2, dtype), opset=16)
    np.testing.assert_array_equal(y, expected, strict=True)


@pytest.mark.parametrize(
    ("op_type", "expected"), [("And", [[1, 0], [0, 0]]), ("Or", [[1, 1], [1, 0]]), ("Xor", [[0, 1], [1, 0]])]
)
def test_truth_tables(op_type, expected):
    values = np.array([True, False])
    np.testing.assert_array_equal(run(op_type, values[:, None], values), np.array(expected, bool), strict=True)
    np.testing.assert_array_equal(run("Not", values), [False, True], strict=True)


def test_nan_is_neither_equal_nor_more():
    nan = np.array([np.nan], np.float32)
    assert not any(run(op_type, nan, nan) for op_type in ("Equal", "Greater", "LessOrEqual"))


def test_old_versions_broadcast_where_they_are_told():
    """b = [1, 3] along axis 0 of a = [[1, 2, 3], [1, 2, 3]]."""
    a, b = np.stack([ONE_TO_THREE] * 2), np.array([1, 3], np.float32)
    y = run("Greater", a, b, attributes={"broadcast": 1, "axis": 0}, opset=6)
    np.testing.assert_array_equal(y, [[False, True, True], [False, False, False]])
    with pytest.raises(ShapeError, match=r"^Greater: shapes \(2, 3\) and \(2,\) differ"):
        run("Greater", a, b, opset=6)


def test_where_by_hand():
    condition = np.array([[True], [False]])
    y = run("Where", condition, ONE_TO_THREE, np.array(-1, np.float32), opset=9)
    np.testing.assert_array_equal(y, np.array([[1, 2, 3], [-1, -1, -1]], np.float32), strict=True)
    assert run("Where", condition, np.array([1, 2]), np.array([3, 4])).dtype == np.int64


def test_where_chooses_nan_only_where_it_is_told():
    """The one that is not chosen does not matter, neither forward nor backward."""
    condition = np.array([True, False])
    a, b = np.array([1.0, np.nan]), np.array([np.inf, 2.0])
    np.testing.assert_array_equal(run("Where", condition, a, b), [1, 2])
    operation = make("Where", inputs=3)
    _, cache = operation.forward([condition, a, b], Context())
    _, da, db = operation.backward([np.array([5.0, 7.0])], cache, [False, True, True])
    np.testing.assert_array_equal([da, db], [[5, 0], [0, 7]])


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), (2, 3)), ((3,), (2, 1), ()), ((2, 1, 1), (3, 1), (1, 4))])
def test_the_gradient_of_where(shapes):
    rng = np.random.default_rng(0)
    condition = rng.random(shapes[0]) < 0.5
    assert_node_gradients("Where", condition, rng.standard_normal(shapes[1]), rng.standard_normal(shapes[2]))


def test_the_truth_has_no_gradient():
    operation = make("Greater", inputs=2)
    _, cache = operation.forward([ONE_TO_THREE, ONE_TO_THREE], Context())
    with pytest.raises(UnsupportedOpError) as caught:
        operation.backward([ONE_TO_THREE], cache, [True, False])
    assert str(caught.value) == "Greater has no gradient"


def test_errors():
    with pytest.raises(TypeError) as caught:
        run("Where", ONE_TO_THREE, ONE_TO_THREE, ONE_TO_THREE)
    assert str(caught.value) == "Where: the condition must be boolean, got float32"
    with pytest.raises(TypeError, match="all inputs must have one dtype, got float32, int64; a Cast node converts"):
        run("Equal", ONE_TO_THREE, np.array([1, 2, 3]))
    with pytest.raises(ShapeError, match=r"^Where: shapes \(2,\), \(3,\), \(3,\) cannot be broadcast to one"):
        run("Where", np.array([True, False]), ONE_TO_THREE, ONE_TO_THREE)
