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
from cnn_from_scratch.parallel import ForkedGroup, Member, shard_slices, single_threaded_blas
from cnn_from_scratch.training import training_steps

VERSION = "cnn_from_scratch"


def build(task: Task, competitor: Competitor) -> Runner:
    """Make a task ready.

    The variants are "1 BLAS thread" and "on threads" for training, "compile" and "predict" for inference.
    """
    make = {"train": _train, "infer": _infer, "forward": _convolve, "backward": _convolve, "fit": _fit}[task.kind]
    resources = ExitStack()  # threads, and the limit of BLAS threads: they stay open until the runner is closed
    return make(task, competitor, resources)._replace(close=resources.close)


# --- training -------------------------------------------------------------------------------------------------------


def _train(task: Task, competitor: Competitor, resources: ExitStack) -> Runner:
    x, y = batch(task)
    model = our_model(task.net, task.dtype)
    if competitor.variant == "1 BLAS thread":
        resources.enter_context(threadpool_limits(1, user_api="blas"))
    workers = "threads" if competitor.variant == "on threads" else "auto"
    step = resources.enter_context(
        training_steps(model, optimizer=Adam(1e-3), shards=competitor.threads, workers=workers)
    )

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
    """Forward or backward on the halves of the batch, as training has them: in two processes, ready in memory."""
    halves = _Halves(task, competitor.threads)
    resources.enter_context(single_threaded_blas())
    group = ForkedGroup(competitor.threads, halves)
    resources.callback(group.close)

    def run(wanted: str) -> list[Any]:
        return group.run([wanted] * (competitor.threads - 1), here=lambda member: halves(member, wanted))

    def values() -> dict[str, Array]:
        first, *others = run("all")
        if task.kind == "forward":
            return {"y": np.concatenate([first, *others])}
        dweight = sum((part[1] for part in others), start=first[1])
        dx = {"dx": np.concatenate([first[0], *(other[0] for other in others)])} if task.need_dx else {}
        return {"dweight": dweight, **dx}

    return Runner(lambda: run("what the others need"), values)


class _Halves:
    """One convolution on the part of a batch that a member has, lying in memory as it does inside of a network."""

    def __init__(self, task: Task, members: int) -> None:
        assert task.convolution is not None
        _, _, stride, padding, groups = task.convolution
        self.task, self.weight = task, filters_of(task)
        self.settings = {"stride": stride, "padding": padding, "groups": groups}
        x = batch(task)[0]
        y, _ = conv_forward(x[:1], self.weight, **self.settings)
        dy = output_gradient((len(x), *y.shape[1:]), task.dtype)
        parts = shard_slices(len(x), members)
        self.halves = [(to_hwnc(x[part].copy()), to_hwnc(dy[part].copy())) for part in parts]
        self.stores = [Store() for _ in parts]
        self.caches: dict[int, Any] = {}

    def __call__(self, member: Member, wanted: str) -> Any:
        """The results, or those that have to be sent: the gradients of the weights, which are added up."""
        x, dy = self.halves[member.rank]
        with recycled(self.stores[member.rank]):
            if self.task.kind == "forward":
                y = conv_forward(x, self.weight, **self.settings)[0]
                return y if wanted == "all" else None
            if member.rank not in self.caches:
                self.caches[member.rank] = conv_forward(x, self.weight, **self.settings)[1]
            dx, dweight, _ = conv_backward(dy, self.caches[member.rank], need_dx=self.task.need_dx)
            return (dx, dweight) if wanted == "all" else (None, dweight)


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
