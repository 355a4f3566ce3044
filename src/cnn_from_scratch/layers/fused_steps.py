"""The steps that do the work of several layers. Which layers, fusion.py decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ops.memory import empty_like
from ..typing import Array
from .base import Grads, Layer
from .context import Context
from .program import Commit, Program, Step


class _ResidualCache(NamedTuple):
    body: list[Any]
    shortcut: list[Any]


class ResidualStep(Step):
    """y = body(x) + shortcut(x)"""

    def __init__(self, named: Sequence[tuple[str, Layer]], body: Program, shortcut: Program | None) -> None:
        super().__init__(*named)
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Array, ctx: Context) -> tuple[Array, _ResidualCache]:
        """The two branches, added."""
        branch, body = self.body.forward(x, ctx)
        around, shortcut = (x, []) if self.shortcut is None else self.shortcut.forward(x, ctx)
        return np.add(branch, around, out=empty_like(branch)), _ResidualCache(body, shortcut)

    def backward(self, dy: Array, cache: _ResidualCache, *, need_dx: bool) -> tuple[Array | None, Grads]:
        """dy goes into both branches; what comes back is added."""
        dx, grads = self.body.backward(dy, cache.body, need_dx=need_dx)
        around: Array | None = dy
        if self.shortcut is not None:
            around, found = self.shortcut.backward(dy, cache.shortcut, need_dx=need_dx)
            grads |= found
        if not need_dx or dx is None or around is None:
            return None, grads
        return np.add(dx, around, out=empty_like(dx)), grads

    def commits(self, cache: _ResidualCache) -> Iterator[Commit]:
        """Those of both branches."""
        yield from self.body.commits(cache.body)
        if self.shortcut is not None:
            yield from self.shortcut.commits(cache.shortcut)
