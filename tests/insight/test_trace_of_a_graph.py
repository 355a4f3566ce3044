"""A trace of a graph: every node under its name, bit for bit what the pass computes, gradients added."""

from __future__ import annotations

import numpy as np
from graphs import Add, MatMul, Mul, Reshape, Split, as_graph, graph, node

from cnn_from_scratch.insight import load_trace, save_trace, trace
from cnn_from_scratch.insight.features import feature_maps
from cnn_from_scratch.layers import BatchNorm2d, Context, Conv2d, Flatten, Linear, ReLU, Residual, Sequential
from cnn_from_scratch.optim import SGD


def model():
    return Sequential(
        {
            "conv": Conv2d(1, 4, 3, padding=1, rng=0),
            "block": Residual(Sequential({"bn": BatchNorm2d(4), "relu": ReLU()}), body_name=""),
            "flatten": Flatten(),
            "fc": Linear(4 * 36, 3, rng=1),
        }
    )


def batch():
    rng = np.random.default_rng(0)
    return rng.standard_normal((5, 1, 6, 6)).astype(np.float32), rng.integers(0, 3, 5)


def test_it_is_the_trace_of_the_same_layers():
    x, y = batch()
    own = model()
    theirs = as_graph(own, (1, 6, 6))
    ours = trace(own, x, y, optimizer=SGD(0.1), train=True)
    seen = trace(theirs, x, y, optimizer=SGD(0.1), train=True)
    assert list(seen.layers) == ["conv", "block.bn", "block.relu", "block/Add", "flatten", "fc"]
    assert (seen.loss, seen.logits.tobytes(), seen.dx.tobytes()) == (
        ours.loss,
        ours.logits.tobytes(),
        ours.dx.tobytes(),
    )
    for key in ("conv", "block.bn", "block.relu", "flatten", "fc"):
        for name in ("input", "output", "dy", "dx"):
            np.testing.assert_array_equal(getattr(seen[key], name), getattr(ours[key], name), err_msg=f"{key} {name}")
        for name in ("params", "grads", "update"):
            found = {key_.rsplit(".", 1)[-1]: array for key_, array in getattr(seen[key], name).items()}
            assert found.keys() == getattr(ours[key], name).keys()
            for part, array in getattr(ours[key], name).items():
                np.testing.assert_array_equal(found[part], array)
    for name in ("grads", "update"):
        assert getattr(seen, name).keys() == getattr(ours, name).keys()
        for key, array in getattr(ours, name).items():
            np.testing.assert_array_equal(getattr(seen, name)[key], array)


def test_nothing_about_the_pass_changes():
    x, y = batch()
    own = as_graph(model(), (1, 6, 6))
    plain, _ = own.forward(x, Context())
    np.testing.assert_array_equal(trace(own, x, y).logits, plain)
    names = list(own.children)
    for key in names:
        assert trace(own, x)[key].layer.node.name == key
    np.testing.assert_array_equal(feature_maps(own, x)["fc"], plain)


def test_a_weight_that_two_nodes_share_and_one_that_is_computed():
    nodes = [
        node(Reshape(), "v target", "matrix", "turn"),
        node(Mul(), "x w", "a", "first"),
        node(Mul(), "a w", "b", "second"),
        node(MatMul(), "b matrix", "y", "last"),
    ]
    rng = np.random.default_rng(1)
    own = graph(nodes, w=rng.standard_normal(4), v=rng.standard_normal((2, 6)), target=np.array([4, 3]))
    x, y = rng.standard_normal((5, 4)), np.array([0, 1, 2, 0, 1])
    seen = trace(own, x, y)
    logits, cache = own.forward(x, Context())
    _, grads = own.backward(seen.dlogits, cache)
    np.testing.assert_array_equal(seen.logits, logits)
    assert seen.grads.keys() == grads.keys()
    for key, grad in grads.items():
        np.testing.assert_array_equal(seen.grads[key], grad)
    np.testing.assert_array_equal(seen["first"].grads["w"] + seen["second"].grads["w"], grads["w"])
    np.testing.assert_array_equal(seen["turn"].input, own.params["v"])
    np.testing.assert_array_equal(seen["turn"].grads["v"], grads["v"])
    assert "first" in str(seen)
    assert len(seen.table()) == 4


def test_a_graph_among_layers_and_an_output_that_nobody_reads():
    body = graph([node(Split(), "x", "left right", "halves"), node(Add(), "left w", "y", "shift")], w=np.ones(2))
    own = Sequential({"body": body, "head": Linear(2, 3, rng=0).astype(np.float64)})
    x = np.random.default_rng(2).standard_normal((4, 4))
    seen = trace(own, x, np.array([0, 1, 2, 0]))
    assert list(seen.layers) == ["body.halves", "body.shift", "body", "head"]
    assert list(seen.grads) == ["body.w", "head.weight", "head.bias"]
    np.testing.assert_array_equal(seen["body.halves"].output, x[:, :2])
    np.testing.assert_array_equal(seen["body"].grads["w"], seen["body.shift"].grads["w"])


def test_a_trace_without_gradients_is_saved_as_far_as_its_caches_can_be(tmp_path):
    x, _ = batch()
    own = as_graph(Sequential({"a": ReLU(), "b": ReLU()}), (1, 6, 6))
    seen = trace(own, x)
    save_trace(seen, tmp_path / "t")
    again = load_trace(tmp_path / "t")
    np.testing.assert_array_equal(again["b"].output, seen["b"].output)
