"""`cnn show`: pictures of what a trained model has learned, and of what it makes of an image."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .choices import What

if TYPE_CHECKING:
    from .scene import Scene


USUAL = (What.FILTERS, What.MAPS, What.TRACE, What.ATTRIBUTIONS)
"""What is drawn if nothing is asked for."""

_USUALLY = f"If not given: {', '.join(USUAL)}."

FOLDER = "show"


def show(
    run: Annotated[Path, typer.Argument(help="The folder of a run, or its model.safetensors.", show_default=False)],
    image: Annotated[
        Path | None,
        typer.Argument(help="A picture file of any size or colour; without it, a test image.", show_default=False),
    ] = None,
    what: Annotated[
        list[What] | None,
        typer.Option(metavar="KIND", help=f"One of the above, or all; may be repeated. {_USUALLY}", show_default=False),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Which layer, as in [bold]cnn summary RUN[/bold].", show_default=False),
    ] = None,
    of_class: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="K",
            help="Which class; if not given, the one the image is taken for (trace: the right one).",
        ),
    ] = None,
    index: Annotated[
        int | None, typer.Option(min=0, help="Which test image; the first that is read right if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures; RUN/show if not given.", show_default=False)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data set lies, or is downloaded to; an existing folder.")
    ] = None,
) -> None:
    """Draw what a trained model has learned, and what it makes of an image.

    [bold]filters[/bold], [bold]maps[/bold]: its weights; an image on its way through the layers

    [bold]trace[/bold]: the same, and the gradients on their way back; also in figures, as trace.csv

    [bold]saliency[/bold], [bold]guided[/bold], [bold]integrated[/bold], [bold]smoothgrad[/bold]: where a class is seen

    [bold]occlusion[/bold], [bold]gradcam[/bold]: by covering, and in maps; [bold]attributions[/bold]: all six

    [bold]activation[/bold], [bold]inversion[/bold]: images that excite units most; what layers know of an image

    [bold]patches[/bold]: what excites the units of a layer most in the test images

    [bold]embedding[/bold]: the test images as points in the plane

    [bold]Examples[/bold]

    cnn show runs/digits-1

    cnn show runs/mnist-1 photo.jpg --what gradcam --what trace --class 7

    cnn show runs/mnist-1 --what filters --layer conv2 --out pictures
    """
    from .errors import FAILURE, say
    from .own_data import OwnData
    from .requests import check_layer, class_number, layer_keys
    from .run_folder import picture_folder
    from .saved_run import load_run
    from .scene import KINDS, Scene

    found = load_run(run)
    if layer is not None:
        check_layer(layer, layer_keys(found.model))
    scene = Scene(
        found,
        OwnData(found, data_dir),
        picture=image,
        index=index,
        layer=layer,
        target=class_number(of_class, found.classes),
    )
    names, choosy = _wanted(what or [])
    _check_meant(names, {"--layer": layer, "--class": of_class})
    if any(KINDS[name].of_image for name in names):
        _say_subject(scene)
    with picture_folder(found.path.parent / FOLDER if out is None else out) as folder:
        left_out = _draw_all(scene, names, folder, choosy)
    for reason, kinds in left_out.items():
        say(f"left out {', '.join(kinds)}: {reason}")
    if sum(map(len, left_out.values())) == len(names):
        raise typer.Exit(FAILURE)


def _wanted(what: Sequence[What]) -> tuple[list[str], bool]:
    """Names of kinds, and whether those that make no sense here are left out."""
    if What.ALL in what:
        return [kind for kind in What if kind is not What.ALL], True
    return list(dict.fromkeys(what or USUAL)), not what


def _check_meant(names: Sequence[str], options: dict[str, str | None]) -> None:
    """Raise ValueError for an option that says nothing to any of the pictures asked for."""
    from .scene import KINDS

    for option, value in options.items():
        told = [name for name, kind in KINDS.items() if (kind.by_layer if option == "--layer" else kind.by_class)]
        if value is not None and not set(told) & set(names):
            raise ValueError(f"{option} says nothing to {', '.join(names)}; it is for {', '.join(told)}")


def _say_subject(scene: Scene) -> None:
    """Which image it is; the pictures that need it say why it is not to be had, if nobody has named it."""
    unnamed = scene.picture is None and scene.index is None
    with contextlib.suppress(*((OSError,) if unnamed else ())):
        typer.echo(scene.subject.told(scene.run.classes))


def _draw_all(scene: Scene, names: Sequence[str], folder: Path, choosy: bool) -> dict[str, list[str]]:
    """Write the pictures, and say what each shows; those that are left out, by the reason."""
    from ..insight import save_figure
    from .errors import sentence
    from .output import print_written
    from .scene import KINDS

    left_out: dict[str, list[str]] = {}
    for name in names:
        try:
            figure = KINDS[name].draw(scene)
        except (OSError, ValueError) as error:  # no such layer, no such data
            if not choosy:
                raise
            left_out.setdefault(sentence(error), []).append(name)
        else:
            print_written(save_figure(figure, folder / f"{name}.png"), figure.get_suptitle())
            if name == What.TRACE:
                _write_table(scene, folder / "trace.csv")
    return left_out


def _write_table(scene: Scene, file: Path) -> None:
    """What was traced, in figures."""
    from ..formats import write_atomically
    from .output import print_written

    write_atomically(file, scene.trace.table().to_csv(index=False))
    print_written(file, "shapes, parameters, sums and gradients of every layer")
