"""A graph: values by name, gradients added where they meet, and errors that name the node."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from graphs import (
    Add,
    ArgMax,
    MatMul,
    Mul,
    Relu,
    Reshape,
    Shape,
    Split,
    Tanh_,
    graph,
    node,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_gradients_match

from cnn_from_scratch.errors import ShapeError, UnsupportedOpError
from cnn_from_scratch.layers import Context, GraphNode, Linear, Operation, ReLU, Sequential, ValueInfo
from cnn_from_scratch.optim import Adam
from cnn_from_scratch.training import evaluate, fit


def numbers(*shape):
    array = np.random.default_rng(sum(shape)).standard_normal(shape)
    array.flags.writeable = False
    return array


def assert_gradient(model, x, rtol=1e-6):
    """By x and all parameters, against finite differences along random directions."""
    y, cache = model.forward(x, Context())
    dy = np.random.default_rng(5).standard_normal(y.shape)
    dx, grads = model.backward(dy, cache)

    def forward(x, **params):
        moved = copy.deepcopy(model)
        for key, value in params.items():
            moved.params[key] = value
        return moved.forward(x, Context())[0]

    inputs = {"x": np.array(x)} | {key: value.copy() for key, value in model.params.items()}
    assert list(grads) == list(model.params)
    assert_gradients_match(forward, inputs, {"x": dx} | grads, dy, rtol=rtol)


# --- values and gradients ---------------------------------------------------------------------------------------------


def test_a_value_that_is_read_twice_by_hand():
    """y = x * x + x at 3: y = 12, dy/dx = 2 * 3 + 1 = 7."""
    model = graph([node(Mul(), "x x", "square"), node(Add(), "square x", "y")], shape=(None, 1))
    y, cache = model.forward(np.array([[3.0]]), Context())
    assert y.item() == 12
    assert model.backward(np.array([[1.0]]), cache)[0].item() == 7
    assert model.backward(np.array([[1.0]]), cache, need_dx=False) == (None, {})


def test_a_weight_that_is_read_twice_gets_both_gradients():
    """y = (x * w) * w: by w it is 2 * x * w."""
    model = graph([node(Mul(), "x w", "a"), node(Mul(), "a w", "y")], w=np.full(4, 2.0))
    x = numbers(3, 4)
    y, cache = model.forward(x, Context())
    _, grads = model.backward(np.ones_like(y), cache)
    np.testing.assert_allclose(grads["w"], (2 * x * 2.0).sum(0), rtol=1e-14)
    assert_gradient(model, x)


def test_a_weight_that_nodes_compute_gets_its_gradient():
    """As in mnist_8: the weight of a product is a reshaped initializer."""
    nodes = [node(Reshape(), "w target", "matrix"), node(MatMul(), "x matrix", "y")]
    model = graph(nodes, w=np.array(numbers(2, 2, 3)), target=np.array([4, 3], np.int64))
    assert list(model.params) == ["w"]
    assert list(model.constants) == ["target"]
    assert_gradient(model, numbers(5, 4))


def test_several_outputs_of_which_one_is_not_used():
    model = graph([node(Split(), "x", "left right"), node(Mul(), "left left", "y")])
    x = numbers(3, 4)
    y, cache = model.forward(x, Context())
    np.testing.assert_array_equal(y, x[:, :2] ** 2)
    dx, _ = model.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(dx, np.hstack([2 * x[:, :2], np.zeros((3, 2))]))


def test_nodes_that_no_output_needs_are_left_out_and_have_no_parameters():
    nodes = [node(Mul(), "x v", "idle"), node(Mul(), "x w", "y")]
    model = graph(nodes, v=np.ones(4), w=np.ones(4))
    assert [n.name for n in model.nodes] == ["node_y"]
    assert list(model.params) == ["w"]
    assert list(model.constants) == ["v"]


def test_an_input_without_influence_has_a_gradient_of_zeros():
    model = graph([node(Relu(), "w", "y")], w=np.ones(4))
    y, cache = model.forward(numbers(2, 4), Context())
    dx, grads = model.backward(np.ones_like(y), cache)
    np.testing.assert_array_equal(dx, np.zeros((2, 4)))
    np.testing.assert_array_equal(grads["w"], np.ones(4))


def test_several_inputs_and_outputs_of_any_dtype():
    inputs = [ValueInfo("a", np.dtype(np.int32), (None,)), ValueInfo("b", np.dtype(np.int32), None)]
    model = graph([node(Add(), "a b", "sum"), node(Mul(), "sum a", "product")], "product sum", inputs)
    a, b = np.array([1, 2], np.int32), np.array([[10], [20]], np.int32)
    found = model.run({"a": a, "b": b})
    assert list(found) == ["product", "sum"]
    np.testing.assert_array_equal(found["sum"], a + b)
    np.testing.assert_array_equal(found["product"], (a + b) * a)
    assert found["sum"].dtype == np.int32


def test_a_default_can_be_replaced_and_left_out():
    inputs = [ValueInfo("x", np.dtype(np.float64), (None,)), ValueInfo("w", np.dtype(np.float64), (1,))]
    model = graph([node(Mul(), "x w", "y")], inputs=inputs, w=np.array([3.0]))
    assert model.run({"x": np.array([2.0])})["y"].tolist() == [6.0]
    assert model.run({"x": np.array([2.0]), "w": np.array([5.0])})["y"].tolist() == [10.0]
    assert model.params["w"].tolist() == [3.0]


def test_what_is_given_out_is_nobody_elses():
    model = graph([node(Reshape(), "w target", "y")], "y x w", w=np.ones(4), target=np.array([2, 2]))
    x = numbers(2, 4)
    found = model.run({"x": x})
    for name, array in found.items():
        assert array.flags.c_contiguous, name
        array[...] = 7
    assert (model.params["w"] == 1).all()


def test_nodes_are_sorted():
    model = graph([node(Relu(), "b", "y"), node(Add(), "a x", "b"), node(Mul(), "x x", "a")])
    assert [n.name for n in model.nodes] == ["node_a", "node_b", "node_y"]


def test_what_is_learned():
    """Floating, no scalar, on a way with gradients: the table in graph_weights.py."""
    nodes = [
        node(Mul(), "x scale", "a"),  # a scalar belongs to the formula
        node(Add(), "a offset", "b"),
        node(Operation("Clip"), "b low", "c"),  # no gradient at all, so nothing before it is learned
        node(Mul(), "c w", "y"),
    ]
    arrays = {"scale": np.array(2.0), "offset": np.ones(4), "low": np.ones(4), "w": np.ones(4)}
    model = graph(nodes, **arrays)
    assert list(model.params) == ["w"]
    assert sorted(model.constants) == ["low", "offset", "scale"]
    model = graph(nodes, trainable=["scale", "w"], **arrays)
    assert list(model.params) == ["scale", "w"]
    with pytest.raises(ValueError, match="Graph: trainable names 'x', which is no floating initializer"):
        graph(nodes, trainable=["x"], **arrays)


# --- memory -----------------------------------------------------------------------------------------------------------


def test_a_value_is_let_go_after_its_last_reader():
    alive = []

    class Spy(Operation):
        def forward(self, inputs, ctx):
            alive.append([ref() is not None for ref in made])
            y = inputs[0] + 1
            made.append(weakref.ref(y))
            return (y,), None

    made: list[weakref.ref] = []
    model = graph([node(Spy(), "x", "a"), node(Spy(), "a", "b"), node(Spy(), "b", "c"), node(Spy(), "c", "y")])
    gc.disable()
    try:
        model.run({"x": np.ones((1, 4))})
    finally:
        gc.enable()
    assert alive == [[], [True], [False, True], [False, False, True]]


def test_caches_can_be_let_go_on_the_way_back():
    model = graph([node(Mul(), "x w", "a"), node(Relu(), "a", "y")], w=np.ones(4))
    y, cache = model.forward(numbers(2, 4), Context())
    model.backward(np.ones_like(y), cache)
    assert len(cache.caches) == 2
    model.backward(np.ones_like(y), cache, let_go=True)
    assert cache.caches == []


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ([node(Relu(), "z", "y")], "y", "node 'node_y' (Relu) reads 'z', which is no input, no initializer"),
        ([node(Relu(), "x", "y")], "y z", "output 'z' is no input, no initializer and no node's output"),
        ([node(Relu(), "x", "y")], "y y", "output 'y' is named twice"),
        ([node(Relu(), "x", "y"), node(Relu(), "x", "z", "node_y")], "y", "node 'node_y' (Relu) has 'node_y', which"),
        ([node(Relu(), "x", "y"), node(Add(), "x x", "y", "b")], "y", "node 'b' (Add) makes 'y', which node 'node_y'"),
        ([node(Relu(), "x", "x")], "x", "node 'node_x' (Relu) makes 'x', which the graph's inputs or initializers"),
        (
            [node(Add(), "x b", "a"), node(Relu(), "a", "b")],
            "b",
            "these nodes wait for each other, in a circle: node 'node_a' (Add), node 'node_b' (Relu)",
        ),
        ([GraphNode("", Relu(), ("x",), ("y",))], "y", "a node must have a name of its own; node '' (Relu) has ''"),
    ],
)
def test_what_cannot_be_a_graph(nodes, outputs, message):
    with pytest.raises(ValueError, match=r"^Graph: ") as error:
        graph(nodes, outputs)
    assert message in str(error.value)


def test_two_inputs_of_one_name():
    twice = [ValueInfo("x", np.dtype(np.float32), None)] * 2
    with pytest.raises(ValueError, match="Graph: an input must have a name of its own, got 'x' in x, x"):
        graph([node(Relu(), "x", "y")], inputs=twice)


def test_inputs_that_are_not_as_declared():
    model = graph([node(Relu(), "x", "y")])
    x = numbers(2, 4)
    with pytest.raises(ValueError, match="run: no input is named 'z'; there are x"):
        model.run({"z": x})
    with pytest.raises(ValueError, match="run: input 'x' is missing; the inputs are x"):
        model.run({})
    with pytest.raises(TypeError, match="run: input 'x' must be float64, got float32"):
        model.run({"x": x.astype(np.float32)})
    with pytest.raises(TypeError, match="run: input 'x' must be a NumPy array, got list"):
        model.run({"x": [1.0]})
    with pytest.raises(ShapeError, match=r"run: input x float64 \(N, 4\) was given an array of shape \(2, 3\)"):
        model.run({"x": numbers(2, 3)})
    with pytest.raises(ShapeError, match=r"forward: input x float64 \(N, 4\) was given an array of shape \(4,\)"):
        model.forward(numbers(4), Context())
    with pytest.raises(TypeError, match="Graph: initializer 'w' must be a NumPy array, got float"):
        graph([node(Mul(), "x w", "y")], w=1.0)


def test_the_node_that_cannot_compute_is_named():
    model = graph([node(Mul(), "x w", "y", "scale")], w=np.ones(3))
    with pytest.raises(ShapeError, match=r"Graph: node 'scale' \(Mul\): .*float64 \(2, 4\), float64 \(3,\)"):
        model.run({"x": numbers(2, 4)})


def test_a_gradient_is_missed_only_when_it_is_asked_for():
    model = graph([node(Mul(), "x w", "a"), node(ArgMax(), "a", "y", "best")], w=np.ones(4), trainable=["w"])
    y, cache = model.forward(np.array([[1.0, 3.0, 2.0, 0.0]]), Context())
    assert y.tolist() == [1]
    with pytest.raises(UnsupportedOpError, match=r"Graph: node 'best' \(ArgMax\): ArgMax has no gradient"):
        model.backward(np.ones(1), cache)
    model.freeze("w")
    assert model.backward(np.ones(1), cache, need_dx=False) == (None, {})


def test_a_layer_has_one_input_and_one_output():
    model = graph([node(Split(), "x", "a b")], "a b")
    with pytest.raises(ValueError, match="forward needs one input and one output, but there are the inputs x and the"):
        model.forward(numbers(2, 4), Context())
    with pytest.raises(TypeError, match="Graph: cache must come from the forward of this Graph, got tuple"):
        graph([node(Relu(), "x", "y")]).backward(numbers(2, 4), ())


def test_an_operation_that_gives_too_little():
    class Short(Operation):
        def forward(self, inputs, ctx):
            return (inputs[0],), None

        def backward(self, doutputs, cache, wanted):
            return ()

    with pytest.raises(ValueError, match=r"node 'n' \(Short\) gave 1 outputs; 2 are read"):
        graph([node(Short(), "x", "y z", "n")], "y z").run({"x": numbers(2, 4)})
    model = graph([node(Short(), "x", "y", "n")])
    _, cache = model.forward(numbers(2, 4), Context())
    with pytest.raises(ValueError, match=r"backward of node 'n' \(Short\) gave 0 gradients for 1 inputs"):
        model.backward(numbers(2, 4), cache)


# --- as any layer -----------------------------------------------------------------------------------------------------


def two_layers():
    """tanh(x @ v + b) @ w"""
    rng = np.random.default_rng(3)
    nodes = [
        node(MatMul(), "x v", "a", "hidden"),
        node(Add(), "a b", "c", "offset"),
        node(Tanh_(), "c", "d", "bend"),
        node(MatMul(), "d w", "y", "scores"),
    ]
    return graph(nodes, v=rng.standard_normal((4, 8)), b=np.zeros(8), w=rng.standard_normal((8, 3)))


def test_gradients_of_a_chain():
    assert_gradient(two_layers(), numbers(5, 4))


def test_the_interface_of_a_layer():
    model, x = two_layers(), numbers(5, 4)
    assert list(model.params) == ["v", "b", "w"]
    assert model.dtype == np.float64
    assert model.output_shape((4,)) == (3,)
    assert model.multiply_adds((4,)) == 4 * 8 + 8 * 3
    np.testing.assert_array_equal(model.predict(x), model.forward(x, Context())[0])
    assert model.predict(x).flags.c_contiguous
    half = copy.deepcopy(model).astype(np.float32)
    assert half.predict(x).dtype == np.float32
    np.testing.assert_allclose(half.predict(x), model.predict(x), rtol=1e-4, atol=1e-5)
    assert model.trainable == {"v", "b", "w"}
    assert model.freeze("b").trainable == {"v", "w"}
    assert "b" not in model.backward(numbers(5, 3), model.forward(x, Context())[1])[1]
    assert repr(graph([node(Relu(), "x", "y")])) == ("Graph(x float64 (N, 4) -> y\n  (node_y): Relu()  x -> y\n)")


def test_summary(capsys):
    table = two_layers().summary((4,))
    assert [(row.key, row.layer, row.output_shape, row.parameters, row.multiply_adds) for row in table.rows] == [
        ("hidden", "MatMul()", (8,), 32, 32),
        ("offset", "Add()", (8,), 8, 0),
        ("bend", "Tanh()", (8,), 0, 0),
        ("scores", "MatMul()", (3,), 24, 24),
    ]
    assert "64 parameters take 512 B" in capsys.readouterr().out


def test_a_weight_that_two_nodes_share_is_counted_once(capsys):
    table = graph([node(Mul(), "x w", "a"), node(Mul(), "a w", "y")], w=np.ones(4)).summary((4,))
    assert [row.parameters for row in table.rows] == [4, 0]
    assert table.parameters == 4


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_has_its_own_arrays(again):
    model = graph([node(Mul(), "x w", "y")], w=np.ones(4))
    other = again(model)
    other.params["w"][...] = 5
    x = numbers(2, 4)
    np.testing.assert_array_equal(other.predict(x), 5 * x)
    np.testing.assert_array_equal(model.predict(x), x)


def test_it_learns():
    x = np.random.default_rng(0).standard_normal((256, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    model = two_layers()
    before = evaluate(model, (x, y)).loss
    fit(model, (x, y), epochs=60, batch_size=32, optimizer=Adam(lr=0.02), progress=False, shards=2)
    report = evaluate(model, (x, y))
    assert report.loss < 0.3 < before
    assert report.accuracy > 0.9


def test_inside_of_a_sequential():
    body = graph([node(Mul(), "x w", "y")], w=np.full(4, 3.0))
    model = Sequential({"body": body, "relu": ReLU(), "head": Linear(4, 2, rng=0).astype(np.float64)})
    assert list(model.params) == ["body.w", "head.weight", "head.bias"]
    x = numbers(6, 4)
    y, cache = model.forward(x, Context())
    dx, grads = model.backward(np.ones_like(y), cache)
    dhidden = np.ones_like(y) @ model.params["head.weight"] * (3 * x > 0)
    np.testing.assert_allclose(dx, 3 * dhidden, rtol=1e-13)
    np.testing.assert_allclose(grads["body.w"], (dhidden * x).sum(0), rtol=1e-13)
    np.testing.assert_allclose(model.predict(x), y, rtol=1e-13)


# --- the length of a batch --------------------------------------------------------------------------------------------


def centred(batch="N"):
    """x minus the mean of the batch: an operation of one's own that says nothing about examples."""

    class Centre(Operation):
        def forward(self, inputs, ctx):
            return (inputs[0] - inputs[0].mean(0),), None

        def backward(self, doutputs, cache, wanted):
            return (doutputs[0] - doutputs[0].mean(0),)

    return graph([node(Centre(), "x", "a"), node(Mul(), "a w", "y")], shape=(batch, 4), w=np.ones(4))


