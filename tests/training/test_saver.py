"""Which checkpoints there are, what happens when they are damaged or cannot be written, and where a training ends."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading

import numpy as np
import pytest
from small_training import (
    Press,
    Raise,
    assert_same,
    bars,
    bits,
    cut_and_resumed,
    everything,
    network,
    quick,
    run,
    state,
)

from cnn_from_scratch.errors import FormatError, NotFiniteError
from cnn_from_scratch.formats import load_state_dict, replacing
from cnn_from_scratch.layers import Flatten, Layer, Linear, Sequential
from cnn_from_scratch.training import (
    Callback,
    Terminated,
    latest_checkpoint,
    list_checkpoints,
    load_checkpoint_model,
    read_checkpoint,
)


def _flip(path):
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_flip, _cut_short, _empty])
def test_a_damaged_checkpoint_and_the_one_before(tmp_path, damage):
    reference = run(network, dict, bars())
    with pytest.raises(KeyboardInterrupt):
        quick(network(), bars(), callbacks=[Press(5)], checkpoint=tmp_path, every=1)
    before, newest = list_checkpoints(tmp_path)
    damage(newest)
    with pytest.warns(RuntimeWarning, match=rf"^fit: {newest}: .*; going on from {before.name}$") as caught:
        again = run(network, lambda: {"callbacks": [Press(0)]}, bars(), checkpoint=tmp_path, every=1, resume=True)
    assert again == reference
    assert caught[0].filename.endswith("small_training.py")  # where fit was called
    assert len(list_checkpoints(tmp_path)) == 2


def test_a_damaged_one_that_lies_ahead_does_not_displace_good_ones(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        quick(network(), bars(), callbacks=[Press(8)], checkpoint=tmp_path, every=4, keep=9)
    *_, before, newest = list_checkpoints(tmp_path)  # after 6 and 8 steps
    _flip(newest)
    with pytest.warns(RuntimeWarning), pytest.raises(KeyboardInterrupt):
        quick(network(), bars(), callbacks=[Press(1)], checkpoint=tmp_path, every=4, keep=1, resume=True)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-00003-00000007.safetensors", newest.name]


def test_the_best_stands_in_for_the_rest(tmp_path):
    reference = run(network, dict, bars())
    quick(network(), bars(), epochs=2, checkpoint=tmp_path)
    for path in list_checkpoints(tmp_path):
        path.unlink()
    assert os.listdir(tmp_path) == ["best.safetensors"]
    with pytest.raises(ValueError, match=r"holds checkpoints of a training, such as best.safetensors; "):
        quick(network(), bars(), checkpoint=tmp_path)
    assert run(network, dict, bars(), checkpoint=tmp_path, resume=True) == reference


def test_when_all_are_damaged_there_is_an_end(tmp_path):
    model = network()
    before = state(model)
    quick(network(), bars(), checkpoint=tmp_path)
    for path in tmp_path.iterdir():
        _flip(path)
    with pytest.raises(FormatError, match=r"^fit: no checkpoint can be read: .*00009.safetensors: .*; .*best.safe"):
        quick(model, bars(), checkpoint=tmp_path, resume=True)
    assert_same(before, state(model))


@pytest.mark.fault("not-finite")
def test_not_a_number_leaves_the_last_good_checkpoint(tmp_path):
    class Poison(Callback):
        def on_step_end(self, progress, result):
            if progress.epoch == 2 and progress.step == 1:
                progress.model.params["6.bias"][0] = np.nan

    class Read(Callback):
        pass

    Read.__name__ = "Poison"
    reference = run(network, dict, bars())
    with pytest.raises(NotFiniteError, match=r"at epoch 2, step 2; the parameters are those before this step$"):
        quick(network(), bars(), callbacks=[Poison()], checkpoint=tmp_path, every=1)
    good = latest_checkpoint(tmp_path)
    assert good.name == "checkpoint-00002-00000004.safetensors"  # that of the poisoned step was not written
    assert all(np.isfinite(array).all() for array in read_checkpoint(good).model.values())
    again = run(network, lambda: {"callbacks": [Read()]}, bars(), checkpoint=tmp_path, every=1, resume=True)
    assert again == reference


def test_a_training_on_another_thread(tmp_path):
    reference = run(network, dict, bars())
    with pytest.raises(KeyboardInterrupt):
        quick(network(), bars(), callbacks=[Raise(5)], checkpoint=tmp_path, every=2)
    results = []

    def go_on():
        results.append(run(network, lambda: {"callbacks": [Raise(0)]}, bars(), checkpoint=tmp_path, resume=True))

    thread = threading.Thread(target=go_on)
    thread.start()
    thread.join()
    assert results == [reference]


@pytest.mark.fault("interrupted")
def test_sigterm_comes_out_as_terminated(tmp_path):
    with pytest.raises(Terminated):
        quick(network(), bars(), callbacks=[Press(5, signal.SIGTERM)], checkpoint=tmp_path)
    assert latest_checkpoint(tmp_path).name == "checkpoint-00002-00000005.safetensors"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


# --- which there are ------------------------------------------------------------------------------------------------


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_at_the_end_of_each_epoch_and_the_best(tmp_path):
    class Pretend(Callback):
        def on_epoch_end(self, progress, row):
            row["val_loss"] = [0.5, 0.2, 0.3, float("nan")][progress.epoch - 1]
            return False

    quick(network(), bars(), epochs=4, checkpoint=tmp_path, callbacks=[Pretend()])
    assert names(tmp_path) == [
        "best.safetensors",
        "checkpoint-00003-00000009.safetensors",
        "checkpoint-00004-00000012.safetensors",
    ]
    best = read_checkpoint(tmp_path / "best.safetensors")
    assert (best.epoch, best.steps, best.finished, best.stopped) == (2, 6, True, False)
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-00004-00000012.safetensors"
    assert list_checkpoints(str(tmp_path)) == [tmp_path / name for name in names(tmp_path)[1:]]


def test_the_first_epoch_is_the_best_so_far_even_if_it_is_not_a_number(tmp_path):
    class Pretend(Callback):
        def on_epoch_end(self, progress, row):
            row["val_loss"] = [float("nan"), 0.3][progress.epoch - 1]
            return False

    for epochs in (1, 2):
        quick(network(), bars(), epochs=epochs, checkpoint=tmp_path, callbacks=[Pretend()], resume=epochs > 1)
        assert read_checkpoint(tmp_path / "best.safetensors").epoch == epochs


@pytest.mark.parametrize(
    ("every", "keep", "steps"),
    [(1, 9, [1, 2, 3, 4, 5, 6]), (2, 9, [2, 3, 4, 6]), (4, 9, [3, 4, 6]), (1, 1, [6]), (9, 3, [3, 6])],
)
def test_every_so_many_steps_over_the_whole_training(tmp_path, every, keep, steps):
    quick(network(), bars(), epochs=2, checkpoint=tmp_path, every=every, keep=keep)
    found = [read_checkpoint(path) for path in list_checkpoints(tmp_path)]
    assert [checkpoint.steps for checkpoint in found] == steps
    assert [checkpoint.finished for checkpoint in found] == [step in (3, 6) for step in steps]


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    others = [
        "checkpoint-1-2.safetensors",
        "checkpoint-00001-00000001.safetensors.bak",
        "notes.txt",
        "model.safetensors",
    ]
    for name in others:
        (tmp_path / name).write_text("mine")
    quick(network(), bars(), epochs=2, checkpoint=tmp_path, keep=1)
    assert set(others) < set(names(tmp_path))
    assert len(list_checkpoints(tmp_path)) == 1


def test_what_was_killed_between_the_last_and_the_best_is_made_good(tmp_path):
    reference = tmp_path / "whole"
    quick(network(), bars(), epochs=2, checkpoint=reference)
    quick(network(), bars(), epochs=2, checkpoint=tmp_path / "cut")
    (tmp_path / "cut" / "best.safetensors").unlink()
    quick(network(), bars(), epochs=2, checkpoint=tmp_path / "cut", resume=True)
    assert bits(read_checkpoint(tmp_path / "cut" / "best.safetensors")._asdict()) == bits(
        read_checkpoint(reference / "best.safetensors")._asdict()
    )


def test_a_model_out_of_a_checkpoint(tmp_path):
    model = network()
    quick(model, bars(), checkpoint=tmp_path)
    again = load_checkpoint_model(latest_checkpoint(tmp_path))
    assert_same(state(model), state(again))
    x, _ = bars(8)
    np.testing.assert_array_equal(model.predict(x), again.predict(x))
    own = network(seed=1)
    load_state_dict(own, read_checkpoint(latest_checkpoint(tmp_path)).model)
    assert_same(state(model), state(own))


class Scale(Layer):
    """A layer of one's own."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x, ctx):
        return x * x.dtype.type(self.factor), None

    def backward(self, dy, cache, *, need_dx=True):
        return dy * dy.dtype.type(self.factor), {}


