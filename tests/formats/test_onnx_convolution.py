import numpy as np
import pytest
from formats.onnx_nodes import assert_node_gradients, make, naive_conv, naive_conv_transpose, run
from ladder import frozen, layouts

from cnn_from_scratch.errors import FormatError, LimitError, ShapeError
from cnn_from_scratch.layers.context import Context
from cnn_from_scratch.ops import conv_forward


def drawn(rank, seed):
    """A convolution at random: sizes that fit, asymmetric pads, strides, dilations, groups."""
    rng = np.random.default_rng(seed)
    G = int(rng.integers(1, 3))
    kernel = tuple(int(k) for k in rng.integers(1, 4, rank))
    dilations = tuple(int(d) for d in rng.integers(1, 3, rank))
    pads = tuple(int(p) for p in rng.integers(0, 3, 2 * rank))
    strides = tuple(int(s) for s in rng.integers(1, 4, rank))
    lengths = tuple(
        max(1, d * (k - 1) + 1 - pads[i] - pads[rank + i]) + int(rng.integers(0, 4))
        for i, (k, d) in enumerate(zip(kernel, dilations, strict=True))
    )
    x = rng.standard_normal((2, 2 * G, *lengths))
    weight, bias = rng.standard_normal((3 * G, 2, *kernel)), rng.standard_normal(3 * G)
    attributes = {"strides": list(strides), "pads": list(pads), "dilations": list(dilations), "group": G}
    return x, weight, bias, attributes


CASES = [(rank, seed) for rank in (1, 2, 3) for seed in range(12)] + [(4, 0), (4, 1)]


@pytest.mark.parametrize(("rank", "seed"), CASES)
def test_conv_is_the_loops(rank, seed):
    x, weight, bias, a = drawn(rank, seed)
    expected = naive_conv(x, weight, bias, a["strides"], a["pads"], a["dilations"], a["group"])
    np.testing.assert_allclose(run("Conv", x, weight, bias, attributes=a), expected, rtol=1e-12, atol=1e-12)
    single = run("Conv", *(array.astype(np.float32) for array in (x, weight, bias)), attributes=a)
    assert single.dtype == np.float32
    assert single.flags.c_contiguous
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rank", "seed"), [(1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (3, 2), (4, 0)])
def test_conv_has_the_gradients_of_finite_differences(rank, seed):
    x, weight, bias, a = drawn(rank, seed)
    assert_node_gradients("Conv", x, weight, bias, attributes=a)
    assert_node_gradients("Conv", x, weight, attributes=a)


def test_a_volume_by_hand():
    """Slices 1, 2, 4 with a kernel (1, 10) over depth: 1 + 20, 2 + 40."""
    x = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1, 1)
    weight = np.array([1.0, 10.0]).reshape(1, 1, 2, 1, 1)
    assert run("Conv", x, weight).ravel().tolist() == [21, 42]


def test_images_go_through_the_operation_bitwise():
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 8, 9, 9), (4, 8, 3, 3)))
    y = run("Conv", x, weight, attributes={"pads": [1, 1, 1, 1]})
    assert np.array_equal(y, conv_forward(x, weight, padding=1)[0])


@pytest.mark.parametrize(
    ("auto_pad", "pads"), [("SAME_UPPER", [0, 1, 1, 1]), ("SAME_LOWER", [1, 1, 0, 1]), ("VALID", [0, 0, 0, 0])]
)
def test_auto_pad(auto_pad, pads):
    """Height 5 with kernel 2: a row is needed, below or above. Width 4, kernel 3: a column on either side."""
    x, weight = np.random.default_rng(0).random((1, 1, 5, 4)), np.random.default_rng(1).random((1, 1, 2, 3))
    found = run("Conv", x, weight, attributes={"auto_pad": auto_pad})
    assert np.array_equal(found, run("Conv", x, weight, attributes={"pads": pads}))
    assert found.shape[2:] == ((5, 4) if auto_pad != "VALID" else (4, 2))


