import numpy as np
import pytest
from formats.onnx_nodes import assert_node_gradients, make, run
from ladder import frozen, layouts

from cnn_from_scratch.errors import ShapeError, UnsupportedOpError
from cnn_from_scratch.layers import BatchNorm2d
from cnn_from_scratch.layers.context import Context


def arrays(*shapes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


# --- each example by itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(), (5,), (4, 3), (2, 3, 2)])
def test_instance_normalization(lengths):
    x, scale, bias = arrays((2, 3, *lengths, 2), (3,), (3,))
    axes, per_channel = tuple(range(2, x.ndim)), (3, *[1] * (x.ndim - 2))
    xhat = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.1)
    y = run("InstanceNormalization", x, scale, bias, attributes={"epsilon": 0.1})
    np.testing.assert_allclose(y, xhat * scale.reshape(per_channel) + bias.reshape(per_channel), atol=1e-12)
    assert_node_gradients("InstanceNormalization", x, scale, bias, attributes={"epsilon": 0.1})


@pytest.mark.parametrize(("opset", "weights"), [(18, 2), (20, 2), (21, 4)])
def test_group_normalization_has_weights_by_group_first_and_by_channel_later(opset, weights):
    x, scale, bias = arrays((2, 4, 3, 2), (weights,), (weights,))
    groups = x.reshape(2, 2, -1)
    xhat = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    spread = [np.repeat(v, 4 // weights).reshape(4, 1, 1) for v in (scale, bias)]
    a = {"num_groups": 2}
    y = run("GroupNormalization", x, scale, bias, attributes=a, opset=opset)
    np.testing.assert_allclose(y, xhat.reshape(x.shape) * spread[0] + spread[1], atol=1e-12)
    assert_node_gradients("GroupNormalization", x, scale, bias, attributes=a, opset=opset)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_layer_normalization(axis):
    x, scale, bias = arrays((3, 4, 5), (3, 4, 5)[axis:], (3, 4, 5)[axis:])
    axes = tuple(range(axis % 3, 3))
    mean, std = x.mean(axes, keepdims=True), np.sqrt(x.var(axes, keepdims=True) + 1e-3)
    a = {"axis": axis, "epsilon": 1e-3}
    y, stashed_mean, stashed_inverse = run("LayerNormalization", x, scale, bias, attributes=a, opset=17, outputs=3)
    np.testing.assert_allclose(y, (x - mean) / std * scale + bias, atol=1e-12)
    assert stashed_mean.dtype == stashed_inverse.dtype == np.float32
    np.testing.assert_allclose(stashed_mean, mean, rtol=1e-6)
    np.testing.assert_allclose(stashed_inverse, 1 / std, rtol=1e-6)
    assert stashed_mean.shape == mean.shape


def test_layer_normalization_without_bias_and_with_weights_that_are_spread():
    x, scale = arrays((3, 4, 5), (1, 5))
    operation = make("LayerNormalization", {"axis": 1}, opset=17, inputs=2)
    (y, *_), cache = operation.forward(frozen(x, scale), Context())
    full = run("LayerNormalization", x, np.ascontiguousarray(np.broadcast_to(scale, (4, 5))), attributes={"axis": 1})
    assert np.array_equal(y, full)
    dy = arrays(y.shape, seed=1)[0]
    dx, dscale = operation.backward([dy, None, None], cache, [True, True])
    assert dscale.shape == (1, 5)
    xhat = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(dscale[0], (dy * xhat).sum((0, 1)), rtol=1e-10)
    assert np.abs(dx.sum((1, 2))).max() < 1e-12  # a shift of an example changes nothing


def test_gradients_of_layer_normalization_by_all_three_outputs():
    """The stashed outputs are float32, so their gradients are compared with the formula, in float64."""
    x, scale, bias = arrays((3, 5), (5,), (5,))
    operation = make("LayerNormalization", opset=17, inputs=3, outputs=3)
    _, cache = operation.forward(frozen(x, scale, bias), Context())
    dmean, dinv = (v.astype(np.float32) for v in arrays((3, 1), (3, 1), seed=2))
    dx, _, _ = operation.backward([None, dmean, dinv], cache, [True] * 3)

    def weighed(x):
        return np.sum(x.mean(1, keepdims=True) * dmean + dinv / np.sqrt(x.var(1, keepdims=True) + 1e-5))

    for v in arrays(x.shape, x.shape, seed=3):
        numeric = (weighed(x + 1e-6 * v) - weighed(x - 1e-6 * v)) / 2e-6
        assert numeric == pytest.approx(np.sum(dx * v), rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("lengths", [(), (3,), (2, 3)])
def test_local_response_normalization_is_the_loop(size, lengths):
    (x,) = arrays((2, 5, *lengths))
    a = {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
    expected = np.empty_like(x)
    for c in range(5):
        near = x[:, max(0, c - (size - 1) // 2) : c + (size - 1) - (size - 1) // 2 + 1]
        expected[:, c] = x[:, c] / (1.5 + 0.3 / size * (near**2).sum(1)) ** 0.6
    np.testing.assert_allclose(run("LRN", x, attributes=a, opset=13), expected, rtol=1e-12)
    assert_node_gradients("LRN", x, attributes=a, opset=13)


# --- batch normalization --------------------------------------------------------------------------------------------


def batch(shape=(4, 3, 2, 2), features=(3,), dtype=np.float64):
    x, scale, bias, mean = arrays(shape, features, features, features, dtype=dtype)
    return x, scale, bias, mean, (np.abs(arrays(features, seed=9, dtype=dtype)[0]) + 0.5).astype(dtype)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 2, 2), (2, 3, 2, 2, 2)])
def test_evaluation_and_its_five_gradients(shape):
    x, scale, bias, mean, var = batch(shape)
    as_channels = (3, *[1] * (len(shape) - 2))
    expected = (x - mean.reshape(as_channels)) / np.sqrt(var + 0.1).reshape(as_channels)
    expected = expected * scale.reshape(as_channels) + bias.reshape(as_channels)
    y = run("BatchNormalization", x, scale, bias, mean, var, attributes={"epsilon": 0.1}, opset=15)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    assert_node_gradients("BatchNormalization", x, scale, bias, mean, var, attributes={"epsilon": 0.1}, opset=15)


def test_training_mode_gives_running_statistics_that_divide_by_n():
    x, scale, bias, mean, var = batch()
    a = {"training_mode": 1, "momentum": 0.75}
    y, new_mean, new_var = run("BatchNormalization", x, scale, bias, mean, var, attributes=a, opset=15, outputs=3)
    assert np.abs((y - bias.reshape(3, 1, 1)).mean((0, 2, 3))).max() < 1e-12
    np.testing.assert_allclose(new_mean, 0.75 * mean + 0.25 * x.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(new_var, 0.75 * var + 0.25 * x.var((0, 2, 3)), rtol=1e-12)


def test_gradients_of_training_mode():
    x, scale, bias, mean, var = batch()
    fixed = [v.astype(np.float32) for v in (mean, var)]  # no gradient: they are not used

    operation = make("BatchNormalization", {"training_mode": 1}, opset=15, inputs=5)
    (y,), cache = operation.forward(frozen(x, scale, bias, *fixed), Context())
    dy = arrays(y.shape, seed=4)[0]
    dx, dscale, dbias, dmean, dvar = operation.backward([dy], cache, [True] * 5)
    assert dmean is dvar is None
    for name, gradient in (("x", dx), ("scale", dscale), ("bias", dbias)):
        given = {"x": x, "scale": scale, "bias": bias}
        v = arrays(given[name].shape, seed=5)[0]
        losses = [
            np.sum(operation.forward([*(given | {name: given[name] + t * v}).values(), *fixed], Context())[0][0] * dy)
            for t in (1e-6, -1e-6)
        ]
        assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(np.sum(gradient * v), rel=1e-6)


@pytest.mark.parametrize(
    ("opset", "attributes", "outputs", "by_batch"),
    [
        (1, {}, 1, True),
        (1, {"is_test": 1}, 1, False),
        (6, {"is_test": 0}, 5, True),
        (7, {}, 1, False),
        (9, {}, 5, True),
        (14, {}, 1, False),
        (14, {"training_mode": 1}, 3, True),
        (15, {"training_mode": 0}, 1, False),
    ],
)
def test_which_statistics_count_in_which_version(opset, attributes, outputs, by_batch):
    vectors = batch()
    found = run("BatchNormalization", *vectors, attributes=attributes, opset=opset, outputs=outputs)
    y = found if outputs == 1 else found[0]
    x, scale, bias, mean, var = vectors
    statistics = (x.mean((0, 2, 3)), x.var((0, 2, 3))) if by_batch else (mean, var)
    expected = run("BatchNormalization", x, scale, bias, *statistics, opset=15)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    if outputs == 5:
        np.testing.assert_allclose(found[3], x.mean((0, 2, 3)), atol=1e-12)
        np.testing.assert_allclose(found[4], x.var((0, 2, 3)), atol=1e-12)


@pytest.mark.parametrize("opset", [1, 6, 7])
def test_without_spatial_every_pixel_has_its_own_mean(opset):
    x, scale, bias, mean, var = batch(features=(3, 2, 2))
    a = {"spatial": 0, "is_test": 1} if opset < 7 else {"spatial": 0}
    y = run("BatchNormalization", x, scale, bias, mean, var, attributes=a, opset=opset)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5) * scale + bias, atol=1e-12)
    assert_node_gradients("BatchNormalization", x, scale, bias, mean, var, attributes=a, opset=opset)


def test_a_step_of_training_is_that_of_our_layer():
    x, scale, bias, mean, var = batch(dtype=np.float32)
    layer = BatchNorm2d(3)
    layer.params["weight"], layer.params["bias"] = scale, bias
    layer.buffers["running_mean"], layer.buffers["running_var"] = mean, var
    y, layer_cache = layer.forward(x, Context(train=True))
    operation = make("BatchNormalization", opset=15, inputs=5)
    (found,), cache = operation.forward(frozen(x, scale, bias, mean, var), Context(train=True))
    assert np.array_equal(found, y)
    layer.commit(layer_cache)
    updates = operation.updates(cache)
    np.testing.assert_allclose(updates[3], layer.buffers["running_mean"], rtol=1e-6)
    np.testing.assert_allclose(updates[4], layer.buffers["running_var"], rtol=1e-6)
    assert not operation.updates(operation.forward([x, scale, bias, mean, var], Context())[1])


def test_types_may_differ_since_version_15():
    x, *vectors = batch(dtype=np.float32)
    y = run("BatchNormalization", x.astype(np.float16), *vectors, opset=15)
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, run("BatchNormalization", x, *vectors, opset=15), atol=1e-2)


# --- what all share -------------------------------------------------------------------------------------------------

ALL = [
    ("InstanceNormalization", {}, [(3,), (3,)]),
    ("GroupNormalization", {"num_groups": 3}, [(3,), (3,)]),
    ("LayerNormalization", {"axis": 1}, [(3, 4, 5), (3, 4, 5)]),
    ("LRN", {"size": 3}, []),
]


@pytest.mark.parametrize(("op_type", "attributes", "shapes"), ALL, ids=lambda v: v if isinstance(v, str) else "")
def test_layouts_and_float_types(op_type, attributes, shapes):
    x, *vectors = arrays((2, 3, 4, 5), *shapes)
    expected = run(op_type, x, *vectors, attributes=attributes)
    for name, other in layouts(x):
        found = run(op_type, other, *vectors, attributes=attributes)
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=name)
    for dtype, atol in ((np.float32, 1e-5), (np.float16, 2e-2)):
        y = run(op_type, *(v.astype(dtype) for v in (x, *vectors)), attributes=attributes)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, atol=atol)


