"""`cnn evaluate`: a trained model on the test images of its data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or its model.safetensors.", show_default=False)],
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data set lies, or is downloaded to; an existing folder.")
    ] = None,
) -> None:
    """Try a trained model on the test images: loss, accuracy, confusion, and every class.

    [bold]Example[/bold]

    cnn evaluate runs/digits-1
    """
    from ..training import evaluate as evaluate_model
    from .output import print_evaluation
    from .own_data import dataset_of
    from .saved_run import load_run
    from .source import PixelSource

    found = load_run(run)
    dataset = dataset_of(found, data_dir)
    source = PixelSource(dataset.test, dataset.maximum, found.normalization)
    print_evaluation(evaluate_model(found.model, source), found.classes)
