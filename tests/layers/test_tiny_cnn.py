"""A small CNN follows PyTorch for 50 steps of training, alone and in shards, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from ladder import Case, assert_forward, assert_gradient, conformance

from cnn_from_scratch.layers import (
    BatchNorm2d,
    Context,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from cnn_from_scratch.ops import cross_entropy_backward, cross_entropy_forward, to_hwnc
from cnn_from_scratch.optim import SGD, Adam
from cnn_from_scratch.parallel import Group, open_group, shard_slices


def tiny_cnn(case: Case) -> Sequential:
    model = Sequential(
        {
            "conv1": Conv2d(3, 4, 3, padding=1),
            "bn": BatchNorm2d(4),
            "relu1": ReLU(),
            "pool": MaxPool2d(2),
            "conv2": Conv2d(4, 6, 3, padding=1),
            "relu2": ReLU(),
            "mean": GlobalAvgPool2d(),
            "flatten": Flatten(),
            "fc": Linear(6, 5),
        }
    ).astype(np.float64)
    assert set(model.params) == {name.removeprefix("init.") for name in case.arrays if name.startswith("init.")}
    for key, array in model.params.items():
        array[...] = case[f"init.{key}"]
    return model


def gradients(model: Sequential, x: np.ndarray, y: np.ndarray, group: Group):
    """One step's loss, gradients, logits and caches: shards sum, and divide by what the whole batch counts."""

    def run(member):
        part = shard_slices(len(x), member.size)[member.rank]
        logits, caches = model.forward(to_hwnc(x[part]), Context(train=True, group=member))
        loss, cache = cross_entropy_forward(logits, y[part], reduction="sum")
        loss, divisor = member.sum([np.asarray(loss), np.array(float(len(logits)))])
        _, grads = model.backward(cross_entropy_backward(cache, 1 / float(divisor)), caches, need_dx=False)
        totals = member.sum(list(grads.values()))
        return float(loss / divisor), dict(zip(grads, totals, strict=True)), logits, caches

    shards = group.run(run)
    loss, grads, _, caches = shards[0]
    return loss, grads, np.concatenate([shard[2] for shard in shards]), caches


def optimizer_of(case: Case):
    settings = case.attrs
    if settings["optimizer"] == "SGD":
        return SGD(settings["lr"], momentum=settings["momentum"])
    return Adam(settings["lr"])


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("case", conformance("tiny_cnn"))
def test_fifty_steps(case: Case, shards: int):
    model, optimizer, losses = tiny_cnn(case), optimizer_of(case), []
    with open_group(shards) as group:
        for step, rows in enumerate(case["order"], 1):
            loss, grads, logits, caches = gradients(model, case["X"][rows], case["Y"][rows], group)
            if step == 1:
                assert_forward(logits, case["logits0"])
                for key, grad in grads.items():
                    assert_gradient(grad, case[f"grad0.{key}"])
            losses.append(loss)
            optimizer.step(model.params, grads)
            model.commit(caches)
            if step in (1, 10, 50):
                for key, value in model.params.items():
                    np.testing.assert_allclose(value, case[f"after{step}.{key}"], rtol=0, atol=1e-8, err_msg=key)
    np.testing.assert_allclose(losses, case["loss"], rtol=0, atol=1e-9)
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(model.buffers[f"bn.{name}"], case[name], rtol=0, atol=1e-8, err_msg=name)
    assert model.buffers["bn.num_batches_tracked"] == 50
    np.testing.assert_allclose(model.predict(case["X"]), case["eval_logits"], rtol=0, atol=1e-8)
