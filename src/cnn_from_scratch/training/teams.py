"""Who computes the shards of a batch: threads of this process, or forks of it.

Both run `compute_shard` on the same parts of the batch and add up in the same order, so their numbers are the same.
Forks are faster, above all where a network is small: parallel/forked.py says why. But a fork is a copy: what changes
in the model must be sent to it. Parameters and buffers are, with every batch; when anything else about a layer
changes, as when a callback freezes one, the forks are made anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np

from ..layers import Graph, Layer
from ..layers.containers import named_layers
from ..layers.context import join
from ..layers.fusion import as_program
from ..layers.program import Program
from ..ops.memory import Store
from ..parallel import (
    ALONE,
    ForkedGroup,
    Group,
    Member,
    SharedArrays,
    blas_works_elsewhere,
    can_fork,
    open_group,
    single_threaded_blas,
)
from ..randomness import Place
from ..typing import Array
from .losses import Loss
from .step import Shard, ShardTask, StepResult, combine, compute_gradients, compute_shard, share

Workers: TypeAlias = Literal["auto", "threads", "processes"]
WORKERS = get_args(Workers)

PLAIN = (int, float, str, tuple, frozenset, type(None))
"""Kinds of attributes that are compared by their value; others by whether they are the same object."""

PACKAGE = __name__.split(".")[0]


class Team(Protocol):
    """What `fit` asks for gradients."""

    def compute(self, x: Array, y: Array, place: Place, store: Store) -> StepResult:
        """See `compute_gradients`."""


@contextmanager
def open_team(model: Layer, loss: Loss, shards: int, workers: Workers = "auto") -> Iterator[Team]:
    """Whoever computes so many shards; BLAS is held to one thread each.

    Raises
    ------
    ValueError
        If `workers` is not among those named, or processes are asked for where there can be none.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear
    >>> from cnn_from_scratch.training import as_loss
    >>> x, y = np.ones((4, 3), np.float32), np.zeros(4, int)
    >>> with open_team(Linear(3, 2, rng=0), as_loss("cross_entropy"), 2) as team:
    ...     sorted(team.compute(x, y, Place(0), Store()).grads)
    ['bias', 'weight']
    """
    if not isinstance(workers, str) or workers not in WORKERS:
        raise ValueError(f"workers must be one of {', '.join(WORKERS)}, got {workers!r}")
    with single_threaded_blas() if shards > 1 else nullcontext():  # before one asks what others are at
        obstacle = _obstacle(model, loss)
        if workers == "processes" and obstacle:
            raise ValueError(f"workers='processes' is not possible here: {obstacle}; use 'threads' or 'auto'")
        if shards == 1 or workers == "threads" or obstacle or (workers == "auto" and _has_company()):
            with open_group(shards) as group:
                yield ThreadTeam(model, loss, group)
            return
        team = ForkedTeam(model, loss, shards)
        try:
            yield team
        finally:
            team.close()


class ThreadTeam:
    """Shards on threads, or a single one."""

    def __init__(self, model: Layer, loss: Loss, group: Group = ALONE) -> None:
        self._model, self._loss, self._group = model, loss, group

    def compute(self, x: Array, y: Array, place: Place, store: Store) -> StepResult:
        """See `compute_gradients`."""
        group = self._group if self._model.keeps_batch(x.shape[1:]) else ALONE
        return compute_gradients(self._model, x, y, self._loss, group=group, place=place, store=store)


class ForkedTeam:
    """Shards in forks of this process; the first of them stays here."""

    def __init__(self, model: Layer, loss: Loss, shards: int) -> None:
        self._model, self._loss, self._shards = model, loss, shards
        self._fork()

    def _fork(self) -> None:
        """Forks of the model as it is now."""
        model, loss = self._model, self._loss
        self._known, self._program = _fingerprint(model), as_program(model)
        self._arrays = model.params | model.buffers  # the model's own
        learned = {key: self._arrays[key] for key in model.params if key in model.trainable}
        self._state = SharedArrays(self._arrays)
        self._grads = [SharedArrays(learned) for _ in range(1, self._shards)]
        self._group = ForkedGroup(self._shards, _ForkedWork(model, self._program, loss, self._state, self._grads))
        self._group.start()

    def compute(self, x: Array, y: Array, place: Place, store: Store) -> StepResult:
        """See `compute_gradients`. A batch that must not be cut is computed here."""
        if not self._model.keeps_batch(x.shape[1:]):
            return compute_gradients(self._model, x, y, self._loss, place=place, store=store)
        if _fingerprint(self._model) != self._known:
            self.close()
            self._fork()
        own, *others = share(x, y, place, self._shards)
        self._state.write(self._arrays)
        tasks = [task._replace(x=np.ascontiguousarray(task.x), y=np.ascontiguousarray(task.y)) for task in others]
        first, *rest = self._group.run(
            tasks, here=lambda member: compute_shard(own, member, self._model, self._program, self._loss, store)
        )
        shards = [shard._replace(grads=grads) for shard, grads in zip(rest, self._grads, strict=True)]
        return combine([first, *shards], len(x), store)

    def close(self) -> None:
        """End the forks."""
        self._group.close()


class _ForkedWork:
    """What a fork does: compute its shard with the parameters in shared memory, and leave the gradients there, too."""

    def __init__(
        self, model: Layer, program: Program, loss: Loss, state: SharedArrays, grads: list[SharedArrays]
    ) -> None:
        self.model, self.program, self.loss, self.state, self.grads = model, program, loss, state, grads
        self.store: Store | None = None

    def _settle(self) -> Store:
        """The fork's copy of the model looks into shared memory from now on; its store is its own, too."""
        for key, layer in self.model.layers():
            layer.params = {name: self.state[join(key, name)] for name in layer.params}
            layer.buffers = {name: self.state[join(key, name)] for name in layer.buffers}
        return Store()  # one that was made before the fork would be everybody's

    def __call__(self, member: Member, task: ShardTask) -> Shard:
        self.store = self.store or self._settle()
        shard = compute_shard(task, member, self.model, self.program, self.loss, self.store)
        self.grads[member.rank - 1].write(shard.grads)
        return shard._replace(grads={}, commits=())


def _obstacle(model: Layer, loss: Loss) -> str | None:
    """Why there can be no forks, None where there can."""
    if not can_fork():
        return "forks are made on Linux, in the main thread"
    if blas_works_elsewhere():
        return "another thread computes with threads of BLAS, which must not be at work during a fork"
    for _, layer in named_layers(model):
        if not _ours(type(layer).__module__):
            return f"{type(layer).__name__} is a layer of your own"
        if isinstance(layer, Graph) and not all(_ours(type(node.operation).__module__) for node in layer.nodes):
            return "a graph has operations of your own"
    if not _ours(getattr(loss.forward, "func", loss.forward).__module__):
        return f"{loss.name} is a loss of your own"
    return None


def _has_company() -> bool:
    """Whether other threads run that the program waits for at its end: threads of yours, with locks of their own."""
    return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.current_thread())


def _ours(module: str) -> bool:
    return module.split(".")[0] == PACKAGE


def _fingerprint(model: Layer) -> list[Any]:
    """All that the layers are, but for the numbers in their arrays: equal as long as the forks know the model."""
    return [
        (id(layer), *(value if isinstance(value, PLAIN) else id(value) for value in vars(layer).values()))
        for _, layer in named_layers(model)
    ]