@pytest.mark.parametrize("rank", [1, 3])
def test_any_memory_layout_and_half_precision(rank):
    x, weight, bias, a = drawn(rank, 3)
    expected = run("Conv", x, weight, bias, attributes=a)
    for name, other in layouts(x):
        np.testing.assert_allclose(run("Conv", other, weight, bias, attributes=a), expected, atol=1e-12, err_msg=name)
    half = run("Conv", *(array.astype(np.float16) for array in (x, weight, bias)), attributes=a)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, expected, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_examples(op_type, rank):
    lengths, kernel = (5, 4, 3)[:rank], (2, 3, 2)[:rank]
    x, weight, bias = np.ones((0, 2, *lengths)), np.ones((3, 2, *kernel)), np.ones(3)
    weight = weight if op_type == "Conv" else weight.swapaxes(0, 1)
    operation = make(op_type, inputs=3)
    (y,), cache = operation.forward(frozen(x, weight, bias), Context())
    grow = -1 if op_type == "Conv" else 1
    assert y.shape == (0, 3, *(n + grow * (k - 1) for n, k in zip(lengths, kernel, strict=True)))
    dx, dweight, dbias = operation.backward([np.ones(y.shape)], cache, [True] * 3)
    assert dx.shape == x.shape
    assert not dweight.any()
    assert not dbias.any()


# --- transposed -----------------------------------------------------------------------------------------------------


def transposed(rank, seed):
    """A transposed convolution at random, and the size of its output."""
    rng = np.random.default_rng(seed)
    G = int(rng.integers(1, 3))
    kernel, strides, dilations, lengths = (
        tuple(int(n) for n in rng.integers(low, high, rank)) for low, high in ((2, 4), (1, 4), (1, 3), (2, 4))
    )
    pads = [int(p) for p in rng.integers(0, 2, 2 * rank)]
    extra = [int(rng.integers(0, max(s, d))) for s, d in zip(strides, dilations, strict=True)]
    x = rng.standard_normal((2, 2 * G, *lengths))
    weight, bias = rng.standard_normal((2 * G, 3, *kernel)), rng.standard_normal(3 * G)
    output = [
        (lengths[i] - 1) * strides[i] + extra[i] + dilations[i] * (kernel[i] - 1) + 1 - pads[i] - pads[rank + i]
        for i in range(rank)
    ]
    attributes = {"strides": list(strides), "pads": pads, "dilations": list(dilations), "group": G}
    return x, weight, bias, attributes | {"output_padding": extra}, output


@pytest.mark.parametrize(("rank", "seed"), CASES)
def test_conv_transpose_is_the_loops(rank, seed):
    x, weight, bias, a, output = transposed(rank, seed)
    expected = naive_conv_transpose(x, weight, bias, a["strides"], a["pads"], a["dilations"], a["group"], output)
    found = run("ConvTranspose", x, weight, bias, attributes=a)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("rank", "seed"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1)])
def test_conv_transpose_has_the_gradients_of_finite_differences(rank, seed):
    x, weight, bias, a, _ = transposed(rank, seed)
    assert_node_gradients("ConvTranspose", x, weight, bias, attributes=a)
    assert_node_gradients("ConvTranspose", x, weight, attributes=a)


def test_conv_transpose_pads_follow_from_the_output_shape():
    """2 pixels, stride 2, kernel 3 reach 5: for 4 one is cut off, at the beginning unless SAME_UPPER; 6 adds a zero."""
    x, weight = np.array([[[1.0, 10.0]]]), np.array([[[1.0, 2.0, 3.0]]])
    a = {"strides": [2]}
    whole = [1, 2, 13, 20, 30]
    assert run("ConvTranspose", x, weight, attributes=a).ravel().tolist() == whole
    assert run("ConvTranspose", x, weight, attributes=a | {"output_shape": [4]}).ravel().tolist() == whole[1:]
    assert run("ConvTranspose", x, weight, attributes=a | {"output_shape": [6]}).ravel().tolist() == [*whole, 0]
    for auto_pad, expected in (("SAME_UPPER", whole[:4]), ("SAME_LOWER", whole[1:]), ("VALID", whole)):
        found = run("ConvTranspose", x, weight, attributes=a | {"auto_pad": auto_pad})
        assert found.ravel().tolist() == expected, auto_pad
    given = run("ConvTranspose", x, weight, attributes=a | {"output_shape": [4], "auto_pad": "SAME_UPPER"})
    assert given.ravel().tolist() == whole[:4]


def test_beyond_the_kernels_there_is_the_bias():
    y = run("ConvTranspose", np.ones((1, 1, 1)), np.ones((1, 1, 1)), np.array([7.0]), attributes={"output_shape": [3]})
    assert y.ravel().tolist() == [8, 7, 7]


