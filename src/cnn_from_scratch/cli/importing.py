"""What `cnn import` is told, and what it leaves."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import FormatError
from ..formats import save_model
from .catalogue import load_dataset, recipe_name
from .foreign import Told
from .output import console, plain_table, print_table
from .recipes import RECIPES
from .run_folder import MODEL, new_run_folder
from .saved_run import PREPARATIONS, Run, run_metadata
from .summary import read_shape

PICTURE = "picture"
MOST_CLASSES = 100_000


def told_about(
    *,
    network: str | None,
    shape: str | None,
    classes: Path | None,
    data: str | None,
    mean: str | None,
    std: str | None,
    prepare: str | None,
    data_dir: Path | None,
) -> Told:
    """The options of `cnn import`, read and checked.

    Raises
    ------
    ValueError
        If one of them is nothing of the kind.
    """
    names, preparation = (None if classes is None else read_classes(classes)), prepare
    if data is not None:
        names = names or load_dataset(data, data_dir=data_dir).classes
        preparation = preparation or RECIPES[recipe_name(data)].preparation
    if preparation not in (None, PICTURE, *PREPARATIONS):
        raise ValueError(f"--prepare {prepare}: there is no such way; there are {', '.join((PICTURE, *PREPARATIONS))}")
    return Told(
        network=network,
        input_shape=None if shape is None else read_shape(shape),
        classes=names,
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        preparation=preparation,
        dataset=data,
    )


def read_classes(path: Path) -> tuple[str, ...]:
    """One name in each line.

    Raises
    ------
    FormatError
        If it is no text, or a line is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: is no text") from error
    if not lines or len(lines) > MOST_CLASSES or not all(line.strip() for line in lines):
        raise FormatError(f"{path}: must have the name of a class in each of its lines, got {len(lines)} lines")
    return tuple(line.strip() for line in lines)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """One number, or several with commas between them."""
    if text is None:
        return None
    if not re.fullmatch(r"[-+.\de]+(,[-+.\de]+)*", text):
        raise ValueError(f"{option} {text}: must be one number, or one for each channel, as in 0.4,0.5,0.6")
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{option} {text}: must be one number, or one for each channel, as in 0.4,0.5,0.6") from error


def write_run(run: Run, out: Path | None, name: str, *, force: bool) -> Path:
    """Save the model with what is known about its images: into a folder, or as the file that is named.

    Raises
    ------
    FileExistsError
        If it is there already, and `force` was not given.
    """
    known = run_metadata(run.dataset, run.classes, run.input_shape, run.normalization, run.preparation)
    if out is not None and out.suffix == ".safetensors":
        if out.exists() and not force:
            raise FileExistsError(f"{out} is there already; --force writes over it")
        save_model(run.model, out, metadata=known)
        return out
    with new_run_folder(out, name, force=force) as folder:
        save_model(run.model, folder / MODEL, metadata=known)
    return folder


def print_imported(source: Path, written: Path, run: Run, notes: tuple[str, ...]) -> None:
    """What was found, how pictures are prepared, what was changed, where it is now."""
    table = plain_table("", "")
    table.add_row("model", str(source))
    table.add_row("parameters", f"{sum(array.size for array in run.model.params.values()):,}")
    table.add_row("images", "x".join(map(str, run.input_shape)))
    table.add_row("classes", f"{len(run.classes):,}: {', '.join(run.classes[:3])}{' ...' * (len(run.classes) > 3)}")
    table.add_row("pictures", f"prepared as {run.preparation}, then (x - {_told(run.normalization.mean)})"
                  f" / {_told(run.normalization.std)}")  # fmt: skip
    for note in notes:
        table.add_row("note", note)
    table.add_row("written", str(written))
    print_table(table)
    console().print(f"\nNext: [bold]cnn summary {written}[/bold]  or  [bold]cnn predict {written} image.png[/bold]")


def _told(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else f"({', '.join(f'{value:g}' for value in values)})"
