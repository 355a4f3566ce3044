"""Two convolutions (stride 1) as they are taught: both make one large matrix of columns of the whole batch."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray


def forward(way: str, x: Array, weight: Array, padding: int) -> tuple[Array, Array]:
    """(y, cols); `way` is "fancy" or "sliding"."""
    return (_fancy_forward if way == "fancy" else _sliding_forward)(x, weight, padding)


def backward(way: str, dy: Array, cols: Array, x: Array, weight: Array, padding: int) -> tuple[Array, Array]:
    """(dx, dweight)"""
    return (_fancy_backward if way == "fancy" else _sliding_backward)(dy, cols, x, weight, padding)


# --- fancy indices, as in the assignments of Stanford's CS231n ------------------------------------------------------


def _indices(C: int, K: int, OH: int, OW: int) -> tuple[Array, Array, Array]:
    """Channel (C*K*K, 1), row and column (C*K*K, OH*OW) of every element of the column matrix of one image."""
    rows = np.tile(np.repeat(np.arange(K), K), C)[:, None] + np.repeat(np.arange(OH), OW)
    columns = np.tile(np.arange(K), K * C)[:, None] + np.tile(np.arange(OW), OH)
    return np.repeat(np.arange(C), K * K)[:, None], rows, columns


def _output_size(x: Array, weight: Array, padding: int) -> tuple[int, int]:
    (H, W), K = x.shape[2:], weight.shape[2]
    return H + 2 * padding - K + 1, W + 2 * padding - K + 1


def _fancy_forward(x: Array, weight: Array, padding: int) -> tuple[Array, Array]:
    N, C, _, _ = x.shape
    F, _, K, _ = weight.shape
    OH, OW = _output_size(x, weight, padding)
    channel, row, column = _indices(C, K, OH, OW)
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    cols = xp[:, channel, row, column].transpose(1, 2, 0).reshape(C * K * K, -1)  # (C*K*K, OH*OW*N)
    y = (weight.reshape(F, -1) @ cols).reshape(F, OH, OW, N)
    return y.transpose(3, 0, 1, 2), cols  # (N, F, OH, OW)


def _fancy_backward(dy: Array, cols: Array, x: Array, weight: Array, padding: int) -> tuple[Array, Array]:
    N, C, H, W = x.shape
    F, _, K, _ = weight.shape
    OH, OW = dy.shape[2:]
    flat = dy.transpose(1, 2, 3, 0).reshape(F, -1)  # (F, OH*OW*N)
    dweight = (flat @ cols.T).reshape(weight.shape)
    dcols = (weight.reshape(F, -1).T @ flat).reshape(C * K * K, -1, N).transpose(2, 0, 1)  # (N, C*K*K, OH*OW)
    channel, row, column = _indices(C, K, OH, OW)
    dxp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    np.add.at(dxp, (slice(None), channel, row, column), dcols)
    return dxp[:, :, padding : padding + H, padding : padding + W], dweight


# --- a sliding window, and one matrix product -----------------------------------------------------------------------


def _sliding_forward(x: Array, weight: Array, padding: int) -> tuple[Array, Array]:
    N, C, _, _ = x.shape
    F, _, K, _ = weight.shape
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(xp, (K, K), (2, 3))  # (N, C, OH, OW, K, K)
    OH, OW = windows.shape[2:4]
    cols = windows.transpose(1, 4, 5, 0, 2, 3).reshape(C * K * K, -1)  # (C*K*K, N*OH*OW)
    y = (weight.reshape(F, -1) @ cols).reshape(F, N, OH, OW)
    return np.ascontiguousarray(y.transpose(1, 0, 2, 3)), cols


def _sliding_backward(dy: Array, cols: Array, x: Array, weight: Array, padding: int) -> tuple[Array, Array]:
    N, C, H, W = x.shape
    F, _, K, _ = weight.shape
    OH, OW = dy.shape[2:]
    flat = dy.transpose(1, 0, 2, 3).reshape(F, -1)  # (F, N*OH*OW)
    dweight = (flat @ cols.T).reshape(weight.shape)
    dcols = (weight.reshape(F, -1).T @ flat).reshape(C, K, K, N, OH, OW)
    dxp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    for i in range(K):
        for j in range(K):
            dxp[:, :, i : i + OH, j : j + OW] += dcols[:, i, j].transpose(1, 0, 2, 3)
    return dxp[:, :, padding : padding + H, padding : padding + W], dweight
