"""Training step by step, for loops of your own: `fit` is one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import NotFiniteError
from ..layers import Context, Layer
from ..layers.predict import as_model_input, in_fast_order
from ..ops.memory import Store, recycled
from ..optim import Adam, Optimizer, clip_grad_norm, clip_grad_value
from ..parallel import default_shards
from ..randomness import Place
from ..typing import Array
from .losses import Loss, LossPair, as_loss
from .step import StepResult
from .teams import Team, Workers, open_team

Step: TypeAlias = Callable[[Array, Array], StepResult]
"""step(x, y): learn from one batch."""


class Setting(NamedTuple):
    """All that a step needs besides its batch."""

    model: Layer
    optimizer: Optimizer
    loss: Loss
    team: Team  # who computes the shards of a batch
    store: Store  # where the large arrays of a step come from, and go back to
    clip_norm: float | None = None
    clip_value: float | None = None


@contextmanager
def training_steps(
    model: Layer,
    *,
    optimizer: Optimizer | None = None,
    loss: str | LossPair = "cross_entropy",
    label_smoothing: float = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    shards: int | None = None,
    workers: Workers = "auto",
    seed: int = 0,
) -> Iterator[Step]:
    """A function that trains a model on one batch, for a loop of your own.

    While the block is open, the workers of the shards wait for the next batch, BLAS is held to one thread each, and
    the memory of one step serves the next.

    Parameters
    ----------
    model, optimizer, loss, label_smoothing, clip_norm, clip_value, shards, workers
        See `fit`.
    seed : int
        Decides dropout, together with the number of the step.

    Yields
    ------
    step : callable
        ``step(x, y)`` updates the model and returns what the batch said: loss, grads, correct, examples.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear, Sequential
    >>> x, y = np.array([[-1.0], [1.0]], np.float32), np.array([0, 1])
    >>> model = Sequential(Linear(1, 2, rng=0))
    >>> with training_steps(model, optimizer=Adam(lr=0.1), shards=1) as step:
    ...     losses = [step(x, y).loss for _ in range(20)]
    >>> losses[-1] < 0.1 * losses[0]
    True
    """
    optimizer = Adam() if optimizer is None else optimizer
    chosen = as_loss(loss, label_smoothing=label_smoothing)
    count = 0
    with open_team(model, chosen, default_shards() if shards is None else shards, workers) as team:
        setting = Setting(model, optimizer, chosen, team, Store(), clip_norm, clip_value)

        def step(x: Array, y: Array) -> StepResult:
            nonlocal count
            result = take_step(setting, x, y, Place(seed, epoch=1, step=count))
            count += 1
            return result

        yield step


def take_step(how: Setting, x: Array, y: Array, place: Place) -> StepResult:
    """Gradients, clipping, update; parameters and buffers are written only when everything has succeeded."""
    model = how.model
    x = as_model_input("fit", model, x)
    if y.dtype.kind == "f":
        y = y.astype(model.dtype, copy=False)
    result = how.team.compute(x, y, place, how.store)
    _check_finite(model, x, result, place)  # says what an overflow on the way has come to
    grads = result.grads
    if how.clip_value is not None:
        grads = clip_grad_value(grads, how.clip_value)
    if how.clip_norm is not None:
        _, grads = clip_grad_norm(grads, how.clip_norm)
    with np.errstate(over="ignore", invalid="ignore"), recycled(how.store):
        how.optimizer.step(model.params, grads)
    result.commit()
    return result._replace(grads=grads)


def _check_finite(model: Layer, x: Array, result: StepResult, place: Place) -> None:
    """Stop at the first NaN or infinity, before it gets into the parameters, and say where it arose."""
    where = f"at epoch {place.epoch}, step {place.step}; the parameters are those before this step"
    if not math.isfinite(result.loss):
        key = _first_layer_not_finite(model, x, place)
        layer = "all layers' outputs are finite" if key is None else f"layer {key!r} is the first to give such numbers"
        raise NotFiniteError(f"fit: the loss is {result.loss} ({layer}) {where}", key)
    with np.errstate(over="ignore", invalid="ignore"):
        bad = [key for key, grad in result.grads.items() if not np.isfinite(grad.sum())]
    if bad:
        raise NotFiniteError(f"fit: the gradient of {bad[-1]!r} is not finite {where}", bad[-1])


def _first_layer_not_finite(model: Layer, x: Array, place: Place) -> str | None:
    """Run the forward pass once more, and look at every layer's output."""
    found: list[str] = []

    def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
        if phase == "forward" and not found and not np.isfinite(values["output"]).all():
            found.append(key)

    with np.errstate(all="ignore"):
        model.forward(in_fast_order(x), Context(train=True, rng=place, tap=tap))
    return found[0] if found else None
