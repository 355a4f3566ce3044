"""Every public operation under every kind of wrong argument: an error that names it, or the right result."""

from __future__ import annotations

import inspect
import re
from contextlib import nullcontext
from typing import Any

import numpy as np
import op_calls
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import frozen, layouts
from nonsense import (
    HUGE,
    Subclass,
    arrays_of_all_kinds,
    assert_refused_or_right,
    assert_same,
    settings_of_all_kinds,
    wrong_arrays,
)
from op_calls import FORWARD, LOSSES, OTHERS, backward, backward_arguments, forward, in_float32, run

from cnn_from_scratch import ops
from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.ops import checks, memory
from cnn_from_scratch.ops.conv_algorithms import ALGORITHMS

Array = np.ndarray
EXEMPT = {"target", "targets", "class_weights", "running_mean", "running_var"}
"""Arrays that need not be of the dtype of the rest."""

DIFFERENTIABLE = [
    (name, key)
    for name, arguments in FORWARD.items()
    for key, value in arguments.items()
    if isinstance(value, Array) and key not in EXEMPT
]
BACKWARD = [name for name in FORWARD if name not in LOSSES]


def test_the_calls_cover_all_that_is_public():
    functions = {
        name for name in ops.__all__ if callable(getattr(ops, name)) and not isinstance(getattr(ops, name), type)
    }
    pairs = {f"{name}_{way}" for name in FORWARD for way in ("forward", "backward")}
    assert functions == pairs | set(OTHERS) | {"print_shape"}
    for name, arguments in FORWARD.items():
        assert set(arguments) == set(inspect.signature(forward(name)).parameters), name
        run(name, arguments)


def refused(function, arguments, error, message):
    before = {k: v.copy() for k, v in arguments.items() if type(v) is Array}
    with pytest.raises(error) as caught:
        function(**arguments)
    assert str(caught.value) == message
    assert type(caught.value) is error
    for key, value in before.items():
        np.testing.assert_array_equal(arguments[key], value)


# --- arrays ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("wrong-dtype")
@pytest.mark.parametrize(("name", "key"), DIFFERENTIABLE)
def test_what_is_no_array_of_floats_is_a_type_error(name, key):
    arguments = FORWARD[name]
    may_be_none = "None" in str(inspect.signature(forward(name)).parameters[key].annotation)
    for label, wrong in wrong_arrays(arguments[key]):
        if wrong is None and may_be_none:
            continue
        if label == "masked":
            rule = f"is a masked array, and masks are not looked at; fill it, as in {key}.filled(0)"
        elif isinstance(wrong, Array):
            rule = f"has dtype {wrong.dtype}; expected float32 or float64 (convert it, as in {key}.astype(np.float32))"
        else:
            rule = f"must be a NumPy array, got {label}"
        refused(forward(name), arguments | {key: wrong}, TypeError, f"{name}_forward: {key} {rule}")


@pytest.mark.fault("wrong-dtype")
@pytest.mark.parametrize("name", [name for name in FORWARD if sum(n == name for n, _ in DIFFERENTIABLE) > 1])
def test_mixed_dtypes_are_a_type_error(name):
    arguments = FORWARD[name]
    keys = [key for n, key in DIFFERENTIABLE if n == name]
    mixed = arguments | {keys[-1]: arguments[keys[-1]].astype(np.float32)}
    listed = ", ".join(f"{key} {mixed[key].dtype}" for key in keys)
    message = f"{name}_forward: arguments have different dtypes ({listed}); convert them to one"
    refused(forward(name), mixed, TypeError, message)


@pytest.mark.fault("wrong-dtype")
@pytest.mark.parametrize("name", FORWARD)
def test_float16_is_computed_in_float32_and_comes_back(name):
    def cast(dtype):
        return {
            k: v.astype(np.float16).astype(dtype) if (name, k) in DIFFERENTIABLE else v for k, v in arguments.items()
        }

    arguments = FORWARD[name]
    y, cache = run(name, cast(np.float16))
    wanted, _ = run(name, cast(np.float32))
    assert y.dtype == np.float16
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(y, wanted.astype(np.float16))
    found = backward(name)(**backward_arguments(name, y, cache))
    assert {g.dtype for g in (found if isinstance(found, tuple) else (found,)) if g is not None} == {np.dtype("f2")}


