"""Plain values survive a file with their types and every bit; what is no such value, or no such file, is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_training import bits

from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.training.encoding import decode, encode

NUMBERS = hnp.integer_dtypes(endianness="=") | hnp.floating_dtypes(endianness="=", sizes=(16, 32, 64))
ARRAYS = hnp.arrays(NUMBERS | hnp.boolean_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
SCALARS = ARRAYS.filter(lambda array: array.size > 0).map(lambda array: array.flat[0])
VALUES = st.recursive(
    PLAIN | ARRAYS | SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_was_encoded_comes_back(value):
    arrays = {}
    text = json.dumps(encode(value, "a", arrays), allow_nan=False)
    assert bits(_plain_nan(decode(json.loads(text), arrays))) == bits(_plain_nan(value))


def _plain_nan(value):
    """The sign of a Python NaN is the one thing that is not kept."""
    if isinstance(value, dict):
        return {f"key {key}": _plain_nan(item) for key, item in value.items()}  # no name is that of a clock
    if isinstance(value, list | tuple):
        return type(value)(_plain_nan(item) for item in value)
    return float("nan") if type(value) is float and value != value else value


def test_names_that_look_alike_are_kept_apart():
    value, arrays = {"a/b": np.zeros(1), "a": {"b": np.ones(1)}}, {}
    encoded = encode(value, "x", arrays)
    assert sorted(arrays) == ["x/a/b", "x/a/b'"]
    assert bits(decode(encoded, arrays)) == bits(value)


def test_arrays_are_copies_that_may_be_written():
    array = np.zeros(2)
    array.flags.writeable = False
    found = decode({"array": "a"}, {"a": array})
    found[0] = 1
    assert array[0] == 0


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({1}, "set"),
        (1j, "complex"),
        (b"x", "bytes"),
        ({1: 2}, "dict"),
        (np.array(["x"]), "ndarray"),
        (object(), "object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_plain_value_is_named(value, kind):
    with pytest.raises(TypeError) as caught:
        encode([0, value], "callbacks", {})
    assert str(caught.value) == (
        f"checkpoint: callbacks/1 is a {kind}, which cannot be written; it must be None, a number, a string, an array, "
        "or a list, tuple or dict (with strings as keys) of these"
    )


@pytest.mark.fault("hostile-tensors")
@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"float": "0x1p3"}',
        '{"float": 1}',
        '{"array": "b"}',
        '{"array": ["a"]}',
        '{"scalar": "a"}',
        '{"tuple": {}}',
        '{"dict": []}',
        '{"dict": {}, "tuple": []}',
        '{"object": "os.system"}',
        '[{"dict": {"x": {"set": []}}}]',
    ],
)
def test_what_encode_never_wrote_is_refused(text):
    with pytest.raises(FormatError, match=r"^expected a number, a text, a list or one of dict, tuple, float, array"):
        decode(json.loads(text), {"a": np.zeros(2)})
