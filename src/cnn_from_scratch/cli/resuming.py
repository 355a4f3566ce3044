"""`cnn train --resume RUN`: the job of the run, held against what stands beside --resume, and what was there before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from .errors import say
from .job import go_on
from .job_file import Begun, Job, read_job, versions_here
from .run_folder import HISTORY, METRICS, MODEL
from .train import checked_shards

NEVER = ("out", "force", "no_checkpoints")


def resume_run(run: Path, given: Mapping[str, Any], *, data_dir: Path | None, every: int | None) -> None:
    """Go on with a run, or say that it is finished.

    Parameters
    ----------
    run : path
        Its folder.
    given : dict
        Other options of the command line; they must be those of the run. Only more epochs are possible, and only
        where the learning rate is constant: every other schedule would have been another one from its first step.
    data_dir : path, optional
        Where the data set lies now.
    every : int, optional
        Steps between checkpoints from now on.

    Raises
    ------
    typer.BadParameter
        If an option contradicts the run.
    FileNotFoundError, FormatError
        As for `read_job`; FormatError also if the data set has changed.
    ValueError
        If the run has no checkpoints.
    """
    begun = read_job(run)
    _check_given(run, begun.job, given)
    if not begun.job.checkpoints:
        raise ValueError(f"{run} was begun with --no-checkpoints: there is nothing to go on from")
    checked_shards(begun.job.shards, begun.job.recipe.batch_size)
    job = _changed(begun.job, given.get("epochs"), data_dir, every)
    if job.recipe == begun.job.recipe and is_finished(run):
        say(f"{run} is finished; there is nothing to go on with. cnn evaluate {run} says how good it is")
        return
    _tell_versions(run, begun)
    go_on(run, begun._replace(job=job))


def is_finished(run: Path) -> bool:
    """Whether a run has come to its end: its figures are the last that is written."""
    try:
        metrics = json.loads((run / METRICS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    ended = isinstance(metrics, dict) and metrics.get("interrupted") is False and metrics.get("stopped", "") is None
    return ended and all((run / name).is_file() for name in (MODEL, HISTORY))


def _check_given(run: Path, job: Job, given: Mapping[str, Any]) -> None:
    """Refuse what would make another training of it."""
    known = job.recipe._asdict() | {
        "dataset": job.source,
        "size": job.size[0],
        "seed": job.seed,
        "shards": job.shards,
    }
    for name, value in given.items():
        option = name if name == "dataset" else f"--{name.replace('_', '-')}"
        if name in NEVER:
            raise typer.BadParameter(f"cannot stand beside --resume, which goes on in {run}.", param_hint=option)
        wanted = job._replace(dataset=value).source if name == "dataset" else value
        if name == "epochs":
            _check_epochs(run, job, value)
        elif wanted != known[name]:
            raise typer.BadParameter(
                f"{run} is trained with {known[name]}, not with {wanted}; leave it out, or begin another run.",
                param_hint=option,
            )


def _check_epochs(run: Path, job: Job, epochs: int) -> None:
    before = job.recipe.epochs
    if epochs < before:
        raise typer.BadParameter(f"{run} is trained for {before}; fewer are not possible.", param_hint="--epochs")
    if epochs > before and job.recipe.schedule != "constant":
        raise typer.BadParameter(
            f"{run} is trained for {before}, which decides its schedule ({job.recipe.schedule}) from the first step; "
            "more are possible with --schedule constant alone.",
            param_hint="--epochs",
        )


def _changed(job: Job, epochs: int | None, data_dir: Path | None, every: int | None) -> Job:
    """The job with what may be changed."""
    recipe = job.recipe if epochs is None else job.recipe._replace(epochs=epochs)
    return job._replace(
        recipe=recipe,
        data_dir=job.data_dir if data_dir is None else data_dir,
        every=job.every if every is None else every,
    )


def _tell_versions(run: Path, begun: Begun) -> None:
    """Equality to the bit is promised for the same versions only."""
    here = versions_here()
    other = [f"{name} {begun.versions[name]}, now {here[name]}" for name in here if begun.versions[name] != here[name]]
    if other:
        say(f"{run} was begun by {'; '.join(other)}: the last digits may differ from those of one uninterrupted run")
