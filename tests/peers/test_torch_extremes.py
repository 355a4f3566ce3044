"""Extreme numbers beside PyTorch, number by number: the same, or where the two part, which way each goes."""

from __future__ import annotations

import numpy as np
import pytest
from peers.compare import torch

from cnn_from_scratch import ops
from cnn_from_scratch.optim import Adam, RMSprop, clip_grad_norm

F = torch.nn.functional
LARGEST = float(np.finfo(np.float32).max)
NUMBERS = [LARGEST, 1e38, 1e30, 1e4, 88.0, 20.0, 1.0, 1e-30, 1e-38, 0.0, np.inf]
X = np.array([*(sign * number for number in NUMBERS for sign in (1, -1)), np.nan], np.float32)
PEERS = {
    "relu": F.relu, "leaky_relu": F.leaky_relu, "elu": F.elu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "softplus": F.softplus, "relu6": F.relu6,
}  # fmt: skip


@pytest.mark.parametrize("name", PEERS)
def test_activations(name):
    y, _ = getattr(ops, f"{name}_forward")(X)
    np.testing.assert_allclose(y, PEERS[name](torch.tensor(X)).numpy(), rtol=2e-5, atol=1e-37)


@pytest.mark.parametrize(("name", "peer"), [("silu", F.silu), ("gelu", F.gelu)])
def test_at_infinity_x_times_a_share_of_it_is_its_limit_here_and_nan_there(name, peer):
    y, expected = getattr(ops, f"{name}_forward")(X)[0], peer(torch.tensor(X)).numpy()
    apart = ~np.isfinite(expected) & ~np.isnan(X)
    assert (np.isinf(X[apart]) | (X[apart] == LARGEST)).all()  # the largest number overflows in PyTorch's GELU, too
    np.testing.assert_array_equal(y[apart], np.maximum(X[apart], 0))
    np.testing.assert_allclose(y[~apart], expected[~apart], rtol=2e-5, atol=1e-37)


@pytest.mark.parametrize(
    "row",
    [
        [1e4, -1e4, 0],
        [LARGEST, -LARGEST, 0],
        [LARGEST] * 3,
        [np.inf, 0, 0],
        [-np.inf, 0, 0],
        [np.nan, 0, 0],
        [-np.inf] * 3,
    ],
    ids=str,
)
def test_softmax_and_cross_entropy(row):
    x = np.array([row], np.float32)
    tensor = torch.tensor(x)
    np.testing.assert_allclose(ops.softmax_forward(x)[0], F.softmax(tensor, -1).numpy(), rtol=1e-6)
    np.testing.assert_allclose(ops.log_softmax_forward(x)[0], F.log_softmax(tensor, -1).numpy(), rtol=1e-6)
    for k in range(3):
        loss, _ = ops.cross_entropy_forward(x, np.array([k]))
        np.testing.assert_allclose(loss, F.cross_entropy(tensor, torch.tensor([k])).numpy(), rtol=1e-6)


@pytest.mark.parametrize("target", [0.0, 1.0, 0.3])
def test_binary_cross_entropy(target):
    x = X[np.isfinite(X)]
    y = np.full(x.shape, target, np.float32)
    loss, _ = ops.binary_cross_entropy_forward(x, y, reduction="none")
    expected = F.binary_cross_entropy_with_logits(torch.tensor(x), torch.tensor(y), reduction="none").numpy()
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=3e-9)  # exp(-20) is 2e-9 here and 0 there


@pytest.mark.parametrize("scale", [1e30, 1e18, 1.0, 1e-20])
def test_norms(scale):
    x = (scale * np.random.default_rng(0).standard_normal((8, 4, 3, 3))).astype(np.float32)
    exact, tensor = x.astype(np.float64), torch.tensor(x)
    batch = (
        ops.batch_norm_forward(x, None, None, None, None, train=True)[0],
        F.batch_norm(tensor, None, None, training=True),
    )
    layer = ops.layer_norm_forward(x, None, None, normalized_shape=(4, 3, 3))[0], F.layer_norm(tensor, (4, 3, 3))
    if scale < 1e19:
        for y, expected in (batch, layer):
            np.testing.assert_allclose(y, expected.numpy(), rtol=1e-4, atol=1e-5)
    else:  # squares are beyond float32: zeros there
        assert (batch[1] == 0).all()
        for (y, _), axes in ((batch, (0, 2, 3)), (layer, (1, 2, 3))):
            right = (exact - exact.mean(axes, keepdims=True)) / exact.std(axes, keepdims=True)
            np.testing.assert_allclose(y, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1e-45, 1e-30, 1e-10, 1.0, 1e18, 1e22, 1e30])
@pytest.mark.parametrize(("ours", "theirs"), [(Adam, torch.optim.Adam), (RMSprop, torch.optim.RMSprop)])
def test_optimizers_stand_still_where_the_square_is_infinite_as_there(ours, theirs, size):
    grad = np.full(3, size, np.float32)
    params, tensor = {"weight": np.ones(3, np.float32)}, torch.nn.Parameter(torch.ones(3))
    optimizer, peer = ours(), theirs([tensor])
    for _ in range(3):
        with np.errstate(over="ignore"):
            optimizer.step(params, {"weight": grad})
        tensor.grad = torch.tensor(grad)
        peer.step()
    np.testing.assert_allclose(params["weight"], tensor.detach().numpy(), rtol=1e-5)


def test_the_norm_of_huge_gradients_is_finite_here_and_infinite_there():
    grad = np.full(4, 1e30, np.float32)
    tensor = torch.nn.Parameter(torch.ones(4))
    tensor.grad = torch.tensor(grad)
    assert torch.isinf(torch.nn.utils.clip_grad_norm_([tensor], 1.0))
    norm, clipped = clip_grad_norm({"weight": grad}, 1.0)
    assert norm == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(clipped["weight"], 0.5, rtol=1e-5)
