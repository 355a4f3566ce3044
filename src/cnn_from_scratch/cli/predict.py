"""`cnn predict`: what a trained model takes pictures for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run, its model.safetensors, or an ONNX file.", show_default=False)
    ],
    images: Annotated[list[Path], typer.Argument(help="Picture files of any size or colour.", show_default=False)],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 3,
    show: Annotated[bool, typer.Option("--show", help="Draw what the network sees.")] = False,
    preprocessing: Annotated[
        str | None,
        typer.Option(help="How pictures become images, if the model does not say: imagenet ...", show_default=False),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A file with the names of the classes, text or JSON.", show_default=False)
    ] = None,
) -> None:
    """Say what is in pictures, and how sure the model is.

    Digits may be dark or light, of any size, anywhere in the picture: they are made to look as those of the training.

    [bold]Examples[/bold]

    cnn predict runs/mnist-1 photo.jpg

    cnn predict runs/mnist-1 scans/*.png --top 1 --show

    cnn predict network.onnx dog.jpg --preprocessing imagenet --labels imagenet_classes.txt
    """
    from .errors import FAILURE, USERS, say, sentence
    from .labels import read_labels
    from .output import print_image, print_prediction
    from .preprocessing import run_prepared_as
    from .saved_run import load_run

    found = load_run(run) if preprocessing is None else run_prepared_as(run, preprocessing)
    if labels is not None:
        found = found._replace(classes=read_labels(labels, len(found.classes)))
    failed = False
    for path in images:
        try:
            image = found.prepare(path)
        except USERS as error:  # the other pictures can still be read
            text = sentence(error)
            say(text if str(path) in text else f"{path}: {text}")
            failed = True
            continue
        if show:
            print_image(image)
        print_prediction(str(path), found.predict(image[None])[0], found.classes, top)
    if failed:
        raise typer.Exit(FAILURE)
