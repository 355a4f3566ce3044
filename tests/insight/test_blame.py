"""Every gradient is the sum that blame says it is, term by term. That all kinds of layers do is in test_explain.py."""

from __future__ import annotations

import numpy as np
import pytest
from arithmetic import IMAGE, SIMPLE, assert_adds_up, networks, traced

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight.blame import blame
from cnn_from_scratch.insight.trace import trace
from cnn_from_scratch.layers import (
    BatchNorm1d,
    Conv2d,
    ConvTranspose2d,
    Linear,
    LogSoftmax,
    MaxPool2d,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Softmax,
)


def by_hand(layer, x, dy, **params):
    """The trace of one layer in float64 whose incoming gradient is dy: half of the squared distance from y - dy * n."""
    layer.astype(np.float64)
    for name, values in params.items():
        layer.params[name] = np.asarray(values, np.float64).reshape(layer.params[name].shape)
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    model = Sequential({"layer": layer, "same": PReLU(init=1.0).astype(np.float64)})
    pair = (lambda y, targets, reduction: (0.0, None), lambda cache, dloss: dy)
    return trace(model, x, np.zeros(len(x)), loss=pair, train=True)


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_a_weight_of_a_convolution_by_hand():
    # x 1 2 3, kernel of 2, padding 1 on the left: the first weight meets (nothing), 1, 2 and dy is 10, 20, 30
    layer = Conv2d(1, 1, (1, 2), padding=((0, 0), (1, 0)), bias=False)
    seen = by_hand(layer, [[[[1, 2, 3]]]], [[[[10, 20, 30]]]], weight=[4, 5])
    found = blame(seen, "layer", weight=(0, 0, 0, 0))
    assert found.value == found.total == 80
    np.testing.assert_array_equal(found.amounts, [20, 60])
    assert "at 1 of 3 positions it met the padding: 0" in str(found)
    assert found.to_frame()[["y_ow", "x_w", "dy", "x", "amount"]].to_numpy().tolist() == [
        [1, 0, 20, 1, 20],
        [2, 1, 30, 2, 60],
    ]


def test_a_pixel_of_a_convolution_by_hand():
    # pixel 1 is the second of window 0 and the first of window 1: 10 * 5 + 20 * 4
    layer = Conv2d(1, 1, (1, 2), bias=False)
    seen = by_hand(layer, [[[[1, 2, 3]]]], [[[[10, 20]]]], weight=[4, 5])
    frame = blame(seen, "layer", input=(0, 0, 0, 1)).to_frame()
    assert sorted(frame[["y_ow", "weight_kw", "dy", "weight", "amount"]].to_numpy().tolist()) == [
        [0, 1, 10, 5, 50],
        [1, 0, 20, 4, 80],
    ]


def test_a_bias_adds_up_all_of_dy():
    layer = Conv2d(1, 1, (1, 2))
    found = blame(by_hand(layer, [[[[1, 2, 3]]]], [[[[10, 20]]]]), "layer", bias=0)
    np.testing.assert_array_equal(found.amounts, [10, 20])
    assert (found.name, found.index, found.value) == ("dbias", (0,), 30)


def test_a_pixel_of_a_transposed_convolution_by_hand():
    # pixel 1 puts (4, 5) at 2 and 3, where dy is 30 and 40
    layer = ConvTranspose2d(1, 1, (1, 2), stride=(1, 2), bias=False)
    found = blame(by_hand(layer, [[[[1, 2]]]], [[[[10, 20, 30, 40]]]], weight=[4, 5]), "layer", input=(0, 0, 0, 1))
    np.testing.assert_array_equal(found.amounts, [120, 200])


def test_a_pixel_that_wins_one_of_two_windows():
    # windows (1, 5) and (5, 9)
    found = blame(by_hand(MaxPool2d((1, 2), 1), [[[[1, 5, 9]]]], [[[[10, 20]]]]), "layer", input=(0, 0, 0, 1))
    np.testing.assert_array_equal(found.terms.factors["wins"], [1, 0])
    assert found.value == found.total == 10
    assert "it is in 2 windows and not the largest of 1 of them" in str(found)


