"""Solutions as the third hints lead to them, and as plain loops: another way to the same numbers passes, too."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.exercises import EXERCISES, check_function

# --- as the hints say -----------------------------------------------------------------------------------------------


def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    (N, C, H, W), (KH, KW), p = x.shape, kernel_size, padding
    OH = (H + 2 * p - dilation * (KH - 1) - 1) // stride + 1
    OW = (W + 2 * p - dilation * (KW - 1) - 1) // stride + 1
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    cols = np.zeros((N, C, KH, KW, OH, OW), x.dtype)
    for kh in range(KH):
        for kw in range(KW):
            top, left = kh * dilation, kw * dilation
            rows, columns = top + stride * (OH - 1) + 1, left + stride * (OW - 1) + 1
            cols[:, :, kh, kw] = xp[:, :, top:rows:stride, left:columns:stride]
    return cols.reshape(N, C * KH * KW, OH * OW)


def col2im(cols, input_shape, kernel_size, stride=1, padding=0, dilation=1):
    (N, C, H, W), (KH, KW), p = input_shape, kernel_size, padding
    OH = (H + 2 * p - dilation * (KH - 1) - 1) // stride + 1
    OW = (W + 2 * p - dilation * (KW - 1) - 1) // stride + 1
    cols6 = cols.reshape(N, C, KH, KW, OH, OW)
    xp = np.zeros((N, C, H + 2 * p, W + 2 * p), cols.dtype)
    for kh in range(KH):
        for kw in range(KW):
            top, left = kh * dilation, kw * dilation
            rows, columns = top + stride * (OH - 1) + 1, left + stride * (OW - 1) + 1
            xp[:, :, top:rows:stride, left:columns:stride] += cols6[:, :, kh, kw]
    return xp[:, :, p : p + H, p : p + W]


def conv_forward(x, weight, bias, stride=1, padding=0):
    (N, _, H, W), (F, _, KH, KW) = x.shape, weight.shape
    y = weight.reshape(F, -1) @ im2col(x, (KH, KW), stride, padding)
    y = y + bias[:, None]
    return y.reshape(N, F, (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1)


def conv_backward(dy, x, weight, stride=1, padding=0):
    (N, F, OH, OW), (_, _, KH, KW) = dy.shape, weight.shape
    cols, dy2 = im2col(x, (KH, KW), stride, padding), dy.reshape(N, F, OH * OW)
    dweight = (dy2 @ cols.swapaxes(1, 2)).sum(0).reshape(weight.shape)
    dx = col2im(weight.reshape(F, -1).T @ dy2, x.shape, (KH, KW), stride, padding)
    return dx, dweight, dy.sum((0, 2, 3))


def max_pool_backward(dy, x, kernel_size, stride, padding=0):
    (KH, KW), p, (H, W) = kernel_size, padding, x.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    dxp = np.zeros_like(xp)
    for n, c, oh, ow in np.ndindex(dy.shape):
        window = xp[n, c, oh * stride : oh * stride + KH, ow * stride : ow * stride + KW]
        i, j = np.unravel_index(window.argmax(), window.shape)
        dxp[n, c, oh * stride + i, ow * stride + j] += dy[n, c, oh, ow]
    return dxp[:, :, p : p + H, p : p + W]


def batch_norm_backward(dy, x, weight, eps=1e-5):
    axes = (0, 2, 3)
    std = np.sqrt(x.var(axes, keepdims=True) + eps)
    xhat = (x - x.mean(axes, keepdims=True)) / std
    inner = dy - dy.mean(axes, keepdims=True) - xhat * (dy * xhat).mean(axes, keepdims=True)
    return weight[:, None, None] / std * inner, (dy * xhat).sum(axes), dy.sum(axes)


def softmax_cross_entropy(logits, targets):
    N = len(logits)
    z = logits - logits.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    loss = -log_p[np.arange(N), targets].mean()
    dlogits = np.exp(log_p)
    dlogits[np.arange(N), targets] -= 1
    return loss, dlogits / N


def adam(param, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad**2
    mhat = m / (1 - beta1**t)
    vhat = v / (1 - beta2**t)
    param = (1 - lr * weight_decay) * param - lr * mhat / (np.sqrt(vhat) + eps)
    return param, m, v


def training_loop(x, y, x_test, y_test, weight, bias, loss_and_gradients, lr, momentum, epochs, batch_size, rng):
    vw, vb, losses = np.zeros_like(weight), np.zeros_like(bias), []
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            _, dweight, dbias = loss_and_gradients(x[batch], y[batch], weight, bias)
            vw = momentum * vw + dweight
            vb = momentum * vb + dbias
            weight = weight - lr * vw
            bias = bias - lr * vb
        losses.append(loss_and_gradients(x_test, y_test, weight, bias)[0])
    return weight, bias, np.array(losses, x.dtype)


HINTED = [
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


@pytest.mark.parametrize("solution", HINTED)
def test_the_third_hint_leads_to_it(solution):
    verdict = check_function(solution.__name__, solution)
    assert verdict, str(verdict)
    assert list(EXERCISES)[HINTED.index(solution)] == solution.__name__


# --- in plain loops -------------------------------------------------------------------------------------------------


def conv_by_loops(x, weight, bias, stride=1, padding=0):
    (N, _, H, W), (F, _, KH, KW), p = x.shape, weight.shape, padding
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    y = np.zeros((N, F, (H + 2 * p - KH) // stride + 1, (W + 2 * p - KW) // stride + 1), x.dtype)
    for n, f, oh, ow in np.ndindex(y.shape):
        patch = xp[n, :, oh * stride : oh * stride + KH, ow * stride : ow * stride + KW]
        y[n, f, oh, ow] = (patch * weight[f]).sum() + bias[f]
    return y


def conv_backward_by_loops(dy, x, weight, stride=1, padding=0):
    (H, W), (F, _, KH, KW), p = x.shape[2:], weight.shape, padding
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dxp, dweight, dbias = np.zeros_like(xp), np.zeros_like(weight), np.zeros(F, x.dtype)
    for n, f, oh, ow in np.ndindex(dy.shape):
        here = (n, slice(None), slice(oh * stride, oh * stride + KH), slice(ow * stride, ow * stride + KW))
        dxp[here] += dy[n, f, oh, ow] * weight[f]
        dweight[f] += dy[n, f, oh, ow] * xp[here]
        dbias[f] += dy[n, f, oh, ow]
    return dxp[:, :, p : p + H, p : p + W], dweight, dbias


def im2col_by_windows(x, kernel_size, stride=1, padding=0, dilation=1):
    (N, _, H, W), (KH, KW), p = x.shape, kernel_size, padding
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    OH = (H + 2 * p - dilation * (KH - 1) - 1) // stride + 1
    OW = (W + 2 * p - dilation * (KW - 1) - 1) // stride + 1
    patches = []
    for oh, ow in np.ndindex(OH, OW):
        top, left = oh * stride, ow * stride
        patch = xp[:, :, top : top + dilation * KH : dilation, left : left + dilation * KW : dilation]
        patches.append(patch[:, :, :KH, :KW].reshape(N, -1))
    return np.stack(patches, axis=-1)


@pytest.mark.parametrize(
    ("name", "solution"),
    [
        ("conv_forward", conv_by_loops),
        ("conv_backward", conv_backward_by_loops),
        ("im2col", im2col_by_windows),
    ],
)
def test_loops_are_as_good(name, solution):
    verdict = check_function(name, solution)
    assert verdict, str(verdict)
