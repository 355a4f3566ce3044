"""Channels become pixels and pixels channels: DepthToSpace and SpaceToDepth, each the gradient of the other."""

from __future__ import annotations

from functools import partial

import numpy as np

from ....errors import FormatError, ShapeError
from ....ops.utils import empty_nchw
from ....typing import Array
from ..attributes import choice, integer, label, require
from ..registry import Node, operator
from .pure import OneInput

DCR = (0, 3, 4, 1, 5, 2)  # (N, i, j, C, H, W) -> (N, C, H, i, W, j)
CRD = (0, 1, 4, 2, 5, 3)  # (N, C, i, j, H, W) -> (N, C, H, i, W, j)


def depth_to_space(x: Array, size: int, mode: str) -> tuple[Array, None]:
    """y[n, c, h*B + i, w*B + j] = x[n, (i*B + j)*C + c, h, w]; in mode "CRD" of x[n, (c*B + i)*B + j, h, w]

    References
    ----------
    Shi et al.: Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN (2016).
    https://arxiv.org/abs/1609.05158

    Examples
    --------
    >>> x = np.arange(4.0).reshape(1, 4, 1, 1)
    >>> depth_to_space(x, 2, "DCR")[0][0, 0]
    array([[0., 1.],
           [2., 3.]])
    """
    N, C, H, W = _images("DepthToSpace", x)
    if C % (size * size):
        raise ShapeError(f"DepthToSpace: C={C} channels cannot become blocks of {size}x{size} pixels")
    C //= size * size
    parts, order = ((size, size, C), DCR) if mode == "DCR" else ((C, size, size), CRD)
    blocks = x.reshape(N, *parts, H, W).transpose(order)  # (N, C, H, i, W, j)
    return _put(blocks, (N, C, H * size, W * size), x), None


def space_to_depth(x: Array, size: int, mode: str) -> tuple[Array, None]:
    """The inverse of `depth_to_space`; as an operator of ONNX it has mode "DCR" only."""
    N, C, H, W = _images("SpaceToDepth", x)
    if H % size or W % size:
        raise ShapeError(f"SpaceToDepth: images of {H}x{W} pixels cannot be cut into blocks of {size}x{size}")
    blocks = x.reshape(N, C, H // size, size, W // size, size)  # (N, C, H, i, W, j)
    depth = blocks.transpose(np.argsort(DCR if mode == "DCR" else CRD))
    return _put(depth, (N, C * size * size, H // size, W // size), x), None


def _images(name: str, x: Array) -> tuple[int, ...]:
    if x.ndim != 4:
        raise ShapeError(f"{name}: input must be images (N, C, H, W), got shape {x.shape}")
    return x.shape


def _put(blocks: Array, shape: tuple[int, ...], like: Array) -> Array:
    """The numbers of `blocks` in their order, as images in the memory order of `like`."""
    y = empty_nchw(shape, like.dtype.newbyteorder("="), like=like)
    y[...] = blocks.reshape(shape)
    return y


def _depth_to_space_backward(dy: Array, cache: None, *, size: int, mode: str) -> Array:
    return space_to_depth(dy, size, mode)[0]


def _space_to_depth_backward(dy: Array, cache: None, *, size: int, mode: str) -> Array:
    return depth_to_space(dy, size, mode)[0]


@operator("DepthToSpace", "SpaceToDepth")
def rearrange(node: Node) -> OneInput:
    """See `depth_to_space` and `space_to_depth`."""
    size = require(node, "blocksize", integer(node, "blocksize"))
    if size < 1:
        raise FormatError(f"{label(node)}: blocksize must be at least 1, got {size}")
    forward, backward = depth_to_space, _depth_to_space_backward
    mode = "DCR"
    if node.op_type == "DepthToSpace":
        mode = choice(node, "mode", "DCR", ("DCR", "CRD"))
    else:
        forward, backward = space_to_depth, _space_to_depth_backward
    return OneInput(node, partial(forward, size=size, mode=mode), partial(backward, size=size, mode=mode))
