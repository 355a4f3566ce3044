"""A checkpoint comes back as it was; a file that `write_checkpoint` did not write is a FormatError, whatever it is."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from small_training import bars, bits, everything, network, quick

from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import save_model
from cnn_from_scratch.formats.document import write_described
from cnn_from_scratch.training import (
    Checkpoint,
    latest_checkpoint,
    list_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from cnn_from_scratch.training.checkpoint import CHECKPOINT, STATE
from cnn_from_scratch.training.encoding import encode
from cnn_from_scratch.training.meter import Meter

SMALL = Checkpoint(
    epoch=2,
    steps=7,
    finished=False,
    stopped=False,
    settings={"seed": 3, "clip_norm": None},
    architecture=None,
    model={"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T},
    constants={},
    frozen=["0.bias"],
    optimizer={"t": 7, "lr": 0.1, "exp_avg/0.weight": np.ones((3, 2))},
    callbacks=[{}, {"best": float("inf"), "kept": {"0.weight": np.zeros(2, np.float16)}}],
    meter={"loss": 0.1 + 0.2, "correct": 5, "examples": 9, "counts_correct": True, "seconds": 1.5},
    history=[{"epoch": 1, "loss": float("nan"), "lr": np.float32(0.1)}],
)


def test_it_comes_back(tmp_path):
    path = write_checkpoint(tmp_path, SMALL)
    assert path == tmp_path / "checkpoint-00002-00000007.safetensors"
    assert bits(read_checkpoint(path)._asdict()) == bits(SMALL._asdict())
    assert read_checkpoint(str(path)).model["0.weight"].flags.writeable


def test_names_sort_by_steps_however_many_there_are(tmp_path):
    for epoch, steps in [(2, 200_000_000), (123_456, 300_000_000), (1, 99_999_999)]:
        write_checkpoint(tmp_path, SMALL._replace(epoch=epoch, steps=steps))
    assert [read_checkpoint(path).epoch for path in list_checkpoints(tmp_path)] == [1, 2, 123_456]
    assert latest_checkpoint(tmp_path).name == "checkpoint-123456-300000000.safetensors"
    assert latest_checkpoint(tmp_path / "nowhere") is None


def test_other_programs_read_the_weights(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    found = safetensors.load_file(write_checkpoint(tmp_path, SMALL))
    np.testing.assert_array_equal(found["model/0.weight"], SMALL.model["0.weight"])
    assert {"optimizer/exp_avg/0.weight", "callbacks/1/kept/0.weight"} < found.keys()


def test_there_is_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "checkpoint-00001-00000001.safetensors")


@pytest.mark.fault("hostile-tensors")
def test_a_model_is_no_checkpoint(tmp_path):
    save_model(network(), tmp_path / "model.safetensors")
    with pytest.raises(FormatError, match=r"model.safetensors: holds no checkpoint; it was not written by write_check"):
        read_checkpoint(tmp_path / "model.safetensors")


@pytest.mark.fault("hostile-tensors")
def test_no_byte_may_change(tmp_path):
    path = write_checkpoint(tmp_path, SMALL)
    whole, moments = path.read_bytes(), random.Random(0)
    for _ in range(300):
        content = bytearray(whole)
        kind = moments.randrange(3)
        place = moments.randrange(len(content))
        if kind == 0:
            content[place] ^= 1 << moments.randrange(8)
        elif kind == 1:
            del content[place : place + moments.randrange(1, 50)]
        else:
            content[place:place] = moments.randbytes(moments.randrange(1, 50))
        path.write_bytes(content)
        try:
            found = read_checkpoint(path)
        except FormatError as error:
            assert str(path) in str(error)  # noqa: PT017 - both are answers
        else:  # a space in the header says nothing
            assert bits(found._asdict()) == bits(SMALL._asdict())


def _written(path, **parts):
    """A file with a digest that is right and parts that are not."""
    arrays = {}
    state = {name: encode(value, name, arrays) for name, value in SMALL._asdict().items()} | parts
    state = {name: value for name, value in state.items() if value != "LEFT OUT"}
    arrays[STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    write_described(CHECKPOINT, path, {}, arrays)
    return path


@pytest.mark.fault("hostile-tensors")
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"epoch": "LEFT OUT"}, "the state must have the parts epoch, steps, finished, "),
        ({"more": 1}, "the state must have the parts "),
        ({"epoch": 0}, "epoch and steps must be at least 1, got 0 and 7"),
        ({"steps": True}, "steps must be of type int, got True"),
        ({"finished": 1}, "finished must be of type bool, got 1"),
        ({"settings": []}, "settings must be of type dict, got []"),
        ({"architecture": 3}, "architecture must be of type dict, got 3"),
        ({"model": {"dict": {"a": 1}}}, "model must hold nothing but ndarray"),
        ({"frozen": [1]}, "frozen must hold nothing but str"),
        ({"callbacks": [None]}, "callbacks must hold nothing but dict"),
        ({"history": [[]]}, "history must hold nothing but dict"),
        (
            {"meter": {"eval": "1"}},
            "expected a number, a text, a list or one of dict, tuple, float, array, scalar; got ",
        ),
        ({"optimizer": {"array": "nowhere"}}, "expected a number, a text, a list or one of "),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_parts_that_are_wrong(tmp_path, parts, message):
    path = _written(tmp_path / "a.safetensors", **parts)
    with pytest.raises(FormatError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.fault("hostile-tensors")
@pytest.mark.parametrize("state", [b"", b"{", b"[]", b'{"a": NaN}', b"[" * 100_000, b'{"a": 1, "a": 2}', b"\xff"])
def test_a_state_that_is_no_state(tmp_path, state):
    path = tmp_path / "a.safetensors"
    write_described(CHECKPOINT, path, {}, {STATE: np.frombuffer(state, np.uint8)})
    with pytest.raises(FormatError, match=f"^{path}: "):
        read_checkpoint(path)
    write_described(CHECKPOINT, path, {}, {STATE: np.zeros((1, 1), np.float32)})
    with pytest.raises(FormatError, match=r"holds no state of a training$"):
        read_checkpoint(path)


@pytest.mark.fault("hostile-tensors")
def test_nested_too_deeply(tmp_path):
    deep = json.loads("[" * 700 + "]" * 700)
    with pytest.raises(FormatError, match="nested"):
        read_checkpoint(_written(tmp_path / "a.safetensors", callbacks=[{"dict": {"a": deep}}]))


@pytest.mark.fault("hostile-tensors")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 4}, "its epochs, steps and history do not add up"),
        ({"epoch": 1}, "its epochs, steps and history do not add up"),
        ({"finished": False}, "its epochs, steps and history do not add up"),
        ({"history": []}, "its epochs, steps and history do not add up"),
        ({"callbacks": []}, "its epochs, steps and history do not add up"),
        ({"meter": {}}, "Meter.load_state_dict: state must have loss, correct, examples, counts_correct, seconds"),
        ({"optimizer": {"t": 1}}, "AdamW.load_state_dict: state has no 'lr'"),
        ({"callbacks": [{}, {}, {}]}, "AverageWeights.load_state_dict: state must have decay, average; got nothing"),
        ({"settings": {}}, "shards must be an int >= 1, got None"),
        ({"history": [{"val_loss": "low"}, {"val_loss": []}]}, None),  # read, and no reason to stop
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_was_made_up_does_not_get_far(tmp_path, change, message):
    quick(network(), bars(71), **everything(), epochs=2, checkpoint=tmp_path, keep=1)
    path = latest_checkpoint(tmp_path)
    made_up = read_checkpoint(path)._replace(**change)
    path.unlink()
    write_checkpoint(tmp_path, made_up)
    options = everything() | {"checkpoint": tmp_path, "resume": True, "epochs": 2, "shards": None}
    if message is None:
        assert len(quick(network(), bars(71), **options)) == 2
        return
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared
        quick(network(), bars(71), **options)
    assert message in str(caught.value)


def test_the_sums_of_an_epoch_are_kept_to_the_last_bit():
    meter = Meter("mse")
    meter.load_state_dict(SMALL.meter)
    assert meter.state_dict() | {"seconds": 0} == SMALL.meter | {"seconds": 0}
    assert meter.seconds >= 1.5
    assert meter.row()["loss"] == (0.1 + 0.2) / 9
    with pytest.raises(ValueError, match=r"^Meter.load_state_dict: state must have loss, correct, examples, counts_co"):
        meter.load_state_dict({"loss": 1})
