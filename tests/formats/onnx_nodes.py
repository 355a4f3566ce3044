"""What the tests of ONNX's operators share: one node made and run, its gradients, and loops as oracles."""

from __future__ import annotations

import itertools

import numpy as np
from ladder import assert_gradients_match, frozen

from cnn_from_scratch.formats.onnx import Node, make_operation
from cnn_from_scratch.layers.context import Context


def make(op_type, attributes=None, *, opset=22, inputs=1, outputs=1):
    return make_operation(Node(op_type, "n", attributes or {}, opset, inputs, outputs))


def run(op_type, *arrays, attributes=None, opset=22, outputs=1, ctx=None):
    """The outputs of one node, whose inputs are read-only."""
    operation = make(op_type, attributes, opset=opset, inputs=len(arrays), outputs=outputs)
    found, _ = operation.forward(frozen(*arrays), ctx or Context())
    return found[0] if outputs == 1 else found


def assert_node_gradients(op_type, *arrays, attributes=None, opset=22, outputs=1, ctx=None, rtol=1e-6):
    """Of all floating inputs by all floating outputs, against finite differences."""
    operation = make(op_type, attributes, opset=opset, inputs=len(arrays), outputs=outputs)
    ctx = ctx or Context()

    def forward(**given):
        values = [given.get(str(i), array) for i, array in enumerate(arrays)]
        found, _ = operation.forward(values, ctx)
        return np.concatenate([y.ravel() for y in found if y.dtype.kind == "f"])

    inputs = {str(i): array for i, array in enumerate(arrays) if array is not None and array.dtype == np.float64}
    ys, cache = operation.forward(frozen(*arrays), ctx)
    rng = np.random.default_rng(1)
    dys = [rng.standard_normal(y.shape).astype(y.dtype) if y.dtype.kind == "f" else None for y in ys]
    found = operation.backward(frozen(*dys), cache, [str(i) in inputs for i in range(len(arrays))])
    assert len(found) == len(arrays)
    gradients = {name: found[int(name)] for name in inputs}
    assert all(gradient is not None for gradient in gradients.values()), gradients
    dy = np.concatenate([dy.ravel() for dy in dys if dy is not None])
    assert_gradients_match(forward, inputs, gradients, dy, rtol=rtol)


# --- loops ----------------------------------------------------------------------------------------------------------


def places(lengths, kernel, strides, pads, dilations, outputs):
    """For each output and each place in the kernel: (output, place, pixel), pixels outside of the image left out."""
    rank = len(lengths)
    for out in itertools.product(*map(range, outputs)):
        for k in itertools.product(*map(range, kernel)):
            pixel = tuple(out[i] * strides[i] + k[i] * dilations[i] - pads[i] for i in range(rank))
            if all(0 <= p < n for p, n in zip(pixel, lengths, strict=True)):
                yield out, k, pixel


def count(lengths, kernel, strides, pads, dilations):
    """The number of windows along each axis."""
    rank = len(lengths)
    return tuple(
        (lengths[i] + pads[i] + pads[rank + i] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i in range(rank)
    )


def naive_conv(x, weight, bias, strides, pads, dilations, groups):
    N, (F, CG, *kernel) = len(x), weight.shape
    outputs = count(x.shape[2:], kernel, strides, pads, dilations)
    y = np.zeros((N, F, *outputs)) + bias.reshape(F, *[1] * len(outputs))
    for f in range(F):
        g = f // (F // groups)
        for out, k, pixel in places(x.shape[2:], kernel, strides, pads, dilations, outputs):
            channels = x[(slice(None), slice(g * CG, (g + 1) * CG), *pixel)]  # (N, C/G)
            y[(slice(None), f, *out)] += channels @ weight[(f, slice(None), *k)]
    return y


def naive_conv_transpose(x, weight, bias, strides, pads, dilations, groups, lengths):
    """Every pixel of x puts a copy of the kernel into y, an image of these lengths."""
    N, C, *small = x.shape
    _, FG, *kernel = weight.shape
    y = np.zeros((N, FG * groups, *lengths)) + bias.reshape(-1, *[1] * len(lengths))
    for c in range(C):
        g = c // (C // groups)
        for pixel, k, out in places(lengths, kernel, strides, pads, dilations, small):
            filters = slice(g * FG, (g + 1) * FG)
            y[(slice(None), filters, *out)] += np.outer(x[(slice(None), c, *pixel)], weight[(c, slice(None), *k)])
    return y
