"""What is done for an hour, again and again: training and prediction on MNIST, with interruptions and errors.

Each job takes the bench, does its part, checks its own answers, and returns how many images it has computed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from soak_watch import children

from cnn_from_scratch import ops
from cnn_from_scratch.data import ArrayData
from cnn_from_scratch.errors import NotFiniteError
from cnn_from_scratch.formats import load_model, save_model
from cnn_from_scratch.insight import trace
from cnn_from_scratch.optim import Adam
from cnn_from_scratch.training import Callback, evaluate, fit, training_steps

TRAIN, TEST = 4096, 2048
"""Images of one part of an epoch, and of one evaluation."""


class Bench(NamedTuple):
    """What the jobs share."""

    model: Any
    optimizer: Adam
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    folder: Path
    round: int

    def part(self) -> tuple[np.ndarray, np.ndarray]:
        """The examples of this round's part of an epoch."""
        x, y = self.train
        first = self.round * TRAIN % (len(x) - TRAIN)
        return x[first : first + TRAIN], y[first : first + TRAIN]

    def fit(self, **options: Any) -> Any:
        """A part of an epoch, seeded by the round."""
        options = {"epochs": 1, "progress": False, "optimizer": self.optimizer, "seed": self.round} | options
        return fit(self.model, options.pop("data", None) or self.part(), **options)


class AtStep(Callback):
    """Do something at the end of the third step."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def on_step_end(self, progress: Any, result: Any) -> None:
        if progress.step == 2:
            self.action()


@contextmanager
def raises(error: type[BaseException]) -> Iterator[None]:
    """The block must raise this."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"no {error.__name__} came out")


# --- jobs -----------------------------------------------------------------------------------------------------------


def fit_with_forks(bench: Bench) -> int:
    bench.fit(shards=2, workers="processes", validation=(bench.test[0][:256], bench.test[1][:256]))
    return TRAIN + 256


def fit_with_threads(bench: Bench) -> int:
    bench.fit(shards=2, workers="threads", prefetch=2, clip_norm=1.0)
    return TRAIN


def steps_of_a_loop(bench: Bench) -> int:
    x, y = bench.part()
    with training_steps(bench.model, optimizer=bench.optimizer, shards=2) as step:
        for first in range(0, 1024, 128):
            step(x[first : first + 128], y[first : first + 128])
    return 1024


def evaluate_it(bench: Bench) -> int:
    report = evaluate(bench.model, bench.test)
    assert report.accuracy > 0.9 or bench.round < 5, f"accuracy {report.accuracy}"
    return TEST


def predict_in_batches(bench: Bench) -> int:
    x = bench.test[0]
    for batch_size, count in ((1, 32), (7, 100), (64, 512), (256, TEST), (1000, TEST)):
        bench.model.predict(x[:count], batch_size=batch_size)
    return 32 + 100 + 512 + 2 * TEST


def compile_plans(bench: Bench) -> int:
    x = bench.test[0]
    for count, shards in ((1, 1), (64, 1), (256, 2)):
        plan = bench.model.compile((count, 1, 28, 28), shards=shards)
        plan(x[:count])
        plan.predict(x[: 2 * count + 1])
    return sum(3 * count + 1 for count in (1, 64, 256))


def predict_from_threads(bench: Bench) -> int:
    x, plan = bench.test[0][:256], bench.model.compile((64, 1, 28, 28))
    functions = [partial(bench.model.predict, x), partial(plan.predict, x)]
    right = [function() for function in functions]
    wrong: list[int] = []

    def ask(n: int) -> None:
        if not np.array_equal(functions[n % 2](), right[n % 2]):
            wrong.append(n)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"threads {wrong} had other answers"
    return 10 * len(x)


def trace_one(bench: Bench) -> int:
    x, y = bench.test
    trace(bench.model, x[:2], y[:2])
    return 2


def save_and_load(bench: Bench) -> int:
    path, x = bench.folder / "model.safetensors", bench.test[0][:64]
    save_model(bench.model, path)
    assert np.array_equal(load_model(path).predict(x), bench.model.predict(x))
    return 2 * len(x)


def interrupt_a_fit(bench: Bench) -> int:
    press = partial(os.kill, os.getpid(), signal.SIGINT)
    for workers in ("processes", "threads"):
        with raises(KeyboardInterrupt):
            bench.fit(callbacks=[AtStep(press)], shards=2, workers=workers)
    return 2 * 3 * 128


def fail_in_a_callback(bench: Bench) -> int:
    def fail() -> None:
        raise ZeroDivisionError

    for workers in ("processes", "threads"):
        with raises(ZeroDivisionError):
            bench.fit(callbacks=[AtStep(fail)], shards=2, workers=workers, prefetch=2)
    return 2 * 3 * 128


def fail_in_a_thread(bench: Bench) -> int:
    def forward(logits: np.ndarray, y: np.ndarray, *, reduction: str) -> Any:
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError
        return ops.cross_entropy_forward(logits, y, reduction=reduction)

    with raises(ZeroDivisionError):
        bench.fit(loss=(forward, ops.cross_entropy_backward), shards=2)
    return 0


def kill_a_fork(bench: Bench) -> int:
    def kill() -> None:
        for process in children(os.getpid()):
            os.kill(process, signal.SIGKILL)

    with raises(ChildProcessError):
        bench.fit(callbacks=[AtStep(kill)], shards=2, workers="processes")
    return 3 * 128


def feed_it_nan(bench: Bench) -> int:
    x, y = bench.part()
    broken = ArrayData(np.where(np.arange(len(x))[:, None, None, None] == 300, np.float32("nan"), x), y)
    with raises(NotFiniteError):
        bench.fit(data=broken, shards=2)
    return 0


JOBS: tuple[Callable[[Bench], int], ...] = (
    fit_with_forks, predict_in_batches, interrupt_a_fit, evaluate_it, fit_with_threads, compile_plans,
    fail_in_a_callback, predict_from_threads, steps_of_a_loop, kill_a_fork, save_and_load, trace_one,
    fail_in_a_thread, feed_it_nan,
)  # fmt: skip
