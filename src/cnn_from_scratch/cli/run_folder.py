"""The folder that a training, or pictures of it, leave: made, or chosen, held, and written file by file."""

from __future__ import annotations

import contextlib
import errno
import json
import platform
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..formats import write_atomically
from ..training import History

MODEL, HISTORY, METRICS, JOB, CHECKPOINTS = (
    "model.safetensors",
    "history.csv",
    "metrics.json",
    "job.json",
    "checkpoints",
)
PICTURES = ("history.png", "filters.png", "feature_maps.png", "confusion.png", "mistakes.png")
PROBE = ".can-be-written"
PART = re.compile(r"\..+\.[0-9a-f]{16}\.part")  # as `write_atomically` names what it is writing
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)  # the last is no PermissionError by itself


@contextlib.contextmanager
def new_run_folder(out: Path | None, dataset: str, *, force: bool) -> Iterator[Path]:
    """A folder for a run; if the body leaves it empty, it goes again.

    Parameters
    ----------
    out : path, optional
        The folder. Otherwise runs/DATASET-1, or the next number that is free.
    force : bool
        Write over the run that is in `out`.

    Raises
    ------
    FileExistsError
        If `out` is there and not empty, and `force` was not given.
    NotADirectoryError
        If `out` is a file.
    PermissionError
        If the folder cannot be made or written.
    """
    with _named_if_forbidden("run", out or Path("runs").absolute()):
        folder = _next_folder(dataset) if out is None else _chosen_folder(out, force)
        write_atomically(folder / PROBE, "")
        (folder / PROBE).unlink()
    with _gone_if_empty(folder):
        yield folder


@contextlib.contextmanager
def old_run_folder(folder: Path) -> Iterator[Path]:
    """The folder of a run that goes on.

    Raises
    ------
    PermissionError
        If it, or the folder of its checkpoints, cannot be written.
    """
    try:
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        for place in (folder, folder / CHECKPOINTS):
            write_atomically(place / PROBE, "")
            (place / PROBE).unlink()
    except OSError as error:
        if error.errno not in FORBIDDEN:
            raise
        reason = f"cannot write the folder of the run; --resume takes a copy of it, too: {error.strerror}"
        raise PermissionError(error.errno, reason, str(folder)) from error
    yield folder


@contextlib.contextmanager
def picture_folder(folder: Path) -> Iterator[Path]:
    """A folder for pictures, made unless it is there; if the body leaves it empty, it goes again.

    Raises
    ------
    NotADirectoryError
        If it is a file.
    PermissionError
        If it cannot be made or written.
    """
    with _named_if_forbidden("pictures", folder):
        _chosen_folder(folder, force=True)
        write_atomically(folder / PROBE, "")
        (folder / PROBE).unlink()
    with _gone_if_empty(folder):
        yield folder


@contextlib.contextmanager
def _named_if_forbidden(what: str, where: Path) -> Iterator[None]:
    """An error that says what cannot be written, and by which option it could go elsewhere."""
    try:
        yield
    except OSError as error:
        if error.errno not in FORBIDDEN:
            raise
        reason = f"cannot write the folder of the {what}; choose another one by --out: {error.strerror}"
        raise PermissionError(error.errno, reason, str(where)) from error


@contextlib.contextmanager
def _gone_if_empty(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _next_folder(dataset: str) -> Path:
    number = 1
    while True:
        folder = Path("runs") / f"{dataset}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _chosen_folder(out: Path, force: bool) -> Path:
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file, not a folder; choose another one by --out")
    if out.is_dir() and not all(map(is_leftover, out.iterdir())) and not force:
        goes_on = f", cnn train --resume {shlex.quote(str(out))} goes on with it" if (out / JOB).is_file() else ""
        raise FileExistsError(f"{out} is there already and not empty; --force writes over it{goes_on}")
    out.mkdir(parents=True, exist_ok=True)
    return out


def is_leftover(path: Path) -> bool:
    """Whether a killed process left it of a file that it was writing.

    Examples
    --------
    >>> is_leftover(Path("run/.metrics.json.0123456789abcdef.part")), is_leftover(Path("run/metrics.json"))
    (True, False)
    """
    return path.name == PROBE or PART.fullmatch(path.name) is not None


def write_history(folder: Path, history: History) -> None:
    """history.csv: a line for each epoch."""
    text = history.to_frame().to_csv(index=False) if len(history) else "epoch,loss\n"
    write_atomically(folder / HISTORY, text)


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """metrics.json, with the versions that made it."""
    versions = {"cnn_from_scratch": __version__, "numpy": np.__version__, "python": platform.python_version()}
    write_atomically(folder / METRICS, json.dumps({**metrics, "versions": versions}, indent=2) + "\n")
