"""Every classic mistake is named, and the library's own solutions pass."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch import ops
from cnn_from_scratch.exercises import EXERCISES, arguments, check_function, find_exercise
from cnn_from_scratch.optim import SGD, AdamW

ALL = [(exercise.name, mistake.name) for exercise in EXERCISES.values() for mistake in exercise.mistakes]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=["-".join(both) for both in ALL])
def test_the_message_names_the_mistake(name, mistake):
    made = next(m for m in EXERCISES[name].mistakes if m.name == mistake)
    verdict = check_function(name, made.function)
    assert verdict.state == "wrong"
    assert verdict.mistakes == (mistake,)
    (likely,) = [section.lines for section in verdict.sections if section.title == "Likely"]
    assert likely == (f"This is what comes out when {made.says}.",)


@pytest.mark.parametrize("name", EXERCISES)
def test_mistakes_have_names_of_their_own(name):
    names = [mistake.name for mistake in EXERCISES[name].mistakes]
    assert len(names) == len(set(names)) >= 12


@pytest.mark.parametrize("name", EXERCISES)
def test_a_mistake_makes_a_wrong_number_not_only_an_error(name):
    """The registry would prove nothing if its functions failed for another reason than theirs."""
    for mistake in EXERCISES[name].mistakes:
        verdict = check_function(name, mistake.function)
        assert "TypeError" not in verdict.headline, mistake.name
        assert "AssertionError" not in verdict.headline, mistake.name


# --- the library itself ---------------------------------------------------------------------------------------------


def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    return ops.im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)


def col2im(cols, input_shape, kernel_size, stride=1, padding=0, dilation=1):
    return ops.col2im(cols, input_shape, kernel_size, stride=stride, padding=padding, dilation=dilation)


def conv_forward(x, weight, bias, stride=1, padding=0):
    return ops.conv_forward(x, weight, bias, stride=stride, padding=padding)[0]


def conv_backward(dy, x, weight, stride=1, padding=0):
    bias = np.zeros(len(weight), x.dtype)
    return ops.conv_backward(dy, ops.conv_forward(x, weight, bias, stride=stride, padding=padding)[1])


def max_pool_backward(dy, x, kernel_size, stride, padding=0):
    return ops.max_pool_backward(dy, ops.max_pool_forward(x, kernel_size, stride=stride, padding=padding)[1])


def batch_norm_backward(dy, x, weight, eps=1e-5):
    bias = np.zeros_like(weight)
    return ops.batch_norm_backward(dy, ops.batch_norm_forward(x, weight, bias, None, None, train=True, eps=eps)[1])


def softmax_cross_entropy(logits, targets):
    loss, cache = ops.cross_entropy_forward(logits, targets)
    return loss, ops.cross_entropy_backward(cache)


def adam(param, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    optimizer, params = AdamW(lr, (beta1, beta2), eps, weight_decay), {"p": param.copy()}
    optimizer.load_state_dict({"t": t - 1, "lr": lr, "steps/p": t - 1, "exp_avg/p": m, "exp_avg_sq/p": v})
    optimizer.step(params, {"p": grad})
    return params["p"], optimizer.state["p"]["exp_avg"], optimizer.state["p"]["exp_avg_sq"]


def training_loop(x, y, x_test, y_test, weight, bias, loss_and_gradients, lr, momentum, epochs, batch_size, rng):
    optimizer, params, losses = SGD(lr, momentum=momentum), {"weight": weight.copy(), "bias": bias.copy()}, []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            _, dweight, dbias = loss_and_gradients(x[batch], y[batch], **params)
            optimizer.step(params, {"weight": dweight, "bias": dbias})
        losses.append(loss_and_gradients(x_test, y_test, **params)[0])
    return params["weight"], params["bias"], np.array(losses, x.dtype)


ADAPTERS = [
    im2col,
    col2im,
    conv_forward,
    conv_backward,
    max_pool_backward,
    batch_norm_backward,
    softmax_cross_entropy,
    adam,
    training_loop,
]


def test_there_is_an_adapter_for_each():
    assert [adapter.__name__ for adapter in ADAPTERS] == list(EXERCISES)


@pytest.mark.parametrize("solution", ADAPTERS)
def test_the_library_passes(solution):
    verdict = check_function(solution.__name__, solution)
    assert verdict.state == "right", str(verdict)
    assert all(verdict.passed)
    assert len(verdict.passed) == len(verdict.rungs) >= 6


# --- the answers do not stand on themselves -------------------------------------------------------------------------


def test_two_answers_by_hand():
    (cols,) = [im2col(**arguments("im2col", 0))[0]]
    assert cols.tolist() == [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]  # as in the stub's picture
    param, m, v = find_exercise("adam").answer(**arguments("adam", 0))  # 0.1 * 4, 0.001 * 16; 1 - 0.5 * 4/4
    assert (round(float(m[0]), 12), round(float(v[0]), 12), round(float(param[0]), 6)) == (0.4, 0.016, 0.5)


@pytest.mark.parametrize("name", ["conv_backward", "batch_norm_backward", "max_pool_backward", "softmax_cross_entropy"])
def test_gradients_agree_with_finite_differences(name):
    """dx, or dlogits, of the third rung, number by number."""

    def value(x):
        if name == "softmax_cross_entropy":
            return float(softmax_cross_entropy(x, given["targets"])[0])
        if name == "conv_backward":
            y = ops.conv_forward(x, given["weight"])[0]
        elif name == "max_pool_backward":
            y = ops.max_pool_forward(x, given["kernel_size"], stride=given["stride"])[0]
        else:
            w = given["weight"]
            y = ops.batch_norm_forward(x, w, np.zeros_like(w), None, None, train=True, eps=given["eps"])[0]
        return float((y * given["dy"]).sum())

    given = arguments(name, 3 if name == "max_pool_backward" else 2)
    key = "logits" if name == "softmax_cross_entropy" else "x"
    returned = find_exercise(name).answer(**given)
    gradient = {"softmax_cross_entropy": lambda: returned[1], "max_pool_backward": lambda: returned}.get(
        name, lambda: returned[0]
    )()
    for place in np.ndindex(*given[key].shape):
        step = np.zeros_like(given[key])
        step[place] = 1e-5
        slope = (value(given[key] + step) - value(given[key] - step)) / 2e-5
        assert slope == pytest.approx(gradient[place], rel=1e-5, abs=1e-6)