@pytest.mark.fault("wrong-dtype")
@pytest.mark.parametrize("name", BACKWARD)
def test_a_gradient_that_is_no_array_of_its_dtype_is_a_type_error(name):
    y, cache = run(name, FORWARD[name])
    arguments = backward_arguments(name, y, cache)
    for label, wrong in wrong_arrays(y):
        if label == "masked":
            rule = "is a masked array, and masks are not looked at; fill it, as in dy.filled(0)"
        elif isinstance(wrong, Array):
            rule = f"has dtype {wrong.dtype}; expected float32 or float64 (convert it, as in dy.astype(np.float32))"
        else:
            rule = f"must be a NumPy array, got {label}"
        refused(backward(name), arguments | {"dy": wrong}, TypeError, f"{name}_backward: dy {rule}")
    for dtype in ("float32", "float16"):
        message = f"{name}_backward: dy has dtype {dtype} but the forward pass ran in float64; convert dy"
        refused(backward(name), arguments | {"dy": y.astype(dtype)}, TypeError, message)


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize("name", BACKWARD)
def test_a_gradient_of_another_shape_is_a_shape_error(name):
    y, cache = run(name, FORWARD[name])
    arguments = backward_arguments(name, y, cache)
    for shape in [(*y.shape, 1), y.shape[1:], (len(y) + 1, *y.shape[1:]), (0,), ()]:
        message = f"{name}_backward: dy must have shape {y.shape}, got {shape}"
        refused(backward(name), arguments | {"dy": np.ones(shape)}, ShapeError, message)


@pytest.mark.parametrize("name", FORWARD)
def test_a_cache_of_another_operation_is_a_type_error(name):
    y, cache = run(name, FORWARD[name])
    kinds = {"adaptive_avg_pool": "global_avg_pool", "adaptive_max_pool": "global_max_pool"}
    for other, arguments in FORWARD.items():
        if other == name or {other, kinds.get(other)} & {name, kinds.get(name)}:
            continue  # global pooling is adaptive pooling with one cell
        wrong = run(other, arguments)[1]
        message = f"{name}_backward: cache must come from {name}_forward, got {type(wrong).__name__}"
        refused(backward(name), backward_arguments(name, y, cache) | {"cache": wrong}, TypeError, message)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dloss", ["1", b"1", None, 1j, [1.0, [2.0]], object, {}, np.ma.masked_array([1.0])])