def test_the_jacobian_of_softmax_by_hand():
    # y = 1/4, 3/4; dy = 8, 4; dx[0] = 8 * 1/4 * (1 - 1/4) + 4 * 3/4 * (0 - 1/4) = 1.5 - 0.75
    found = blame(by_hand(Softmax(), np.log([[1.0, 3.0]]), [[8, 4]]), "layer", input=(0, 0))
    np.testing.assert_allclose(found.amounts, [1.5, -0.75])
    # of its logarithm: 8 * (1 - 1/4) + 4 * (0 - 1/4)
    found = blame(by_hand(LogSoftmax(), np.log([[1.0, 3.0]]), [[8, 4]]), "layer", input=(0, 0))
    np.testing.assert_allclose(found.amounts, [6, -1])


def test_the_jacobian_of_batch_norm_by_hand():
    # x 1 3 5: mean 3, variance 8/3, xhat -s, 0, s with s*s = 3/2. For x[0]: [j = 0] - 1/3 - xhat[j] * xhat[0] / 3 is
    # 1 - 1/3 - 1/2 = 1/6, -1/3 and -1/3 + 1/2 = 1/6, each times inv_std = sqrt(3/8)
    seen = by_hand(BatchNorm1d(1, eps=0.0), [[1], [3], [5]], [[6], [3], [12]])
    found = blame(seen, "layer", input=(0, 0))
    np.testing.assert_allclose(found.amounts, np.sqrt(3 / 8) * np.array([1, -1, 2]))
    found = blame(seen, "layer", weight=0)
    np.testing.assert_allclose(found.amounts, np.sqrt(3 / 2) * np.array([-6, 0, 12]))


def test_the_gradient_of_cross_entropy_by_hand():
    # softmax 1/4, 3/4, class 1 is right, two examples: dlogits (1/4, 3/4 - 1) / 2
    logits = np.log(np.array([[1.0, 3.0], [1.0, 3.0]]))
    seen = trace(PReLU().astype(np.float64), logits, np.array([1, 0]))
    found = blame(seen, "loss", input=(0, 1))
    np.testing.assert_allclose(found.amounts, [3 / 8, -1 / 2])
    assert found.terms.labels == ("softmax(logits)[0, 1]", "-1, for it is the right class")
    np.testing.assert_allclose(blame(seen, "loss", input=(0, 0)).amounts, [1 / 8, 0])
    assert_adds_up(found)


def test_the_gradient_of_cross_entropy_at_every_logit():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, (2, 3, 3))
    y[0, 1, 1] = -100
    seen = trace(Conv2d(1, 4, 3, rng=0).astype(np.float64), rng.standard_normal((2, 1, 5, 5)), y)
    for index in np.ndindex(*seen.logits.shape):
        if y[index[0], index[2], index[3]] != -100:
            assert blame(seen, "loss", input=index).adds_up
    np.testing.assert_array_equal(blame(seen, "loss", input=(0, 2, 1, 1)).amounts, [0, 0])


def test_a_residual_block_by_hand():
    seen = by_hand(Residual(ReLU()), [[-1, 2]], [[10, 20]])
    found = blame(seen, "layer", input=(0, 1))
    assert found.terms.labels == ("dx of layer.body[0, 1]", "dy[0, 1]")
    np.testing.assert_array_equal(found.amounts, [20, 20])
    np.testing.assert_array_equal(blame(seen, "layer", input=(0, 0)).amounts, [0, 10])


# --- exact identities ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layer", "shape"), SIMPLE[:12], ids=[repr(layer) for layer, _ in SIMPLE[:12]])
def test_every_number_of_a_small_layer(layer, shape):
    seen = traced(layer, shape, 5, count=1)
    for index in list(np.ndindex(*seen["layer"].dx.shape))[::7]:
        assert_adds_up(blame(seen, "layer", input=index))


