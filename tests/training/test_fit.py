"""fit: learns, repeats itself bit by bit, leaves alone what it should, and stops cleanly."""

from __future__ import annotations

import copy
import os
import signal
import threading

import numpy as np
import pytest
from small_training import assert_same, bars, network, quick, state

from cnn_from_scratch.data import ArrayData
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.layers import Linear, Sequential
from cnn_from_scratch.ops import mse_backward, mse_forward
from cnn_from_scratch.optim import SGD, Adam
from cnn_from_scratch.parallel import open_group
from cnn_from_scratch.randomness import Place
from cnn_from_scratch.training import (
    AverageWeights,
    BestWeights,
    Callback,
    EarlyStopping,
    as_loss,
    compute_gradients,
    evaluate,
)


def test_it_learns():
    model = network()
    history = quick(model, bars(160), epochs=8, optimizer=Adam(lr=0.01))
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert evaluate(model, bars(100, seed=1)).accuracy > 0.95
    assert list(history.to_frame().columns) == ["epoch", "loss", "accuracy", "images_per_second", "lr", "seconds"]


@pytest.mark.parametrize("shards", [1, 2])
def test_one_seed_gives_one_result_bit_by_bit(shards):
    runs = []
    for prefetch in (0, 2):
        model = network()
        history = quick(model, bars(), shards=shards, prefetch=prefetch, augment=lambda x, rng: x + rng.random())
        runs.append((state(model), history["loss"]))
    assert_same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    other = network()
    quick(other, bars(), shards=shards, seed=1)
    assert any((runs[0][0][k] != v).any() for k, v in state(other).items())


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards_change_nothing_but_rounding(shards):
    x, y = bars(5)  # fewer examples than seven shards: some of them are empty
    results = []
    for count in (1, shards):
        model = network(dropout=0.0).astype(np.float64)
        history = quick(model, (x, y), shards=count, epochs=2, optimizer=SGD(lr=0.1))
        results.append((state(model), history["loss"]))
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12)
    for key, value in results[0][0].items():
        np.testing.assert_allclose(results[1][0][key], value, rtol=1e-9, atol=1e-12, err_msg=key)


def test_the_divisor_belongs_to_the_whole_batch():
    # ignored targets lie in one shard only: a mean within each shard would weigh the others wrongly
    x, y = bars(8)
    y = y.copy()
    y[:3] = -100
    model = network(dropout=0.0).astype(np.float64)
    loss = as_loss("cross_entropy")
    alone = compute_gradients(model, x.astype(np.float64), y, loss)
    with open_group(2) as group:
        shared = compute_gradients(model, x.astype(np.float64), y, loss, group=group)
    assert shared.loss == pytest.approx(alone.loss, rel=1e-12)
    for key, grad in alone.grads.items():
        np.testing.assert_allclose(shared.grads[key], grad, rtol=1e-9, atol=1e-12, err_msg=key)


def test_compute_gradients_writes_nothing():
    model = network()
    before = state(model)
    compute_gradients(model, *bars(8), as_loss("cross_entropy"), place=Place(seed=0))
    assert_same(before, state(model))


def test_frozen_parameters_stay_and_come_back_to_life():
    model = network()
    before = state(model)
    quick(model, bars(), trainable=["6.*"], epochs=1)
    after = state(model)
    for key, value in before.items():
        changed = (after[key] != value).any()
        assert changed == key.startswith("6."), key  # batch norm's running statistics stay, too
    assert model.trainable == frozenset(model.params)
    model.freeze("0.*")
    quick(model, bars(), epochs=1)
    np.testing.assert_array_equal(model.params["0.weight"], before["0.weight"])
    assert (model.params["1.weight"] != before["1.weight"]).any()


def test_validation_is_held_out_and_changes_nothing():
    x, y = bars(100)
    seen = []
    model = network()
    history = quick(model, (x, y), validation=0.2, augment=lambda b, rng: seen.append(len(b)) or b, epochs=1)
    assert sum(seen) == 80
    assert {"val_loss", "val_accuracy"} <= set(history.rows[0])
    with_own, without = network(), network()
    quick(with_own, (x, y), validation=bars(20, seed=1))
    quick(without, (x, y))
    assert_same(state(with_own), state(without))


