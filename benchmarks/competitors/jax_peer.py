"""JAX on the CPU: the whole step compiled by XLA, images in the order (N, H, W, C) that it is fastest in."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from nets import NETS, weights_of
from tasks import Array, Competitor, Runner, Task, Unavailable, batch

VERSION = "jax"
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


def build(task: Task, competitor: Competitor) -> Runner:
    """Make a task ready. JAX takes the cores it may use; there is no number of threads to set."""
    if task.kind not in ("train", "infer"):
        raise Unavailable("not measured")
    weights = {key: jnp.asarray(_to_hwio(array)) for key, array in weights_of(task.net).items()}
    params = {key: w for key, w in weights.items() if "running" not in key and "tracked" not in key}
    buffers = {key: w for key, w in weights.items() if "running" in key}
    images, classes = batch(task)
    x, y = jnp.asarray(images.transpose(0, 2, 3, 1)), jnp.asarray(classes)
    return (_train if task.kind == "train" else _infer)(task.net, params, buffers, x, y)


def _infer(net: str, params: Any, buffers: Any, x: Any, y: Any) -> Runner:
    """Weights are constants to the compiler, which may fold batch norm."""
    forward = jax.jit(lambda x: NETS[net](_Verbs(params | buffers, train=False), x))
    return Runner(lambda: forward(x).block_until_ready(), lambda: {"output": np.asarray(forward(x))})


def _train(net: str, params: Any, buffers: Any, x: Any, y: Any) -> Runner:
    def loss(params: Any, buffers: Any, x: Any, y: Any) -> Any:
        do = _Verbs(params | buffers, train=True)
        logits = NETS[net](do, x)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean(), do.running

    @jax.jit
    def gradients(params: Any) -> Any:
        return jax.value_and_grad(loss, has_aux=True)(params, buffers, x, y)

    def step(state: Any, x: Any, y: Any) -> Any:
        params, buffers, m, v, t = state
        (value, running), grads = jax.value_and_grad(loss, has_aux=True)(params, buffers, x, y)
        t += 1
        m = {key: BETA1 * m[key] + (1 - BETA1) * grads[key] for key in params}
        v = {key: BETA2 * v[key] + (1 - BETA2) * grads[key] ** 2 for key in params}
        rate = LR / (1 - BETA1**t)
        new = {k: params[k] - rate * m[k] / (jnp.sqrt(v[k] / (1 - BETA2**t)) + EPS) for k in params}
        return value, (new, buffers | running, m, v, t)

    compiled = jax.jit(step, donate_argnums=0)
    zeros = [{key: jnp.zeros_like(w) for key, w in params.items()} for _ in range(2)]
    copies = [{key: jnp.array(w) for key, w in part.items()} for part in (params, buffers)]
    state = [(*copies, *zeros, jnp.zeros(()))]

    def run() -> None:
        value, state[0] = compiled(state[0], x, y)
        jax.block_until_ready((value, state[0]))

    def values() -> dict[str, Array]:
        (value, _), grads = gradients(params)
        return {"loss": np.asarray(value), **{key: _from_hwio(np.asarray(g)) for key, g in grads.items()}}

    return Runner(run, values)


def _to_hwio(weight: Array) -> Array:
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight


def _from_hwio(weight: Array) -> Array:
    return weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight


class _Verbs:
    """The verbs of `nets` as computations."""

    def __init__(self, weights: Any, *, train: bool) -> None:
        self.weights, self.train = weights, train
        self.running: dict[str, Any] = {}

    def conv(self, x: Any, name: str, *, stride: int = 1, padding: int = 1) -> Any:
        pads = [(padding, padding)] * 2
        axes = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(x, self.weights[f"{name}.weight"], (stride, stride), pads, dimension_numbers=axes)
        return y + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else y

    def norm(self, x: Any, name: str) -> Any:
        w = {key: self.weights[f"{name}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
        mean, var = w["running_mean"], w["running_var"]
        if self.train:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            count = x.size // x.shape[3]
            self.running[f"{name}.running_mean"] = 0.9 * w["running_mean"] + 0.1 * mean
            self.running[f"{name}.running_var"] = 0.9 * w["running_var"] + 0.1 * var * count / (count - 1)
        scale = w["weight"] / jnp.sqrt(var + 1e-5)
        return x * scale + (w["bias"] - mean * scale)

    def relu(self, x: Any) -> Any:
        return jax.nn.relu(x)

    def pool(self, x: Any) -> Any:
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def mean(self, x: Any) -> Any:
        return x.mean((1, 2))

    def flatten(self, x: Any) -> Any:
        return x.transpose(0, 3, 1, 2).reshape(len(x), -1)

    def linear(self, x: Any, name: str) -> Any:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def add(self, x: Any, y: Any) -> Any:
        return x + y
