"""The convolution on trial: against its definition, against finite differences, against its adjoint, and at learning.

    python src/test_convolution.py        prints the shapes of one convolution and a table of checks
    pytest src/test_convolution.py        runs the same checks as tests

Nothing here trusts the code it checks: the definition is written out again, number by number, in `convolve_by_loops`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

if find_spec("cnn_from_scratch") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # not installed: the package lies beside this file

try:
    import numpy as np

    import cnn_from_scratch
    from cnn_from_scratch.ops import col2im, conv_backward, conv_forward, im2col, initialize_filters, print_shape
except ModuleNotFoundError as error:
    if __name__ != "__main__" or (error.name or "").startswith("cnn_from_scratch"):
        raise
    sys.exit(f"test_convolution.py needs {error.name}, which is not installed: pip install -r requirements.txt")

Array = Any
ALGORITHMS = ("loops", "im2col", "im2row")


class Case(NamedTuple):
    """How a filter slides. `sides` is what `padding` means: ((top, bottom), (left, right))."""

    stride: int | tuple[int, int] = 1
    padding: Any = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    kernel: tuple[int, int] = (3, 3)
    sides: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    def __str__(self) -> str:
        named = {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}
        unusual = [(name, value) for name, value in named.items() if value != self._field_defaults[name]]
        return ", ".join([_by(self.kernel), *(f"{name} {_by(value)}" for name, value in unusual)])

    @property
    def options(self) -> dict[str, Any]:
        """What an operation is told."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    @property
    def window(self) -> dict[str, Any]:
        """What im2col and col2im are told."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}


def _by(value: Any) -> str:
    """(2, 1) as 2x1, ((0, 2), (1, 0)) as 0+2 x 1+0"""
    if not isinstance(value, tuple):
        return str(value)
    first, second = value
    return f"{first}x{second}" if isinstance(first, int) else f"{first[0]}+{first[1]} x {second[0]}+{second[1]}"


CASES = [
    Case(),
    Case(kernel=(1, 1)),
    Case(padding=1, sides=((1, 1), (1, 1))),
    Case(stride=2),  # the last column of the image falls off
    Case(stride=(3, 2), padding=(2, 1), sides=((2, 2), (1, 1))),
    Case(kernel=(2, 4), padding="same", sides=((0, 1), (1, 2))),
    Case(kernel=(3, 2), padding=((0, 2), (1, 0)), sides=((0, 2), (1, 0))),
    Case(dilation=2),
    Case(dilation=(1, 2), stride=(1, 2), padding=2, sides=((2, 2), (2, 2))),
    Case(groups=2),
    Case(groups=4, stride=2, padding=1, sides=((1, 1), (1, 1))),  # one channel a filter: depthwise
]


class Example(NamedTuple):
    """Two images of 4 channels, 4 filters and their bias, in float64."""

    x: Array  # (2, 4, 7, 6)
    weight: Array  # (4, 4/G, KH, KW)
    bias: Array  # (4,)


def example(case: Case) -> Example:
    """The same random numbers every time."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 4 // case.groups, *case.kernel))
    return Example(rng.standard_normal((2, 4, 7, 6)), weight, rng.standard_normal(4))


# --- the definition -------------------------------------------------------------------------------------------------


def convolve_by_loops(x: Array, weight: Array, bias: Array, case: Case) -> Array:
    """y[n,f,oh,ow] = bias[f] + sum_{c,kh,kw} x[n, c, oh*SH + kh*DH - top, ow*SW + kw*DW - left] * weight[f,c,kh,kw]"""
    N, C, H, W = x.shape
    F, CG, KH, KW = weight.shape
    SH, SW = case.stride if isinstance(case.stride, tuple) else (case.stride, case.stride)
    DH, DW = case.dilation if isinstance(case.dilation, tuple) else (case.dilation, case.dilation)
    (top, bottom), (left, right) = case.sides
    OH = (top + H + bottom - DH * (KH - 1) - 1) // SH + 1
    OW = (left + W + right - DW * (KW - 1) - 1) // SW + 1
    y = np.zeros((N, F, OH, OW))
    for n, f, oh, ow in np.ndindex(N, F, OH, OW):
        y[n, f, oh, ow] = bias[f]
        first = f // (F // case.groups) * CG  # the first channel that filter f sees
        for c, kh, kw in np.ndindex(CG, KH, KW):
            h, w = oh * SH + kh * DH - top, ow * SW + kw * DW - left
            if 0 <= h < H and 0 <= w < W:  # outside of the image everything is zero
                y[n, f, oh, ow] += x[n, first + c, h, w] * weight[f, c, kh, kw]
    return y


