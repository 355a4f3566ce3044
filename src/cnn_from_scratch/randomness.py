"""Randomness without state: every generator is derived, when needed, from where in the training it is needed.

Two runs of the same step draw the same numbers whatever ran before, so data order, augmentation, dropout and
initialisation agree between one shard order and another, a prefetching thread and none, a resumed run and a whole one.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np


def derive(
    seed: int, purpose: str, *, epoch: int = 0, step: int = 0, shard: int = 0, key: str = ""
) -> np.random.Generator:
    """The generator that belongs to one purpose at one place of a run.

    Parameters
    ----------
    seed : int
        The seed of the run, at least 0.
    purpose : str
        What the numbers are for: ``"order"``, ``"augment"``, ``"dropout"``, ``"initialize"`` ...
    epoch, step, shard : int
        Where in the run.
    key : str
        Which layer or parameter.

    Raises
    ------
    ValueError
        If seed is no integer of at least 0, or a place no integer.

    Examples
    --------
    >>> a = derive(0, "dropout", step=3, key="4").random()
    >>> b = derive(0, "dropout", step=3, key="4").random()
    >>> a == b
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"derive: seed must be an integer >= 0, got {seed!r}")
    for name, value in (("epoch", epoch), ("step", step), ("shard", shard)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(f"derive: {name} must be an integer, got {value!r}")
    place = repr((int(seed), purpose, int(epoch), int(step), int(shard), key))
    entropy = int.from_bytes(hashlib.blake2b(place.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


class Place(NamedTuple):
    """Where in a run we are; `generator` derives what is random there.

    Examples
    --------
    >>> Place(seed=0, step=3).generator("dropout", "4").random() == derive(0, "dropout", step=3, key="4").random()
    True
    """

    seed: int
    epoch: int = 0
    step: int = 0
    shard: int = 0

    def generator(self, purpose: str, key: str = "") -> np.random.Generator:
        """Derive the generator for one purpose and key at this place."""
        return derive(self.seed, purpose, epoch=self.epoch, step=self.step, shard=self.shard, key=key)


def as_generator(rng: int | np.random.Generator | None, owner: str) -> np.random.Generator:
    """A generator from a seed, from a generator (itself), or from fresh entropy (None); errors name the owner."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer) or rng < 0:
        raise ValueError(f"{owner}: rng must be None, a NumPy Generator or an integer >= 0, got {rng!r}")
    return derive(int(rng), "layer")