class Nameless(Scale):
    """One that does not say what it was made with."""

    def __init__(self, made_of):
        super().__init__(made_of)


def test_layers_of_your_own(tmp_path):
    def make(layer, seed=0):
        return Sequential(Flatten(), layer, Linear(64, 2)).initialize(seed)

    for layer in (Scale(0.5), Nameless(0.5)):
        folder = tmp_path / type(layer).__name__
        reference = run(lambda seed=0, layer=layer: make(layer, seed), dict, bars())
        cut = cut_and_resumed(folder, lambda seed=0, layer=layer: make(layer, seed), dict, bars(), Press(4))
        assert cut == reference
    path = latest_checkpoint(tmp_path / "Scale")
    assert bits(state(load_checkpoint_model(path, layers={"Scale": Scale}))) == reference[1][0]
    with pytest.raises(FormatError, match=r"00009.safetensors: layer '1' is of the unknown type 'Scale'"):
        load_checkpoint_model(path)
    with pytest.raises(FormatError, match=r"the model could not be described; make it yourself, and load read_checkp"):
        load_checkpoint_model(latest_checkpoint(tmp_path / "Nameless"))


# --- folders that cannot be written, and full ones ------------------------------------------------------------------


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file"):
        quick(network(), bars(), checkpoint=tmp_path / "file")


