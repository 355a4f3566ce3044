"""A training from the command line: load, train, write the folder, say what came of it."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer

from ..data import Dataset, scale
from ..formats import save_model
from ..layers import Sequential
from ..parallel import default_shards
from ..training import Callback, Evaluation, Progress
from .catalogue import LOADERS, load_dataset
from .errors import FAILURE, INTERRUPTED, say
from .output import print_trained
from .recipes import Recipe
from .run_folder import HISTORY, METRICS, MODEL, new_run_folder, write_history, write_metrics
from .saved_run import run_metadata
from .training_run import Trained, build_model, fit_recipe


class Job(NamedTuple):
    """What is to be done."""

    dataset: str
    recipe: Recipe
    seed: int
    shards: int | None
    data_dir: Path | None
    size: tuple[int, int]  # for the pictures of a folder

    @property
    def source(self) -> str:
        """Where `cnn evaluate` finds the data again."""
        return self.dataset if self.dataset in LOADERS else str(Path(self.dataset).absolute())

    @property
    def command(self) -> str:
        """The command that does it again, whatever recipes may become."""
        words = ["cnn", "train", self.dataset]
        for name, value in self.recipe._asdict().items():
            if name == "preparation" or value is None or value is False or (name == "early_stopping" and not value):
                continue
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        words += ["--size", str(self.size[0])] if self.dataset not in LOADERS else []
        return shlex.join([*words, "--seed", str(self.seed), "--shards", str(self.shards or default_shards())])


def train_job(job: Job, out: Path | None, *, force: bool) -> None:
    """Train, and leave a folder. Leaves the program with 130 after Ctrl-C, and with 1 if the numbers went astray."""
    dataset = load_dataset(job.dataset, data_dir=job.data_dir, size=job.size)
    model = build_model(job.recipe, dataset, seed=job.seed)
    name = job.dataset if job.dataset in LOADERS else Path(job.dataset).resolve().name
    with new_run_folder(out, name, force=force) as folder, sigterm_like_ctrl_c():
        trained = _fit(job, dataset, model)
        _keep(folder, job, dataset, trained)
        evaluation = None
        try:
            if trained.stopped is None:
                evaluation = trained.evaluate(dataset)
        except KeyboardInterrupt as error:
            trained = trained._replace(stopped=error)
        write_metrics(folder, _metrics(job, dataset, trained, evaluation))
        if evaluation is None:
            _leave_early(folder, job.recipe.epochs, trained)
        else:
            pictures = _pictures(folder, dataset, trained, evaluation)
            print_trained(folder, [MODEL, HISTORY, METRICS, *pictures], dataset, trained, evaluation)


def _fit(job: Job, dataset: Dataset, model: Sequential) -> Trained:
    """Train, with a bar on a terminal and a line for each epoch elsewhere."""
    on_terminal = sys.stderr.isatty()
    return fit_recipe(
        job.recipe,
        dataset,
        model,
        seed=job.seed,
        shards=job.shards,
        callbacks=[] if on_terminal else [LinePerEpoch()],
        progress=on_terminal,
    )


class LinePerEpoch(Callback):
    """Where there is no terminal for a bar that moves."""

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        """Print the new row of the history."""
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        figures = "  ".join(f"{name} {row[name]:.4f}" for name in names if name in row)
        typer.echo(f"epoch {row['epoch']}/{progress.epochs}  {figures}  {row['seconds']:.1f} s", err=True)
        return False


@contextmanager
def sigterm_like_ctrl_c() -> Iterator[None]:
    """Being told to end is no reason to lose what was learned."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- what is kept ---------------------------------------------------------------------------------------------------


def _keep(folder: Path, job: Job, dataset: Dataset, trained: Trained) -> None:
    """The model and its history, before anything else can go wrong."""
    shape = dataset.train.x.shape[1:]
    preparation = job.recipe.preparation
    metadata = run_metadata(job.source, dataset.classes, shape, trained.normalization, preparation)
    save_model(trained.model, folder / MODEL, metadata=metadata)
    write_history(folder, trained.history)


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
        "shards": job.shards or default_shards(),
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


def _leave_early(folder: Path, epochs: int, trained: Trained) -> None:
    """One sentence, and the exit code."""
    done = f"{len(trained.history)} of {epochs} epochs"
    if isinstance(trained.stopped, KeyboardInterrupt):
        say(f"interrupted after {done}; the model as it is, its history and figures are in {folder}")
        raise typer.Exit(INTERRUPTED)
    say(f"stopped after {done}: {trained.stopped}; the model and its history are in {folder}")
    raise typer.Exit(FAILURE)