def test_errors():
    x, scale = arrays((2, 3), (3,))
    with pytest.raises(ShapeError, match="axis 2 is not among the 2 axes of x"):
        run("LayerNormalization", x, scale, attributes={"axis": 2}, opset=17)
    with pytest.raises(ShapeError, match=r"a weight of shape \(3,\) does not fit to axes of \(2,\)"):
        run("LayerNormalization", x[:, :2], scale, opset=17)
    with pytest.raises(
        UnsupportedOpError, match=r"LayerNormalization \(opset 17\) with stash_type=16 is not supported"
    ):
        make("LayerNormalization", {"stash_type": 16}, opset=17, inputs=2)
    with pytest.raises(UnsupportedOpError, match=r"GroupNormalization \(opset 21\) with stash_type=11 is not"):
        make("GroupNormalization", {"stash_type": 11, "num_groups": 1}, opset=21, inputs=3)
    with pytest.raises(ShapeError, match="num_groups=2 must divide C=3"):
        run("GroupNormalization", x, scale, scale, attributes={"num_groups": 2}, opset=21)
    with pytest.raises(ValueError, match=r"attribute num_groups is missing"):
        make("GroupNormalization", opset=21, inputs=3)
    with pytest.raises(ShapeError, match="LRN: size must be at least 1, got 0"):
        make("LRN", {"size": 0})
