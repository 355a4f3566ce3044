"""`cnn report`: everything about a run in one HTML file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer


def report(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run, its model.safetensors, or an ONNX file.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page; RUN/report.html if not given.", show_default=False)
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=60, help="How many mistakes are shown.")] = 12,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data set lies, or is downloaded to; an existing folder.")
    ] = None,
) -> None:
    """Write one page about a run: architecture, curves, filters, feature maps, mistakes, gradients, one number.

    The file is complete in itself: it loads nothing and runs nothing, so it can be sent, archived and printed.

    [bold]Examples[/bold]

    cnn report runs/digits-1

    cnn report network.onnx --out network.html
    """
    from ..formats import write_atomically
    from ..insight.report import report_html
    from .output import print_written
    from .report_material import collect
    from .saved_run import load_run

    found = load_run(run)
    file = out or _beside(found.path)
    if file.is_dir():
        raise IsADirectoryError(f"--out {file} is a folder; name a file in it")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(file.parent)!r} for the report")
    with _progress() as say:
        say("The test images")
        material = collect(found, data_dir, mistakes=images)
        page = report_html(material, say)
        write_atomically(file, page)
    print_written(file, f"report of {material.name}, {len(page.encode()) / 1e6:.2f} MB")


def _beside(model: Path) -> Path:
    """Where a report is looked for: in the folder of a run, or beside another program's file, under its name."""
    from .run_folder import MODEL

    return model.parent / "report.html" if model.name == MODEL else model.with_name(f"{model.stem}-report.html")


@contextmanager
def _progress() -> Iterator[Any]:
    """A line on a terminal that says what is being made, and is gone at the end; elsewhere nothing."""
    from rich.console import Console

    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda title: None
        return
    with console.status("") as status:
        yield lambda title: status.update(f"{title} ...")
