"""gradcheck: passes every layer, operation and loss there is, kinks and ties included, and names classic mistakes."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
from ladder import spaced
from layers.test_all_layers import TABLE

from cnn_from_scratch import ops
from cnn_from_scratch.insight import gradcheck
from cnn_from_scratch.insight.gradcheck_slopes import find_element
from cnn_from_scratch.layers import (
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Softmax,
    Tanh,
)
from cnn_from_scratch.models import digits_cnn
from cnn_from_scratch.ops import col2im, im2col

KINKS = ("ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "MaxPool2d", "AdaptiveMaxPool2d", "GlobalMaxPool2d")
each_layer = pytest.mark.parametrize("row", TABLE, ids=[row.text for row in TABLE])


def normal(*shape, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape)
    x.flags.writeable = False
    return x


def images(*shape):
    return spaced(shape, np.random.default_rng(1), gap=0.02)


# --- what is right passes -------------------------------------------------------------------------------------------


@each_layer
def test_every_layer_passes(row):
    check = gradcheck(row.layer, images(3, *row.input_shape), elements=40)
    assert check.ok, check
    assert set(check.arrays) == {"x", *row.params}
    assert sum(array.skipped for array in check.arrays.values()) == 0
    assert all(array.checked == min(array.size, 40) and array.directions == 2 for array in check.arrays.values())


@each_layer
def test_zeros_and_ties_are_skipped_and_the_rest_is_compared(row):
    """A grid of halves, a quarter off for batch 0: exact zeros, and ties in most windows."""
    x = np.random.default_rng(0).integers(-2, 3, (3, *row.input_shape)) / 2
    x[0] = images(*row.input_shape)
    check = gradcheck(row.layer, x, elements=10**6, directions=1)
    assert check.ok, check
    found = check.arrays["x"]
    assert found.checked + found.skipped == x.size
    assert (found.skipped > 0) == (type(row.layer).__name__ in KINKS), check


def test_relu_at_exactly_0_by_hand():
    check = gradcheck(ReLU(), np.array([[-1.0, 0.0, 2.0]]))
    assert (check.ok, check.arrays["x"].checked, check.arrays["x"].skipped) == (True, 2, 1)


def test_all_at_the_kink_is_not_passed():
    check = gradcheck(ReLU(), np.zeros((1, 3)))
    assert not check.ok
    assert check.arrays["x"].cause == "every element lies at a kink or a tie; check at other values"
    assert check.arrays["x"].failed == 0


@pytest.mark.parametrize("distance", [0.0, 1e-9, 1e-8, 3e-8, 1.1e-7, 2e-7, 9e-7, 2e-6])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_kink_beside_x_is_left_behind_or_skipped(distance, sign):
    """relu'(sign * distance) is 0 or 1; half a step of kink must neither fail nor be hidden."""
    check = gradcheck(ReLU(), np.array([[sign * distance, 1.0]]))
    assert check.ok
    assert check.arrays["x"].skipped == (distance < 1e-6 / 64)


def test_kinks_that_cancel_in_the_output_are_seen_in_the_zeros():
    """relu(x) - relu(-x) = x has the slope 1 at 0, where its backward pass says 0 + 0."""

    def forward(x):
        a, b = ops.relu_forward(x), ops.relu_forward(-x)
        return a[0] - b[0], (a[1], b[1])

    def backward(dy, cache):
        return ops.relu_backward(dy, cache[0]) + ops.relu_backward(dy, cache[1])

    check = gradcheck((forward, backward), np.array([[-1.0, 0.0, 2.0]]))
    assert (check.ok, check.arrays["x"].skipped) == (True, 1)


def test_curvature_is_no_kink():
    """x^2 at 0 and a steep tanh: right and left slope differ at every step, by less and less."""
    pair = (lambda x: (x * x, x), lambda dy, x: 2 * dy * x)
    assert gradcheck(pair, np.array([0.0, 1e-9, 3.0])).arrays["x"].checked == 3
    steep = (lambda x: (np.tanh(3e3 * x), x), lambda dy, x: dy * 3e3 / np.cosh(3e3 * x) ** 2)
    check = gradcheck(steep, np.array([1e-4, -2e-4, 0.0]))
    assert (check.ok, check.arrays["x"].checked) == (True, 3), check


