"""What `fit` makes of its arguments, and what it refuses before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase

import numpy as np

from ..data import ArrayData, Augment, BatchSource, Data, as_source, batch_count, stratified_split
from ..errors import ShapeError
from ..layers import Layer
from ..optim import Optimizer
from .callbacks import Callback


def check_kinds(
    model: object, optimizer: object, schedule: object, augment: object, callbacks: Sequence[object]
) -> None:
    """The right kinds of things, before anything is computed."""
    if not isinstance(model, Layer):
        raise TypeError(f"fit: model must be a Layer, such as a Sequential, got {model!r}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"fit: optimizer must be an Optimizer, such as Adam(lr=1e-3), got {optimizer!r}")
    for name, value in (("schedule", schedule), ("augment", augment)):
        if value is not None and not callable(value):
            raise TypeError(f"fit: {name} must be a function or None, got {value!r}")
    if not isinstance(callbacks, Sequence) or not all(isinstance(callback, Callback) for callback in callbacks):
        raise TypeError(f"fit: callbacks must be a list of Callback objects, got {callbacks!r}")


def check_count(name: str, value: int) -> int:
    """A whole number, at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"fit: {name} must be an int >= 1, got {value!r}")
    return int(value)


def check_checkpoints(folder: str | os.PathLike[str] | None, every: int | None, keep: int, resume: bool) -> None:
    """What is said about checkpoints must fit together."""
    if folder is not None and not isinstance(folder, str | os.PathLike):
        raise TypeError(f"fit: checkpoint must be the path of a folder, got {folder!r}")
    if every is not None:
        check_count("every", every)
    check_count("keep", keep)
    if not isinstance(resume, bool):
        raise TypeError(f"fit: resume must be True or False, got {resume!r}")
    if folder is None and (resume or every is not None):
        what = "resume=True" if resume else f"every={every}"
        raise ValueError(f"fit: {what} needs a folder; give it as checkpoint=...")


def count_steps(source: BatchSource, batch_size: int, drop_last: bool) -> int:
    """Steps in an epoch; at least one."""
    if len(source) == 0:
        raise ValueError("fit: there is no example to train on")
    steps = batch_count(len(source), batch_size, drop_last=drop_last)
    if steps == 0:
        raise ValueError(f"fit: {len(source)} examples make no batch of {batch_size} with drop_last=True")
    return steps


def split_data(
    data: Data, validation: float | Data | None, augment: Augment | None, seed: int
) -> tuple[BatchSource, BatchSource | None]:
    """The examples to train on, augmented, and those to validate on, as they are."""
    if isinstance(validation, float | int):
        if not 0 < validation < 1:
            raise ValueError(f"fit: validation must be a share between 0 and 1, or data; got {validation!r}")
        if not isinstance(data, tuple):
            raise TypeError("fit: a share for validation can be held out of a pair of arrays (x, y) only")
        x, y = data
        if len(x) != len(y):
            raise ShapeError(f"fit: x and y must have the same length, got shapes {x.shape} and {y.shape}")
        strata = y if y.ndim == 1 and y.dtype.kind in "ui" else np.zeros(len(y), np.int64)
        learn, check = stratified_split(strata, float(validation), seed=seed)
        return ArrayData(x[learn], y[learn], augment), ArrayData(x[check], y[check])
    held_out = None if validation is None else as_source(validation)
    if augment is None:
        return as_source(data), held_out
    if not isinstance(data, tuple):
        raise TypeError("fit: augment needs a pair of arrays (x, y); data of your own augments in its batch()")
    return ArrayData(*data, augment), held_out


@contextmanager
def only_trainable(model: Layer, patterns: str | Sequence[str]) -> Iterator[None]:
    """Freeze all that does not match, for a while."""
    wanted = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(wanted, Sequence) or not all(isinstance(pattern, str) for pattern in wanted):
        raise TypeError(f"fit: trainable must be a pattern or a list of patterns, got {patterns!r}")
    keys = [*model.params, *model.buffers]
    for pattern in wanted:
        if pattern != "*" and not any(fnmatchcase(key, pattern) for key in keys):
            raise ValueError(f"fit: trainable={pattern!r} matches no key; the keys are {', '.join(keys)}")
    before = model.frozen
    others = frozenset(key for key in keys if not any(fnmatchcase(key, pattern) for pattern in wanted))
    model._set_frozen(before | others)
    try:
        if model.params and not model.trainable:
            raise ValueError("fit: every parameter is frozen; there is nothing to train")
        yield
    finally:
        model._set_frozen(before)
