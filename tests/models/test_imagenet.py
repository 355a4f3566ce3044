"""The networks for photographs: torchvision's names and shapes, the published numbers, and that they learn."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnn_from_scratch.layers import Context, Dropout, Linear, MaxPool2d, ReLU, ReLU6, Residual
from cnn_from_scratch.models import (
    IMAGENET_MODELS,
    IMAGENET_PARAMETERS,
    mobilenet_v2,
    resnet18,
    resnet50,
    squeezenet1_0,
    squeezenet1_1,
    vgg11,
    vgg16_bn,
)
from cnn_from_scratch.models.residual_blocks import basic_block, bottleneck
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward, to_hwnc
from cnn_from_scratch.optim import SGD
from cnn_from_scratch.randomness import Place

LIGHT = ["mobilenet_v2", "resnet18", "squeezenet1_0", "squeezenet1_1"]
MIDDLING = ["resnet34", "resnet50"]
HEAVY = ["vgg11", "vgg11_bn", "vgg16", "vgg16_bn"]
each_light = pytest.mark.parametrize("name", LIGHT)
each = pytest.mark.parametrize(
    "name", [*LIGHT, *MIDDLING, *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)]
)
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def shapes(model):
    return {key: array.shape for key, array in (model.params | model.buffers).items()}


def test_all_are_tested():
    assert sorted([*LIGHT, *MIDDLING, *HEAVY]) == sorted(IMAGENET_MODELS)


@each
def test_count_of_parameters_and_shape_of_the_scores(name):
    model = IMAGENET_MODELS[name]()
    assert sum(array.size for array in model.params.values()) == IMAGENET_PARAMETERS[name]
    assert f"{IMAGENET_PARAMETERS[name]:,} parameters" in IMAGENET_MODELS[name].__doc__
    assert model.output_shape((3, 224, 224)) == (1000,)
    assert model.dtype == np.float32


@each_light
def test_channels_and_classes(name):
    model = IMAGENET_MODELS[name](in_channels=1, num_classes=7)
    y = model.predict(np.zeros((2, 1, 40, 33), np.float32))
    assert y.shape == (2, 7)
    assert np.isfinite(y).all()


@each_light
def test_the_seed_decides_every_parameter(name):
    make = IMAGENET_MODELS[name]
    first, again, other = make(num_classes=3), make(num_classes=3, seed=0), make(num_classes=3, seed=1)
    np.testing.assert_equal(first.params, again.params)
    changed = [key for key in first.params if (first.params[key] != other.params[key]).any()]
    assert changed == [key for key, value in first.params.items() if value.ndim > 1]  # all weights but batch norm's


@each_light
def test_signals_neither_die_nor_explode(name):
    model = IMAGENET_MODELS[name](num_classes=10)
    x = np.random.default_rng(0).standard_normal((8, 3, 64, 64)).astype(np.float32)
    spreads = []
    ctx = Context(train=True, rng=Place(0), tap=lambda k, phase, values: spreads.append(float(values["output"].std())))
    logits, _ = model.forward(to_hwnc(x), ctx)
    assert 0.02 < min(spreads)
    assert max(spreads) < 6
    assert cross_entropy_forward(logits, np.arange(8))[0] < 6


@each_light
def test_a_step_downhill_lowers_the_loss(name):
    model = IMAGENET_MODELS[name](num_classes=5, **({} if name.startswith("resnet") else {"dropout": 0.0}))
    rng = np.random.default_rng(0)
    x, y = to_hwnc(rng.standard_normal((5, 3, 48, 40)).astype(np.float32)), np.arange(5)
    losses = []
    for _ in range(2):
        logits, caches = model.forward(x, Context(train=True, rng=Place(0)))
        loss, cache = cross_entropy_forward(logits, y)
        _, grads = model.backward(cross_entropy_backward(cache), caches, need_dx=False)
        assert grads.keys() == model.params.keys()
        SGD(0.001).step(model.params, grads)
        losses.append(loss)
    assert losses[1] < losses[0]


@each_light
def test_a_plan_gives_the_same(name):
    model = IMAGENET_MODELS[name](num_classes=10)
    for key, buffer in model.buffers.items():
        if key.endswith("running_var"):
            buffer[...] = 2.0  # otherwise the numbers of the deepest layers get large
    x = np.random.default_rng(1).standard_normal((2, 3, 64, 48)).astype(np.float32)
    expected = model.predict(x)
    np.testing.assert_allclose(model.compile(x.shape)(x), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


# --- names -----------------------------------------------------------------------------------------------------------


def test_resnet18_has_torchvisions_keys():
    expected = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512), "fc.bias": (1000,)}
    norms = {"bn1": 64}
    channels = 64
    for stage, filters in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            key = f"layer{stage}.{block}"
            expected[f"{key}.conv1.weight"] = (filters, channels, 3, 3)
            expected[f"{key}.conv2.weight"] = (filters, filters, 3, 3)
            norms |= {f"{key}.bn1": filters, f"{key}.bn2": filters}
            if channels != filters:
                expected[f"{key}.downsample.0.weight"] = (filters, channels, 1, 1)
                norms[f"{key}.downsample.1"] = filters
            channels = filters
    expected |= {f"{key}.{n}": () if n == NORM[-1] else (count,) for key, count in norms.items() for n in NORM}
    assert shapes(resnet18()) == expected


def test_resnet50_has_torchvisions_keys():
    found = shapes(resnet50())
    assert found["layer1.0.conv1.weight"] == (64, 64, 1, 1)
    assert found["layer1.0.conv3.weight"] == (256, 64, 1, 1)
    assert found["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert found["layer1.2.conv1.weight"] == (64, 256, 1, 1)
    assert found["layer3.5.bn3.running_var"] == (1024,)
    assert found["layer4.0.downsample.0.weight"] == (2048, 1024, 1, 1)
    assert found["fc.weight"] == (1000, 2048)
    assert len(found) == 320  # as torchvision's state dict


def test_mobilenet_has_torchvisions_keys():
    found = shapes(mobilenet_v2())
    assert found["features.0.0.weight"] == (32, 3, 3, 3)
    assert found["features.0.1.running_mean"] == (32,)
    # the first block does not widen, and so has one convolution less
    assert found["features.1.conv.0.0.weight"] == (32, 1, 3, 3)
    assert found["features.1.conv.1.weight"] == (16, 32, 1, 1)
    assert found["features.1.conv.2.weight"] == (16,)
    assert found["features.2.conv.0.0.weight"] == (96, 16, 1, 1)
    assert found["features.2.conv.1.0.weight"] == (96, 1, 3, 3)
    assert found["features.2.conv.2.weight"] == (24, 96, 1, 1)
    assert found["features.2.conv.3.bias"] == (24,)
    assert found["features.17.conv.2.weight"] == (320, 960, 1, 1)
    assert found["features.18.0.weight"] == (1280, 320, 1, 1)
    assert found["classifier.1.weight"] == (1000, 1280)
    assert len(found) == 314  # as torchvision's state dict


@pytest.mark.parametrize(
    ("make", "fires"),
    [(squeezenet1_0, (3, 4, 5, 7, 8, 9, 10, 12)), (squeezenet1_1, (3, 4, 6, 7, 9, 10, 11, 12))],
)
def test_squeezenets_have_torchvisions_keys(make, fires):
    found = shapes(make())
    parts = [f"{part}.{n}" for part in ("squeeze", "expand1x1", "expand3x3") for n in ("weight", "bias")]
    expected = [f"features.0.{n}" for n in ("weight", "bias")]
    expected += [f"features.{i}.{part}" for i in fires for part in parts]
    assert list(found) == [*expected, "classifier.1.weight", "classifier.1.bias"]
    assert found["features.12.expand3x3.weight"] == (256, 64, 3, 3)
    assert found["classifier.1.weight"] == (1000, 512, 1, 1)


@pytest.mark.slow
def test_vggs_have_torchvisions_keys():
    def places(model):
        return [int(re.fullmatch(r"features\.(\d+)\.weight", k)[1]) for k in model.params if re.match(r"f.*weight", k)]

    plain, normed = vgg11(num_classes=2), vgg16_bn(num_classes=2)
    assert places(plain) == [0, 3, 6, 8, 11, 13, 16, 18]
    convolutions = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]
    assert places(normed) == sorted([*convolutions, *(i + 1 for i in convolutions)])
    assert shapes(normed)["features.40.weight"] == (512, 512, 3, 3)
    assert shapes(normed)["features.41.running_var"] == (512,)
    for model in (plain, normed):
        found = shapes(model)
        assert found["classifier.0.weight"] == (4096, 25088)
        assert found["classifier.3.weight"] == (4096, 4096)
        assert found["classifier.6.weight"] == (2, 4096)


# --- what is inside --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [basic_block(4, 6, 2), basic_block(4, 4), bottleneck(4, 3, 2), bottleneck(12, 3)])
def test_a_block_is_what_the_paper_draws(block):
    residual = block.children[""]
    assert isinstance(residual, Residual)
    channels = residual.body.children["conv1"].in_channels
    x = np.random.default_rng(0).standard_normal((2, channels, 8, 8)).astype(np.float32)
    around = x if residual.shortcut is None else residual.shortcut.forward(x, Context())[0]
    expected = np.maximum(residual.body.forward(x, Context())[0] + around, 0)
    np.testing.assert_allclose(block.forward(x, Context())[0], expected, atol=1e-6)


def test_mobilenet_has_shortcuts_where_the_shape_stays():
    features = mobilenet_v2(num_classes=2).children["features"].children
    # the repeated blocks of the seven stages: 1, 2, 3, 4, 3, 3, 1, all but the first of each
    assert [i for i, block in features.items() if isinstance(block, Residual)] == "3 5 6 8 9 10 12 13 15 16".split()
    kinds = {type(layer) for _, layer in mobilenet_v2(num_classes=2).layers()}
    assert ReLU6 in kinds
    assert ReLU not in kinds


def test_pools_of_squeezenet_round_up():
    for make, after in ((squeezenet1_0, ["2", "6", "11"]), (squeezenet1_1, ["2", "5", "8"])):
        features = make(num_classes=2).children["features"].children
        assert [name for name, layer in features.items() if isinstance(layer, MaxPool2d)] == after
        assert all(layer.ceil_mode for layer in features.values() if isinstance(layer, MaxPool2d))


@pytest.mark.parametrize("make", [mobilenet_v2, squeezenet1_0])
def test_dropout_can_be_set(make):
    assert [layer.p for _, layer in make(num_classes=2, dropout=0.1).layers() if isinstance(layer, Dropout)] == [0.1]


def test_half_the_sizes_of_resnet():
    rows = {row.key: row.output_shape for row in resnet18().summary((3, 224, 224)).rows}
    assert rows["maxpool"] == (64, 56, 56)
    assert [rows[f"layer{i}.1.relu2"] for i in (1, 2, 3, 4)] == [
        (64, 56, 56),
        (128, 28, 28),
        (256, 14, 14),
        (512, 7, 7),
    ]
    assert isinstance(resnet18(num_classes=2).children["fc"], Linear)
