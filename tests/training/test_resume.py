"""A training that was cut off and resumed is the training that was not, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import as_graph
from small_training import (
    ALL,
    Press,
    Raise,
    assert_same,
    bars,
    bits,
    cut_and_resumed,
    everything,
    last,
    network,
    quick,
    run,
    state,
)

from cnn_from_scratch.insight.health import Health
from cnn_from_scratch.insight.recorder import Recorder
from cnn_from_scratch.layers import Linear, Sequential
from cnn_from_scratch.optim import NO_DECAY_1D, SGD, Adam, AdamW, ParamGroup, RMSprop
from cnn_from_scratch.training import (
    AverageWeights,
    BestWeights,
    Callback,
    EarlyStopping,
    latest_checkpoint,
    load_checkpoint_model,
    read_checkpoint,
)

pytestmark = pytest.mark.fault("resume")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training with all that there is, not broken off: what came of it, and its last checkpoint."""
    folder = tmp_path_factory.mktemp("whole")

    def options():
        given = everything()
        return given | {"callbacks": [*given["callbacks"], Press(0)]}

    plain = run(network, everything, bars(71))
    result = run(network, options, bars(71), checkpoint=folder)
    assert result == plain  # checkpoints change nothing
    return result, last(folder)


@pytest.mark.parametrize("step", range(1, ALL + 1))
def test_with_everything_interrupted_at_every_step(tmp_path, whole, step):
    result = cut_and_resumed(tmp_path, network, everything, bars(71), Press(step))
    assert result == whole[0]
    kept = last(tmp_path)
    # the pressing callback has no state; all the others, moments, sums and history are in the file
    assert kept == whole[1]


@pytest.mark.parametrize("step", range(2, ALL + 1))
def test_with_everything_broken_off_within_every_step(tmp_path, step):
    reference = run(network, everything, bars(71))
    assert cut_and_resumed(tmp_path, network, everything, bars(71), Raise(step), every=1) == reference


CASES = {
    "sgd": lambda: {"optimizer": SGD(0.05)},
    "momentum": lambda: {"optimizer": SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)},
    "rmsprop": lambda: {"optimizer": RMSprop(0.01, centered=True, momentum=0.5)},
    "adam": lambda: {"optimizer": Adam(0.01, amsgrad=True, weight_decay=1e-3)},
    "adamw": lambda: {"optimizer": AdamW(0.01, groups=[NO_DECAY_1D, ParamGroup("6.*", lr_factor=0.5)])},
    "usual": dict,
    "only the head": lambda: {"trainable": ["6.*"]},
    "in order": lambda: {"shuffle": False, "clip_value": 0.01},
    "threads": lambda: {"shards": 2, "workers": "threads"},
    "forks": lambda: {"shards": 2, "workers": "processes"},
    "health": lambda: {"callbacks": [Health(every=2)]},
    "recorder": lambda: {"callbacks": [Recorder(every=1, maps="0", probe=bars(4), limit=20_000)]},
    "average of what is validated": lambda: {"callbacks": [AverageWeights(0.5)], "validation": bars(9, seed=3)},
}


@pytest.mark.parametrize("step", [2, 3, 7])
@pytest.mark.parametrize("case", CASES)
def test_each_alone(tmp_path, case, step):
    def options():
        given = CASES[case]()
        return given | {"callbacks": [*given.get("callbacks", ()), Press(0)]}

    reference = run(network, options, bars(), checkpoint=tmp_path / "whole")
    assert cut_and_resumed(tmp_path / "cut", network, CASES[case], bars(), Press(step)) == reference
    assert last(tmp_path / "cut") == last(tmp_path / "whole")


@pytest.mark.parametrize("shards", [1, 2])
def test_double_precision(tmp_path, shards):
    def make(seed=0):
        return network(seed).astype(np.float64)

    reference = run(make, everything, bars(71), shards=shards)
    assert cut_and_resumed(tmp_path, make, everything, bars(71), Press(5), shards=shards) == reference
    assert read_checkpoint(latest_checkpoint(tmp_path)).model["0.weight"].dtype == np.float64


