"""Shards meet, add up in order, and come apart cleanly when one of them fails."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from cnn_from_scratch.parallel import (
    ALONE,
    ThreadGroup,
    blas,
    default_shards,
    open_group,
    shard_slices,
    single_threaded_blas,
)
from cnn_from_scratch.parallel import group as group_module

pytestmark = pytest.mark.fault("many-threads")


def shard_threads():
    return [t for t in threading.enumerate() if t.name.startswith("cnn-shard")]


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_sum_adds_in_the_order_of_the_ranks(size):
    values = np.random.default_rng(0).standard_normal((size, 1000)).astype(np.float32)
    expected = values[0].copy()
    for value in values[1:]:
        expected = expected + value
    with open_group(size) as group:
        for _ in range(20):
            for total, count in group.run(lambda m: m.sum([values[m.rank], np.array(1.0)])):
                np.testing.assert_array_equal(total, expected)  # bitwise
                assert count == size


def test_sum_writes_into_nothing():
    arrays = [np.ones(3), np.ones(3)]
    for a in arrays:
        a.flags.writeable = False
    with open_group(2) as group:
        group.run(lambda m: m.sum([arrays[m.rank]]))
    for a in arrays:
        np.testing.assert_array_equal(a, np.ones(3))


def test_one_shard_is_no_thread():
    with open_group(1) as group:
        assert group is ALONE
        assert group.run(lambda m: (m.rank, m.size, threading.current_thread())) == [(0, 1, threading.main_thread())]


def test_threads_are_reused_and_end_with_the_group():
    with open_group(3) as group:
        first = group.run(lambda _m: threading.get_ident())
        assert first == group.run(lambda _m: threading.get_ident())
        assert len(shard_threads()) == 2
    assert not shard_threads()


def test_what_was_brought_and_what_was_taken_belong_to_the_member():
    # every member writes into both at once after each sum; were they shared, the next totals would be wrong
    def task(member):
        own = np.full(2000, member.rank + 1.0)
        for turn in range(200):
            (total,) = member.sum([own])
            assert (total == 6 * (turn + 1)).all()
            total[:] = -1
            own += member.rank + 1

    with open_group(3) as group:
        group.run(task)


def test_members_that_bring_different_things_fail_together():
    def task(member):
        member.sum([np.ones(2)] * (1 + member.rank))

    with open_group(3) as group, pytest.raises(ValueError, match="zip"):
        group.run(task)


def test_threads_of_a_group_that_nobody_closed_end_with_it():
    group = ThreadGroup(3)
    group.run(lambda m: None)
    threads = shard_threads()
    assert len(threads) == 2
    del group
    for thread in threads:
        thread.join(10)
    assert not shard_threads()


def test_a_closed_group_starts_anew():
    group = ThreadGroup(2)
    assert group.run(lambda m: m.rank) == [0, 1]
    group.close()
    assert group.run(lambda m: m.rank) == [0, 1]
    group.close()


@pytest.mark.parametrize("guilty", [0, 1, 2])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_in_one_member_reaches_the_caller_and_frees_the_others(guilty, error):
    def task(member):
        if member.rank == guilty:
            raise error("from the guilty one")
        member.sum([np.ones(1)])  # would wait for ever

    with open_group(3) as group:
        with pytest.raises(error, match="from the guilty one"):
            group.run(task)
        assert group.run(lambda m: m.rank) == [0, 1, 2]  # still usable
    assert not shard_threads()


def test_blas_is_held_to_one_thread_and_given_back():
    before = blas_threads()
    assert before, "this NumPy has no BLAS that threadpoolctl knows"
    with open_group(2) as _, single_threaded_blas():
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    with pytest.raises(RuntimeError), single_threaded_blas():
        raise RuntimeError
    assert blas_threads() == before


@pytest.mark.parametrize("_again", [1, 2])
def test_the_limit_stays_until_the_last_one_leaves(_again):
    before, inside, leave = blas_threads(), threading.Event(), threading.Event()

    def other():
        with single_threaded_blas():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    with single_threaded_blas():  # first in is the other thread, last out is this one
        leave.set()
        thread.join()
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_without_the_limit_one_shard_is_the_default(monkeypatch):
    # as where threadpoolctl is not installed
    for module in (blas, group_module):
        monkeypatch.setattr(module, "can_limit_blas", lambda: False)
    before = blas_threads()
    assert default_shards() == 1
    with open_group(2) as group:
        assert blas_threads() == before
        assert group.run(lambda m: m.sum([np.array([1.0])])[0].item()) == [2.0, 2.0]
    assert blas_threads() == before


def _run_in_child(connection, group):
    connection.send(group.run(lambda m: m.sum([np.array([1.0])])[0].item()))
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_group_works_after_a_fork():
    with open_group(2) as group:
        group.run(lambda m: m.rank)
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=_run_in_child, args=(theirs, group))
        child.start()
        assert ours.poll(20), "the child hangs"
        assert ours.recv() == [2.0, 2.0]
        child.join()


def test_slices_cover_everything_once():
    for count in range(12):
        for shards in range(1, 6):
            slices = shard_slices(count, shards)
            assert len(slices) == shards
            assert [i for s in slices for i in range(count)[s]] == list(range(count))
            lengths = [s.stop - s.start for s in slices]
            assert max(lengths) - min(lengths) <= 1


def test_bad_size_is_named():
    with pytest.raises(ValueError, match=r"^ThreadGroup: size must be an int >= 1, got 0$"):
        ThreadGroup(0)


def test_default_is_one_per_core():
    assert 1 <= default_shards() <= (os.cpu_count() or 1)
