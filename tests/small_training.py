"""A training small enough to be broken off at every one of its steps, and what it leaves, to be compared to the bit."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from cnn_from_scratch.data import RandomShift
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from cnn_from_scratch.optim import NO_DECAY_1D, AdamW, ParamGroup, cosine
from cnn_from_scratch.training import (
    AverageWeights,
    BestWeights,
    Callback,
    EarlyStopping,
    fit,
    latest_checkpoint,
    read_checkpoint,
)

CLOCKS = ("seconds", "images_per_second")
"""Columns and entries that no two trainings have in common."""

EPOCHS, STEPS = 3, 3
ALL = EPOCHS * STEPS


def bars(count=48, seed=0):
    """8x8 images with a horizontal (class 0) or vertical (class 1) bar, in noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.1, (count, 1, 8, 8)).astype(np.float32)
    y = rng.integers(0, 2, count)
    for image, label in zip(x[:, 0], y, strict=True):
        place = rng.integers(1, 7)
        if label:
            image[:, place] += 1
        else:
            image[place] += 1
    return x, y


def network(seed=0, dropout=0.2):
    return Sequential(
        Conv2d(1, 4, 3, padding=1),
        BatchNorm2d(4),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(dropout),
        Linear(64, 2),
    ).initialize(seed)


def quick(model, data, **options):
    """3 steps an epoch with 48 bars."""
    return fit(model, data, **({"epochs": EPOCHS, "batch_size": 16, "progress": False, "shards": 1} | options))


def everything():
    """Options that use all that has a state or draws at random, made anew for each training."""
    return {
        "optimizer": AdamW(0.01, weight_decay=0.1, groups=[NO_DECAY_1D, ParamGroup("6.*", lr_factor=2.0)]),
        "schedule": cosine(0.01, EPOCHS * STEPS),
        "label_smoothing": 0.1,
        "validation": 0.3,  # of 71: 50 to learn from, the last two of which are dropped
        "drop_last": True,
        "prefetch": 2,
        "augment": RandomShift(1),
        "callbacks": [AverageWeights(0.9), BestWeights(), EarlyStopping(patience=2)],
        "clip_norm": 0.5,
    }


class Press(Callback):
    """A real Ctrl-C, or another signal, in the middle of a step."""

    def __init__(self, step, number=signal.SIGINT):
        self.left, self.number = step, number

    def on_step_end(self, progress, result):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def state(model):
    return {k: v.copy() for k, v in (model.params | model.buffers).items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def bits(value):
    """The value as something that is equal only if types, dtypes, shapes and every bit are; clocks left out."""
    if isinstance(value, np.ndarray | np.generic):
        return type(value), value.dtype, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items() if key not in CLOCKS}
    if isinstance(value, list | tuple):
        return type(value), [bits(item) for item in value]
    return type(value), value.hex() if isinstance(value, float) else value


def last(folder):
    """All that the last checkpoint in a folder holds, for a comparison."""
    return bits(read_checkpoint(latest_checkpoint(folder))._asdict())


def run(make, options, data, **more):
    """Train a new model; what came of it, without times."""
    model = make()
    given = options()
    history = quick(model, data, **(given | more))
    return bits([state(model), history.rows])


def cut_and_resumed(folder, make, options, data, press, **more):
    """The same, broken off by `press` and resumed with other weights to begin with, new callbacks, a new optimizer."""
    given = options()
    callbacks = [*given.pop("callbacks", ()), press]
    with pytest.raises(KeyboardInterrupt):
        quick(make(), data, **given, callbacks=callbacks, checkpoint=folder, **more)
    given = options()
    model = make(seed=9)
    callbacks = [*given.pop("callbacks", ()), type(press)(0)]
    history = quick(model, data, **given, callbacks=callbacks, checkpoint=folder, resume=True, **more)
    return bits([state(model), history.rows])


class Raise(Callback):
    """Breaks off before `fit` can write a checkpoint of the step: the one of the step before has to do."""

    def __init__(self, step):
        self.left = step

    def on_step_end(self, progress, result):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
