"""`cnn train`: a network on a data set, and a folder with all that came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .going_on import resumable
from .train_options import (
    Augment,
    Average,
    BatchSize,
    BestWeightsOption,
    CheckpointEvery,
    DataDir,
    DatasetName,
    Dropout,
    Epochs,
    Force,
    LabelSmoothing,
    Lr,
    Model,
    NoAugment,
    NoCheckpoints,
    OptimizerOption,
    Out,
    Patience,
    Resume,
    ScheduleOption,
    Seed,
    Shards,
    Size,
    Validation,
    WeightDecay,
)

DATASET, SIZE, SEED = "digits", 32, 0


def train(
    dataset: DatasetName = None,
    model: Model = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    optimizer: OptimizerOption = None,
    lr: Lr = None,
    schedule: ScheduleOption = None,
    augment: Augment = None,
    no_augment: NoAugment = False,
    dropout: Dropout = None,
    label_smoothing: LabelSmoothing = None,
    weight_decay: WeightDecay = None,
    average: Average = None,
    size: Size = None,
    seed: Seed = None,
    shards: Shards = None,
    data_dir: DataDir = None,
    out: Out = None,
    force: Force = False,
    validation: Validation = None,
    best_weights: BestWeightsOption = False,
    early_stopping: Patience = None,
    resume: Resume = None,
    checkpoint_every: CheckpointEvery = None,
    no_checkpoints: NoCheckpoints = False,
) -> None:
    """Train a network, and leave a folder with the model, its history, figures and pictures.

    Without options every data set is trained by its own recipe; the digits come with the package and take seconds.

    The test images are looked at once, at the end.

    Ctrl-C ends the training and keeps what there is; the last line says how to go on.

    [bold]Examples[/bold]

    cnn train

    cnn train mnist --epochs 10 --out runs/mnist-long

    cnn train --resume runs/mnist-long

    cnn train cifar10 --model resnet20 --optimizer sgd --lr 0.1

    cnn train photos/ --size 64 --early-stopping 5
    """
    if no_augment and augment is not None:
        raise typer.BadParameter(f"contradicts --augment {augment}; give one of them.", param_hint="--no-augment")
    if no_checkpoints and checkpoint_every is not None:
        raise typer.BadParameter(
            f"contradicts --checkpoint-every {checkpoint_every}; give one of them.", param_hint="--no-checkpoints"
        )
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
    if resume is None:
        _begin(dataset or DATASET, changes, size, seed, shards, data_dir, out, force, checkpoint_every, no_checkpoints)
        return
    others = {"dataset": dataset, "size": size, "seed": seed, "shards": shards, "out": out, "force": force or None}
    others |= {"no_checkpoints": no_checkpoints or None}
    refused = {name: value for name, value in others.items() if value is not None}
    with resumable(resume, after=(KeyboardInterrupt,)):
        from .resuming import resume_run

        resume_run(resume, changes | refused, data_dir=data_dir, every=checkpoint_every)


def _begin(
    dataset: str,
    changes: dict[str, Any],
    size: int | None,
    seed: int | None,
    shards: int | None,
    data_dir: Path | None,
    out: Path | None,
    force: bool,
    every: int | None,
    no_checkpoints: bool,
) -> None:
    """A new run."""
    from ..models import MODELS
    from .catalogue import LOADERS, recipe_name
    from .job import train_job
    from .job_file import Job
    from .recipes import AUGMENTATIONS, RECIPES, changed_recipe

    if dataset not in LOADERS and not Path(dataset).is_dir():
        raise typer.BadParameter(f"{dataset!r} is none of {', '.join(LOADERS)}, and no folder.", param_hint="dataset")
    for option, known in (("model", MODELS), ("augment", AUGMENTATIONS)):
        if option in changes and changes[option] not in known:
            raise typer.BadParameter(f"{changes[option]!r} is none of {', '.join(known)}.", param_hint=f"--{option}")
    recipe = changed_recipe(RECIPES[recipe_name(dataset)], changes)
    job = Job(
        dataset,
        recipe,
        SEED if seed is None else seed,
        checked_shards(shards, recipe.batch_size),
        data_dir,
        (size or SIZE, size or SIZE),
        checkpoints=not no_checkpoints,
        every=every,
    )
    train_job(job, out, force=force)


def checked_shards(given: int | None, batch_size: int) -> int:
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
