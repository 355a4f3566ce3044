"""Guided backpropagation is its definition, written with operations alone; containers come along; nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import images, network

from cnn_from_scratch import ops
from cnn_from_scratch.insight import guided_backpropagation, saliency
from cnn_from_scratch.insight.guided_backpropagation import GuidedRectifier, rebuild
from cnn_from_scratch.layers import (
    GELU,
    BatchNorm2d,
    Concat,
    Container,
    Context,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    LeakyReLU,
    Linear,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from cnn_from_scratch.layers.containers import ContainerCache
from cnn_from_scratch.models import resnet20


def guided_by_definition(model, x, target):
    """The network of `pictures.network`, its operations one after the other, and the rule of the paper at each ReLU."""
    p = model.params
    a, conv0 = ops.conv_forward(x, p["0.weight"], p["0.bias"], padding=1)
    b, pool = ops.max_pool_forward(np.maximum(a, 0), 2)
    c, conv3 = ops.conv_forward(b, p["3.weight"], p["3.bias"])
    dlogits = np.zeros((len(x), 10))
    dlogits[np.arange(len(x)), target] = 1
    dc = (dlogits @ p["6.weight"]).reshape(c.shape)
    dc = np.where((c > 0) & (dc > 0), dc, 0)
    da = ops.max_pool_backward(ops.conv_backward(dc, conv3)[0], pool)
    da = np.where((a > 0) & (da > 0), da, 0)
    return ops.conv_backward(da, conv0)[0]


def test_the_definition():
    model, x = network().astype(np.float64), np.random.default_rng(0).standard_normal((3, 1, 8, 8))
    target = np.array([1, 5, 5])
    guided = guided_backpropagation(model, x, target)
    np.testing.assert_allclose(guided, guided_by_definition(model, x, target), rtol=1e-12, atol=1e-14)
    assert np.abs(guided - saliency(model, x, target)).max() > 0.1 * np.abs(guided).max()  # the rule does something


def test_where_all_weights_are_positive_nothing_is_cut_off():
    model, x = network(), images(3)
    for key, value in model.params.items():
        model.params[key] = np.abs(value)
    np.testing.assert_array_equal(guided_backpropagation(model, x, 2), saliency(model, x, 2))


def test_branches_and_nested_chains():
    """y = relu(x) + (relu(-x) | relu(x)) * weights: each branch cuts its own negative gradients, x around it none."""
    flip = Conv2d(1, 1, 1, bias=False)
    flip.params["weight"][...] = -1
    wide = Concat(Sequential(flip, Sequential(ReLU())), ReLU())
    mix = Conv2d(2, 1, 1, bias=False)
    mix.params["weight"] = np.array([2.0, -3.0], np.float32).reshape(1, 2, 1, 1)
    model = Sequential(Residual(Sequential(wide, mix)), Flatten())
    x = np.array([-1.0, 1.0], np.float32).reshape(2, 1, 1, 1)
    # at x = -1: around 1; through relu(-x): 2 > 0 passes, times -1; through relu(x): off. 1 - 2 = -1
    # at x = +1: around 1; relu(-x) is off; through relu(x): -3 < 0 is cut. 1, where the gradient is 1 - 3 = -2
    np.testing.assert_array_equal(guided_backpropagation(model, x, 0).ravel(), [-1, 1])
    np.testing.assert_array_equal(saliency(model, x, 0).ravel(), [-1, -2])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (LeakyReLU(0.5), [0.5, 1, 0]),
        (PReLU(init=0.25), [0.25, 1, 0]),
        (ReLU(), [0, 1, 0]),
        (type("OwnReLU", (ReLU,), {})(), [0, 1, 0]),
    ],
)
def test_relatives_keep_their_slope_for_what_is_positive(layer, expected):
    model = Sequential(layer, Linear(3, 1, bias=False))
    model.params["1.weight"] = np.array([[1.0, 1.0, -1.0]], np.float32)
    x = np.array([[-1.0, 1.0, 1.0]], np.float32)
    np.testing.assert_array_equal(guided_backpropagation(model, x, 0)[0], expected)


def test_smooth_rectifiers_are_guided_and_others_are_not():
    head = {"fc": Linear(4, 1, bias=False)}
    x = np.array([[0.5, 1.0, 1.5, 2.0]], np.float32)
    for layer, guided in ((GELU(), True), (Tanh(), False)):
        model = Sequential({"relu": ReLU(), "layer": layer, **head})
        model.params["fc.weight"] = np.array([[1.0, -1.0, 1.0, -1.0]], np.float32)
        cut = rebuild(model, lambda layer: GuidedRectifier(layer) if isinstance(layer, GELU) else layer)
        found = saliency(cut, x, 0)
        assert (found[0, 1::2] == 0).all() == guided


class Doubled(Container):
    """An own container with an attribute of its own: y = factor * inside(x)."""

    def __init__(self, inside: Layer, factor: float):
        self.factor = factor
        super().__init__({"inside": inside})

    def forward(self, x, ctx):
        y, cache = self._forward("inside", x, ctx)
        return self.factor * y, ContainerCache([cache], ctx)

    def backward(self, dy, cache, *, need_dx=True):
        return self._backward("inside", self.factor * dy, cache.caches[0], cache.ctx, need_dx)

    def output_shape(self, input_shape):
        return self._child_shape("inside", input_shape)


def test_a_container_of_ones_own():
    model = Sequential(Doubled(Sequential(ReLU()), -2.0), Flatten())
    x = np.ones((1, 1, 1, 1), np.float32)
    assert saliency(model, x).item() == -2
    assert guided_backpropagation(model, x).item() == 0


def test_the_model_is_shared_and_not_touched():
    model = Sequential(
        Conv2d(1, 3, 3, rng=0), BatchNorm2d(3), PReLU(3), Dropout(), GlobalAvgPool2d(), Flatten(), Linear(3, 2, rng=1)
    ).freeze("1.*")
    layers, state = (
        dict(model.layers()),
        {key: value.copy() for key, value in {**model.params, **model.buffers}.items()},
    )
    twin = rebuild(model, lambda layer: GuidedRectifier(layer) if isinstance(layer, PReLU) else layer)
    assert all(twin.params[key] is model.params[key] for key in model.params)
    assert list(twin.params) == list(model.params)
    assert twin.frozen == model.frozen
    x = images(2)
    x.flags.writeable = False
    guided = guided_backpropagation(model, x)
    assert guided.dtype == np.float32
    assert guided.flags.c_contiguous
    assert all(found is layers[key] for key, found in model.layers())
    assert all((found == state[key]).all() for key, found in {**model.params, **model.buffers}.items())
    np.testing.assert_array_equal(model.forward(x, Context())[0], twin.forward(x, Context())[0])


def test_layers_without_names_keep_their_keys():
    model = resnet20()
    twin = rebuild(model, lambda layer: GuidedRectifier(layer) if isinstance(layer, ReLU) else layer)
    assert [key for key, _ in twin.layers()] == [key for key, _ in model.layers()]
    x = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32)
    assert np.isfinite(guided_backpropagation(model, x)).all()


def test_nothing_to_guide():
    with pytest.raises(ValueError, match="has no rectifier") as caught:
        guided_backpropagation(Sequential(Flatten(), Linear(64, 2, rng=0)), images(1))
    assert str(caught.value) == (
        "guided_backpropagation: the model has no rectifier to guide; "
        "one of ReLU, ReLU6, LeakyReLU, PReLU, ELU, GELU, SiLU, Softplus is needed"
    )