def test_the_gradient_of_a_loss_is_a_number(name, dloss):
    y, cache = run(name, FORWARD[name])
    message = f"{name}_backward: dloss must be a number or an array of real numbers, got {dloss!r}"
    refused(backward(name), {"cache": cache, "dloss": dloss}, TypeError, message)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_of_a_loss_has_its_shape(name):
    _, cache = run(name, FORWARD[name])
    refused(
        backward(name),
        {"cache": cache, "dloss": np.ones(3)},
        ShapeError,
        f"{name}_backward: dloss must have shape (), got (3,)",
    )


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("name", FORWARD)
def test_however_an_array_lies_the_result_is_the_same_and_nothing_is_written(name):
    arguments = in_float32(FORWARD[name])
    y, cache = run(name, arguments)
    wanted = backward(name)(**backward_arguments(name, y, cache))
    for key in [k for k, v in arguments.items() if _is_floats(v)]:
        value = arguments[key]
        same = [*layouts(value), ("subclass", value.view(Subclass))]
        for label, lying in same:
            before = lying.tobytes()
            y, cache = run(name, arguments | {key: lying})
            found = backward(name)(**backward_arguments(name, y, cache))
            for a, b in zip(_all(found), _all(wanted), strict=True):
                assert type(a) is Array
                assert a.dtype == np.float32
                np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=f"{key} {label}")
            assert lying.tobytes() == before


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("name", FORWARD)
def test_one_number_repeated_by_strides_of_zero_is_read_right_and_not_written(name):
    arguments = FORWARD[name]
    for _, key in [pair for pair in DIFFERENTIABLE if pair[0] == name]:
        repeated = np.broadcast_to(np.float64(1.25), arguments[key].shape)
        assert_same(run(name, arguments | {key: repeated})[0], run(name, arguments | {key: np.array(repeated)})[0])
        assert repeated.flat[0] == 1.25


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("name", BACKWARD)
def test_however_the_gradient_lies_the_result_is_the_same(name):
    y, cache = run(name, in_float32(FORWARD[name]))
    dy = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    arguments = backward_arguments(name, y, cache)
    wanted = backward(name)(**arguments | {"dy": dy})
    for label, lying in layouts(dy):
        for a, b in zip(_all(backward(name)(**arguments | {"dy": lying})), _all(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5, err_msg=label)


def _all(result: Any) -> list[Array]:
    return [part for part in (result if isinstance(result, tuple) else (result,)) if part is not None]


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("name", ["softmax", "linear", "mse", "relu", "binary_cross_entropy"])
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_counts_as_the_array_that_it_is(name):
    arguments = FORWARD[name]
    wanted = run(
        name, {k: v.reshape(-1, v.shape[-1]) if _is_floats(v) and v.ndim > 2 else v for k, v in arguments.items()}
    )
    matrices = {
        k: v.reshape(-1, v.shape[-1]).view(np.matrix) if _is_floats(v) and v.ndim >= 2 else v
        for k, v in arguments.items()
    }
    assert_same(run(name, matrices), wanted)


def _is_floats(value: Any) -> bool:
    return isinstance(value, Array) and value.dtype.kind == "f"


@pytest.mark.fault("empty-batch")
@pytest.mark.parametrize("name", [name for name in BACKWARD if name != "add_relu"])
def test_a_batch_without_examples_gives_none(name):
    arguments = dict(FORWARD[name])
    arguments["x"] = arguments["x"][:0]
    y, cache = run(name, arguments)
    assert len(y) == 0
    whole, _ = run(name, FORWARD[name])
    assert y.shape[1:] == whole.shape[1:]
    found = backward(name)(**backward_arguments(name, y, cache))
    dx, *others = found if isinstance(found, tuple) else (found,)
    assert dx.shape == arguments["x"].shape
    for gradient in others:
        assert not gradient.any()


@pytest.mark.fault("empty-batch")
@pytest.mark.parametrize("name", LOSSES)
def test_a_mean_loss_over_nothing_is_a_value_error(name):
    arguments = {k: v[:0] if isinstance(v, Array) and k != "class_weights" else v for k, v in FORWARD[name].items()}
    shape = "(0,)" if name == "cross_entropy" else "(0, 3)"
    message = (
        f"{name}_forward: reduction='mean' over nothing: the losses have shape {shape} and their weights add up to 0"
    )
    refused(forward(name), arguments, ValueError, message)
    assert forward(name)(**arguments | {"reduction": "sum"})[0] == 0


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize("name", [name for name in FORWARD if name not in LOSSES])
def test_nan_is_handed_on(name):
    arguments = dict(FORWARD[name])
    key = "a" if name == "add_relu" else "x"
    arguments[key] = arguments[key].copy()
    arguments[key][...] = np.nan
    assert np.isnan(run(name, arguments)[0]).any()


@pytest.mark.fault("one-value-a-channel")
@pytest.mark.parametrize("name", ["batch_norm", "batch_norm_relu", "conv_batch_norm", "conv_batch_norm_relu"])
def test_one_value_a_channel_cannot_be_trained_on(name):
    arguments = FORWARD[name] | {"x": FORWARD[name]["x"][:1, :, :1, :1]}
    shape = (1, len(arguments["running_mean"]), 1, 1)
    message = f"{name}_forward: training needs more than one value per channel, got x {shape}"
    refused(forward(name), arguments, ValueError, message)
    y, _ = forward(name)(**arguments | {"train": False})
    assert y.shape == shape


# --- settings -------------------------------------------------------------------------------------------------------

NUMBERS = [
    (name, key)
    for name, key in [
        *((name, "eps") for name in FORWARD if "norm" in name),
        *((name, "momentum") for name in FORWARD if "batch_norm" in name),
        *(("cross_entropy", "label_smoothing"), ("dropout", "p"), ("elu", "alpha"), ("huber", "delta")),
        *(("leaky_relu", "negative_slope"), ("pad", "value"), ("softplus", "beta"), ("softplus", "threshold")),
    ]
]
SWITCHES = [
    (way(name), arguments, key)
    for way, table in (
        (forward, FORWARD),
        (backward, {n: backward_arguments(n, *run(n, a)) for n, a in FORWARD.items()}),
    )
    for name, arguments in table.items()
    for key, value in arguments.items()
    if type(value) is bool
]
PAIRS = [
    *(
        (name, key, 1)
        for name in FORWARD
        for key in ("kernel_size", "stride", "dilation", "scale_factor")
        if key in FORWARD[name]
    ),
    ("conv_transpose", "output_padding", 0),
]


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(("name", "key"), NUMBERS)
@pytest.mark.parametrize("value", ["0.1", None, True, 1j, (0.1,), np.array(0.1), {}])
def test_what_is_no_number_is_a_type_error(name, key, value):
    message = f"{name}_forward: {key} must be a number, got {value!r}"
    refused(forward(name), FORWARD[name] | {key: value}, TypeError, message)


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(
    ("name", "key"), [pair for pair in NUMBERS if pair[1] not in ("value", "threshold", "p", "delta")]
)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 10**400])
def test_a_number_that_is_not_finite_is_a_value_error(name, key, value):
    refused(
        forward(name), FORWARD[name] | {key: value}, ValueError, f"{name}_forward: {key} must be finite, got {value!r}"
    )


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(
    ("name", "key", "value", "rule"),
    [
        *((name, "eps", -1e-5, "must be at least 0") for name in FORWARD if "norm" in name),
        *((name, "momentum", 1.5, "must be between 0 and 1") for name in FORWARD if "batch_norm" in name),
        *(("cross_entropy", "label_smoothing", value, "must be in [0, 1]") for value in (-0.1, 1.5)),
        *(("dropout", "p", value, "must be in [0, 1)") for value in (-0.1, 1, 1.0, np.nan, np.inf)),
        *(("huber", "delta", value, "must be above 0") for value in (-1, 0, np.nan)),
        *(("softplus", "beta", value, "must be above 0") for value in (-1, 0.0)),
        *(
            (name, "reduction", value, "must be 'mean', 'sum' or 'none'")
            for name in LOSSES
            for value in ("avg", None, 3)
        ),
        *(("gelu", "approximate", value, "must be 'none' or 'tanh'") for value in ("erf", None, 1)),
        *(("upsample", "mode", value, "must be 'nearest'") for value in ("bilinear", None)),
        *(("pad", "mode", value, "must be one of constant, reflect, replicate") for value in ("circular", None, ["x"])),
        *(
            (name, "algorithm", value, f"must be one of {', '.join(ALGORITHMS)}")
            for name in FORWARD
            if "algorithm" in FORWARD[name]
            for value in ("fft", None, 1)
        ),
    ],
)
def test_a_setting_out_of_range_is_a_value_error(name, key, value, rule):
    refused(forward(name), FORWARD[name] | {key: value}, ValueError, f"{name}_forward: {key} {rule}, got {value!r}")


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(("function", "arguments", "key"), SWITCHES, ids=lambda part: getattr(part, "__name__", ""))
def test_a_switch_is_true_or_false(function, arguments, key):
    for value in ("False", "", 0, 1, None, 1.0, [True], np.array([True, False])):
        message = f"{function.__name__}: {key} must be True or False, got {value!r}"
        refused(function, arguments | {key: value}, TypeError, message)
    function(**arguments | {key: np.bool_(arguments[key])})


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(("name", "key", "minimum"), PAIRS)
def test_a_pair_of_sizes(name, key, minimum):
    for value in ("3", 1.0, True, (), (1,), (1, 2, 3), (1, 2.0), (1, True), -1, (1, -1), {1, 2}, np.array([1, 2])):
        message = f"{name}_forward: {key} must be an int >= {minimum} or a pair of them, got {value!r}"
        refused(forward(name), FORWARD[name] | {key: value}, ShapeError, message)


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize("name", [name for name in FORWARD if {"padding", "pads"} & set(FORWARD[name])])
def test_padding(name):
    key = "pads" if name == "pad" else "padding"
    words = "" if name in ("pad", "conv_transpose") else ", 'same' or 'valid'"
    forms = (
        "a pair (PH, PW), ((top, bottom), (left, right))"
        if words
        else "a pair (PH, PW) or ((top, bottom), (left, right))"
    )
    for value in (
        "full",
        None,
        1.0,
        True,
        -1,
        (1,),
        (1, 2, 3),
        (1, -1),
        (1, 1.5),
        ((1, 2), 3),
        ((1, 2), (3, -4)),
        [[1], [2]],
    ):
        message = f"{name}_forward: {key} must be an int >= 0, {forms}{words}, got {value!r}"
        refused(forward(name), FORWARD[name] | {key: value}, ShapeError, message)


