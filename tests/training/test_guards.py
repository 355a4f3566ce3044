"""What `fit` and `evaluate` refuse; and after an error nothing has changed since the last whole step."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch import ops
from cnn_from_scratch.errors import NotFiniteError, ShapeError
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Flatten, Layer, Linear, ReLU, Sequential
from cnn_from_scratch.optim import Adam
from cnn_from_scratch.training import evaluate, fit

RNG = np.random.default_rng(0)
X, Y = RNG.random((12, 1, 6, 6), np.float32), np.arange(12) % 3


class Failing(Layer):
    """The identity, until a step in which it raises what it was given."""

    def __init__(self, error=None, *, forward=0, backward=0):
        super().__init__()
        self.error, self.left = error, {"forward": forward, "backward": backward}

    def _count(self, way):
        self.left[way] -= 1
        if self.left[way] == 0:
            raise self.error

    def forward(self, x, ctx):
        self._count("forward")
        return x, None

    def backward(self, dy, cache, *, need_dx=True):
        self._count("backward")
        return dy, {}


def model(*more):
    return Sequential(Conv2d(1, 4, 3, rng=0), BatchNorm2d(4), ReLU(), *more, Flatten(), Linear(64, 3, rng=0))


def everything(network, optimizer):
    state = {k: np.copy(v) for k, v in optimizer.state_dict().items()}
    return state | {k: v.copy() for k, v in (network.params | network.buffers).items()}


def assert_unchanged(before, after):
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value, err_msg=key)


def quick(network, data=(X, Y), **options):
    return fit(
        network, data, **{"epochs": 1, "batch_size": 4, "shards": 1, "progress": False, "shuffle": False, **options}
    )


@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), MemoryError("full"), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_an_error_in_the_middle_of_a_step_leaves_all_as_it_was(way, error):
    network, optimizer = model(Failing(error, **{way: 3})), Adam(0.01)
    with pytest.raises(type(error)):
        quick(network, optimizer=optimizer)
    whole, other = model(Failing()), Adam(0.01)
    quick(whole, (X[:8], Y[:8]), optimizer=other)  # the two steps before
    assert_unchanged(everything(whole, other), everything(network, optimizer))
    assert network.buffers["1.num_batches_tracked"] == 2


@pytest.mark.parametrize("part", ["forward", "backward"])
def test_an_error_in_the_loss_leaves_all_as_it_was(part):
    calls = []

    def failing(function):
        def called(*args, **options):
            calls.append(function)
            if len(calls) == 3:
                raise RuntimeError("broken loss")
            return function(*args, **options)

        return called

    pair = {"forward": ops.cross_entropy_forward, "backward": ops.cross_entropy_backward}
    pair[part] = failing(pair[part])
    network, optimizer = model(), Adam(0.01)
    with pytest.raises(RuntimeError, match="broken loss"):
        quick(network, optimizer=optimizer, loss=(pair["forward"], pair["backward"]))
    whole, other = model(), Adam(0.01)
    quick(whole, (X[:8], Y[:8]), optimizer=other)
    assert_unchanged(everything(whole, other), everything(network, optimizer))


@pytest.mark.fault("wrong-labels")
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (Y - 1, IndexError, "targets[0] is -1, neither in [0, 3) nor ignore_index=-100"),
        (Y + 1, IndexError, "targets[2] is 3, neither in [0, 3) nor ignore_index=-100"),
        (Y.astype(np.float32), TypeError, "targets of shape (4,) are class indices and must be integers, got float32"),
        (Y.astype(bool), TypeError, "targets of shape (4,) are class indices and must be integers, got bool"),
        (Y[:, None], ShapeError, "targets must have shape (4,) (class indices) or (4, 3) (probabilities), got (4, 1)"),
    ],
)
@pytest.mark.parametrize("shards", [1, 2])
def test_wrong_labels_are_refused_and_nothing_is_learned(y, error, message, shards):
    network, optimizer = model(), Adam(0.01)
    before = everything(network, optimizer)
    with pytest.raises(error, match=r"^cross_entropy_forward: ") as caught:
        quick(network, (X, y), optimizer=optimizer, shards=shards, workers="threads")
    if shards == 1:
        assert str(caught.value) == f"cross_entropy_forward: {message}"
    assert_unchanged(before, everything(network, optimizer))


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite_stop_the_training_before_anything_is_written(value):
    x = X.copy()
    x[9, 0, 2, 2] = value  # in the third step
    network, optimizer = model(), Adam(0.01)
    with np.errstate(invalid="ignore"), pytest.raises(NotFiniteError, match="step 2") as caught:
        quick(network, (x, Y), optimizer=optimizer)
    assert isinstance(caught.value, FloatingPointError)
    whole, other = model(), Adam(0.01)
    quick(whole, (X[:8], Y[:8]), optimizer=other)
    assert_unchanged(everything(whole, other), everything(network, optimizer))


@pytest.mark.fault("wrong-dtype")
@pytest.mark.parametrize(
    ("x", "message"),
    [
        ((X * 255).astype(np.uint8), "fit: x has dtype uint8; expected floating numbers"),
        (X.astype(int), "fit: x has dtype int64; expected floating numbers"),
        (X.astype(object), "fit: x has dtype object; expected floating numbers"),
        (X.astype(complex), "fit: x has dtype complex128; expected floating numbers"),
        (np.ma.masked_array(X), "ArrayData: x is a masked array, and masks are not looked at"),
        (X.tolist(), "ArrayData: x must be a NumPy array, got list"),
    ],
)
def test_what_are_no_floats_is_refused(x, message):
    network, optimizer = model(), Adam(0.01)
    before = everything(network, optimizer)
    with pytest.raises(TypeError) as caught:
        quick(network, (x, Y), optimizer=optimizer)
    assert str(caught.value).startswith(message)
    assert_unchanged(before, everything(network, optimizer))


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        *(
            ({"epochs": v}, ValueError, f"fit: epochs must be an int >= 1, got {v!r}")
            for v in (0, -1, 1.5, None, "3", True)
        ),
        *(({"batch_size": v}, ValueError, f"fit: batch_size must be an int >= 1, got {v!r}") for v in (0, 2.0, None)),
        ({"optimizer": "adam"}, TypeError, "fit: optimizer must be an Optimizer, such as Adam(lr=1e-3), got 'adam'"),
        ({"schedule": 0.1}, TypeError, "fit: schedule must be a function or None, got 0.1"),
        ({"augment": 3}, TypeError, "fit: augment must be a function or None, got 3"),
        ({"callbacks": [print]}, TypeError, f"fit: callbacks must be a list of Callback objects, got {[print]!r}"),
        ({"validation": 1.0}, ValueError, "fit: validation must be a share between 0 and 1, or data; got 1.0"),
        ({"trainable": 3}, TypeError, "fit: trainable must be a pattern or a list of patterns, got 3"),
        ({"trainable": [3]}, TypeError, "fit: trainable must be a pattern or a list of patterns, got [3]"),
        ({"progress": "no"}, TypeError, "fit: progress must be True or False, got 'no'"),
        ({"label_smoothing": "0.1"}, TypeError, "as_loss: label_smoothing must be a number, got '0.1'"),
        ({"workers": ["threads"]}, ValueError, "workers must be one of auto, threads, processes, got ['threads']"),
    ],
)
def test_arguments_of_fit(options, error, message):
    network = model()
    before = {k: v.copy() for k, v in (network.params | network.buffers).items()}
    with pytest.raises(error) as caught:
        quick(network, **options)
    assert str(caught.value) == message
    assert_unchanged(before, network.params | network.buffers)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "lenet"}, TypeError, "evaluate: model must be a Layer, such as a Sequential, got 'lenet'"),
        *(
            ({"batch_size": v}, ValueError, f"evaluate: batch_size must be an int >= 1, got {v!r}")
            for v in (0, None, 1.5)
        ),
        ({"data": (X[:0], Y[:0])}, ValueError, "evaluate: there is no example; a mean over nothing is undefined"),
    ],
)
def test_arguments_of_evaluate(options, error, message):
    with pytest.raises(error) as caught:
        evaluate(**{"model": model(), "data": (X, Y), **options})
    assert str(caught.value) == message
