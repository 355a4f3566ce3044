"""`cnn import`: a model that another program wrote becomes a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_model(
    model: Annotated[
        Path, typer.Argument(help="A file: .onnx, or weights as .pt, .pth or .safetensors.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the run, or a file .safetensors; runs/NAME-1 if not given.", show_default=False
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="The network that weights belong to.", show_default=False),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="Shape of an image, as in 3x224x224.", show_default=False),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="A text file with the name of a class in each line.", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="The data set that it was trained on: names of classes, preparation.", show_default=False),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted from images in 0..1, as in 0.5 or 0.4,0.4,0.4.", show_default=False)
    ] = None,
    std: Annotated[str | None, typer.Option(help="What they are then divided by.", show_default=False)] = None,
    prepare: Annotated[
        str | None, typer.Option(help="How pictures become images: mnist-digit, picture ...", show_default=False)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data set lies, or is downloaded to; an existing folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
) -> None:
    """Make a run of a model that another program wrote: predict with it, look inside, export it again.

    Nothing in the file is run.

    What it does not say about images can be said here; if not, classes are numbers, and pictures are scaled to 0..1.

    [bold]Examples[/bold]

    cnn import network.onnx --out runs/network

    cnn import resnet18.pth --model resnet18 --classes imagenet.txt

    cnn import mnist-8.onnx --data mnist --std 0.00392
    """
    from .foreign import foreign_run
    from .importing import print_imported, told_about, write_run

    told = told_about(
        network=network,
        shape=shape,
        classes=classes,
        data=data,
        mean=mean,
        std=std,
        prepare=prepare,
        data_dir=data_dir,
    )
    if not model.is_file():
        raise FileNotFoundError(f"there is no file {str(model)!r}")
    run, found = foreign_run(model, told)
    written = write_run(run, out, model.stem, force=force)
    print_imported(model, written, run, found.notes)
