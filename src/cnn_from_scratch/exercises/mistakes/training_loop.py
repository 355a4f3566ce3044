"""What goes wrong in a training loop: the order, the batches, what the optimizer remembers, and the test images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...typing import Array
from ..exercise import Mistake

Result: TypeAlias = tuple[Array, Array, Array]
Loss: TypeAlias = Callable[[Array, Array, Array, Array], tuple[Any, Array, Array]]
Indices: TypeAlias = tuple[Array, Array]
"""Which images, and which labels: they should be the same."""


class _Plan(NamedTuple):
    """A training loop in parts, each of which can be wrong."""

    orders: Callable[[int, int, np.random.Generator], Iterator[Indices]]  # one for each epoch
    batches: Callable[[Indices, int], Iterator[Indices]]
    sign: int = 1
    forgets: str = "never"  # or "epoch", "step": when the velocities go back to 0
    per_epoch: str = ""  # or "sum", "last", "mean": one step with such a gradient at the end of each epoch
    measure: str = "after"  # or "before", "train", "batch"
    learns_from: str = "train"  # or "test", "both"
    divides: bool = False  # the gradient by the batch size, again
    averaged: bool = False  # velocity = momentum * velocity + (1 - momentum) * gradient


def _shuffled(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    for _ in range(epochs):
        order = rng.permutation(N)
        yield order, order


def _in_order(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    for _ in range(epochs):
        yield np.arange(N), np.arange(N)


def _shuffled_once(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    order = rng.permutation(N)
    for _ in range(epochs):
        yield order, order


def _shuffled_further(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    order = np.arange(N)
    for _ in range(epochs):
        order = order[rng.permutation(N)]
        yield order, order


def _apart(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    for _ in range(epochs):
        yield rng.permutation(N), rng.permutation(N)


def _images_only(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    for _ in range(epochs):
        yield rng.permutation(N), np.arange(N)


def _labels_only(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    for _ in range(epochs):
        yield np.arange(N), rng.permutation(N)


def _one_less(N: int, epochs: int, rng: np.random.Generator) -> Iterator[Indices]:
    yield from _shuffled(N, epochs - 1, rng)


def _batches(order: Indices, size: int) -> Iterator[Indices]:
    for start in range(0, len(order[0]), size):
        yield order[0][start : start + size], order[1][start : start + size]


def _whole_batches(order: Indices, size: int) -> Iterator[Indices]:
    for start in range(0, len(order[0]) - size + 1, size):
        yield order[0][start : start + size], order[1][start : start + size]


def _first_batch(order: Indices, size: int) -> Iterator[Indices]:
    for _ in range(0, len(order[0]), size):
        yield order[0][:size], order[1][:size]


def _one_by_one(order: Indices, size: int) -> Iterator[Indices]:
    yield from _batches(order, 1)


def _everything(order: Indices, size: int) -> Iterator[Indices]:
    yield order


def _loop(plan: _Plan) -> Callable[..., Result]:
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
            if plan.per_epoch and seen:
                step(_together(seen, plan.per_epoch))
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
    plan: _Plan,
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


RIGHT = _Plan(_shuffled, _batches)


def _but(**other: Any) -> Callable[..., Result]:
    return _loop(RIGHT._replace(**other))


MISTAKES = (
    Mistake(
        "not-shuffled",
        "the examples are never shuffled: each epoch takes them by a new order = rng.permutation(N)",
        _but(orders=_in_order),
    ),
    Mistake(
        "shuffled-once",
        "the order is drawn only once: draw a new one at the beginning of each epoch",
        _but(orders=_shuffled_once),
    ),
    Mistake(
        "shuffled-further",
        "each epoch shuffles what the one before has shuffled (as x = x[order] or rng.shuffle do). That trains as "
        "well, but leaves another order than x[rng.permutation(N)] of the original arrays",
        _but(orders=_shuffled_further),
    ),
    Mistake(
        "labels-shuffled-apart",
        "images and labels are shuffled by two different orders: nothing can be learned from pairs that do not belong "
        "together. Draw one order, and take x[batch] and y[batch]",
        _but(orders=_apart),
    ),
    Mistake(
        "only-images-shuffled",
        "only the images are shuffled, the labels stay as they were: y[batch], too",
        _but(orders=_images_only),
    ),
    Mistake(
        "only-labels-shuffled",
        "only the labels are shuffled, the images stay as they were: x[batch], too",
        _but(orders=_labels_only),
    ),
    Mistake("uphill", "the steps go uphill: parameter minus lr * velocity", _but(sign=-1)),
    Mistake(
        "one-step-an-epoch-sum",
        "there is only one step an epoch, with the sum of all gradients: take a step after every batch",
        _but(per_epoch="sum"),
    ),
    Mistake(
        "one-step-an-epoch-mean",
        "there is only one step an epoch, with the mean of all gradients: take a step after every batch",
        _but(per_epoch="mean"),
    ),
    Mistake(
        "one-step-an-epoch-last",
        "there is only one step an epoch, with the gradient of the last batch: the step stands outside of the loop "
        "over the batches (indentation)",
        _but(per_epoch="last"),
    ),
    Mistake(
        "whole-data-set",
        "every step looks at all the examples: that is one batch an epoch; batch_size examples make a step",
        _but(batches=_everything),
    ),
    Mistake(
        "one-by-one",
        "every step looks at one example only: batch_size examples make a step",
        _but(batches=_one_by_one),
    ),
    Mistake(
        "always-the-first-batch",
        "every step looks at the first batch, order[:batch_size]: the next one begins at start",
        _but(batches=_first_batch),
    ),
    Mistake(
        "last-batch-lost",
        "the last batch is lost, because it is shorter (N // batch_size batches?): it counts, too",
        _but(batches=_whole_batches),
    ),
    Mistake(
        "velocity-new-in-each-step",
        "the velocity begins at 0 in each step (the optimizer is made anew inside of the loop, or momentum is "
        "forgotten): make it once, before the first epoch",
        _but(forgets="step"),
    ),
    Mistake(
        "velocity-new-in-each-epoch",
        "the velocity begins at 0 in each epoch: make it once, before the first epoch",
        _but(forgets="epoch"),
    ),
    Mistake(
        "gradient-averaged-into-velocity",
        "the velocity takes only (1 - momentum) of the gradient: it is momentum * velocity + gradient",
        _but(averaged=True),
    ),
    Mistake(
        "divided-again",
        "the gradient is divided by the batch size once more: it already is the gradient of a mean",
        _but(divides=True),
    ),
    Mistake(
        "learned-from-test",
        "it learns from the test images: x and y are for learning, x_test and y_test only measure",
        _but(learns_from="test"),
    ),
    Mistake(
        "learned-from-both",
        "it learns from the test images, too: what was learned from them can no longer be measured by them",
        _but(learns_from="both"),
    ),
    Mistake(
        "measured-on-training",
        "test_losses holds the loss of the training images: what it has seen it knows. Measure x_test, y_test",
        _but(measure="train"),
    ),
    Mistake(
        "measured-on-batch",
        "test_losses holds the loss of the last batch of each epoch: measure x_test, y_test",
        _but(measure="batch"),
    ),
    Mistake(
        "measured-before",
        "the test loss is measured before the epoch and not after it",
        _but(measure="before"),
    ),
    Mistake("one-epoch-less", "there is one epoch less than asked for: range(epochs)", _but(orders=_one_less)),
)
