"""The training of `cnn train mnist` in PyTorch: batches and their augmentation come from our own data pipeline."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from competitors.torch_nets import MnistCNN
from competitors.torch_peer import FORMATS, ordered
from mnist_recipe import dataset_for, recipe_for
from tasks import Competitor, Runner, Task
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from cnn_from_scratch.cli.plan import build_model
from cnn_from_scratch.cli.recipes import AUGMENTATIONS, Recipe
from cnn_from_scratch.cli.source import PixelSource, normalization_of
from cnn_from_scratch.data import Dataset, batch_count, iterate_batches


def build_fit(task: Task, competitor: Competitor) -> Runner:
    """Same first weights, batches, augmentation, rates and average of the weights; dropout draws its own numbers."""
    dataset, recipe = dataset_for(task), recipe_for(task, competitor)
    found: dict[str, Any] = {}

    def run() -> None:
        start = time.perf_counter()
        model = train(dataset, recipe, competitor.variant, task.seed)
        found["seconds"] = np.array(time.perf_counter() - start)
        found["accuracy"] = np.array(accuracy(model, dataset, competitor.variant))

    return Runner(run, lambda: found)


def train(dataset: Dataset, recipe: Recipe, variant: str, seed: int) -> nn.Module:
    """From the first step to the last."""
    torch.manual_seed(seed)
    model = MnistCNN(recipe.dropout or 0.0).to(memory_format=FORMATS.get(variant, torch.contiguous_format))
    weights = build_model(recipe, dataset, seed=seed).params
    model.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in weights.items()})
    optimizer = torch.optim.Adam(model.parameters(), recipe.lr, fused=True)
    steps = recipe.epochs * batch_count(len(dataset.train.x), recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, steps, cycle_momentum=False)
    average = AveragedModel(model, multi_avg_fn=_growing(recipe.average)) if recipe.average else None
    source = _source(dataset, dataset.train, AUGMENTATIONS[recipe.augment])
    for epoch in range(1, recipe.epochs + 1):
        for _, x, y in iterate_batches(source, recipe.batch_size, seed=seed, epoch=epoch):
            loss = functional.cross_entropy(model(ordered(x, variant)), torch.from_numpy(y.astype(np.int64)))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            if average is not None:
                average.update_parameters(model)
    return model if average is None else average.module


def accuracy(model: nn.Module, dataset: Dataset, variant: str) -> float:
    """Share of the test images whose class is found."""
    source = _source(dataset, dataset.test, None)
    right = 0
    model.eval()
    with torch.inference_mode():
        for _, x, y in iterate_batches(source, 1024, seed=0, shuffle=False):
            right += int((model(ordered(x, variant)).argmax(1).numpy() == y).sum())
    return right / len(source)


def _source(dataset: Dataset, examples: Any, augment: Any) -> PixelSource:
    return PixelSource(examples, dataset.maximum, normalization_of(dataset.train, dataset.maximum), augment)


def _growing(decay: float) -> Any:
    """averaged <- d * averaged + (1 - d) * values, with d = min(decay, (1 + t) / (10 + t)), as ours."""

    @torch.no_grad()
    def follow(averaged: list[Tensor], values: list[Tensor], t: Tensor) -> None:
        d = min(decay, (1 + int(t)) / (10 + int(t)))
        torch._foreach_lerp_(averaged, values, 1 - d)

    return follow
