"""What nobody should pass, for tests that pass it: wrong kinds, wrong numbers, wrong arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

Array = np.ndarray
HUGE = (10**12, 10**30)
"""No machine has memory for so many numbers."""

SCALARS: list[Any] = [
    *(None, True, False, np.True_, "", "x", "same", b"x", 1j, object(), {}, {1, 2}, np.ma.masked, "nan"),
    *(-1, 0, 1, 2, 3, *HUGE, -(10**30), 10**400, np.int64(2), np.uint8(1)),
    *(0.5, 1.0, 1.5, -0.1, float("nan"), float("inf"), float("-inf"), np.float32(0.5), np.float64(1.0)),
]
SEQUENCES: list[Any] = [
    *((), (1,), (1, 2), (2, 2, 2), (1, -1), (0, 0), (1, 1.0), (True, True), (HUGE[0], 1), (HUGE[0],) * 2, [1, 2]),
    *([[1, 2], [3, 4]], ((1, 2), (3, 4)), ((1, -1), (0, 0)), ((1, 2), 3), ("x", "y"), (None, 2), range(2)),
    *(np.array(1), np.array([1, 2]), np.ones((2, 2)), np.array([]), np.array(["a"])),
]
settings_of_all_kinds = st.sampled_from(SCALARS + SEQUENCES) | st.integers(-4, 7) | st.tuples(*[st.integers(-1, 4)] * 2)


class Subclass(np.ndarray):
    """As users make them."""


def wrong_arrays(x: Array) -> Iterator[tuple[str, Any]]:
    """What is no array of floats: a label, and the thing."""
    yield "list", x.tolist()
    yield "NoneType", None
    yield "str", "x"
    yield "float", 1.0
    yield "float64", np.float64(1.0)
    for dtype in ("O", "c16", "i8", "u1", "?", "U3", "V8", "g", "M8[s]"):
        yield dtype, np.zeros(x.shape, dtype)
    yield "masked", np.ma.masked_array(x, mask=np.zeros(x.shape, bool))


@st.composite
def arrays_of_all_kinds(draw: Any, x: Array) -> Any:
    """Arrays like `x`, with another shape, another dtype or of another class, and what is no array."""
    shape = list(x.shape)
    change = draw(st.sampled_from(["shape", "rank", "dtype", "class", "none"]))
    if change == "shape" and shape:
        shape[draw(st.integers(0, len(shape) - 1))] = draw(st.integers(0, 7))
        return np.ones(shape, x.dtype)
    if change == "rank":
        return np.ones(draw(st.lists(st.integers(0, 4), max_size=6)), x.dtype)
    if change == "dtype":
        return np.zeros(
            x.shape, draw(st.sampled_from(["f2", "f4", "f8", ">f8", ">f4", "i8", "?", "O", "c8", "U1", "g"]))
        )
    if change == "class":
        return draw(st.sampled_from([x.view(Subclass), np.ma.masked_array(x), np.broadcast_to(x[:1], x.shape)]))
    return draw(settings_of_all_kinds)


def plain(value: Any) -> Any:
    """The same in its plainest form: NumPy's numbers as Python's, lists as tuples, arrays as native contiguous ones."""
    if isinstance(value, Array):
        return np.array(value, value.dtype.newbyteorder("="), order="C", subok=False)
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(map(plain, value))
    return value


def assert_same(actual: Any, expected: Any) -> None:
    """The same in everything that an operation returns, but for the order in which numbers were added up."""
    if isinstance(expected, tuple):
        assert type(actual) is type(expected)
        for a, b in zip(actual, expected, strict=True):
            assert_same(a, b)
    elif isinstance(expected, Array):
        assert type(actual) is Array
        assert actual.dtype == expected.dtype
        if expected.dtype.kind in "fc":
            tolerance = 100 * np.finfo(expected.dtype).eps
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(actual, expected)
    elif isinstance(expected, float):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)
    elif not hasattr(expected, "__dict__"):
        assert actual == expected


ERRORS = (TypeError, ValueError, IndexError, MemoryError)
"""What may come; all classes of errors.py that stand for a caller's mistake are among these."""


def assert_refused_or_right(name: str, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Either an error that begins with the name, or what the plainest form of the arguments gives; none is written."""
    before = {k: _content(v) for k, v in arguments.items() if isinstance(v, Array)}
    try:
        result = function(**arguments)
    except ERRORS as error:
        assert re.match(rf"{re.escape(name)}(\(\))?[: ]", str(error)), f"{type(error).__name__}: {error}"  # noqa: PT017
    else:
        again = function(**{k: plain(v) for k, v in arguments.items()})
        assert_same(result, again)
    assert before == {k: _content(v) for k, v in arguments.items() if k in before}


def _content(x: Array) -> bytes:
    return np.asarray(x).tobytes()