X, W = FORWARD["conv"]["x"], FORWARD["conv"]["weight"]
XW = "got x (3, 4, 6, 5), weight"


@pytest.mark.fault("bad-geometry")
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("conv", {"x": X[0]}, "x must have 4 axes (N, C, H, W), got shape (4, 6, 5)"),
        ("conv", {"weight": W[0]}, "weight must have 4 axes (F, C/G, KH, KW), got shape (2, 3, 3)"),
        ("conv", {"bias": np.ones(5)}, "bias must have shape (6,), got (5,)"),
        ("conv", {"groups": 1}, f"x has C=4 channels but weight expects 2; {XW} (6, 2, 3, 3)"),
        ("conv", {"groups": 4}, f"groups=4 must divide C=4 and F=6; {XW} (6, 2, 3, 3)"),
        *(("conv", {"groups": g}, f"groups must be an int >= 1, got {g!r}") for g in (0, -1, 2.0, True, None, (2, 2))),
        (
            "conv",
            {"weight": np.ones((0, 2, 3, 3)), "bias": None},
            f"at least one channel and one filter are needed; {XW} (0, 2, 3, 3)",
        ),
        (
            "conv",
            {"padding": 0, "dilation": 3},
            "the kernel does not fit: height 6 padded by 0 and 0 is 6, but kernel 3 with dilation 3 reaches over 7",
        ),
        ("conv", {"x": X[:, :, :0]}, "an image must have at least one row and one column, got (H, W) = (0, 5)"),
        (
            "max_pool",
            {"padding": 3},
            "padding must be smaller than the kernel's reach, got 3 for kernel 3 with dilation 1, which reaches over 3",
        ),
        (
            "avg_pool",
            {"padding": (1, 2)},
            "padding must be smaller than the kernel's reach, got 2 for kernel 2 with dilation 1, which reaches over 2",
        ),
        (
            "conv_transpose",
            {"output_padding": 3},
            "output_padding must be smaller than stride or dilation, got 3 for stride 2 and dilation 1",
        ),
        ("conv_transpose", {"groups": 3}, "groups=3 must divide C=4; got x (3, 4, 6, 5), weight (4, 3, 3, 2)"),
        ("batch_norm", {"running_var": np.ones(3)}, "running_var must have shape (4,), got (3,)"),
        ("group_norm", {"num_groups": 3}, None),
        ("layer_norm", {"normalized_shape": (6, 4)}, "x must end in normalized_shape (6, 4), got x (3, 4, 6, 5)"),
        ("linear", {"weight": np.ones((2, 5))}, "x must have shape (..., 5) for weight (2, 5), got (3, 4)"),
        ("bias_relu", {"bias": np.ones(3)}, "bias must have shape (4,), got (3,)"),
        ("add_relu", {"b": np.ones((3, 4))}, "b must have shape (3, 4, 6, 5), got (3, 4)"),
        ("prelu", {"slope": np.ones(3)}, "slope must have shape (1,) or (4,) for x (3, 4, 6, 5), got (3,)"),
        ("softmax", {"axis": 2}, "axis must be in [-2, 2) for x (3, 4), got 2"),
        ("adaptive_avg_pool", {"output_size": 0}, "output_size must be an int >= 1, None or a pair of them, got 0"),
        (
            "pad",
            {"mode": "reflect", "pads": 6},
            "pads must be smaller than the image to reflect it, got (6, 6) for height 6",
        ),
        (
            "cross_entropy",
            {"targets": np.ones((4, 1), int)},
            "targets must have shape (4,) (class indices) or (4, 3) (probabilities), got (4, 1)",
        ),
        ("mse", {"target": np.ones(4)}, "target must have shape (4, 3), got (4,)"),
    ],
)
def test_sizes_that_do_not_fit_together_are_a_shape_error(name, change, message):
    with pytest.raises(ShapeError, match=rf"^{name}_forward: ") as caught:
        forward(name)(**FORWARD[name] | change)
    if message is not None:
        assert str(caught.value) == f"{name}_forward: {message}"


