import itertools

import numpy as np
import pytest
from formats.onnx_nodes import assert_node_gradients, make, run
from ladder import layouts, spaced

from cnn_from_scratch.errors import FormatError, ShapeError
from cnn_from_scratch.formats.onnx.pooling_nd import window_counts, window_sums, window_sums_backward
from cnn_from_scratch.formats.onnx.windows import Window, output_lengths
from cnn_from_scratch.layers.context import Context


def drawn(rank, seed):
    """A pooling at random: sizes that fit, pads smaller than the windows, ceil_mode or not."""
    rng = np.random.default_rng(seed)
    kernel, strides, dilations = ([int(n) for n in rng.integers(1, high, rank)] for high in (4, 4, 3))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [int(rng.integers(0, r)) for r in reach * 2]
    lengths = tuple(r + int(rng.integers(0, 4)) for r in reach)
    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": pads}
    return lengths, attributes | {"ceil_mode": int(rng.integers(2))}


def members(lengths, a):
    """For each window: its place in the output, and the pixels inside of the image, in scan order."""
    rank, pads = len(lengths), a["pads"]
    window = Window(
        tuple(a["kernel_shape"]),
        tuple(a["strides"]),
        tuple(zip(pads[:rank], pads[rank:], strict=True)),
        tuple(a["dilations"]),
        bool(a["ceil_mode"]),
    )
    outputs = output_lengths("test", lengths, window)
    for out in itertools.product(*map(range, outputs)):
        pixels = [
            tuple(out[i] * a["strides"][i] + k[i] * a["dilations"][i] - pads[i] for i in range(rank))
            for k in itertools.product(*map(range, a["kernel_shape"]))
        ]
        inside = [p for p in pixels if all(0 <= q < n for q, n in zip(p, lengths, strict=True))]
        padded = [p for p in pixels if all(-pads[i] <= q < lengths[i] + pads[rank + i] for i, q in enumerate(p))]
        yield out, inside, len(padded)


CASES = [(rank, seed) for rank in (1, 2, 3) for seed in range(15)] + [(4, 0), (4, 3)]


@pytest.mark.parametrize(("rank", "seed"), CASES)
def test_max_pool_and_its_indices_are_the_loops(rank, seed):
    """Small whole numbers, so that many maxima are ties: the first counts."""
    lengths, a = drawn(rank, seed)
    x = np.random.default_rng(seed).integers(0, 3, (2, 3, *lengths)).astype(np.float64)
    y, indices = run("MaxPool", x, attributes=a, outputs=2)
    assert indices.dtype == np.int64
    for out, inside, _ in members(lengths, a):
        for n, c in np.ndindex(2, 3):
            if not inside:  # a dilated window may miss every pixel
                assert y[(n, c, *out)] == -np.inf
                continue
            best = max(inside, key=lambda p: x[(n, c, *p)])
            assert y[(n, c, *out)] == x[(n, c, *best)]
            assert indices[(n, c, *out)] == np.ravel_multi_index((n, c, *best), x.shape)


@pytest.mark.parametrize(("rank", "seed"), [(1, 0), (2, 1), (3, 0), (3, 5), (4, 0)])
def test_max_pool_has_the_gradients_of_finite_differences(rank, seed):
    lengths, a = drawn(rank, seed)
    assert_node_gradients("MaxPool", spaced((2, 2, *lengths), np.random.default_rng(seed)), attributes=a)


def test_the_first_of_equal_maxima_in_a_volume_receives_all():
    operation_input = np.zeros((1, 1, 2, 2, 2))
    operation_input[0, 0, 1, 0, 1] = operation_input[0, 0, 1, 1, 0] = 5.0
    operation = make("MaxPool", {"kernel_shape": [2, 2, 2]}, outputs=2)
    for train in (False, True):
        (y, indices), cache = operation.forward([operation_input], Context(train=train))
        assert (y.item(), indices.item()) == (5, 5)
        (dx,) = operation.backward([np.full(y.shape, 3.0), None], cache, [True])
        assert np.flatnonzero(dx).tolist() == [5]


