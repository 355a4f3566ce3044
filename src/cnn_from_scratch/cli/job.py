"""A training from the command line: load, train, write the folder, say what came of it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from ..data import Dataset, scale
from ..formats import save_model
from ..training import Evaluation
from ..training.interrupts import Terminated
from .catalogue import LOADERS, load_dataset
from .errors import FAILURE, INTERRUPTED, TERMINATED, plain_warnings, say
from .fingerprint import check_unchanged, fingerprint
from .going_on import resumable, resume_command
from .job_file import Begun, Job, versions_here, write_job
from .output import print_trained
from .plan import Plan, plan_training
from .run_callbacks import HistoryFile, LinePerEpoch
from .run_folder import (
    CHECKPOINTS,
    HISTORY,
    METRICS,
    MODEL,
    new_run_folder,
    old_run_folder,
    write_history,
    write_metrics,
)
from .run_hold import clear_run, held, remove_leftovers
from .saved_run import run_metadata
from .training_run import Checkpoints, Trained, fit_plan


def train_job(job: Job, out: Path | None, *, force: bool) -> None:
    """Train, and leave a folder. Whatever does not fit is said before the folder, or an older run in it, is touched.

    Leaves the program with 130 after Ctrl-C, with 143 after SIGTERM, and with 1 if the numbers went astray.
    """
    dataset = load_dataset(job.dataset, data_dir=job.data_dir, size=job.size)
    plan = plan_training(job.recipe, dataset, seed=job.seed)
    name = job.dataset if job.dataset in LOADERS else Path(job.dataset).resolve().name
    with new_run_folder(out, name, force=force) as folder, held(folder):
        clear_run(folder)
        write_job(folder, Begun(job, fingerprint(dataset), versions_here()))
        with resumable(folder) if job.checkpoints else nullcontext():
            _train(folder, job, dataset, plan, resume=False)


def go_on(folder: Path, begun: Begun) -> None:
    """Go on with the run in a folder, from its last checkpoint, to the same end as without an interruption.

    Raises
    ------
    FormatError
        If the data set has changed, or every checkpoint is damaged.
    PermissionError
        If the folder cannot be written.
    BlockingIOError
        If another process is training in it.
    """
    job = begun.job
    with held(folder):
        dataset = load_dataset(job.dataset, data_dir=job.data_dir, size=job.size)
        check_unchanged(str(folder), job.dataset, begun.fingerprint, fingerprint(dataset))
        plan = plan_training(job.recipe, dataset, seed=job.seed)
        with old_run_folder(folder), resumable(folder), plain_warnings():
            remove_leftovers(folder)
            write_job(folder, begun)
            _train(folder, job, dataset, plan, resume=True)


def _train(folder: Path, job: Job, dataset: Dataset, plan: Plan, *, resume: bool) -> None:
    """Train, with a bar on a terminal and a line for each epoch elsewhere; then keep, try and show what came of it."""
    on_terminal = sys.stderr.isatty()
    trained = fit_plan(
        plan,
        shards=job.shards,
        callbacks=[HistoryFile(folder), LinePerEpoch(silent=on_terminal)],
        progress=on_terminal,
        checkpoints=Checkpoints(folder / CHECKPOINTS, job.every, resume) if job.checkpoints else None,
    )
    with sigterm_interrupts():
        _conclude(folder, job, dataset, trained)


def _conclude(folder: Path, job: Job, dataset: Dataset, trained: Trained) -> None:
    """The model and its history, before anything else can go wrong; pictures; and at last the figures."""
    shape, preparation = dataset.train.x.shape[1:], job.recipe.preparation
    metadata = run_metadata(job.source, dataset.classes, shape, trained.normalization, preparation)
    save_model(trained.model, folder / MODEL, metadata=metadata)
    write_history(folder, trained.history)
    evaluation, pictures = None, list[str]()
    try:
        if trained.stopped is None:
            evaluation = trained.evaluate(dataset)
            pictures = _pictures(folder, dataset, trained, evaluation)
    except KeyboardInterrupt as error:
        trained = trained._replace(stopped=error)
    write_metrics(folder, _metrics(job, dataset, trained, evaluation))
    if evaluation is None or trained.stopped is not None:
        _leave_early(folder, job, trained)
    else:
        print_trained(folder, [MODEL, HISTORY, METRICS, *pictures], dataset, trained, evaluation)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM raises `Terminated`, as it does in `fit`: the last line can still be written."""

    def raise_terminated(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _metrics(job: Job, dataset: Dataset, trained: Trained, evaluation: Evaluation | None) -> dict[str, Any]:
    last = trained.history.rows[-1] if len(trained.history) else {}
    return {
        "test_accuracy": None if evaluation is None else evaluation.accuracy,
        "test_loss": None if evaluation is None else evaluation.loss,
        "val_accuracy": last.get("val_accuracy"),
        "val_loss": last.get("val_loss"),
        "interrupted": isinstance(trained.stopped, KeyboardInterrupt),
        "stopped": None if trained.stopped is None else str(trained.stopped) or type(trained.stopped).__name__,
        "dataset": job.source,
        "train_images": len(dataset.train.x),
        "test_images": len(dataset.test.x),
        "parameters": sum(array.size for array in trained.model.params.values()),
        "seconds": round(trained.seconds, 3),
        "seed": job.seed,
        "shards": job.shards,
        "command": job.command,
        **job.recipe._asdict(),
        "epochs": len(trained.history),
    }


def _pictures(folder: Path, dataset: Dataset, trained: Trained, evaluation: Evaluation) -> list[str]:
    from ..insight import save_run_pictures

    files = save_run_pictures(
        folder=folder,
        model=trained.model,
        history=trained.history,
        evaluation=evaluation,
        x=scale(dataset.test.x, maximum=dataset.maximum),
        y=dataset.test.y,
        classes=dataset.classes,
        prepare=trained.normalization.apply,
    )
    return [file.name for file in files]


def _leave_early(folder: Path, job: Job, trained: Trained) -> None:
    """One sentence, the command that goes on, and the exit code."""
    done = f"{len(trained.history)} of {job.recipe.epochs} epochs"
    if not isinstance(trained.stopped, KeyboardInterrupt):
        say(f"stopped after {done}: {trained.stopped}; the model and its history are in {folder}")
        raise typer.Exit(FAILURE)  # to go on would lead to the same end
    goes_on = "; this goes on:" if job.checkpoints else ""
    say(f"interrupted after {done}; the model as it is, its history and figures are in {folder}{goes_on}")
    if job.checkpoints:
        typer.echo(resume_command(folder), err=True)
    raise typer.Exit(TERMINATED if isinstance(trained.stopped, Terminated) else INTERRUPTED)
