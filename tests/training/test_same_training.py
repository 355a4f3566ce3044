"""What is resumed must be the same training; what differs is named, and nothing has changed."""

from __future__ import annotations

import os

import numpy as np
import pytest
from small_training import (
    assert_same,
    bars,
    network,
    quick,
    state,
)

from cnn_from_scratch.layers import Linear, Sequential
from cnn_from_scratch.optim import SGD, Adam, ParamGroup
from cnn_from_scratch.training import (
    EarlyStopping,
)

pytestmark = pytest.mark.fault("resume")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with the checkpoints of one epoch."""
    folder = tmp_path_factory.mktemp("begun")
    quick(network(), bars(), epochs=1, optimizer=SGD(0.1, momentum=0.9), validation=bars(8), checkpoint=folder)
    return folder


TRUNK = ParamGroup("0.*", lr_factor=0.1)
WIDER = Sequential(*network().children.values(), Linear(2, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, "seed is 1, not 0"),
        ({"batch_size": 24}, "batch_size is 24, not 16"),
        ({"shards": 2}, "shards is 2, not 1"),
        ({"loss": "mse"}, "loss is 'mse', not 'cross_entropy'"),
        ({"label_smoothing": 0.1}, "label_smoothing is 0.1, not 0.0"),
        ({"shuffle": False}, "shuffle is False, not True"),
        ({"drop_last": True}, "drop_last is True, not False"),
        ({"clip_norm": 1.0}, "clip_norm is 1.0, not None"),
        ({"clip_value": 1.0}, "clip_value is 1.0, not None"),
        ({"validation": bars(9)}, "validation is 9, not 8"),
        ({"validation": None}, "validation is None, not 8"),
        ({"augment": lambda x, rng: x}, "augment is True, not False"),
        ({"schedule": lambda step: 0.1}, "schedule is True, not False"),
        ({"data": bars(47)}, "examples is 47, not 48"),
        ({"optimizer": SGD(0.2, momentum=0.9)}, "optimizer.lr is 0.2, not 0.1"),
        ({"optimizer": SGD(0.1, momentum=0.8)}, "optimizer.momentum is 0.8, not 0.9"),
        ({"optimizer": SGD(0.1, momentum=0.9, groups=[TRUNK])}, f"optimizer.groups is ({TRUNK!r},), not ()"),
        ({"callbacks": [EarlyStopping()]}, "callbacks is ['EarlyStopping'], not []"),
        ({"trainable": "6.*"}, "frozen is ['0.bias', '0.weight', '1.bias', '1.num_batches_tracked', "),
        ({"model": WIDER}, "the model has '7.bias' besides; the model has '7.weight' besides"),
        ({"model": network().astype(np.float64)}, "'0.bias' is float64 of shape (4,), not float32 of shape (4,); "),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_what_differs_is_named_and_nothing_has_changed(begun, options, message):
    given = {"optimizer": SGD(0.1, momentum=0.9), "validation": bars(8), "checkpoint": begun} | options
    model, data = given.pop("model", network(seed=1)), given.pop("data", bars())
    before, files = state(model), sorted((path.name, path.read_bytes()) for path in begun.iterdir())
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        quick(model, data, **given, resume=True)
    place = begun / "checkpoint-00001-00000003.safetensors"
    assert str(caught.value).startswith(f"fit: cannot go on from {place}: {message}")
    assert_same(before, state(model))
    assert given["optimizer"].t == 0
    assert sorted((path.name, path.read_bytes()) for path in begun.iterdir()) == files


def test_fewer_epochs_than_have_begun(tmp_path):
    quick(network(), bars(), epochs=2, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r": epochs is 1, but epoch 2 has begun$"):
        quick(network(), bars(), epochs=1, checkpoint=tmp_path, resume=True)


def test_another_kind_of_optimizer(begun):
    with pytest.raises(ValueError, match=r": optimizer is 'Adam', not 'SGD'; optimizer.lr is 0.001, not 0.1$"):
        quick(network(), bars(), optimizer=Adam(), validation=bars(8), checkpoint=begun, resume=True)


def test_checkpoints_are_not_written_over(begun):
    model, files = network(), sorted((path.name, path.read_bytes()) for path in begun.iterdir())
    before = state(model)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        quick(model, bars(), checkpoint=str(begun))
    assert str(caught.value) == (
        f"fit: checkpoint={str(begun)!r} holds checkpoints of a training, such as "
        "checkpoint-00001-00000003.safetensors; go on with it by resume=True, or choose another folder"
    )
    assert_same(before, state(model))
    assert sorted((path.name, path.read_bytes()) for path in begun.iterdir()) == files


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"resume": True}, ValueError, "fit: resume=True needs a folder; give it as checkpoint=..."),
        ({"every": 5}, ValueError, "fit: every=5 needs a folder; give it as checkpoint=..."),
        ({"checkpoint": "a", "every": 0}, ValueError, "fit: every must be an int >= 1, got 0"),
        ({"checkpoint": "a", "keep": 0}, ValueError, "fit: keep must be an int >= 1, got 0"),
        ({"checkpoint": "a", "resume": 1}, TypeError, "fit: resume must be True or False, got 1"),
        ({"checkpoint": 3}, TypeError, "fit: checkpoint must be the path of a folder, got 3"),
    ],
)
def test_options_that_do_not_fit_together(tmp_path, monkeypatch, options, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        quick(network(), bars(), **options)
    assert str(caught.value) == message
    assert os.listdir() == []
