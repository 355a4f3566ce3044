"""The moving average of weights: by hand, by the textbook, in and out of the model, through a checkpoint."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import frozen, layouts

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.optim import ExponentialMovingAverage
from cnn_from_scratch.optim import pieces as pieces_module


def averaged(ema, *values):
    for value in values:
        ema.update({"w": value})
    return ema


def test_by_hand():
    # copies 1; d = min(0.15, 2/11) = 0.15: 0.15*1 + 0.85*5 = 4.4; d = min(0.15, 3/12): 0.15*4.4 + 0.85*0 = 0.66
    ema = averaged(ExponentialMovingAverage(0.15), np.array([1.0]))
    assert ema.averaged["w"].tolist() == [1.0]
    averaged(ema, np.array([5.0]))
    np.testing.assert_allclose(ema.averaged["w"], [4.4])
    averaged(ema, np.array([0.0]))
    np.testing.assert_allclose(ema.averaged["w"], [0.66])
    assert ema.t == 3


def test_the_start_does_not_weigh_on_the_average():
    # 1000 at random initialization, 1 from then on: with d = 0.999 throughout, 10 steps would leave 990 of it.
    # What is left of it is the product of (1 + t) / (10 + t) for t = 1..10: 11! * 10! / 20! = 6e-5
    ema = averaged(ExponentialMovingAverage(), np.array([1000.0]), *[np.array([1.0])] * 10)
    left = np.prod([(1 + t) / (10 + t) for t in range(1, 11)])
    assert left < 2e-4
    np.testing.assert_allclose(ema.averaged["w"], [1 + 999 * left], rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 0.9999), st.integers(0, 2**16), st.integers(1, 30))
def test_the_formula(decay, seed, steps):
    values = np.random.default_rng(seed).standard_normal((steps, 2, 3))
    expected = values[0]
    for t, value in enumerate(values[1:], 1):
        d = min(decay, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * value
    actual = averaged(ExponentialMovingAverage(decay), *(frozen(v)[0] for v in values)).averaged["w"]
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


def test_decay_zero_keeps_the_last_values():
    last = np.array([3.0, 4.0])
    np.testing.assert_allclose(averaged(ExponentialMovingAverage(0.0), np.ones(2), last).averaged["w"], last)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_keep_their_dtype_and_integers_are_copied(dtype):
    ema = ExponentialMovingAverage()
    for n in (1, 2, 3):
        ema.update({"w": np.full(2, n, dtype), "one": np.array(n, dtype), "num_batches_tracked": np.array(n)})
    assert ema.averaged["w"].dtype == ema.averaged["one"].dtype == dtype
    assert ema.averaged["one"].shape == ()
    assert ema.averaged["num_batches_tracked"].item() == 3
    assert ema.averaged["num_batches_tracked"].dtype == np.int64
    assert 2 < ema.averaged["w"][0] < 3


def test_the_averages_are_its_own_arrays():
    params, ema = {"w": np.ones(2)}, ExponentialMovingAverage()
    ema.update(params)
    average = ema.averaged["w"]
    params["w"][...] = 5.0
    assert average.tolist() == [1.0, 1.0]
    ema.update(params)
    assert ema.averaged["w"] is average


def test_a_decay_in_another_precision_does_not_leak_into_float32():
    values = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    one, other = (averaged(ExponentialMovingAverage(number(0.1)), *values) for number in (float, np.float64))
    np.testing.assert_array_equal(one.averaged["w"], other.averaged["w"])


def test_pieces_change_no_bit(monkeypatch):
    values = np.random.default_rng(0).standard_normal((4, 7, 3))
    whole = averaged(ExponentialMovingAverage(), *values).averaged["w"]
    monkeypatch.setattr(pieces_module, "PIECE", 6)
    np.testing.assert_array_equal(averaged(ExponentialMovingAverage(), *values).averaged["w"], whole)


@pytest.mark.fault("odd-arrays")
def test_any_layout_gives_the_same_result():
    values = np.random.default_rng(0).standard_normal((2, 3, 4, 2, 5))
    expected = averaged(ExponentialMovingAverage(), *values).averaged["w"]
    for label, first in layouts(values[0]):
        for _, second in layouts(values[1]):
            actual = averaged(ExponentialMovingAverage(), first, second).averaged["w"]
            np.testing.assert_array_equal(actual, expected, err_msg=label)


# --- in and out of the model ----------------------------------------------------------------------------------------


def test_swap_there_and_back():
    rng = np.random.default_rng(0)
    params = {"w": rng.standard_normal(3).astype(np.float32), "count": np.array(7)}
    ema = ExponentialMovingAverage()
    ema.update(params)
    params["w"] += 1
    ema.update(params)
    array, before, average = params["w"], params["w"].tobytes(), ema.averaged["w"].copy()
    with ema.swap(params):
        assert params["w"] is array
        np.testing.assert_array_equal(params["w"], average)
        params["w"] *= 2  # whatever happens in here is lost
    assert params["w"] is array
    assert params["w"].tobytes() == before
    np.testing.assert_array_equal(ema.averaged["w"], average)


def test_an_exception_in_the_block_brings_the_values_back():
    params, ema = {"w": np.array([1.0]), "v": np.array([2.0])}, ExponentialMovingAverage()
    ema.update(params)
    params["w"][...] = 5.0

    def evaluate():
        with ema.swap(params):
            assert params["w"].item() == 1.0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate()
    assert params["w"].item() == 5.0


def test_swap_changes_nothing_if_it_cannot_change_all():
    params, ema = {"a": np.array([1.0]), "b": np.array([1.0])}, ExponentialMovingAverage()
    ema.update({"a": np.array([0.0]), "b": np.array([0.0])})
    params["b"].flags.writeable = False
    with pytest.raises(ValueError, match="read-only") as caught, ema.swap(params):
        pass
    assert str(caught.value) == (
        "ExponentialMovingAverage.swap: values['b'] is read-only, so no new values can be written into it"
    )
    assert params["a"].item() == 1.0


# --- checkpoint -----------------------------------------------------------------------------------------------------


def test_the_run_goes_on_bit_by_bit(tmp_path):
    values = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    first = averaged(ExponentialMovingAverage(), *values[:3])
    np.savez(tmp_path / "ema.npz", **first.state_dict())
    second = ExponentialMovingAverage()
    with np.load(tmp_path / "ema.npz", allow_pickle=False) as file:
        second.load_state_dict(dict(file))
    averaged(first, *values[3:])
    averaged(second, *values[3:])
    assert first.averaged["w"].tobytes() == second.averaged["w"].tobytes()
    assert first.t == second.t == 6
    assert second.averaged["w"].dtype == np.float32


def test_the_state_is_a_copy_both_ways():
    ema = averaged(ExponentialMovingAverage(), np.ones(2))
    state = ema.state_dict()
    other = ExponentialMovingAverage()
    other.load_state_dict(state)
    averaged(ema, np.zeros(2))
    averaged(other, np.zeros(2))
    assert state["averaged/w"].tolist() == [1.0, 1.0]
    empty = ExponentialMovingAverage()
    empty.load_state_dict(ExponentialMovingAverage().state_dict())
    assert (empty.t, empty.averaged) == (0, {})


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "state has no 't'"),
        ({"t": 1, "w": np.ones(2)}, "state holds 'w', which is none of t, averaged/KEY"),
        ({"t": -1, "averaged/w": np.ones(2)}, "t must be an int >= 0, got -1"),
        ({"t": 1, "averaged/w": 1.0}, "averaged/w must be a NumPy array, got float"),
        ({"t": 0, "averaged/w": np.ones(2)}, "t is 0 but state has 1 averages"),
        ({"t": 3}, "t is 3 but state has 0 averages"),
    ],
)
def test_a_bad_state_is_refused_and_changes_nothing(state, message):
    ema = averaged(ExponentialMovingAverage(), np.ones(2))
    with pytest.raises(ValueError, match=f"^{re.escape('ExponentialMovingAverage.load_state_dict: ' + message)}$"):
        ema.load_state_dict(state)
    assert (ema.t, ema.averaged["w"].tolist()) == (1, [1.0, 1.0])


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [1.0, -0.1, np.nan, "0.9"])
def test_a_decay_out_of_range(decay):
    with pytest.raises(ValueError, match="decay") as caught:
        ExponentialMovingAverage(decay)
    assert str(caught.value) == f"ExponentialMovingAverage: decay must be a number < 1 and >= 0, got {decay!r}"


def test_nothing_to_average():
    ema = ExponentialMovingAverage()
    with pytest.raises(ValueError, match=r"^ExponentialMovingAverage.update: values is empty, so there is nothing to"):
        ema.update({})
    with pytest.raises(TypeError, match=r"^ExponentialMovingAverage.update: values\['w'\] must be a NumPy array, got"):
        ema.update({"w": 1.0})
    with (
        pytest.raises(
            ValueError, match=r"^ExponentialMovingAverage.swap: there is no average before the first update$"
        ),
        ema.swap({"w": np.ones(1)}),
    ):
        pass


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            {"v": np.ones(2)},
            ValueError,
            "values must have the keys of the averages; missing are 'w', unknown none",
        ),
        (
            {"v": np.ones(2), "w": np.ones(2), "x": np.ones(2)},
            ValueError,
            "values must have the keys of the averages; missing are none, unknown 'x'",
        ),
        ({"v": np.zeros(2), "w": np.ones(3)}, ShapeError, "values['w'] has shape (3,) but its average has (2,)"),
        (
            {"v": np.zeros(2), "w": np.ones(2, np.float32)},
            TypeError,
            "values['w'] has dtype float32 but its average has float64",
        ),
        ({"v": np.zeros(2), "w": [1.0, 1.0]}, TypeError, "values['w'] must be a NumPy array, got list"),
    ],
)
def test_values_that_do_not_fit_change_nothing(values, error, message):
    ema = ExponentialMovingAverage()
    ema.update({"v": np.ones(2), "w": np.ones(2)})

    def swap():
        with ema.swap(values):
            pass

    for method, call in (("update", lambda: ema.update(values)), ("swap", swap)):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == f"ExponentialMovingAverage.{method}: {message}"
    assert ema.t == 1
    assert [average.tolist() for average in ema.averaged.values()] == [[1.0, 1.0]] * 2
