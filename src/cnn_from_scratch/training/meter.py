"""Running figures of an epoch, and the bar that shows them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..ops.checks import check_switch
from .step import StepResult


class Meter:
    """Means over the examples of an epoch so far."""

    def __init__(self, loss: str) -> None:
        self.loss_name = loss
        self._started = time.perf_counter()
        self._loss, self._correct, self.examples = 0.0, 0, 0
        self._counts_correct = True

    def add(self, result: StepResult) -> None:
        """Take one step into account."""
        self._loss += result.loss * result.examples
        self.examples += result.examples
        if result.correct is None:
            self._counts_correct = False
        else:
            self._correct += result.correct

    @property
    def seconds(self) -> float:
        """Since the epoch began."""
        return time.perf_counter() - self._started

    @property
    def images_per_second(self) -> float:
        """Since the epoch began."""
        return self.examples / max(self.seconds, 1e-9)

    def state_dict(self) -> dict[str, Any]:
        """The sums, for a checkpoint."""
        return {
            "loss": self._loss,
            "correct": self._correct,
            "examples": self.examples,
            "counts_correct": self._counts_correct,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the sums that `state_dict` gave.

        Raises
        ------
        ValueError
            If they are not such sums.
        """
        kinds = {"loss": float, "correct": int, "examples": int, "counts_correct": bool, "seconds": float}
        if {name: type(value) for name, value in state.items()} != kinds:
            raise ValueError(f"Meter.load_state_dict: state must have {', '.join(kinds)}, got {dict(state)!r:.80}")
        self._loss, self._correct, self.examples = state["loss"], state["correct"], state["examples"]
        self._counts_correct = state["counts_correct"]
        self._started = time.perf_counter() - state["seconds"]

    def row(self) -> dict[str, Any]:
        """Loss, and accuracy where targets are class indices."""
        row: dict[str, Any] = {"loss": self._loss / max(self.examples, 1)}
        if self._counts_correct:
            row["accuracy"] = self._correct / max(self.examples, 1)
        row["images_per_second"] = self.images_per_second
        return row


class Bar:
    """A progress bar over the examples of each epoch; it counts the time that is left in the epoch."""

    def __init__(self, show: bool, examples: int, epochs: int) -> None:
        self._show, self._examples, self._epochs = show, examples, epochs
        self._bar: Any = None

    def start_epoch(self, epoch: int, done: int = 0) -> None:
        """A new line; so many examples were done before an interruption."""
        if self._show:
            from tqdm.auto import tqdm

            self.close()
            self._bar = tqdm(
                total=self._examples,
                initial=done,
                desc=f"epoch {epoch:>{len(str(self._epochs))}}/{self._epochs}",
                unit=" images",
                unit_scale=True,
                file=sys.stderr,
                dynamic_ncols=True,
                mininterval=0.2,
            )

    def advance(self, examples: int, meter: Meter) -> None:
        """Move on, with the figures so far."""
        if self._bar is not None:
            self._bar.set_postfix(_shown(meter.row()), refresh=False)
            self._bar.update(examples)

    def end_epoch(self, row: dict[str, Any]) -> None:
        """The line that stays."""
        if self._bar is not None:
            self._bar.set_postfix(_shown(row), refresh=True)
            self.close()

    def close(self) -> None:
        """Leave the line as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _shown(row: dict[str, Any]) -> dict[str, str]:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return {name: f"{row[name]:.4f}" for name in names if name in row}


@contextmanager
def progress_bar(show: bool, examples: int, epochs: int) -> Iterator[Bar]:
    """A bar that is closed whatever happens."""
    check_switch("fit", "progress", show)
    bar = Bar(show, examples, epochs)
    try:
        yield bar
    finally:
        bar.close()
