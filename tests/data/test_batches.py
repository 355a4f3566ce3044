"""The same batches however they are made; and a thread that always ends."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import threading
import time
import traceback

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import frozen, layouts

from cnn_from_scratch.data import ArrayData, RandomShift, as_source, batch_count, iterate_batches
from cnn_from_scratch.data.prefetch import prefetched
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.randomness import derive


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


def numbers(N):
    return np.arange(N, dtype=np.float32).reshape(N, 1, 1, 1), np.arange(N)


# --- which batches --------------------------------------------------------------------------------------------------


def test_in_their_own_order_by_hand():
    batches = list(iterate_batches(numbers(5), 2, seed=0, shuffle=False))
    assert [(step, x.ravel().tolist(), y.tolist()) for step, x, y in batches] == [
        (0, [0, 1], [0, 1]),
        (1, [2, 3], [2, 3]),
        (2, [4], [4]),
    ]


@given(st.integers(0, 20), st.integers(1, 25), st.booleans(), st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None)
def test_every_example_once(N, batch_size, drop_last, epoch, prefetch):
    batches = list(iterate_batches(numbers(N), batch_size, seed=1, epoch=epoch, drop_last=drop_last, prefetch=prefetch))
    assert [b.step for b in batches] == list(range(batch_count(N, batch_size, drop_last=drop_last)))
    seen = [int(label) for b in batches for label in b.y]
    assert len(set(seen)) == len(seen) == (N // batch_size * batch_size if drop_last else N)
    for b in batches:
        np.testing.assert_array_equal(b.x.ravel(), b.y)
        assert len(b.y) == batch_size or (b is batches[-1] and not drop_last)


def test_the_order_is_derived_from_seed_and_epoch():
    expected = derive(7, "order", epoch=3).permutation(10)
    x, y = zip(*((b.x, b.y) for b in iterate_batches(numbers(10), 4, seed=7, epoch=3)), strict=True)
    np.testing.assert_array_equal(np.concatenate(y), expected)
    orders = {
        tuple(np.concatenate([b.y for b in iterate_batches(numbers(10), 4, seed=seed, epoch=epoch)]))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


def augmented():
    x = np.random.default_rng(0).random((50, 1, 6, 6)).astype(np.float32)
    return ArrayData(x, np.arange(50), augment=RandomShift(2))


@pytest.mark.parametrize("prefetch", [1, 2, 7])
def test_prefetch_changes_nothing(prefetch):
    plain = list(iterate_batches(augmented(), 8, seed=3, epoch=2))
    ahead = list(iterate_batches(augmented(), 8, seed=3, epoch=2, prefetch=prefetch))
    assert len(plain) == len(ahead) == 7
    for a, b in zip(plain, ahead, strict=True):
        assert a.step == b.step
        assert a.x.tobytes() == b.x.tobytes()
        np.testing.assert_array_equal(a.y, b.y)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_later_first_step_gives_the_rest_of_the_same_epoch(prefetch):
    whole = list(iterate_batches(augmented(), 8, seed=3, epoch=2))
    rest = list(iterate_batches(augmented(), 8, seed=3, epoch=2, first_step=5, prefetch=prefetch))
    assert [b.step for b in rest] == [5, 6]
    for a, b in zip(whole[5:], rest, strict=True):
        assert a.x.tobytes() == b.x.tobytes()
    assert list(iterate_batches(augmented(), 8, seed=3, first_step=7, prefetch=prefetch)) == []


def test_augmentation_has_a_generator_for_each_step():
    drawn = {}

    def record(x, rng):
        drawn[len(drawn)] = rng.random()
        return x

    list(iterate_batches(ArrayData(*numbers(6), augment=record), 2, seed=5, epoch=1))
    assert drawn == {step: derive(5, "augment", epoch=1, step=step).random() for step in range(3)}


# --- what may be iterated -------------------------------------------------------------------------------------------


def test_anything_with_a_length_and_batch():
    class Squares:
        def __len__(self):
            return 4

        def batch(self, indices, rng):
            return indices**2, indices

    batches = list(iterate_batches(Squares(), 3, seed=0, shuffle=False))
    assert [b.x.tolist() for b in batches] == [[0, 1, 4], [9]]


def test_any_layout_gives_the_same_contiguous_batch():
    x, y = np.random.default_rng(0).random((6, 2, 3, 4)), np.arange(6)
    indices, rng = np.array([4, 0, 5]), np.random.default_rng(0)
    for label, variant in layouts(x):
        got, _ = ArrayData(variant, *frozen(y)).batch(indices, rng)
        np.testing.assert_array_equal(got, x[indices], err_msg=label)
        assert got.flags.c_contiguous, label
        assert got.dtype == np.dtype(np.float64)
        assert got.flags.writeable


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ArrayData(np.zeros((3, 1)), np.zeros(2)),
            ShapeError,
            "ArrayData: x and y must have the same length, got shapes (3, 1) and (2,)",
        ),
        (lambda: ArrayData([1], np.zeros(1)), TypeError, "ArrayData: x must be a NumPy array, got list"),
        (
            lambda: as_source(np.zeros(3)),
            TypeError,
            "data must be a pair of arrays (x, y), or have __len__ and batch(indices, rng); got ndarray",
        ),
        (lambda: batch_count(3, 0), ValueError, "batch_count: batch_size must be an int >= 1, got 0"),
        (
            lambda: iterate_batches(numbers(3), 2.0, seed=0),
            ValueError,
            "batch_count: batch_size must be an int >= 1, got 2.0",
        ),
        (
            lambda: iterate_batches(numbers(3), 2, seed=0, prefetch=-1),
            ValueError,
            "iterate_batches: prefetch must be an int >= 0, got -1",
        ),
        (
            lambda: iterate_batches(numbers(3), 2, seed=0, first_step=True),
            ValueError,
            "iterate_batches: first_step must be an int >= 0, got True",
        ),
        (lambda: iterate_batches(numbers(3), 2, seed=-1), ValueError, "derive: seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_input_is_named_at_once(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


# --- the thread -----------------------------------------------------------------------------------------------------


def broken_at(place):
    def make(n):
        if n == place:
            raise ZeroDivisionError(f"at {n}")
        return n

    return make


def test_an_exception_comes_out_in_its_turn_and_with_its_traceback():
    items = prefetched(broken_at(3), itertools.count(), ahead=2)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match="at 3") as caught:
        next(items)
    assert any(frame.name == "make" for frame in traceback.extract_tb(caught.value.__traceback__))
    assert list(items) == []


@pytest.mark.parametrize("end", ["close", "del", "break", "interrupt", "never started"])
def test_the_thread_ends_when_the_consumer_stops_early(end):
    items = prefetched(lambda n: n, itertools.count(), ahead=3)
    if end != "never started":
        next(items)
        assert any(t.name == "prefetch" for t in threading.enumerate())
    if end == "close":
        items.close()
    elif end == "break":
        for _ in items:
            break
    elif end == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            items.throw(KeyboardInterrupt())
    del items
    gc.collect()
    assert not any(t.name == "prefetch" for t in threading.enumerate())


def test_never_more_than_so_many_ahead():
    made = []
    items = prefetched(lambda n: made.append(n) or n, range(10), ahead=2)
    for used, item in enumerate(items, 1):
        assert item == used - 1
        deadline = time.monotonic() + 0.05
        while len(made) < min(used + 2, 10) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert used <= len(made) <= used + 2
    assert made == list(range(10))


def test_batches_really_are_made_ahead_on_another_thread():
    names = []
    list(prefetched(lambda n: names.append(threading.current_thread().name), range(3), ahead=1))
    assert names == ["prefetch"] * 3


def test_ctrl_c_while_waiting_for_a_slow_batch():
    def slow(n):
        time.sleep(0.2)
        return n

    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(prefetched(slow, itertools.count(), ahead=1))
    assert time.monotonic() - start < 5
    timer.join()
    assert not any(t.name == "prefetch" for t in threading.enumerate())
