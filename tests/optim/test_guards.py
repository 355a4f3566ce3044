"""Schedules, clipping, averages and optimizers refuse what is of the wrong kind, by name, and nothing has changed."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from cnn_from_scratch.optim import (
    SGD,
    Adam,
    AdamW,
    ExponentialMovingAverage,
    RMSprop,
    clip_grad_norm,
    clip_grad_value,
    constant,
    cosine,
    linear_warmup,
    one_cycle,
    one_cycle_momentum,
    sequential,
    step_lr,
    with_warmup,
)

ONE = {"a": np.ones(3)}
NEEDED = {
    constant: (0.1,),
    cosine: (0.1, 10),
    linear_warmup: (0.1,),
    one_cycle: (0.1, 10),
    one_cycle_momentum: (10,),
    step_lr: (0.1, 3),
}


def refused(attempt, error, message):
    with pytest.raises(error) as caught:
        attempt()
    assert str(caught.value) == message
    assert type(caught.value) is error


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize("function", NEEDED, ids=lambda f: f.__name__)
def test_numbers_of_schedules(function):
    bound = inspect.signature(function).bind(*NEEDED[function])
    bound.apply_defaults()
    for key, value in bound.arguments.items():
        beyond = (10**400,) if isinstance(value, float) else ()
        for wrong in ("1", None, [1.0], 1j, -1, math.nan, math.inf, True, *beyond):
            with pytest.raises(ValueError, match=f"^{function.__name__}: {key} must be ") as caught:
                function(**bound.arguments | {key: wrong})
            assert str(caught.value).endswith(f", got {wrong!r}"), key
        function(**bound.arguments | {key: type(value)(np.float32(value))})


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: with_warmup(0.1, 3), TypeError, "with_warmup: schedule must be callable, got 0.1"),
        (lambda: sequential(), ValueError, "sequential: needs at least one part, got none"),
        (lambda: sequential(3), ValueError, "sequential: a part must be a pair (steps, schedule), got 3"),
        (lambda: SGD(0.1, 0.9, nesterov="yes"), TypeError, "SGD: nesterov must be True or False, got 'yes'"),
        (lambda: Adam(amsgrad=1), TypeError, "Adam: amsgrad must be True or False, got 1"),
        (lambda: AdamW(amsgrad=None), TypeError, "AdamW: amsgrad must be True or False, got None"),
        (lambda: RMSprop(centered=0), TypeError, "RMSprop: centered must be True or False, got 0"),
        (lambda: SGD(10**400), ValueError, f"SGD: lr must be a finite number >= 0, got {10**400}"),
        (lambda: clip_grad_norm([1.0], 1.0), TypeError, "clip_grad_norm: grads must be a dict, got list"),
        (lambda: clip_grad_value(None, 1.0), TypeError, "clip_grad_value: grads must be a dict, got NoneType"),
        (
            lambda: clip_grad_norm(ONE, np.ones(2)),
            ValueError,
            "clip_grad_norm: max_norm must be a finite number >= 0, got array([1., 1.])",
        ),
        (
            lambda: clip_grad_norm(ONE, 1.0, error_if_nonfinite="no"),
            TypeError,
            "clip_grad_norm: error_if_nonfinite must be True or False, got 'no'",
        ),
        (
            lambda: clip_grad_norm({"a": np.ma.masked_array([1.0])}, 1.0),
            TypeError,
            "clip_grad_norm: grads['a'] must be a NumPy array, got MaskedArray",
        ),
        (
            lambda: ExponentialMovingAverage().update(3),
            TypeError,
            "ExponentialMovingAverage.update: values must be a dict, got int",
        ),
        (lambda: SGD(0.1).step([1], {}), TypeError, "SGD.step: params must be a dict, got list"),
        (lambda: Adam(0.1).step(ONE, [1]), TypeError, "Adam.step: grads must be a dict, got list"),
        (
            lambda: Adam(0.1).load_state_dict(None),
            TypeError,
            "Adam.load_state_dict: state must be a dict, got NoneType",
        ),
        (
            lambda: Adam(0.1).load_state_dict({1: 2}),
            ValueError,
            "Adam.load_state_dict: state holds 1, which is none of t, lr, steps/KEY, exp_avg/KEY, exp_avg_sq/KEY",
        ),
    ],
)
def test_things_of_the_wrong_kind(attempt, error, message):
    refused(attempt, error, message)


@pytest.mark.parametrize("make", [SGD, Adam, AdamW, RMSprop])
@pytest.mark.parametrize(
    "wrong", [[1.0], None, "x", np.ones(4), np.ones(3, int), np.ma.masked_array(np.ones(3))], ids=str
)
def test_one_wrong_gradient_among_many_and_no_parameter_has_moved(make, wrong):
    optimizer, params = make(0.1), {"a": np.ones(3), "b": np.ones(3), "c": np.ones(3)}
    optimizer.step(params, {key: np.ones(3) for key in params})
    before, state = {k: v.copy() for k, v in params.items()}, optimizer.state_dict()
    with pytest.raises((TypeError, ValueError), match=rf"^{make.__name__}\.step: grads\['c'\] "):
        optimizer.step(params, {"a": np.ones(3), "b": np.ones(3), "c": wrong})
    for key, value in before.items():
        np.testing.assert_array_equal(params[key], value)
    after = optimizer.state_dict()
    assert after.keys() == state.keys()
    assert all(np.array_equal(after[key], state[key]) for key in state)