@pytest.mark.fault("wrong-labels")
@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ([0, 3, 1, 0], IndexError, "targets[1] is 3, neither in [0, 3) nor ignore_index=-100"),
        ([0, 2, 1, -1], IndexError, "targets[3] is -1, neither in [0, 3) nor ignore_index=-100"),
        ([0, 2, 1, 2**62], IndexError, f"targets[3] is {2**62}, neither in [0, 3) nor ignore_index=-100"),
        ([0.0, 2.0, 1.0, 0.0], TypeError, "targets of shape (4,) are class indices and must be integers, got float64"),
        ([True] * 4, TypeError, "targets of shape (4,) are class indices and must be integers, got bool"),
        (["a"] * 4, TypeError, "targets of shape (4,) are class indices and must be integers, got <U1"),
    ],
)
def test_labels_that_are_none(targets, error, message):
    arguments = FORWARD["cross_entropy"] | {"targets": np.array(targets)}
    refused(ops.cross_entropy_forward, arguments, error, f"cross_entropy_forward: {message}")


@pytest.mark.fault("wrong-labels")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"targets": [0, 1, 2, 0]}, TypeError, "targets must be a NumPy array, got list"),
        (
            {"targets": np.ma.masked_array([0, 1, 2, 0])},
            TypeError,
            "targets is a masked array, and masks are not looked at; fill it, as in targets.filled(0)",
        ),
        (
            {"targets": np.ones((4, 3), int)},
            TypeError,
            "targets of the logits' shape (4, 3) are probabilities and must be floats, got int64",
        ),
        (
            {"class_weights": [1.0, 1.0, 1.0]},
            TypeError,
            "class_weights must be a NumPy array of real numbers, got list",
        ),
        (
            {"class_weights": np.ones(3, complex)},
            TypeError,
            "class_weights must be a NumPy array of real numbers, got complex128",
        ),
        ({"class_weights": np.ones(4)}, ShapeError, "class_weights must have shape (3,), got (4,)"),
        (
            {"class_weights": np.array([1.0, -0.5, 1.0])},
            ValueError,
            "class_weights must be finite and >= 0, got -0.5 for class 1",
        ),
        (
            {"class_weights": np.array([1.0, 0.5, np.nan])},
            ValueError,
            "class_weights must be finite and >= 0, got nan for class 2",
        ),
        (
            {"class_weights": np.array([np.inf, 0.5, 1.0])},
            ValueError,
            "class_weights must be finite and >= 0, got inf for class 0",
        ),
        *(
            ({"ignore_index": i}, TypeError, f"ignore_index must be an int, got {i!r}")
            for i in (None, 1.0, "1", True, [1, 2])
        ),
    ],
)
def test_what_cross_entropy_is_told_about_classes(change, error, message):
    refused(ops.cross_entropy_forward, FORWARD["cross_entropy"] | change, error, f"cross_entropy_forward: {message}")


