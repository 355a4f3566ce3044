"""A checkpoint of an optimizer: the run goes on, bit by bit, as if nothing had happened; bad ones are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnn_from_scratch.optim import SGD, Adam, AdamW, RMSprop

EVERY = [
    lambda: SGD(0.1),
    lambda: SGD(0.1, momentum=0.9, dampening=0.5),
    lambda: RMSprop(momentum=0.9, centered=True),
    lambda: Adam(weight_decay=0.01, amsgrad=True),
    lambda: AdamW(),
]
each = pytest.mark.parametrize("make", EVERY, ids=lambda make: repr(make()))


def through_a_file(state, tmp_path):
    np.savez(tmp_path / "state.npz", **state)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        return dict(file)


@each
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_run_goes_on_bit_by_bit(make, stored, dtype, tmp_path):
    rng = np.random.default_rng(0)
    grads = [{"0.weight": rng.standard_normal((3, 2)).astype(dtype)} for _ in range(6)]
    for grad in grads[2:]:
        grad["0.bias"] = rng.standard_normal(3).astype(dtype)  # frozen in the first two steps
    params = {"0.weight": np.ones((3, 2), dtype), "0.bias": np.ones(3, dtype)}
    first = make()
    for grad in grads[:3]:
        first.step(params, grad)
    first.lr = 0.025
    state, kept = first.state_dict(), {key: value.copy() for key, value in params.items()}
    for grad in grads[3:]:
        first.step(params, grad)

    second = make()
    second.load_state_dict(through_a_file(state, tmp_path) if stored else state)
    assert (second.t, second.lr, second.steps) == (3, 0.025, {"0.weight": 3, "0.bias": 1})
    for grad in grads[3:]:
        second.step(kept, grad)
    for key, value in params.items():
        assert kept[key].tobytes() == value.tobytes()
        for name, moment in first.state[key].items():
            assert second.state[key][name].tobytes() == moment.tobytes()
            assert second.state[key][name].dtype == dtype


def test_the_state_of_a_new_optimizer():
    state = Adam(0.5).state_dict()
    assert state == {"t": 0, "lr": 0.5}
    other = Adam(0.1)
    other.load_state_dict(state)
    assert (other.t, other.lr, other.state) == (0, 0.5, {})


def test_the_names_are_those_of_pytorch():
    names = {
        SGD(0.1): set(),
        SGD(0.1, momentum=0.9): {"momentum_buffer"},
        RMSprop(): {"square_avg"},
        RMSprop(centered=True, momentum=0.9): {"square_avg", "grad_avg", "momentum_buffer"},
        Adam(): {"exp_avg", "exp_avg_sq"},
        AdamW(amsgrad=True): {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    }
    for optimizer, expected in names.items():
        optimizer.step({"a/b": np.ones(1)}, {"a/b": np.ones(1)})
        assert set(optimizer.state["a/b"]) == expected
        assert set(optimizer.state_dict()) == {"t", "lr", "steps/a/b", *(f"{name}/a/b" for name in expected)}
        optimizer.load_state_dict(optimizer.state_dict())


@each
def test_the_state_is_a_copy_both_ways(make):
    params, optimizer = {"w": np.ones(2)}, make()
    optimizer.step(params, {"w": np.ones(2)})
    state = optimizer.state_dict()
    before = {entry: np.copy(value) for entry, value in state.items()}
    other = make()
    other.load_state_dict(state)
    for one in (optimizer, other):
        one.step(params, {"w": np.ones(2)})
    assert all(np.array_equal(state[entry], value) for entry, value in before.items())


def good():
    optimizer = Adam(0.5)
    optimizer.step({"w": np.ones(2)}, {"w": np.ones(2)})
    return optimizer.state_dict()


def without(entry):
    return {name: value for name, value in good().items() if name != entry}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            good() | {"square_avg/w": np.ones(2)},
            "state holds 'square_avg/w', which is none of t, lr, steps/KEY, exp_avg/KEY, exp_avg_sq/KEY",
        ),
        (
            good() | {"momentum": 0.9},
            "state holds 'momentum', which is none of t, lr, steps/KEY, exp_avg/KEY, exp_avg_sq/KEY",
        ),
        (good() | {"t/w": 1}, "state holds 't/w', which is none of t, lr, steps/KEY, exp_avg/KEY, exp_avg_sq/KEY"),
        (without("t"), "state has no 't'"),
        (without("lr"), "state has no 'lr'"),
        (without("steps/w"), "state has no 'steps/w'"),
        (without("exp_avg_sq/w"), "state has no 'exp_avg_sq/w'"),
        (good() | {"t": -1}, "t must be an int >= 0, got -1"),
        (good() | {"t": 1.5}, "t must be an int >= 0, got 1.5"),
        (good() | {"t": True}, "t must be an int >= 0, got True"),
        (good() | {"lr": -0.5}, "lr must be a finite number >= 0, got -0.5"),
        (good() | {"lr": np.array(np.nan)}, "lr must be a finite number >= 0, got nan"),
        (good() | {"steps/w": "one"}, "steps/w must be an int >= 0, got 'one'"),
        (good() | {"exp_avg/w": 1.0}, "exp_avg/w must be a NumPy array, got float"),
    ],
)
def test_a_bad_state_is_refused_and_changes_nothing(state, message):
    optimizer = Adam(0.25)
    optimizer.step({"v": np.ones(3)}, {"v": np.ones(3)})
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=f"^{re.escape('Adam.load_state_dict: ' + message)}$"):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[entry], value) for entry, value in before.items())


def test_the_state_of_another_kind_is_refused():
    sgd = SGD(0.1, momentum=0.9)
    sgd.step({"w": np.ones(2)}, {"w": np.ones(2)})
    with pytest.raises(ValueError, match=r"^Adam.load_state_dict: state holds 'momentum_buffer/w', which is none of"):
        Adam().load_state_dict(sgd.state_dict())


def test_the_state_of_another_model_is_refused_at_the_next_step():
    optimizer = Adam()
    optimizer.load_state_dict(good())
    with pytest.raises(ValueError, match=r"^Adam.step: the exp_avg of 'w' has shape \(2,\) but params\['w'\] has"):
        optimizer.step({"w": np.ones(3)}, {"w": np.ones(3)})
