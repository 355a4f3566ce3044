"""A training loop in parts, each of which can be exchanged for a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...typing import Array

Result: TypeAlias = tuple[Array, Array, Array]
Loss: TypeAlias = Callable[[Array, Array, Array, Array], tuple[Any, Array, Array]]
Indices: TypeAlias = tuple[Array, Array]
"""Which images, and which labels: they should be the same."""


class Plan(NamedTuple):
    """A training loop in parts, each of which can be wrong."""

    orders: Callable[[int, int, np.random.Generator], Iterator[Indices]]  # one for each epoch
    batches: Callable[[Indices, int], Iterator[Indices]]
    sign: int = 1
    forgets: str = "never"  # or "epoch", "step": when the velocities go back to 0
    per_epoch: str = ""  # or "sum", "last", "mean": one step with such a gradient at the end of each epoch
    measure: str = "after"  # or "before", "train", "batch"; "each": after every batch
    learns_from: str = "train"  # or "test", "both"
    divides: bool = False  # the gradient by the batch size, again
    averaged: bool = False  # velocity = momentum * velocity + (1 - momentum) * gradient


def shuffled(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """A new order for each epoch: the right way."""
    for _ in range(epochs):
        order = rng.permutation(N)
        yield order, order


def in_order(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Always from the first to the last."""
    for _ in range(epochs):
        yield np.arange(N), np.arange(N)


def shuffled_once(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """One order for all epochs."""
    order = rng.permutation(N)
    for _ in range(epochs):
        yield order, order


def shuffled_further(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Each epoch shuffles what the one before has left."""
    order = np.arange(N)
    for _ in range(epochs):
        order = order[rng.permutation(N)]
        yield order, order


def apart(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Images by one order, labels by another."""
    for _ in range(epochs):
        yield rng.permutation(N), rng.permutation(N)


def images_only(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Labels stay as they were."""
    for _ in range(epochs):
        yield rng.permutation(N), np.arange(N)


def labels_only(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Images stay as they were."""
    for _ in range(epochs):
        yield np.arange(N), rng.permutation(N)


def one_less(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    """One epoch less."""
    yield from shuffled(N, epochs - 1, rng)


def in_batches(order: Indices, size: int) -> Iterator[Indices]:
    """One after another, the last one perhaps shorter: the right way."""
    for start in range(0, len(order[0]), size):
        yield order[0][start : start + size], order[1][start : start + size]


def whole_batches(order: Indices, size: int) -> Iterator[Indices]:
    """Without the last one, if it is shorter."""
    for start in range(0, len(order[0]) - size + 1, size):
        yield order[0][start : start + size], order[1][start : start + size]


def first_batch(order: Indices, size: int) -> Iterator[Indices]:
    """The first one again and again."""
    for _ in range(0, len(order[0]), size):
        yield order[0][:size], order[1][:size]


def one_by_one(order: Indices, size: int) -> Iterator[Indices]:
    """Batches of a single example."""
    yield from in_batches(order, 1)


def everything(order: Indices, size: int) -> Iterator[Indices]:
    """One batch of all."""
    yield order


def training_loop(plan: Plan) -> Callable[..., Result]:
    """The loop that follows a plan."""

    def function(
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
    ) -> Result:
        if plan.learns_from == "both":
            x, y = np.concatenate([x, x_test]), np.concatenate([y, y_test])
        if plan.learns_from == "test":
            x, y = x_test, y_test
        params, rest = [weight, bias], [np.zeros_like(weight), np.zeros_like(bias)]
        velocities, losses, share = rest, [], 1 - momentum if plan.averaged else 1.0

        def step(gradients: list[Array]) -> None:
            nonlocal params, velocities
            past = rest if plan.forgets == "step" else velocities
            velocities = [momentum * b + share * g for b, g in zip(past, gradients, strict=True)]
            params = [p - plan.sign * lr * b for p, b in zip(params, velocities, strict=True)]

        for order in plan.orders(len(x), epochs, rng):
            if plan.forgets == "epoch":
                velocities = rest
            before, seen, loss = params, [], 0.0
            for images, labels in plan.batches(order, batch_size):
                loss, *found = loss_and_gradients(x[images], y[labels], *params)
                gradients = [g / len(images) if plan.divides else g for g in found]
                seen.append(gradients)
                if not plan.per_epoch:
                    step(gradients)
                if plan.measure == "each":
                    losses.append(loss_and_gradients(x_test, y_test, *params)[0])
            if plan.per_epoch and seen:
                step(_together(seen, plan.per_epoch))
            if plan.measure != "each":
                losses.append(_measured(plan, loss, before, params, (x, y), (x_test, y_test), loss_and_gradients))
        return params[0], params[1], np.array(losses, x.dtype)

    return function


def _together(seen: list[list[Array]], how: str) -> list[Array]:
    """One gradient of those of all batches."""
    if how == "last":
        return seen[-1]
    total = [np.sum(list(each), axis=0) for each in zip(*seen, strict=True)]
    return [g / len(seen) for g in total] if how == "mean" else total


def _measured(
    plan: Plan,
    loss: Any,
    before: list[Array],
    after: list[Array],
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    loss_and_gradients: Loss,
) -> Any:
    if plan.measure == "batch":
        return loss
    data = train if plan.measure == "train" else test
    return loss_and_gradients(*data, *(before if plan.measure == "before" else after))[0]


RIGHT = Plan(shuffled, in_batches)
