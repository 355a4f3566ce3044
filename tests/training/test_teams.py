"""Threads or forks: the same numbers, bit by bit, and forks only where they know all that changes."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from cnn_from_scratch import ops
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_from_scratch.optim import SGD, Adam
from cnn_from_scratch.parallel import can_fork
from cnn_from_scratch.training import Callback, as_loss, fit, training_steps
from cnn_from_scratch.training.teams import ForkedTeam, ThreadTeam, open_team

pytestmark = pytest.mark.skipif(not can_fork(), reason="forks are made on Linux only")


def network(seed=0):
    return Sequential(
        Conv2d(3, 16, 3, padding=1),
        BatchNorm2d(16),
        ReLU(),
        MaxPool2d(2),
        Residual(Sequential(Conv2d(16, 16, 3, padding=1, bias=False), BatchNorm2d(16))),
        ReLU(),
        Flatten(),
        Dropout(0.3),
        Linear(256, 4),
    ).initialize(seed)


def examples(count=24, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, count)


def state(model):
    return {key: value.copy() for key, value in (model.params | model.buffers).items()}


def trained(workers, *, shards=2, callbacks=(), epochs=2, batch_size=7, **settings):
    model = network()
    history = fit(
        model,
        examples(),
        epochs=epochs,
        batch_size=batch_size,
        optimizer=Adam(lr=0.01),
        shards=shards,
        workers=workers,
        callbacks=callbacks,
        progress=False,
        **settings,
    )
    return state(model), history["loss"]


def assert_same(a, b):
    assert a[1] == b[1]
    assert a[0].keys() == b[0].keys()
    for key, value in a[0].items():
        np.testing.assert_array_equal(b[0][key], value, err_msg=key)


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_forks_give_the_bits_of_threads(shards):
    """With seven shards of seven examples, then of three: some are empty."""
    assert_same(trained("threads", shards=shards), trained("processes", shards=shards))


def test_one_shard_needs_no_forks():
    assert_same(trained("threads", shards=1), trained("processes", shards=1))


@pytest.mark.parametrize("settings", [{"prefetch": 2}, {"label_smoothing": 0.1}, {"trainable": ["0.*", "8.*"]}])
def test_settings_of_fit_reach_the_forks(settings):
    assert_same(trained("threads", **settings), trained("processes", **settings))


class Meddler(Callback):
    """Changes more than the numbers in the middle of the training."""

    def on_step_end(self, progress, result):
        if (progress.epoch, progress.step) == (1, 1):
            progress.model.freeze("0.*", "1.*")  # batch norm "1" now uses its running statistics
            progress.model["7"].p = 0.7
        if (progress.epoch, progress.step) == (2, 0):
            progress.model.unfreeze("0.*")
            progress.model.params["8.bias"] = np.full(4, 0.5, np.float32)
            progress.model.buffers["1.running_mean"] += 0.1


def test_what_a_callback_changes_reaches_the_forks():
    changed = trained("processes", callbacks=[Meddler()], epochs=3)
    assert_same(trained("threads", callbacks=[Meddler()], epochs=3), changed)
    assert changed[1] != trained("processes", epochs=3)[1]


def test_a_step_of_ones_own_runs_in_forks_too():
    results = {}
    for workers in ("threads", "processes"):
        model = network()
        with training_steps(model, optimizer=SGD(lr=0.1), shards=2, workers=workers) as step:
            losses = [step(*examples(10, seed=i)).loss for i in range(3)]
        results[workers] = state(model), losses
    assert_same(results["threads"], results["processes"])


def test_after_a_fork_was_killed_the_model_is_as_before_the_step_and_training_goes_on():
    model = network()
    loss = as_loss("cross_entropy")
    with open_team(model, loss, 2, "processes") as team:
        assert isinstance(team, ForkedTeam)
        before = state(model)
        os.kill(team._group._forks[0].process, signal.SIGKILL)
        with pytest.raises(ChildProcessError, match="the process of shard 1 ended unexpectedly"):
            compute(team)
        found = compute(team)
    for key, value in before.items():
        np.testing.assert_array_equal(state(model)[key], value)
    with open_team(network(), loss, 2, "threads") as team:
        assert compute(team).loss == found.loss


def compute(team):
    from cnn_from_scratch.ops.memory import Store
    from cnn_from_scratch.randomness import Place

    return team.compute(*examples(6), Place(0), Store())


def test_an_error_in_a_fork_is_the_error_of_fit():
    x, y = examples(8)
    y[-1] = 9
    with pytest.raises(IndexError, match=r"cross_entropy_forward: targets\[3\] is 9, neither in \[0, 4\)"):
        fit(network(), (x, y), epochs=1, batch_size=8, shards=2, workers="processes", shuffle=False, progress=False)


# --- who gets forks -------------------------------------------------------------------------------------------------


class Mine(ReLU):
    """Of the user's own."""


def my_loss(output, targets, *, reduction="mean"):
    return ops.cross_entropy_forward(output, targets, reduction=reduction)


MINE = (my_loss, ops.cross_entropy_backward)


@pytest.mark.parametrize(
    ("model", "loss", "what"),
    [
        (Sequential(Linear(2, 2), Sequential(Mine())), "cross_entropy", "Mine is a layer of your own"),
        (Sequential(Linear(2, 2)), MINE, "my_loss is a loss of your own"),
    ],
)
def test_code_of_ones_own_runs_on_threads(model, loss, what):
    with open_team(model, as_loss(loss), 2) as team:
        assert isinstance(team, ThreadTeam)
    message = f"workers='processes' is not possible here: {what}; use 'threads' or 'auto'"
    with pytest.raises(ValueError, match=message), open_team(model, as_loss(loss), 2, "processes"):
        pass


@pytest.mark.parametrize("loss", [as_loss("cross_entropy", label_smoothing=0.1), as_loss("mse")])
def test_the_packages_own_losses_run_in_forks(loss):
    with open_team(network(), loss, 2) as team:
        assert isinstance(team, ForkedTeam)


def test_workers_is_checked():
    with pytest.raises(ValueError, match="workers must be one of auto, threads, processes, got 'gpu'"):
        trained("gpu")
