"""Whole networks beside PyTorch's, live: the same keys, gradients, and weights after training."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from peers.compare import DTYPES, Array, as_tensor, assert_near, torch

from cnn_from_scratch import layers, models, optim
from cnn_from_scratch.layers import Concat, Context, Conv2d, Layer, Residual, Sequential
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward
from cnn_from_scratch.training import fit

nn, F = torch.nn, torch.nn.functional
OURS_ALONE = ("weight_init", "algorithm")


def peer_of(layer: Layer) -> Any:
    """The PyTorch module of a layer, or of layers in a row, with weights of its own."""
    if isinstance(layer, Sequential):
        return nn.Sequential(OrderedDict((name, peer_of(child)) for name, child in layer.children.items()))
    if isinstance(layer, layers.GlobalAvgPool2d):
        return nn.AdaptiveAvgPool2d(1)
    config = {name: value for name, value in layer.config().items() if name not in OURS_ALONE}
    return getattr(nn, type(layer).__name__)(**config)


class TorchResidual(nn.Module):
    def __init__(self, body: Any, shortcut: Any = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Any) -> Any:
        return self.body(x) + (x if self.shortcut is None else self.shortcut(x))


class TorchConcat(nn.Module):
    def __init__(self, branches: dict[str, Any]) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self.children()], 1)


class BasicBlock(nn.Module):
    """As torchvision writes it."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = None
        if stride != 1 or channels != filters:
            narrow = nn.Conv2d(channels, filters, 1, stride, bias=False)
            self.downsample = nn.Sequential(narrow, nn.BatchNorm2d(filters))

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def torch_resnet20() -> Any:
    def stage(channels: int, filters: int, stride: int) -> Any:
        return nn.Sequential(
            BasicBlock(channels, filters, stride), BasicBlock(filters, filters, 1), BasicBlock(filters, filters, 1)
        )

    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 16, 3, 1, 1, bias=False),
            bn1=nn.BatchNorm2d(16),
            relu=nn.ReLU(),
            layer1=stage(16, 16, 1),
            layer2=stage(16, 32, 2),
            layer3=stage(32, 64, 2),
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(64, 10),
        )
    )


def residual_pair() -> tuple[Layer, Any]:
    body, shortcut = Sequential(Conv2d(3, 4, 3, padding=1), layers.Tanh()), Conv2d(3, 4, 1)
    return Residual(body, shortcut), TorchResidual(peer_of(body), peer_of(shortcut))


def identity_pair() -> tuple[Layer, Any]:
    body = Sequential(Conv2d(3, 3, 3, padding=1), layers.BatchNorm2d(3))
    return Sequential(Residual(body), layers.ReLU()), nn.Sequential(TorchResidual(peer_of(body)), nn.ReLU())


def concat_pair() -> tuple[Layer, Any]:
    branches = {
        "narrow": Conv2d(3, 2, 1),
        "wide": Sequential({"conv": Conv2d(3, 4, 5, padding=2), "act": layers.SiLU()}),
        "pool": layers.MaxPool2d(3, 1, 1),
    }
    return Concat(branches), TorchConcat({name: peer_of(branch) for name, branch in branches.items()})


def in_a_row(model: Layer) -> tuple[Layer, Any]:
    return model, peer_of(model)


NETWORKS = {
    "residual": (residual_pair, (3, 5, 4)),
    "identity": (identity_pair, (3, 5, 4)),
    "concat": (concat_pair, (3, 5, 4)),
    "nested": (lambda: in_a_row(Sequential(Sequential(Conv2d(3, 2, 2), layers.PReLU()), layers.Flatten())), (3, 5, 4)),
    "digits_cnn": (lambda: in_a_row(models.digits_cnn(dropout=0.0)), (1, 8, 8)),
    "lenet5": (lambda: in_a_row(models.lenet5()), (1, 28, 28)),
    "mnist_cnn": (lambda: in_a_row(models.mnist_cnn()), (1, 28, 28)),
    "resnet20": (lambda: (models.resnet20(), torch_resnet20()), (3, 12, 12)),
    "vgg_small": (lambda: in_a_row(models.vgg_small()), (3, 8, 8)),
}


