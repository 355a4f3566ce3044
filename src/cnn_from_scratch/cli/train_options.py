"""What `cnn train` can be told: every option with its limits and its help, and their names in a run's job.json."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

RECIPE, RUN, CHOICE = "What is trained, and how", "The run", "Choosing by the validation images"
GOING_ON = "Going on after an interruption"


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


def _below_one(value: float | None) -> float | None:
    if value is not None and not 0 <= value < 1:
        raise typer.BadParameter(f"must lie in [0, 1), got {value}.")
    return value


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"must be a finite number, got {value}.")
    return value


DatasetName: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        help="digits, mnist, fashion-mnist, cifar10, or a folder with one folder for each class.",
        show_default="digits",
    ),
]
Model: TypeAlias = Annotated[
    str | None, typer.Option(help="The network; [bold]cnn summary[/bold] lists them.", rich_help_panel=RECIPE)
]
Epochs: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Times through all images.", rich_help_panel=RECIPE)]
BatchSize: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Images in a step.", rich_help_panel=RECIPE)]
OptimizerOption: TypeAlias = Annotated[
    OptimizerName | None, typer.Option(help="How gradients are followed.", rich_help_panel=RECIPE)
]
Lr: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0, callback=_finite, help="Learning rate; the highest one of a schedule.", rich_help_panel=RECIPE),
]
ScheduleOption: TypeAlias = Annotated[
    ScheduleName | None, typer.Option(help="How the learning rate changes.", rich_help_panel=RECIPE)
]
Augment: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="How training images are varied: none, affine-8, affine-28, shift, flip, flip-crop-2, flip-crop-4.",
        rich_help_panel=RECIPE,
    ),
]
NoAugment: TypeAlias = Annotated[
    bool, typer.Option("--no-augment", help="The same as --augment none.", rich_help_panel=RECIPE)
]
Dropout: TypeAlias = Annotated[
    float | None,
    typer.Option(callback=_below_one, help="Share in [0, 1) dropped before the last layer.", rich_help_panel=RECIPE),
]
LabelSmoothing: TypeAlias = Annotated[
    float | None,
    typer.Option(
        callback=_below_one, help="Share in [0, 1) of the target spread over all classes.", rich_help_panel=RECIPE
    ),
]
WeightDecay: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0, callback=_finite, help="Pull of the weights towards zero.", rich_help_panel=RECIPE),
]
Average: TypeAlias = Annotated[
    float | None,
    typer.Option(
        callback=_below_one,
        help="Decay in [0, 1) of the moving average of the weights; 0 for none.",
        rich_help_panel=RECIPE,
    ),
]
Size: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=4, help="Side to which the pictures of a folder are scaled.", show_default="32", rich_help_panel=RECIPE
    ),
]
Seed: TypeAlias = Annotated[
    int | None, typer.Option(min=0, help="Decides all that is random.", show_default="0", rich_help_panel=RUN)
]
Shards: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Parts that a batch is cut into; one for each core.", rich_help_panel=RUN)
]
DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Where the data set lies, or is downloaded to; an existing folder.", rich_help_panel=RUN),
]
Out: TypeAlias = Annotated[
    Path | None, typer.Option(help="The folder of the run; by default runs/DATASET-1, -2 ...", rich_help_panel=RUN)
]
Force: TypeAlias = Annotated[
    bool,
    typer.Option("--force", help="Write over the run in --out: it is gone when this one begins.", rich_help_panel=RUN),
]
Validation: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=0.9,
        callback=_finite,
        help="Share of the training images held out; 0 for none.",
        rich_help_panel=CHOICE,
    ),
]
BestWeightsOption: TypeAlias = Annotated[
    bool, typer.Option("--best-weights", help="Keep the weights of the best epoch.", rich_help_panel=CHOICE)
]
Patience: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, metavar="EPOCHS", help="Stop after so many without progress.", rich_help_panel=CHOICE),
]
Resume: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Go on with the run in this folder; the result is that of a run without interruption.",
        rich_help_panel=GOING_ON,
    ),
]
CheckpointEvery: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="STEPS",
        help="Write a checkpoint after so many steps, too; one is written at the end of every epoch.",
        rich_help_panel=GOING_ON,
    ),
]
NoCheckpoints: TypeAlias = Annotated[
    bool,
    typer.Option("--no-checkpoints", help="Write none; the run cannot be resumed.", rich_help_panel=GOING_ON),
]
