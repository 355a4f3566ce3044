"""What a training has left beside its model: metrics.json, history.csv, job.json. Any of them may be missing."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..errors import FormatError
from ..formats.tensors import parse_json
from ..training import History
from .going_on import resume_command
from .job_file import Begun, read_job
from .run_folder import HISTORY, JOB, METRICS

MOST_BYTES = 4 << 20
"""No such file is longer."""

T = TypeVar("T")


class Record(NamedTuple):
    """What is known of a training, and what is to be said of it."""

    metrics: dict[str, Any]
    history: History
    command: str
    versions: dict[str, Any]
    notes: tuple[str, ...]


NOTHING = Record({}, History(), "", {}, ())
"""Of a model without a training."""


def read_record(folder: Path) -> Record:
    """The record of a run; a file that is damaged is left out, and a note says so."""
    notes: list[str] = []
    metrics: dict[str, Any] = _try(read_metrics, folder / METRICS, notes, {})
    history = _try(read_history, folder / HISTORY, notes, History())
    begun = _try(lambda path: read_job(path.parent), folder / JOB, notes, None)
    command = metrics.get("command")
    if not isinstance(command, str):
        command = "" if begun is None else begun.job.command
    versions = metrics.get("versions")
    if not isinstance(versions, dict):
        versions = {} if begun is None else begun.versions
    return Record(metrics, history, command, versions, (*notes, *_state(folder, metrics, history, begun)))


def read_metrics(path: Path) -> dict[str, Any]:
    """metrics.json.

    Raises
    ------
    FormatError
        If it is no JSON object.
    """
    found = parse_json(path, "content", _text(path))
    if not isinstance(found, dict):
        raise FormatError(f"{path}: is no JSON object")
    return found


def read_history(path: Path) -> History:
    """history.csv: numbers below their names; an empty place is left out.

    Raises
    ------
    FormatError
        If it is anything else.
    """
    try:
        rows = list(csv.DictReader(_text(path).splitlines(), strict=True))
        found = [{name: _number(name, text) for name, text in row.items() if text} for row in rows]
    except (TypeError, ValueError, AttributeError, csv.Error) as error:
        raise FormatError(f"{path}: is no table of numbers: {error}") from error
    if not all("epoch" in row for row in found):
        raise FormatError(f"{path}: has a row without an epoch")
    return History(found)


def _number(name: str, text: str) -> float | int:
    return int(text) if name == "epoch" else float(text)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FormatError(f"{path}: is longer than {MOST_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: is no text") from error


def _try(read: Callable[[Path], T], path: Path, notes: list[str], otherwise: T) -> T:
    """What is in a file, if there is one."""
    if not path.is_file():
        return otherwise
    try:
        return read(path)
    except FormatError as error:
        notes.append(f"{path.name} was left out: {str(error).removeprefix(f'{path}: ')}.")
        return otherwise


def _state(folder: Path, metrics: dict[str, Any], history: History, begun: Begun | None) -> list[str]:
    """Whether the training came to its end, and by one hand."""
    notes = []
    ordered = None if begun is None else begun.job.recipe.epochs
    done = f"{len(history)} of {ordered} epochs" if ordered else f"{len(history)} epochs"
    goes_on = ""
    if begun is not None and begun.job.checkpoints:
        goes_on = f" This goes on with it: {resume_command(Path(folder.resolve().name))}"
    if metrics.get("interrupted") is True:
        notes.append(f"The training was interrupted after {done}: this is the model as it was then.{goes_on}")
    elif metrics.get("stopped"):
        notes.append(f"The training stopped after {done}: {metrics['stopped']}")
    elif begun is not None and not metrics:
        notes.append(f"The training has not come to its end, after {done}.{goes_on}")
    ended = metrics.get("versions")
    if begun is not None and isinstance(ended, dict) and ended != begun.versions:
        before, after = (", ".join(f"{k} {v}" for k, v in found.items()) for found in (begun.versions, ended))
        notes.append(f"The run was begun with {before}, and resumed and ended with {after}.")
    if any(not math.isfinite(value) for row in history.rows for value in row.values()):
        notes.append("Some figures of the history are not finite.")
    return notes
