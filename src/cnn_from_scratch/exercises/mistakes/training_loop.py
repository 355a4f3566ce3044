"""What goes wrong in a training loop: the order, the batches, what the optimizer remembers, and the test images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..exercise import Mistake
from .training_plans import (
    RIGHT,
    Result,
    apart,
    everything,
    first_batch,
    images_only,
    in_order,
    labels_only,
    one_by_one,
    one_less,
    shuffled_further,
    shuffled_once,
    training_loop,
    whole_batches,
)


def _but(**other: Any) -> Callable[..., Result]:
    return training_loop(RIGHT._replace(**other))


MISTAKES = (
    Mistake(
        "not-shuffled",
        "the examples are never shuffled: each epoch takes them by a new order = rng.permutation(N)",
        _but(orders=in_order),
    ),
    Mistake(
        "shuffled-once",
        "the order is drawn only once: draw a new one at the beginning of each epoch",
        _but(orders=shuffled_once),
    ),
    Mistake(
        "shuffled-further",
        "each epoch shuffles what the one before has shuffled (as x = x[order] or rng.shuffle do). That trains as "
        "well, but leaves another order than x[rng.permutation(N)] of the original arrays",
        _but(orders=shuffled_further),
    ),
    Mistake(
        "labels-shuffled-apart",
        "images and labels are shuffled by two different orders: nothing can be learned from pairs that do not belong "
        "together. Draw one order, and take x[batch] and y[batch]",
        _but(orders=apart),
    ),
    Mistake(
        "only-images-shuffled",
        "only the images are shuffled, the labels stay as they were: y[batch], too",
        _but(orders=images_only),
    ),
    Mistake(
        "only-labels-shuffled",
        "only the labels are shuffled, the images stay as they were: x[batch], too",
        _but(orders=labels_only),
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
        _but(batches=everything),
    ),
    Mistake(
        "one-by-one",
        "every step looks at one example only: batch_size examples make a step",
        _but(batches=one_by_one),
    ),
    Mistake(
        "always-the-first-batch",
        "every step looks at the first batch, order[:batch_size]: the next one begins at start",
        _but(batches=first_batch),
    ),
    Mistake(
        "last-batch-lost",
        "the last batch is lost, because it is shorter (N // batch_size batches?): it counts, too",
        _but(batches=whole_batches),
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
        "measured-after-every-batch",
        "there is a loss for every batch: test_losses has one for every epoch, (epochs,); it is measured behind the "
        "loop over the batches (indentation)",
        _but(measure="each"),
    ),
    Mistake(
        "measured-before",
        "the test loss is measured before the epoch and not after it",
        _but(measure="before"),
    ),
    Mistake("one-epoch-less", "there is one epoch less than asked for: range(epochs)", _but(orders=one_less)),
)
