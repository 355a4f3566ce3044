"""Processes: what works in a child as it does in its parent, and that nothing outlives a process, however it ends."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from cnn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, ReLU, Sequential
from cnn_from_scratch.parallel import can_fork
from cnn_from_scratch.training import fit

pytestmark = pytest.mark.fault("many-threads")
linux = pytest.mark.skipif(not can_fork(), reason="forks are made on Linux only")

PROGRAM = """
import hashlib, multiprocessing, os, sys, threading, time
import numpy as np
from cnn_from_scratch import Adam, evaluate, fit
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Sequential
from cnn_from_scratch.training import Callback

rng = np.random.default_rng(0)
x, y = rng.random((48, 1, 8, 8), dtype=np.float32), rng.integers(0, 4, 48)

def build():
    return Sequential(Conv2d(1, 4, 3), BatchNorm2d(4), ReLU(), Flatten(), Linear(144, 4)).initialize(0)

def train(workers="auto", **settings):
    model = build()
    settings = {"epochs": 2, "batch_size": 16, "shards": 2, "progress": False, "workers": workers} | settings
    fit(model, (x, y), **settings)
    return model

def numbers(workers="auto"):
    model = train(workers)
    plan = model.compile((8, 1, 8, 8), shards=2)
    parts = [*model.params.values(), *model.buffers.values(), model.predict(x), plan.predict(x)]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