# --- columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_columns_go_back_where_they_came_from(rank):
    """<im2col(x), cols> = <x, col2im(cols)>, where im2col is a convolution with one filter for each place."""
    rng = np.random.default_rng(rank)
    lengths, kernel = (6, 5, 4)[:rank], (2, 3, 2)[:rank]
    a = {"strides": [2, 1, 1][:rank], "pads": [1, 0, 1, 0, 1, 1][: 2 * rank], "dilations": [1, 2, 1][:rank]}
    K = int(np.prod(kernel))
    x = rng.standard_normal((2, 1, *lengths))
    cols_of_x = run("Conv", x, np.eye(K).reshape(K, 1, *kernel), attributes=a).reshape(2, K, -1)
    cols = rng.standard_normal(cols_of_x.shape)
    sizes = np.array(lengths), np.array(kernel)
    y = run("Col2Im", cols, *sizes, attributes=a, opset=18)
    assert np.sum(cols_of_x * cols) == pytest.approx(np.sum(x * y), rel=1e-12)
    assert_node_gradients("Col2Im", cols, *sizes, attributes=a, opset=18)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_errors_name_the_node_and_the_rule():
    x, weight = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    cases = [
        (
            {"kernel_shape": [2, 2]},
            r"node 'n' \(Conv, opset 22\): kernel_shape is \(2, 2\), but the weights have \(3, 3\)",
        ),
        ({"strides": [1]}, r"strides must have one number >= 1 for each of the 2 axes, got \(1,\)"),
        ({"strides": [0, 1]}, r"strides must have one number >= 1 for each of the 2 axes, got \(0, 1\)"),
        ({"pads": [1, 1]}, r"pads must have two numbers >= 0 for each of the 2 axes, got \(1, 1\)"),
        ({"pads": [-1, 0, 0, 0]}, r"pads must have two numbers >= 0 .* got \(-1, 0, 0, 0\)"),
    ]
    for attributes, message in cases:
        with pytest.raises(ShapeError, match=message):
            run("Conv", x, weight, attributes=attributes)
    with pytest.raises(ShapeError, match=r"x must be \(N, C, \.\.\.\) of at least one more axis"):
        run("Conv", np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(ShapeError, match="kernel does not fit"):
        run("Conv", np.ones((1, 1, 2, 4, 4)), np.ones((1, 1, 3, 3, 3)))
    with pytest.raises(ShapeError, match="output_shape must have a number >= 0 for each of the 2 axes"):
        run("ConvTranspose", x, weight, attributes={"output_shape": [4]})
    with pytest.raises(ShapeError, match="nothing is left"):
        run("ConvTranspose", x, weight, attributes={"pads": [9, 0, 9, 0]})
    with pytest.raises(ShapeError, match=r"Col2Im.*columns must be \(N, C\*2, 3\)"):
        run("Col2Im", np.ones((1, 2, 4)), np.array([4]), np.array([2]), opset=18)


def test_absurd_sizes_in_a_file_are_refused_before_anything_is_allocated():
    x, weight = np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))
    with pytest.raises(LimitError, match=r"ConvTranspose: an output of shape \(1, 1, 1048576, 1048576\) has"):
        run("ConvTranspose", x, weight, attributes={"output_shape": [1 << 20, 1 << 20]})
    window = {"strides": [1 << 36]}
    with pytest.raises(LimitError, match="Col2Im: an output of shape"):
        run("Col2Im", np.ones((1, 1, 1)), np.array([1 << 36]), np.array([1]), attributes=window, opset=18)


def test_attributes_are_read_as_what_they_must_be():
    for attributes, message in [
        ({"strides": "abc"}, "strides must be a list of ints, got 'abc'"),
        ({"group": 1.5}, r"group must be an int, got 1\.5"),
        ({"auto_pad": "SAME"}, "auto_pad must be one of NOTSET, SAME_UPPER, SAME_LOWER, VALID, got 'SAME'"),
    ]:
        with pytest.raises(FormatError, match=message):
            make("Conv", attributes, inputs=2)
    with pytest.raises(FormatError, match=r"node 'n' \(Conv, opset 22\) has 1 inputs; Conv takes 2 to 3"):
        make("Conv", inputs=1)
    with pytest.raises(FormatError, match="has 2 outputs; Conv gives at most 1"):
        make("Conv", inputs=2, outputs=2)