PAIRS = [
    ("conv", (3, 2, 5, 6), [(4, 2, 3, 3), (4,)], {"stride": 2, "padding": 1}),
    ("conv", (2, 4, 6, 6), [(4, 2, 3, 2), (4,)], {"groups": 2, "dilation": 2}),
    ("conv_transpose", (2, 3, 4, 4), [(3, 2, 3, 3), (2,)], {"stride": 2, "output_padding": 1}),
    ("linear", (3, 5), [(4, 5), (4,)], {}),
    ("max_pool", (2, 2, 5, 5), [], {"kernel_size": 3, "stride": 1, "padding": 1}),
    ("avg_pool", (2, 2, 5, 5), [], {"kernel_size": 2}),
    ("global_avg_pool", (2, 2, 3, 3), [], {}),
    ("global_max_pool", (2, 2, 3, 3), [], {}),
    ("adaptive_avg_pool", (2, 2, 5, 5), [], {"output_size": 2}),
    ("adaptive_max_pool", (2, 2, 5, 5), [], {"output_size": 2}),
    ("pad", (2, 2, 3, 3), [], {"pads": ((1, 0), (0, 2))}),
    ("layer_norm", (3, 4), [(4,), (4,)], {"normalized_shape": 4}),
    ("group_norm", (2, 4, 3, 3), [(4,), (4,)], {"num_groups": 2}),
    ("prelu", (3, 4), [(1,)], {}),
    *[(name, (3, 4), [], {}) for name in "relu leaky_relu elu gelu silu sigmoid tanh softplus softmax".split()],
    ("log_softmax", (3, 4), [], {}),
]


@pytest.mark.parametrize(
    ("name", "shape", "others", "options"), PAIRS, ids=[f"{p[0]}-{i}" for i, p in enumerate(PAIRS)]
)
def test_pairs_of_operations_pass(name, shape, others, options):
    pair = partial(getattr(ops, f"{name}_forward"), **options), getattr(ops, f"{name}_backward")
    check = gradcheck(pair, images(*shape), *(normal(*other) for other in others))
    assert check.ok, check
    assert len(check.arrays) == 1 + len(others)


@pytest.mark.parametrize("algorithm", ["loops", "im2col"])
def test_every_algorithm_of_the_convolution_passes(algorithm):
    pair = partial(ops.conv_forward, padding=1, algorithm=algorithm), ops.conv_backward
    check = gradcheck(pair, normal(1, 2, 4, 4), normal(2, 2, 3, 3), normal(2))
    assert check.ok, check
    assert list(check.arrays) == ["x", "weight", "bias"]


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy", "mse", "l1", "huber"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_pass(name, reduction):
    targets = np.array([0, 2, 1]) if name == "cross_entropy" else (normal(3, 4, seed=1) > 0).astype(np.float64)
    pair = partial(getattr(ops, f"{name}_forward"), reduction=reduction), getattr(ops, f"{name}_backward")
    check = gradcheck(pair, normal(3, 4), targets)
    assert check.ok, check
    assert len(check.arrays) == 1  # targets are not learned


def small_network(*body):
    return Sequential(*body, Flatten(), Linear(32, 3)).initialize(0)


