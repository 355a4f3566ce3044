"""`cnn explain`: one number of a trained model, taken apart into the products that it is the sum of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .choices import Blamed

if TYPE_CHECKING:
    from ..insight import Blame, Explanation
    from .saved_run import Run


def explain(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or its model.safetensors.", show_default=False)],
    image: Annotated[
        Path | None,
        typer.Argument(help="A picture file of any size or colour; without it, a test image.", show_default=False),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Which layer; without it, all of them are listed.", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="F,OH,OW", help="Which number, as in 3,10,7, or 5 of a linear layer.", show_default=False),
    ] = None,
    blame: Annotated[
        Blamed | None,
        typer.Option(help="Explain the gradient of the loss by this instead of the output.", show_default=False),
    ] = None,
    of_class: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="K",
            help="The class that the loss is measured by; if not given, the right one of a test image, "
            "the one that a picture is taken for.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        int | None, typer.Option(min=0, help="Which test image; the first that is read right if not given.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it as PNG or SVG.", show_default=False)
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all terms.", show_default=False)] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data set lies, or is downloaded to; an existing folder.")
    ] = None,
) -> None:
    """Show the arithmetic of one number: what it sees of the image, every product, and their sum.

    Of a convolution it is filter F at row OH and column OW of its output.

    With --blame it is a number of a gradient: of a weight (--at F,C,KH,KW), a bias (--at F), an input (--at C,H,W).

    The layer called [bold]loss[/bold] is the loss itself.

    [bold]Examples[/bold]

    cnn explain runs/digits-1

    cnn explain runs/mnist-1 photo.png --layer conv1 --at 3,10,7

    cnn explain runs/mnist-1 --layer conv2 --blame weight --at 5,0,1,1 --picture blame.png
    """
    from .one_number import is_loss, take_apart
    from .own_data import OwnData
    from .requests import class_number
    from .saved_run import load_run
    from .scene import Scene

    if picture is not None and picture.suffix not in (".png", ".svg"):
        raise typer.BadParameter(f"{str(picture)!r} ends neither in .png nor in .svg.", param_hint="--picture")
    found = load_run(run)
    if layer is None:
        _list_layers(found, blame)
        return
    target = class_number(of_class, found.classes)
    scene = Scene(found, OwnData(found, data_dir), picture=image, index=index, target=target)
    told = take_apart(scene.trace, layer, at, blame)
    typer.echo(scene.subject.told(found.classes))
    if blame is not None or is_loss(scene.trace, layer):
        typer.echo(f"the loss is cross-entropy with class {found.classes[scene.right]}")
    typer.echo()
    for line in str(told).splitlines():
        typer.echo(line.rstrip())
    _write_files(told, picture, csv)


def _write_files(told: Explanation | Blame, picture: Path | None, csv: Path | None) -> None:
    """The picture and the table that are wanted."""
    from ..formats import write_atomically
    from ..insight import save_figure
    from .output import print_written

    if picture is not None or csv is not None:
        typer.echo()
    if picture is not None:
        figure = told.plot()
        print_written(save_figure(figure, picture), figure.get_suptitle())
    if csv is not None:
        write_atomically(csv, told.to_frame().to_csv(index=False))
        print_written(csv, f"{len(told.amounts)} terms")


def _list_layers(run: Run, blamed: Blamed | None) -> None:
    """What can be asked for; that is the same for every image."""
    import numpy as np

    from ..insight import trace
    from .one_number import numbers_of
    from .output import plain_table, print_table

    table = plain_table("layer", "--at", "first", "last")
    table.add_column("", justify="left")
    blank = trace(run.model, np.zeros((1, *run.input_shape), run.model.dtype))
    for key, seen in blank.layers.items():
        found = numbers_of(blank, key, blamed)
        if found is not None:
            last = ",".join(str(size - 1) for size in found.shape)
            first = ",".join("0" for _ in found.shape)
            table.add_row(key, ",".join(found.axes), first, last, type(seen.layer).__name__)
    typer.echo(f"Name a layer by --layer, and a number of its {blamed or 'output'} by --at:\n")
    print_table(table)
