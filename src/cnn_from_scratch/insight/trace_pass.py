"""The pass that a trace is of: the model runs as it always does, and a tap copies what goes by."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..layers import Container, Context, Layer
from ..layers.containers import named_layers
from ..layers.predict import as_model_input
from ..optim import Optimizer
from ..randomness import Place
from ..training.losses import Loss, LossPair, as_loss
from ..typing import Array
from .copies import Copies, frozen_copy
from .trace import LayerTrace, Trace


def run(
    model: Layer,
    x: Array,
    y: Array | None,
    *,
    loss: str | LossPair,
    optimizer: Optimizer | None,
    train: bool,
    seed: int | Place,
) -> Trace:
    """See `trace`."""
    x, chosen = as_model_input("trace", model, x), as_loss(loss)
    _check(y, optimizer)
    seen = _Seen(model)
    place = seed if isinstance(seed, Place) else Place(seed)
    with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN go on: they are what one looks for
        logits, cache = model.forward(x, Context(train=train, rng=place if train else None, tap=seen.tap))
        seen.whole("forward", {"input": x, "output": logits, "cache": cache})
        mean = dlogits = dx = None
        update: dict[str, Array] = {}
        if y is not None:
            y = y.astype(model.dtype, copy=False) if y.dtype.kind == "f" else y
            mean, dlogits = _mean_loss(chosen, logits, y)
            dx, grads = model.backward(dlogits, cache)
            seen.whole("backward", {"dy": dlogits, "dx": dx, "grads": grads})
            update = {} if optimizer is None else _update(model, optimizer, grads)
    keep = seen.keep
    return Trace(
        model=seen.model,
        x=keep.flat(x),
        y=None if y is None else keep.flat(y),
        loss=mean,
        logits=keep.flat(logits),
        dlogits=None if dlogits is None else keep.flat(dlogits),
        train=train,
        layers=seen.layers(update),
        loss_name="" if y is None else chosen.name,
        dx=None if dx is None else keep.flat(dx),
    )


def _check(y: Array | None, optimizer: Optimizer | None) -> None:
    if y is not None and not isinstance(y, np.ndarray):
        raise TypeError(f"trace: y must be a NumPy array, got {type(y).__name__}")
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"trace: optimizer must be an Optimizer, got {optimizer!r}")
    if y is None:
        raise ValueError("trace: an optimizer needs gradients, and these need targets; give y")


def _mean_loss(loss: Loss, logits: Array, y: Array) -> tuple[float, Array]:
    """The mean over the batch, and its gradient, computed as a training step does it."""
    total, cache = loss.forward(logits, y, reduction="sum")
    divisor = float(getattr(cache, "divisor", len(logits)))
    if divisor == 0:
        raise ValueError(f"trace: the mean of the loss {loss.name} over no example is undefined")
    return float(total) / divisor, loss.backward(cache, 1 / divisor)


def _update(model: Layer, optimizer: Optimizer, grads: Mapping[str, Array]) -> dict[str, Array]:
    """What a copy of the optimizer adds to copies of the parameters that learn."""
    learning = model.trainable
    new = {key: array.copy() for key, array in model.params.items()}
    copy.deepcopy(optimizer).step(new, {key: grad for key, grad in grads.items() if key in learning})
    return {key: new[key] - array for key, array in model.params.items() if key in learning}


class _Seen:
    """What the tap has seen, by the keys of the layers."""

    def __init__(self, model: Layer) -> None:
        self.model = frozen_copy(model)  # as it was
        self.keep = Copies()
        for key, array in self.model.params.items():
            self.keep.know(model.params[key], array)
        self._single = not isinstance(model, Container)
        self._forward: dict[str, dict[str, Any]] = {}
        self._backward: dict[str, dict[str, Any]] = {}
        self._params = {key: self.keep.flat(array) for key, array in model.params.items()}

    def tap(self, key: str, phase: str, values: Mapping[str, Any]) -> None:
        """Called by the containers for every layer."""
        into = self._forward if phase == "forward" else self._backward
        into.pop(key, None)  # of two with one key, the container, which comes later, stands in its place
        into[key] = {name: self.keep.value(value) for name, value in values.items()}

    def whole(self, phase: str, values: Mapping[str, Any]) -> None:
        """A model that is a single layer has nobody who calls its tap."""
        if self._single:
            self.tap("", phase, values)

    def layers(self, update: Mapping[str, Array]) -> dict[str, LayerTrace]:
        """One record for each layer, in the order of the forward pass."""
        layers = dict(named_layers(self.model))
        return {key: self._layer(key, layers[key], update) for key in self._forward}

    def _layer(self, key: str, layer: Layer, update: Mapping[str, Array]) -> LayerTrace:
        there, back = self._forward[key], self._backward.get(key, {})
        names = list(layer.params)
        full = {name: layer.full_key(key, name) for name in names}
        return LayerTrace(
            key=key,
            layer=layer,
            input=self.keep.flat(there["input"]),
            output=self.keep.flat(there["output"]),
            cache=there["cache"],
            dy=self.keep.flat(back["dy"]) if back else None,
            dx=None if back.get("dx") is None else self.keep.flat(back["dx"]),
            params={name: self._params[full[name]] for name in names},
            grads={name: self.keep.flat(grad) for name, grad in back.get("grads", {}).items()},
            update={name: self.keep.flat(update[full[name]]) for name in names if full[name] in update},
        )
