"""Small changes of bytes and of JSON values, all drawn from one seeded generator: the same seed, the same change."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

EDGES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
"""Numbers at which some integer ends."""


def written(write: Callable[[str], Any]) -> bytes:
    """The bytes of the file that a function writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(str(path))
        return path.read_bytes()


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """One to four changes."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(CHANGES)(found, rng)
    return bytes(found)


def _place(found: bytearray, rng: Random) -> int:
    """Anywhere, but headers are at the beginning (or at the end)."""
    n = len(found)
    return rng.choice((rng.randrange(n + 1), rng.randrange(min(n, 64) + 1), n - rng.randrange(min(n, 64) + 1)))


def _flip(found: bytearray, rng: Random) -> None:
    if found:
        found[_place(found, rng) % len(found)] ^= 1 << rng.randrange(8)


def _set(found: bytearray, rng: Random) -> None:
    if found:
        found[_place(found, rng) % len(found)] = rng.randrange(256)


def _write_edge(found: bytearray, rng: Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    at = _place(found, rng)
    edge = (rng.choice(EDGES) & ((1 << 8 * size) - 1)).to_bytes(size, rng.choice(("little", "big")))
    found[at : at + size] = edge


def _insert(found: bytearray, rng: Random) -> None:
    at = _place(found, rng)
    found[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 2, 8, 40))))


def _delete(found: bytearray, rng: Random) -> None:
    at = _place(found, rng)
    del found[at : at + rng.choice((1, 2, 8, 100))]


def _repeat(found: bytearray, rng: Random) -> None:
    start, at = _place(found, rng), _place(found, rng)
    found[at:at] = found[start : start + rng.choice((1, 8, 64, 512))] * rng.choice((1, 2, 16))


def _truncate(found: bytearray, rng: Random) -> None:
    del found[_place(found, rng) :]


CHANGES = (_flip, _set, _set, _write_edge, _write_edge, _insert, _delete, _repeat, _truncate)

JUNK = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    1 << 31,
    1 << 62,
    1 << 63,
    10**400,
    0.5,
    1e308,
    "",
    "x",
    "\ud800",
    "os.system",
    [],
    [1],
    [[]],
    {},
    {"type": "ReLU", "config": {}},
    {"type": 1},
    {"array": "x"},
    {"float": "nan"},
    {"tuple": []},
    {"dict": {}},
    {"named": "Context", "items": []},
    [1 << 40, 1 << 40],
    "0.weight",
    "<f8",
    "|O",
    "Sequential",
)


def mutate_json(value: object, rng: Random) -> object:
    """A copy in which one to three places hold something else."""
    root = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 2, 3))):
        holder, key = _some_place(root, rng)
        change = rng.randrange(5)
        if change == 0 and isinstance(holder, dict):
            holder[rng.choice(("x", "type", "config", "", "rng", "layers", key))] = holder.pop(key)
        elif change == 1 and holder is not root:
            del holder[key]
        elif change == 2:
            other, at = _some_place(root, rng)
            holder[key] = copy.deepcopy(other[at])
        elif change == 3 and isinstance(holder, list) and holder is not root:
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key] = _other(holder[key], rng)
    return root[0]


def _some_place(root: list, rng: Random) -> tuple:
    """A list or dict somewhere inside, and a key of it."""
    holder, key = root, 0
    while isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.85:
        holder = holder[key]
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    return holder, key


def _other(value: object, rng: Random) -> object:
    """Something near, or something quite else."""
    if isinstance(value, bool) or rng.random() < 0.5:
        return copy.deepcopy(rng.choice(JUNK))
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, -value, value * 2, value << 32, float(value), str(value)))
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        return value[:at] + rng.choice(("", "\0", "..", "/", "é", value)) + value[at + 1 :]
    return copy.deepcopy(rng.choice(JUNK))
