"""A graph within a program: as the layers it can be written as, or node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import numpy as np

from ..randomness import Place
from ..typing import Array
from .base import Grads
from .context import Context, join
from .graph import Graph, GraphCache
from .graph_lowering import Lowered
from .program import Commit, Program, Step


class GraphStepCache(NamedTuple):
    """Of the program that a graph became, or of the graph itself."""

    lowered: Lowered | None
    program: Program | None
    caches: Any


class GraphStep(Step):
    """One graph. What it is lowered to depends on the shape of its input, so it is decided when it runs."""

    def __init__(self, key: str, graph: Graph, *, fuse: bool) -> None:
        super().__init__([(key, graph)])
        self.key, self.graph, self.fuse = key, graph, fuse

    def forward(self, x: Array, ctx: Context) -> tuple[Array, GraphStepCache]:
        """Fused where it is lowered and `fuse` says so."""
        lowered, inside = self.graph.lowered(x.shape[1:]), ctx.child(self.key)
        if lowered is None:
            y, cache = self.graph.forward(x, inside)
            return y, GraphStepCache(None, None, cache)
        program = lowered.program(self.fuse)
        y, caches = program.forward(x, _renamed(inside, lowered))
        return y, GraphStepCache(lowered, program, caches)

    def predict(self, x: Array, ctx: Context) -> Array:
        """No cache is kept."""
        lowered, inside = self.graph.lowered(x.shape[1:]), ctx.child(self.key)
        if lowered is None:
            return self.graph.compute(x, inside)
        return lowered.program(self.fuse).predict(x, _renamed(inside, lowered))

    def backward(self, dy: Array, cache: GraphStepCache, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """Gradients by the graph's own names, with the graph's key before them."""
        if cache.program is None or cache.lowered is None:
            dx, grads = self.graph.backward(dy, cast(GraphCache, cache.caches), need_dx=need_dx, let_go=True)
        else:
            dx, found = cache.program.backward(dy, cache.caches, need_dx=need_dx)
            grads = cache.lowered.gradients(self.graph, found)
        return dx, {join(self.key, name): grad for name, grad in grads.items()}

    def commits(self, cache: GraphStepCache) -> Iterator[Commit]:
        """Running statistics of batch norms."""
        if cache.program is None:
            kept = self.graph.to_commit(cache.caches)
            if kept:
                yield self.graph, kept
        else:
            yield from cache.program.commits(cache.caches)


class _NodePlace(Place):
    """A place in a run where layers have the names of nodes: what they draw is what the graph itself would."""

    names: Mapping[str, str]

    def generator(self, purpose: str, key: str = "") -> np.random.Generator:
        """By the name of the node."""
        return super().generator(purpose, self.names.get(key, key))


def _renamed(ctx: Context, lowered: Lowered) -> Context:
    """The context for the layers of a graph."""
    if ctx.rng is None or not lowered.names:
        return ctx
    place = _NodePlace(*ctx.rng)
    place.names = {join(ctx.key, path): join(ctx.key, name) for path, name in lowered.names.items()}
    if isinstance(ctx.rng, _NodePlace):  # a graph within a graph
        place.names = {path: ctx.rng.names.get(name, name) for path, name in place.names.items()} | dict(ctx.rng.names)
    return ctx._replace(rng=place)
