"""A graph that was written for batches of one length, made free where that can be shown to be right."""

from __future__ import annotations

import numpy as np
import pytest
from ladder import CONFORMANCE, REAL_DATA

from cnn_from_scratch import Adam, evaluate, fit, load_onnx
from cnn_from_scratch.data import load_mnist
from cnn_from_scratch.errors import ShapeError

onnx = pytest.importorskip("onnx")
helper, numpy_helper, FLOAT = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
MNIST_8 = CONFORMANCE / "onnx_models" / "mnist_8"


@pytest.fixture
def load(tmp_path):
    """A graph from x of a shape to y, read back with a free batch."""

    def load(nodes, arrays=(), *, shape=(2, 3, 4), opset=13, more=(), batch="free"):
        inputs = [helper.make_tensor_value_info("x", FLOAT, shape), *more]
        output = helper.make_tensor_value_info("y", FLOAT, None)
        tensors = [numpy_helper.from_array(array, name) for name, array in dict(arrays).items()]
        graph = helper.make_graph(nodes, "g", inputs, [output], tensors)
        message = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        path = tmp_path / "model.onnx"
        path.write_bytes(message.SerializeToString())
        return load_onnx(path, batch=batch)

    return load


def ints(*values):
    return np.array(values, np.int64)


def x_of(length, shape=(3, 4)):
    return np.random.default_rng(length).random((length, *shape), np.float32)


RESHAPE = helper.make_node("Reshape", ["x", "shape"], ["y"], name="flat")


def test_a_constant_length_becomes_minus_one(load):
    graph = load([RESHAPE], {"shape": ints(2, 12)})
    assert graph.notes == (
        "input x float32 (2, 3, 4): its first axis, 2, is free now",
        "node 'flat' (Reshape): the shape [2, 12] is [-1, 12] now",
    )
    assert graph.inputs[0].shape == ("batch", 3, 4)
    for length in (1, 2, 5):
        assert np.array_equal(graph.predict(x_of(length)), x_of(length).reshape(length, 12))
    assert [a.tolist() for a in graph.constants.values()] == [[-1, 12]]


def test_another_axis_is_inferred_already(load):
    graph = load([RESHAPE], {"shape": ints(2, -1)})
    assert graph.notes[1] == "node 'flat' (Reshape): the shape [2, -1] is [0, -1] now"
    assert np.array_equal(graph.predict(x_of(5)), x_of(5).reshape(5, 12))


def test_zeros_in_a_shape_copy_and_remain(load):
    graph = load([RESHAPE], {"shape": ints(2, 0, 2, 2)})
    assert graph.predict(x_of(5)).shape == (5, 3, 2, 2)


def test_the_shape_of_old_versions_is_an_attribute(load):
    graph = load([helper.make_node("Reshape", ["x"], ["y"], shape=[2, 12])], opset=4)
    assert np.array_equal(graph.predict(x_of(3)), x_of(3).reshape(3, 12))
    assert graph.notes[1] == "node 'Reshape_0' (Reshape): the shape [2, 12] is [-1, 12] now"


def test_a_weight_that_shares_the_shape_keeps_it(load):
    """The weight's reshape to [2, 12] is none of the batch: it is the same for all lengths."""
    nodes = [
        helper.make_node("Reshape", ["weight", "shape"], ["matrix"]),
        helper.make_node("Reshape", ["x", "shape"], ["rows"]),
        helper.make_node("Gemm", ["rows", "matrix"], ["y"], transB=1),
    ]
    weight = np.random.default_rng(0).random((4, 6), np.float32)
    graph = load(nodes, {"weight": weight, "shape": ints(2, 12)})
    expected = x_of(5).reshape(5, 12) @ weight.reshape(2, 12).T
    np.testing.assert_allclose(graph.predict(x_of(5)), expected, rtol=1e-5)
    assert len(graph.notes) == 2


def test_a_batch_that_is_free_already_is_left_as_it_is(load):
    nodes, arrays = [RESHAPE], {"shape": ints(-1, 12)}
    assert load(nodes, arrays, shape=("N", 3, 4)).notes == ()
    assert load(nodes, arrays, shape=("N", 3, 4)).inputs[0].shape == ("N", 3, 4)


def test_without_asking_nothing_is_changed(load):
    graph = load([RESHAPE], {"shape": ints(2, 12)}, batch=None)
    assert graph.notes == ()
    assert graph.inputs[0].shape == (2, 3, 4)


def node(op_type, inputs=("x",), **attributes):
    return helper.make_node(op_type, list(inputs), ["y"], **attributes)


@pytest.mark.parametrize(
    ("nodes", "arrays"),
    [
        ([node("Transpose", perm=[1, 0, 2])], {}),  # the batch is no longer first
        ([RESHAPE], {"shape": ints(3, 8)}),  # rows of several examples
        ([RESHAPE], {"shape": ints(2, 2, 6)[::-1].copy()}),  # [6, 2, 2]: likewise
        ([node("Softmax", axis=0)], {}),  # examples compete
        ([node("ReduceMean", axes=[0])], {}),
        ([node("Add", ("x", "w"))], {"w": np.ones((2, 1, 1), np.float32)}),  # one number for each place in the batch
        ([node("Concat", ("x", "w"), axis=0)], {"w": np.ones((1, 3, 4), np.float32)}),
        ([helper.make_node("MatMul", ["w", "x"], ["y"])], {"w": np.ones((2, 3, 3), np.float32)}),
    ],
    ids=["transposed", "mixed", "mixed-3d", "softmax", "mean", "by-place", "longer", "stacked"],
)
def test_what_cannot_be_shown_is_refused(load, nodes, arrays):
    with pytest.raises(ShapeError, match=r"model\.onnx: .*"):
        load(nodes, arrays)
    load(nodes, arrays, batch=None)


