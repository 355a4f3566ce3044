"""A graph that consists of what our layers do becomes these layers: the same steps, the same bits."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from graphs import Add, Mul, Relu, as_graph, graph, node

from cnn_from_scratch import models
from cnn_from_scratch.formats.onnx.registry import Node, make_operation
from cnn_from_scratch.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Context,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Graph,
    GraphNode,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    ValueInfo,
)
from cnn_from_scratch.layers.fusion import as_program
from cnn_from_scratch.layers.graph_dominators import Flow
from cnn_from_scratch.layers.predict import in_fast_order
from cnn_from_scratch.optim import SGD
from cnn_from_scratch.randomness import Place
from cnn_from_scratch.training import fit

SHAPES = {
    "mnist_cnn": (1, 28, 28),
    "lenet5": (1, 28, 28),
    "digits_cnn": (1, 8, 8),
    "resnet20": (3, 32, 32),
    "vgg_small": (3, 32, 32),
}


def images(shape, count=6, dtype=np.float32):
    return np.random.default_rng(1).standard_normal((count, *shape)).astype(dtype)


def branches():
    """Every kind of piece: residual blocks with and without a shortcut, branches side by side, dropout."""
    return Sequential(
        {
            "stem": Conv2d(3, 8, 3, padding=1, bias=False, rng=0),
            "block": Residual(
                Sequential(Conv2d(8, 8, 3, padding=1, bias=False, rng=1), BatchNorm2d(8), ReLU(), Dropout(0.3)),
                Sequential(Conv2d(8, 8, 1, bias=False, rng=2), BatchNorm2d(8)),
            ),
            "relu": ReLU(),
            "plain": Residual(Sequential(Conv2d(8, 8, 3, padding=1, rng=3))),
            "wide": Concat(Conv2d(8, 4, 1, rng=4), Sequential(MaxPool2d(3, 1, 1), BatchNorm2d(8))),
            "mean": AvgPool2d(2),
            "pool": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "head": Linear(12, 5, rng=5),
        }
    )


NETWORKS = [("branches", branches, (3, 8, 8))] + [(name, models.MODELS[name], shape) for name, shape in SHAPES.items()]
each_network = pytest.mark.parametrize(("make", "shape"), [n[1:] for n in NETWORKS], ids=[n[0] for n in NETWORKS])


@each_network
def test_it_predicts_the_same_bits_by_the_same_calls(make, shape):
    model = make()
    own, x = as_graph(model, shape), images(shape, 3)
    np.testing.assert_array_equal(own.predict(x), model.predict(x))
    plan, planned = model.compile((1, *shape)), own.compile((1, *shape))
    assert [row[1:] for row in planned.table()] == [row[1:] for row in plan.table()]
    np.testing.assert_array_equal(planned(x[:1]), plan(x[:1]))


@each_network
def test_a_step_of_training_is_the_same_in_float64(make, shape):
    """Fused or not, lowered or node by node, as our own layers: outputs, gradients, running statistics."""
    model = make().astype(np.float64)
    own = as_graph(model, shape)
    x, ctx = in_fast_order(images(shape, 4, np.float64)), Context(train=True, rng=Place(seed=3))
    y, cache = own.forward(x, ctx)
    dy = np.random.default_rng(9).standard_normal(y.shape)
    dx, grads = own.backward(dy, cache)
    assert list(grads) == list(own.params)
    for fuse in (False, True):
        program = as_program(own, fuse=fuse)
        y2, caches = program.forward(x, ctx)
        commits = program.commits(caches)
        dx2, grads2 = program.backward(dy, caches, need_dx=True)
        np.testing.assert_allclose(y2, y, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(dx2, dx, rtol=1e-8, atol=1e-12)
        assert list(grads2) == list(grads)
        for key, grad in grads.items():
            np.testing.assert_allclose(grads2[key], grad, rtol=1e-8, atol=1e-11, err_msg=key)
            assert grads2[key].flags.c_contiguous
        before = {key: value.copy() for key, value in own.buffers.items()}
        own.commit(cache)
        wanted = {key: value.copy() for key, value in own.buffers.items()}
        for key, value in before.items():
            own.buffers[key] = value
        for layer, kept in commits:
            layer.commit(kept)
        for key, value in wanted.items():
            np.testing.assert_allclose(own.buffers[key], value, rtol=1e-10, err_msg=key)
            own.buffers[key] = before[key]


def without_dropout():
    return Sequential(
        {
            "conv1": Conv2d(1, 6, 3, padding=1, bias=False, rng=0),
            "bn1": BatchNorm2d(6),
            "relu1": ReLU(),
            "pool1": MaxPool2d(2),
            "conv2": Conv2d(6, 8, 3, padding=1, rng=1),
            "relu2": ReLU(),
            "flatten": Flatten(),
            "fc": Linear(128, 4, rng=2),
        }
    )


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_training_gives_the_same_bits(workers):
    x, y = images((1, 8, 8), 50), np.random.default_rng(2).integers(0, 4, 50)
    model = without_dropout()
    own = as_graph(model, (1, 8, 8))
    for each in (model, own):
        fit(each, (x, y), epochs=2, batch_size=16, optimizer=SGD(0.05, momentum=0.9), shards=2, workers=workers,
            progress=False)  # fmt: skip
    for key, array in (own.params | own.buffers).items():
        np.testing.assert_array_equal(array, (model.params | model.buffers)[key], err_msg=key)
    np.testing.assert_array_equal(own.predict(x), model.predict(x))


def test_frozen_is_frozen_in_the_layers_too():
    model = without_dropout()
    own = as_graph(model, (1, 8, 8))
    own.predict(images((1, 8, 8)))  # lowered before it is frozen
    x, y = images((1, 8, 8), 32), np.arange(32) % 4
    for each in (model, own):
        each.freeze("bn1.*", "conv1.*")
        fit(each, (x, y), epochs=1, batch_size=16, shards=1, progress=False)
    for key, array in (own.params | own.buffers).items():
        np.testing.assert_array_equal(array, (model.params | model.buffers)[key], err_msg=key)
    np.testing.assert_array_equal(own.buffers["bn1.running_mean"], np.zeros(6))


def test_node_by_node_a_frozen_norm_stays_in_evaluation():
    own, x = as_graph(without_dropout(), (1, 8, 8)), images((1, 8, 8))
    trained = own.forward(x, Context(train=True))[1]
    assert own.to_commit(trained).keys() == {"bn1.running_mean", "bn1.running_var"}
    own.freeze("bn1.weight", "bn1.bias")
    y, cache = own.forward(x, Context(train=True))
    np.testing.assert_array_equal(y, own.forward(x, Context())[0])
    assert own.to_commit(cache) == {}


def test_writing_into_the_parameters_is_seen_by_the_layers():
    own, x = as_graph(without_dropout(), (1, 8, 8)), images((1, 8, 8))
    before = own.predict(x)
    own.params["fc.bias"] += 1
    np.testing.assert_allclose(own.predict(x), before + 1, rtol=1e-5)
    other = copy.deepcopy(own)
    other.params["fc.bias"] += 1
    np.testing.assert_allclose(other.predict(x), before + 2, rtol=1e-5)
    np.testing.assert_allclose(own.predict(x), before + 1, rtol=1e-5)
    own.params = {key: value * 0 for key, value in own.params.items()}
    np.testing.assert_array_equal(own.predict(x), np.zeros_like(before))
    assert own.astype(np.float64).predict(x).dtype == np.float64


def test_the_layers_share_memory_with_the_graph():
    own = as_graph(without_dropout(), (1, 8, 8))
    layers = own.to_layers((1, 8, 8))
    assert [type(layer) for layer in layers.children.values()] == [
        Conv2d, BatchNorm2d, ReLU, MaxPool2d, Conv2d, ReLU, Flatten, Linear]  # fmt: skip
    for key, array in layers.params.items():
        assert np.shares_memory(array, own.params[key])
    assert np.shares_memory(layers.buffers["bn1.running_mean"], own.buffers["bn1.running_mean"])


# --- what other exporters write ---------------------------------------------------------------------------------------


def onnx(op_type, inputs, output, *, opset=17, **attributes):
    inputs = inputs.split()
    operation = make_operation(Node(op_type, output, attributes, opset, len(inputs), 1))
    return GraphNode(output, operation, tuple(inputs), (output,))


def float32(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def mnist_8():
    """The shape of the model zoo's network: SAME_UPPER, biases added behind, and a weight that is reshaped."""
    return Graph(
        [
            onnx("Conv", "x k1", "c1", kernel_shape=[5, 5], auto_pad="SAME_UPPER", strides=[1, 1]),
            onnx("Add", "c1 b1", "a1"),
            onnx("Relu", "a1", "r1"),
            onnx("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
            onnx("Reshape", "p1 rows", "flat"),
            onnx("Reshape", "w0 matrix", "w"),
            onnx("MatMul", "flat w", "m"),
            onnx("Add", "m b2", "y"),
        ],
        [ValueInfo("x", np.dtype(np.float32), ("N", 1, 8, 8))],
        ["y"],
        {
            "k1": float32(4, 1, 5, 5),
            "b1": float32(4, 1, 1),
            "rows": np.array([-1, 64]),
            "w0": float32(4, 4, 4, 10),
            "matrix": np.array([64, 10]),
            "b2": float32(1, 10),
        },
    )


def test_biases_that_are_added_and_weights_that_are_reshaped():
    own, x = mnist_8(), images((1, 8, 8))
    layers = own.to_layers((1, 8, 8))
    assert repr(layers) == (
        "Sequential(\n"
        "  (a1): Conv2d(1, 4, 5, padding='same')\n"
        "  (r1): ReLU()\n"
        "  (p1): MaxPool2d(2)\n"
        "  (flat): Flatten()\n"
        "  (y): Linear(64, 10)\n"
        ")"
    )
    assert [type(step).__name__ for step in as_program(layers).steps] == ["ConvReLUStep", "LayerStep", "LayerStep"]
    y, cache = own.forward(x, Context())
    np.testing.assert_allclose(own.predict(x), y, rtol=1e-4, atol=1e-5)
    dx, grads = own.backward(np.ones_like(y), cache)
    program = as_program(own)
    y2, caches = program.forward(x, Context())
    dx2, grads2 = program.backward(np.ones_like(y), caches, need_dx=True)
    assert list(grads2) == ["k1", "b1", "w0", "b2"]
    for key, grad in grads.items():
        assert grads2[key].shape == own.params[key].shape
        np.testing.assert_allclose(grads2[key], grad, rtol=1e-3, atol=1e-3, err_msg=key)
    np.testing.assert_allclose(dx2, dx, rtol=1e-3, atol=1e-4)


def test_a_flatten_by_the_length_of_the_batch():
    """view(x.size(0), -1) as PyTorch exports it: Shape, Gather, Unsqueeze, Concat, Reshape."""
    own = Graph(
        [
            onnx("Relu", "x", "r"),
            onnx("Shape", "r", "shape"),
            onnx("Gather", "shape zero", "length", axis=0),
            onnx("Unsqueeze", "length axes", "n"),
            onnx("Concat", "n rest", "target", axis=0),
            onnx("Reshape", "r target", "flat"),
            onnx("Gemm", "flat w b", "y"),
        ],
        [ValueInfo("x", np.dtype(np.float32), ("N", 2, 3, 3))],
        ["y"],
        {
            "zero": np.array(0),
            "axes": np.array([0]),
            "rest": np.array([-1]),
            "w": float32(18, 5),
            "b": float32(5),
        },
    )
    assert [type(layer) for layer in own.to_layers((2, 3, 3)).children.values()] == [ReLU, Flatten, Linear]
    x = images((2, 3, 3))
    np.testing.assert_array_equal(own.predict(x), own.forward(x, Context())[0])


def test_what_has_no_layer_stays_a_graph_in_its_place():
    """A gate by which an image is multiplied: two ways that meet in a product."""
    own = Graph(
        [
            onnx("Conv", "x k", "c", kernel_shape=[3, 3]),
            onnx("GlobalAveragePool", "c", "mean"),
            onnx("HardSigmoid", "mean", "gate"),
            onnx("Mul", "c gate", "gated"),
            onnx("Mul", "gated scale", "scaled"),
            onnx("Relu", "scaled", "y"),
        ],
        [ValueInfo("x", np.dtype(np.float32), ("N", 2, 6, 6))],
        ["y"],
        {"k": float32(3, 2, 3, 3), "scale": float32(3, 1, 1)},
    )
    layers = own.to_layers((2, 6, 6)).children
    assert [type(layer) for layer in layers.values()] == [Conv2d, Graph, Graph, ReLU]
    assert [part.name for part in layers["gated"].nodes] == ["mean", "gate", "gated"]
    assert list(layers["scaled"].params) == ["scale"]
    x = images((2, 6, 6))
    np.testing.assert_array_equal(own.predict(x), own.forward(x, Context())[0])
    np.testing.assert_allclose(own.compile((3, 2, 6, 6))(x[:3]), own.predict(x[:3]), rtol=1e-4, atol=1e-5)
    y, cache = own.forward(x, Context())
    dx, grads = own.backward(np.ones_like(y), cache)
    program = as_program(own, fuse=False)
    _, caches = program.forward(x, Context())
    dx2, grads2 = program.backward(np.ones_like(y), caches, need_dx=True)
    np.testing.assert_array_equal(dx2, dx)
    for key, grad in grads.items():
        np.testing.assert_array_equal(grads2[key], grad)


def test_dropout_draws_the_same_lowered_or_not():
    own = as_graph(Sequential({"a": ReLU(), "drop": Dropout(0.5), "b": ReLU()}), (20,))
    x, ctx = np.abs(images((20,))), Context(train=True, rng=Place(seed=1, step=4), key="net")
    y, _ = own.forward(x, ctx)
    y2, _ = as_program(own).forward(x, ctx)
    assert (y == 0).any()
    np.testing.assert_array_equal(y2, y)


@pytest.mark.parametrize(
    "nodes",
    [
        [node(Mul(), "x w", "a"), node(Mul(), "a w", "b"), onnx("Relu", "b", "y")],  # one weight in two places
        [node(Add(), "x w", "a"), node(Relu(), "a", "y")],  # no rule knows whether it keeps the batch: w has its axis
        [node(Mul(), "x x", "y")],  # nothing that is a layer
    ],
)
def test_what_is_not_lowered_is_computed_all_the_same(nodes):
    own = graph(nodes, shape=(None, 4), w=np.full((2, 4), 2.0) if "Add" in repr(nodes) else np.full(4, 2.0))
    assert own.to_layers((4,)) is None
    x = np.random.default_rng(0).standard_normal((2, 4))
    np.testing.assert_array_equal(own.predict(x), own.run({"x": x})["y"])


def test_dominators_of_a_diamond_and_a_ladder():
    nodes = [
        node(Relu(), "x", "a"),
        node(Relu(), "a", "b"),
        node(Relu(), "a", "c"),
        node(Add(), "b c", "d"),
        node(Add(), "d c", "e"),  # c is read past the end of the diamond
        node(Relu(), "e", "y"),
    ]
    flow = Flow(nodes, "x", lambda n: n.inputs)
    assert flow.dominator == {"a": "x", "b": "a", "c": "a", "d": "a", "e": "a", "y": "e"}
    assert [n.name for n in flow.between("a", "e")] == ["node_b", "node_c", "node_d", "node_e"]
