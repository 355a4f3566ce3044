"""A network in NumPy as it is taught: arrays in (N, C, H, W), one large column matrix, a fresh array for everything."""

from __future__ import annotations

from typing import Any

import numpy as np
from competitors import textbook_conv
from nets import weights_of
from tasks import Array, Competitor, Runner, Task, Unavailable, batch
from threadpoolctl import threadpool_limits

VERSION = "numpy"
LAYERS = {
    "mnist_cnn": "conv1 relu pool conv2 relu pool flatten fc1 relu fc2",
    "vgg_small": ("conv1 bn1 relu conv2 bn2 relu pool conv3 bn3 relu conv4 bn4 relu pool conv5 bn5 relu mean fc"),
}


def build(task: Task, competitor: Competitor) -> Runner:
    """Make a training task ready; the variants are the two convolutions, "fancy" and "sliding"."""
    if task.kind != "train" or task.net not in LAYERS:
        raise Unavailable("not written")
    threadpool_limits(competitor.threads, user_api="blas")
    net = _Net(task, competitor.variant)
    x, y = batch(task)

    def values() -> dict[str, Array]:
        loss, grads = net.gradients(x, y)
        return {"loss": np.array(loss), **grads}

    return Runner(lambda: net.step(x, y), values)


class _Net:
    def __init__(self, task: Task, way: str) -> None:
        self.layers, self.way = LAYERS[task.net].split(), way
        weights = weights_of(task.net, task.dtype)
        self.p = {key: w for key, w in weights.items() if key.endswith((".weight", ".bias"))}
        self.m = {key: np.zeros_like(w) for key, w in self.p.items()}
        self.v = {key: np.zeros_like(w) for key, w in self.p.items()}
        self.t = 0

    def step(self, x: Array, y: Array) -> None:
        _, grads = self.gradients(x, y)
        self.t += 1
        for key, grad in grads.items():
            self.m[key] = 0.9 * self.m[key] + 0.1 * grad
            self.v[key] = 0.999 * self.v[key] + 0.001 * grad**2
            mhat, vhat = self.m[key] / (1 - 0.9**self.t), self.v[key] / (1 - 0.999**self.t)
            self.p[key] -= 1e-3 * mhat / (np.sqrt(vhat) + 1e-8)

    def gradients(self, x: Array, y: Array) -> tuple[float, dict[str, Array]]:
        caches = []
        for name in self.layers:
            x, cache = self._forward(name, x)
            caches.append(cache)
        z = x - x.max(1, keepdims=True)
        probability = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        rows = np.arange(len(y))
        loss = float(-np.log(probability[rows, y]).mean())
        probability[rows, y] -= 1
        d, grads = probability / len(y), {}
        for name, cache in zip(reversed(self.layers), reversed(caches), strict=True):
            d = self._backward(name, d, cache, grads)
        return loss, grads

    def _forward(self, name: str, x: Array) -> tuple[Array, Any]:
        if name.startswith("conv"):
            y, cols = textbook_conv.forward(self.way, x, self.p[f"{name}.weight"], 1)
            bias = self.p.get(f"{name}.bias")
            return (y if bias is None else y + bias[:, None, None]), (x, cols)
        if name.startswith("bn"):
            mean, std = x.mean((0, 2, 3), keepdims=True), np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)
            xhat = (x - mean) / std
            return self.p[f"{name}.weight"][:, None, None] * xhat + self.p[f"{name}.bias"][:, None, None], (xhat, std)
        if name.startswith("fc"):
            return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"], x
        if name == "pool":
            N, C, H, W = x.shape
            windows = np.ascontiguousarray(x).reshape(N, C, H // 2, 2, W // 2, 2)
            y = windows.max((3, 5))
            return y, (windows, y)
        if name == "mean":
            return x.mean((2, 3)), x.shape
        return (np.maximum(x, 0), x) if name == "relu" else (x.reshape(len(x), -1), x.shape)

    def _backward(self, name: str, d: Array, cache: Any, grads: dict[str, Array]) -> Array:
        if name.startswith("conv"):
            x, cols = cache
            if f"{name}.bias" in self.p:
                grads[f"{name}.bias"] = d.sum((0, 2, 3))
            dx, grads[f"{name}.weight"] = textbook_conv.backward(self.way, d, cols, x, self.p[f"{name}.weight"], 1)
            return dx
        if name.startswith("bn"):
            xhat, std = cache
            grads[f"{name}.bias"], grads[f"{name}.weight"] = d.sum((0, 2, 3)), (d * xhat).sum((0, 2, 3))
            d = d * self.p[f"{name}.weight"][:, None, None]
            means = d.mean((0, 2, 3), keepdims=True), (d * xhat).mean((0, 2, 3), keepdims=True)
            return (d - means[0] - xhat * means[1]) / std
        if name.startswith("fc"):
            grads[f"{name}.weight"], grads[f"{name}.bias"] = d.T @ cache, d.sum(0)
            return d @ self.p[f"{name}.weight"]
        if name == "pool":
            windows, y = cache
            largest = windows == y[:, :, :, None, :, None]  # several, where several are equal: they share
            share = largest * (d[:, :, :, None, :, None] / largest.sum((3, 5), keepdims=True)).astype(d.dtype)
            return share.reshape(*d.shape[:2], 2 * d.shape[2], 2 * d.shape[3])
        if name == "mean":
            return np.broadcast_to((d / (cache[2] * cache[3]))[:, :, None, None], cache)
        return d * (cache > 0) if name == "relu" else d.reshape(cache)
