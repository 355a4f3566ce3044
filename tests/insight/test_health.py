"""Health: every planted fault is found, named and told once; what is well is left in peace, bit by bit."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest

from cnn_from_scratch.data import load_digits
from cnn_from_scratch.errors import NotFiniteError, ShapeError
from cnn_from_scratch.insight import Finding, Health
from cnn_from_scratch.insight.health_look import Look, Still, layer_states, not_finite, rms, still_channels
from cnn_from_scratch.insight.health_loss import LossWatch
from cnn_from_scratch.insight.health_rules import (
    RULES,
    Past,
    dead_units,
    gradients_over_depth,
    gradients_over_time,
    update_ratio,
)
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Sequential,
    Sigmoid,
    Tanh,
)
from cnn_from_scratch.models import digits_cnn
from cnn_from_scratch.optim import SGD, Adam, RMSprop
from cnn_from_scratch.training import Callback, fit


@cache
def digits():
    data = load_digits().scaled()
    return data.train.x, data.train.y


def plain(seed=0, channels=1):
    layers = (Conv2d(channels, 16, 3, padding=1, weight_init="he_normal"), ReLU(), MaxPool2d(2))
    head = (Conv2d(16, 32, 3, padding=1, weight_init="he_normal"), ReLU(), Flatten(), Linear(512, 10))
    return Sequential(*layers, *head).initialize(seed)


def train(model, health, *, x=None, y=None, epochs=2, optimizer=None, **options):
    x, y = digits() if x is None else (x, y)
    options = {"batch_size": 64, "shards": 1, "progress": False} | options
    return fit(model, (x, y), epochs=epochs, optimizer=optimizer, callbacks=[health], **options)


def rules_of(health):
    return {(finding.rule, finding.key) for finding in health.findings}


# --- no false alarm -------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "Adam": Adam,
    "SGD with momentum": lambda: SGD(lr=0.05, momentum=0.9),
    "RMSprop": lambda: RMSprop(lr=1e-3),
}


@pytest.mark.parametrize("make", [digits_cnn, plain], ids=["with batch norm", "without"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [32, 128])
def test_healthy_training_of_digits_gives_no_findings(make, optimizer, batch_size):
    health = Health(every=10)
    history = train(make(), health, optimizer=OPTIMIZERS[optimizer](), batch_size=batch_size)
    assert history["accuracy"][-1] > 0.5
    assert health.findings == [], health.report()
    assert health.report() == f"Nothing to complain about in {2 * -(-1438 // batch_size)} steps."
    assert len(health.to_frame()) == 0
    assert health.seconds > 0


def test_a_learning_rate_that_is_taken_down_to_0_is_no_fault():
    health = Health(every=5)
    train(digits_cnn(), health, optimizer=Adam(), schedule=lambda step: 1e-3 * max(0.0, 1 - step / 30) ** 2 + 1e-12)
    assert health.findings == [], health.report()


@pytest.mark.parametrize("shards", [1, 2])
def test_training_is_the_same_bit_by_bit(shards):
    x, y = digits()
    x, y = x[:200], y[:200]
    x.flags.writeable = False

    def run(*callbacks):
        model = Sequential(
            Conv2d(1, 8, 3, padding=1), BatchNorm2d(8), ReLU(), MaxPool2d(2), Flatten(), Dropout(0.3), Linear(128, 10)
        ).initialize(3)
        fit(model, (x, y), epochs=2, batch_size=50, shards=shards, callbacks=callbacks, progress=False, seed=4)
        return model.params | model.buffers

    alone, watched = run(), run(Health(every=1))
    for key, array in alone.items():
        np.testing.assert_array_equal(watched[key], array, err_msg=key)


# --- planted faults -------------------------------------------------------------------------------------------------


def test_a_zeroed_filter_is_found():
    model = plain()
    model.params["0.weight"][5] = 0
    health = Health(every=5)
    train(model, health)
    (finding,) = health.findings
    assert (finding.rule, finding.key, finding.epoch, finding.step) == ("dead units", "0", 1, 10)
    assert (
        finding.text == "1 of 16 channels (5) give one and the same number for all of 64 examples, in 3 looks in a row"
    )
    assert finding.value == 1 / 16
    assert str(finding) == (f"epoch 1, step 10: dead units of '0': {finding.text}. Advice: draw these weights anew.")


def test_relus_that_a_bias_has_killed_are_found_in_the_relu():
    model = plain()
    model.params["3.bias"][:8] = -100
    health = Health(every=5)
    train(model, health)
    (finding,) = health.findings
    assert (finding.rule, finding.key, finding.value) == ("dead units", "4", 8 / 32)
    assert "8 of 32 channels (0, 1, 2, 3, 4, 5 and 2 more) are 0 for all of 64 examples" in finding.text


def test_what_lies_before_a_dead_layer_gets_no_gradient():
    model = plain()
    model.params["3.bias"][...] = -100
    health = Health(every=5)
    train(model, health)
    assert {("dead units", "4"), ("no gradient", "0.weight"), ("no gradient", "3.weight")} <= rules_of(health)


@pytest.mark.parametrize("optimizer", [Adam(lr=1000.0), SGD(lr=1000.0)], ids=["Adam", "SGD"])
def test_a_learning_rate_of_1000_is_found_at_the_first_step(optimizer):
    health = Health()
    try:
        train(plain(), health, optimizer=optimizer)
    except NotFiniteError:
        assert any(finding.rule == "not finite" for finding in health.findings)
    found = {finding.key: finding for finding in health.findings if finding.rule == "update too large"}
    assert set(found) == {"0.weight", "3.weight", "6.weight"}
    assert {(finding.epoch, finding.step) for finding in found.values()} == {(1, 0)}
    assert all(finding.value > 1 for finding in found.values())
    assert "the learning rate 1e+03 is far too high; try " in found["0.weight"].advice


def test_a_training_that_overflows_names_layer_and_step():
    health = Health()
    with pytest.raises(NotFiniteError) as caught:
        train(plain(), health, optimizer=SGD(lr=1e20))
    finding = health.findings[-1]
    assert caught.value.key == finding.key
    assert finding.key in {"0", "3", "6"}
    assert (finding.rule, finding.epoch, finding.step) == ("not finite", 1, 1)
    assert f"layer {finding.key!r} is the first to give such numbers" in finding.text
    assert "lower the learning rate, which is 1e+20" in finding.advice


class Spoil(Callback):
    """Write into the model behind everybody's back."""

    def __init__(self, key, at):
        self.key, self.at = key, at

    def on_step_end(self, progress, result):
        if progress.step == self.at:
            (progress.model.params | progress.model.buffers)[self.key][...] = np.inf


