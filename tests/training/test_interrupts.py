"""Ctrl-C, SIGTERM and SIGKILL, sent to real processes with forked shards: what is left, and going on from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from small_training import Press, bars, bits, everything, network, quick, state

from cnn_from_scratch.formats import load_model
from cnn_from_scratch.training import Callback, Terminated, list_checkpoints, read_checkpoint
from cnn_from_scratch.training.interrupts import interrupt_between_steps

TESTS = Path(__file__).parents[1]

TRAIN = f"""
import signal, sys
sys.path.insert(0, {str(TESTS)!r})
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this test runs under
from small_training import Callback, bars, everything, network, quick
from cnn_from_scratch.formats import save_model

class Say(Callback):
    def on_step_end(self, progress, result):
        print("step", flush=True)

options = everything()
options["callbacks"].append(Say())
model = network()
try:
    history = quick(model, bars(71), **options, shards=2, workers=sys.argv[2], checkpoint=sys.argv[1], every=2,
                    resume=True)
except KeyboardInterrupt as error:
    print(type(error).__name__, flush=True)
    sys.exit(128 + (15 if type(error).__name__ == "Terminated" else 2))
save_model(model, sys.argv[1] + ".safetensors")
print(len(history), "epochs", flush=True)
"""


@pytest.fixture(scope="module")
def reference():
    """What comes of the training if nothing happens to it."""
    model = network()
    history = quick(model, bars(71), **everything(), shards=2)
    return bits(state(model)), bits(history.rows)


def start(folder, workers="processes"):
    """The training in a process that leads a group of its own."""
    command = [sys.executable, "-c", TRAIN, str(folder), workers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def finish(folder, reference):
    """Run it again, to its end, and compare; nothing but checkpoints is left."""
    with start(folder) as process:
        lines = process.stdout.read().split("\n")
    assert process.returncode == 0
    assert lines[-2] == "3 epochs"
    assert bits(state(load_model(f"{folder}.safetensors"))) == reference[0]
    assert bits(read_checkpoint(list_checkpoints(folder)[-1]).history) == reference[1]
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.safetensors",
        "checkpoint-00003-00000008.safetensors",
        "checkpoint-00003-00000009.safetensors",
    ]


@pytest.mark.fault("interrupted", "resume", "many-threads")
@pytest.mark.skipif(sys.platform != "linux", reason="shards are forked on Linux")
@pytest.mark.parametrize("workers", ["processes", "threads"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group(tmp_path, reference, sent, workers):
    # as a terminal sends Ctrl-C, and a scheduler SIGTERM: the forks get it, too, and must finish the step
    folder = tmp_path / "run"
    with start(folder, workers) as process:
        for _ in range(4):
            process.stdout.readline()
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == (workers == "processes")
        os.killpg(process.pid, sent)
        rest = process.stdout.read().split()
    assert (rest[-1], process.returncode) == (
        ("Terminated", 143) if sent == signal.SIGTERM else ("KeyboardInterrupt", 130)
    )
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family)
    steps = 4 + rest.count("step")
    assert read_checkpoint(list_checkpoints(folder)[-1]).steps == steps  # that of the step in which it came
    finish(folder, reference)


@pytest.mark.slow
@pytest.mark.fault("resume", "kill-during-save")
@pytest.mark.skipif(sys.platform != "linux", reason="shards are forked on Linux")
@pytest.mark.parametrize("delay", [0.0, 0.004, 0.013])
def test_killed_again_and_again(tmp_path, reference, delay):
    folder = tmp_path / "run"
    for steps in (2, 3, 1):
        with start(folder) as process:
            for _ in range(steps):
                process.stdout.readline()
            time.sleep(delay)
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()  # only the first process: its forks must notice
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
        assert process.returncode == -signal.SIGKILL
    finish(folder, reference)


# --- in this process ------------------------------------------------------------------------------------------------


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_the_first_waits_the_second_does_not(number, kind):
    before, reached = signal.getsignal(number), []

    def block():
        with interrupt_between_steps() as interrupt:
            os.kill(os.getpid(), number)
            reached.append(interrupt.pending)
            os.kill(os.getpid(), number)
            reached.append("the rest")

    with pytest.raises(kind) as caught:
        block()
    assert type(caught.value) is kind
    assert reached == [True]
    assert signal.getsignal(number) == before


@pytest.mark.fault("interrupted")
def test_what_comes_after_the_last_check_is_not_lost():
    done = []

    def block():
        with interrupt_between_steps():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("the rest of the block")

    with pytest.raises(Terminated):
        block()
    assert done
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.fault("interrupted", "many-threads")
@pytest.mark.parametrize("shards", [1, 2])
def test_no_thread_and_no_process_is_left(shards):
    options = everything()
    options["callbacks"].append(Press(5))
    before = psutil.Process().children()  # other tests may have left Python's own servers of processes
    with pytest.raises(KeyboardInterrupt) as caught:
        quick(network(), bars(71), **options, shards=shards)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(("cnn-", "prefetch"))] == []
    assert psutil.Process().children() == before
    assert caught.tb is not None  # whoever looks at the traceback keeps nothing alive


@pytest.mark.fault("interrupted")
def test_ctrl_c_while_the_best_weights_are_put_back():
    class Press(Callback):
        def on_train_end(self, progress):
            os.kill(os.getpid(), signal.SIGINT)

    model, whole = network(), network()
    with pytest.raises(KeyboardInterrupt):
        quick(model, bars(), callbacks=[Press()])
    quick(whole, bars())
    assert bits(state(model)) == bits(state(whole))


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_handler_of_your_own_stays(number):
    heard = []

    class Send(Callback):
        def on_step_end(self, progress, result):
            os.kill(os.getpid(), number)

    before = signal.signal(number, lambda *_: heard.append(number))
    mine = signal.getsignal(number)
    try:
        history = quick(network(), bars(), epochs=1, callbacks=[Send()])
        assert signal.getsignal(number) is mine
    finally:
        signal.signal(number, before)
    assert len(history) == 1
    assert heard == [number] * 3


def test_on_another_thread_nothing_changes():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    seen = []

    def work():
        with interrupt_between_steps() as interrupt:
            seen.append((interrupt.pending, [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, handlers)]
