"""Containers: keys, gradients through branches, memory order, freezing, the tap, and what they refuse."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from ladder import assert_gradients_match, spaced

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Concat,
    Container,
    Context,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from cnn_from_scratch.ops import is_hwnc, to_hwnc
from cnn_from_scratch.randomness import Place

TRAIN = Context(train=True, rng=Place(seed=1))
SHAPE = (2, 6, 7)


def branched() -> Sequential:
    """Every container inside of another one, with and without names."""
    inception = Concat(
        {
            "narrow": Conv2d(4, 1, 1),
            "wide": Sequential(Conv2d(4, 3, 3, padding=1), Tanh()),
            "same": Identity(),
        }
    )
    block = Residual(
        Sequential({"conv": Conv2d(8, 6, 3, padding=1, stride=2, bias=False), "bn": BatchNorm2d(6)}),
        Sequential(Conv2d(8, 6, 1, stride=2)),
        body_name="",
        shortcut_name="downsample",
    )
    return Sequential(
        {
            "stem": Sequential(Conv2d(2, 4, 3, padding=1, bias=False), BatchNorm2d(4), Tanh()),
            "inception": inception,
            "block": block,
            "loop": Residual(Sequential(Conv2d(6, 6, 3, padding=1), Tanh())),
            "drop": Dropout(0.3),
            "pool": MaxPool2d(2),
            "flatten": Flatten(),
            "fc": Linear(6 * 1 * 2, 5),
        }
    ).initialize(0)


KEYS = [
    "stem.0.weight",
    "stem.1.weight",
    "stem.1.bias",
    "inception.narrow.weight",
    "inception.narrow.bias",
    "inception.wide.0.weight",
    "inception.wide.0.bias",
    "block.conv.weight",
    "block.bn.weight",
    "block.bn.bias",
    "block.downsample.0.weight",
    "block.downsample.0.bias",
    "loop.body.0.weight",
    "loop.body.0.bias",
    "fc.weight",
    "fc.bias",
]


def images(count: int = 3, dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, *SHAPE)).astype(dtype)


# --- names ----------------------------------------------------------------------------------------------------------


def test_keys_are_paths():
    model = branched()
    assert list(model.params) == KEYS
    assert [key for key in model.buffers if key.endswith("var")] == ["stem.1.running_var", "block.bn.running_var"]
    assert [key for key, _ in model.layers()] == [
        *("stem.0", "stem.1", "stem.2"),
        *("inception.narrow", "inception.wide.0", "inception.wide.1", "inception.same"),
        *("block.conv", "block.bn", "block.downsample.0"),
        *("loop.body.0", "loop.body.1"),
        *("drop", "pool", "flatten", "fc"),
    ]


def test_containers_share_the_arrays_of_their_layers():
    model = branched()
    for key, layer in model.layers():
        for name, array in (layer.params | layer.buffers).items():
            assert (model.params | model.buffers)[f"{key}.{name}"] is array


def test_sequential_gives_its_layers_by_number_and_name():
    model = Sequential(Flatten(), ReLU())
    assert len(model) == 2
    assert repr(model[0]) == "Flatten()"
    assert model[-1] is model["1"]
    assert model.config() == {"layers": {"0": model[0], "1": model[1]}}


def test_prints_as_a_tree():
    model = Sequential(
        {"a": Residual(Sequential(ReLU()), body_name=""), "b": Concat(ReLU(), Identity()), "c": Sequential()}
    )
    assert (
        repr(model)
        == """\
