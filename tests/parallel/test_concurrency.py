"""Many threads at once: the same answers as one, the same trainings as alone, and nothing left behind."""

from __future__ import annotations

import gc
import os
import threading
import traceback
import warnings
import weakref

import numpy as np
import pytest
from graphs import as_graph
from threadpoolctl import threadpool_info, threadpool_limits

from cnn_from_scratch import ops
from cnn_from_scratch.data.prefetch import prefetched
from cnn_from_scratch.insight import trace
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Residual, Sequential
from cnn_from_scratch.optim import Adam
from cnn_from_scratch.parallel import ForkedGroup, ProcessLock, blas, can_fork, open_group, single_threaded_blas
from cnn_from_scratch.training import Callback, as_loss, evaluate, fit
from cnn_from_scratch.training.teams import ForkedTeam, ThreadTeam, open_team

pytestmark = pytest.mark.fault("many-threads")
THREADS = 16
linux = pytest.mark.skipif(not can_fork(), reason="forks are made on Linux only")


def sequential():
    return Sequential(
        Conv2d(1, 8, 3, padding=1), BatchNorm2d(8), ReLU(), MaxPool2d(2), Conv2d(8, 16, 3), ReLU(), Flatten(),
        Linear(576, 10),
    ).initialize(1)  # fmt: skip


def residual():
    body = Sequential(Conv2d(8, 8, 3, padding=1, bias=False), BatchNorm2d(8))
    return Sequential(Conv2d(1, 8, 3, padding=1), Residual(body), ReLU(), Flatten(), Linear(2048, 10)).initialize(2)


def graph():
    return as_graph(residual(), (1, 16, 16))


MODELS = {"sequential": sequential, "residual": residual, "graph": graph}


def images(count, size=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, 1, size, size), dtype=np.float32), rng.integers(0, 10, count)


def from_threads(function, count=THREADS):
    """What each of so many threads gets that call function(n) at the same moment."""
    found, start = [None] * count, threading.Barrier(count)

    def work(n):
        start.wait()
        try:
            found[n] = function(n)
        except BaseException as error:
            found[n] = error

    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