def test_what_is_not_shown_to_keep_the_batch_runs_in_one_piece():
    model, x = centred(), numbers(100, 4)
    assert not model.keeps_batch((4,))
    np.testing.assert_array_equal(model.predict(x, batch_size=8), x - x.mean(0))
    plan = model.compile((100, 4), shards=2)
    assert plan.shards == 1
    np.testing.assert_array_equal(plan(np.array(x)), x - x.mean(0))


def test_training_in_one_shard_where_the_batch_must_not_be_cut():
    x, target = numbers(8, 4), np.zeros((8, 4))
    results = []
    for shards in (1, 2):
        model = centred()
        fit(model, (x, target), epochs=1, batch_size=8, loss="mse", progress=False, shards=shards, shuffle=False)
        results.append(model.params["w"].copy())
    np.testing.assert_array_equal(*results)


def test_an_operation_says_itself_that_it_keeps_the_batch():
    class Twice(Operation):
        def forward(self, inputs, ctx):
            return (2 * inputs[0],), None

        def keeps_batch(self, shapes, batched, constants):
            assert shapes[0][1:] == (4,)
            assert batched == [True]
            assert constants == [None]
            return True

    assert graph([node(Twice(), "x", "y")]).keeps_batch((4,))


def test_a_graph_for_one_example_predicts_one_after_the_other():
    class One(Operation):
        op_type = "Reshape"

        def forward(self, inputs, ctx):
            return (inputs[0].reshape(1, 4),), None

    model = graph([node(One(), "x", "y")], shape=(1, 2, 2))
    assert not model.keeps_batch((2, 2))
    x = numbers(5, 2, 2)
    np.testing.assert_array_equal(model.predict(x), x.reshape(5, 4))
    assert model.predict(x[:0]).shape == (0, 4)
    with pytest.raises(ShapeError, match=r"forward: input x float64 \(1, 2, 2\) was given an array of shape \(5, 2, 2"):
        model.forward(x, Context())


