"""`cnn train`: a network on a data set, and a folder with all that came of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class OptimizerName(StrEnum):
    """See `cnn_from_scratch.optim`."""

    ADAM = "adam"
    ADAMW = "adamw"
    SGD = "sgd"
    RMSPROP = "rmsprop"


class ScheduleName(StrEnum):
    """How the learning rate changes from step to step."""

    ONE_CYCLE = "one-cycle"
    COSINE = "cosine"
    STEP = "step"
    CONSTANT = "constant"


RECIPE, RUN, CHOICE = "What is trained, and how", "The run", "Choosing by the validation images"


def _below_one(value: float | None) -> float | None:
    if value is not None and not 0 <= value < 1:
        raise typer.BadParameter(f"must lie in [0, 1), got {value}.")
    return value


def train(
    dataset: Annotated[
        str, typer.Argument(help="digits, mnist, fashion-mnist, cifar10, or a folder with one folder for each class.")
    ] = "digits",
    model: Annotated[
        str | None, typer.Option(help="The network; [bold]cnn summary[/bold] lists them.", rich_help_panel=RECIPE)
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times through all images.", rich_help_panel=RECIPE)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images in a step.", rich_help_panel=RECIPE)] = None,
    optimizer: Annotated[
        OptimizerName | None, typer.Option(help="How gradients are followed.", rich_help_panel=RECIPE)
    ] = None,
    lr: Annotated[
        float | None, typer.Option(min=0, help="Learning rate; the highest one of a schedule.", rich_help_panel=RECIPE)
    ] = None,
    schedule: Annotated[
        ScheduleName | None, typer.Option(help="How the learning rate changes.", rich_help_panel=RECIPE)
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="How training images are varied: none, affine-8, affine-28, shift, flip, flip-crop-2, flip-crop-4.",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    no_augment: Annotated[
        bool, typer.Option("--no-augment", help="The same as --augment none.", rich_help_panel=RECIPE)
    ] = False,
    dropout: Annotated[
        float | None,
        typer.Option(
            callback=_below_one, help="Share in [0, 1) dropped before the last layer.", rich_help_panel=RECIPE
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            callback=_below_one, help="Share in [0, 1) of the target spread over all classes.", rich_help_panel=RECIPE
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(min=0, help="Pull of the weights towards zero.", rich_help_panel=RECIPE)
    ] = None,
    average: Annotated[
        float | None,
        typer.Option(
            callback=_below_one,
            help="Decay in [0, 1) of the moving average of the weights; 0 for none.",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(min=4, help="Side to which the pictures of a folder are scaled.", rich_help_panel=RECIPE)
    ] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Decides all that is random.", rich_help_panel=RUN)] = 0,
    shards: Annotated[
        int | None, typer.Option(min=1, help="Parts that a batch is cut into; one for each core.", rich_help_panel=RUN)
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where the data set lies, or is downloaded to; an existing folder.", rich_help_panel=RUN),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the run; by default runs/DATASET-1, -2 ...", rich_help_panel=RUN)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over the run in --out.", rich_help_panel=RUN)] = False,
    validation: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Share of the training images held out; 0 for none.", rich_help_panel=CHOICE),
    ] = None,
    best_weights: Annotated[
        bool, typer.Option("--best-weights", help="Keep the weights of the best epoch.", rich_help_panel=CHOICE)
    ] = False,
    early_stopping: Annotated[
        int | None,
        typer.Option(min=1, metavar="EPOCHS", help="Stop after so many without progress.", rich_help_panel=CHOICE),
    ] = None,
) -> None:
    """Train a network, and leave a folder with the model, its history, figures and pictures.

    Without options every data set is trained by its own recipe; the digits come with the package and take seconds.
    The test images are looked at once, at the end. Ctrl-C ends the training and keeps what there is.

    [bold]Examples[/bold]

    cnn train

    cnn train mnist --epochs 10 --out runs/mnist-long

    cnn train cifar10 --model resnet20 --optimizer sgd --lr 0.1

    cnn train photos/ --size 64 --early-stopping 5
    """
    from ..models import MODELS
    from .catalogue import LOADERS, recipe_name
    from .job import Job, train_job
    from .recipes import AUGMENTATIONS, RECIPES, changed_recipe

    if dataset not in LOADERS and not Path(dataset).is_dir():
        raise typer.BadParameter(f"{dataset!r} is none of {', '.join(LOADERS)}, and no folder.", param_hint="dataset")
    for option, value, known in (("--model", model, MODELS), ("--augment", augment, AUGMENTATIONS)):
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(known)}.", param_hint=option)
    if no_augment and augment is not None:
        raise typer.BadParameter(f"contradicts --augment {augment}; give one of them.", param_hint="--no-augment")
    given: dict[str, Any] = {
        "model": model,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer and optimizer.value,
        "lr": lr,
        "schedule": schedule and schedule.value,
        "augment": "none" if no_augment else augment,
        "dropout": dropout,
        "label_smoothing": label_smoothing,
        "weight_decay": weight_decay,
        "average": average,
        "validation": validation,
        "best_weights": best_weights or None,
        "early_stopping": early_stopping,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    recipe = changed_recipe(RECIPES[recipe_name(dataset)], changes)
    parts = _shards(shards, recipe.batch_size)
    train_job(Job(dataset, recipe, seed, parts, data_dir, (size, size)), out, force=force)


def _shards(given: int | None, batch_size: int) -> int:
    """Parts that a batch is cut into: one for each core, as far as there are images, unless told otherwise."""
    from ..parallel import default_shards

    cores = default_shards()
    if given is None:
        return min(cores, batch_size)
    if given > batch_size:
        raise typer.BadParameter(f"{given} shards cannot share a batch of {batch_size}.", param_hint="--shards")
    if given > 4 * cores:
        raise typer.BadParameter(
            f"{given} shards are too many here; at most {4 * cores}, 4 for each core.", param_hint="--shards"
        )
    return given
