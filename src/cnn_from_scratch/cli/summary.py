"""`cnn summary`: the layers of a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer


def summary(
    model: Annotated[
        str | None,
        typer.Argument(help="A run, an ONNX file, or the name of a network; alone, all networks.", show_default=False),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="Shape of an image, as in 3x64x64.", show_default=False),
    ] = None,
) -> None:
    """List the layers of a model: output shapes, parameters, multiply-adds, memory.

    [bold]Examples[/bold]

    cnn summary

    cnn summary resnet20 --input 3x64x64

    cnn summary runs/digits-1

    cnn summary network.onnx
    """
    from ..layers import summarize
    from ..models import MODELS
    from .catalogue import usual_input
    from .model_file import is_foreign
    from .saved_run import load_run

    wanted = None if shape is None else read_shape(shape)
    if model is None:
        _list_models()
    elif model in MODELS:
        size = wanted or usual_input(model)
        typer.echo(summarize(MODELS[model](in_channels=size[0]), size))
    elif is_foreign(Path(model)) and Path(model).is_file():
        _summarize_file(Path(model), wanted)
    else:
        try:
            run = load_run(model)
        except FileNotFoundError:
            raise FileNotFoundError(f"{model!r} is neither a run nor one of {', '.join(MODELS)}") from None
        typer.echo(summarize(run.model, wanted or run.input_shape))


def read_shape(text: str) -> tuple[int, int, int]:
    """A shape as in 3x64x64."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a shape as in 3x64x64.", param_hint="--input")
    C, H, W = map(int, found.groups())
    return C, H, W


def _summarize_file(path: Path, wanted: tuple[int, int, int] | None) -> None:
    """The nodes of a graph, which need not be a classifier of images."""
    from ..errors import FormatError
    from ..layers import summarize
    from .model_file import open_model

    found = open_model(path)
    shape = wanted or found.input_shape
    if shape is None:
        raise FormatError(f"{path}: does not say how large its input is; --input CxHxW does")
    typer.echo(summarize(found.model, shape))


def _list_models() -> None:
    """Every network with its size and its first sentence."""
    from ..models import IMAGENET_PARAMETERS, MODELS
    from .catalogue import usual_input
    from .output import plain_table, print_table

    table = plain_table("model", "input", "parameters")
    table.add_column("", justify="left")
    for name, make in MODELS.items():
        size = usual_input(name)
        parameters = IMAGENET_PARAMETERS.get(name)  # to make the largest of them takes seconds
        if parameters is None:
            parameters = sum(array.size for array in make(in_channels=size[0]).params.values())
        about = (make.__doc__ or "").split("\n")[0]
        table.add_row(name, "x".join(map(str, size)), f"{parameters:,}", about)
    print_table(table)