def test_a_running_variance_that_overflows_is_found_although_training_goes_on():
    health = Health(every=5)
    x, y = digits()
    fit(
        digits_cnn(),
        (x, y),
        epochs=1,
        batch_size=64,
        callbacks=[Spoil("bn2.running_var", 10), health],
        progress=False,
        shards=1,
    )
    assert rules_of(health) == {("not finite", "bn2.running_var")}
    assert health.findings[0].step == 10


def test_a_constant_channel_of_the_images_is_found():
    x, y = digits()
    x = np.concatenate([x, np.full_like(x, 0.25)], 1)
    health = Health(every=5)
    train(plain(channels=2), health, x=x, y=y)
    assert ("constant input", "input") in rules_of(health)
    assert health.findings[0].text == "channel 1 of the images is one number in all of 64 examples"
    assert str(health.findings[0]).startswith("epoch 1, step 10: constant input: channel 1 of the images")


def test_a_gradient_that_vanishes_on_its_way_is_found():
    model = Sequential(Flatten(), *[layer for _ in range(9) for layer in (Linear(64, 64), Sigmoid())], Linear(64, 10))
    health = Health(every=10)
    train(model.initialize(0), health, epochs=3)
    assert ("vanishing gradient", "1.weight") in rules_of(health), health.report()
    finding = next(finding for finding in health.findings if finding.rule == "vanishing gradient")
    assert "times smaller than that of '19.weight' behind it" in finding.text


def test_saturated_tanhs_are_found_but_not_a_sigmoid_at_the_end():
    model = Sequential(Flatten(), Linear(64, 32), Tanh(), Linear(32, 10), Sigmoid()).initialize(0)
    model.params["1.weight"][...] *= 100
    model.params["3.weight"][...] *= 100
    health = Health(every=5)
    target = np.eye(10, dtype=np.float32)[digits()[1]]
    train(model, health, x=digits()[0], y=target, loss="mse")
    assert [finding.key for finding in health.findings if finding.rule == "saturated"] == ["2"]