def _refused(folder):
    model, steps = network(), Press(0)
    before = state(model)
    with pytest.raises(PermissionError) as caught:
        quick(model, bars(), checkpoint=folder, callbacks=[steps])
    assert caught.value.filename == str(folder)
    assert caught.value.strerror == "fit: checkpoint=... names a folder that cannot be written; choose another one"
    assert steps.left == 0  # no step was taken
    assert_same(before, state(model))


@pytest.mark.fault("read-only-folder")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o555)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:  # whom no mode stops
        os.seteuid(65534)
    try:
        for folder in (tmp_path, tmp_path / "new"):
            _refused(folder)
    finally:
        if root:
            os.seteuid(0)
        tmp_path.chmod(0o755)
    assert names(tmp_path) == []


@pytest.mark.fault("read-only-folder")
def test_a_file_system_that_is_read_only(mounted):
    folder = mounted("ro")
    for place in (folder, folder / "new"):
        _refused(place)


@pytest.mark.fault("disk-full", "resume")
@pytest.mark.parametrize("spare", [0, 4096, 20_000, 40_000])
def test_a_full_disk(mounted, tmp_path, spare):
    whole = network()
    history = quick(whole, bars(71), **everything())
    folder = mounted("size=1m")
    model, steps = network(), Press(4)
    options = everything()
    with pytest.raises(KeyboardInterrupt):
        quick(model, bars(71), **_with(options, steps), checkpoint=folder, every=1)
    before = {path.name: path.read_bytes() for path in list_checkpoints(folder)}
    _fill(folder, spare)
    with pytest.raises(OSError, match="No space left on device") as caught:
        quick(model, bars(71), **_with(everything(), Press(0)), checkpoint=folder, every=1, keep=9, resume=True)
    assert caught.value.errno == errno.ENOSPC
    assert os.path.dirname(caught.value.filename) == str(folder)
    assert not [name for name in names(folder) if name.endswith(".part")]
    for name, content in before.items():
        assert (folder / name).read_bytes() == content
    assert all(read_checkpoint(path) for path in list_checkpoints(folder))
    assert all(np.isfinite(array).all() for array in state(model).values())
    (folder / "filler").unlink()
    again = network(seed=9)
    found = quick(again, bars(71), **_with(everything(), Press(0)), checkpoint=folder, every=1, resume=True)
    assert bits(found.rows) == bits(history.rows)
    assert_same(state(whole), state(again))


def _with(options, callback):
    return options | {"callbacks": [*options["callbacks"], callback]}


def _fill(folder, spare):
    """Take all room there but for so many bytes."""
    with open(folder / "filler", "wb", buffering=0) as filler:
        with contextlib.suppress(OSError):  # there is no room left
            while True:
                filler.write(bytes(4096))
        filler.truncate(filler.tell() - spare)


@pytest.mark.fault("disk-full")
def test_a_limit_on_the_size_of_files(tmp_path):
    resource = pytest.importorskip("resource")
    reference = network()
    quick(reference, bars())
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    model = network()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
        with pytest.raises(OSError, match="File too large") as caught:
            quick(model, bars(), checkpoint=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert names(tmp_path) == []
    quick(model, bars(), checkpoint=tmp_path)  # the model is whole, and so is the folder
    assert len(list_checkpoints(tmp_path)) == 2


@pytest.mark.fault("kill-during-save")
def test_what_killed_writers_left_is_cleared_away_and_living_ones_go_on(tmp_path):
    letters = "0123456789abcdef"
    for name in ("checkpoint-00001-00000003.safetensors", "best.safetensors"):
        (tmp_path / f".{name}.{letters}.part").write_bytes(b"half of it")
    mine = tmp_path / f".notes.txt.{letters}.part"
    mine.write_text("of another file")
    with replacing(tmp_path / "checkpoint-00001-00000004.safetensors") as living:
        living.write_text("not yet")
        quick(network(), bars(), epochs=1, checkpoint=tmp_path)
        assert names(tmp_path) == [living.name, mine.name, "best.safetensors", "checkpoint-00001-00000003.safetensors"]
