"""Our own library, as anybody would use it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
from nets import our_model
from tasks import Array, Competitor, Runner, Task, batch, filters_of, output_gradient
from threadpoolctl import threadpool_limits

from cnn_from_scratch.ops import conv_backward, conv_forward, to_hwnc
from cnn_from_scratch.ops.memory import Store, recycled
from cnn_from_scratch.optim import Adam
from cnn_from_scratch.parallel import Member, open_group, shard_slices
from cnn_from_scratch.training import training_steps

VERSION = "cnn_from_scratch"


def build(task: Task, competitor: Competitor) -> Runner:
    """Make a task ready. The variants are "1 BLAS thread" for training, "compile" and "predict" for inference."""
    make = {"train": _train, "infer": _infer, "forward": _convolve, "backward": _convolve, "fit": _fit}[task.kind]
    resources = ExitStack()  # threads, and the limit of BLAS threads: they stay open until the runner is closed
    return make(task, competitor, resources)._replace(close=resources.close)


# --- training -------------------------------------------------------------------------------------------------------


def _train(task: Task, competitor: Competitor, resources: ExitStack) -> Runner:
    x, y = batch(task)
    model = our_model(task.net, task.dtype)
    if competitor.variant == "1 BLAS thread":
        resources.enter_context(threadpool_limits(1, user_api="blas"))
    step = resources.enter_context(training_steps(model, optimizer=Adam(1e-3), shards=competitor.threads))

    def values() -> dict[str, Array]:
        result = step(x, y)
        return {"loss": np.array(result.loss), **result.grads}

    return Runner(lambda: step(x, y), values)


# --- inference ------------------------------------------------------------------------------------------------------


def _infer(task: Task, competitor: Competitor, resources: ExitStack) -> Runner:
    x, _ = batch(task)
    model = our_model(task.net, task.dtype)
    if competitor.variant == "predict":
        return Runner(lambda: model.predict(x), lambda: {"output": model.predict(x)})
    plan = model.compile(task.shape)
    return Runner(lambda: plan(x), lambda: {"output": np.array(plan(x))})


# --- one convolution ------------------------------------------------------------------------------------------------


def _convolve(task: Task, competitor: Competitor, resources: ExitStack) -> Runner:
    """Forward or backward on two halves of the batch, lying in memory as they do inside of a network."""
    assert task.convolution is not None
    _, _, stride, padding, groups = task.convolution
    weight = filters_of(task)
    group = resources.enter_context(open_group(competitor.threads))
    parts = shard_slices(task.shape[0], competitor.threads)
    halves = [to_hwnc(batch(task)[0][part].copy()) for part in parts]
    stores = [Store() for _ in parts]

    def forward(member: Member) -> Any:
        with recycled(stores[member.rank]):
            return conv_forward(halves[member.rank], weight, stride=stride, padding=padding, groups=groups)

    results = group.run(forward)
    if task.kind == "forward":
        return Runner(lambda: group.run(forward), lambda: {"y": np.concatenate([y for y, _ in results])})

    N, (F, OH, OW) = task.shape[0], results[0][0].shape[1:]
    gradient = output_gradient((N, F, OH, OW), task.dtype)
    dys = [to_hwnc(gradient[part].copy()) for part in parts]

    def backward(member: Member) -> Any:
        with recycled(stores[member.rank]):
            dx, dweight, _ = conv_backward(dys[member.rank], results[member.rank][1], need_dx=task.need_dx)
            return dx, dweight

    def run() -> tuple[list[Array], Array]:
        dxs, dweights = zip(*group.run(backward), strict=True)
        return dxs, sum(dweights[1:], start=dweights[0])

    def values() -> dict[str, Array]:
        dxs, dweight = run()
        return {"dweight": dweight, **({"dx": np.concatenate(dxs)} if task.need_dx else {})}

    return Runner(run, values)


# --- a whole training -----------------------------------------------------------------------------------------------


def _fit(task: Task, competitor: Competitor, resources: ExitStack) -> Runner:
    from mnist_recipe import dataset_for, recipe_for

    from cnn_from_scratch.cli.training_run import train_recipe

    dataset, recipe, accuracy = dataset_for(task), recipe_for(task, competitor), {}

    def run() -> None:
        result = train_recipe(recipe, dataset, seed=task.seed, shards=competitor.threads)
        accuracy["accuracy"] = np.array(result.evaluation.accuracy)
        accuracy["seconds"] = np.array(result.trained.seconds)

    return Runner(run, lambda: accuracy)