def numeric_gradient(f: Callable[[Array], float], at: Array, step: float = 1e-4) -> Array:
    """df/d(at[i]) = (f(at + step*e_i) - f(at - step*e_i)) / (2*step), for every single number i"""
    gradient = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[i] += step
        below[i] -= step
        gradient[i] = (f(above) - f(below)) / (2 * step)
    return gradient


def distance(actual: Array, expected: Array) -> float:
    """The largest difference; infinite where shape or dtype differ."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return float("inf")
    return float(np.max(np.abs(actual - expected)))


# --- the checks: each returns the error it found --------------------------------------------------------------------


def forward_error(case: Case, algorithm: Any) -> float:
    """Against the loops above."""
    x, weight, bias = example(case)
    y, _ = conv_forward(x, weight, bias, **case.options, algorithm=algorithm)
    return distance(y, convolve_by_loops(x, weight, bias, case))


def gradient_error(case: Case, argument: str) -> float:
    """Against finite differences of sum(y * dy), with a random dy."""
    inputs = example(case)
    y, cache = conv_forward(*inputs, **case.options)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    gradient = dict(zip(Example._fields, conv_backward(dy, cache), strict=True))[argument]

    def total(value: Array) -> float:
        y, _ = conv_forward(*inputs._replace(**{argument: value}), **case.options)
        return float(np.sum(y * dy))

    return distance(gradient, numeric_gradient(total, getattr(inputs, argument)))


def adjoint_error(case: Case) -> float:
    """|<im2col(x), c> - <x, col2im(c)>|: col2im sends every number back to where im2col took it from."""
    x = example(case).x
    cols = im2col(x, case.kernel, **case.window)
    c = np.random.default_rng(1).standard_normal(cols.shape)
    back = col2im(c, x.shape, case.kernel, **case.window)
    return abs(float(np.sum(cols * c) - np.sum(x * back)))


def overlap_error(case: Case) -> float:
    """col2im(im2col(x)) = x times the number of windows that see each pixel: the adjoint, not the inverse."""
    x = example(case).x
    back = col2im(im2col(x, case.kernel, **case.window), x.shape, case.kernel, **case.window)
    return distance(back, x * windows_over(x.shape, case))


def windows_over(shape: tuple[int, ...], case: Case) -> Array:
    """How many windows see each pixel: d/dx of the sum of y, with one filter of ones, by the definition above."""
    ones = np.ones((1, 1, *case.kernel))
    pixels = np.eye(shape[2] * shape[3]).reshape(-1, 1, *shape[2:])  # one image for each pixel, white only there
    seen = convolve_by_loops(pixels, ones, np.zeros(1), case._replace(groups=1))
    return seen.sum((1, 2, 3)).reshape(shape[2:])  # (H, W)


def step_error(case: Case) -> float:
    """One small step down the gradient: how far the fall of the loss is from lr * |gradient|^2, as a share of it."""
    before, after, expected = update_filters(case, lr=1e-4, steps=1)
    return abs((before - after) / expected - 1)


def learning_error(case: Case) -> float:
    """What is left of the loss after 200 steps, as a share of what it was: the filters find those of the teacher."""
    before, after, _ = update_filters(case, lr=0.1, steps=200)
    return after / before


def update_filters(case: Case, *, lr: float, steps: int) -> tuple[float, float, float]:
    """Learn from a teacher with other filters: (loss before, loss after, lr * |first gradient|^2)"""
    x, weight, bias = example(case)
    target, _ = conv_forward(x, weight, bias, **case.options)
    weight = np.zeros_like(weight)
    losses, expected = [], 0.0
    for step in range(steps):
        y, cache = conv_forward(x, weight, bias, **case.options)
        losses.append(float(np.mean((y - target) ** 2)))
        _, dweight, _ = conv_backward(2 * (y - target) / y.size, cache, need_dx=False)
        weight = weight - lr * dweight
        expected = lr * float(np.sum(dweight**2)) if step == 0 else expected
    y, _ = conv_forward(x, weight, bias, **case.options)
    return losses[0], float(np.mean((y - target) ** 2)), expected


class Check(NamedTuple):
    """One kind of thing that must hold for every case: the error found must not exceed the limit."""

    name: str
    error: Callable[[Case], float]
    limit: float


CHECKS = [
    *(Check(algorithm, partial(forward_error, algorithm=algorithm), 1e-12) for algorithm in ALGORITHMS),
    *(Check(f"d{argument}", partial(gradient_error, argument=argument), 1e-8) for argument in Example._fields),
    Check("adjoint", adjoint_error, 1e-11),
    Check("overlaps", overlap_error, 1e-12),
    Check("one step", step_error, 1e-2),
    Check("learns", learning_error, 0.02),
]


def pytest_generate_tests(metafunc: Any) -> None:
    """Give pytest one test for each check of each case."""
    pairs = [(check, case) for check in CHECKS for case in CASES]
    metafunc.parametrize(("check", "case"), pairs, ids=[f"{check.name}: {case}" for check, case in pairs])


def test_convolution(check: Check, case: Case) -> None:
    """The error found is within its limit."""
    assert check.error(case) <= check.limit


# --- on the command line --------------------------------------------------------------------------------------------

LEGEND = """
loops, im2col, im2row   y by each algorithm, against the definition written out number by number
dx, dweight, dbias      gradients against finite differences, number by number
adjoint                 <im2col(x), c> = <x, col2im(c)>
overlaps                col2im(im2col(x)) = x times the number of windows that see each pixel
one step                a small step of the filters lowers the loss by lr * |gradient|^2, within 1 %
learns                  200 steps bring the filters to those of a teacher: less than 2 % of the loss is left
"""


def print_shapes() -> None:
    """One convolution, forward and backward, in shapes."""
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    weight, bias = initialize_filters(4, 3, 3, 3, rng=0), np.zeros(4, np.float32)
    y, cache = conv_forward(x, weight, bias, stride=2, padding=1)
    dx, dweight, dbias = conv_backward(y, cache)
    print("One convolution: 2 images of 3 channels, 4 filters of 3x3, stride 2, padding 1\n")
    print_shape("x", x, "N, C, H, W")
    print_shape("weight", weight, "F, C, KH, KW")
    print_shape("im2col(x)", im2col(x, 3, stride=2, padding=1), "N, C*KH*KW, OH*OW")
    print_shape("y", y, "N, F, OH, OW")
    print_shape("dx", dx, "as x")
    print_shape("dweight", dweight, "as weight")
    print_shape("dbias", dbias, "F")


def measure(check: Check, case: Case) -> tuple[float, str]:
    """The error found, and what is wrong with it: nothing, if it is within the limit. An exception is a failure."""
    try:
        error = check.error(case)
    except Exception as failure:
        return float("inf"), f"{type(failure).__name__}: {failure}"
    return error, "" if error <= check.limit else f"the error is {error:.1e}, more than {check.limit:.0e}"


def print_table() -> list[str]:
    """A row for each case, a column for each check; the failures, in words."""
    widths = [max(len(check.name), 6) + 1 for check in CHECKS]
    first = max(len(str(case)) for case in CASES)

    def row(name: str, cells: list[str]) -> str:
        return f"{name:<{first}}" + "".join(f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True))

    line = "-" * (first + sum(widths))
    print(row("case", [check.name for check in CHECKS]), line, sep="\n")
    failures, worst = [], [0.0] * len(CHECKS)
    for case in CASES:
        found = [measure(check, case) for check in CHECKS]
        print(row(str(case), ["FAILED" if wrong else "ok" for _, wrong in found]))
        failures += [f"{check.name}, {case}: {w}" for check, (_, w) in zip(CHECKS, found, strict=True) if w]
        worst = [max(w, error) for w, (error, _) in zip(worst, found, strict=True)]
    print(line, row("largest error", [f"{w:.0e}" for w in worst]), sep="\n")
    print(row("limit", [f"{check.limit:.0e}" for check in CHECKS]))
    return failures


def main() -> int:
    """Print shapes and checks; 0 if all is well, 1 otherwise."""
    print(f"{Path(cnn_from_scratch.__file__).parent}, NumPy {np.__version__}\n")
    print_shapes()
    print(LEGEND)
    failures = print_table()
    count = len(CHECKS) * len(CASES)
    print(f"\n{count - len(failures)} of {count} checks ok" + (f", {len(failures)} FAILED:" if failures else ""))
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