def test_early_stopping_and_best_weights():
    model = network()

    kept = []

    class Record(Callback):
        def on_epoch_end(self, progress, row):
            kept.append(state(progress.model))
            return False

    losses = iter([3.0, 1.0, 2.0, 1.5, 0.1])

    class Pretend(Callback):  # stands before the others: they see these losses
        def on_epoch_end(self, progress, row):
            row["val_loss"] = next(losses)
            return False

    best = BestWeights()
    history = quick(
        model, bars(), epochs=10, validation=bars(4), callbacks=[Pretend(), Record(), best, EarlyStopping(patience=2)]
    )
    assert len(history) == 4  # 1.0 was the best, 2.0 and 1.5 were not better
    assert best.epoch == 2
    assert_same(state(model), kept[1])


def test_average_weights_are_lent_for_validation_and_stay_at_the_end():
    class Look(Callback):
        own = None

        def on_step_end(self, progress, result):
            self.own = state(progress.model)

        def on_epoch_end(self, progress, row):
            assert_same(self.own, state(progress.model))
            return False

    model, look = network(), Look()
    quick(model, bars(), validation=bars(4), callbacks=[AverageWeights(0.5), look])
    assert (model.params["6.weight"] != look.own["6.weight"]).any()


def test_schedule_sets_the_rate_of_every_step():
    rates = []

    class Look(Callback):
        def on_step_end(self, progress, result):
            rates.append(progress.optimizer.lr)

    quick(network(), bars(48), epochs=2, schedule=lambda step: 0.1 / (step + 1), callbacks=[Look()])
    assert rates == [0.1 / (step + 1) for step in range(6)]


def test_clipping_limits_what_the_optimizer_sees():
    norms = []

    class Look(Callback):
        def on_step_end(self, progress, result):
            norms.append(np.sqrt(sum(float(np.sum(g.astype(float) ** 2)) for g in result.grads.values())))
            assert max(np.abs(g).max() for g in result.grads.values()) <= 0.01 + 1e-9

    quick(network(), bars(), clip_norm=0.02, clip_value=0.01, callbacks=[Look()])
    assert 0 < max(norms) <= 0.02 + 1e-6


@pytest.mark.fault("not-finite")
def test_not_a_number_stops_before_the_parameters_are_touched():
    x, y = bars(32)
    model = network()
    before = state(model)
    model.params["6.bias"][0] = np.nan
    poisoned = state(model)
    with pytest.raises(FloatingPointError) as caught:
        quick(model, (x, y))
    assert str(caught.value) == (
        "fit: the loss is nan (layer '6' is the first to give such numbers) at epoch 1, step 0; "
        "the parameters are those before this step"
    )
    assert_same(poisoned, state(model))
    assert before.keys() == poisoned.keys()


@pytest.mark.fault("interrupted")
def test_ctrl_c_waits_for_the_end_of_the_step():
    model, steps = network(), []

    class Press(Callback):
        def on_step_end(self, progress, result):
            steps.append(progress.step)
            if len(steps) == 2:
                os.kill(os.getpid(), signal.SIGINT)

        def on_train_end(self, progress):
            steps.append("end")

    with pytest.raises(KeyboardInterrupt):
        quick(model, bars(48), epochs=100, callbacks=[Press()], shards=2)
    assert steps == [0, 1, "end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not [t for t in threading.enumerate() if t.name.startswith("cnn-")]


@pytest.mark.fault("interrupted")
def test_ctrl_c_during_validation_is_not_lost():
    class Press(Callback):
        def after_evaluation(self, progress):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        quick(network(), bars(), epochs=1, validation=bars(4), callbacks=[Press()])


@pytest.mark.fault("not-finite")
def test_a_training_that_explodes_says_so_without_a_warning():
    with pytest.raises(FloatingPointError, match=r"^fit: the loss is (nan|inf) \(layer '\d' is the first"):
        quick(network(), bars(), epochs=5, optimizer=SGD(lr=1e30))


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match=r"^fit: model must be a Layer, such as a Sequential, got None$"):
        quick(None, bars())


