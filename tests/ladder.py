"""What the tests of every operation share: the rungs of the ladder that each of them climbs."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from cnn_from_scratch.ops import to_hwnc
from cnn_from_scratch.ops.memory import recycled

Array = np.ndarray
REPOSITORY = Path(__file__).resolve().parent.parent
CONFORMANCE = REPOSITORY.parent / "shared" / "conformance"
REAL_DATA = REPOSITORY.parent / "shared" / "data"


# --- reference vectors ----------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """One reference case: what went in, what PyTorch answered."""

    key: str
    op: str
    attrs: dict[str, Any]
    arrays: dict[str, Array]
    note: str

    def __getitem__(self, name: Any) -> Any:
        return self.arrays[name]

    def get(self, name: str) -> Array | None:
        return self.arrays.get(name)

    def float32(self) -> Case:
        """The same case with every float64 array rounded to float32."""
        cast = {k: v.astype(np.float32) if v.dtype == np.float64 else v for k, v in self.arrays.items()}
        return self._replace(arrays=cast)


def conformance(file: str, *ops: str) -> list[Any]:
    """The cases of one file of reference vectors as pytest parameters; one skipped parameter where they are absent."""
    path = CONFORMANCE / "torch_vectors" / f"{file}.npz"
    if not path.exists():
        reason = "the reference vectors are not part of the repository"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id=f"{file}-absent")]
    with np.load(path, allow_pickle=False) as z:
        meta = json.loads(z["meta"].tobytes())
        found = [
            Case(c["key"], c["op"], c["attrs"], {n: z[f"{c['key']}/{n}"] for n in c["arrays"]}, c.get("note") or "")
            for c in meta["cases"]
            if not ops or c["op"] in ops
        ]
    assert found, f"{path} holds no case of {ops}"
    return [pytest.param(case, id=f"{file}-{case.key}-{case.op}") for case in found]


def assert_forward(actual: Array, expected: Array, case: Case | None = None) -> None:
    """Within the tolerance that the reference vectors ask of a forward pass, by the dtype of `actual`."""
    _assert_near(actual, expected, 1e-10, 1e-12, case)


def assert_gradient(actual: Array, expected: Array, case: Case | None = None) -> None:
    """Within the tolerance that the reference vectors ask of a gradient, by the dtype of `actual`."""
    _assert_near(actual, expected, 1e-9, 1e-11, case)


def _assert_near(actual: Array, expected: Array, rtol: float, atol: float, case: Case | None) -> None:
    actual = np.asarray(actual)
    assert actual.shape == expected.shape
    if case is not None and "mean 1e6" in case.note:
        rtol = 1e-6
    if actual.dtype == np.float32:
        largest = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
        rtol, atol = 1e-4, 1e-5 * max(largest, 1e-30)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


# --- gradients by finite differences --------------------------------------------------------------------------------


def assert_gradients_match(
    forward: Callable[..., Array],
    inputs: dict[str, Array],
    gradients: dict[str, Array],
    dy: Array,
    *,
    step: float = 1e-6,
    rtol: float = 1e-6,
    directions: int = 3,
) -> None:
    """<dinput, v> = d/dt sum(forward(input + t*v) * dy) at t = 0, along random directions v, in float64.

    `forward` takes the inputs by name and returns y alone. Choose inputs that keep away from kinks and ties.
    """
    rng = np.random.default_rng(20240601)
    for name, value in inputs.items():
        assert value.dtype == np.float64, f"{name} must be float64 for a gradient check"
        if name not in gradients:
            continue
        assert gradients[name].shape == value.shape, name
        for _ in range(directions):
            v = rng.standard_normal(value.shape)
            above = np.sum(forward(**{**inputs, name: value + step * v}) * dy)
            below = np.sum(forward(**{**inputs, name: value - step * v}) * dy)
            numeric, analytic = (above - below) / (2 * step), np.sum(gradients[name] * v)
            scale = max(abs(numeric), float(np.sum(np.abs(gradients[name] * v))), 1e-8)
            assert abs(numeric - analytic) <= rtol * scale, f"d{name}: analytic {analytic}, numeric {numeric}"


def spaced(shape: tuple[int, ...], rng: np.random.Generator, gap: float = 0.1) -> Array:
    """Distinct values, `gap` apart and never zero, in random order: no ReLU kink, no tie in a maximum."""
    count = int(np.prod(shape))
    values = (np.arange(count) - count // 2 + 0.5) * gap
    return rng.permutation(values).reshape(shape)


# --- the same numbers, lying differently ----------------------------------------------------------------------------


def layouts(x: Array) -> Iterator[tuple[str, Array]]:
    """The same values read-only, with gaps, with negative strides, byte-swapped and, if 4-d, as (H, W, N, C)."""
    frozen = x.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, x.dtype) if x.ndim else x
    gaps = wide[..., ::2]
    gaps[...] = x
    yield "non-contiguous", gaps
    reverse = (slice(None, None, -1),) * x.ndim
    yield "negative strides", x[reverse].copy()[reverse]
    yield "byte-swapped", x.astype(x.dtype.newbyteorder())
    if x.ndim == 4:
        yield "H, W, N, C", to_hwnc(x)


def frozen(*arrays: Array | None) -> tuple[Array | None, ...]:
    """Read-only copies: whoever writes into them raises."""
    copies = tuple(None if a is None else a.copy() for a in arrays)
    for copy in copies:
        if copy is not None:
            copy.flags.writeable = False
    return copies


# --- memory ---------------------------------------------------------------------------------------------------------


def assert_recycles(run: Callable[[], object], nbytes: float) -> None:
    """In the steady state `run` takes its large arrays from the store: less than `nbytes` comes from anywhere else.

    NumPy reports its own allocations to tracemalloc, and a store's memory is not among them; and of that
    as much must be in use after the third run as before. Choose arrays of 1 MiB or so: below 64 KiB none is recycled.
    """
    with recycled() as store:
        for _ in range(2):
            run()
        before = store.used, store.reserved
        tracemalloc.start()
        try:
            run()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < nbytes, f"{peak} bytes were allocated outside of the store, allowed are {nbytes:.0f}"
    after = store.used, store.reserved
    assert after == before, f"(used, reserved) bytes of the store were {before} before the third run, {after} after it"
