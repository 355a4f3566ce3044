"""Recycled memory: taken again only when nobody holds it, in any thread, and never more of it than the limit."""

from __future__ import annotations

import gc
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder import assert_recycles

from cnn_from_scratch.ops import to_hwnc
from cnn_from_scratch.ops.memory import ALIGN, REGION, SMALL, Store, empty, empty_like, recycled

SHAPE = (256, 128)  # 128 KiB of float32


def address(a):
    return a.__array_interface__["data"][0]


VIEWS = {
    "itself": lambda a: a,
    "transposed": lambda a: a.T,
    "sliced and reshaped": lambda a: a[3:7].reshape(-1)[5:6],
    "a view of a view": lambda a: a.T[::2].T[1:],
    "another dtype": lambda a: a.view(np.int32)[0, :1],
    "broadcast": lambda a: np.broadcast_to(a[:1, :1], (4, 4)),
    "strided by hand": lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), (4, 8)),
    "a diagonal": lambda a: np.einsum("ii->i", a[:128]),
    "a memoryview": memoryview,
}


@pytest.mark.parametrize("name", VIEWS)
def test_what_somebody_holds_is_not_handed_out(name):
    with recycled() as store:
        a = empty(SHAPE, np.float32)
        a.fill(7)
        held = VIEWS[name](a)
        del a
        gc.collect()
        others = [empty(SHAPE, np.float32) for _ in range(3)]
        for other in others:
            other.fill(0)
        assert np.asarray(held).view(np.float32).ravel()[0] == 7
        assert store.used == 4 * 2 * SMALL
        del held
        gc.collect()
        assert store.used == 3 * 2 * SMALL


def test_dead_memory_is_used_again():
    with recycled() as store:
        first = empty(SHAPE, np.float32)
        place = address(first)
        del first
        assert store.used == 0
        assert address(empty(SHAPE[::-1], np.float32)) == place  # another shape, the same size


def test_outside_nothing_is_recycled():
    a = empty(SHAPE, np.float32)
    assert a.base is None
    with recycled():
        pass
    assert empty(SHAPE, np.float32).base is None


def test_inner_stores_end_before_outer_ones():
    with recycled() as outer:
        with recycled() as inner:
            pass
        a = empty(SHAPE, np.float32)
        del a
        assert (outer.used, outer.reserved) == (0, REGION)
        assert inner.reserved == 0


def test_an_array_larger_than_a_region_gets_one_of_its_own():
    with recycled() as store:
        a = empty((REGION + 1,), np.uint8)
        assert store.reserved == REGION + ALIGN
        del a
        b = empty((REGION,), np.uint8)
        assert store.reserved == REGION + ALIGN
        assert b.size == REGION


def test_holes_side_by_side_become_one():
    size = REGION // 4
    with recycled() as store:
        first, second, third, last = (empty((size,), np.uint8) for _ in range(4))
        places = [address(a) for a in (first, second, third, last)]
        assert places == [places[0] + i * size for i in range(4)]
        del second, first  # joined from the right ...
        assert address(empty((2 * size,), np.uint8)) == places[0]
        del third  # ... and from the left
        assert address(empty((3 * size,), np.uint8)) == places[0]
        assert store.reserved == REGION
        assert last.size == size


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60))
def test_arrays_never_overlap_and_nothing_is_lost(steps):
    with recycled() as store:
        held = []
        for make, number in steps:
            if make:
                held.append(empty((number * SMALL + number,), np.uint8))
            elif held:
                del held[number % len(held)]
            places = sorted((address(a), address(a) + a.size) for a in held)
            assert all(end <= start for (_, end), (start, _) in pairwise(places))
            assert store.used == sum(-(-a.size // ALIGN) * ALIGN for a in held)
        reserved = store.reserved
        held.clear()
        assert store.used == 0
        if reserved:
            empty((REGION,), np.uint8)  # all holes have become one again
            assert store.reserved == reserved


def test_arrays_outlive_their_store():
    with recycled():
        a = empty(SHAPE, np.float32)
        a.fill(3)
    gc.collect()
    b = np.full(SHAPE, 4, np.float32)
    assert a.min() == a.max() == 3
    assert b.min() == 4


def test_threads_share_a_store():
    store, wrong = Store(), []

    def work(number):
        with recycled(store):
            for _ in range(200):
                a = empty(SHAPE, np.float32)
                a.fill(number)
                if a.min() != number or a.max() != number:
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert store.used == 0
    assert store.reserved == 4 * REGION  # each thread has its own


def test_other_threads_do_not_recycle():
    found = []
    with recycled():
        thread = threading.Thread(target=lambda: found.append(empty(SHAPE, np.float32).base))
        thread.start()
        thread.join()
    assert found == [None]


@given(st.permutations(range(4)), st.sampled_from([np.float32, np.float64, bool]))
def test_empty_like_keeps_shape_and_order(axes, dtype):
    x = np.zeros((8, 16, 32, 64), np.float32).transpose(axes)
    with recycled():
        y = empty_like(x, dtype)
    expected = np.empty_like(x, dtype)
    assert (y.shape, y.strides, y.dtype) == (expected.shape, expected.strides, expected.dtype)


def test_empty_like_of_a_slice_is_without_gaps():
    x = to_hwnc(np.zeros((16, 32, 16, 16), np.float32))[:, ::2]
    with recycled():
        y = empty_like(x)
    assert y.transpose(2, 3, 0, 1).flags.c_contiguous
    assert y.shape == x.shape


def test_the_check_for_recycling_sees_what_is_fresh():
    def fresh():
        return np.ones(SHAPE, np.float32)

    def recycling():
        empty(SHAPE, np.float32).fill(1)

    held = []

    def growing():
        held.append(empty(SHAPE, np.float32))
        if len(held) == 3:
            held.clear()

    assert_recycles(recycling, SMALL)
    with pytest.raises(AssertionError, match="bytes were allocated outside of the store"):
        assert_recycles(fresh, SMALL)
    with pytest.raises(AssertionError, match=r"\(used, reserved\) bytes of the store were"):
        assert_recycles(growing, SMALL)
