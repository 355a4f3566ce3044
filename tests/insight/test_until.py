"""A model up to a layer gives what that layer gives within the whole model."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import images, network

from cnn_from_scratch.insight import feature_maps
from cnn_from_scratch.insight.until import model_until
from cnn_from_scratch.layers import BatchNorm2d, Concat, Container, Conv2d, Linear, ReLU, Residual, Sequential
from cnn_from_scratch.models import resnet20


def branched():
    inner = Concat({"wide": Sequential(Conv2d(3, 2, 3, padding=1, rng=1), ReLU()), "narrow": Conv2d(3, 1, 1, rng=2)})
    block = Residual(Sequential({"mix": inner, "bn": BatchNorm2d(3)}), Conv2d(3, 3, 1, rng=3), body_name="")
    return Sequential({"stem": Conv2d(1, 3, 3, padding=1, rng=0), "block": block, "end": ReLU()})


@pytest.mark.parametrize("make", [network, branched])
def test_every_layer_gives_what_it_gives_in_the_model(make):
    model, x = make(), images(2)
    for key, output in feature_maps(model, x).items():
        part = model_until(model, key)
        np.testing.assert_allclose(part.predict(x), output, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(feature_maps(part, x)[key], output)


def test_layers_of_a_resnet():
    model, x = resnet20(3, 3), images(1, 3)
    maps = feature_maps(model, x)
    for key in list(maps)[::7]:
        np.testing.assert_allclose(model_until(model, key).predict(x), maps[key], rtol=1e-3, atol=1e-4)


def test_it_holds_the_very_parameters():
    model = branched()
    part = model_until(model, "block.mix.wide.0")
    assert list(part.params) == ["stem.weight", "stem.bias", "block.mix.wide.0.weight", "block.mix.wide.0.bias"]
    assert all(array is model.params[key] for key, array in part.params.items())


def test_the_whole_model_and_a_layer_alone():
    model = network()
    assert model_until(model) is model
    assert model_until(model, "") is model
    layer = Linear(2, 1)
    assert model_until(layer, "") is layer


class Own(Container):
    def forward(self, x, ctx):
        return self._forward("a", x, ctx)


def test_bad_keys_are_named():
    with pytest.raises(ValueError, match="x") as caught:
        model_until(Sequential({"a": ReLU(), "b": ReLU()}), "x")
    assert str(caught.value) == "model_until: no layer has the key 'x'; the keys are 'a', 'b'"
    with pytest.raises(ValueError, match="Own") as caught:
        model_until(Sequential({"own": Own({"a": ReLU()})}), "own.a")
    assert str(caught.value) == (
        "model_until: 'a' lies within Own, whose wiring is not known; only Sequential, Residual and Concat can be cut"
    )