def test_a_learning_rate_that_is_far_too_low_is_found():
    health = Health(every=10)
    train(plain(), health, optimizer=SGD(lr=1e-9), epochs=5)
    assert ("loss does not fall", "") in rules_of(health)
    assert ("update too small", "6.weight") in rules_of(health)


def test_a_rising_loss_is_found():
    health = Health(every=5)
    train(Sequential(Flatten(), Linear(64, 10)).initialize(0), health, optimizer=SGD(lr=30.0, momentum=0.9))
    assert ("loss rises", "") in rules_of(health)


def test_frozen_layers_are_left_alone():
    health = Health(every=5)
    train(plain().freeze("0.*"), health)
    assert health.findings == []


# --- how it behaves -------------------------------------------------------------------------------------------------


def test_everything_is_told_once_and_a_new_training_begins_anew():
    said = []
    health = Health(every=1, say=said.append)
    train(plain(), health, optimizer=Adam(lr=1.0))
    assert said == health.findings
    assert len(rules_of(health)) == len(health.findings)
    assert health.report().count("\n") == len(said) - 1
    assert list(health.to_frame().columns) == ["epoch", "step", "key", "rule", "value", "text", "advice"]
    train(plain(), health)
    assert health.findings == []


def test_a_probe_takes_the_place_of_the_batch():
    x, _ = digits()
    probe = np.concatenate([x[:50] * 0, x[:50] * 0])  # black images: every channel is still, none of its own doing
    health = Health(every=5, probe=probe)
    train(plain(), health)
    assert ("constant input", "input") in rules_of(health)
    with pytest.raises(ShapeError):
        train(plain(), Health(probe=np.zeros((2, 3, 8, 8), np.float32)))


def test_a_model_that_is_one_layer():
    x, y = digits()
    health = Health(every=5)
    train(Linear(64, 10, rng=0), health, x=x.reshape(-1, 64), y=y)
    assert health.findings == []


@pytest.mark.parametrize("name", ["every", "examples"])
def test_bad_arguments_are_named(name):
    with pytest.raises(ValueError, match=rf"^Health: {name} must be an int >= 1, got 0$"):
        Health(**{name: 0})


def test_the_model_is_only_looked_at():
    model = digits_cnn(dropout=0.5)
    before = copy.deepcopy(model.params | model.buffers)
    for array in (*model.params.values(), *model.buffers.values()):
        array.flags.writeable = False
    still, saturated = layer_states(model, digits()[0][:8])
    assert "conv1" in still
    assert saturated == {}
    for key, array in (model.params | model.buffers).items():
        np.testing.assert_array_equal(array, before[key])


# --- the rules, by hand ---------------------------------------------------------------------------------------------


def look(**values):
    nothing = {"gradients": {}, "weights": {}, "updates": {}, "not_finite": [], "still": {}, "saturated": {}}
    return Look(**{"step": 100, "lr": 0.1, "loss": 1.0, "examples": 64, "constant_inputs": None} | nothing | values)


def past(**values):
    return Past(
        **{"first_loss": 2.0, "loss": 1.9, "highest_lr": 0.1, "gradients": {}, "dead": {}, "patience": 3} | values
    )


def test_nothing_is_suspected_where_nothing_was_measured():
    assert [list(rule(look(), past())) for rule in RULES] == [[]] * len(RULES)


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ({"a": 1.0, "b": 1e-3}, None),
        ({"a": 1e-5, "b": 1.0}, ("vanishing gradient", "a")),
        ({"a": 1.0, "b": 1e-5}, ("exploding gradient", "a")),
        ({"a": 0.0, "b": 1.0}, None),
    ],
)
def test_gradients_over_depth(sizes, found):
    assert [(s.rule, s.key) for s in gradients_over_depth(look(gradients=sizes), past())] == ([found] if found else [])
    assert not list(gradients_over_depth(look(gradients=sizes, step=5), past()))


