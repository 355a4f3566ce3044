"""Every error also is the built-in one that would be expected."""

from __future__ import annotations

import pickle

import pytest

from cnn_from_scratch import errors
from cnn_from_scratch.errors import (
    CnnError,
    FormatError,
    LimitError,
    MissingPackageError,
    NotFiniteError,
    ShapeError,
    UnsupportedOpError,
)

BUILT_IN = {
    ShapeError: ValueError,
    FormatError: ValueError,
    LimitError: ValueError,
    MissingPackageError: ImportError,
    NotFiniteError: FloatingPointError,
    UnsupportedOpError: NotImplementedError,
}


@pytest.mark.parametrize(("error", "built_in"), BUILT_IN.items())
def test_hierarchy(error, built_in):
    with pytest.raises(built_in, match=r"^what went wrong$"):
        raise error("what went wrong")
    with pytest.raises(CnnError):
        raise error("what went wrong")


def test_no_error_is_forgotten_here():
    defined = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == {CnnError, *BUILT_IN}


@pytest.mark.parametrize("error", BUILT_IN)
def test_errors_are_told_apart(error):
    others = [other for other in BUILT_IN if other is not error]
    assert not isinstance(error("x"), tuple(others))


@pytest.mark.parametrize("error", [CnnError, *BUILT_IN])
def test_errors_travel_between_processes(error):
    copy = pickle.loads(pickle.dumps(error("what went wrong")))
    assert type(copy) is error
    assert copy.args == ("what went wrong",)
    assert copy.__doc__ == error.__doc__
