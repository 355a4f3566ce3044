"""The command `cnn` and its parts."""

from __future__ import annotations

from typing import Annotated

import typer

from .check import check
from .data import data
from .errors import PlainErrors
from .evaluate import evaluate
from .explain import explain
from .export import export
from .import_model import import_model
from .predict import predict
from .report import report
from .show import show
from .summary import summary
from .train import train

app = typer.Typer(
    cls=PlainErrors,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: [bold]cnn train[/bold]",
)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"cnn-from-scratch {__version__}")
        raise typer.Exit


@app.callback()
def cnn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the code an error arose (also after the command).")
    ] = False,
) -> None:
    """Convolutional networks with glass walls: train them, try them, look inside. NumPy all the way down."""


app.command()(train)
app.command()(evaluate)
app.command()(predict)
app.command()(show)
app.command()(explain)
app.command()(report)
app.command()(summary)
app.command("import")(import_model)
app.command()(export)
app.command()(data)
app.command()(check)