def test_a_declared_batch_that_is_shown_not_to_matter():
    model, x = graph([node(Relu(), "x", "y")], shape=(1, 4)), numbers(5, 4)
    np.testing.assert_array_equal(model.predict(x), np.maximum(x, 0))
    np.testing.assert_array_equal(model.forward(x, Context())[0], np.maximum(x, 0))


def test_a_shape_is_no_way_for_a_gradient():
    model = graph([node(Shape(), "x", "s"), node(Reshape(), "x s", "y")])
    x = numbers(3, 4)
    y, cache = model.forward(x, Context())
    np.testing.assert_array_equal(model.backward(x, cache)[0], x)
    np.testing.assert_array_equal(y, x)


# --- graphs put together by chance ------------------------------------------------------------------------------------


@st.composite
def random_graphs(draw):
    """Nodes that read any values made before, square weights used any number of times."""
    values, nodes = ["x", "w0", "w1"], []
    for i in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from([Add, Mul, Tanh_, MatMul]))
        count = 1 if kind is Tanh_ else 2
        inputs = [draw(st.sampled_from(values)) for _ in range(count)]
        nodes.append(node(kind(), " ".join(inputs), f"v{i}"))
        values.append(f"v{i}")
    order = draw(st.permutations(nodes))
    return order, f"v{len(nodes) - 1}"


def recursive(nodes, given, value):
    """The value, computed by asking for what it is made of."""
    if value in given:
        return given[value]
    maker = next(n for n in nodes if value in n.outputs)
    inputs = [recursive(nodes, given, name) for name in maker.inputs]
    return maker.operation.forward(inputs, Context())[0][0]


@settings(max_examples=60, deadline=None)
@given(random_graphs(), st.integers(0, 1000))
def test_a_graph_by_chance_against_a_recursive_evaluator_and_finite_differences(drawn, seed):
    nodes, output = drawn
    rng = np.random.default_rng(seed)
    arrays = {name: rng.uniform(-0.5, 0.5, (3, 3)) for name in ("x", "w0", "w1")}
    weights = {name: arrays[name].copy() for name in ("w0", "w1")}
    model = graph(nodes, output, shape=(3, 3), trainable=["w0", "w1"], **weights)
    np.testing.assert_array_equal(model.run({"x": arrays["x"]})[output], recursive(nodes, arrays, output))
    assert_gradient(model, arrays["x"], rtol=1e-5)