@pytest.mark.parametrize("name", [name for name in FORWARD if "batch_norm" in name])
@pytest.mark.parametrize("group", [1, "shards", np.ones(3), object])
def test_a_group_adds_up(name, group):
    message = f"{name}_forward: group must be None or add up over shards, got {group!r}"
    refused(forward(name), FORWARD[name] | {"group": group}, TypeError, message)


@pytest.mark.parametrize("rng", [None, 0, "0", np.random])
def test_dropout_draws_from_a_generator(rng):
    message = f"dropout_forward: rng must be a numpy.random.Generator where train is True and p > 0, got {rng!r}"
    refused(ops.dropout_forward, FORWARD["dropout"] | {"rng": rng}, TypeError, message)


def test_dropout_knows_the_shape_and_dtype_where_nothing_was_dropped():
    _, cache = ops.dropout_forward(np.ones((2, 3)), p=0.0, train=True, rng=None)
    with pytest.raises(ShapeError, match=r"^dropout_backward: dy must have shape \(2, 3\), got \(3,\)$"):
        ops.dropout_backward(np.ones(3), cache)
    with pytest.raises(TypeError, match=r"^dropout_backward: dy has dtype float32 but the forward pass ran in float64"):
        ops.dropout_backward(np.ones((2, 3), np.float32), cache)


