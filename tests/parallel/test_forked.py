"""Shards in forked processes: the same sums as threads, and nothing left behind, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from cnn_from_scratch.parallel import ForkedGroup, SharedArrays, can_fork, open_group
from cnn_from_scratch.parallel.channel import Channel, Mailbox

pytestmark = [
    pytest.mark.skipif(not can_fork(), reason="forks are made on Linux only"),
    pytest.mark.fault("many-threads", "interrupted"),
]


@pytest.fixture
def forked():
    """Groups that are closed at the end."""
    groups = []

    def make(size, work):
        groups.append(ForkedGroup(size, work))
        return groups[-1]

    yield make
    for group in groups:
        group.close()


def pids(group):
    return [fork.process for fork in group._forks]


def is_running(pid):
    """Neither gone nor a zombie that nobody has asked about."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def meet(member, task=None):
    """Three sums of arrays of several kinds, the second of what came out of the first."""
    rank = float(member.rank)
    first = member.sum([np.arange(4.0) * rank, np.array(rank), np.ones((2, 3), np.float32)])
    second = member.sum([first[0] + rank])
    return [a.tolist() for a in (*first, *second, *member.sum([np.zeros((0, 3))]))]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_sums_are_those_of_threads(forked, size):
    group = forked(size, meet)
    with open_group(size) as threads:
        assert group.run([None] * (size - 1), here=meet) == threads.run(meet)


def test_sums_are_in_order_of_rank(forked):
    """1e16 + 1 - 1e16 is 0 in this order, and 1 in another."""
    numbers = [np.array([1e16]), np.array([1.0]), np.array([-1e16])]
    group = forked(3, lambda member, task: member.sum([task])[0].tolist())
    assert group.run(numbers[1:], here=lambda member: member.sum([numbers[0]])[0].tolist()) == [[0.0]] * 3


def test_tasks_of_any_size_arrive_whole_and_are_not_overwritten_by_sums(forked):
    def work(member, task):
        before = task.copy()
        member.sum([np.ones(1000)])
        return task.shape, bool((task == before).all()), float(task.sum())

    group = forked(3, work)
    for small, large in ((1, 0), (0, 3), (2, 100_000), (3, 50), (0, 400_000)):
        tasks = [np.full((n, 3), 2.0) for n in (small, large)]
        found = group.run(tasks, here=lambda member: member.sum([np.ones(1000)])[0][0])
        assert found == [3.0, *(((n, 3), True, 6.0 * n) for n in (small, large))]


def test_forks_work_on_copies_of_what_the_work_refers_to(forked):
    kept = np.zeros(2)

    def work(member, task):
        kept[:] += task
        return kept.tolist()

    group = forked(2, work)
    assert [group.run([1.0], here=lambda member: None)[1] for _ in range(2)] == [[1.0, 1.0], [2.0, 2.0]]
    assert kept.tolist() == [0.0, 0.0]


def test_shared_arrays_are_seen_by_both_sides(forked):
    shared = SharedArrays({"a": np.zeros((2, 2), np.float32), "none": np.zeros((0, 3))})

    def work(member, task):
        shared.write({"a": shared["a"] * 2})

    group = forked(2, work)
    shared.write({"a": np.full((2, 2), 3.0, np.float32)})
    group.run([None], here=lambda member: None)
    np.testing.assert_array_equal(shared["a"], 6.0)
    assert (shared["a"].dtype, len(shared), list(shared)) == (np.float32, 2, ["a", "none"])
    with pytest.raises(TypeError, match="Cannot cast array data"):
        shared.write({"a": np.zeros((2, 2))})


# --- when something goes wrong --------------------------------------------------------------------------------------


class TakesTwoError(Exception):
    """Cannot be unpickled, as its constructor needs what pickle does not keep."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def fail_on(member, task):
    if isinstance(task, BaseException):
        raise task
    member.sum([np.ones(1)])
    return task


def test_an_error_in_a_fork_is_raised_here_with_its_traceback_and_the_next_run_works(forked):
    group = forked(3, fail_on)
    with pytest.raises(FloatingPointError, match="a number too far") as caught:
        group.run([1, FloatingPointError("a number too far")], here=lambda member: member.sum([np.ones(1)]))
    (note,) = caught.value.__notes__
    assert note.startswith("in shard 2, a process of its own:\nTraceback")
    assert "in fail_on" in note
    assert not group._forks
    assert group.run([1, 2], here=lambda member: fail_on(member, 0)) == [0, 1, 2]


def test_an_error_that_cannot_be_sent_says_what_it_was(forked):
    group = forked(2, lambda member, task: fail_on(member, TakesTwoError("this", "that")))
    with pytest.raises(RuntimeError, match="TakesTwoError: this and that"):
        group.run([None], here=lambda member: None)


def test_an_error_here_ends_the_forks(forked):
    group = forked(2, fail_on)
    group.start()
    (pid,) = pids(group)

    def here(member):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        group.run([1], here=here)
    assert not is_running(pid)
    assert group.run([7], here=lambda member: fail_on(member, 6)) == [6, 7]


def test_a_fork_that_is_killed_is_noticed_and_replaced(forked):
    group = forked(3, fail_on)
    group.start()
    os.kill(pids(group)[1], signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="the process of shard 2 ended unexpectedly, killed by signal 9; a new"):
        group.run([1, 2], here=lambda member: fail_on(member, 0))
    assert group.run([1, 2], here=lambda member: fail_on(member, 0)) == [0, 1, 2]


def test_a_fork_that_dies_at_its_work_is_noticed(forked):
    group = forked(2, lambda member, task: os._exit(3))
    with pytest.raises(ChildProcessError, match="shard 1 ended unexpectedly with status 3"):
        group.run([None], here=lambda member: member.sum([np.ones(1)]))


def test_members_that_do_not_meet_are_a_clear_error(forked):
    group = forked(2, lambda member, task: task)
    with pytest.raises(RuntimeError, match="shard 1 came with a result where the others have a sum"):
        group.run([1], here=lambda member: member.sum([np.ones(1)]))


def test_close_ends_the_processes_and_lets_go_of_all_files():
    before = len(os.listdir("/proc/self/fd"))
    group = ForkedGroup(3, fail_on)
    group.start()
    running = pids(group)
    assert all(map(is_running, running))
    group.close()
    group.close()
    assert not any(map(is_running, running))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_group_that_nobody_closed_ends_with_it():
    group = ForkedGroup(2, fail_on)
    group.start()
    running = pids(group)
    del group
    assert not any(map(is_running, running))


def run_script(text):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.PIPE, text=True)


SCRIPT = """
    import os, signal, sys, time
    from cnn_from_scratch.parallel import ForkedGroup
    group = ForkedGroup(3, lambda member, task: time.sleep(task))
    group.start()
    print(*(fork.process for fork in group._forks), flush=True)
    {then}
