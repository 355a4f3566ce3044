"""What callbacks remember goes into checkpoints, and comes back."""

from __future__ import annotations

import os

import numpy as np
import pytest
from small_training import (
    ALL,
    Press,
    bars,
    bits,
    cut_and_resumed,
    network,
    quick,
    run,
)

from cnn_from_scratch.insight.health import Health
from cnn_from_scratch.insight.recorder import Recorder
from cnn_from_scratch.training import (
    AverageWeights,
    BestWeights,
    Callback,
    EarlyStopping,
)

pytestmark = pytest.mark.fault("resume")


def test_a_callback_of_your_own_remembers(tmp_path):
    seen = []

    class Remember(Callback):
        def on_train_begin(self, progress):
            self.norms = []
            seen.append(("begin", progress.epoch, progress.step, float(np.abs(progress.model.params["6.bias"]).sum())))

        def on_step_end(self, progress, result):
            self.norms.append(np.abs(progress.model.params["6.bias"]).sum())

        def on_train_end(self, progress):
            seen.append(list(self.norms))

        def state_dict(self):
            return {"norms": list(self.norms)}

        def load_state_dict(self, state):
            self.norms = state["norms"]

    def options():
        return {"callbacks": [Remember()]}

    run(network, options, bars())
    reference = seen[-1]
    cut_and_resumed(tmp_path, network, options, bars(), Press(5))
    assert bits(seen[-1]) == bits(reference)
    assert len(reference) == ALL
    # when a training is resumed, callbacks see the model of the checkpoint from the beginning
    assert seen[-2] == ("begin", 2, 1, float(reference[4]))


def test_a_state_that_cannot_be_written_is_named(tmp_path):
    class Wrong(Callback):
        def state_dict(self):
            return {"seen": {1, 2}}

    with pytest.raises(TypeError, match=r"^checkpoint: callbacks/0/seen is a set, which cannot be written; it must be"):
        quick(network(), bars(), callbacks=[Wrong()], checkpoint=tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("callback", "state", "message"),
    [
        (Callback(), {"a": 1}, "Callback.load_state_dict: state must have nothing; got a"),
        (
            EarlyStopping(),
            {"best": 1.0},
            "EarlyStopping.load_state_dict: state must have monitor, best, waited; got best",
        ),
        (
            EarlyStopping(),
            {"monitor": "loss", "best": 1.0, "waited": 0},
            "EarlyStopping.load_state_dict: monitor is 'val_loss', but it was 'loss'",
        ),
        (
            BestWeights(),
            {"monitor": "val_loss", "best": "good", "epoch": 1, "kept": {}},
            "BestWeights.load_state_dict: best must be of type float, got 'good'",
        ),
        (
            AverageWeights(0.9),
            {"decay": 0.8, "average": {}},
            "AverageWeights.load_state_dict: decay is 0.9, but it was 0.8",
        ),
        (
            Health(),
            {},
            "Health.load_state_dict: state must have findings, seconds, steps, highest_lr, loss, before, gradients, "
            "dead, row; got nothing",
        ),
    ],
)
def test_the_state_of_something_else_is_refused(callback, state, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        callback.load_state_dict(state)
    assert str(caught.value) == message


def test_a_recorder_that_keeps_something_else(tmp_path):
    quick(network(), bars(), epochs=1, callbacks=[Recorder(most=2)], checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"^Recorder.load_state_dict: it keeps {'filters/0.weight': 'float16\[3, "):
        quick(network(), bars(), callbacks=[Recorder(most=3)], checkpoint=tmp_path, resume=True)