def network(name: str, dtype: Any) -> tuple[Layer, Any]:
    """Ours, and PyTorch's with the same weights; loading them fails where a key or a shape differs.

    Without Winograd's transforms: their rounding in float32 lets single ReLUs and maxima fall the other way.
    """
    make, _ = NETWORKS[name]
    ours, theirs = make()
    for _, layer in ours.layers():
        if isinstance(layer, Conv2d) and layer.groups == 1:
            layer.algorithm = "im2row"
    ours.astype(dtype)
    theirs.to(torch.from_numpy(np.empty(0, dtype)).dtype)
    theirs.load_state_dict({key: torch.tensor(value) for key, value in (ours.params | ours.buffers).items()})
    return ours, theirs


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_keys_outputs_and_gradients(name, dtype):
    ours, theirs = network(name, dtype)
    assert list(ours.params) == [key for key, _ in theirs.named_parameters()]
    assert list(ours.buffers) == [key for key, _ in theirs.named_buffers()]
    x = np.random.default_rng(0).standard_normal((3, *NETWORKS[name][1])).astype(dtype)
    y, cache = ours.forward(x, Context(train=True))
    tensor = as_tensor(x)
    expected = theirs(tensor)
    assert_near(y, expected, "y", scale=10.0)

    dx, grads = ours.backward(np.full_like(y, 0.5), cache)
    keys, parameters = zip(("x", tensor), *theirs.named_parameters(), strict=True)
    answers = torch.autograd.grad(expected, parameters, torch.full_like(expected, 0.5))
    for key, answer in zip(keys, answers, strict=True):
        assert_near(dx if key == "x" else grads[key], answer, key, scale=10.0)

    ours.commit(cache)
    for key, buffer in theirs.named_buffers():
        rtol, atol = (1e-4, 1e-6) if dtype is np.float32 else (1e-9, 1e-12)  # a mean may be next to 0
        np.testing.assert_allclose(ours.buffers[key], buffer.numpy(), rtol=rtol, atol=atol)
    assert_near(ours.predict(x), theirs.eval()(tensor), "prediction", scale=10.0)


# --- training -------------------------------------------------------------------------------------------------------

OPTIMIZERS = [
    ("Adam", {"lr": 3e-3}, None),
    ("Adam", {"lr": 1e-3, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1, "amsgrad": True}, None),
    ("AdamW", {"lr": 1e-3, "weight_decay": 0.1}, 0.5),
    ("SGD", {"lr": 0.05}, None),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}, 1.0),
    ("RMSprop", {"lr": 1e-3, "momentum": 0.5, "centered": True}, None),
]


def images(count: int, shape: tuple[int, ...]) -> tuple[Array, Array]:
    rng = np.random.default_rng(7)
    return rng.standard_normal((count, *shape)), rng.integers(0, 10, count)


def torch_fit(model: Any, x: Array, y: Array, optimizer: Any, *, epochs: int, batch_size: int, clip_norm: float | None):
    """The mean loss of every epoch, in the order of the examples."""
    batches = list(zip(torch.tensor(x).split(batch_size), torch.tensor(y).split(batch_size), strict=True))
    history = []
    for _ in range(epochs):
        losses = []
        for images, labels in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            losses.append(loss.item() * len(images))
        history.append(sum(losses) / len(x))
    return history


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize(("name", "options", "clip_norm"), OPTIMIZERS)
def test_batch_norm_in_training_follows(name, options, clip_norm, shards):
    assert_same_training("digits_cnn", name, options, count=20, epochs=8, clip_norm=clip_norm, shards=shards)


def test_mnist_cnn_in_training_follows():
    assert_same_training("mnist_cnn", "Adam", {}, count=20, epochs=5, clip_norm=None, shards=2)


def test_lenet5_in_training_follows():
    assert_same_training("lenet5", "Adam", {"lr": 1e-2}, count=20, epochs=10, clip_norm=None, shards=1)


def assert_same_training(network_name, name, options, *, count, epochs, clip_norm, shards):
    """Batches of 8, 8 and 4: the last one is short."""
    ours, theirs = network(network_name, np.float64)
    x, y = images(count, NETWORKS[network_name][1])
    schedule = {"epochs": epochs, "batch_size": 8, "clip_norm": clip_norm}
    optimizer = getattr(optim, name)(**options)
    history = fit(ours, (x, y), **schedule, optimizer=optimizer, shuffle=False, shards=shards, progress=False)
    expected = torch_fit(theirs, x, y, getattr(torch.optim, name)(theirs.parameters(), **options), **schedule)
    np.testing.assert_allclose(history["loss"], expected, rtol=0, atol=1e-9)
    assert history["loss"][-1] < history["loss"][0]
    for key, value in (ours.params | ours.buffers).items():
        np.testing.assert_allclose(value, theirs.state_dict()[key].numpy(), rtol=0, atol=1e-8, err_msg=key)


def test_a_batch_by_hand():
    # the same without `fit`: forward, loss, backward, step
    ours, theirs = network("digits_cnn", np.float64)
    x, y = images(6, (1, 8, 8))
    optimizer, peer = optim.Adam(), torch.optim.Adam(theirs.parameters())
    for _ in range(3):
        logits, caches = ours.forward(x, Context(train=True))
        loss, cache = cross_entropy_forward(logits, y)
        _, grads = ours.backward(cross_entropy_backward(cache), caches, need_dx=False)
        optimizer.step(ours.params, grads)
        ours.commit(caches)
        expected = torch_fit(theirs, x, y, peer, epochs=1, batch_size=6, clip_norm=None)
        assert loss == pytest.approx(expected[0], abs=1e-12)