def test_indices_column_by_column():
    """In a plane of 2 rows and 3 columns the pixel (0, 2) is number 0*3 + 2, or, columns first, 2*2 + 0."""
    x = np.zeros((1, 2, 2, 3))
    x[..., 0, 2] = 1
    for order, expected in ((0, [2, 8]), (1, [4, 10])):
        _, indices = run("MaxPool", x, attributes={"kernel_shape": [2, 3], "storage_order": order}, outputs=2)
        assert indices.ravel().tolist() == expected


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_small_ints_keep_their_type(dtype):
    x = np.array([[[3, 100, 7, 5]]], dtype)
    y = run("MaxPool", x, attributes={"kernel_shape": [2], "pads": [1, 1]}, opset=12)
    assert y.dtype == dtype
    assert y.ravel().tolist() == [3, 100, 100, 7, 5]


@pytest.mark.parametrize("include_pad", [0, 1])
@pytest.mark.parametrize(("rank", "seed"), CASES)
def test_average_pool_is_the_loops(rank, seed, include_pad):
    lengths, a = drawn(rank, seed)
    windows = list(members(lengths, a))
    if any(not inside for _, inside, _ in windows):
        pytest.skip("a window that misses every pixel has no mean")
    x = np.random.default_rng(seed).standard_normal((2, 3, *lengths))
    y = run("AveragePool", x, attributes=a | {"count_include_pad": include_pad})
    for out, inside, padded in windows:
        total = sum(x[(slice(None), slice(None), *p)] for p in inside)
        np.testing.assert_allclose(y[(..., *out)], total / (padded if include_pad else len(inside)), atol=1e-12)


@pytest.mark.parametrize("op_type", ["AveragePool", "LpPool"])
@pytest.mark.parametrize(("rank", "seed"), [(1, 0), (2, 1), (3, 0), (3, 5)])
def test_sums_have_the_gradients_of_finite_differences(op_type, rank, seed):
    lengths, a = drawn(rank, seed)
    x = spaced((2, 2, *lengths), np.random.default_rng(seed))
    assert_node_gradients(op_type, x, attributes=a | ({"p": 3} if op_type == "LpPool" else {}), rtol=1e-5)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize(("rank", "seed"), [(1, 1), (2, 3), (3, 2)])
def test_lp_pool_is_the_loops(rank, seed, p):
    lengths, a = drawn(rank, seed)
    x = np.random.default_rng(seed).standard_normal((2, 3, *lengths))
    y = run("LpPool", x, attributes=a | {"p": p})
    for out, inside, _ in members(lengths, a):
        expected = sum((abs(x[(slice(None), slice(None), *q)]) ** p for q in inside), np.zeros((2, 3))) ** (1 / p)
        np.testing.assert_allclose(y[(..., *out)], expected, atol=1e-12)


def test_an_lp_norm_by_hand_and_of_nothing():
    """(3, 4) has the norm 5 and the gradient (3/5, 4/5); zeros have the norm 0 and are given the gradient 0."""
    assert run("LpPool", np.array([[[3.0, -4.0]]]), attributes={"kernel_shape": [2]}).item() == 5
    for p in (1, 2):
        operation = make("GlobalLpPool", {"p": p})
        (y,), cache = operation.forward([np.array([[[3.0, -4.0]], [[0.0, 0.0]]])], Context())
        (dx,) = operation.backward([np.ones(y.shape)], cache, [True])
        assert y.ravel().tolist() == [(7, 5)[p - 1], 0]
        np.testing.assert_allclose(dx.ravel(), [[1, -1, 0, 0], [0.6, -0.8, 0, 0]][p - 1], atol=1e-15)


