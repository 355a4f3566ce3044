"""A training as it was ordered, in the folder of its run: job.json, from which `cnn train --resume` goes on."""

from __future__ import annotations

import json
import platform
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..errors import FormatError
from ..formats import write_atomically
from ..formats.tensors import parse_json
from .catalogue import LOADERS
from .fingerprint import Fingerprint
from .job_rules import CHECKPOINTS, FINGERPRINT, JOB_RULES, RECIPE_RULES, VERSIONS, check_fields
from .recipes import Recipe
from .run_folder import JOB

VERSION = 1
MAX_BYTES = 64 << 10
"""No order is longer."""


class Job(NamedTuple):
    """What is to be done."""

    dataset: str
    recipe: Recipe
    seed: int
    shards: int
    data_dir: Path | None
    size: tuple[int, int]  # for the pictures of a folder
    checkpoints: bool = True
    every: int | None = None  # steps between checkpoints, besides the end of each epoch

    @property
    def source(self) -> str:
        """Where `cnn evaluate` finds the data again."""
        return self.dataset if self.dataset in LOADERS else str(Path(self.dataset).absolute())

    @property
    def command(self) -> str:
        """The command that does it again, whatever recipes may become."""
        words = ["cnn", "train", self.source]
        for name, value in self.recipe._asdict().items():
            if name == "preparation" or value is None or value is False or (name == "early_stopping" and not value):
                continue
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        words += ["--size", str(self.size[0])] if self.dataset not in LOADERS else []
        return shlex.join([*words, "--seed", str(self.seed), "--shards", str(self.shards)])


class Begun(NamedTuple):
    """A job, the data that it was begun with, and by which versions."""

    job: Job
    fingerprint: Fingerprint
    versions: dict[str, str]


def versions_here() -> dict[str, str]:
    """What the numbers of a training depend on, besides the machine."""
    return {"cnn_from_scratch": __version__, "numpy": np.__version__, "python": platform.python_version()}


def write_job(folder: Path, begun: Begun) -> None:
    """Write job.json, atomically.

    Raises
    ------
    ValueError
        If it says what `read_job` would refuse.
    OSError
        If it cannot be written.
    """
    job = begun.job
    order = {
        "version": VERSION,
        "dataset": job.source,
        "data_dir": None if job.data_dir is None else str(job.data_dir.expanduser().absolute()),
        "size": job.size[0],
        "fingerprint": begun.fingerprint._asdict(),
        "recipe": job.recipe._asdict(),
        "seed": job.seed,
        "shards": job.shards,
        "checkpoints": {"written": job.checkpoints, "every": job.every},
        "versions": begun.versions,
    }
    _begun(order)
    write_atomically(folder / JOB, json.dumps(order, indent=2, allow_nan=False) + "\n")


def read_job(folder: Path) -> Begun:
    """What `write_job` wrote, every part of it checked: the file may come from anywhere.

    Raises
    ------
    FileNotFoundError
        If there is no such run, or nothing to resume it by.
    FormatError
        If job.json is damaged, or says what `cnn train` would not have written.
    """
    path = folder / JOB
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no run that can be resumed: there is no {JOB} in it")
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise FormatError(f"{path}: is longer than {MAX_BYTES} bytes, the most that a job takes")
    order = parse_json(path, "content", text)
    try:
        return _begun(order)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: was not written by cnn train, or is damaged: {error}") from error


def _begun(order: Any) -> Begun:
    """The parts of the file, checked one by one."""
    if isinstance(order, dict) and order.get("version") != VERSION:
        raise ValueError(f"version is {order.get('version')!r}, and {VERSION} is the only one that is known here")
    check_fields("", order, JOB_RULES)
    check_fields("recipe.", order["recipe"], RECIPE_RULES)
    check_fields("fingerprint.", order["fingerprint"], FINGERPRINT)
    check_fields("checkpoints.", order["checkpoints"], CHECKPOINTS)
    check_fields("versions.", order["versions"], VERSIONS)
    recipe = Recipe(**order["recipe"])
    if order["shards"] > recipe.batch_size:
        raise ValueError(f"{order['shards']} shards cannot share a batch of {recipe.batch_size}")
    job = Job(
        dataset=order["dataset"],
        recipe=recipe,
        seed=order["seed"],
        shards=order["shards"],
        data_dir=None if order["data_dir"] is None else Path(order["data_dir"]),
        size=(order["size"], order["size"]),
        checkpoints=order["checkpoints"]["written"],
        every=order["checkpoints"]["every"],
    )
    return Begun(job, Fingerprint(**order["fingerprint"]), order["versions"])