@pytest.mark.parametrize("layer", [Conv2d(4, 4, 3, 2, 1, groups=2, rng=0), ConvTranspose2d(4, 2, 3, 2, 1, 1, rng=0)])
def test_every_number_of_every_gradient(layer):
    seen = traced(layer, IMAGE, 1)
    for name, gradient in seen["layer"].grads.items():
        again = np.array([blame(seen, "layer", **{name: i}).total for i in np.ndindex(*gradient.shape)])
        np.testing.assert_allclose(again, gradient.ravel(), rtol=0, atol=1e-12 * np.abs(gradient).max() * 100)
    dx = seen["layer"].dx[0]
    again = np.array([blame(seen, "layer", input=(0, *i)).total for i in np.ndindex(*dx.shape)])
    np.testing.assert_allclose(again, dx.ravel(), rtol=0, atol=1e-13)


def test_blame_is_the_transpose_of_explain():
    # the amount of x[i] in y[j], over x[i], is the amount of dy[j] in dx[i], over dy[j]
    from cnn_from_scratch.insight.explain import explain

    seen = traced(Conv2d(4, 2, 3, 2, 1, dilation=2, rng=0), IMAGE, 0)
    forward = explain(seen, "layer", (1, 1, 1, 1)).to_frame()
    for row in forward.iloc[::5].itertuples():
        back = blame(seen, "layer", input=(row.x_n, row.x_c, row.x_h, row.x_w)).to_frame()
        same = back[(back.y_f == 1) & (back.y_oh == 1) & (back.y_ow == 1)]
        assert same.weight.tolist() == [row.weight]


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda seen: blame(seen, "stem"), ValueError, "blame: give one of weight, bias and input, got none"),
        (
            lambda seen: blame(seen, "stem", weight=(0, 0, 0, 0), bias=0),
            ValueError,
            "blame: give one of weight, bias and input, got weight and bias",
        ),
        (
            lambda seen: blame(seen, "nothing", bias=0),
            KeyError,
            "blame: no layer has the key 'nothing'; those that have one are",
        ),
        (
            lambda seen: blame(seen, "stem", weight=(4, 0, 0, 0)),
            IndexError,
            "blame: weight=(4, 0, 0, 0) is outside of the weight of layer 'stem', shape (4, 1, 3, 3): "
            "axis 0 goes from 0 to 3",
        ),
        (
            lambda seen: blame(seen, "stem", weight=0),
            ShapeError,
            "blame: weight must have 4 numbers (f, c, kh, kw) for the weight of layer 'stem', shape (4, 1, 3, 3), "
            "got 0",
        ),
        (
            lambda seen: blame(seen, "residual.body.act", weight=(0,)),
            ValueError,
            "blame: layer 'residual.body.act' = SiLU() has no weight",
        ),
        (
            lambda seen: blame(seen, "residual", weight=(0,)),
            ValueError,
            "blame: 'residual' is a Residual; ask the layers inside, which have the parameters: "
            "residual.body.conv1.weight, residual.body.bn1.weight",
        ),
        (
            lambda seen: blame(seen, "loss", weight=(0,)),
            ValueError,
            "blame: the loss has no weight; ask for input=(n, k), the gradient of one logit",
        ),
    ],
)
def test_mistakes_are_named(call, error, message):
    x = np.random.default_rng(0).standard_normal((2, 1, 10, 9)).astype(np.float32)
    with pytest.raises(error) as caught:
        call(trace(networks(0), x, np.array([0, 1])))
    assert caught.value.args[0].startswith(message)


def test_a_trace_without_a_backward_pass():
    seen = trace(Linear(2, 2, rng=0), np.ones((1, 2), np.float32))
    with pytest.raises(
        ValueError, match=r"^blame: the trace has no backward pass; make it with targets, by trace\(mod"
    ):
        blame(seen, "", input=(0, 0))
    with pytest.raises(
        ValueError, match=r"^blame: the trace has no loss; make it with targets, by trace\(model, x, y\)$"
    ):
        blame(seen, "loss", input=(0, 0))
