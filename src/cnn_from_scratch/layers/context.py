"""What a forward pass is told besides its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..parallel import ALONE, Member
from ..randomness import Place

Tap: TypeAlias = Callable[[str, str, Mapping[str, Any]], None]
"""tap(key, phase, values): called by containers for every layer, with phase "forward" or "backward"."""


class Context(NamedTuple):
    """Where and why a forward pass runs. A layer asks it; nothing about a pass is kept in a layer.

    Examples
    --------
    >>> Context(train=True).child("features").child("0").key
    'features.0'
    """

    train: bool = False
    rng: Place | None = None  # where in the run we are: all randomness is derived from it
    group: Member = ALONE  # the shards of this batch; batch norm sums over them
    key: str = ""  # which layer we are in: "", "0", "features.0" ...
    tap: Tap | None = None  # None except while tracing

    def child(self, name: str) -> Context:
        """The context of the child `name`; the child without a name shares its parent's key."""
        return self._replace(key=join(self.key, name))

    def generator(self, purpose: str) -> np.random.Generator:
        """The generator for one purpose in this layer, at this step, in this shard."""
        if self.rng is None:
            raise ValueError(
                f"Context: layer {self.key!r} needs random numbers for {purpose}; "
                "give the context a place to derive them from, as in Context(train=True, rng=Place(seed=0))"
            )
        return self.rng.generator(purpose, self.key)


def join(*names: str) -> str:
    """Join the parts of a key that are not empty.

    Examples
    --------
    >>> join("layer1", "", "0", "weight")
    'layer1.0.weight'
    """
    return ".".join(name for name in names if name)
