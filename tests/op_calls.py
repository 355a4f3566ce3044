"""One call of every public operation that is right, for tests that change one thing about it and see what comes."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from cnn_from_scratch import ops

Array = np.ndarray
LOSSES = ("binary_cross_entropy", "cross_entropy", "huber", "l1", "mse")


def _numbers(*shape: int, above: float | None = None) -> Array:
    values = np.random.default_rng(sum(shape)).standard_normal(shape)
    return values if above is None else np.abs(values) + above


def _norm(C: int) -> dict[str, Any]:
    return {"running_mean": _numbers(C), "running_var": _numbers(C, above=0.5), "train": True}


IMAGES = _numbers(3, 4, 6, 5)
FILTERS = {"weight": _numbers(6, 2, 3, 3), "bias": _numbers(6), "padding": (1, 2), "groups": 2}
BATCH_NORM = {"weight": _numbers(4), "bias": _numbers(4), **_norm(4), "momentum": 0.1, "eps": 1e-5, "group": None}
CONV_NORM = {
    "weight": _numbers(6, 4, 3, 3),
    "bias": _numbers(6),
    "bn_weight": _numbers(6),
    "bn_bias": _numbers(6),
    **_norm(6),
    "momentum": 0.1,
    "eps": 1e-5,
    "group": None,
    "stride": 1,
    "padding": 1,
    "dilation": 1,
    "groups": 1,
    "algorithm": "auto",
}
REGRESSION = {"prediction": _numbers(4, 3), "target": _numbers(4, 3) + 1, "reduction": "mean"}

FORWARD: dict[str, dict[str, Any]] = {
    "adaptive_avg_pool": {"x": IMAGES, "output_size": (2, 3)},
    "adaptive_max_pool": {"x": IMAGES, "output_size": (2, 3)},
    "add_relu": {"a": IMAGES, "b": IMAGES[::-1].copy()},
    "avg_pool": {
        "x": IMAGES,
        "kernel_size": (3, 2),
        "stride": 2,
        "padding": 1,
        "ceil_mode": False,
        "count_include_pad": True,
    },
    "batch_norm": {"x": IMAGES, **BATCH_NORM},
    "batch_norm_relu": {"x": IMAGES, **BATCH_NORM},
    "bias_relu": {"x": IMAGES, "bias": _numbers(4)},
    "binary_cross_entropy": REGRESSION | {"target": _numbers(4, 3) > 0},
    "conv": {"x": IMAGES, **FILTERS, "stride": (2, 1), "dilation": 1, "algorithm": "auto"},
    "conv_batch_norm": {"x": IMAGES, **CONV_NORM},
    "conv_batch_norm_relu": {"x": IMAGES, **CONV_NORM},
    "conv_batch_norm_relu_pool": {"x": IMAGES, **CONV_NORM},
    "conv_transpose": {
        "x": IMAGES,
        "weight": _numbers(4, 3, 3, 2),
        "bias": _numbers(6),
        "stride": (2, 3),
        "padding": 1,
        "output_padding": 1,
        "dilation": 1,
        "groups": 2,
    },
    "cross_entropy": {
        "logits": _numbers(4, 3),
        "targets": np.array([0, 2, 1, 0]),
        "reduction": "mean",
        "label_smoothing": 0.1,
        "ignore_index": -100,
        "class_weights": _numbers(3, above=0.1),
    },
    "dropout": {"x": IMAGES, "p": 0.5, "train": True, "rng": np.random.default_rng(0)},
    "elu": {"x": IMAGES, "alpha": 1.0},
    "gelu": {"x": IMAGES, "approximate": "none"},
    "global_avg_pool": {"x": IMAGES},
    "global_max_pool": {"x": IMAGES},
    "group_norm": {"x": IMAGES, "weight": _numbers(4), "bias": _numbers(4), "num_groups": 2, "eps": 1e-5},
    "huber": REGRESSION | {"delta": 0.5},
    "l1": REGRESSION,
    "layer_norm": {
        "x": IMAGES,
        "weight": _numbers(4, 6, 5),
        "bias": _numbers(4, 6, 5),
        "normalized_shape": (4, 6, 5),
        "eps": 1e-5,
    },
    "leaky_relu": {"x": IMAGES, "negative_slope": 0.01},
    "linear": {"x": _numbers(3, 4), "weight": _numbers(2, 4), "bias": _numbers(2)},
    "log_softmax": {"x": _numbers(3, 4), "axis": -1},
    "max_pool": {
        "x": IMAGES,
        "kernel_size": (3, 2),
        "stride": 2,
        "padding": 1,
        "dilation": 1,
        "ceil_mode": False,
        "train": True,
    },
    "mse": REGRESSION,
    "pad": {"x": IMAGES, "pads": ((1, 2), (0, 1)), "mode": "constant", "value": 0.5},
    "prelu": {"x": IMAGES, "slope": _numbers(4)},
    "relu": {"x": IMAGES},
    "relu6": {"x": IMAGES * 5},
    "sigmoid": {"x": IMAGES},
    "silu": {"x": IMAGES},
    "softmax": {"x": _numbers(3, 4), "axis": -1},
    "softplus": {"x": IMAGES, "beta": 1.0, "threshold": 20.0},
    "tanh": {"x": IMAGES},
    "upsample": {"x": IMAGES, "scale_factor": (2, 3), "mode": "nearest"},
}
"""The arguments of NAME_forward by name, every array of floats in float64."""

OTHERS: dict[str, dict[str, Any]] = {
    "col2im": {
        "cols": _numbers(3, 16, 35),
        "input_shape": (3, 4, 6, 8),
        "kernel_size": 2,
        "stride": 1,
        "padding": 0,
        "dilation": 1,
    },
    "conv_geometry": {
        "function": "conv_geometry",
        "input_size": (6, 5),
        "kernel_size": 3,
        "stride": 2,
        "padding": 1,
        "dilation": 1,
        "ceil_mode": False,
    },
    "conv_output_size": {
        "size": 6,
        "kernel_size": 3,
        "stride": 2,
        "padding": 1,
        "dilation": 1,
        "ceil_mode": False,
    },
    "erf": {"x": IMAGES},
    "im2col": {"x": IMAGES, "kernel_size": 2, "stride": 1, "padding": 0, "dilation": 1},
    "initialize_bias": {"F": 3, "dtype": np.float32},
    "initialize_filters": {"F": 3, "C": 2, "FH": 3, "FW": 4, "rng": 0, "dtype": np.float32},
    "is_hwnc": {"x": IMAGES},
    "max_pool_indices": {"cache": ops.max_pool_forward(IMAGES, 2)[1]},
    "to_hwnc": {"x": IMAGES},
}
"""The other public functions, all but print_shape, which prints anything."""


def forward(name: str) -> Any:
    return getattr(ops, f"{name}_forward")


def backward(name: str) -> Any:
    return getattr(ops, f"{name}_backward")


def in_float32(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same with every array of float64 rounded to float32."""
    return {
        k: v.astype(np.float32) if isinstance(v, Array) and v.dtype == np.float64 else v for k, v in arguments.items()
    }


def run(name: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """(y, cache) of NAME_forward; dropout always draws the same numbers."""
    if isinstance(arguments.get("rng"), np.random.Generator):
        arguments = arguments | {"rng": np.random.default_rng(0)}
    result: tuple[Any, Any] = forward(name)(**arguments)
    return result


def backward_arguments(name: str, y: Any, cache: Any) -> dict[str, Any]:
    """The arguments of NAME_backward by name."""
    if name in LOSSES:
        return {"cache": cache, "dloss": 1.0}
    options = {"need_dx": True} if "need_dx" in inspect.signature(backward(name)).parameters else {}
    return {"dy": np.ones_like(y), "cache": cache, **options}