# --- the other functions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        ("im2col", {"x": [[1.0]]}, TypeError, "x must be a NumPy array, got list"),
        ("im2col", {"x": np.ones(3)}, ShapeError, "x must have 4 axes (N, C, H, W), got shape (3,)"),
        *(
            ("im2col", {"x": X.astype(t)}, TypeError, f"x must be an array of numbers, got {X.astype(t).dtype}")
            for t in ("O", "U3")
        ),
        ("col2im", {"cols": np.ones((3, 16, 35), bool)}, TypeError, "cols must be an array of numbers, got bool"),
        ("col2im", {"cols": np.ones((3, 16, 34))}, ShapeError, "cols must have shape (3, 16, 35), got (3, 16, 34)"),
        *(
            ("col2im", {"input_shape": s}, ShapeError, f"input_shape must be (N, C, H, W), got {s!r}")
            for s in (None, 3, (3, 4, 6), (3, 4, 6, -8), (3, 4, 6, 8.0), (3, 4, 6, True), "abcd")
        ),
        *(
            (
                "conv_geometry",
                {"input_size": s},
                ShapeError,
                f"input_size must be an int >= 1 or a pair of them, got {s!r}",
            )
            for s in (None, "ab", (6,), (6, 5, 4), (6.0, 5), -1)
        ),
        ("conv_geometry", {"ceil_mode": "no"}, TypeError, "ceil_mode must be True or False, got 'no'"),
        *(
            (
                "conv_output_size",
                {key: value},
                ShapeError,
                f"{key} must be an int >= {int(key != 'padding')}, got {value!r}",
            )
            for key in ("size", "kernel_size", "stride", "padding", "dilation")
            for value in (-1, 1.0, None, "3", True, (1, 1))
        ),
        ("is_hwnc", {"x": [1]}, TypeError, "x must be a NumPy array, got list"),
        ("to_hwnc", {"x": np.ones(3)}, ShapeError, "x must have 4 axes (N, C, H, W), got shape (3,)"),
        ("max_pool_indices", {"cache": None}, TypeError, "cache must come from max_pool_forward, got NoneType"),
        *(
            (f"initialize_{what}", {"dtype": d}, TypeError, f"dtype must be a dtype of floats, got {d!r}")
            for what in ("filters", "bias")
            for d in ("i4", "nonsense", None, 3)
        ),
        *(
            ("initialize_filters", {k: 0}, ShapeError, f"{k} must be an int >= 1, got 0")
            for k in ("F", "C", "FH", "FW")
        ),
        *(
            (
                "initialize_filters",
                {"rng": r},
                ValueError,
                f"rng must be None, a NumPy Generator or an integer >= 0, got {r!r}",
            )
            for r in (-1, 1.5, "0", True)
        ),
    ],
)
def test_other_functions(name, change, error, message):
    if name == "max_pool_indices":
        message = "max_pool_indices: " + message
    refused(
        getattr(ops, name), OTHERS[name] | change, error, message if message.startswith(name) else f"{name}: {message}"
    )


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("absurd-memory")
@pytest.mark.parametrize(
    ("name", "change", "shape"),
    [
        ("conv_forward", {"padding": HUGE[0]}, None),
        ("conv_batch_norm_relu_forward", {"padding": HUGE[1]}, None),
        ("conv_transpose_forward", {"stride": HUGE[0]}, None),
        ("pad_forward", {"pads": (HUGE[0], 0)}, (3, 4, 2 * HUGE[0] + 6, 5)),
        ("upsample_forward", {"scale_factor": (1, HUGE[1])}, (3, 4, 6, 5 * HUGE[1])),
        ("im2col", {"padding": HUGE[0]}, None),
        (
            "im2col",
            {"x": np.broadcast_to(np.float64(1), (10**5, 1000, 1000, 1000)), "kernel_size": 9},
            (10**5, 1000, 9, 9, 992, 992),
        ),
        (
            "col2im",
            {"cols": np.broadcast_to(1.0, (1, 1, 10**12)), "input_shape": (1, 1, 10**6, 10**6), "kernel_size": 1},
            (1, 1, 10**6, 10**6),
        ),
        ("initialize_filters", {"F": 10**6, "C": 10**6}, (10**6, 10**6, 3, 4)),
        ("initialize_bias", {"F": HUGE[0] * 100}, (HUGE[0] * 100,)),
    ],
)
def test_what_does_not_fit_into_memory_is_refused_before_it_is_asked_for(name, change, shape, monkeypatch):
    monkeypatch.setattr(checks, "total_memory", lambda: 1 << 42)
    arguments = (OTHERS[name] if name in OTHERS else FORWARD[name.removesuffix("_forward")]) | change
    with pytest.raises(LimitError) as caught:
        getattr(ops, name)(**arguments)
    there = r"(\d+|\([\d, ]+\))" if shape is None else re.escape(str(shape))
    told = (
        rf"{name}: (col2im: )?an array of shape {there} would take [\d.e+]+ GiB; there are 4096\.0 GiB of memory in all"
    )
    assert re.fullmatch(told, str(caught.value)), str(caught.value)