def test_sums_over_windows_and_back_are_adjoint():
    rng = np.random.default_rng(0)
    window = Window((2, 3), (2, 1), ((1, 0), (1, 1)), (1, 2))
    x = rng.standard_normal((2, 3, 5, 6))
    y = window_sums(x, window)
    dy = rng.standard_normal(y.shape)
    assert np.sum(y * dy) == pytest.approx(np.sum(x * window_sums_backward(dy, (5, 6), window)), rel=1e-12)
    assert np.array_equal(
        window_sums(np.ones((1, 1, 5, 6)), window)[0, 0], window_counts((5, 6), window, include_pad=False)
    )


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("lengths", [(5,), (3, 4), (2, 3, 2)])
def test_global_pools(op_type, lengths):
    x = spaced((2, 3, *lengths), np.random.default_rng(0))
    rows = x.reshape(2, 3, -1)
    norm = np.sqrt((rows**2).sum(2))
    expected = {"GlobalAveragePool": rows.mean(2), "GlobalMaxPool": rows.max(2), "GlobalLpPool": norm}[op_type]
    y = run(op_type, x)
    assert y.shape == (2, 3, *[1] * len(lengths))
    np.testing.assert_allclose(y.reshape(2, 3), expected, atol=1e-12)
    assert_node_gradients(op_type, x)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_layouts_and_float_types(op_type, rank):
    a = {} if op_type.startswith("Global") else {"kernel_shape": [2] * rank}
    x = spaced((2, 3, *(4, 5, 3)[:rank]), np.random.default_rng(0))
    expected = run(op_type, x, attributes=a)
    for name, other in layouts(x):
        np.testing.assert_allclose(run(op_type, other, attributes=a), expected, atol=1e-12, err_msg=name)
    for dtype, rtol in ((np.float32, 1e-5), (np.float16, 1e-2)):
        y = run(op_type, x.astype(dtype), attributes=a)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=rtol, atol=rtol * np.abs(x).max())


def test_sums_of_half_precision_do_not_overflow():
    x = np.full((1, 1, 8, 8, 8), 6e4, np.float16)  # 512 of them are far beyond float16
    y = run("AveragePool", x, attributes={"kernel_shape": [8, 8, 8]})
    assert y.item() == np.float16(6e4)


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_examples(op_type, rank):
    a = {} if op_type.startswith("Global") else {"kernel_shape": [2] * rank}
    operation = make(op_type, a)
    (y,), cache = operation.forward([np.ones((0, 3, *[4] * rank))], Context())
    assert y.shape == (0, 3, *[1 if op_type.startswith("Global") else 3] * rank)
    (dx,) = operation.backward([np.ones(y.shape)], cache, [True])
    assert dx.shape == (0, 3, *[4] * rank)


def test_errors():
    x = np.ones((1, 1, 4, 4))
    for attributes, error, message in [
        ({}, ShapeError, "kernel_shape must have one number >= 1 for each of the 2 axes, got None"),
        ({"kernel_shape": [2]}, ShapeError, r"kernel_shape must have one number >= 1 .* got \(2,\)"),
        ({"kernel_shape": [9, 9]}, ShapeError, "the kernel does not fit"),
        ({"kernel_shape": 2}, FormatError, "kernel_shape must be a list of ints, got 2"),
    ]:
        with pytest.raises(error, match=message):
            run("MaxPool", x, attributes=attributes)
    with pytest.raises(TypeError, match="AveragePool: input must be of floats, got int64"):
        run("AveragePool", np.ones((1, 1, 4), np.int64), attributes={"kernel_shape": [2]})
    with pytest.raises(FormatError, match=r"p must be positive, got 0\.0"):
        run("LpPool", x, attributes={"kernel_shape": [2, 2], "p": 0})
    with pytest.raises(ShapeError, match=r"GlobalMaxPool: x must be \(N, C, \.\.\.\)"):
        run("GlobalMaxPool", np.ones((2, 3)))
