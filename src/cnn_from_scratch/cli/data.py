"""`cnn data`: get a data set, check it, count it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def data(
    name: Annotated[
        str, typer.Argument(help="digits, mnist, fashion-mnist, cifar10, or a folder of pictures.", show_default=False)
    ],
    data_dir: Annotated[
        Path | None, typer.Option(help="Where it lies, or is downloaded to; an existing folder.")
    ] = None,
) -> None:
    """Download a data set unless it is there, verify it, and count the images of every class.

    [bold]Examples[/bold]

    cnn data mnist --data-dir ~/datasets

    cnn data photos/
    """
    import numpy as np

    from .catalogue import LOADERS, load_dataset
    from .output import console, plain_table, print_table

    if name not in LOADERS and not Path(name).is_dir():
        raise typer.BadParameter(f"{name!r} is none of {', '.join(LOADERS)}, and no folder.", param_hint="name")
    dataset = load_dataset(name, data_dir=data_dir, size=(32, 32))
    out = console()
    out.print(str(dataset))
    out.print(f"lies in {_place(name, data_dir)}\n")
    table = plain_table("class", "training", "test")
    counts = [np.bincount(part.y, minlength=len(dataset.classes)) for part in (dataset.train, dataset.test)]
    for label, train, test in zip(dataset.classes, *counts, strict=True):
        table.add_row(label, f"{train:,}", f"{test:,}")
    table.add_row("all", f"{len(dataset.train.y):,}", f"{len(dataset.test.y):,}")
    print_table(table)


def _place(name: str, data_dir: Path | None) -> str:
    """Where the files are."""
    from ..data import cifar, mnist
    from ..data.places import data_root, find_file
    from .catalogue import LOADERS

    if name == "digits":
        return "the package itself"
    if name not in LOADERS:
        return str(Path(name).absolute())
    folder, first = (cifar.NAME, cifar.ARCHIVE.name) if name == "cifar10" else (name, mnist._FILES[0][0])
    file = find_file(data_root(data_dir), folder, first)
    return str((file or data_root(data_dir) / folder / first).parent.absolute())
