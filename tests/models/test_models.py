"""The models: sizes, names, shapes, and that they learn."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from cnn_from_scratch.layers import Context, Dropout, MaxPool2d
from cnn_from_scratch.models import (
    IMAGENET_MODELS,
    IMAGENET_PARAMETERS,
    MODELS,
    digits_cnn,
    mnist_cnn,
    resnet20,
    vgg_small,
)
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward, to_hwnc
from cnn_from_scratch.optim import SGD
from cnn_from_scratch.randomness import Place

SHAPES = {
    "digits_cnn": (1, 8, 8),
    "lenet5": (1, 28, 28),
    "mnist_cnn": (1, 28, 28),
    "resnet20": (3, 32, 32),
    "vgg_small": (3, 32, 32),
}
SMALLER = {"resnet20": (3, 16, 16), "vgg_small": (3, 16, 16)}  # they take any size, and so are tested faster
PARAMETERS = {
    # conv 32*(9 + 32*9) + 64*(32*9 + 64*9), batch norm 2*(32 + 32 + 64 + 64), linear 1024*10 + 10
    "digits_cnn": 9_504 + 55_296 + 384 + 10_250,
    # conv 6*25 + 6 and 16*150 + 16, linear 400*120 + 120, 120*84 + 84, 84*10 + 10
    "lenet5": 156 + 2_416 + 48_120 + 10_164 + 850,
    # conv 32*9 + 32 and 64*288 + 64, linear 3136*128 + 128 and 128*10 + 10
    "mnist_cnn": 320 + 18_496 + 401_536 + 1_290,
    # conv 16*27, six of 16*144, 32*144 and five of 32*288, 64*288 and five of 64*576, shortcuts 16*32 + 32*64,
    # batch norm 2*(7*16 + 7*32 + 7*64), linear 64*10 + 10
    "resnet20": 432 + 13_824 + 4_608 + 46_080 + 18_432 + 184_320 + 2_560 + 1_568 + 650,
    # conv 64*27, 64*576, 128*576, 128*1152, 256*1152, batch norm 2*(64 + 64 + 128 + 128 + 256), linear 256*10 + 10
    "vgg_small": 1_728 + 36_864 + 73_728 + 147_456 + 294_912 + 1_280 + 2_570,
}


def test_every_model_is_listed():
    assert SHAPES.keys() == PARAMETERS.keys()
    assert IMAGENET_MODELS.keys() == IMAGENET_PARAMETERS.keys()  # these have a file of tests for themselves
    assert MODELS.keys() == SHAPES.keys() | IMAGENET_MODELS.keys()
    assert {name: function.__name__ for name, function in MODELS.items()} == {name: name for name in MODELS}


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_and_shapes(name):
    model = MODELS[name]()
    table = model.summary(SHAPES[name])
    assert table.parameters == PARAMETERS[name]
    assert table.rows[-1].output_shape == (10,)
    assert model.dtype == np.float32
    small = np.random.default_rng(0).random((2, *SHAPES[name])).astype(np.float32)
    logits = model.predict(small)
    assert logits.shape == (2, 10)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", SHAPES)
def test_number_in_the_docstring_is_right(name):
    assert f"{PARAMETERS[name]:,} parameters" in MODELS[name].__doc__


@pytest.mark.parametrize("name", SHAPES)
def test_channels_and_classes(name):
    C, H, W = SHAPES[name]
    assert MODELS[name](in_channels=2, num_classes=7).output_shape((2, H, W)) == (7,)


@pytest.mark.parametrize("name", SHAPES)
def test_the_seed_decides_every_parameter(name):
    first, again, other = MODELS[name](), MODELS[name](seed=0), MODELS[name](seed=1)
    np.testing.assert_equal(first.params, again.params)
    changed = [key for key in first.params if (first.params[key] != other.params[key]).any()]
    assert changed == [key for key, value in first.params.items() if value.ndim > 1]  # all weights but batch norm's


@pytest.mark.parametrize("name", SHAPES)
def test_signals_neither_die_nor_explode(name):
    model = MODELS[name]()
    x = np.random.default_rng(0).standard_normal((8, *SHAPES[name])).astype(np.float32)
    spreads = []
    ctx = Context(train=True, rng=Place(0), tap=lambda k, phase, values: spreads.append(float(values["output"].std())))
    logits, _ = model.forward(to_hwnc(x), ctx)
    assert 0.02 < min(spreads)  # a mean over the whole map of noise is small
    assert max(spreads) < 5
    assert cross_entropy_forward(logits, np.arange(8))[0] < 4


def one_step(model, x, y, optimizer):
    logits, caches = model.forward(x, Context(train=True, rng=Place(0)))
    loss, cache = cross_entropy_forward(logits, y)
    _, grads = model.backward(cross_entropy_backward(cache), caches, need_dx=False)
    assert grads.keys() == model.params.keys()
    assert all(np.isfinite(grad).all() and grad.any() for grad in grads.values())
    optimizer.step(model.params, grads)
    return float(loss)


@pytest.mark.parametrize("name", SHAPES)
def test_a_step_downhill_lowers_the_loss(name):
    model, optimizer = MODELS[name](), SGD(0.001)
    rng = np.random.default_rng(0)
    shape = SMALLER.get(name, SHAPES[name])
    x, y = to_hwnc(rng.standard_normal((6, *shape)).astype(np.float32)), rng.integers(0, 10, 6)
    before, after = (one_step(model, x, y, optimizer) for _ in range(2))
    assert after < before


# --- names ----------------------------------------------------------------------------------------------------------


def test_resnet20_has_torchvisions_keys():
    model = resnet20()
    keys = set(model.params | model.buffers)
    block = {"conv1.weight", "conv2.weight"} | {
        f"bn{i}.{name}"
        for i in (1, 2)
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    expected = {f"layer{stage}.{i}.{key}" for stage in (1, 2, 3) for i in (0, 1, 2) for key in block}
    norm = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    expected |= {
        f"layer{stage}.0.downsample.{key}" for stage in (2, 3) for key in ("0.weight", *(f"1.{n}" for n in norm))
    }
    expected |= {"conv1.weight", "fc.weight", "fc.bias"} | {f"bn1.{name}" for name in norm}
    assert keys == expected


def test_resnet20_halves_the_image_twice():
    table = {row.key: row.output_shape for row in resnet20().summary((3, 32, 32)).rows}
    assert [table[f"layer{stage}.2.relu2"] for stage in (1, 2, 3)] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert len([key for key in table if key.split(".")[-1].startswith(("conv", "fc"))]) == 20


def test_a_block_is_what_the_paper_draws():
    block = copy.deepcopy(resnet20()["layer2"].children["0"])
    x = np.random.default_rng(0).standard_normal((2, 16, 8, 8)).astype(np.float32)
    residual = block.children[""]
    body, shortcut = (part.forward(x, Context())[0] for part in (residual.body, residual.shortcut))
    np.testing.assert_allclose(block.forward(x, Context())[0], np.maximum(body + shortcut, 0), atol=1e-6)


def test_mnist_cnn_has_the_layers_of_the_benchmark():
    kinds = [type(layer).__name__ for _, layer in mnist_cnn().layers()]
    convolution = ["Conv2d", "ReLU", "MaxPool2d"]
    assert kinds == [*convolution, *convolution, "Flatten", "Linear", "ReLU", "Linear"]


def test_vgg_small_has_the_layers_of_the_benchmark():
    kinds = [type(layer).__name__ for _, layer in vgg_small().layers()]
    convolution = ["Conv2d", "BatchNorm2d", "ReLU"]
    twice = [*convolution, *convolution]
    assert kinds == [*twice, "MaxPool2d", *twice, "MaxPool2d", *convolution, "GlobalAvgPool2d", "Flatten", "Linear"]
    assert [layer.kernel_size for _, layer in vgg_small().layers() if isinstance(layer, MaxPool2d)] == [2, 2]


@pytest.mark.parametrize("function", [mnist_cnn, digits_cnn])
def test_dropout_comes_before_the_last_layer_and_changes_no_key(function):
    without, with_dropout = function(dropout=0.0), function(dropout=0.4)
    np.testing.assert_equal(without.params, with_dropout.params)
    assert not any(isinstance(layer, Dropout) for _, layer in without.layers())
    assert repr(with_dropout[-2]) == "Dropout(p=0.4)"