@pytest.mark.parametrize(
    ("now", "loss", "rule"),
    [(1.0, 1.9, None), (101.0, 1.9, "exploding gradient"), (1e-4, 1.9, "vanishing gradient"), (1e-4, 0.1, None)],
)
def test_gradients_over_time(now, loss, rule):
    found = gradients_over_time(look(gradients={"a": now}), past(gradients={"a": 1.0}, loss=loss))
    assert [s.rule for s in found] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("change", "step", "lr", "rule", "patience"),
    [
        (0.001, 100, 0.1, None, 0),
        (0.2, 100, 0.1, "update too large", 3),
        (0.2, 5, 0.1, None, 0),  # Adam's first steps
        (1.5, 0, 0.1, "update too large", 1),
        (1e-8, 100, 0.1, "update too small", 3),
        (1e-8, 100, 1e-4, None, 0),  # a schedule has taken the learning rate down
        (0.0, 100, 0.1, None, 0),
    ],
)
def test_update_ratio(change, step, lr, rule, patience):
    found = list(update_ratio(look(weights={"a": 1.0}, updates={"a": change}, step=step, lr=lr), past()))
    assert [(s.rule, s.patience) for s in found] == ([(rule, patience)] if rule else [])


@pytest.mark.parametrize(
    ("zero", "maps", "dead", "looks", "found"),
    [
        (False, True, 1, 3, True),  # one filter of twenty that gives one number
        (False, True, 1, 2, False),
        (True, True, 1, 9, False),  # one ReLU map of twenty that is 0 may be
        (True, True, 2, 3, True),
        (True, False, 10, 9, False),
        (True, False, 14, 3, True),
    ],
)
def test_dead_units(zero, maps, dead, looks, found):
    counts = np.zeros(20, int)
    counts[:dead] = looks
    state = Still(np.arange(dead), 20, maps, zero)
    suspicions = list(dead_units(look(still={"a": state}), past(dead={"a": counts})))
    assert bool(suspicions) == found


def test_few_examples_are_no_evidence_against_a_relu():
    state, counts = Still(np.arange(5), 20, maps=True, zero=True), np.r_[[5] * 5, [0] * 15]
    assert not list(dead_units(look(still={"a": state}, examples=32), past(dead={"a": counts})))
    assert list(dead_units(look(still={"a": state}, examples=32), past(dead={"a": counts + counts // 5})))


@pytest.mark.parametrize(
    ("losses", "rule"),
    [
        (np.linspace(2.3, 0.1, 200), None),
        (np.full(200, 2.3), "loss does not fall"),
        (np.full(50, 2.3), None),
        (np.linspace(2.3, 9, 60), "loss rises"),
        (np.r_[np.linspace(2.3, 0.3, 60), np.full(60, 1.9)], "loss rises"),
        (np.r_[np.linspace(2.3, 0.001, 100), np.full(60, 0.004)], None),
        (np.r_[5.0, 9.0, 7.0, np.linspace(3, 1, 60)], None),  # a bumpy start
    ],
)
def test_the_loss(losses, rule):
    watch, found = LossWatch(), set()
    for loss in losses:
        watch.add(loss)
        found |= {suspicion.rule for suspicion in watch.suspicions(0.1)}
    assert found == ({rule} if rule else set())


def test_small_things():
    assert rms(np.zeros((0, 2))) == 0
    assert list(still_channels(np.array([[[[1.0, 1.0]], [[1.0, 2.0]]]]))) == [0]
    assert not_finite(Linear(2, 2, rng=0)) == []
    assert Finding(1, 2, "", "loss rises", 3.0, "it does", "do less")._fields[0] == "epoch"


@pytest.mark.parametrize(("bias", "zero"), [(-9.0, True), (9.0, False)])
def test_a_relu6_is_still_at_both_ends(bias, zero):
    # x in [0, 1], so that x - 9 is cut to 0 and x + 9 to 6, whatever x is
    model = Sequential({"fc": Linear(2, 2), "relu6": ReLU6()})
    model.params["fc.weight"] = np.eye(2, dtype=np.float32)
    model.params["fc.bias"] = np.array([0, bias], np.float32)
    still, _ = layer_states(model, np.random.default_rng(0).random((8, 2)).astype(np.float32))
    assert still["relu6"].channels.tolist() == [1]
    assert still["relu6"].zero is zero