@pytest.mark.parametrize(
    "model",
    [
        small_network(Conv2d(1, 4, 3), BatchNorm2d(4), ReLU(), MaxPool2d(2), Conv2d(4, 8, 1)),
        small_network(
            Conv2d(1, 2, 3, padding=1), Residual(Sequential(Conv2d(2, 2, 3, padding=1), Tanh())), Conv2d(2, 2, 3)
        ),
        small_network(Concat(Conv2d(1, 1, 3), Conv2d(1, 1, 3)), Dropout(0.5)),
        digits_cnn(),
    ],
    ids=["batch norm and pool", "residual", "concat and dropout", "digits_cnn"],
)
@pytest.mark.parametrize("train", [True, False])
def test_models_with_cross_entropy_pass(model, train):
    size = 8 if "conv1.weight" in model.params else 6
    before = {key: array.copy() for key, array in (model.params | model.buffers).items()}
    check = gradcheck(model, normal(4, 1, size, size).astype(np.float32), np.arange(4) % 3, train=train, elements=8)
    assert check.ok, check
    assert set(check.arrays) == {"x", *model.params}
    for key, array in (model.params | model.buffers).items():
        np.testing.assert_array_equal(array, before[key])
        assert array.dtype == before[key].dtype


def test_ties_inside_of_a_model_are_noticed():
    """Behind a convolution a black background is one number, so that most windows of a pool hold a tie."""
    model = Sequential(Conv2d(1, 4, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(100, 3)).initialize(0)
    model.params["0.bias"][...] = 0.1
    x = np.zeros((2, 1, 12, 12))
    x[:, :, 4:8, 4:8] = spaced((2, 1, 4, 4), np.random.default_rng(0))
    check = gradcheck(model, x, np.array([0, 1]), elements=300)
    assert check.ok, check
    found = check.arrays["x"]
    assert (found.checked, found.skipped) == (32, 256)  # the pixels of the squares, and those of the background
    assert check.arrays["0.weight"].skipped == check.arrays["4.weight"].skipped == 0


def test_what_is_frozen_is_not_checked():
    model = small_network(Conv2d(1, 2, 3)).freeze("0.*")
    assert list(gradcheck(model, normal(2, 1, 6, 6), np.array([0, 1])).arrays) == ["x", "2.weight", "2.bias"]
    assert model.frozen == {"0.weight", "0.bias"}


def test_only_and_repeatability():
    model = small_network(Conv2d(1, 2, 3))
    x, y = normal(2, 1, 6, 6), np.array([0, 1])
    a, b = (gradcheck(model, x, y, only="2.weight", elements=5) for _ in range(2))
    assert list(a.arrays) == ["2.weight"]
    assert a.arrays == b.arrays


# --- what is wrong is named -----------------------------------------------------------------------------------------


def spoiled(layer, **changes):
    """The same layer, but some of its gradients are what a function makes of the right ones."""

    class Spoiled(type(layer)):
        def backward(self, dy, cache, *, need_dx=True):
            dx, grads = super().backward(dy, cache, need_dx=need_dx)
            found = {"x": dx, **grads}
            found |= {key: change(found[key]) for key, change in changes.items()}
            return found.pop("x"), {key: grad for key, grad in found.items() if grad is not None}

    wrong = copy.copy(layer)
    wrong.__class__ = Spoiled
    return wrong


CONV, LINEAR = Conv2d(2, 4, 3, rng=0), Linear(4, 4, rng=0)
IMAGES, ROWS = normal(5, 2, 6, 6), normal(5, 4)

CHANGES = [
    (CONV, "weight", lambda g: 2 * g, "all are twice too large (added twice, or the 2 of a square too many)"),
    (CONV, "weight", lambda g: 0.5 * g, "all are half of the right value"),
    (CONV, "weight", lambda g: -g, "the sign is flipped"),
    (CONV, "x", lambda g: -g, "the sign is flipped"),
    (CONV, "weight", lambda g: 5 * g, "all are 5 times too large: the division by the batch size N = 5 is missing"),
    (
        CONV,
        "bias",
        lambda g: g / 5,
        "all are 5 times too small: divided by the batch size N = 5, a mean instead of a sum",
    ),
    (CONV, "bias", lambda g: g / 16, "all are 16 times too small: divided by the 16 positions of the output"),
    (CONV, "bias", lambda g: g / 80, "all are 80 times too small: a mean over batch and positions instead of a sum"),
    (CONV, "bias", lambda g: 1.7 * g, "all are 1.7 times the right value"),
    (CONV, "weight", lambda g: 0 * g, "backward gives 0 everywhere: the gradient is never computed, or cut off"),
    (CONV, "bias", lambda g: None, "backward forgets 'bias': it gives no gradient for it"),
    (CONV, "weight", lambda g: g[..., ::-1, ::-1], "the kernel is flipped in both axes"),
    (CONV, "weight", lambda g: g[..., ::-1, :], "axis 2 is reversed"),
    (CONV, "weight", lambda g: np.swapaxes(g, 2, 3), "axes 2 and 3 are exchanged: it is transposed"),
    (CONV, "weight", lambda g: np.moveaxis(g, 1, 0).reshape(g.shape), "reshaped with axis"),
    (CONV, "weight", lambda g: g * np.nan, "backward gives NaN or infinity"),
    (
        CONV,
        "bias",
        lambda g: np.stack([g] * 5),
        "the gradient has shape (5, 4), the array (4,): the sum over the batch is",
    ),
    (LINEAR, "weight", lambda g: g.T, "axes 0 and 1 are exchanged: it is transposed"),
    (Linear(4, 3, rng=0), "weight", lambda g: g.T, "the gradient has shape (4, 3), the array (3, 4): it is transposed"),
    (
        LINEAR,
        "weight",
        lambda g: g + 0.1 * LINEAR.params["weight"],
        "0.1 times the array itself is added: weight decay",
    ),
    (LINEAR, "bias", lambda g: np.where(np.arange(4) == 2, 7, g), "wrong in 1 of 4 compared elements"),
    (LINEAR, "weight", lambda g: g + (np.arange(4) == 2), "no known pattern; wrong exactly where axis 1 is 2"),
]


@pytest.mark.parametrize(
    ("layer", "key", "change", "cause"), CHANGES, ids=[f"{i}-{c[3][:40]}" for i, c in enumerate(CHANGES)]
)
def test_changed_gradients_are_named(layer, key, change, cause):
    check = gradcheck(spoiled(layer, **{key: change}), ROWS if isinstance(layer, Linear) else IMAGES)
    assert not check.ok
    assert [name for name, array in check.arrays.items() if not array.ok] == [key]
    assert cause in check.arrays[key].cause, check
    assert check.worst.name == key
    with pytest.raises(AssertionError, match=f"d{key}.*: "):
        check.raise_if_bad()


def test_a_factor_that_is_both_names_both():
    check = gradcheck(spoiled(LINEAR, weight=lambda g: 2 * g), normal(2, 4))
    cause = check.arrays["weight"].cause
    assert "twice too large" in cause
    assert "or all are 2 times too large: the division by the batch size N = 2 is missing" in cause


def test_two_gradients_exchanged_and_a_key_that_is_none():
    class Exchanged(BatchNorm2d):
        def backward(self, dy, cache, *, need_dx=True):
            dx, grads = super().backward(dy, cache, need_dx=need_dx)
            return dx, {"weight": grads["bias"], "bias": grads["weight"]}

    check = gradcheck(Exchanged(3), normal(4, 3, 2, 2))
    assert check.arrays["weight"].cause == "this is not the gradient of 'weight'; that one is returned as 'bias'"
    assert check.arrays["bias"].cause == "this is not the gradient of 'bias'; that one is returned as 'weight'"

    class Misnamed(Linear):
        def backward(self, dy, cache, *, need_dx=True):
            dx, grads = super().backward(dy, cache, need_dx=need_dx)
            return dx, {"w": grads["weight"], "bias": grads["bias"]}

    check = gradcheck(Misnamed(4, 3, rng=0), ROWS)
    assert check.arrays["weight"].cause == "the gradient is returned as 'w' instead of 'weight'"
    assert check.arrays["bias"].ok


class Overwriting(Conv2d):
    """col2im with = in the place of +=."""

    def backward(self, dy, cache, *, need_dx=True):
        _, grads = super().backward(dy, cache, need_dx=False)
        F, KH, KW = *self.params["weight"].shape[::2], self.params["weight"].shape[3]
        N, F, OH, OW = dy.shape
        weight = self.params["weight"].reshape(F, -1)
        dcols = np.einsum("fk,nfp->nkp", weight, dy.reshape(N, F, -1)).reshape(N, -1, KH, KW, OH, OW)
        dx = np.zeros((N, dcols.shape[1], OH + KH - 1, OW + KW - 1))
        for kh in range(KH):
            for kw in range(KW):
                dx[:, :, kh : kh + OH, kw : kw + OW] = dcols[:, :, kh, kw]
        return dx, grads


class OneExample(Linear):
    """dweight of the last example only."""

    def backward(self, dy, cache, *, need_dx=True):
        dx, grads = super().backward(dy, cache, need_dx=need_dx)
        return dx, grads | {"weight": np.outer(dy[-1], cache.x[-1])}


class Unmasked(ReLU):
    def backward(self, dy, cache, *, need_dx=True):
        return dy, {}


class MaskedByTheWrongSign(ReLU):
    def backward(self, dy, cache, *, need_dx=True):
        return dy * (cache.y > 1), {}


class ConstantStatistics(BatchNorm2d):
    """Mean and variance taken for numbers that do not depend on x."""

    def backward(self, dy, cache, *, need_dx=True):
        dx, grads = super().backward(dy, cache, need_dx=need_dx)
        x = self.seen
        std = np.sqrt(x.var((0, 2, 3), keepdims=True) + self.eps)
        return dy * self.params["weight"][:, None, None] / std, grads

    def forward(self, x, ctx):
        self.seen = x.copy()
        return super().forward(x, ctx)


class ElementwiseSoftmax(Softmax):
    """dy * p * (1 - p): only the diagonal of the Jacobian."""

    def backward(self, dy, cache, *, need_dx=True):
        p = next(a for a in cache if isinstance(a, np.ndarray))
        return dy * p * (1 - p), {}


@pytest.mark.parametrize(
    ("layer", "x", "key", "cause"),
    [
        (Overwriting(2, 3, 3, rng=0), IMAGES[:2], "x", "overlapping windows are overwritten (= instead of +=)"),
        (
            OneExample(4, 3, rng=0),
            ROWS,
            "weight",
            "only example 4 of the batch counts: the sum over the batch is missing",
        ),
        (Unmasked(), ROWS, "x", "dy passes where the function is flat: a mask is missing"),
        (MaskedByTheWrongSign(), ROWS, "x", "0 where the function is not flat: a mask shuts out too much"),
        (ConstantStatistics(3), normal(3, 3, 2, 2), "x", "the terms through the mean are missing"),
        (ElementwiseSoftmax(), ROWS, "x", "the right gradient sums to 0 over axes (1,), this does not"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "backward") else "",
)
def test_broken_layers_are_named(layer, x, key, cause):
    check = gradcheck(layer, x)
    assert [name for name, array in check.arrays.items() if not array.ok] == [key], check
    assert cause in check.arrays[key].cause, check


def test_a_sum_that_is_nearly_0_by_chance_is_not_taken_for_one():
    """Over axes (0, 1, 2) the right gradient of these numbers sums to 4e-5 of its size, over (0, 2, 3) to 0."""
    x = np.random.default_rng(0).standard_normal(386)[350:].reshape(3, 3, 2, 2)
    cause = gradcheck(ConstantStatistics(3), x, only="x").arrays["x"].cause
    assert "the right gradient sums to 0 over axes (0, 2, 3), this does not" in cause


def test_the_worst_element_is_the_one_that_was_spoiled():
    def change(g):
        g = g.copy()
        g[2, 1] += 5
        g[0, 3] += 1e-3
        return g

    check = gradcheck(spoiled(LINEAR, weight=change), ROWS)
    found = check.arrays["weight"]
    right = gradcheck(LINEAR, ROWS).arrays["weight"]
    assert (found.worst, found.failed) == ((2, 1), 2)
    assert found.analytic == pytest.approx(found.numeric + 5)
    assert right.worst is not None
    frame = check.to_frame()
    assert list(frame.index) == ["x", "weight", "bias"]
    assert list(frame["ok"]) == [True, False, True]
    assert "dweight[2, 1]: backward says" in str(check)


def test_one_wrong_element_of_many_is_found_by_a_direction():
    def change(g):
        g = g.copy()
        g.flat[7777] += 1
        return g

    layer = Linear(100, 100, rng=0)
    check = gradcheck(spoiled(layer, weight=change), normal(3, 100), elements=4)
    found = check.arrays["weight"]
    assert found.worst == (77, 77)
    assert (found.checked, found.failed) == (5, 1)


def test_find_element_by_halving():
    for place in range(11):
        assert find_element(lambda places, place=place: place in places, 11) == place
    assert find_element(lambda places: len(places) > 4, 11) is None


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_broken_layer_inside_a_model_is_named(place):
    body = [Conv2d(1, 4, 3), ReLU(), Conv2d(4, 4, 3), MaxPool2d(2), Flatten(), Linear(16, 3)]
    if place == 4:
        body[5] = spoiled(body[5], x=lambda g: 2 * g)
    else:
        body[place] = spoiled(body[place], weight=lambda g: -g)
    model = Sequential(*body).initialize(0)
    check = gradcheck(model, normal(3, 1, 8, 8), np.array([0, 1, 2]))
    wrong = {name for name, array in check.arrays.items() if not array.ok}
    key = str(5 if place == 4 else place)
    assert list(check.layers) == [key]
    assert f"layer '{key}' = " in str(check)
    assert wrong == ({"x", "0.weight", "0.bias", "2.weight", "2.bias"} if place == 4 else {f"{place}.weight"})


def test_a_container_that_joins_wrongly_is_told_from_its_layers():
    class Forgetful(Residual):
        def backward(self, dy, cache, *, need_dx=True):
            dx, grads = super().backward(dy, cache, need_dx=need_dx)
            return dx - dy, grads  # what came by the shortcut is lost

    model = small_network(Conv2d(1, 2, 3), Forgetful(Sequential(Conv2d(2, 2, 3, padding=1))))
    check = gradcheck(model, normal(2, 1, 6, 6), np.array([0, 1]))
    assert not check.ok
    assert check.layers == {}
    assert "Every layer is right on its own: look at how they are joined" in str(check)


def test_a_loss_that_forgets_to_divide():
    loss = ops.cross_entropy_forward, lambda cache, dloss=1.0: 4 * ops.cross_entropy_backward(cache, dloss)
    check = gradcheck(small_network(Conv2d(1, 2, 3)), normal(4, 1, 6, 6), np.arange(4) % 3, loss=loss)
    assert {array.cause for array in check.arrays.values()} == {
        "all are 4 times too large: the division by the batch size N = 4 is missing"
    }
    assert "look at how they are joined (containers, loss)" in str(check)


class WritesIntoDy(ReLU):
    def backward(self, dy, cache, *, need_dx=True):
        dy[cache.y <= 0] = 0
        return dy, {}


class WritesIntoItsCache(Tanh):
    def backward(self, dy, cache, *, need_dx=True):
        (y,) = (a for a in cache if isinstance(a, np.ndarray))
        y *= -y
        y += 1
        return dy * y, {}


@pytest.mark.parametrize(
    ("layer", "remark"),
    [
        (WritesIntoDy(), "backward writes into dy, which is borrowed: another branch may need it, too"),
        (WritesIntoItsCache(), "a second backward pass gives other gradients: the first one writes into the cache, or"),
    ],
)
def test_who_writes_what_is_borrowed_is_told(layer, remark):
    check = gradcheck(layer, ROWS)
    assert not check.ok
    assert check.arrays["x"].ok, check
    assert len(check.remarks) == 1
    assert remark in check.remarks[0]
    assert check.remarks[0] in str(check)
    inside = gradcheck(Sequential(Linear(4, 4, rng=0), layer), ROWS)
    if not inside.ok:
        assert list(inside.layers) == ["1"]


def test_a_forward_pass_that_writes_into_its_input_cannot_be_checked():
    class WritesIntoX(ReLU):
        def forward(self, x, ctx):
            y, cache = super().forward(x, ctx)
            x += 1
            return y, cache

    check = gradcheck(WritesIntoX(), ROWS)
    assert check.worst.cause == "not compared, for forward or backward writes into 'x', which is borrowed"
    assert f"dx: {check.worst.cause}" in str(check)


def test_a_parameter_forgotten_inside_of_a_model_is_an_error_that_names_it():
    model = Sequential(spoiled(LINEAR, bias=lambda g: None), ReLU())
    with pytest.raises(ValueError, match=r"^backward of layer '0' = Spoiled\(4, 4\) gave no gradient for bias$"):
        gradcheck(model, ROWS)


def test_a_gradient_that_is_0_on_paper_passes():
    """A bias before batch norm: both sides are rounding."""
    check = gradcheck(Sequential(Conv2d(1, 2, 3, rng=0), BatchNorm2d(2)), normal(3, 1, 5, 5))
    assert check.ok, check
    assert abs(check.arrays["0.bias"].numeric) < 1e-8


def test_im2col_and_its_adjoint():
    pair = (lambda x: (im2col(x, 3), x.shape), lambda dy, shape: col2im(dy, shape, 3))
    assert gradcheck(pair, normal(2, 2, 5, 5)).ok


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: gradcheck(3, ROWS),
            TypeError,
            "gradcheck: target must be a (forward, backward) pair or a Layer, got 3",
        ),
        (
            lambda: gradcheck(Identity()),
            TypeError,
            "gradcheck: a layer takes x, a model with its loss x and y; got 0 inputs",
        ),
        (
            lambda: gradcheck(Identity(), ROWS.astype(int)),
            TypeError,
            "gradcheck: x has dtype int64; expected floating numbers (images of 0..255 become 0..1 by "
            "x.astype(np.float32) / 255)",
        ),
        (
            lambda: gradcheck((ops.relu_forward, ops.relu_backward), np.arange(3)),
            TypeError,
            "gradcheck: none of the inputs is an array of floating numbers; there is nothing to move",
        ),
        (
            lambda: gradcheck((lambda x: (x.astype(np.float32), None), lambda dy, cache: dy), ROWS),
            TypeError,
            "gradcheck: <lambda> answers float64 with float32; a check needs float64 all the way",
        ),
        (
            lambda: gradcheck((lambda x: (x, None), lambda dy, cache: (dy, dy)), ROWS),
            ValueError,
            "gradcheck: <lambda>: backward gave 2 gradients for x",
        ),
        (
            lambda: gradcheck(LINEAR, ROWS, only="gain"),
            ValueError,
            "gradcheck: only='gain' is none of the arrays x, weight, bias",
        ),
        (lambda: gradcheck(LINEAR, ROWS, elements=0), ValueError, "gradcheck: elements must be an int >= 1, got 0"),
        (
            lambda: gradcheck(LINEAR, ROWS, directions=-1),
            ValueError,
            "gradcheck: directions must be an int >= 0, got -1",
        ),
        (lambda: gradcheck(LINEAR, ROWS, step=0), ValueError, "gradcheck: step must be above 0, got 0"),
        (lambda: gradcheck(LINEAR, ROWS, rtol=-1), ValueError, "gradcheck: rtol must be above 0, got -1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_an_empty_batch_and_a_layer_that_is_one_number_wide():
    assert gradcheck(Linear(2, 3, rng=0), np.zeros((0, 2))).ok
    assert gradcheck(Sequential(GlobalAvgPool2d()), normal(1, 1, 1, 1)).ok
