"""What each entry of a job.json may be: what `cnn train` could have written, and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..models import MODELS
from .catalogue import LOADERS
from .recipes import AUGMENTATIONS
from .saved_run import LARGEST, PREPARATIONS
from .train_options import OptimizerName, ScheduleName

MOST = 2**31 - 1
LONGEST_PATH = 4096


class Rule(NamedTuple):
    """Which values an entry may have, and how that is said."""

    holds: Callable[[Any], bool]
    says: str


def check_fields(where: str, found: Any, rules: Mapping[str, Rule]) -> None:
    """Raise ValueError unless `found` has exactly the entries of the rules, each as its rule wants it.

    Examples
    --------
    >>> check_fields("recipe.", {"epochs": 0}, {"epochs": whole(1)})
    Traceback (most recent call last):
        ...
    ValueError: recipe.epochs must be a whole number of at least 1, got 0
    """
    if not isinstance(found, dict):
        raise ValueError(f"{where.rstrip('.') or 'all of it'} must be an object, got {found!r:.60}")
    for name in [*rules, *found]:
        if name not in found or name not in rules:
            raise ValueError(f"{where}{name} is {'missing' if name in rules else 'unknown'}"[:100])
    for name, rule in rules.items():
        if not rule.holds(found[name]):
            raise ValueError(f"{where}{name} must be {rule.says}, got {found[name]!r:.60}")


def whole(least: int, most: int = MOST) -> Rule:
    """A whole number from `least` to `most`."""
    says = f"a whole number of at least {least}" if most == MOST else f"a whole number from {least} to {most}"
    return Rule(lambda value: type(value) is int and least <= value <= most, says)


def number(below: float = math.inf) -> Rule:
    """A finite number from 0, less than `below`."""
    says = "a number of at least 0" if below == math.inf else f"a number of at least 0 and below {below:g}"
    return Rule(lambda value: type(value) in (int, float) and 0 <= value < below, says)


def one_of(names: Iterable[str]) -> Rule:
    """One of these words."""
    known = list(names)
    return Rule(lambda value: isinstance(value, str) and value in known, f"one of {', '.join(known)}")


def maybe(rule: Rule) -> Rule:
    """What the rule says, or null."""
    return Rule(lambda value: value is None or rule.holds(value), f"null or {rule.says}")


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_PATH and "\0" not in value and Path(value).is_absolute()


OBJECT = Rule(lambda value: isinstance(value, dict), "an object")
TRUTH = Rule(lambda value: isinstance(value, bool), "true or false")
PATH = Rule(_is_path, "an absolute path")
WORD = Rule(lambda value: isinstance(value, str) and len(value) <= 100 and value.isprintable(), "a short text")
SHA256 = Rule(lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value)), "a SHA-256")

JOB_RULES = {
    "version": whole(1),
    "dataset": Rule(
        lambda value: isinstance(value, str) and (value in LOADERS or _is_path(value)),
        f"one of {', '.join(LOADERS)}, or an absolute path",
    ),
    "data_dir": maybe(PATH),
    "size": whole(4, LARGEST),
    "fingerprint": OBJECT,
    "recipe": OBJECT,
    "seed": whole(0, 2**64 - 1),
    "shards": whole(1),
    "checkpoints": OBJECT,
    "versions": OBJECT,
}

RECIPE_RULES = {
    "model": one_of(MODELS),
    "epochs": whole(1),
    "batch_size": whole(1),
    "optimizer": one_of(name.value for name in OptimizerName),
    "lr": number(),
    "schedule": one_of(name.value for name in ScheduleName),
    "augment": one_of(AUGMENTATIONS),
    "dropout": maybe(number(below=1)),
    "label_smoothing": number(below=1),
    "weight_decay": number(),
    "average": number(below=1),
    "validation": number(below=1),
    "best_weights": TRUTH,
    "early_stopping": whole(0),
    "preparation": one_of([*PREPARATIONS, "picture"]),
}

FINGERPRINT = {"train_images": whole(0), "test_images": whole(0), "sha256": SHA256}
CHECKPOINTS = {"written": TRUTH, "every": maybe(whole(1))}
VERSIONS = {"cnn_from_scratch": WORD, "numpy": WORD, "python": WORD}
