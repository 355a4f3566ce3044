"""ONNX's window operators beside onnxruntime, at random: sizes, strides, dilations, pads, auto_pad, ceil_mode, groups.

Left out is where onnxruntime does not do what the operators' definitions say: pools and convolutions with SAME_* and
dilations (padding is reckoned without them, or refused), SAME_* with a stride longer than the kernel (negative
padding), and windows that do not fit into the image (it answers with fewer, or no, pixels).
"""

from __future__ import annotations

import numpy as np
import pytest
from formats.onnx_nodes import run

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def peer(op_type, *arrays, attributes, opset, outputs=1):
    helper = onnx.helper
    names, made = [f"i{k}" for k in range(len(arrays))], [f"o{k}" for k in range(outputs)]
    kinds = [onnx.TensorProto.FLOAT, onnx.TensorProto.INT64][:outputs]
    graph = helper.make_graph(
        [helper.make_node(op_type, names, made, **attributes)],
        "g",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, a.shape) for n, a in zip(names, arrays, strict=True)],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(made, kinds, strict=True)],
    )
    message = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    session = onnxruntime.InferenceSession(message.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(None, dict(zip(names, arrays, strict=True)))
    return found[0] if outputs == 1 else found


def drawn(seed):
    """Attributes that all definitions agree about, and images they fit on."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    kernel = [int(n) for n in rng.integers(1, 4, rank)]
    auto_pad = str(rng.choice(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    same = auto_pad.startswith("SAME")
    strides = [int(rng.integers(1, k + 1 if same else 4)) for k in kernel]
    dilations = [1 if same else int(rng.integers(1, 3)) for _ in kernel]
    a = {"kernel_shape": kernel, "strides": strides, "auto_pad": auto_pad}
    if auto_pad == "NOTSET":
        a["pads"] = [int(rng.integers(0, k)) for k in kernel * 2]
    lengths = [int(n) for n in rng.integers(5, 9, rank)]
    return rng, a, dilations, rng.standard_normal((2, 4, *lengths), np.float32)


def same(op_type, *arrays, attributes, opset, outputs=1):
    expected = peer(op_type, *arrays, attributes=attributes, opset=opset, outputs=outputs)
    found = run(op_type, *arrays, attributes=attributes, opset=opset, outputs=outputs)
    for y, other in zip(found if outputs > 1 else [found], expected if outputs > 1 else [expected], strict=True):
        assert (y.shape, y.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(y, other, rtol=1e-4, atol=1e-5)


SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_pools(seed):
    rng, a, dilations, x = drawn(seed)
    ceil = {"ceil_mode": int(rng.integers(2))} if a["auto_pad"] == "NOTSET" else {}
    order = {"storage_order": int(rng.integers(2))}
    same("MaxPool", x, attributes=a | ceil | order | {"dilations": dilations}, opset=12, outputs=2)
    include = {"count_include_pad": int(rng.integers(2))}
    same("AveragePool", x, attributes=a | ceil | include, opset=11)
    same("AveragePool", x, attributes=a | ceil | include | {"dilations": dilations}, opset=19)
    same("LpPool", x, attributes=a | {"p": int(rng.integers(1, 4))}, opset=11)


@pytest.mark.parametrize("seed", SEEDS)
def test_convolutions(seed):
    rng, a, dilations, x = drawn(seed)
    G = int(rng.integers(1, 3))
    a |= {"dilations": dilations, "group": G}
    weight, bias = rng.standard_normal((6, 4 // G, *a["kernel_shape"]), np.float32), rng.standard_normal(6, np.float32)
    same("Conv", x, weight, bias, attributes=a, opset=11)


@pytest.mark.parametrize("seed", SEEDS)
def test_transposed_convolutions(seed):
    rng, a, dilations, x = drawn(seed)
    G = int(rng.integers(1, 3))
    a |= {"dilations": dilations, "group": G}
    if a["auto_pad"] == "NOTSET" and rng.integers(2):
        a["output_padding"] = [int(rng.integers(0, s)) for s in a["strides"]]
    weight, bias = rng.standard_normal((4, 3, *a["kernel_shape"]), np.float32), rng.standard_normal(3 * G, np.float32)
    same("ConvTranspose", x, weight, bias, attributes=a, opset=11)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("length", [8, 9, 10])
def test_transposed_convolutions_of_a_given_size(auto_pad, length):
    rng = np.random.default_rng(length)
    x, weight = (rng.standard_normal(shape, np.float32) for shape in ((1, 2, 5, 5), (2, 3, 3, 3)))
    a = {"strides": [2, 2], "output_shape": [length, 9], "auto_pad": auto_pad}
    same("ConvTranspose", x, weight, attributes=a, opset=11)