@pytest.mark.parametrize(
    ("nodes", "arrays"),
    [
        ([node("Squeeze", ("x", "w"))], {"w": ints(0)}),
        ([node("Flatten", axis=0)], {}),
        ([RESHAPE], {"shape": ints(3, 4)}),  # the batch of one is left out
        ([node("Slice", ("x", "a", "b", "c"))], {"a": ints(0), "b": ints(1), "c": ints(0)}),  # the first example
        ([node("Gather", ("x", "w"), axis=0)], {"w": ints(0)}),
        ([node("ReduceSum")], {}),
        ([node("Tile", ("x", "w"))], {"w": ints(2, 1, 1)}),
        ([node("Pad", ("x", "w"))], {"w": ints(1, 0, 0, 0, 0, 0)}),
        ([node("Softmax", axis=0)], {}),
        ([node("BatchNormalization", ("x", *"abcd"), training_mode=1)], dict.fromkeys("abcd", np.ones(3, np.float32))),
        ([node("MatMul", ("x", "x"))], {}),  # (3, 4) times (3, 4): no product at all
        ([helper.make_node("Unsqueeze", ["x", "w"], ["y"])], {"w": ints(0)}),
        ([node("Resize", ("x", "", "", "w"))], {"w": ints(1, 3, 8)}),  # a constant that is no Reshape's
    ],
    ids=lambda value: value[0].op_type if isinstance(value, list) else "",
)
def test_a_batch_of_one_proves_nothing(load, nodes, arrays):
    """Where the declared length is 1 many a mistake gives the right answer, for that length."""
    with pytest.raises(ShapeError, match=r"model\.onnx: "):
        load(nodes, arrays, shape=(1, 3, 4), opset=15)


def test_a_transposed_image_whose_rows_look_like_the_batch_is_refused(load):
    """(2, 2, 3) with its first axes exchanged: [2, 6] would be taken for two examples, and are two rows of both."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["t", "shape"], ["y"]),
    ]
    with pytest.raises(ShapeError, match=r"batch=2 cannot be freed: it cannot be shown that each example is computed"):
        load(nodes, {"shape": ints(2, 6)}, shape=(2, 2, 3))


def test_sizes_that_are_not_declared_are_refused(load):
    with pytest.raises(ShapeError, match=r"batch=2 cannot be freed: x float32 .* has no fixed size"):
        load([node("Relu")], shape=(2, "height", 4))


def test_inputs_that_declare_different_lengths(load):
    more = [helper.make_tensor_value_info("z", FLOAT, (5, 3, 4))]
    with pytest.raises(ShapeError, match=r"inputs begin with axes of \[2, 5\]"):
        load([node("Concat", ("x", "z"), axis=0)], more=more)


# --- a published network --------------------------------------------------------------------------------------------

needs_mnist_8 = pytest.mark.skipif(not MNIST_8.exists(), reason="the published network is not part of the repository")


def recorded(name):
    """What was recorded with the network: inputs and outputs of two images."""
    tensors = [(MNIST_8 / f"test_data_set_{i}" / f"{name}_0.pb").read_bytes() for i in (0, 1)]
    return [numpy_helper.to_array(onnx.TensorProto.FromString(data)) for data in tensors]


@needs_mnist_8
def test_the_network_gives_its_recorded_outputs():
    graph = load_onnx(MNIST_8 / "model.onnx")
    for x, y in zip(recorded("input"), recorded("output"), strict=True):
        np.testing.assert_allclose(graph.run({"Input3": x})["Plus214_Output_0"], y, rtol=1e-5, atol=1e-2)


@needs_mnist_8
def test_its_batch_can_be_freed():
    graph = load_onnx(MNIST_8 / "model.onnx", batch="free")
    assert graph.notes == (
        "input Input3 float32 (1, 1, 28, 28): its first axis, 1, is free now",
        "node 'Times212_reshape0' (Reshape): the shape [1, 256] is [-1, 256] now",
    )
    y = graph.predict(np.concatenate(recorded("input") * 3))
    np.testing.assert_allclose(y, np.concatenate(recorded("output") * 3), rtol=1e-5, atol=1e-2)


@needs_mnist_8
@pytest.mark.skipif(not (REAL_DATA / "mnist").is_dir(), reason="MNIST is not part of the repository")
def test_it_is_fine_tuned():
    """Its weights move, the reshaped one too, and it knows digits that it has not seen at least as well."""
    mnist = load_mnist(REAL_DATA, verify=False)
    graph = load_onnx(MNIST_8 / "model.onnx", batch="free")
    before = {name: array.copy() for name, array in graph.params.items()}
    train, test = [(s.x[:3000].astype(np.float32), s.y[:3000]) for s in (mnist.train, mnist.test)]
    first = evaluate(graph, test)
    fit(graph, train, epochs=1, optimizer=Adam(lr=1e-4), seed=0)
    assert all(not np.array_equal(before[name], array) for name, array in graph.params.items())
    assert evaluate(graph, test).loss < first.loss
