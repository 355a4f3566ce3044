"""`cnn check`: a learner's solutions of the exercises, judged; hints and the library's own where they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..exercises.exercise import Exercise


def check(
    name: Annotated[
        str | None, typer.Argument(help="Which exercise; without it, all of them.", show_default=False)
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where your files are.")] = Path("exercises"),
    new: Annotated[
        bool, typer.Option("--new", help="Write the files that you begin with; those that are there stay as they are.")
    ] = False,
    hint: Annotated[
        int | None, typer.Option(min=1, max=3, help="Show a hint: 1 is a nudge, 3 nearly the code.", show_default=False)
    ] = None,
    solution: Annotated[bool, typer.Option("--solution", help="Say where the library does it.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long one call of your function may take.")] = 10.0,
) -> None:
    """Check the exercises: write the heart of a CNN yourself, and hear what is wrong, where, and why.

    Your functions run rung by rung up a ladder of cases, from one small enough for paper to one with everything.
    The first number that is wrong is taken apart, and if a classic mistake makes such numbers, it is named.

    [bold]Examples[/bold]

    cnn check --new

    cnn check

    cnn check im2col

    cnn check im2col --hint 1
    """
    from ..exercises import EXERCISES, check_file, find_exercise
    from .check_output import Progress, print_all, print_one, wrapped

    if name is None and (hint is not None or solution):
        raise typer.BadParameter("name the exercise, as in: cnn check im2col --hint 1", param_hint="NAME")
    chosen = [find_exercise(name)] if name is not None else list(EXERCISES.values())
    if new:
        _write(folder, [exercise.name for exercise in chosen])
        return
    if hint is not None:
        typer.echo("\n".join(wrapped(f"{chosen[0].name}, hint {hint} of 3: {chosen[0].hints[hint - 1]}")))
    if solution:
        _tell_solution(chosen[0])
    if hint is not None or solution:
        return
    with Progress(len(chosen)) as progress:
        verdicts = [progress.done(check_file(exercise.name, folder, seconds=seconds)) for exercise in chosen]
    if name is not None:
        print_one(verdicts[0], folder)
    else:
        print_all(verdicts, folder)
    if not all(verdicts):
        raise typer.Exit(1)


def _write(folder: Path, names: list[str]) -> None:
    """The stubs, and what to do with them."""
    import shlex

    from ..exercises import EXERCISES, write_stubs

    written = write_stubs(folder, names)
    for path in written:
        typer.echo(f"{path}  {EXERCISES[path.stem].summary}")
    kept = len(names) - len(written)
    if kept:
        typer.echo(f"{kept} file{' was' if kept == 1 else 's were'} there already and stay{'s' if kept == 1 else ''}.")
    where = "" if str(folder) == "exercises" else f" --folder {shlex.quote(str(folder))}"
    first = folder / f"{names[0]}.py"
    typer.echo(f"\nOpen {first}, write the function, and run: cnn check {names[0]}{where}")


def _tell_solution(exercise: Exercise) -> None:
    """File, line and function of the library's own."""
    import importlib
    import inspect

    typer.echo(f"{exercise.name}: the solution is the library itself.")
    for place in exercise.solution:
        module, function = place.split(":")
        found = getattr(importlib.import_module(f"cnn_from_scratch.{module}"), function)
        found = inspect.unwrap(found)
        typer.echo(f"{function}  {inspect.getsourcefile(found)}, line {inspect.getsourcelines(found)[1]}")
