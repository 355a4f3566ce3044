"""What optimizers refuse, in which words, and that nothing has changed afterwards."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.optim import SGD, Adam, AdamW, ParamGroup, RMSprop


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SGD(-0.1), "SGD: lr must be a finite number >= 0, got -0.1"),
        (lambda: SGD(math.nan), "SGD: lr must be a finite number >= 0, got nan"),
        (lambda: SGD(math.inf), "SGD: lr must be a finite number >= 0, got inf"),
        (lambda: SGD("0.1"), "SGD: lr must be a finite number >= 0, got '0.1'"),
        (lambda: SGD(True), "SGD: lr must be a finite number >= 0, got True"),
        (lambda: SGD(0.1, momentum=-0.9), "SGD: momentum must be a finite number >= 0, got -0.9"),
        (lambda: SGD(0.1, dampening=math.nan), "SGD: dampening must be a finite number, got nan"),
        (lambda: SGD(0.1, weight_decay=-1), "SGD: weight_decay must be a finite number >= 0, got -1"),
        (
            lambda: SGD(0.1, nesterov=True),
            "SGD: nesterov needs momentum > 0 and dampening = 0, got momentum=0.0 and dampening=0.0",
        ),
        (
            lambda: SGD(0.1, 0.9, 0.5, nesterov=True),
            "SGD: nesterov needs momentum > 0 and dampening = 0, got momentum=0.9 and dampening=0.5",
        ),
        (lambda: RMSprop(-0.1), "RMSprop: lr must be a finite number >= 0, got -0.1"),
        (lambda: RMSprop(alpha=1.0), "RMSprop: alpha must be a number < 1 and >= 0, got 1.0"),
        (lambda: RMSprop(alpha=-0.1), "RMSprop: alpha must be a number < 1 and >= 0, got -0.1"),
        (lambda: RMSprop(eps=-1e-8), "RMSprop: eps must be a finite number >= 0, got -1e-08"),
        (lambda: RMSprop(momentum=-0.9), "RMSprop: momentum must be a finite number >= 0, got -0.9"),
        (lambda: RMSprop(weight_decay=-0.1), "RMSprop: weight_decay must be a finite number >= 0, got -0.1"),
        (lambda: Adam(-0.1), "Adam: lr must be a finite number >= 0, got -0.1"),
        (lambda: Adam(betas=(1.0, 0.999)), "Adam: betas[0] must be a number < 1 and >= 0, got 1.0"),
        (lambda: Adam(betas=(0.9, -0.1)), "Adam: betas[1] must be a number < 1 and >= 0, got -0.1"),
        (lambda: Adam(betas=0.9), "Adam: betas must be a pair of numbers, got 0.9"),
        (lambda: Adam(betas=(0.9,)), "Adam: betas must be a pair of numbers, got (0.9,)"),
        (lambda: Adam(eps=-1.0), "Adam: eps must be a finite number >= 0, got -1.0"),
        (lambda: Adam(weight_decay=-0.1), "Adam: weight_decay must be a finite number >= 0, got -0.1"),
        (lambda: AdamW(betas=(0.9, 1.5)), "AdamW: betas[1] must be a number < 1 and >= 0, got 1.5"),
        (lambda: AdamW(weight_decay=-0.1), "AdamW: weight_decay must be a finite number >= 0, got -0.1"),
        (
            lambda: SGD(0.1, groups=["*.bias"]),
            "SGD: groups must be a sequence of ParamGroup, got ['*.bias']",
        ),
        (
            lambda: Adam(groups=ParamGroup("*")),
            "Adam: groups must be a sequence of ParamGroup, got "
            "ParamGroup(pattern='*', max_ndim=None, lr_factor=None, weight_decay=None)",
        ),
        (lambda: ParamGroup(""), "ParamGroup: pattern must be a string that is not empty, got ''"),
        (lambda: ParamGroup("*", max_ndim=-1), "ParamGroup: max_ndim must be an int >= 0, got -1"),
        (lambda: ParamGroup("*", lr_factor=-1.0), "ParamGroup: lr_factor must be a finite number >= 0, got -1.0"),
        (lambda: ParamGroup("*", weight_decay=-1), "ParamGroup: weight_decay must be a finite number >= 0, got -1"),
    ],
)
def test_settings_out_of_range(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def read_only():
    array = np.ones(3)
    array.flags.writeable = False
    return array


A, F32 = np.ones(3), np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("params", "grads", "error", "message"),
    [
        (None, {}, ValueError, "params is empty, so there is nothing to optimize"),
        (None, {"b": A}, ValueError, "params is empty, so there is nothing to optimize"),
        ({}, {"a": A, "c": A}, ValueError, "grads has the key 'c', which is none of params: 'a', 'b'"),
        ({}, {"a": A, "b": np.ones(4)}, ShapeError, "grads['b'] has shape (4,) but params['b'] has (3,)"),
        ({}, {"a": A, "b": F32}, TypeError, "grads['b'] has dtype float32 but params['b'] has float64"),
        ({}, {"a": A, "b": None}, TypeError, "grads['b'] must be a NumPy array, got NoneType"),
        ({}, {"a": A, "b": 1.0}, TypeError, "grads['b'] must be a NumPy array, got float"),
        ({"b": [1.0]}, {"a": A, "b": A}, TypeError, "params['b'] must be a NumPy array, got list"),
        (
            {"b": A.astype(int)},
            {"a": A, "b": A.astype(int)},
            TypeError,
            "params['b'] has dtype int64; expected float32 or float64",
        ),
        (
            {"b": A.astype(np.float16)},
            {"a": A, "b": A.astype(np.float16)},
            TypeError,
            "params['b'] has dtype float16; expected float32 or float64",
        ),
        (
            {"b": read_only()},
            {"a": A, "b": A},
            ValueError,
            "params['b'] is read-only, so no new values can be written into it",
        ),
        (
            {"a": np.ones(4)},
            {"a": np.ones(4)},
            ShapeError,
            "the exp_avg of 'a' has shape (3,) but params['a'] has (4,)",
        ),
        ({"a": F32}, {"a": F32}, TypeError, "the exp_avg of 'a' has dtype float64 but params['a'] has float32"),
    ],
)
def test_arrays_that_do_not_fit(params, grads, error, message):
    optimizer, good = Adam(0.1), {"a": np.ones(3), "b": np.ones(3)}
    optimizer.step(good, {"a": A, "b": A})
    given = {} if params is None else good | params
    values = {key: np.copy(value) for key, value in given.items()}
    before = optimizer.state_dict()
    with pytest.raises(error) as caught:
        optimizer.step(given, grads)
    assert str(caught.value) == f"Adam.step: {message}"
    assert type(caught.value) is error
    for key, value in values.items():
        np.testing.assert_array_equal(given[key], value)
    after = optimizer.state_dict()
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[entry], before[entry]) for entry in before)


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize("change", [{"lr": -1.0}, {"lr": None}, {"weight_decay": -1.0}, {"betas": (1.0, 0.9)}])
def test_settings_are_checked_at_each_step(change):
    params, optimizer = {"w": np.ones(2)}, Adam()
    optimizer.step(params, {"w": np.ones(2)})
    before = params["w"].copy()
    (name, value), *_ = change.items()
    setattr(optimizer, name, value)
    with pytest.raises(ValueError, match=f"^Adam: {name}.* must be a .*number"):
        optimizer.step(params, {"w": np.ones(2)})
    np.testing.assert_array_equal(params["w"], before)
    assert optimizer.t == 1


def test_a_pattern_that_fits_nothing():
    optimizer = SGD(0.1, groups=[ParamGroup("haed.*", lr_factor=10.0)])
    params = {f"{i}.weight": np.ones(2) for i in range(6)}
    with pytest.raises(ValueError, match="pattern") as caught:
        optimizer.step(params, {"0.weight": np.ones(2)})
    assert str(caught.value) == (
        "SGD.step: the group pattern 'haed.*' matches no key of params, "
        "which are '0.weight', '1.weight', '2.weight', '3.weight', ..."
    )
    np.testing.assert_array_equal(params["0.weight"], np.ones(2))
