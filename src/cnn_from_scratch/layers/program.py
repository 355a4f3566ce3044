"""A model as a list of steps: what a training step and a prediction run.

A container calls its layers one by one and keeps all their caches until the backward pass is over. A program is the
same chain written out flat, run by somebody who owns the list of caches: each is let go as soon as its gradient has
been computed, so that its memory serves the next one. And because it is only a list, neighbours in it can be replaced
by one step that does the work of both: see fusion.py. The model itself stays as it is; tracing runs it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from ..typing import Array
from .base import Grads, Layer
from .containers import require_gradients
from .context import Context, join

Named: TypeAlias = tuple[str, Layer]
"""A layer and its full key."""

Commit: TypeAlias = tuple[Layer, Any]
"""A layer, and what its `commit` is to be given."""


class Step:
    """One entry of a program: the layers it stands for, their forward and their backward."""

    def __init__(self, row: Sequence[Named]) -> None:
        self.keys = tuple(key for key, _ in row)
        self.layers = tuple(layer for _, layer in row)

    @property
    def learns(self) -> bool:
        """Whether one of its layers has a parameter to train."""
        return any(layer.trainable for layer in self.layers)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """Compute (y, cache)."""
        raise NotImplementedError

    def predict(self, x: Array, ctx: Context) -> Array:
        """Compute y alone."""
        return self.forward(x, ctx)[0]

    def backward(self, dy: Array, cache: Any, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """Compute (dx, grads), the gradients under their full keys."""
        raise NotImplementedError

    def commits(self, cache: Any) -> Iterator[Commit]:
        """What the layers want remembered once the training step has succeeded."""
        yield from ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.keys)})"


class LayerStep(Step):
    """One layer, as it is."""

    def __init__(self, key: str, layer: Layer) -> None:
        super().__init__([(key, layer)])
        self.key, self.layer = key, layer

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """The layer's own."""
        return self.layer.forward(x, ctx.child(self.key))

    def backward(self, dy: Array, cache: Any, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """The layer's own; gradients under their full keys, none for what is frozen."""
        dx, grads = self.layer.backward(dy, cache, need_dx=need_dx)
        learning = self.layer.trainable
        require_gradients(self.key, self.layer, grads)
        return dx, {join(self.key, key): grad for key, grad in grads.items() if key in learning}

    def commits(self, cache: Any) -> Iterator[Commit]:
        """The layer, and what it needs of its cache."""
        kept = self.layer.to_commit(cache)
        if kept is not None:
            yield self.layer, kept


class Program:
    """Steps in a row.

    Examples
    --------
    >>> import numpy as np
    >>> from cnn_from_scratch.layers import ReLU
    >>> program = Program([LayerStep("0", ReLU()), LayerStep("1", ReLU())])
    >>> y, caches = program.forward(np.array([[-1.0, 2.0]]), Context(train=True))
    >>> program.backward(np.ones((1, 2)), caches, need_dx=True)[0], caches
    (array([[0., 1.]]), [])
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)

    @property
    def learns(self) -> bool:
        """Whether any step does."""
        return any(step.learns for step in self.steps)

    def forward(self, x: Array, ctx: Context) -> tuple[Array, list[Any]]:
        """Compute (y, the caches of all steps)."""
        caches = []
        for step in self.steps:
            x, cache = step.forward(x, ctx)
            caches.append(cache)
        return x, caches

    def predict(self, x: Array, ctx: Context) -> Array:
        """Compute y alone; every cache is let go at once."""
        for step in self.steps:
            x = step.predict(x, ctx)
        return x

    def backward(self, dy: Array, caches: list[Any], *, need_dx: bool) -> tuple[Array | None, Grads]:
        """Compute (dx, grads), and empty `caches` on the way. It ends where nothing below learns."""
        first = 0 if need_dx else next((i for i, step in enumerate(self.steps) if step.learns), len(self.steps))
        grads: Grads = {}
        dx: Array | None = dy
        del dy  # each gradient is let go with the next one
        for i in range(len(self.steps) - 1, first - 1, -1):
            dx, found = self.steps[i].backward(self._arrived(dx, i), caches.pop(), need_dx=need_dx or i > first)
            grads = found | grads
        caches.clear()
        return (dx if need_dx else None), grads

    def _arrived(self, dy: Array | None, i: int) -> Array:
        """What arrives at step `i` from above; a layer of your own may have forgotten it."""
        if dy is None:
            raise TypeError(f"layer {self.steps[i + 1].keys[0]!r} gave no dx, though it was asked for one")
        return dy

    def commits(self, caches: Sequence[Any]) -> list[Commit]:
        """What to commit once the step has succeeded; asked for before the backward pass empties `caches`."""
        return [commit for step, cache in zip(self.steps, caches, strict=True) for commit in step.commits(cache)]
