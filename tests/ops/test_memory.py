"""Recycled memory: taken again only when nobody holds it, in any thread, and never more of it than the limit."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder import assert_recycles

from cnn_from_scratch.ops import to_hwnc
from cnn_from_scratch.ops.memory import SMALL, Store, empty, empty_like, recycled

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
        assert store.unused == 0
        del held
        gc.collect()
        assert store.unused == 2 * SMALL


def test_dead_memory_is_used_again():
    with recycled() as store:
        first = empty(SHAPE, np.float32)
        place = address(first)
        del first
        assert store.unused == 2 * SMALL
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
            del inner
        a = empty(SHAPE, np.float32)
        del a
        assert outer.unused == 2 * SMALL


def test_a_store_keeps_no_more_than_its_limit():
    with recycled(Store(limit=3 * SMALL)) as store:
        arrays = [empty(SHAPE, np.float32) for _ in range(4)]
        arrays.clear()
        assert store.unused == 2 * SMALL


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
    assert store.unused <= 4 * 2 * 2 * SMALL  # each thread holds one array while it makes the next


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
        if len(held) == 3:  # the store has nothing to hand out but what is made now
            held.clear()

    assert_recycles(recycling, SMALL)
    with pytest.raises(AssertionError, match="bytes were allocated outside of the store"):
        assert_recycles(fresh, SMALL)
    with pytest.raises(AssertionError, match="the store grew by"):
        assert_recycles(growing, SMALL)
