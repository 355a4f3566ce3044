"""What is measured, and who is measured at it: plain data that can be sent to another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

Array = np.ndarray


class Convolution(NamedTuple):
    """One convolution alone, without bias."""

    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1


class Task(NamedTuple):
    """One thing to do again and again."""

    kind: Literal["train", "infer", "forward", "backward", "fit"]
    net: str  # "mnist_cnn", "vgg_small", "resnet20", "resnet56"; "" for one convolution alone
    shape: tuple[int, int, int, int]  # (N, C, H, W)
    convolution: Convolution | None = None
    dtype: str = "float32"
    seed: int = 0
    epochs: int = 0  # of a whole training
    examples: int = 0  # of a whole training; 0 for all there are

    @property
    def need_dx(self) -> bool:
        """Nobody asks for the gradient of an image."""
        return self.shape[1] > 3


class Competitor(NamedTuple):
    """Who does it, and how."""

    name: str  # as in the tables
    module: str  # the file in competitors/
    variant: str = ""
    tuned_malloc: bool = False
    threads: int = 2


class Runner(NamedTuple):
    """A task that has been made ready by a competitor."""

    run: Callable[[], Any]
    """What is timed."""

    values: Callable[[], dict[str, Array]]
    """What it computes (loss and gradients, or outputs), to be compared; asked for before anything is timed."""

    close: Callable[[], None] = lambda: None
    """Let go of threads and the like."""


class Unavailable(Exception):  # noqa: N818
    """A competitor cannot do this task here; the text says why."""


def batch(task: Task) -> tuple[Array, Array]:
    """The same random images and classes for everybody."""
    rng = np.random.default_rng(task.seed)
    x = rng.standard_normal(task.shape).astype(task.dtype)
    return x, rng.integers(0, 10, task.shape[0])


def filters_of(task: Task) -> Array:
    """Weight (F, C/G, K, K) of the convolution that stands alone."""
    conv = task.convolution
    assert conv is not None
    shape = (conv.filters, task.shape[1] // conv.groups, conv.kernel, conv.kernel)
    scale = np.sqrt(1 / np.prod(shape[1:]))
    return (np.random.default_rng(1).standard_normal(shape) * scale).astype(task.dtype)


def output_gradient(shape: tuple[int, ...], dtype: str) -> Array:
    """The dy that arrives at the convolution that stands alone."""
    return np.random.default_rng(2).standard_normal(shape).astype(dtype)
