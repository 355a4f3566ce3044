"""float_op lets in what an operation can compute with, converts what it may, and names what it refuses."""

from __future__ import annotations

import inspect
import pickle
from typing import NamedTuple

import numpy as np
import pytest

from cnn_from_scratch import ops
from cnn_from_scratch.ops import dtypes
from cnn_from_scratch.ops.dtypes import float_op


class Cache(NamedTuple):
    x: np.ndarray
    scale: float


@float_op("x", "weight", "bias")
def scale_forward(x, weight, bias=None, *, offset=0.0):
    y = x * weight + offset
    return (y if bias is None else y + bias), Cache(x, 2.0)


@float_op("dy")
def scale_backward(dy, cache, *, need_dx=True):
    return (dy if need_dx else None), np.sum(dy * cache.x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_that_are_as_they_should_be_are_passed_on_themselves(dtype):
    x, weight = np.ones(3, dtype), np.ones(3, dtype)
    seen = float_op("a", "b", "c")(lambda a, b, c=None: (a, b, c))
    for got in (seen(x, weight), seen(x, b=weight), seen(b=weight, a=x), seen(x, weight, None)):
        assert got[0] is x
        assert got[1] is weight
        assert got[2] is None


@pytest.mark.fault("wrong-dtype")
def test_float16_computes_in_float32_and_comes_back():
    x = np.array([300.0], np.float16)
    seen = []
    half = float_op("x")(lambda x: (seen.append(x.dtype), x * x / 300)[1])
    y = half(x)  # 300 * 300 = 90000 is beyond float16, but not on the way
    assert seen == [np.dtype(np.float32)]
    assert y.dtype == np.float16
    assert y == 300


def test_every_result_is_narrowed_but_the_cache_is_not():
    x = np.ones(2, np.float16)
    y, cache = scale_forward(x, x, bias=x)
    assert y.dtype == np.float16
    assert cache.x.dtype == np.float32
    dx, total = scale_backward(y, cache)
    assert dx.dtype == total.dtype == np.float16
    assert scale_backward(y, cache, need_dx=False)[0] is None


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_byte_swapped_arrays_arrive_native(dtype):
    x = np.arange(3.0).astype(np.dtype(dtype).newbyteorder())
    y, cache = scale_forward(x, weight=np.full(3, 2.0, dtype))
    assert y.dtype == np.dtype(dtype)
    assert cache.x.dtype.isnative
    np.testing.assert_array_equal(y, [0, 2, 4])


def test_a_dtype_that_was_pickled_counts_as_the_same():
    x = pickle.loads(pickle.dumps(np.ones(2, np.float32)))
    assert scale_forward(x, np.ones(2, np.float32))[0].dtype == np.float32


def test_subclasses_of_arrays_are_welcome(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(2,))
    x[:] = 3
    np.testing.assert_array_equal(scale_forward(x, np.ones(2, np.float32))[0], [3, 3])


def test_the_name_and_docstring_stay():
    assert scale_forward.__name__ == "scale_forward"


F4, F8, F2 = np.ones(2, np.float32), np.ones(2, np.float64), np.ones(2, np.float16)
REFUSED = [np.int64, np.uint8, np.bool_, np.complex64, np.longdouble, object, "U1"]


@pytest.mark.fault("wrong-dtype")
@pytest.mark.parametrize("dtype", REFUSED)
def test_other_dtypes_are_refused(dtype):
    x = np.ones(2).astype(dtype)
    with pytest.raises(TypeError) as caught:
        scale_forward(F4, weight=x)
    assert str(caught.value) == (
        f"scale_forward: weight has dtype {x.dtype}; expected float32 or float64 "
        f"(convert it, as in weight.astype(np.float32))"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scale_forward([1.0], F4), "scale_forward: x must be a NumPy array, got list"),
        (lambda: scale_forward(None, F4), "scale_forward: x must be a NumPy array, got NoneType"),
        (lambda: scale_forward(F4, 2.0), "scale_forward: weight must be a NumPy array, got float"),
        (lambda: scale_forward(F4, F4, bias=np.float32(1)), "scale_forward: bias must be a NumPy array, got float32"),
        (
            lambda: scale_forward(F4, F4, F8),
            "scale_forward: arguments have different dtypes (x float32, weight float32, bias float64); "
            "convert them to one",
        ),
        (
            lambda: scale_forward(F2, F4),
            "scale_forward: arguments have different dtypes (x float16, weight float32); convert them to one",
        ),
        (
            lambda: scale_backward(F8, Cache(F4, 1.0)),
            "scale_backward: dy has dtype float64 but the forward pass ran in float32; convert dy",
        ),
        (
            lambda: scale_backward(F4, cache=Cache(F8, 1.0)),
            "scale_backward: dy has dtype float32 but the forward pass ran in float64; convert dy",
        ),
        (
            lambda: scale_backward(F2, Cache(F8, 1.0)),
            "scale_backward: dy has dtype float16 but the forward pass ran in float64; convert dy",
        ),
        (lambda: scale_forward(F4), "scale_forward() missing 1 required positional argument: 'weight'"),
        (lambda: scale_forward(weight=F4), "scale_forward() missing 1 required positional argument: 'x'"),
        (lambda: scale_forward(F2, F2, ofset=1), "scale_forward() got an unexpected keyword argument 'ofset'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == message


def test_the_usual_call_does_not_take_the_slow_way(monkeypatch):
    def slow(*_):
        raise AssertionError("the thorough check ran")

    monkeypatch.setattr(dtypes, "_common_dtype", slow)
    scale_forward(F4, F4, bias=None)
    scale_backward(F4, Cache(F4, 1.0), need_dx=False)
    with pytest.raises(AssertionError):
        scale_forward(F2, F2)


BACKWARD = [name for name in ops.__all__ if name.endswith("_backward")]


@pytest.mark.parametrize("name", BACKWARD)
@pytest.mark.parametrize(("cache", "kind"), [(None, "NoneType"), (Cache(F4, 1.0), "Cache")])
def test_every_backward_operation_refuses_a_foreign_cache(name, cache, kind):
    backward = getattr(ops, name)
    arguments = (F4, cache) if "dy" in inspect.signature(backward).parameters else (cache,)
    with pytest.raises(TypeError) as caught:
        backward(*arguments)
    assert str(caught.value) == f"{name}: cache must come from {name.replace('back', 'for')}, got {kind}"


def test_a_cache_of_another_operation_is_refused_though_it_looks_alike():
    _, cache = ops.tanh_forward(F4)
    with pytest.raises(TypeError, match=r"^sigmoid_backward: cache must come from sigmoid_forward, got TanhCache$"):
        ops.sigmoid_backward(F4, cache)
    with pytest.raises(TypeError, match=r"^sigmoid_backward\(\) missing 1 required positional argument: 'cache'$"):
        ops.sigmoid_backward(F4)


def test_the_usual_backward_call_does_not_take_the_slow_way(monkeypatch):
    _, cache = ops.relu_forward(F4)
    monkeypatch.setattr(dtypes, "_common_dtype", None)
    assert ops.relu_backward(F4, cache) is not None
