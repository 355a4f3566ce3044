"""Every number of every layer is the sum that explain says it is, and the fields of view are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arithmetic import (
    IMAGE,
    SIMPLE,
    assert_adds_up,
    convolutions,
    everything,
    models,
    networks,
    pools,
    traced,
    transposed_convolutions,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight.arithmetic.rules import RULES
from cnn_from_scratch.insight.blame import blame
from cnn_from_scratch.insight.explain import explain
from cnn_from_scratch.insight.trace import trace
from cnn_from_scratch.insight.trace_file import load_trace, save_trace
from cnn_from_scratch.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Layer,
    Linear,
    MaxPool2d,
    PReLU,
    ReLU,
    Sequential,
)
from cnn_from_scratch.ops import im2col

SEEDS = st.integers(0, 10_000)
QUICK = settings(max_examples=60, deadline=None)

# --- everything adds up ----------------------------------------------------------------------------------------------


def assert_all_add_up(seen, seed, count=4):
    rng = np.random.default_rng(seed)
    for key in seen.layers:
        for found in everything(seen, key, rng, count):
            assert_adds_up(found)


def fits(layer):
    try:
        return layer.output_shape(IMAGE)
    except ShapeError:
        return None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(layer=st.one_of(convolutions(), transposed_convolutions(), pools()), seed=SEEDS)
@QUICK
def test_windows_add_up(dtype, layer, seed):
    assume(fits(layer))
    assert_all_add_up(traced(layer, IMAGE, seed, dtype=dtype), seed)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("layer", "shape"), SIMPLE, ids=[repr(layer) for layer, _ in SIMPLE])
def test_all_others_add_up(layer, shape, train, dtype):
    assert_all_add_up(traced(layer, shape, 3, count=3, dtype=dtype, train=train), 3, count=8)


def test_no_kind_of_layer_is_left_out():
    drawn = {"Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"}
    assert {type(layer).__name__ for layer, _ in SIMPLE} | drawn == {kind.__name__ for kind in RULES}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_whole_networks_add_up(seed, train, dtype):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((3, 1, 10, 9)).astype(dtype), rng.integers(0, 5, 3)
    seen = trace(networks(seed).astype(dtype), x, y, train=train, seed=seed)
    assert {"residual", "residual.body", "concat.1", "block", "block.conv1", "block.downsample"} <= set(seen.layers)
    assert_all_add_up(seen, seed, count=3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(model=models(), train=st.booleans(), seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_random_models_add_up(dtype, model, train, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 2, 9, 8)).astype(dtype)
    seen = trace(model.astype(dtype), x, rng.integers(0, 3, 2), train=train, seed=seed)
    assume(np.isfinite(seen.logits).all())  # a maximum over nothing but padding is -inf
    assert_all_add_up(seen, seed, count=2)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_winograd_in_float32_adds_up_within_its_bound(algorithm, seed):
    layer = Conv2d(8, 8, 3, padding=1, algorithm=algorithm, rng=seed)
    seen = traced(layer, (8, 9, 10), seed, dtype=np.float32)
    assert seen["layer"].cache.algorithm == algorithm
    assert_all_add_up(seen, seed)


def test_a_trace_that_was_saved_adds_up_as_before(tmp_path):
    rng = np.random.default_rng(0)
    seen = trace(networks(0), rng.standard_normal((2, 1, 10, 9)).astype(np.float32), np.array([0, 4]), train=True)
    save_trace(seen, tmp_path / "trace.safetensors")
    again = load_trace(tmp_path / "trace.safetensors")
    for key, entry in seen.layers.items():
        index = tuple(int(rng.integers(size)) for size in entry.output.shape)
        assert str(explain(again, key, index)) == str(explain(seen, key, index))
    assert_all_add_up(again, 1, count=1)


def test_numbers_that_are_not_finite_go_on():
    x = np.random.default_rng(0).standard_normal((2, 1, 10, 9)).astype(np.float32)
    x[0, 0, 2, 2], x[1, 0, 3, 3] = np.nan, np.inf
    seen = trace(networks(0), x, np.array([0, 4]))
    assert explain(seen, "stem", (0, 0, 2, 2)).adds_up
    assert explain(seen, "pool", (0, 0, 0, 0)).adds_up
    assert np.isnan(explain(seen, "head", (0, 0)).total)
    assert np.isnan(explain(seen, "loss", 0).total)
    with pytest.raises(ValueError, match=r"^layer 'residual.body.act' was given x\[0, 0, 2, 2\] = nan: there is no"):
        explain(seen, "residual.body.act", (0, 0, 2, 2))


def test_a_number_that_is_wrong_does_not_add_up():
    seen = traced(Conv2d(4, 2, 3, rng=0), IMAGE, 0)
    seen.layers["layer"] = seen["layer"]._replace(output=seen["layer"].output * (1 + 1e-9))
    found = explain(seen, "layer", (0, 1, 2, 3))
    assert not found.adds_up
    assert "NOT the traced number" in str(found)


# --- by hand ---------------------------------------------------------------------------------------------------------


def ramp(height=5, width=5):
    return np.arange(1.0, height * width + 1).reshape(1, 1, height, width)


def convolution(weight, **options):
    weight = np.asarray(weight, np.float64)
    layer = Conv2d(weight.shape[1], weight.shape[0], weight.shape[2:], **options).astype(np.float64)
    layer.params["weight"] = weight
    if "bias" in layer.params:
        layer.params["bias"] = np.full(weight.shape[0], 0.5)
    return layer


def test_a_patch_at_the_corner_by_hand():
    # 3x3 ones, padding 1, at (0, 0): 1 + 2 + 6 + 7 lie inside, 5 places do not; bias 0.5
    found = explain(trace(convolution(np.ones((1, 1, 3, 3)), padding=1), ramp()), "", (0, 0, 0, 0))
    assert found.value == found.total == 16.5
    assert found.constant == 0.5
    np.testing.assert_array_equal(found.amounts, [1, 2, 6, 7])
    np.testing.assert_array_equal(found.patch[0], [[0, 0, 0], [0, 1, 2], [0, 6, 7]])
    np.testing.assert_array_equal(found.window.inside, [[False] * 3, [False, True, True], [False, True, True]])
    assert found.field.box == found.image_field.box == (slice(0, 2), slice(0, 2))
    assert "the window covers rows 0 to 1 and columns 0 to 1 of 5 × 5; 5 of its 9 places lie in the padding" in str(
        found
    )


def test_the_table_by_hand():
    layer = convolution([[[[1.0, -2.0]]]], stride=(1, 2), dilation=(1, 2))
    frame = explain(trace(layer, ramp(1, 6)), "", (0, 0, 0, 1)).to_frame()  # 1*3 - 2*5
    assert list(frame.columns) == [
        *("x_n", "x_c", "x_h", "x_w", "weight_f", "weight_c", "weight_kh", "weight_kw", "x", "weight", "amount")
    ]
    assert frame[["x_w", "weight_kw", "x", "weight", "amount"]].to_numpy().tolist() == [
        [2, 0, 3, 1, 3],
        [4, 1, 5, -2, -10],
    ]


@pytest.mark.fault("remainder")
def test_what_the_stride_steps_over():
    # width 6, kernel 2, stride 4: windows at 0 and 4; columns 2, 3 are between. Height 5, stride 3: rows 0-1, 3-4
    found = explain(trace(convolution(np.ones((1, 1, 2, 2)), stride=(3, 4)), ramp(5, 6)), "", (0, 0, 1, 1))
    np.testing.assert_array_equal(found.window.unseen_rows, [2])
    np.testing.assert_array_equal(found.window.unseen_columns, [2, 3])
    assert "no window of this layer sees row 2 and columns 2 to 3: the stride steps over them" in str(found)


@pytest.mark.fault("remainder")
def test_the_row_that_falls_off_the_edge():
    found = explain(trace(convolution(np.ones((1, 1, 2, 2)), stride=2), ramp(5, 5)), "", (0, 0, 1, 1))
    np.testing.assert_array_equal(found.window.unseen_rows, [4])
    np.testing.assert_array_equal(found.window.unseen_columns, [4])


@given(layer=convolutions(), seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_column_is_that_of_im2col(layer, seed):
    assume(fits(layer))
    seen = traced(layer, IMAGE, seed)
    y = seen["layer"].output
    index = tuple(int(i) for i in np.random.default_rng(seed).integers(y.shape))
    found, (n, f, oh, ow) = explain(seen, "layer", index), index
    groups, OW = layer.groups, y.shape[3]
    cols = im2col(seen.x, layer.kernel_size, stride=layer.stride, padding=layer.padding, dilation=layer.dilation)
    own = np.split(cols[n, :, oh * OW + ow], groups)[f // (y.shape[1] // groups)]
    np.testing.assert_array_equal(found.window.column, own)
    np.testing.assert_array_equal(found.window.row, layer.params["weight"][f].ravel())
    np.testing.assert_allclose(own @ found.window.row + (found.constant or 0), found.value, atol=1e-12)


def test_the_first_of_equal_maxima_wins():
    x = np.array([[1.0, 7.0], [7.0, 7.0]]).reshape(1, 1, 2, 2)
    found = explain(trace(MaxPool2d(2), x), "", (0, 0, 0, 0))
    np.testing.assert_array_equal(found.terms.factors["wins"], [0, 1, 0, 0])
    assert "3 numbers are the largest: the first of them by rows, then columns, wins" in str(found)


def test_a_maximum_that_only_meets_negative_numbers_ignores_its_padding():
    found = explain(trace(MaxPool2d(3, 1, 1), -ramp(2, 2)), "", (0, 0, 0, 0))
    assert found.value == found.total == -1
    assert np.isneginf(found.patch[0, 0, 0])


def test_a_mean_counts_its_padding_or_not():
    for counted, share in ((True, 1 / 9), (False, 1 / 4)):
        found = explain(trace(AvgPool2d(3, 1, 1, count_include_pad=counted), ramp(2, 2)), "", (0, 0, 0, 0))
        np.testing.assert_allclose(found.amounts, share * np.arange(1, 5))


def test_a_place_that_no_copy_of_the_kernel_reaches():
    layer = ConvTranspose2d(1, 1, 1, stride=2, output_padding=1, rng=0)
    found = explain(trace(layer, ramp(2, 2).astype(np.float32)), "", (0, 0, 3, 3))
    assert len(found.amounts) == 0
    assert found.value == found.total == layer.params["bias"][0]


def test_the_loss_by_hand():
    # logits 0, log 3: softmax 1/4, 3/4. The loss of class 0 is log 4, that of class 1 log(4/3); their mean
    logits = np.log(np.array([[1.0, 3.0], [1.0, 3.0]]))
    seen = trace(PReLU().astype(np.float64), logits, np.array([0, 1]))
    assert math.isclose(explain(seen, "loss", 0).total, math.log(4))
    found = explain(seen, "loss", (1,))
    np.testing.assert_allclose(found.terms.beside["softmax"], [0.25, 0.75])
    assert math.isclose(found.value, math.log(4 / 3))
    assert found.adds_up
    mean = explain(seen, "loss", ())
    assert mean.value == seen.loss
    assert mean.adds_up


def test_losses_that_are_ignored_or_are_maps():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, (2, 3, 3))
    y[0, 1, 1] = -100
    seen = trace(Conv2d(1, 4, 3, rng=0).astype(np.float64), rng.standard_normal((2, 1, 5, 5)), y)
    for index in ((0, 0, 2), (0, 1, 1), (1, 2, 2), ()):
        assert explain(seen, "loss", index).adds_up
    assert explain(seen, "loss", (0, 1, 1)).value == 0
    assert explain(seen, "loss", (0, 1, 1)).image_field.box == (slice(1, 4), slice(1, 4))
    shares = np.array([[0.25, 0.75]])
    assert explain(trace(ReLU(), np.array([[1.0, 2.0]]), shares), "loss", 0).adds_up


# --- fields of view --------------------------------------------------------------------------------------------------


def pixels_that_matter(model, key, x, index, train):
    """By changing one pixel after the other; where a maximum hides them, by many random tries."""
    mattered = np.zeros(x.shape[2:], bool)
    for h, w in np.ndindex(*mattered.shape):
        changed = x.copy()
        changed[index[0], :, h, w] += 100
        mattered[h, w] = (
            trace(model, changed, train=train)[key].output[index] != trace(model, x, train=train)[key].output[index]
        )
    return mattered


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("key", "index"),
    [
        ("stem", (1, 2, 0, 0)),
        ("residual.body.conv1", (1, 1, 4, 4)),
        ("residual.body.act", (0, 0, 0, 9)),
        ("concat", (0, 0, 5, 5)),
        ("concat", (0, 3, 5, 5)),
        ("block.conv1", (1, 0, 0, 0)),
        ("block.conv2", (1, 0, 2, 3)),
        ("block", (2, 5, 4, 0)),
        ("up", (0, 1, 0, 0)),
        ("head", (0, 1)),
    ],
)
def test_the_field_in_the_image_is_what_changes_the_number(key, index, train):
    model = networks(1).astype(np.float64)
    _linear(model)
    x = np.random.default_rng(0).standard_normal((3, 1, 10, 9))
    found = explain(trace(model, x, train=train), key, index)
    mattered = pixels_that_matter(model, key, x, index, train)
    assert not (mattered & ~found.image_field.mask).any()
    if not train and not key.startswith(("block", "up", "head")):  # no maximum, and no ReLU, in between
        np.testing.assert_array_equal(found.image_field.mask, mattered)


def _linear(model):
    """Nothing to do but to keep weights away from 0, so that every pixel of a window counts."""
    for array in model.params.values():
        array[...] = np.where(np.abs(array) < 0.05, 0.05, array)


def test_fields_grow_by_hand():
    # 3x3, then 2x2 pooling with stride 2, then 3x3: 3 + 1*1 + 2*2 = 8 rows; the last window begins at row 2*1
    model = Sequential(Conv2d(1, 1, 3, rng=0), MaxPool2d(2), Conv2d(1, 1, 3, rng=0))
    found = explain(trace(model, np.zeros((1, 1, 16, 16), np.float32)), "2", (0, 0, 1, 2))
    assert found.image_field.box == (slice(2, 10), slice(4, 12))
    assert found.image_field.mask.sum() == 64
    assert found.field.box == (slice(1, 4), slice(2, 5))


def test_dilation_leaves_gaps():
    found = explain(trace(Conv2d(1, 1, 3, dilation=2, rng=0), np.zeros((1, 1, 7, 7), np.float32)), "", (0, 0, 0, 0))
    assert found.field.mask.sum() == 9
    assert found.field.box == (slice(0, 5), slice(0, 5))


def test_batch_norm_in_training_sees_its_whole_channel():
    model, x = Sequential(BatchNorm2d(2)), np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(np.float32)
    assert explain(trace(model, x), "0", (0, 0, 1, 1)).image_field.full.sum() == 1
    seen = explain(trace(model, x, train=True), "0", (0, 0, 1, 1)).image_field.full
    np.testing.assert_array_equal(seen.sum((1, 2)), [9, 0])


# --- layers of one's own, and mistakes -------------------------------------------------------------------------------


class Scale(Layer):
    def forward(self, x, ctx):
        return 2 * x, None

    def backward(self, dy, cache, *, need_dx=True):
        return 2 * dy, {}


def test_a_layer_of_ones_own_is_seen_through_as_a_whole():
    model = Sequential(Scale(), Conv2d(1, 1, 3, rng=0))
    found = explain(trace(model, np.ones((1, 1, 5, 5), np.float32)), "1", (0, 0, 0, 0))
    assert found.image_field.mask.all()
    assert found.image_field.unknown == ("0",)
    assert "(layers of your own are taken to see everything: '0')" in str(found)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda seen: explain(seen, "conv", (0, 0, 0, 0)),
            KeyError,
            "explain: no layer has the key 'conv'; those that have one are '0', '1', '2'",
        ),
        (
            lambda seen: explain(seen, "1", (0, 2, 0, 0)),
            IndexError,
            "explain: index=(0, 2, 0, 0) is outside of the output of layer '1', shape (1, 2, 3, 3): "
            "axis 1 goes from 0 to 1",
        ),
        (
            lambda seen: explain(seen, "1", (0, 2)),
            ShapeError,
            "explain: index must have 4 numbers (n, f, oh, ow) for the output of layer '1', shape (1, 2, 3, 3), "
            "got (0, 2)",
        ),
        (
            lambda seen: explain(seen, "1", (0, 0, 0.5, 0)),
            TypeError,
            "explain: index must be an int for each axis, got (0, 0, 0.5, 0)",
        ),
        (
            lambda seen: explain(seen, "loss", 0),
            ValueError,
            "explain: the trace has no loss; make it with targets, by trace(model, x, y)",
        ),
    ],
)
def test_mistakes_are_named(call, error, message):
    model = Sequential(Scale(), Conv2d(1, 2, 3, rng=0), ReLU())
    with pytest.raises(error) as caught:
        call(trace(model, np.ones((1, 1, 5, 5), np.float32)))
    assert caught.value.args[0] == message


def test_a_layer_of_ones_own_says_what_can_be_explained():
    seen = trace(Sequential(Scale()), np.ones((1, 1, 5, 5), np.float32))
    with pytest.raises(TypeError) as caught:
        explain(seen, "0", (0, 0, 0, 0))
    text = str(caught.value)
    assert text.startswith("explain: layer '0' is a Scale, whose arithmetic is not known; known are AdaptiveAvgPool2d,")
    assert text.endswith("ZeroPad2d, and 'loss'")


def test_another_loss_is_not_explained():
    seen = trace(Linear(2, 1, rng=0), np.ones((1, 2), np.float32), np.ones((1, 1), np.float32), loss="mse")
    with pytest.raises(ValueError, match=r"^explain: the loss is 'mse'; explained is 'cross_entropy'$"):
        explain(seen, "loss", 0)


def test_a_trace_explains_itself():
    seen = traced(Linear(3, 4, rng=0), (3,), 0)
    assert str(seen.explain("layer", (1, 2))) == str(explain(seen, "layer", (1, 2)))
    assert str(seen.blame("layer", weight=(3, 2))) == str(blame(seen, "layer", weight=(3, 2)))


def test_negative_indices_count_from_the_end():
    seen = traced(Linear(3, 4, rng=0), (3,), 0)
    assert explain(seen, "layer", (-1, -2)).index == (1, 2)
    assert repr(explain(seen, "layer", (0, 0))).startswith("Explanation(y[0, 0] = ")


def test_dropout_in_evaluation_and_in_training():
    model, x = Dropout(0.5), np.arange(1, 9, dtype=np.float32).reshape(1, 8)
    calm = explain(trace(model, x), "", (0, 3))
    assert (calm.value, calm.total, calm.parts.notes) == (4.0, 4.0, ("nothing is dropped in evaluation",))
    trained = trace(model, x, train=True)
    kept = int(trained[""].output[0].argmax())
    told = explain(trained, "", (0, kept))
    assert told.total == told.value == 2 * x[0, kept]
    assert told.parts.notes == ("kept, and divided by 1 - 0.5",)
    dropped = int((trained[""].output[0] == 0).argmax())
    assert explain(trained, "", (0, dropped)).parts.notes == ("dropped, as 0.5 of all numbers are",)
