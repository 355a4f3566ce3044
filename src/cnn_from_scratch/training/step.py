"""One training step: every shard runs forward and backward alone, and they meet in the sum of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..layers import Context, Layer
from ..layers.fusion import as_program
from ..layers.predict import in_fast_order
from ..layers.program import Commit, Program
from ..ops.memory import Store, empty_like, recycled
from ..parallel import ALONE, Group, Member, shard_slices
from ..randomness import Place
from ..typing import Array
from .losses import Loss


class StepResult(NamedTuple):
    """What a batch says: its loss, the gradients, and how many examples it got right."""

    loss: float  # the mean over the batch
    grads: dict[str, Array]
    correct: int | None  # None where the targets are no class indices
    examples: int
    commits: Sequence[Commit]  # what layers want remembered once the step has succeeded: of the first shard

    def commit(self) -> None:
        """Let every layer write its buffers."""
        for layer, kept in self.commits:
            layer.commit(kept)


class Shard(NamedTuple):
    """What one shard brings: sums over its examples, and gradients that are its part of the mean's."""

    loss: float
    divisor: float  # of the whole batch
    grads: dict[str, Array]
    correct: int | None
    commits: Sequence[Commit]


class ShardTask(NamedTuple):
    """The examples of one shard, and where in the run they are."""

    x: Array
    y: Array
    place: Place | None


def compute_gradients(
    model: Layer,
    x: Array,
    y: Array,
    loss: Loss,
    *,
    group: Group = ALONE,
    place: Place | None = None,
    store: Store | None = None,
) -> StepResult:
    """Gradients of the mean loss over the batch by every trainable parameter. Nothing is written.

    Each shard sums its losses; the divisor of the mean belongs to the whole batch, so that ignored targets, class
    weights and a short last batch count as they would without shards. Large arrays are taken from `store`.
    """
    store = Store() if store is None else store
    program, tasks = as_program(model), share(x, y, place, group.size)
    shards = group.run(lambda member: compute_shard(tasks[member.rank], member, model, program, loss, store))
    return combine(shards, len(x), store)


def share(x: Array, y: Array, place: Place | None, shards: int) -> list[ShardTask]:
    """A batch cut into tasks."""
    places = [None if place is None else place._replace(shard=rank) for rank in range(shards)]
    return [
        ShardTask(x[part], y[part], place) for part, place in zip(shard_slices(len(x), shards), places, strict=True)
    ]


@np.errstate(over="ignore", invalid="ignore")  # infinity and NaN go on, as IEEE 754 has it: the caller looks
def compute_shard(task: ShardTask, member: Member, model: Layer, program: Program, loss: Loss, store: Store) -> Shard:
    """One shard's way forward and back; `program` is that of the model."""
    x, y, place = task
    trainable = model.trainable
    with recycled(store):
        output, caches = program.forward(in_fast_order(x), Context(train=True, rng=place, group=member))
        commits = program.commits(caches)
        total, cache = loss.forward(output, y, reduction="sum")
        own = float(getattr(cache, "divisor", len(output)))
        divisor = float(member.sum([np.array(own)])[0])
        if divisor == 0:
            raise ValueError(f"loss {loss.name}: the mean over no example is undefined; every target is ignored")
        _, grads = program.backward(loss.backward(cache, 1 / divisor), caches, need_dx=False)
    kept = {key: grad for key, grad in grads.items() if key in trainable}
    return Shard(float(total), divisor, kept, count_correct(output, y), commits)


def combine(shards: Sequence[Shard], examples: int, store: Store) -> StepResult:
    """What the shards have brought, together."""
    first = shards[0]
    with recycled(store):
        grads = {key: _sum([shard.grads[key] for shard in shards]) for key in first.grads}
    correct = None if first.correct is None else sum(shard.correct or 0 for shard in shards)
    mean = sum(shard.loss for shard in shards) / first.divisor
    return StepResult(mean, grads, correct, examples, first.commits)


def count_correct(output: Array, targets: Array) -> int | None:
    """How many rows of (N, K) have their largest number at their class index (N,); None for other targets."""
    if output.ndim != 2 or targets.ndim != 1 or targets.dtype.kind not in "ui" or output.shape[1] < 2:
        return None
    return int(np.count_nonzero(output.argmax(1) == targets)) if len(output) else 0


def _sum(parts: list[Array]) -> Array:
    """Added in the order of the shards."""
    total, *others = parts
    if others:
        total = np.add(total, others[0], out=empty_like(total))
        for part in others[1:]:
            total += part
    return total
