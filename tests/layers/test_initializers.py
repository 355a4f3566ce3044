"""How filters begin: spreads by statistics, bounds exactly, and what orthogonal and dirac promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_from_scratch.layers import Context, Conv2d, ConvTranspose2d, Linear
from cnn_from_scratch.layers.initializers import INITIALIZERS, fans

SHAPE = (256, 96, 3, 3)  # 221,184 numbers: their variance is known to 0.3 %
FAN_IN, FAN_OUT = 96 * 9, 256 * 9
VARIANCES = {
    "pytorch": 1 / (3 * FAN_IN),  # a uniform number in +-b has variance b*b / 3
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
}


def test_fans():
    assert fans(SHAPE) == (FAN_IN, FAN_OUT)
    assert fans((10, 84)) == (84, 10)


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_and_variance(name):
    weight = INITIALIZERS[name](SHAPE, np.random.default_rng(0))
    spread = math.sqrt(VARIANCES[name])
    assert weight.shape == SHAPE
    assert abs(weight.mean()) < 5 * spread / math.sqrt(weight.size)
    assert abs(weight.var() / VARIANCES[name] - 1) < 0.02


@pytest.mark.parametrize("name", [name for name in VARIANCES if name == "pytorch" or name.endswith("uniform")])
def test_uniform_numbers_fill_their_interval_and_no_more(name):
    weight = INITIALIZERS[name](SHAPE, np.random.default_rng(0))
    bound = math.sqrt(3 * VARIANCES[name])
    assert 0.9999 * bound < np.abs(weight).max() <= bound


@pytest.mark.parametrize("name", [name for name in VARIANCES if name.endswith("normal")])
def test_normal_numbers_have_normal_tails(name):
    weight = INITIALIZERS[name](SHAPE, np.random.default_rng(0)) / math.sqrt(VARIANCES[name])
    for limit, share in ((1, 0.3173), (2, 0.0455), (3, 0.0027)):
        assert abs(np.mean(np.abs(weight) > limit) - share) < 0.003


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (Conv2d(16, 64, 3, rng=0), 16 * 9),
        (Conv2d(16, 64, (3, 1), groups=4, rng=0), 4 * 3),
        (Linear(300, 40, rng=0), 300),
        (ConvTranspose2d(64, 16, 3, rng=0), 16 * 9),  # PyTorch takes weight.size(1), which are the outputs here
        (ConvTranspose2d(64, 16, 3, groups=4, rng=0), 4 * 9),
    ],
)
def test_layers_start_within_pytorchs_bounds(layer, fan_in):
    bound = np.float32(1 / math.sqrt(fan_in))
    for array in layer.params.values():
        assert 0.85 * bound < np.abs(array).max() <= bound
        assert array.std() == pytest.approx(bound / math.sqrt(3), rel=0.2)


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name != "pytorch"])
def test_other_biases_start_at_zero(name):
    for layer in (Conv2d(4, 8, 3, weight_init=name), Linear(4, 8, weight_init=name), ConvTranspose2d(4, 8, 3)):
        if getattr(layer, "weight_init", name) == name:
            assert not layer.params["bias"].any()
            assert layer.params["weight"].any()


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (27, 3, 3, 3), (40, 3, 3, 3), (5, 9), (9, 5)])
def test_orthogonal(shape):
    weight = INITIALIZERS["orthogonal"](shape, np.random.default_rng(0)).reshape(shape[0], -1)
    gram = weight @ weight.T if len(weight) <= weight.shape[1] else weight.T @ weight
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_orthogonal_matrices_have_no_preferred_sign():
    corners = [INITIALIZERS["orthogonal"]((3, 3), np.random.default_rng(i))[0, 0] for i in range(400)]
    assert abs(np.mean(corners)) < 5 * np.std(corners) / math.sqrt(400)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 3, (5, 3)])
def test_dirac_is_the_identity(groups, size):
    layer = Conv2d(4, 4, size, padding="same", groups=groups, weight_init="dirac")
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 7)).astype(np.float32)
    np.testing.assert_array_equal(layer.forward(x, Context())[0], x)


@pytest.mark.parametrize(
    ("layer", "ones"),
    [
        (Conv2d(2, 5, 1, weight_init="dirac"), [(0, 0), (1, 1)]),  # filters 2 to 4 find no channel
        (Conv2d(5, 2, 1, weight_init="dirac"), [(0, 0), (1, 1)]),
        (Conv2d(2, 6, 1, groups=2, weight_init="dirac"), [(0, 0), (3, 0)]),  # 1 channel and 3 filters a group
        (Conv2d(6, 2, 1, groups=2, weight_init="dirac"), [(0, 0), (1, 0)]),  # 3 channels and 1 filter a group
        (ConvTranspose2d(4, 2, 1, groups=2, weight_init="dirac"), [(0, 0), (2, 0)]),
    ],
)
def test_dirac_leaves_what_finds_no_partner_zero(layer, ones):
    weight = layer.params["weight"][:, :, 0, 0]
    assert [tuple(map(int, place)) for place in np.argwhere(weight)] == ones
    assert weight.sum() == len(ones)


def test_the_same_rng_gives_the_same_layer():
    for make in (lambda rng: Conv2d(2, 3, 3, rng=rng), lambda rng: Linear(4, 5, rng=rng)):
        first = make(3).params
        np.testing.assert_equal(make(3).params, first)
        assert (make(4).params["weight"] != first["weight"]).any()
        assert (make(None).params["weight"] != make(None).params["weight"]).any()
        generator = np.random.default_rng(0)
        assert (make(generator).params["weight"] != make(generator).params["weight"]).any()  # it moves on