"""


def run(text, *options, **environment):
    """Run a program of PROGRAM's definitions and this text, with the time limit of a minute; what it printed."""
    done = subprocess.run(
        [sys.executable, *options, "-c", PROGRAM + textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# --- children -------------------------------------------------------------------------------------------------------


METHODS = """
    def child(queue, workers):
        queue.put(numbers(workers))

    if __name__ == "__main__":
        right = numbers("threads")
        for method in sys.argv[1:]:
            context = multiprocessing.get_context(method)
            for workers in ("threads", "auto"):
                queue = context.SimpleQueue()
                process = context.Process(target=child, args=(queue, workers))
                process.start()
                found = queue.get()
                process.join()
                print(method, workers, found == right, process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@linux
def test_children_of_multiprocessing_compute_the_same(tmp_path, method):
    """After the parent has trained, too: what it made is not theirs to use or to end."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM + textwrap.dedent(METHODS))
    options = ["-W", "ignore:This process:DeprecationWarning"]  # multiprocessing's own fork, from Python 3.12 on
    done = subprocess.run(
        [sys.executable, *options, str(path), method], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == (f"{method} threads True 0\n{method} auto True 0\n", "")


@linux
@pytest.mark.parametrize("used", [False, True])
def test_a_child_of_os_fork_computes_the_same(used):
    text = f"""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        right = numbers() if {used} else None
        plan = build().compile((8, 1, 8, 8), shards=2)
        answer = plan(x[:8]) if {used} else None
        reader, writer = os.pipe()
        if not os.fork():
            same = answer is None or np.array_equal(plan(x[:8]), answer)
            os.write(writer, (numbers() + str(same)).encode())
            os._exit(0)
        os.wait()
        print(os.read(reader, 1000).decode() == (right or numbers()) + "True")
    """
    assert run(text) == "True\n"


@linux
def test_a_child_that_is_forked_in_the_middle_of_a_training_computes_the_same():
    text = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        right = numbers()
        class Fork(Callback):
            def on_step_end(self, progress, result):
                if progress.step == 0:
                    if not os.fork():
                        os._exit(numbers() != right)
                    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        for workers in ("threads", "processes"):
            train(workers, callbacks=[Fork()], epochs=1)
    """
    assert run(text) == "0\n0\n"


# --- ends -----------------------------------------------------------------------------------------------------------


ENDS = {
    "sys.exit": ("sys.exit(7)", 7),
    "exception": ("raise ZeroDivisionError", 1),
    "os._exit": ("os._exit(7)", 7),
    "interrupt": ("os.kill(os.getpid(), 2); time.sleep(0)", -2),
    "sigterm": ("os.kill(os.getpid(), 15); time.sleep(0)", None),
    "sigkill": ("os.kill(os.getpid(), 9)", -9),
}


def is_running(process):
    """Neither gone nor merely waiting to be asked about."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@linux
@pytest.mark.fault("interrupted")
@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("workers", ["threads", "auto"])
@pytest.mark.parametrize("end", ENDS)
def test_a_process_that_ends_in_the_middle_of_a_training_leaves_no_other(end, workers, where):
    action, code = ENDS[end]
    text = f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may ignore it
        class End(Callback):
            def on_step_end(self, progress, result):
                forks = open(f"/proc/{{os.getpid()}}/task/{{os.getpid()}}/children").read().split()
                print(threading.active_count(), *forks, flush=True)
                {action}
        def go():
            train({workers!r}, callbacks=[End()], epochs=1000, prefetch=2)
        if {where!r} == "thread":
            thread = threading.Thread(target=go, daemon=True)
            thread.start()
            thread.join(3)  # the main thread ends, with or without it
        else:
            go()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(text)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=60)  # would be longer if a thread or a fork kept it, or its pipes, open
    threads, *forks = map(int, out.splitlines()[0].split())
    by_threads = workers == "threads" or where == "thread"
    assert (threads > 1, len(forks)) == (True, 0) if by_threads else len(forks) == 1
    until = time.monotonic() + 10
    while any(map(is_running, forks)):
        assert time.monotonic() < until, f"{forks} outlive their process"
        time.sleep(0.01)
    if where == "main" and code is not None:
        assert process.returncode == code, err
    assert "Fatal" not in err


# --- import and shutdown --------------------------------------------------------------------------------------------


IMPORTS = """
    import os, random, threading
    import numpy as np
    random.seed(1); np.random.seed(1)
    before = random.getstate(), str(np.random.get_state()), threading.active_count(), len(os.listdir("/proc/self/task"))
    import cnn_from_scratch
    from cnn_from_scratch import cli, data, formats, insight, layers, models, ops, optim, parallel, training
    after = random.getstate(), str(np.random.get_state()), threading.active_count(), len(os.listdir("/proc/self/task"))
    print(before == after)
"""


@linux
def test_an_import_starts_no_thread_and_draws_no_number():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(IMPORTS)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"


def network():
    return Sequential(Conv2d(1, 4, 3), ReLU(), Dropout(0.5), Flatten(), Linear(144, 4)).initialize(0)


@pytest.mark.parametrize("workers", ["threads", pytest.param("processes", marks=linux)])
def test_a_training_neither_reads_nor_changes_the_global_random_state(workers):
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 1, 8, 8), dtype=np.float32), rng.integers(0, 4, 32)
    found = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the state that must not matter
        before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
        model = network()
        fit(model, (x, y), epochs=2, batch_size=8, shards=2, workers=workers, augment=noisy, progress=False)
        model.predict(x)
        assert (random.getstate(), str(np.random.get_state())) == before  # noqa: NPY002
        found.append({key: value.copy() for key, value in model.params.items()})
    for key, value in found[0].items():
        np.testing.assert_array_equal(found[1][key], value)


def noisy(x, rng):
    return x + rng.normal(0, 0.1, x.shape).astype(np.float32)


def test_the_interpreter_shuts_down_without_a_word_even_where_nothing_was_closed():
    text = """
        from cnn_from_scratch.parallel import ForkedGroup, ThreadGroup, can_fork
        model = train("threads", prefetch=2)
        train("auto", prefetch=2)
        plan = model.compile((8, 1, 8, 8), shards=2)
        plan(x[:8])
        group = ThreadGroup(3)
        group.run(lambda member: None)
        if can_fork():
            forked = ForkedGroup(3, lambda member, task: None)
            forked.run([None, None], here=lambda member: None)
        print(evaluate(model, (x, y)).examples)
    """
    assert run(text, "-X", "dev", "-W", "error") == "48\n"