@pytest.mark.fault("absurd-memory")
@pytest.mark.parametrize("store", [False, True], ids=["plain", "recycled"])
def test_what_the_system_does_not_give_is_a_memory_error_with_the_name(store, monkeypatch):
    monkeypatch.setattr(checks, "total_memory", lambda: 1 << 80)  # so that the system is asked
    arguments = FORWARD["upsample"] | {"scale_factor": 1 << 22}
    with (
        memory.recycled() if store else nullcontext() as kept,
        pytest.raises(MemoryError, match=r"^upsample_forward: "),
    ):
        ops.upsample_forward(**arguments)
    if store:
        assert kept.used == kept.reserved == 0


def test_a_machine_has_memory_and_a_container_less(tmp_path, monkeypatch):
    checks.total_memory.cache_clear()
    whole = checks.total_memory()
    assert whole >= 1 << 28
    limit = tmp_path / "memory.max"
    for text, wanted in (("1048576\n", 1 << 20), ("max\n", None), (f"{whole * 2}\n", None)):
        limit.write_text(text)
        monkeypatch.setattr(checks, "CGROUPS", (str(limit), str(tmp_path / "missing")))
        checks.total_memory.cache_clear()
        assert checks.total_memory() == wanted if wanted else checks.total_memory() >= whole
    checks.total_memory.cache_clear()


def test_a_stride_far_beyond_the_image_costs_nothing():
    for name in ("conv", "avg_pool", "max_pool"):
        for stride in HUGE:
            y, cache = run(name, FORWARD[name] | {"stride": stride})
            assert y.shape[2:] == (1, 1)
            wanted, other = run(name, FORWARD[name] | {"stride": 100})
            np.testing.assert_array_equal(y, wanted)
            dy = np.ones_like(y)
            assert_same(_all(backward(name)(dy, cache))[0], _all(backward(name)(dy, other))[0])


# --- anything at all ------------------------------------------------------------------------------------------------


def call(name: str) -> Any:
    """NAME_forward, but dropout draws the same numbers every time."""

    def called(**arguments: Any) -> Any:
        return run(name, arguments)

    return called


@pytest.mark.fault("bad-settings", "bad-geometry", "wrong-dtype", "absurd-memory")
@pytest.mark.parametrize("name", [*FORWARD, *(name for name in OTHERS if name != "is_hwnc")])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_passed_is_refused_by_name_or_computed_right(name, data):
    arguments = {k: frozen(v)[0] if type(v) is Array else v for k, v in (FORWARD.get(name) or OTHERS[name]).items()}
    keys = [key for key in arguments if key != "function"]
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=2, unique=True)):
        value = arguments[key]
        arguments[key] = data.draw(
            arrays_of_all_kinds(value) if type(value) is Array else settings_of_all_kinds, label=key
        )
    if name in OTHERS:
        random = name == "initialize_filters" and arguments["rng"] is None
        assert_refused_or_right(name, getattr(ops, name), arguments | ({"rng": 0} if random else {}))
    else:
        with np.errstate(all="ignore"):
            assert_refused_or_right(f"{name}_forward", call(name), arguments)


@pytest.mark.parametrize("name", FORWARD)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_arrives_from_above_is_refused_by_name_or_computed_right(name, data):
    y, cache = run(name, op_calls.FORWARD[name])
    arguments = backward_arguments(name, y, cache)
    for key in data.draw(st.lists(st.sampled_from(list(arguments)), min_size=1, max_size=2, unique=True)):
        strategy = arrays_of_all_kinds(y) if key == "dy" else settings_of_all_kinds
        arguments[key] = data.draw(strategy, label=key)
    with np.errstate(all="ignore"):
        assert_refused_or_right(f"{name}_backward", backward(name), arguments)
