"""What is written and said after every epoch of a training from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ..training import Callback, Progress
from .run_folder import write_history


class HistoryFile(Callback):
    """Keeps history.csv up to date."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        """Write it, with the new row."""
        write_history(self.folder, progress.history)
        return False


class LinePerEpoch(Callback):
    """Where there is no terminal for a bar that moves; there it is silent, so that the callbacks are the same."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        """Print the new row of the history."""
        if self.silent:
            return False
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        figures = "  ".join(f"{name} {row[name]:.4f}" for name in names if name in row)
        typer.echo(f"epoch {row['epoch']}/{progress.epochs}  {figures}  {row['seconds']:.1f} s", err=True)
        return False
