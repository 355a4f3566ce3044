"""Recorder: what it keeps is what was there, in the memory it said, whatever becomes of the training."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from cnn_from_scratch.data import load_digits
from cnn_from_scratch.errors import FormatError, LimitError, ShapeError
from cnn_from_scratch.formats.tensors import write_tensors
from cnn_from_scratch.insight import Recorder, Recording, feature_maps, load_recording
from cnn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from cnn_from_scratch.ops import cross_entropy_forward
from cnn_from_scratch.training import Callback, fit


@cache
def digits():
    data = load_digits().scaled()
    return data.train.x[:240], data.train.y[:240]


def network():
    return Sequential(
        {
            "conv1": Conv2d(1, 6, 3, padding=1),
            "relu1": ReLU(),
            "pool": MaxPool2d(2),
            "conv2": Conv2d(6, 8, 3),
            "flatten": Flatten(),
            "dropout": Dropout(0.2),
            "fc": Linear(32, 10),
        }
    ).initialize(0)


def train(*callbacks, epochs=2, model=None):
    model = network() if model is None else model
    history = fit(model, digits(), epochs=epochs, batch_size=24, callbacks=callbacks, progress=False, shards=1)
    return model, history  # 10 steps an epoch


class Witness(Callback):
    """Everything, at every step."""

    def __init__(self):
        self.weights, self.losses = [], []

    def on_train_begin(self, progress):
        self.weights.append(progress.model.params["conv1.weight"].copy())

    def on_step_end(self, progress, result):
        self.weights.append(progress.model.params["conv1.weight"].copy())
        self.losses.append(result.loss)


def assert_same(a: Recording, b: Recording):
    for name in Recording._fields:
        one, other = getattr(a, name), getattr(b, name)
        pairs = [(one, other)] if isinstance(one, np.ndarray) else [(one[key], other[key]) for key in one | other]
        for x, y in pairs:
            np.testing.assert_array_equal(x, y, err_msg=name)
            assert x.dtype == y.dtype


def test_what_is_kept_is_what_was_there():
    recorder, witness = Recorder(every=3, dtype=np.float32), Witness()
    train(recorder, witness)
    recording = recorder.recording
    assert list(recording.steps) == [0, 3, 6, 9, 12, 15, 18, 20]
    assert list(recording.filters) == ["conv1.weight"]
    np.testing.assert_array_equal(recording.filters["conv1.weight"], [witness.weights[i] for i in recording.steps])
    assert np.isnan(recording.loss[0])
    means = [np.mean(witness.losses[i:j]) for i, j in zip(recording.steps[:-1], recording.steps[1:], strict=True)]
    np.testing.assert_allclose(recording.loss[1:], means, rtol=1e-6)


def test_maps_and_losses_of_a_probe():
    x, y = digits()
    recorder = Recorder(
        ("conv2.*", "conv1.*"), maps="relu*", probe=(x[:12], y[:12]), every=10, images=3, channels=2, most=4
    )
    model, _ = train(recorder)
    recording = recorder.recording
    assert {key: value.shape for key, value in recording.filters.items()} == {
        "conv1.weight": (3, 4, 1, 3, 3),
        "conv2.weight": (3, 4, 2, 3, 3),
    }
    assert recording.maps["relu1"].shape == (3, 3, 4, 8, 8)
    assert recording.filters["conv1.weight"].dtype == recording.maps["relu1"].dtype == np.float16
    last = feature_maps(model, x[:3])["relu1"][:, :4]
    np.testing.assert_array_equal(recording.maps["relu1"][-1], last.astype(np.float16))
    np.testing.assert_array_equal(
        recording.filters["conv2.weight"][-1], model.params["conv2.weight"][:4, :2].astype("f2")
    )
    losses, _ = cross_entropy_forward(model.predict(x[:12]), y[:12], reduction="none")
    np.testing.assert_allclose(recording.losses[-1], losses, rtol=1e-5)
    assert recording.losses.shape == (3, 12)
    np.testing.assert_array_equal(recording.images, x[:3])
    np.testing.assert_array_equal(recording.targets, y[:12])
    band = recording.probe_band()
    assert band.shape == (3, 3)
    assert (np.diff(band, axis=0) >= 0).all()
    frame = recording.to_frame()
    assert list(frame.columns) == ["steps", "loss", "probe_low", "probe_median", "probe_high"]


@pytest.mark.parametrize("with_probe", [False, True])
def test_training_is_the_same_bit_by_bit(with_probe):
    probe = {"probe": (digits()[0][:9], digits()[1][:9]), "maps": "*1"} if with_probe else {}
    recorded, _ = train(Recorder("*", every=1, **probe))
    alone, _ = train()
    for key, array in alone.params.items():
        np.testing.assert_array_equal(recorded.params[key], array, err_msg=key)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_saved_and_loaded_it_is_the_same(dtype, tmp_path):
    x, y = digits()
    recorder = Recorder("*", maps="relu1", probe=(x[:5], y[:5]), every=4, dtype=dtype)
    train(recorder)
    recorder.recording.save(tmp_path / "a.safetensors")
    again = load_recording(tmp_path / "a.safetensors")
    assert_same(again, recorder.recording)
    again.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [4, 5, 6, 7, 8, 13, 100])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_memory_stays_within_the_limit_and_moments_evenly_spread(room, every):
    moment = Recorder(every=every).expect(network(), 1).moment_bytes
    assert moment == 6 * 9 * 2 + 12
    recorder, witness = Recorder(every=every, limit=room * moment + 3), Witness()
    train(recorder, witness, epochs=3)
    recording, size = recorder.recording, recorder.size
    steps = list(recording.steps)
    assert len(steps) <= room
    assert recording.nbytes <= recorder.limit
    assert (steps[0], steps[-1]) == (0, 30)
    distances = np.diff(steps)
    assert set(distances[:-1]) <= {distances[0]}
    assert distances[-1] <= distances[0]
    assert (distances[0] // every) & (distances[0] // every - 1) == 0  # a power of two
    assert size.moments <= room
    assert size.nbytes == size.moments * moment <= recorder.limit
    means = [np.mean(witness.losses[i:j]) for i, j in itertools.pairwise(steps)]
    np.testing.assert_allclose(recording.loss[1:], means, rtol=1e-6)


@pytest.mark.parametrize("every", [1, 4, 7, 30, 100])
def test_the_size_is_known_beforehand(every):
    recorder = Recorder("*", every=every, probe=digits(), maps="relu1")
    expected = recorder.expect(network(), steps=20)
    train(recorder)
    assert recorder.size == expected
    assert (expected.moments, expected.nbytes) == (len(recorder.recording.steps), recorder.recording.nbytes)
    assert str(expected).startswith(f"{expected.moments} moments, every {every} steps, ")


def test_a_limit_that_is_too_small():
    message = r"^Recorder: one moment takes 120 bytes and 4 of them must fit into limit=400; keep fewer filters"
    with pytest.raises(LimitError, match=message):
        train(Recorder(limit=400))


# --- interrupted trainings ------------------------------------------------------------------------------------------


class Interrupt(Callback):
    def __init__(self, at, error):
        self.at, self.error = at, error

    def on_step_end(self, progress, result):
        if (progress.epoch - 1) * progress.steps_per_epoch + progress.step == self.at:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("elsewhere")])
def test_an_interrupted_training_leaves_a_recording(error, tmp_path):
    path = tmp_path / "recording.safetensors"
    recorder, model = Recorder(every=5, path=path), network()
    with pytest.raises(type(error)):
        train(recorder, Interrupt(12, error), model=model)
    recording = load_recording(path)
    assert list(recording.steps) == [0, 5, 10, 13]
    np.testing.assert_array_equal(recording.filters["conv1.weight"][-1], model.params["conv1.weight"].astype("f2"))
    assert_same(recording, recorder.recording)


def test_the_file_is_there_after_every_epoch(tmp_path):
    path = tmp_path / "recording.safetensors"

    class Look(Callback):
        found = ()

        def on_step_end(self, progress, result):
            if path.exists():
                self.found = (*self.found, len(load_recording(path).steps))

    look = Look()
    train(Recorder(every=5, path=path), look, epochs=3)
    assert look.found == (3,) * 10 + (5,) * 10


def test_a_second_training_begins_anew():
    recorder = Recorder(every=5)
    train(recorder)
    train(recorder, epochs=1)
    assert list(recorder.recording.steps) == [0, 5, 10]


def test_infinite_weights_are_no_warning():
    model = network()
    model.params["conv1.weight"][...] = 1e30
    recorder = Recorder(every=5)
    recorder._moments = [recorder._moment(model)]
    assert np.isinf(recorder.recording.filters["conv1.weight"]).all()


# --- what is wrong is named -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Recorder(every=0), ValueError, "Recorder: every must be an int >= 1, got 0"),
        (lambda: Recorder(dtype=np.float64), TypeError, "Recorder: dtype must be float16 or float32, got float64"),
        (
            lambda: Recorder(maps="relu1"),
            ValueError,
            "Recorder: feature maps are those of a probe; give probe=x or probe=(x, y)",
        ),
        (
            lambda: Recorder(probe=(np.zeros((2, 1, 8, 8), "f4"), np.zeros(3, int))),
            ShapeError,
            "Recorder: the probe has 2 examples and 3 targets",
        ),
        (
            lambda: Recorder().recording,
            ValueError,
            "Recorder: nothing is recorded yet; give it to fit as one of its callbacks",
        ),
        (
            lambda: Recorder("conv3*").expect(network(), 1),
            ValueError,
            "Recorder: filters='conv3*' matches none of the keys conv1.weight, conv2.weight",
        ),
        (
            lambda: Recorder(maps="relu2", probe=digits()).expect(network(), 1),
            ValueError,
            "Recorder: maps='relu2' matches none of the keys conv1, relu1, pool, conv2, flatten, dropout, fc, ",
        ),
        (
            lambda: Recorder(maps="fc", probe=digits()[0][:2]).expect(network(), 1),
            ShapeError,
            "Recorder: maps='fc' gives no images but (2, 10)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_files_that_are_no_recordings(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"steps": np.zeros(1)}, {"format": "something"})
    with pytest.raises(
        FormatError, match=r"a\.safetensors: not a recording: its format is 'something', expected 'cnn_"
    ):
        load_recording(path)
    write_tensors(path, {"steps": np.zeros(1)}, {"format": "cnn_from_scratch recording 1"})
    with pytest.raises(FormatError, match=r"a recording without 'loss'"):
        load_recording(path)
