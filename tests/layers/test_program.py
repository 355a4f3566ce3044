"""A program does what its model does, lets its caches go, and asks for no fresh memory once it runs steadily."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from ladder import assert_recycles

from cnn_from_scratch import models
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Concat,
    Context,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_from_scratch.layers.fusion import as_program
from cnn_from_scratch.layers.predict import in_fast_order
from cnn_from_scratch.ops.memory import recycled
from cnn_from_scratch.parallel import open_group
from cnn_from_scratch.randomness import Place

SHAPES = {"mnist_cnn": (1, 28, 28), "lenet5": (1, 28, 28), "digits_cnn": (1, 8, 8)}


def images(shape, count=6, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype(dtype)


def train(model, x, *, need_dx=True, fuse=None):
    """Forward and backward of the model itself and of its program: (y, dx, grads, commits) of each."""
    ctx = Context(train=True, rng=Place(seed=3))
    x = in_fast_order(x)
    y, cache = model.forward(x, ctx)
    dy = np.random.default_rng(9).standard_normal(y.shape).astype(y.dtype)
    dx, grads = model.backward(dy, cache, need_dx=need_dx)
    program = as_program(model, fuse=fuse)
    y2, caches = program.forward(x, ctx)
    commits = program.commits(caches)
    dx2, grads2 = program.backward(dy, caches, need_dx=need_dx)
    assert caches == []
    return (y, dx, grads, cache), (y2, dx2, grads2, commits)


def branches():
    return Sequential(
        Conv2d(3, 8, 3, padding=1, bias=False, rng=0),
        Residual(
            Sequential(Conv2d(8, 8, 3, padding=1, bias=False, rng=1), BatchNorm2d(8), ReLU(), Dropout(0.3)),
            Sequential(Conv2d(8, 8, 1, bias=False, rng=2), BatchNorm2d(8)),
        ),
        ReLU(),
        Concat(Conv2d(8, 4, 1, rng=3), Sequential(MaxPool2d(3, 1, 1), BatchNorm2d(8))),
        Flatten(),
        Linear(12 * 36, 5, rng=4),
    )


LARGE = models.IMAGENET_MODELS.keys() - {"resnet18"}  # what they are made of is in the others, too

MODELS = [("branches", branches, (3, 6, 6))] + [
    (name, make, SHAPES.get(name, (3, 32, 32))) for name, make in models.MODELS.items() if name not in LARGE
]


def livened(model, dtype=np.float64):
    """Parameters and statistics that are not all alike, scales of both signs."""
    rng = np.random.default_rng(5)
    model = model.astype(dtype)
    for key, value in (model.params | model.buffers).items():
        if value.ndim == 1:
            value += rng.uniform(0.1, 1, value.shape)
            if key.endswith("weight"):
                value *= rng.choice([-1, 1], value.shape)
    return model


@pytest.mark.parametrize("need_dx", [True, False])
@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(("make", "shape"), [case[1:] for case in MODELS], ids=[case[0] for case in MODELS])
def test_it_does_what_the_model_does(make, shape, fuse, need_dx):
    model, x = livened(make()), images(shape, dtype=np.float64)
    before = {key: value.copy() for key, value in model.buffers.items()}
    (y, dx, grads, cache), (y2, dx2, grads2, commits) = train(model, x, need_dx=need_dx, fuse=fuse)
    np.testing.assert_allclose(y2, y, rtol=1e-12, atol=1e-12)
    if need_dx:
        np.testing.assert_allclose(dx2, dx, rtol=1e-10, atol=1e-12)
    else:
        assert dx is dx2 is None
    assert list(grads2) == list(grads)
    for key, grad in grads.items():
        np.testing.assert_allclose(grads2[key], grad, rtol=1e-9, atol=1e-12, err_msg=key)
    model.commit(cache)
    wanted = {key: value.copy() for key, value in model.buffers.items()}
    for key, value in before.items():
        model.buffers[key] = value
    for layer, kept in commits:
        layer.commit(kept)
    for key, value in wanted.items():
        np.testing.assert_allclose(model.buffers[key], value, rtol=1e-12, err_msg=key)


@pytest.mark.parametrize(("make", "shape"), [case[1:] for case in MODELS], ids=[case[0] for case in MODELS])
def test_it_predicts_what_the_model_predicts(make, shape):
    model, x = livened(make()), in_fast_order(images(shape, dtype=np.float64))
    expected = model.forward(x, Context())[0]
    np.testing.assert_allclose(as_program(model, fuse=True).predict(x, Context()), expected, rtol=1e-10, atol=1e-10)
    model, x = model.astype(np.float32), x.astype(np.float32)
    actual = as_program(model).predict(x, Context())
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


class OwnReLU(ReLU):
    """May do something else."""


def test_what_is_fused():
    def steps(*layers):
        return [repr(step) for step in as_program(Sequential(*layers)).steps]

    conv, plain = (lambda: Conv2d(3, 3, 3, padding=1)), (lambda: Conv2d(3, 3, 1, bias=False))
    norm, relu, pool = (lambda: BatchNorm2d(3)), ReLU, (lambda: MaxPool2d(2))
    assert steps(conv(), relu(), pool(), relu()) == ["ConvReLUStep(0, 1, 2)", "LayerStep(3)"]
    assert steps(conv(), relu(), MaxPool2d(3, 2, 1)) == ["ConvReLUStep(0, 1, 2)"]
    assert steps(plain(), relu(), conv()) == ["ConvReLUStep(0, 1)", "LayerStep(2)"]
    assert steps(conv(), norm(), relu(), pool()) == ["ConvBatchNormStep(0, 1, 2, 3)"]
    assert steps(conv(), norm(), relu(), MaxPool2d(3)) == ["ConvBatchNormStep(0, 1, 2)", "LayerStep(3)"]
    assert steps(conv(), Sequential(norm(), OwnReLU()), pool()) == [
        "ConvBatchNormStep(0, 1.0)",
        "LayerStep(1.1)",
        "LayerStep(2)",
    ]
    assert steps(pool(), norm(), relu(), norm()) == ["LayerStep(0)", "BatchNormReLUStep(1, 2)", "LayerStep(3)"]
    assert steps(Residual(conv()), relu()) == ["ResidualStep(0, 1)"]
    assert steps(Residual(conv()), norm()) == ["ResidualStep(0)", "LayerStep(1)"]
    model = Sequential(conv(), norm(), relu(), Residual(conv()), relu()).astype(np.float64)
    assert [type(step).__name__ for step in as_program(model).steps] == ["LayerStep"] * 3 + [
        "ResidualStep",
        "LayerStep",
    ]


@pytest.mark.parametrize("pool", [MaxPool2d(2), MaxPool2d(3, 2, 1), MaxPool2d(2, ceil_mode=True), MaxPool2d((2, 1))])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_pools_of_all_kinds_behind_a_convolution(pool, bias, norm):
    layers = [Conv2d(3, 4, 3, bias=bias, rng=0), *([BatchNorm2d(4)] if norm else []), ReLU(), pool]
    (y, dx, grads, _), (y2, dx2, grads2, _) = train(
        livened(Sequential(*layers)), images((3, 9, 8)).astype("f8"), fuse=True
    )
    np.testing.assert_allclose(y2, y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dx2, dx, rtol=1e-9, atol=1e-12)
    for key, grad in grads.items():
        np.testing.assert_allclose(grads2[key], grad, rtol=1e-9, atol=1e-11, err_msg=key)


def test_what_is_frozen_gets_no_gradient_and_ends_the_backward_pass():
    model = branches().freeze("0.*", "1.body.*")
    (_, _, grads, _), (_, _, grads2, _) = train(model, images((3, 6, 6)), need_dx=False)
    assert set(grads2) == set(grads) == set(model.trainable)
    model.freeze("*")
    (_, dx, _, _), (_, dx2, grads2, _) = train(model, images((3, 6, 6)), need_dx=False)
    assert dx is dx2 is None
    assert grads2 == {}


class Watched(Layer):
    """Says which of the caches made so far are alive when its backward runs."""

    made: list

    def __init__(self, made):
        super().__init__()
        self.made, self.alive = made, None

    def forward(self, x, ctx):
        kept = np.array(x)
        self.made.append(weakref.ref(kept))
        return x + 1, kept

    def backward(self, dy, cache, *, need_dx=True):
        del cache
        self.alive = sum(ref() is not None for ref in self.made)
        return dy * 1, {}


def test_caches_are_let_go_as_the_backward_pass_goes():
    made = []
    row = [Watched(made) for _ in range(4)]
    program = as_program(Sequential(*row))
    y, caches = program.forward(np.ones((2, 3)), Context(train=True))
    program.backward(y, caches, need_dx=True)
    assert [layer.alive for layer in row] == [1, 2, 3, 4]  # the last layer runs first, and sees all of them
    gc.collect()
    assert not any(ref() for ref in made)


class Forgetful(Layer):
    def __init__(self):
        super().__init__()
        self.params = {"weight": np.ones(1, np.float32)}

    def forward(self, x, ctx):
        return x, None

    def backward(self, dy, cache, *, need_dx=True):
        return dy, {}


def test_a_layer_without_its_gradient_is_named():
    program = as_program(Sequential({"a": ReLU(), "b": Forgetful()}))
    y, caches = program.forward(np.ones((2, 3), np.float32), Context(train=True))
    with pytest.raises(ValueError, match=r"backward of layer 'b' = Forgetful\(\) gave no gradient for weight"):
        program.backward(y, caches, need_dx=False)


def test_prediction_is_the_forward_pass():
    model = models.resnet20()
    x = images((3, 32, 32), 3)
    expected = model.forward(x, Context())[0]
    np.testing.assert_allclose(as_program(model).predict(in_fast_order(x), Context()), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["mnist_cnn", "vgg_small", "resnet20"])
def test_a_steady_program_asks_for_no_fresh_memory(name):
    model = models.MODELS[name]()
    x = in_fast_order(images(SHAPES.get(name, (3, 32, 32)), 16))
    program = as_program(model)

    def step():
        y, caches = program.forward(x, Context(train=True))
        program.backward(np.ones_like(y), caches, need_dx=False)

    assert_recycles(step, 16 * 16 * 32 * 32 * 4)


def test_shards_run_the_same_program():
    model = models.vgg_small()
    x, ctx = in_fast_order(images((3, 32, 32), 8)), Context(train=True)
    alone = as_program(model).forward(x, ctx)[0]
    with open_group(2) as group, recycled():
        program = as_program(model)
        parts = group.run(
            lambda member: program.forward(
                in_fast_order(x[4 * member.rank : 4 * member.rank + 4]), ctx._replace(group=member)
            )[0]
        )
    np.testing.assert_allclose(np.concatenate(parts), alone, atol=1e-3)
