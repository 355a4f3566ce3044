"""Assigning to params and buffers reaches the arrays that predict, fit and save_model use, or is refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from cnn_from_scratch import fit, load_model, save_model
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import BatchNorm1d, Concat, Context, Conv2d, Layer, Linear, ReLU, Residual, Sequential
from cnn_from_scratch.layers.arrays import Arrays

X = np.array([[1.0, 2.0]], np.float32)


def nested() -> Sequential:
    return Sequential(Sequential({"fc": Linear(2, 2, rng=0)}), BatchNorm1d(2))


def filled(shape: tuple[int, ...], value: float) -> np.ndarray:
    return np.full(shape, value, np.float32)


def test_what_is_assigned_is_what_predict_fit_and_save_model_see(tmp_path):
    model = nested()
    weight, mean = model["0"]["fc"].params["weight"], model["1"].buffers["running_mean"]
    model.params["0.fc.weight"] = filled((2, 2), 3.0)
    model.params["0.fc.bias"] = filled((2,), 0.0)
    model.buffers["1.running_mean"] = filled((2,), 9.0)
    assert model.params["0.fc.weight"] is weight is model["0"].params["fc.weight"]
    assert model.buffers["1.running_mean"] is mean
    np.testing.assert_allclose(model.predict(X), 0, atol=1e-6)  # (3 + 6) - 9
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.params["0.fc.weight"], filled((2, 2), 3.0))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_fit_trains_what_was_assigned():
    model = Sequential(Linear(2, 2, rng=0))
    layer = model[0]
    model.params["0.weight"] = filled((2, 2), 100.0)
    layer.params["bias"] = filled((2,), -7.0)
    fit(model, (np.repeat(X, 4, 0), np.array([0, 1, 0, 1])), epochs=1, shards=1)
    assert (np.abs(layer.params["weight"] - 100) < 1).all()
    assert model.params["0.weight"] is layer.params["weight"]
    np.testing.assert_allclose(model.predict(X), X @ layer.params["weight"].T + layer.params["bias"])


def test_assigning_to_a_layer_reaches_the_containers_around_it():
    model = nested()
    held, layer = model.params, model["0"]["fc"]
    layer.params["weight"] = filled((2, 2), 4.0)
    np.testing.assert_array_equal(held["0.fc.weight"], filled((2, 2), 4.0))
    layer.params = {"weight": filled((2, 2), 5.0), "bias": filled((2,), 1.0)}  # as in __init__
    assert model.params["0.fc.weight"] is layer.params["weight"]
    layer.astype(np.float64)
    assert model.params["0.fc.weight"] is layer.params["weight"]
    assert model.params["0.fc.weight"].dtype == np.float64


def test_the_value_is_copied_not_kept():
    model, value = nested(), filled((2, 2), 1.0)
    model.params["0.fc.weight"] = value
    value[...] = 2
    np.testing.assert_array_equal(model.params["0.fc.weight"], filled((2, 2), 1.0))


def test_in_place_operators_and_update():
    model = nested()
    weight, start = model.params["0.fc.weight"], model.params["0.fc.weight"].copy()
    model.params["0.fc.weight"] += 1
    model.params["0.fc.weight"] *= 2
    np.testing.assert_array_equal(weight, (start + 1) * 2)
    model.params.update({"0.fc.weight": start}, **{"0.fc.bias": filled((2,), 6.0)})
    np.testing.assert_array_equal(weight, start)
    np.testing.assert_array_equal(model["0"]["fc"].params["bias"], filled((2,), 6.0))
    assert model.params.setdefault("0.fc.weight") is weight


def test_an_update_that_does_not_fit_writes_nothing():
    model = nested()
    start = model.params["0.fc.bias"].copy()
    with pytest.raises(ShapeError):
        model.params.update({"0.fc.bias": filled((2,), 6.0), "0.fc.weight": filled((2,), 6.0)})
    np.testing.assert_array_equal(model.params["0.fc.bias"], start)


@pytest.mark.fault("odd-arrays")
def test_byte_swapped_and_overlapping_values():
    layer = Linear(1, 3)
    layer.params["bias"] = np.array([1, 2, 3], ">f4")
    layer.params["bias"] = layer.params["bias"][::-1]
    np.testing.assert_array_equal(layer.params["bias"], [3, 2, 1])
    assert layer.params["bias"].dtype.isnative


FIXED = "the arrays of a model can be written, not added or taken away; for other keys make a dict(...)"
UNKNOWN = "'0.w' is not among the arrays of this model: they can be written, not added or taken away"


def assign(arrays, key, value):
    arrays[key] = value


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda m: assign(m.params, "0.weight", filled((3,), 0)),
            ShapeError,
            "'0.weight' has shape (2, 3) and cannot be given an array of shape (3,)",
        ),
        (
            lambda m: assign(m[0].params, "weight", filled((1, 3), 0)),
            ShapeError,
            "'weight' has shape (2, 3) and cannot be given an array of shape (1, 3)",
        ),
        (
            lambda m: assign(m.params, "0.bias", np.zeros(2)),
            TypeError,
            "'0.bias' is float32 and cannot be given float64; convert it",
        ),
        (lambda m: assign(m.params, "0.bias", 0.0), TypeError, "'0.bias' must be given a NumPy array, got float"),
        (lambda m: assign(m[0].params, "bias", [0, 0]), TypeError, "'bias' must be given a NumPy array, got list"),
        (lambda m: assign(m[0].params, "gain", 1.0), TypeError, "'gain' must be given a NumPy array, got float"),
        (lambda m: setattr(m[0], "params", {"w": [1]}), TypeError, "'w' must be given a NumPy array, got list"),
        (lambda m: assign(m.params, "0.w", filled((2,), 0)), TypeError, UNKNOWN),
        (lambda m: assign(m.buffers, "0.w", filled((2,), 0)), TypeError, UNKNOWN),
        (lambda m: m.params.update({"0.w": filled((2,), 0)}), TypeError, UNKNOWN),
        (lambda m: m.params.setdefault("0.w", filled((2,), 0)), TypeError, UNKNOWN),
        (lambda m: m.params.__ior__({"0.w": filled((2,), 0)}), TypeError, UNKNOWN),
        (lambda m: m.params.__delitem__("0.bias"), TypeError, FIXED),
        (lambda m: m.params.pop("0.bias"), TypeError, FIXED),
        (lambda m: m.params.pop("0.bias", None), TypeError, FIXED),
        (lambda m: m.params.popitem(), TypeError, FIXED),
        (lambda m: m.buffers.clear(), TypeError, FIXED),
        (
            lambda m: setattr(m, "params", {}),
            TypeError,
            "Sequential: params cannot be replaced; write into them, as in params[key] = value",
        ),
        (
            lambda m: setattr(m, "buffers", {}),
            TypeError,
            "Sequential: buffers cannot be replaced; write into them, as in buffers[key] = value",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(act, error, message):
    model = Sequential(Linear(3, 2, rng=0), BatchNorm1d(2))
    before = {key: (array, array.copy()) for key, array in (model.params | model.buffers).items()}
    with pytest.raises(error) as caught:
        act(model)
    assert str(caught.value) == message
    after = model.params | model.buffers
    assert list(after) == list(before)
    for key, (array, value) in before.items():
        assert after[key] is array
        np.testing.assert_array_equal(array, value)


def test_they_are_dicts():
    model = nested()
    assert isinstance(model.params, dict)
    both = model.params | model.buffers
    assert type(both) is dict
    assert list(both) == [*model.params, *model.buffers]
    assert type(model.params.copy()) is dict
    assert repr(Arrays({"a": np.ones(1)})) == "{'a': array([1.])}"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_have_arrays_of_their_own_and_stay_connected(again):
    model = nested()
    for twin in (again(model), Sequential(again(model[0]))):
        key = "0.fc.weight"
        twin.params[key] = filled((2, 2), 8.0)
        np.testing.assert_array_equal(twin["0"]["fc"].params["weight"], filled((2, 2), 8.0))
        assert (model.params[key] != 8).all()
    for arrays in (model.params, model["0"]["fc"].params):
        twin = again(arrays)
        assert type(twin) is type(arrays)
        np.testing.assert_equal(twin, arrays)
        assert not any(twin[key] is arrays[key] for key in arrays)


def test_a_layer_may_collect_its_parameters_as_it_likes():
    class Own(Layer):
        def __init__(self):
            super().__init__()
            self.params = {"a": filled((1,), 1.0)}
            self.params["b"] = filled((1,), 2.0)
            self.params |= {"c": filled((1,), 3.0)}
            self.params.update(d=filled((1,), 4.0))
            self.buffers["e"] = np.zeros((), np.int64)

    model = Sequential(Own())
    assert list(model.params) == ["0.a", "0.b", "0.c", "0.d"]
    assert list(model.buffers) == ["0.e"]


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Sequential(ReLU(), ReLU()), (2,)),
        (Residual(ReLU()), (2,)),
        (Concat(Conv2d(1, 2, 1), Conv2d(1, 1, 1)), (1, 2, 2)),
    ],
)
def test_containers_refuse_a_foreign_cache(model, shape):
    name = type(model).__name__
    y, _ = model.forward(filled((1, *shape), 1.0), Context())
    _, other = Sequential(ReLU()).forward(X, Context())
    for cache in (None, other if name != "Residual" else (1, 2)):
        with pytest.raises(TypeError) as caught:
            model.backward(y, cache)
        got = type(cache).__name__
        assert str(caught.value) == f"{name}: cache must come from the forward of this {name}, got {got}"