"""


@pytest.mark.parametrize(
    "then",
    ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit()", "group.run([0.2, 0.2], here=lambda m: os._exit(1))"],
)
def test_forks_end_when_the_first_process_does_however_it_does(then):
    with run_script(SCRIPT.format(then=then)) as process:
        forks = [int(pid) for pid in process.stdout.readline().split()]
    assert len(forks) == 2
    wait_until(lambda: not any(map(is_running, forks)))


@pytest.mark.fault("interrupted")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_that_ask_for_the_end_are_for_the_first_process(name):
    """The forks leave them to it, and say nothing."""
    text = f"""
        import os, signal, sys, time
        from cnn_from_scratch.parallel import ForkedGroup
        def work(member, task):
            os.kill(os.getpid(), signal.{name})
            return "still here"
        group = ForkedGroup(2, work)
        print(group.run([None], here=lambda member: None)[1])
    """
    process = run_script(text)
    assert process.communicate(timeout=60)[0] == "still here\n"
    assert process.returncode == 0


@pytest.mark.fault("interrupted")
def test_signals_while_the_forks_are_being_made():
    """They rain on the whole group of processes, and no fork dies of one that comes before it can ignore it."""
    text = """
        import os, signal, subprocess, sys
        from cnn_from_scratch.parallel import ForkedGroup
        os.setpgid(0, 0)
        first, heard = os.getpid(), []
        def handler(number, frame):  # of the first process: no fork may run it
            heard.append(1) if os.getpid() == first else os._exit(1)
        signal.signal(signal.SIGTERM, handler)
        rain = "import os, signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\nprint(flush=True)\\n"
        rain += f"while True: os.killpg({os.getpid()}, signal.SIGTERM); time.sleep(1e-4)"
        process, results = subprocess.Popen([sys.executable, "-c", rain], stdout=subprocess.PIPE), []
        try:
            process.stdout.readline()
            for _ in range(100):
                group = ForkedGroup(2, lambda member, task: task)
                results += group.run([7], here=lambda member: 7)
                group.close()
        finally:
            process.kill()
        process.communicate()
        print(results == [7] * 200, len(heard) > 0)
    """
    process = run_script(text)
    assert process.communicate(timeout=60)[0] == "True True\n"
    assert process.returncode == 0


def test_a_fork_of_the_users_own_leaves_the_group_alone(forked):
    group = forked(2, fail_on)
    group.start()
    running = pids(group)
    child = os.fork()
    if not child:
        group.close()  # not its own
        os._exit(0)
    os.waitpid(child, 0)
    assert pids(group) == running
    assert all(map(is_running, running))
    assert group.run([1], here=lambda member: fail_on(member, 0)) == [0, 1]


# --- the parts ------------------------------------------------------------------------------------------------------


def test_a_mailbox_is_never_made_smaller_by_the_other_end():
    """The second end looks first for nothing at all, when the first has already put much."""
    box = Mailbox()
    data = bytes(range(256)) * 100
    sizes = box.put([memoryview(data)])
    other = Mailbox.__new__(Mailbox)
    other._file, other._memory = os.dup(box._file), None
    assert other.get([]) == []
    assert bytes(other.get(sizes)[0]) == data
    box.close()
    other.close()


def test_a_channel_tells_when_the_other_end_hangs_up():
    one, other = Channel.pair()
    one.close()
    with pytest.raises(EOFError, match="the other process has ended"):
        other.receive()
    other.hang_up()


def test_a_message_longer_than_the_sockets_buffer_arrives():
    one, other = Channel.pair()
    numbers = np.arange(300_000)
    thread = threading.Thread(target=one.send, args=(numbers,), kwargs={"through_memory": False})
    thread.start()
    np.testing.assert_array_equal(other.receive(), numbers)
    thread.join()
    one.close()
    other.hang_up()


def test_there_are_no_forks_from_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(can_fork()))
    thread.start()
    thread.join()
    assert found == [False]


@pytest.mark.parametrize("size", [0, 1, True, 2.0])
def test_size_is_checked(size):
    with pytest.raises(ValueError, match=rf"ForkedGroup: size must be an int >= 2, got {size!r}"):
        ForkedGroup(size, fail_on)
