"""Images lie in memory as (H, W, N, C) after every layer, forward and backward: one layer that falls out slows all."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch import models
from cnn_from_scratch.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Context,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    GroupNorm,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    SiLU,
    Upsample,
    ZeroPad2d,
)
from cnn_from_scratch.layers.fusion import as_program
from cnn_from_scratch.layers.predict import in_fast_order
from cnn_from_scratch.layers.program import Step
from cnn_from_scratch.ops.utils import HWNC
from cnn_from_scratch.randomness import Place

SHAPES = {"mnist_cnn": (1, 28, 28), "lenet5": (1, 28, 28), "digits_cnn": (1, 8, 8)}


def everything():
    """Layers that the models do not have."""
    return Sequential(
        Conv2d(3, 8, 5, stride=2, padding=2, rng=0),
        GroupNorm(2, 8),
        SiLU(),
        Residual(Sequential(Conv2d(8, 8, 3, padding=1, groups=8, rng=0), BatchNorm2d(8)), Conv2d(8, 8, 1, rng=0)),
        Concat(Conv2d(8, 4, 3, padding=1, groups=2, rng=0), AvgPool2d(3, 1, 1), MaxPool2d(3, 1, 1)),
        Dropout(0.5),
        Upsample(scale_factor=2),
        ConvTranspose2d(20, 6, 3, rng=0),
        ZeroPad2d(1),
        ReLU(),
    )


def models_and_inputs():
    yield "everything", everything(), (3, 16, 16)
    for name in sorted(models.MODELS.keys() - models.IMAGENET_MODELS.keys() | {"resnet18", "mobilenet_v2"}):
        yield name, models.MODELS[name](), SHAPES.get(name, (3, 32, 32))


CASES = list(models_and_inputs())


def lies_well(images):
    return images.ndim != 4 or images.transpose(HWNC).flags.c_contiguous


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("model", "shape"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_after_every_layer(model, shape, train):
    seen = []

    def tap(key, phase, values):
        for name in ("input", "output", "dy", "dx"):
            if values.get(name) is not None and values[name].ndim == 4:
                seen.append(phase)
                assert lies_well(values[name]), f"{name} of layer {key}, {phase}: strides {values[name].strides}"

    x = in_fast_order(np.random.default_rng(0).standard_normal((5, *shape)).astype(np.float32))
    y, caches = model.forward(x, Context(train=train, rng=Place(seed=0), tap=tap))
    model.backward(np.ones_like(y), caches, need_dx=True)
    assert set(seen) == {"forward", "backward"}


@pytest.mark.parametrize(("model", "shape"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_after_every_step_of_a_program(model, shape, monkeypatch):
    seen = []

    def watched(method):
        def run(self, x, *args, **options):
            out = method(self, x, *args, **options)
            for images in (x, out[0]):
                if images is not None and images.ndim == 4:
                    seen.append(method.__name__)
                    assert lies_well(images), f"{method.__name__} of {self}: strides {images.strides}"
            return out

        return run

    for kind in _kinds(Step):
        monkeypatch.setattr(kind, "forward", watched(kind.forward))
        monkeypatch.setattr(kind, "backward", watched(kind.backward))
    x = in_fast_order(np.random.default_rng(0).standard_normal((5, *shape)).astype(np.float32))
    program = as_program(model)
    y, caches = program.forward(x, Context(train=True, rng=Place(seed=0)))
    program.backward(np.ones_like(y), caches, need_dx=True)
    assert set(seen) == {"forward", "backward"}


def _kinds(kind):
    """All kinds of steps that have a forward of their own."""
    for sub in kind.__subclasses__():
        if "forward" in vars(sub):
            yield sub
        yield from _kinds(sub)