Sequential(
  (a): Residual(
    Sequential(
      (0): ReLU()
    )
  )
  (b): Concat(
    (0): ReLU()
    (1): Identity()
  )
  (c): Sequential()
)"""
    )


# --- gradients ------------------------------------------------------------------------------------------------------


def test_gradients_of_nested_containers_by_finite_differences():
    model = branched().astype(np.float64)
    x = images()

    def forward(x, **params):
        for key, value in params.items():
            model.params[key][...] = value
        return model.forward(x, TRAIN)[0]

    start = {key: value.copy() for key, value in model.params.items()}
    y, cache = model.forward(x, TRAIN)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx, grads = model.backward(dy, cache)
    assert list(grads) == KEYS
    assert_gradients_match(forward, {"x": x, **start}, {"x": dx, **grads}, dy, rtol=1e-5)


def test_a_residual_adds_gradients():
    # y = 3x + x, so dx = 3dy + dy
    layer = Linear(1, 1, bias=False)
    layer.params["weight"][...] = 3
    y, cache = Residual(layer).forward(np.array([[2.0]], np.float32), Context())
    dx, grads = Residual(copy.deepcopy(layer)).backward(np.array([[10.0]], np.float32), cache)
    assert (y.item(), dx.item(), grads["body.weight"].item()) == (8, 40, 20)


def test_a_concat_splits_gradients():
    model = Concat(Identity(), Identity())
    x = images(2)
    y, cache = model.forward(x, Context())
    np.testing.assert_array_equal(y, np.concatenate([x, x], axis=1))
    dy = np.random.default_rng(1).standard_normal(y.shape)
    np.testing.assert_array_equal(model.backward(dy, cache)[0], dy[:, :2] + dy[:, 2:])


def test_an_empty_chain_is_the_identity():
    x = images()
    y, cache = Sequential().forward(x, Context())
    assert y is x
    assert Sequential().backward(y, cache) == (y, {})
    assert Sequential().backward(y, cache, need_dx=False) == (None, {})


@pytest.mark.parametrize("need_dx", [True, False])
def test_need_dx_changes_no_gradient(need_dx):
    model = branched()
    y, cache = model.forward(images(dtype=np.float32), TRAIN)
    dx, grads = model.backward(np.ones_like(y), cache, need_dx=need_dx)
    assert (dx is not None) == need_dx
    np.testing.assert_equal(grads, model.backward(np.ones_like(y), cache)[1])


# --- the tap, and memory order ----------------------------------------------------------------------------------------


def test_memory_order_after_every_layer_forward_and_backward():
    model, seen = branched(), []

    def tap(key, phase, values):
        for name in ("input", "output", "dy", "dx"):
            value = values.get(name)
            if value is not None and value.ndim == 4:
                seen.append((key, phase, name))
                assert is_hwnc(value), (key, phase, name)
                assert value.transpose(2, 3, 0, 1).flags.c_contiguous, (key, phase, name)

    y, cache = model.forward(to_hwnc(images(dtype=np.float32)), TRAIN._replace(tap=tap))
    dx, _ = model.backward(np.ones_like(y), cache)
    assert is_hwnc(dx)
    assert len(seen) > 60


def test_tap_sees_every_layer_once_with_its_key():
    model, calls = branched(), []

    def tap(key, phase, values):
        calls.append((phase, key))
        assert values.keys() == ({"input", "output", "cache"} if phase == "forward" else {"dy", "dx", "grads"})

    y, cache = model.forward(images(dtype=np.float32), TRAIN._replace(tap=tap, key="net"))
    forward, calls = calls, []
    containers = ["stem", "inception", "inception.wide", "block", "block.downsample", "loop", "loop.body"]
    expected = sorted(f"net.{key}" for key in [key for key, _ in model.layers()] + containers)
    assert sorted(key for _, key in forward) == expected
    assert {phase for phase, _ in forward} == {"forward"}
    model.backward(np.ones_like(y), cache)
    assert sorted(key for _, key in calls) == expected
    assert {phase for phase, _ in calls} == {"backward"}
    assert [key for _, key in calls][:3] == ["net.fc", "net.flatten", "net.pool"]


def test_tapped_gradients_have_the_layers_own_keys():
    model, found = Sequential(Linear(3, 2), Sequential(Linear(2, 2))), {}

    def tap(key, phase, values):
        if phase == "backward":
            found[key] = sorted(values["grads"])

    y, cache = model.forward(np.ones((1, 3), np.float32), Context(tap=tap))
    model.backward(y, cache)
    assert found == {"1.0": ["bias", "weight"], "1": ["0.bias", "0.weight"], "0": ["bias", "weight"]}


def test_dropout_depends_on_key_step_and_shard():
    model = Sequential(Dropout(), Sequential(Dropout()))
    x = np.ones((1, 64), np.float32)

    def masks(place):
        seen = []
        ctx = Context(train=True, rng=place, tap=lambda key, phase, values: seen.append(values["output"] > 0))
        Sequential(model[0]).forward(x, ctx)
        model[1].forward(x, ctx._replace(key="1"))
        return seen

    first, again = masks(Place(0)), masks(Place(0))
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    for other in (Place(1), Place(0, epoch=1), Place(0, step=1), Place(0, shard=1)):
        assert (masks(other)[0] != first[0]).any()


# --- freezing -------------------------------------------------------------------------------------------------------


class Watched(Layer):
    """The identity, which counts how often its backward is called."""

    def __init__(self):
        super().__init__()
        self.params = {"weight": np.ones(1, np.float32)}
        self.calls = 0

    def forward(self, x, ctx):
        return x, None

    def backward(self, dy, cache, *, need_dx=True):
        self.calls += 1
        return dy, {"weight": np.ones(1, np.float32)}


def test_backward_ends_where_nothing_below_learns():
    layers = [Watched() for _ in range(4)]
    model = Sequential(layers[0], Residual(layers[1]), layers[2], ReLU(), layers[3]).freeze("0.*", "1.*")
    y, cache = model.forward(np.ones((1, 1), np.float32), Context())
    dx, grads = model.backward(y, cache, need_dx=False)
    assert [layer.calls for layer in layers] == [0, 0, 1, 1]
    assert list(grads) == ["2.weight", "4.weight"]
    assert dx is None
    dx, grads = model.backward(y, cache)  # now somebody asks for dx
    assert [layer.calls for layer in layers] == [1, 1, 2, 2]
    assert list(grads) == ["2.weight", "4.weight"]
    assert dx is not None


def test_a_frozen_branch_is_left_out():
    layers = [Watched() for _ in range(3)]
    model = Sequential(Concat(layers[0], Residual(layers[1], layers[2]))).freeze("0.0.*", "0.1.shortcut.*")
    y, cache = model.forward(np.ones((1, 1), np.float32), Context())
    assert list(model.backward(y, cache, need_dx=False)[1]) == ["0.1.body.weight"]
    assert [layer.calls for layer in layers] == [0, 1, 0]


def test_a_model_wholly_frozen_has_no_gradient():
    model = branched().freeze("*")
    y, cache = model.forward(images(dtype=np.float32), TRAIN)
    assert model.backward(np.ones_like(y), cache, need_dx=False) == (None, {})
    dx, grads = model.backward(np.ones_like(y), cache)
    assert dx.shape == (3, *SHAPE)
    assert grads == {}


def test_frozen_keys_have_no_gradient():
    model = branched().freeze("*.bias", "stem.*")
    y, cache = model.forward(images(dtype=np.float32), TRAIN)
    _, grads = model.backward(np.ones_like(y), cache)
    assert list(grads) == [key for key in KEYS if not key.startswith("stem") and not key.endswith("bias")]
    assert set(grads) == model.trainable


def test_freezing_a_child_shows_in_its_parents_and_the_other_way_round():
    model = branched()
    model["stem"].freeze("0.*")
    assert model.frozen == {"stem.0.weight"}
    model["stem"][1].freeze("weight")
    assert model.trainable == set(KEYS) - {"stem.0.weight", "stem.1.weight"}
    model.unfreeze("stem.*")
    assert model.frozen == model["stem"].frozen == frozenset()
    model.freeze("fc.bias")
    assert model["fc"].frozen == {"bias"}
    assert Sequential(model).frozen == {"0.fc.bias"}


def test_patterns_that_match_nothing_are_refused():
    model = Sequential(Linear(2, 2))
    message = "pattern 'fc.*' matches no key; the keys are 0.weight, 0.bias"
    for function in ("freeze", "unfreeze"):
        with pytest.raises(ValueError, match="matches no key") as caught:
            getattr(model, function)("0.*", "fc.*")
        assert str(caught.value) == f"{function}: {message}"
    assert model.frozen == frozenset()


# --- the whole model ------------------------------------------------------------------------------------------------


def test_forward_leaves_no_trace_in_the_model():
    model = branched()
    before = pickle.dumps(model)
    y, cache = model.forward(images(dtype=np.float32), TRAIN)
    model.backward(np.ones_like(y), cache)
    assert pickle.dumps(model) == before


def test_commit_reaches_every_layer_in_place():
    model = branched()
    buffers, start = dict(model.buffers), {key: value.copy() for key, value in model.buffers.items()}
    _, cache = model.forward(images(dtype=np.float32), TRAIN)
    np.testing.assert_equal(model.buffers, start)
    model.commit(cache)
    for key, array in model.buffers.items():
        assert array is buffers[key]
        assert (array != start[key]).any(), key


def test_astype_keeps_container_and_layers_on_the_same_arrays():
    model = branched().freeze("fc.*")
    before = {key: value.copy() for key, value in (model.params | model.buffers).items()}
    assert model.astype("float64") is model
    assert model.dtype == np.float64
    assert model.frozen == {"fc.weight", "fc.bias"}
    for key, layer in model.layers():
        for name, array in (layer.params | layer.buffers).items():
            assert (model.params | model.buffers)[f"{key}.{name}"] is array
    np.testing.assert_equal(model.params | model.buffers, before)
    assert model.buffers["stem.1.num_batches_tracked"].dtype == np.int64
    assert model.predict(images(2)).dtype == np.float64


def test_deepcopy_and_pickle_are_models_of_their_own():
    model = branched().freeze("fc.*")
    x = images(dtype=np.float32)
    expected = model.predict(x)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(x), expected)
        assert twin.frozen == model.frozen
        for key, layer in twin.layers():
            for name, array in layer.params.items():
                assert twin.params[f"{key}.{name}"] is array
        twin.params["fc.weight"][...] = 0
        assert (twin.predict(x) != expected).any()
    np.testing.assert_array_equal(model.predict(x), expected)


def test_initialize_depends_on_seed_and_key_alone():
    model, other = branched().initialize(7), branched().initialize(8).initialize(7)
    np.testing.assert_equal(model.params, other.params)
    assert (branched().initialize(8).params["fc.weight"] != model.params["fc.weight"]).any()
    twins = Sequential(Linear(4, 4), Linear(4, 4)).initialize(0)
    assert (twins.params["0.weight"] != twins.params["1.weight"]).any()
    renamed = Sequential({"0": Linear(4, 4), "x": ReLU(), "1": Linear(4, 4)}).initialize(0)
    np.testing.assert_equal(renamed.params, twins.params)
    double = Sequential(Linear(4, 4), Linear(4, 4)).astype(np.float64).initialize(0)
    np.testing.assert_array_equal(double.params["0.weight"].astype(np.float32), twins.params["0.weight"])


def test_two_threads_predict_at_once():
    model = branched()
    inputs = [np.random.default_rng(i).standard_normal((40, *SHAPE)).astype(np.float32) for i in range(4)]
    expected = [model.predict(x) for x in inputs]
    found = [None] * 4

    def work(i):
        for _ in range(3):
            found[i] = model.predict(inputs[i], batch_size=7)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5)


@pytest.mark.fault("empty-batch")
def test_an_empty_batch():
    model = branched()
    assert model.predict(images(0, np.float32)).shape == (0, 5)
    y, cache = model.forward(images(0, np.float32), TRAIN)
    dx, grads = model.backward(y, cache)
    assert dx.shape == (0, *SHAPE)
    assert all(not grad.any() for grad in grads.values())


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "input_shape", "message"),
    [
        (
            Sequential(Conv2d(1, 4, 3), Linear(4, 2)),
            (2, 8, 8),
            "layer '0' = Conv2d(1, 4, 3) does not take (2, 8, 8): Conv2d: expects 1 channels, got 2",
        ),
        (
            Sequential({"features": Sequential(ReLU(), ReLU(), ReLU(), Conv2d(3, 4, 3)), "fc": Linear(4, 2)}),
            (2, 8, 8),
            "layer 'features.3' = Conv2d(3, 4, 3) does not take (2, 8, 8): Conv2d: expects 3 channels, got 2",
        ),
        (
            Sequential({"a": Residual(Sequential({"b": Concat(Conv2d(3, 4, 3))}), body_name="")}),
            (2, 8, 8),
            "layer 'a.b.0' = Conv2d(3, 4, 3) does not take (2, 8, 8): Conv2d: expects 3 channels, got 2",
        ),
        (
            Sequential({"stage": Sequential(Residual(Conv2d(2, 4, 1)))}),
            (2, 8, 8),
            "layer 'stage.0': Residual: body gives (4, 8, 8) but the shortcut gives (2, 8, 8)",
        ),
        (
            Sequential(Concat(Conv2d(2, 4, 3), Identity())),
            (2, 8, 8),
            "layer '0': Concat: outputs must agree in all axes but the first, got [(4, 6, 6), (2, 8, 8)]",
        ),
        (
            Residual(Conv2d(2, 4, 1)),
            (2, 8, 8),
            "Residual: body gives (4, 8, 8) but the shortcut gives (2, 8, 8)",
        ),
    ],
)
def test_shape_errors_name_the_layer_with_its_full_key(model, input_shape, message):
    for attempt in (
        lambda: model.output_shape(input_shape),
        lambda: model.multiply_adds(input_shape),
        lambda: model.summary(input_shape),
        lambda: model.predict(np.zeros((2, *input_shape), np.float32)),
    ):
        with pytest.raises(ShapeError) as caught:
            attempt()
        assert str(caught.value) == message


def test_shapes_are_checked_before_any_arithmetic():
    first = Watched()
    first.forward = lambda x, ctx: pytest.fail("arithmetic before the check of shapes")
    with pytest.raises(ShapeError, match="layer '1' = Linear"):
        Sequential(first, Linear(3, 2)).forward(np.ones((1, 4), np.float32), Context())


def test_a_residual_refuses_to_broadcast():
    with pytest.raises(ShapeError, match=r"body gives \(1, 2, 1, 1\) but the shortcut gives \(1, 2, 3, 3\)"):
        Residual(GlobalAvgPool2d()).forward(np.ones((1, 2, 3, 3), np.float32), Context())


RELU = ReLU()
CONV = Conv2d(2, 2, 1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: Sequential(ReLU(), "ReLU"),
            TypeError,
            "Sequential: child '1' must be a Layer, got str",
        ),
        (lambda: Residual(np.tanh), TypeError, "Residual: child 'body' must be a Layer, got ufunc"),
        (
            lambda: Sequential({"a.b": ReLU()}),
            ValueError,
            "Sequential: a child's name must hold no dot, got 'a.b'",
        ),
        (
            lambda: Sequential(CONV, ReLU(), CONV),
            ValueError,
            "Sequential: layers '0' and '2' are one and the same Conv2d(2, 2, 1); make a layer of its own for each "
            "place",
        ),
        (
            lambda: Sequential({"a": Sequential(RELU), "b": Residual(Sequential(RELU))}),
            ValueError,
            "Sequential: layers 'a.0' and 'b.body.0' are one and the same ReLU(); make a layer of its own for each "
            "place",
        ),
        (
            lambda: Residual(Sequential({"x": Linear(2, 2)}), Linear(2, 2), body_name="", shortcut_name="x"),
            ValueError,
            "Residual: two children have a parameter named 'x.weight'",
        ),
        (
            lambda: Residual(ReLU(), ReLU(), body_name="a", shortcut_name="a"),
            ValueError,
            "Residual: body_name and shortcut_name must differ, both are 'a'",
        ),
        (lambda: Sequential({1: ReLU()}), TypeError, "Sequential: a child's name must be a str, got 1"),
        (
            lambda: Concat(ReLU(), GlobalAvgPool2d()).forward(np.ones((1, 2, 3, 3), np.float32), Context()),
            ShapeError,
            "Concat: outputs must agree in all axes but axis 1, got [(1, 2, 3, 3), (1, 2, 1, 1)]",
        ),
        (lambda: Concat(), ValueError, "Concat: at least one branch is needed"),
        (
            lambda: Sequential(Linear(2, 2)).astype(np.float16),
            TypeError,
            "astype: a model computes in float32 or float64, got float16",
        ),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_a_layer_that_forgets_a_gradient_is_named():
    class Forgetful(Watched):
        def backward(self, dy, cache, *, need_dx=True):
            return dy, {"wieght": np.ones(1, np.float32)}

    model = Sequential({"a": Sequential(Forgetful())})
    y, cache = model.forward(np.ones((1, 1), np.float32), Context())
    with pytest.raises(ValueError, match="gave no gradient") as caught:
        model.backward(y, cache)
    assert str(caught.value) == "backward of layer 'a.0' = Forgetful() gave no gradient for weight"


def test_bases_say_what_is_missing():
    x = np.ones((1, 1), np.float32)
    with pytest.raises(NotImplementedError, match=r"^Layer has no forward$"):
        Layer().forward(x, Context())
    with pytest.raises(NotImplementedError, match=r"^Layer has no backward$"):
        Layer().backward(x, None)
    with pytest.raises(NotImplementedError, match=r"^Container has no child_inputs$"):
        Container({}).child_inputs((1,))


def test_kinks_are_no_trouble_for_spaced_values():
    # the gradient check above uses tanh; here a ReLU and a max-pool, with values that keep away from their kinks
    model = Sequential(ReLU(), MaxPool2d(2))
    x = spaced((2, 3, 4, 4), np.random.default_rng(0))
    y, cache = model.forward(x, Context())
    dy = np.random.default_rng(1).standard_normal(y.shape)
    assert_gradients_match(lambda x: model.forward(x, Context())[0], {"x": x}, {"x": model.backward(dy, cache)[0]}, dy)