def state(model):
    return {key: array.copy() for key, array in (model.params | model.buffers).items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """Threads, processes, file handles and BLAS's threads are what they were before."""
    with threadpool_limits(2, user_api="blas"):  # whatever the environment says: a limit must show
        before = set(threading.enumerate()), blas_threads(), handles()
        yield
        for thread in set(threading.enumerate()) - before[0]:  # those of a plan end after it
            thread.join(60)
        assert (set(threading.enumerate()), blas_threads(), handles()) == before
        assert [*blas._holders, *blas._unlimited] == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def handles():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


# --- the same answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
class TestSameAnswersFromManyThreads:
    def test_predict(self, name):
        model, x = MODELS[name](), images(100)[0]
        right = model.predict(x)
        for found in from_threads(lambda n: model.predict(x)):
            np.testing.assert_array_equal(found, right)

    def test_small_batches_and_large_ones_with_blas_held_at_one_thread(self, name):
        model, x = MODELS[name](), images(100)[0]
        with single_threaded_blas():
            right = {count: model.predict(x[:count]) for count in (1, 5, 100)}
            found = from_threads(lambda n: [(count, model.predict(x[:count])) for count in (1, 5, 100)])
        for count, y in (pair for pairs in found for pair in pairs):
            np.testing.assert_array_equal(y, right[count])

    def test_small_batches_beside_large_ones_are_right_to_rounding(self, name):
        model, x = MODELS[name](), images(100)[0]
        right = model.predict(x)
        for n, found in enumerate(from_threads(lambda n: model.predict(x if n % 2 else x[:5]))):
            np.testing.assert_allclose(found, right if n % 2 else right[:5], rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("shards", [1, 2])
    def test_one_plan(self, name, shards):
        model, (x, _) = MODELS[name](), images(40)
        plan = model.compile((8, *x.shape[1:]), shards=shards)
        with single_threaded_blas():
            right = plan.predict(x)
            parts = from_threads(lambda n: (plan(x[n : n + 8]), plan.predict(x[: n + 1]), plan.predict(x)))
            alone = [(plan(x[n : n + 8]), plan.predict(x[: n + 1])) for n in range(THREADS)]
        for (part, first, whole), (same_part, same_first) in zip(parts, alone, strict=True):
            np.testing.assert_array_equal(part, same_part)
            np.testing.assert_array_equal(first, same_first)
            np.testing.assert_array_equal(whole, right)

    def test_evaluate(self, name):
        model, data = MODELS[name](), images(150)
        right = evaluate(model, data)
        for found in from_threads(lambda n: evaluate(model, data), 8):
            assert found.loss == right.loss
            np.testing.assert_array_equal(found.logits, right.logits)

    def test_trace(self, name):
        model, (x, y) = MODELS[name](), images(3)
        with single_threaded_blas():
            right = trace(model, x, y)
            traces = from_threads(lambda n: trace(model, x, y), 8)
        for found in traces:
            np.testing.assert_array_equal(found.logits, right.logits)
            np.testing.assert_array_equal(found.dx, right.dx)
            assert list(found.layers) == list(right.layers)


# --- two trainings --------------------------------------------------------------------------------------------------


def train(model, *, workers="threads", shards=2, seed=0, callbacks=(), **settings):
    """Weights and history of a short training."""
    optimizer = Adam(1e-3)
    history = fit(
        model, images(60, seed=seed), epochs=2, batch_size=16, optimizer=optimizer, seed=seed, shards=shards,
        workers=workers, callbacks=callbacks, progress=False, **settings,
    )  # fmt: skip
    return state(model) | {"loss": np.array(history["loss"])}


class TestTwoTrainings:
    def test_in_two_threads_are_the_same_as_alone(self):
        builders = [sequential, residual] * 2
        alone = [train(build(), seed=n) for n, build in enumerate(builders)]
        for found, expected in zip(from_threads(lambda n: train(builders[n](), seed=n), 4), alone, strict=True):
            assert_same(found, expected)

    @linux
    def test_with_forks_in_the_main_thread_while_another_thread_trains(self):
        alone = train(sequential(), seed=1), train(residual(), seed=2)
        begun, found = threading.Event(), []

        class Begun(Callback):
            def on_step_end(self, progress, result):
                begun.set()

        thread = threading.Thread(target=lambda: found.append(train(residual(), seed=2, callbacks=[Begun()])))
        thread.start()
        assert begun.wait(60)
        for _ in range(3):
            assert_same(train(sequential(), seed=1, workers="processes"), alone[0])
        thread.join(60)
        assert_same(found[0], alone[1])

    @pytest.mark.parametrize("outer", ["threads", pytest.param("processes", marks=linux)])
    @pytest.mark.parametrize("inner", ["threads", pytest.param("processes", marks=linux)])
    def test_one_within_the_other(self, outer, inner):
        alone = train(sequential(), seed=1), train(residual(), seed=2)
        found = []

        class Within(Callback):
            def on_epoch_end(self, progress, row):
                found.append(train(residual(), seed=2, workers=inner))
                return False

        assert_same(train(sequential(), seed=1, workers=outer, callbacks=[Within()]), alone[0])
        assert len(found) == 2
        for one in found:
            assert_same(one, alone[1])

    def test_predict_while_the_model_of_another_trains(self):
        x, model = images(64)[0], sequential()
        right, stop = model.predict(x), threading.Event()

        def work(n):
            if n == 0:
                for _ in range(3):
                    train(residual())
                stop.set()
                return []
            answers = []
            while not stop.is_set():
                answers.append(model.predict(x))
            return answers

        for answers in from_threads(work, 3):
            for found in answers:
                np.testing.assert_array_equal(found, right)


class TestBlas:
    """Its number of threads comes back, in whatever order those end who held it at one."""

    @pytest.mark.parametrize("first", ["outer", "inner"])
    def test_it_comes_back_after_the_last(self, first):
        before, here, there = blas_threads(), threading.Event(), threading.Event()

        def work():
            with open_group(2) as group:
                group.run(lambda member: None)
                here.set()
                assert there.wait(60)

        thread = threading.Thread(target=work)
        with open_group(2):
            thread.start()
            assert here.wait(60)
            if first == "inner":
                there.set()
                thread.join()
            assert set(blas_threads()) == {1}
        if first == "outer":
            assert set(blas_threads()) == {1}
            there.set()
            thread.join()
        assert blas_threads() == before

    @pytest.mark.parametrize("workers", ["threads", pytest.param("processes", marks=linux)])
    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
    @pytest.mark.fault("interrupted")
    def test_it_comes_back_after_an_error(self, workers, error):
        class Fail(Callback):
            def on_step_end(self, progress, result):
                assert set(blas_threads()) == {1}
                raise error

        with pytest.raises(error):
            train(sequential(), workers=workers, callbacks=[Fail()], prefetch=2)

    @linux
    def test_there_is_no_fork_while_another_thread_is_at_products_with_threads_of_blas(self):
        """OpenBLAS would hang: it ends its threads before a fork, at work or not."""
        at_work, go_on = threading.Event(), threading.Event()

        class Slow(Layer):
            def forward(self, x, ctx):
                at_work.set()
                assert go_on.wait(60)
                return x, None

            def output_shape(self, shape):
                return shape

        thread = threading.Thread(target=Sequential(Slow(), Flatten()).predict, args=(images(1)[0],), daemon=True)
        thread.start()
        assert at_work.wait(60)
        model, loss = sequential(), as_loss("cross_entropy")
        with open_team(model, loss, 2) as team:
            assert isinstance(team, ThreadTeam)
        with (
            pytest.raises(ValueError, match="not possible here: another thread computes with threads of BLAS"),
            open_team(model, loss, 2, "processes"),
        ):
            pass
        go_on.set()
        thread.join()
        with open_team(model, loss, 2) as team:
            assert isinstance(team, ForkedTeam)

    @linux
    def test_there_is_no_fork_unasked_beside_a_thread_of_yours(self):
        go_on = threading.Event()
        thread = threading.Thread(target=go_on.wait, args=(60,))
        thread.start()
        with open_team(sequential(), as_loss("cross_entropy"), 2) as team:
            assert isinstance(team, ThreadTeam)
        with open_team(sequential(), as_loss("cross_entropy"), 2, "processes") as team:
            assert isinstance(team, ForkedTeam)
        go_on.set()
        thread.join()


# --- what is left after an error ------------------------------------------------------------------------------------


def fail_in_the_second(member, task=None):
    payload = np.zeros(1000)
    if member.rank == 1:
        raise FloatingPointError("from the second")
    member.sum([payload])


def lines_of(error):
    return "".join(traceback.format_exception(error))


class TestErrors:
    def test_of_a_thread_come_with_the_line_that_raised_them(self):
        with open_group(3) as group, pytest.raises(FloatingPointError, match="from the second") as caught:
            group.run(fail_in_the_second)
        assert 'raise FloatingPointError("from the second")' in lines_of(caught.value)
        assert "in fail_in_the_second" in lines_of(caught.value)

    @linux
    def test_of_a_fork_come_with_the_line_that_raised_them(self):
        group = ForkedGroup(3, fail_in_the_second)
        with pytest.raises(FloatingPointError, match="from the second") as caught:
            group.run([None, None], here=lambda member: member.sum([np.zeros(1000)]))
        assert "in shard 1, a process of its own:\nTraceback" in lines_of(caught.value)
        assert 'raise FloatingPointError("from the second")' in lines_of(caught.value)

    def test_of_a_thread_inside_fit_come_out_of_it(self):
        def forward(logits, y, *, reduction):
            if threading.current_thread() is not threading.main_thread():
                raise ZeroDivisionError("in a shard")
            return ops.cross_entropy_forward(logits, y, reduction=reduction)

        model = sequential()
        before = state(model)
        with pytest.raises(ZeroDivisionError, match="in a shard") as caught:
            train(model, loss=(forward, ops.cross_entropy_backward))
        assert 'raise ZeroDivisionError("in a shard")' in lines_of(caught.value)
        assert_same(state(model), before)

    @pytest.mark.parametrize("guilty", [0, 1, 2])
    @pytest.mark.parametrize("kind", ["threads", pytest.param("forks", marks=linux), "prefetch"])
    def test_that_are_forgotten_leave_no_memory(self, kind, guilty):
        """An error that its own frames refer to would keep them, and their arrays, until the collector comes by."""

        class Payload(np.ndarray):
            pass

        seen = []

        def fail(member, task=None):
            payload = np.zeros(1000).view(Payload)
            seen.append(weakref.ref(payload))
            if member.rank == guilty:
                raise ZeroDivisionError
            member.sum([np.zeros(1)])

        def run():
            if kind == "threads":
                with open_group(3) as group:
                    group.run(fail)
            elif kind == "forks":
                group = ForkedGroup(3, fail)
                group.run([None, None], here=fail)
            else:
                rank = type("Rank", (), {"rank": guilty})
                list(prefetched(lambda _: fail(rank), range(3), ahead=1))

        gc.collect()
        gc.disable()
        try:
            with pytest.raises(ZeroDivisionError):
                run()
            assert seen
            assert not any(ref() is not None for ref in seen)
        finally:
            gc.enable()


# --- locks ----------------------------------------------------------------------------------------------------------


@linux
class TestLocksAfterAFork:
    def in_a_fork(self, check):
        """Whether check() is true in a forked process."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: there are other threads
            process = os.fork()
        if not process:
            os._exit(0 if check() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0

    def test_nobody_waits_for_a_thread_that_did_not_come_along(self):
        lock, held, let_go = ProcessLock(), threading.Event(), threading.Event()

        def hold():
            with lock, single_threaded_blas():
                held.set()
                assert let_go.wait(60)

        def check():
            with lock:
                return set(blas_threads()) != {1}  # nobody is left who would hold it

        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(60)
        assert self.in_a_fork(check)
        let_go.set()
        thread.join()

    def test_what_the_forking_thread_holds_it_holds_in_the_fork(self):
        lock = ProcessLock()

        def check():
            return not lock._lock.acquire(blocking=False) and set(blas_threads()) == {1}

        with lock, single_threaded_blas():
            assert self.in_a_fork(check)
        with lock:
            pass

    def test_a_plan_that_another_thread_runs_can_be_used_in_a_fork(self):
        model, x = sequential(), images(8)[0]
        plan = model.compile(x.shape, shards=2)
        right, stop = plan(x), threading.Event()

        def run():
            while not stop.is_set():
                plan(x)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            for _ in range(10):
                assert self.in_a_fork(lambda: np.array_equal(plan(x), right))
        finally:
            stop.set()
            thread.join()
