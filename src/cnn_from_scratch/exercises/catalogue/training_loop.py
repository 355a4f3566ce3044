"""The exercise training_loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import cross_entropy_backward, cross_entropy_forward, linear_backward, linear_forward
from ...optim import SGD
from ...typing import Array
from ..arrays import real
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.training_loop import MISTAKES

Loss = Callable[[Array, Array, Array, Array], tuple[Any, Array, Array]]


def loss_and_gradients(x: Array, y: Array, weight: Array, bias: Array) -> tuple[Any, Array, Array]:
    """Cross-entropy of a linear classifier, the mean over the examples, and its gradients by weight and bias."""
    logits, cache = linear_forward(x, weight, bias)
    loss, of_loss = cross_entropy_forward(logits, y)
    _, dweight, dbias = linear_backward(cross_entropy_backward(of_loss), cache)
    assert dbias is not None
    return loss, dweight, dbias


def _answer(
    x: Array,
    y: Array,
    x_test: Array,
    y_test: Array,
    weight: Array,
    bias: Array,
    loss_and_gradients: Loss,
    lr: float,
    momentum: float,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """The loop of examples/raw_loop.py, with the library's optimizer."""
    params, optimizer, losses = {"weight": weight.copy(), "bias": bias.copy()}, SGD(lr, momentum=momentum), []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            _, dweight, dbias = loss_and_gradients(x[batch], y[batch], params["weight"], params["bias"])
            optimizer.step(params, {"weight": dweight, "bias": dbias})
        losses.append(loss_and_gradients(x_test, y_test, params["weight"], params["bias"])[0])
    return params["weight"], params["bias"], np.array(losses, x.dtype)


def _case(seed: int, N: int, D: int, K: int, dtype: str = "float64", **settings: Any) -> Arguments:
    """N examples in K clouds, and half as many to test."""
    rng = np.random.default_rng(seed)
    centres, labels = 2 * real(seed, K, D), rng.integers(0, K, N + N // 2 + 1)
    points = (centres[labels] + rng.standard_normal((len(labels), D))).astype(dtype)
    return {
        "x": points[:N],
        "y": labels[:N],
        "x_test": points[N:],
        "y_test": labels[N:],
        "weight": real(seed + 1, K, D, dtype=dtype),
        "bias": np.zeros(K, dtype),
        "loss_and_gradients": loss_and_gradients,
        "lr": 0.1,
        "momentum": 0.0,
        "epochs": 1,
        "batch_size": N,
        "rng": np.random.default_rng(seed + 2),
        **settings,
    }


def _rungs() -> list[Rung]:
    return [
        Rung("one epoch with one batch: a single step", _case(1, 4, 3, 2)),
        Rung("two batches", _case(2, 6, 3, 2, batch_size=3)),
        Rung("a last batch that is shorter", _case(3, 7, 3, 2, batch_size=3)),
        Rung("three epochs, each in an order of its own", _case(4, 8, 3, 3, batch_size=3, epochs=3)),
        Rung("momentum", _case(5, 8, 3, 3, batch_size=3, epochs=3, momentum=0.9)),
        Rung("longer, in float32", _case(6, 40, 6, 4, "float32", batch_size=8, epochs=5, momentum=0.9)),
    ]


MOST = 6
"""So many steps are written out."""


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """The first steps of one number, or the epoch's end."""
    g = given
    rng = np.random.default_rng()
    rng.bit_generator.state = g["rng"].bit_generator.state  # the given one is not moved
    key = output if output != "test_losses" else "weight"
    at = index if output != "test_losses" else (0,) * g["weight"].ndim
    name = f"{key}[{', '.join(map(str, at))}]"
    params = {"weight": g["weight"].astype(float), "bias": g["bias"].astype(float)}
    velocity = {k: np.zeros_like(p) for k, p in params.items()}
    lines = [f"{name} begins as {params[key][at]:.6g}"]
    for epoch in range(g["epochs"]):
        order = rng.permutation(len(g["x"]))
        for start in range(0, len(order), g["batch_size"]):
            batch = order[start : start + g["batch_size"]]
            _, *found = g["loss_and_gradients"](g["x"][batch].astype(float), g["y"][batch], *params.values())
            for k, grad in zip(params, found, strict=True):
                velocity[k] = g["momentum"] * velocity[k] + grad
                params[k] = params[k] - g["lr"] * velocity[k]
            gradient = dict(zip(params, found, strict=True))[key][at]
            lines.append(
                f"epoch {epoch}, batch {batch.tolist()}: gradient {gradient:.5g}, velocity {velocity[key][at]:.5g}, "
                f"{name} = {params[key][at]:.6g}"
            )
        loss = g["loss_and_gradients"](g["x_test"].astype(float), g["y_test"], *params.values())[0]
        lines.append(f"epoch {epoch} ends: the loss of x_test, y_test is {loss:.6g}")
    return lines if len(lines) <= MOST + 1 else [*lines[: MOST + 1], f"and so on, {len(lines) - MOST - 1} lines more"]


EXERCISE = Exercise(
    name="training_loop",
    summary="shuffle, batch, gradient, step, measure",
    read="your adam and softmax_cross_entropy; rng.permutation, and indexing with an array of numbers, x[batch]",
    start="start with one epoch: order = rng.permutation(len(x)), then a loop over range(0, len(x), batch_size)",
    hints=(
        "Two loops, one inside of the other: over epochs, over batches. Ask of every line how often it has to happen: "
        "once, once per epoch, or once per batch?",
        "batch = order[start : start + batch_size] is short at the end by itself. x[batch] and y[batch] belong "
        "together. The velocities are made before the first loop, and stay.",
        "Inside: _, dweight, dbias = loss_and_gradients(x[batch], y[batch], weight, bias); vw = momentum * vw + "
        "dweight; weight = weight - lr * vw; the same for bias. After the inner loop: "
        "losses.append(loss_and_gradients(x_test, y_test, weight, bias)[0]). Return weight, bias, np.array(losses, "
        "x.dtype).",
    ),
    solution=("training.fit:fit", "training.step:compute_gradients", "optim.sgd:SGD"),
    outputs=("weight", "bias", "test_losses"),
    answer=_answer,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
)
