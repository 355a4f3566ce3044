"""Schedules: by hand, by PyTorch's vectors, at their ends, one after the other."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder import Case, conformance

from cnn_from_scratch.optim import (
    constant,
    cosine,
    linear_warmup,
    one_cycle,
    one_cycle_momentum,
    sequential,
    step_lr,
    with_warmup,
)


def schedule_of(case: Case):
    a = case.attrs
    return {
        "StepLR": lambda: step_lr(a["base_lr"], a["step_size"], gamma=a["gamma"]),
        "CosineAnnealingLR": lambda: cosine(a["base_lr"], a["T_max"], lr_min=a["eta_min"]),
        "OneCycleLR": lambda: one_cycle(
            a["max_lr"],
            a["total_steps"],
            pct_start=a["pct_start"],
            div_factor=a["div_factor"],
            final_div_factor=a["final_div_factor"],
        ),
        "LinearLR": lambda: linear_warmup(
            a["base_lr"], a["total_iters"], start_factor=a["start_factor"], end_factor=a["end_factor"]
        ),
    }[case.op]()


@pytest.mark.parametrize("case", conformance("schedules"))
def test_reference_vectors(case: Case):
    schedule = schedule_of(case)
    rates = [schedule(step) for step in range(case.attrs["steps"])]
    assert {type(rate) for rate in rates} == {float}
    np.testing.assert_allclose(rates, case["lr"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", conformance("schedules", "OneCycleLR"))
def test_reference_vectors_of_the_momentum(case: Case):
    base, largest = case.attrs["momentum_cycles"]
    momentum = one_cycle_momentum(
        case.attrs["total_steps"], pct_start=case.attrs["pct_start"], base_momentum=base, max_momentum=largest
    )
    values = [momentum(step) for step in range(case.attrs["steps"])]
    np.testing.assert_allclose(values, case["momentum"], rtol=1e-10, atol=1e-12)
    defaults = one_cycle_momentum(case.attrs["total_steps"])
    assert values == [defaults(step) for step in range(case.attrs["steps"])]


def test_by_hand():
    assert [step_lr(1.0, 3, gamma=0.5)(step) for step in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    # the default factor of LinearLR goes from 1/3 to 1 in 5 steps: 1/3 + 2/3 * step/5
    assert [linear_warmup(3.0)(step) for step in range(7)] == pytest.approx([1, 1.4, 1.8, 2.2, 2.6, 3, 3])
    # 1 + cos(60 degrees) = 1.5: 2 + (10 - 2) * 1.5/2 = 8
    assert cosine(10.0, 3, lr_min=2.0)(1) == pytest.approx(8)
    # up at step 0.4*10 - 1 = 3 and down at step 9: a third of the way up is 1 + 2*(1 - cos 60 degrees)/2 = 1.5,
    # a third of the way down, at step 5, is 0.5 + 2.5*(1 + cos 60 degrees)/2 = 2.375
    schedule = one_cycle(3.0, 10, pct_start=0.4, div_factor=3.0, final_div_factor=2.0)
    assert [schedule(step) for step in (0, 1, 3, 5, 9)] == pytest.approx([1, 1.5, 3, 2.375, 0.5])


@pytest.mark.parametrize("total", [1, 2, 3, 10])
@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_one_cycle_at_its_edges(total, pct_start):
    # also where the way up has no length, as with pct_start*total_steps = 1
    schedule = one_cycle(1.0, total, pct_start=pct_start)
    rates = [schedule(step) for step in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[-1] == pytest.approx(1.0 if pct_start == 1 else 1 / 25 / 1e4)
    assert schedule(total) == schedule(10 * total) == rates[-1]


def test_after_its_last_step_a_schedule_stays_where_it_ended():
    for schedule in (cosine(1.0, 7, lr_min=0.25), linear_warmup(1.0, 7, end_factor=0.25)):
        assert schedule(7) == schedule(8) == schedule(1000) == 0.25
    assert one_cycle(1.0, 7)(6) == one_cycle(1.0, 7)(7) == pytest.approx(1 / 25 / 1e4)


@given(st.floats(1e-6, 10.0), st.integers(1, 200), st.integers(0, 300))
def test_cosine_falls_from_lr_to_lr_min(lr, total, step):
    schedule = cosine(lr, total, lr_min=lr / 10)
    assert schedule(0) == pytest.approx(lr)
    assert schedule(total) == pytest.approx(lr / 10)
    assert lr / 10 * (1 - 1e-12) <= schedule(step + 1) <= schedule(step) * (1 + 1e-12)


def test_sequential_counts_the_steps_of_each_part_from_zero():
    schedule = sequential((2, constant(1.0)), (0, constant(99.0)), (3, float), (1, lambda step: 10.0 + step))
    assert [schedule(step) for step in range(8)] == [1.0, 1.0, 0.0, 1.0, 2.0, 10.0, 11.0, 12.0]
    assert sequential((1, constant(0.5)))(7) == 0.5


def test_warm_up_meets_what_follows():
    following = cosine(1.0, 10)
    schedule = with_warmup(following, 4, start_factor=0.2)
    assert [schedule(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert [schedule(4 + step) for step in range(12)] == [following(step) for step in range(12)]
    assert with_warmup(following, 0) is following
    assert with_warmup(following, 1)(0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constant(-1.0), "constant: lr must be a finite number >= 0, got -1.0"),
        (lambda: step_lr(-1.0, 3), "step_lr: lr must be a finite number >= 0, got -1.0"),
        (lambda: step_lr(1.0, 0), "step_lr: step_size must be an int >= 1, got 0"),
        (lambda: step_lr(1.0, 2.0), "step_lr: step_size must be an int >= 1, got 2.0"),
        (lambda: step_lr(1.0, 2, gamma=-1), "step_lr: gamma must be a finite number >= 0, got -1"),
        (lambda: linear_warmup(-1.0), "linear_warmup: lr must be a finite number >= 0, got -1.0"),
        (lambda: linear_warmup(1.0, 0), "linear_warmup: total_iters must be an int >= 1, got 0"),
        (
            lambda: linear_warmup(1.0, start_factor=-0.1),
            "linear_warmup: start_factor must be a finite number >= 0, got -0.1",
        ),
        (
            lambda: linear_warmup(1.0, end_factor=math.nan),
            "linear_warmup: end_factor must be a finite number >= 0, got nan",
        ),
        (lambda: cosine(-1.0, 3), "cosine: lr must be a finite number >= 0, got -1.0"),
        (lambda: cosine(1.0, True), "cosine: total_steps must be an int >= 1, got True"),
        (lambda: cosine(1.0, 3, lr_min=-1), "cosine: lr_min must be a finite number >= 0, got -1"),
        (lambda: one_cycle(-1.0, 3), "one_cycle: max_lr must be a finite number >= 0, got -1.0"),
        (lambda: one_cycle(1.0, 0), "one_cycle: total_steps must be an int >= 1, got 0"),
        (lambda: one_cycle(1.0, 3, pct_start=1.5), "one_cycle: pct_start must be a share from 0 to 1, got 1.5"),
        (lambda: one_cycle(1.0, 3, pct_start=-0.5), "one_cycle: pct_start must be a finite number >= 0, got -0.5"),
        (lambda: one_cycle(1.0, 3, div_factor=0), "one_cycle: div_factor must be > 0, got 0"),
        (
            lambda: one_cycle(1.0, 3, final_div_factor=-1),
            "one_cycle: final_div_factor must be a finite number >= 0, got -1",
        ),
        (lambda: one_cycle_momentum(0), "one_cycle_momentum: total_steps must be an int >= 1, got 0"),
        (
            lambda: one_cycle_momentum(9, max_momentum=1.0),
            "one_cycle_momentum: max_momentum must be a number < 1 and >= 0, got 1.0",
        ),
        (
            lambda: one_cycle_momentum(9, base_momentum=-0.5),
            "one_cycle_momentum: base_momentum must be a number < 1 and >= 0, got -0.5",
        ),
        (lambda: sequential(), "sequential: needs at least one part, got none"),
        (lambda: sequential((3, 0.1)), "sequential: a part must be a pair (steps, schedule), got (3, 0.1)"),
        (lambda: sequential((-1, float)), "sequential: steps must be an int >= 0, got -1"),
        (lambda: with_warmup(float, -1), "with_warmup: steps must be an int >= 0, got -1"),
        (
            lambda: with_warmup(float, 3, start_factor=-1),
            "with_warmup: start_factor must be a finite number >= 0, got -1",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
