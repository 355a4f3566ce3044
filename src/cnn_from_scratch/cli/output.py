"""What the commands print."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ..data import Dataset
from ..training import Evaluation
from ..typing import Array
from .training_run import Trained

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 500
MOST_COLUMNS, SHORT = 20, 5
"""A confusion matrix with more classes is no longer read; longer names are numbered above it."""


def console() -> Console:
    """For the standard output as it is now; lines are not broken, however narrow the terminal."""
    return Console(soft_wrap=True, highlight=False, width=WIDTH)


def print_trained(
    folder: Path, files: Sequence[str], dataset: Dataset, trained: Trained, evaluation: Evaluation
) -> None:
    """The end of a training: how good, how long, where, and what next."""
    out = console()
    accuracy = 100 * (evaluation.accuracy or 0.0)
    out.print(f"\n[bold]{accuracy:.2f} %[/bold] of {evaluation.examples:,} test images are read right.")
    table = plain_table("", "")
    table.add_row("test loss", f"{evaluation.loss:.4f}")
    if trained.history.rows and "val_accuracy" in trained.history.rows[-1]:
        table.add_row("validation accuracy", f"{100 * trained.history['val_accuracy'][-1]:.2f} %")
    parameters = sum(array.size for array in trained.model.params.values())
    table.add_row("parameters", f"{parameters:,}")
    epochs = len(trained.history)
    table.add_row("training", f"{epochs} epoch{'' if epochs == 1 else 's'} in {trained.seconds:.1f} s")
    table.add_row("folder", str(folder))
    table.add_row("files", ", ".join(files))
    print_table(table)
    run = shlex.quote(str(folder))
    commands = (f"cnn predict {run} image.png", f"cnn evaluate {run}", f"cnn show {run}")
    out.print("\nNext: " + "  or  ".join(f"[bold]{command}[/bold]" for command in commands))


def plain_table(*columns: str) -> Table:
    """No lines, the first column to the left, numbers to the right."""
    table = Table(box=None, pad_edge=False, show_header=any(columns), header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 or not any(columns) else "right", no_wrap=True)
    return table


def print_table(table: Table) -> None:
    """On the standard output, without the blanks that fill the last column."""
    out = console()
    with out.capture() as printed:
        out.print(table)
    for line in printed.get().splitlines():
        typer.echo(line.rstrip())


def print_evaluation(evaluation: Evaluation, classes: Sequence[str]) -> None:
    """Loss, accuracy, top-k, confusion, and precision, recall and F1 of each class."""
    out = console()
    table = plain_table("", "")
    table.add_row("test images", f"{evaluation.examples:,}")
    table.add_row("loss", f"{evaluation.loss:.4f}")
    table.add_row("accuracy", f"{100 * (evaluation.accuracy or 0.0):.2f} %")
    for k in (2, 3, 5):
        if k < len(classes):
            table.add_row(f"top-{k} accuracy", f"{100 * evaluation.top_k(k):.2f} %")
    print_table(table)
    if len(classes) <= MOST_COLUMNS:
        out.print("\n[bold]Confusion[/bold]: a row for each true class, a column for what it was taken for")
        short = list(classes) if max(map(len, classes)) <= SHORT else [str(k) for k in range(len(classes))]
        long = [f"{k} {name}" if name != k else name for k, name in zip(short, classes, strict=True)]
        print_table(_frame_table(evaluation.confusion().set_axis(long).set_axis(short, axis=1), ""))
    out.print("\n[bold]Classes[/bold]")
    print_table(_frame_table(evaluation.per_class(classes), ""))


def _frame_table(frame: pd.DataFrame, corner: str) -> Table:
    table = plain_table(corner, *map(str, frame.columns))
    for name, row in zip(frame.index, frame.itertuples(index=False), strict=True):
        table.add_row(str(name), *(f"{value:.4f}" if isinstance(value, float) else f"{value}" for value in row))
    return table


def print_prediction(name: str, probabilities: Array, classes: Sequence[str], top: int) -> None:
    """The likeliest classes of one picture."""
    best = np.argsort(-probabilities, kind="stable")[:top]
    said = [f"{classes[k]} {100 * probabilities[k]:.1f} %" for k in best]
    console().print(f"{name}: [bold]{said[0]}[/bold]" + "".join(f", {text}" for text in said[1:]))


def print_image(image: Array) -> None:
    """What the network sees, (C, H, W) in [0, 1], two rows of pixels in a line of text."""
    grey = image.mean(0)
    H, W = grey.shape
    rows = np.pad(grey, ((0, H % 2), (0, 0)))
    shades = " ░▒▓█"
    lines = (rows[0::2] + rows[1::2]) / 2
    for line in np.clip((lines * len(shades)).astype(int), 0, len(shades) - 1):
        console().print("".join(shades[level] for level in line), markup=False)


def print_written(file: Path, shows: str) -> None:
    """A file, and what is seen in it."""
    typer.echo(f"{file}  {' '.join(shows.split())}")
