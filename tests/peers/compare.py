"""What the comparisons with PyTorch share: the same numbers go to both, and outputs and gradients must agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnn_from_scratch import ops

torch = pytest.importorskip("torch", reason="PyTorch is an optional peer: pip install '.[peers]'")

torch.set_num_threads(1)  # ten times as fast on arrays of this size
Array = np.ndarray
DTYPES = (np.float64, np.float32)


def assert_same_op(
    op: str,
    peer: Callable[..., Any],
    inputs: dict[str, Array | None],
    dtype: Any,
    *,
    scale: float = 0.0,
    **options: Any,
) -> tuple[Array, Any, Any]:
    """Output and every gradient of `op` equal those of `peer`, a function of as many tensors as there are inputs.

    Returns our output, our cache and PyTorch's output, for what else there is to compare.
    """
    given = {name: None if a is None else a.astype(dtype) for name, a in inputs.items()}
    tensors = {name: None if a is None else as_tensor(a) for name, a in given.items()}
    y, cache = getattr(ops, f"{op}_forward")(*given.values(), **options)
    expected = peer(*tensors.values())
    assert_near(y, expected, "y", scale=scale)

    dy = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    gradients = getattr(ops, f"{op}_backward")(dy, cache)
    gradients = gradients if type(gradients) is tuple else (gradients,)
    assert len(gradients) == len(given)
    wanted = [tensor for tensor in tensors.values() if tensor is not None]
    answers = iter(torch.autograd.grad(expected, wanted, torch.from_numpy(dy)))
    for gradient, (name, tensor) in zip(gradients, tensors.items(), strict=True):
        if tensor is None:
            assert gradient is None
        else:
            assert_near(gradient, next(answers), f"d{name}", scale=scale)
    return y, cache, expected


def as_tensor(array: Array) -> Any:
    """A tensor with a copy of the numbers, which asks for its gradient if they are floats."""
    return torch.tensor(array, requires_grad=array.dtype.kind == "f")


def assert_near(actual: Any, expected: Any, what: str = "", *, scale: float = 0.0) -> None:
    """Equal but for rounding: 1e-9 of each number in float64, 1e-4 in float32, and far less of the largest one.

    `scale` stands for the largest number where the summands were larger than their sum.
    """
    actual, expected = np.asarray(actual), expected.detach().numpy()
    assert actual.shape == expected.shape, what
    assert actual.dtype == expected.dtype, what
    largest = float(np.max(np.abs(expected), initial=scale, where=np.isfinite(expected)))
    rtol, of_largest = (1e-4, 1e-5) if actual.dtype == np.float32 else (1e-9, 1e-12)
    atol = max(of_largest * largest, float(np.finfo(actual.dtype).tiny))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, err_msg=what)


def assert_same_distribution(ours: Array, theirs: Array) -> None:
    """Two samples are so alike that chance alone would part them further in one case of a thousand.

    Kolmogorov, Smirnov: the largest distance between the two shares of numbers below x, for any x.
    """
    both = np.sort(np.concatenate([ours.ravel(), theirs.ravel()]))
    below = [np.searchsorted(np.sort(sample.ravel()), both, side="right") / sample.size for sample in (ours, theirs)]
    assert np.max(np.abs(below[0] - below[1])) < 1.95 * np.sqrt(1 / ours.size + 1 / theirs.size)
