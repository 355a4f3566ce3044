"""Attributions beside what PyTorch's autograd makes of the same network, with the rules written as its users do."""

from __future__ import annotations

import numpy as np
import pytest
from peers.compare import as_tensor, assert_near, torch

from cnn_from_scratch.insight import gradcam, guided_backpropagation, integrated_gradients, saliency
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential

F = torch.nn.functional
TARGET = np.array([2, 0, 1, 2])


class Guided(torch.autograd.Function):
    """relu forward; backward lets pass what is positive, of what was positive."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * (x > 0) * (dy > 0)


@pytest.fixture(scope="module")
def model():
    block = Sequential({"conv": Conv2d(5, 5, 3, padding=1), "bn": BatchNorm2d(5), "relu": ReLU()})
    model = Sequential(
        {
            "conv": Conv2d(2, 5, 3, stride=2, padding=1),
            "relu": ReLU(),
            "block": Residual(block),
            "last": ReLU(),
            "pool": MaxPool2d(2),
            "flat": Flatten(),
            "fc": Linear(5 * 2 * 3, 3),
        }
    ).initialize(2)
    rng = np.random.default_rng(0)
    model.buffers["block.body.bn.running_mean"] = rng.standard_normal(5).astype(np.float32)
    model.buffers["block.body.bn.running_var"] = rng.uniform(0.5, 2, 5).astype(np.float32)
    return model.astype(np.float64)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).standard_normal((4, 2, 8, 12))


def peer(model, x, relu):
    """The same network in PyTorch: the scores of `TARGET`, and the maps of "last"."""
    p = {key: torch.from_numpy(value.copy()) for key, value in {**model.params, **model.buffers}.items()}
    a = relu(F.conv2d(x, p["conv.weight"], p["conv.bias"], stride=2, padding=1))
    b = F.conv2d(a, p["block.body.conv.weight"], p["block.body.conv.bias"], padding=1)
    bn = [p[f"block.body.bn.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    maps = relu(relu(F.batch_norm(b, *bn)) + a)
    logits = F.linear(F.max_pool2d(maps, 2).flatten(1), p["fc.weight"], p["fc.bias"])
    return logits[torch.arange(len(x)), torch.from_numpy(TARGET[: len(x)])], maps


@pytest.mark.parametrize(("method", "relu"), [(saliency, F.relu), (guided_backpropagation, Guided.apply)])
def test_gradients(model, x, method, relu):
    tensor = as_tensor(x)
    scores, _ = peer(model, tensor, relu)
    (dx,) = torch.autograd.grad(scores.sum(), tensor)
    assert_near(method(model, x, TARGET), dx, "dx")


def test_integrated_gradients(model, x):
    total = torch.zeros(x.shape, dtype=torch.float64)
    for t in (np.arange(10) + 0.5) / 10:
        tensor = as_tensor(t * x)
        (dx,) = torch.autograd.grad(peer(model, tensor, F.relu)[0].sum(), tensor)
        total += dx / 10
    found = integrated_gradients(model, x, TARGET, baseline=0.0, steps=10, rule="midpoint")
    assert_near(found.attribution, torch.from_numpy(x) * total, "attribution")


def test_gradcam(model, x):
    scores, maps = peer(model, as_tensor(x), F.relu)
    (dmaps,) = torch.autograd.grad(scores.sum(), maps)
    cam = F.relu((dmaps.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    cam = F.interpolate(cam, size=(8, 12), mode="bilinear", align_corners=False)[:, 0]
    assert_near(gradcam(model, x, TARGET), cam, "cam")
