"""Which checkpoints there are, what happens when they are damaged or cannot be written, and where a training ends."""

from __future__ import annotations

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
    network,
    quick,
    run,
    state,
)

from cnn_from_scratch.errors import FormatError, NotFiniteError
from cnn_from_scratch.training import (
    Callback,
    Terminated,
    latest_checkpoint,
    list_checkpoints,
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