def test_targets_that_are_no_classes(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((48, 3)).astype(np.float32)
    data = x, x @ np.array([[1.0], [2.0], [-1.0]], np.float32)

    def make(seed=0):
        return Sequential(Linear(3, 1)).initialize(seed)

    reference = run(make, lambda: {"loss": "mse"}, data)
    assert cut_and_resumed(tmp_path, make, lambda: {"loss": "mse"}, data, Press(5)) == reference


def test_a_graph(tmp_path):
    def make(seed=0):
        return as_graph(network(seed), (1, 8, 8))

    reference = run(make, dict, bars())
    assert cut_and_resumed(tmp_path, make, dict, bars(), Press(4)) == reference
    model = load_checkpoint_model(latest_checkpoint(tmp_path))
    assert bits(state(model)) == reference[1][0]


# --- a script that is run again ---------------------------------------------------------------------------------------


def test_resume_with_nothing_to_resume_begins(tmp_path):
    model, again = network(), network()
    quick(model, bars(), checkpoint=tmp_path / "new" / "folder", resume=True)
    quick(again, bars())
    assert_same(state(model), state(again))


def test_a_training_that_is_complete_does_no_step(tmp_path):
    model = network()
    history = quick(model, bars(71), **everything(), checkpoint=tmp_path)
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    again, steps = network(seed=9), []

    class Count(BestWeights):
        def on_step_end(self, progress, result):
            steps.append(progress.step)

    Count.__name__ = "BestWeights"
    options = everything()
    options["callbacks"][1] = Count()
    assert bits(quick(again, bars(71), **options, checkpoint=tmp_path, resume=True).rows) == bits(history.rows)
    assert steps == []
    assert_same(state(model), state(again))
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


def test_more_epochs_go_on(tmp_path):
    reference = run(network, dict, bars(), epochs=5)
    quick(network(), bars(), epochs=2, checkpoint=tmp_path)
    assert run(network, dict, bars(), epochs=5, checkpoint=tmp_path, resume=True) == reference


def test_one_that_was_stopped_early_stays_stopped(tmp_path):
    class Pretend(Callback):
        def on_epoch_end(self, progress, row):
            row["val_loss"] = [3.0, 1.0, 2.0, 1.5, 0.1][progress.epoch - 1]
            return False

    def options():
        callbacks = [Pretend(), BestWeights(), EarlyStopping(patience=2)]
        return {"callbacks": callbacks, "validation": bars(4), "epochs": 10, "checkpoint": tmp_path}

    model, again = network(), network(seed=9)
    history = quick(model, bars(), **options())
    assert len(history) == 4
    assert quick(again, bars(), **options(), resume=True)["val_loss"] == [3.0, 1.0, 2.0, 1.5]
    assert_same(state(model), state(again))


def test_patience_goes_on_where_it_was(tmp_path):
    class Pretend(Callback):
        def on_epoch_end(self, progress, row):
            row["val_loss"] = 1.0 if progress.epoch == 1 else 2.0
            return False

    def options():
        return {"callbacks": [Pretend(), EarlyStopping(patience=3)], "validation": bars(4), "checkpoint": tmp_path}

    quick(network(), bars(), epochs=3, **options())  # two epochs without progress
    assert len(quick(network(), bars(), epochs=9, **options(), resume=True)) == 4


def test_the_same_objects_may_be_given_again(tmp_path):
    # as in a notebook, where the cell with fit is run once more: the learning rate is what it had become
    class Halve(Callback):
        def on_epoch_end(self, progress, row):
            progress.optimizer.lr /= 2
            return False

    reference, optimizer = network(), Adam(0.01)
    quick(reference, bars(), optimizer=Adam(0.01), callbacks=[Halve(), Press(0)])
    model, press = network(), Press(5)
    with pytest.raises(KeyboardInterrupt):
        quick(model, bars(), optimizer=optimizer, callbacks=[Halve(), press], checkpoint=tmp_path)
    assert optimizer.lr == 0.005
    quick(model, bars(), optimizer=optimizer, callbacks=[Halve(), press], checkpoint=tmp_path, resume=True)
    assert_same(state(reference), state(model))


def test_what_a_callback_froze_stays_frozen(tmp_path):
    class Thaw(Callback):
        def on_epoch_end(self, progress, row):
            (progress.model.freeze if progress.epoch % 2 else progress.model.unfreeze)("0.*", "1.*")
            return False

    def options():
        return {"callbacks": [Thaw()], "epochs": 3}

    reference = run(network, options, bars())
    assert cut_and_resumed(tmp_path, network, options, bars(), Press(5)) == reference


def test_history_keeps_its_types_and_what_is_not_finite(tmp_path):
    class Remark(Callback):
        def on_epoch_end(self, progress, row):
            row |= {
                "nan": float("nan"),
                "inf": -np.inf,
                "half": np.float16(0.1),
                "count": np.int64(3),
                "yes": True,
                "none": None,
                "text": "\u00e9",
                "pair": (1, 2.0),
                "zero": -0.0,
            }
            return False

    def options():
        return {"callbacks": [Remark()]}

    reference = run(network, options, bars())
    assert cut_and_resumed(tmp_path, network, options, bars(), Press(5)) == reference


def test_shards_are_as_many_as_before(tmp_path):
    reference = run(network, dict, bars(), shards=2)
    with pytest.raises(KeyboardInterrupt):
        quick(network(), bars(), shards=2, callbacks=[Press(4)], checkpoint=tmp_path)
    again = run(network, dict, bars(), shards=None, callbacks=[Press(0)], checkpoint=tmp_path, resume=True)
    assert again == reference