def test_regression_and_a_loss_of_your_own():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0], [-1.0]])  # float64 targets are cast to the model's dtype
    for loss in ("mse", (mse_forward, mse_backward)):
        model = Sequential(Linear(3, 1)).initialize(0)
        history = quick(model, (x, y), loss=loss, epochs=60, optimizer=Adam(lr=0.05))
        assert "accuracy" not in history.rows[0]
        assert history["loss"][-1] < 1e-2 * history["loss"][0]
        np.testing.assert_allclose(model.params["0.weight"], [[1, 2, -1]], atol=0.1)


def test_data_of_your_own():
    class Mine:
        def __len__(self):
            return 20

        def batch(self, indices, rng):
            x, y = bars(20)
            return x[indices], y[indices]

    a, b = network(), network()
    quick(a, Mine())
    quick(b, ArrayData(*bars(20)))
    assert_same(state(a), state(b))


@pytest.mark.fault("many-threads")
def test_two_trainings_at_once_do_not_disturb_each_other():
    alone = network()
    quick(alone, bars())
    models = [network(), network()]
    threads = [threading.Thread(target=quick, args=(m, bars())) for m in models]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for model in models:
        assert_same(state(alone), state(model))


X, Y = bars(4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"data": ((X * 255).astype(np.uint8), Y)}, TypeError, r"fit: x has dtype uint8; .*astype\(np.float32\) / 255"),
        ({"data": (X[:, :, :6], Y)}, ShapeError, r"^layer '6' = Linear\(64, 2\) does not take \(48,\): "),
        ({"data": (X[:0], Y[:0])}, ValueError, r"^fit: there is no example to train on$"),
        ({"data": X}, TypeError, r"^data must be a pair of arrays"),
        ({"epochs": 0}, ValueError, r"^fit: epochs must be an int >= 1, got 0$"),
        ({"shards": 0}, ValueError, r"^fit: shards must be an int >= 1, got 0$"),
        ({"validation": 1.5}, ValueError, r"^fit: validation must be a share between 0 and 1, or data; got 1.5$"),
        ({"trainable": "9.*"}, ValueError, r"^fit: trainable='9.\*' matches no key; the keys are 0.weight, "),
        ({"drop_last": True}, ValueError, r"^fit: 4 examples make no batch of 16 with drop_last=True$"),
        (
            {"optimizer": "adam"},
            TypeError,
            r"^fit: optimizer must be an Optimizer, such as Adam\(lr=1e-3\), got 'adam'$",
        ),
        ({"optimizer": Adam}, TypeError, r"^fit: optimizer must be an Optimizer, .*class"),
        ({"schedule": 0.1}, TypeError, r"^fit: schedule must be a function or None, got 0.1$"),
        ({"augment": "flip"}, TypeError, r"^fit: augment must be a function or None, got 'flip'$"),
        ({"callbacks": EarlyStopping()}, TypeError, r"^fit: callbacks must be a list of Callback objects, got <"),
        ({"callbacks": [EarlyStopping]}, TypeError, r"^fit: callbacks must be a list of Callback objects, got \["),
        (
            {"callbacks": [EarlyStopping()]},
            ValueError,
            r"^EarlyStopping: nothing is held out to measure 'val_loss' on;",
        ),
        ({"callbacks": [BestWeights()]}, ValueError, r"^BestWeights: nothing is held out to measure 'val_loss' on;"),
        ({"shards": 17}, ValueError, r"^fit: shards=17 cannot share a batch_size of 16; each needs an example$"),
        ({"loss": "hinge"}, ValueError, r"^loss must be one of cross_entropy, "),
        ({"data": (X, Y + 5)}, (IndexError, ValueError), r"cross_entropy_forward: .*"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(options, error, message):
    model = network()
    before = state(model)
    with pytest.raises(error, match=message):
        quick(model, options.pop("data", (X, Y)), **options)
    assert_same(before, state(model))
    assert model.trainable == frozenset(model.params)


def test_deepcopy_trains_alone():
    model = network()
    twin = copy.deepcopy(model)
    before = state(twin)
    quick(model, bars())
    assert_same(before, state(twin))
