"""The error function without SciPy: in float64 by W. J. Cody's rational approximations, in float32 by a tanh.

NumPy has no erf, and `math.erf` takes one number at a time. Both formulas below are whole-array arithmetic, worked off
in blocks that stay in the processor's cache. On one core of an AMD EPYC a number costs 17 ns in float64 and 2.4 ns in
float32, where `math.erf` costs 89.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array
from .dtypes import float_op
from .memory import empty_like

BLOCK = 32768
"""Numbers in one block: 256 KiB of float64, so that a block and its temporaries stay in the second-level cache."""

# Cody (1969), highest power first; the digits are those of CALERF in SPECFUN (netlib).
# fmt: off
NEAR = 0.46875
NEAR_TOP = (
    1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3,
)
NEAR_BOTTOM = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
FAR_TOP = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1, 2.98635138197400131e2,
    8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
)
FAR_BOTTOM = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
)
# fmt: on

# Ours: P(s) with P(x*x) near atanh(erf(x)) / x for 0 < x < 4, by Remez exchange in 50 digits, weighted to make the
# largest relative error of tanh(x * P(x*x)) smallest: 9.5e-8, below 4e-7 with float32's rounding. Highest power first.
ATANH_ERF = (1.4185208e-7, -5.6684728e-6, 8.7637308e-5, -6.1978461e-4, -1.9183085e-4, 1.0276906e-1, 1.1283793)


@float_op("x")
def erf(x: Array) -> Array:
    """2/sqrt(pi) * integral of exp(-t*t) over t from 0 to x

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    y : the same shape, dtype and memory order
        With a relative error below 1e-15 in float64 and below 5e-7 in float32. erf(+-inf) is +-1, erf(nan) is nan.

    References
    ----------
    Cody: Rational Chebyshev Approximations for the Error Function. Mathematics of Computation 23 (1969).

    Examples
    --------
    >>> erf(np.array([-np.inf, 0.0, 1.0])).round(6)
    array([-1.      ,  0.      ,  0.842701])
    """
    formula = _erf_float32 if x.dtype == np.float32 else _erf_float64
    y = empty_like(x)
    with np.nditer(
        [x, y],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"], ["writeonly"]],
        order="K",
        buffersize=BLOCK,
    ) as blocks:
        for given, wanted in blocks:
            wanted[...] = formula(given)
    return y


def _erf_float64(x: Array) -> Array:
    """Near zero x * R(x*x), else 1 - exp(-x*x) * S(|x|); R and S are quotients of polynomials."""
    size = np.minimum(np.abs(x), 6.0)  # erf(6) is 1 to the last bit
    square = size * size
    y: Array = np.exp(-square)
    y *= _quotient(FAR_TOP, FAR_BOTTOM, size)
    np.subtract(1.0, y, out=y)
    np.copysign(y, x, out=y)
    near = _quotient(NEAR_TOP, NEAR_BOTTOM, np.minimum(square, NEAR * NEAR))
    near *= x
    np.copyto(y, near, where=size <= NEAR)
    return y


def _erf_float32(x: Array) -> Array:
    """tanh(x * P(x*x)): erf and tanh have one shape, and what is between them is smooth."""
    x = np.clip(x, -5.0, 5.0)  # erf(4) rounds to 1, and there tanh must have reached it
    y = _polynomial(ATANH_ERF, x * x)
    y *= x
    np.tanh(y, out=y)
    return y


def _quotient(top: tuple[float, ...], bottom: tuple[float, ...], x: Array) -> Array:
    y = _polynomial(top, x)
    y /= _polynomial(bottom, x)
    return y


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule: ((c0 * x + c1) * x + c2) * x + ..."""
    y = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        y += coefficient
        y *= x
    y += coefficients[-1]
    return y
