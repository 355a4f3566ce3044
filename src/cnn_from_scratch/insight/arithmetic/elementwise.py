"""Activations that take each number by itself: the function, and its slope at that number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...layers import ELU, GELU, Layer, LeakyReLU, PReLU, ReLU, ReLU6, Sigmoid, SiLU, Softplus, Tanh
from .moving import same
from .rule import Index, Parts, Rule
from .terms import Place, at, grid, products, said_at

if TYPE_CHECKING:
    from ..trace import LayerTrace

Curve: TypeAlias = Callable[[Layer, float, float], tuple[dict[str, float], float, str]]
"""curve(layer, x, weight) -> factors whose product is y, the slope dy/dx, and the formula"""


# --- curves ----------------------------------------------------------------------------------------------------------


def _relu(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    passes = float(x > 0)
    return {"x": x, "passes": passes}, passes, "y = x where x > 0, else 0"


def _relu6(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    formula = "y = x where 0 < x < 6, else 0 below and 6 above"
    if x >= 6:
        return {"limit": 6.0}, 0.0, formula
    passes = float(x > 0)
    return {"x": x, "passes": passes}, passes, formula


def _leaky_relu(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    assert isinstance(layer, LeakyReLU)
    slope = 1.0 if x > 0 else layer.negative_slope
    return {"x": x, "slope": slope}, slope, "y = x where x > 0, else negative_slope * x"


def _prelu(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    slope = 1.0 if x > 0 else weight
    return {"x": x, "slope": slope}, slope, "y = x where x > 0, else weight[c] * x"


def _elu(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    assert isinstance(layer, ELU)
    formula = "y = x where x > 0, else alpha * (exp(x) - 1)"
    if x > 0:
        return {"x": x}, 1.0, formula
    return {"alpha": layer.alpha, "exp(x) - 1": math.expm1(x)}, layer.alpha * math.exp(x), formula


def _gelu(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    assert isinstance(layer, GELU)
    if layer.approximate == "none":
        share, bell = math.erfc(-x / math.sqrt(2)) / 2, math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return {"x": x, "Phi(x)": share}, share + x * bell, "y = x * Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2"
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    share = _logistic(2 * u)
    formula = "y = x * Phi(x), Phi(x) = (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x^3))) / 2"
    return {"x": x, "Phi(x)": share}, share + x * 2 * share * _logistic(-2 * u) * du, formula


def _silu(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    share = _logistic(x)
    return {"x": x, "sigmoid(x)": share}, share * (1 + x * _logistic(-x)), "y = x * sigmoid(x)"


def _sigmoid(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    return {"1 / (1 + exp(-x))": _logistic(x)}, _logistic(x) * _logistic(-x), "y = 1 / (1 + exp(-x))"


def _tanh(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    slope = 4 * _logistic(2 * x) * _logistic(-2 * x)  # 1 - tanh(x)^2, without its cancellation
    return {"tanh(x)": math.tanh(x)}, slope, "y = tanh(x)"


def _softplus(layer: Layer, x: float, weight: float) -> tuple[dict[str, float], float, str]:
    assert isinstance(layer, Softplus)
    z, formula = layer.beta * x, "y = log(1 + exp(beta*x)) / beta, and x where beta*x > threshold"
    if z > layer.threshold:
        return {"x": x}, 1.0, formula
    logarithm = max(z, 0.0) + math.log1p(math.exp(-abs(z)))
    return {"log(1 + exp(beta*x))": logarithm, "1 / beta": 1 / layer.beta}, _logistic(z), formula


def _logistic(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


CURVES: dict[type[Layer], Curve] = {
    ReLU: _relu,
    ReLU6: _relu6,
    LeakyReLU: _leaky_relu,
    PReLU: _prelu,
    ELU: _elu,
    GELU: _gelu,
    SiLU: _silu,
    Sigmoid: _sigmoid,
    Tanh: _tanh,
    Softplus: _softplus,
}


# --- the rule --------------------------------------------------------------------------------------------------------


def explain(entry: LayerTrace, index: Index) -> Parts:
    """y = f(x), number by number"""
    x = float(entry.input[index])
    factors, _, formula = _curve(entry, index)
    place = Place("x", np.array([index]))
    terms = products((place,), (), **{name: np.array([value]) for name, value in factors.items()})
    notes = () if "x" in factors else (f"x = {x:.6g}",)
    return Parts(formula, terms, notes=notes, scale=terms.scale + _reach(entry.layer, x))


def blame_input(entry: LayerTrace, index: Index) -> Parts:
    """dx = dy * f'(x)"""
    x = float(entry.input[index])
    _, slope, formula = _curve(entry, index)
    assert entry.dy is not None
    place = np.array([index])
    dy = at(entry.dy, place)
    terms = products((Place("y", place),), dy=dy, slope=np.array([slope]))
    scale = terms.scale + abs(float(dy[0])) * _reach(entry.layer, x)
    return Parts(f"dx = dy * slope of {formula}", terms, notes=(f"x = {x:.6g}",), scale=scale)


def blame_slope(entry: LayerTrace, index: Index) -> Parts:
    """PReLU: dweight[c] = the sum of dy * x over its channel, where x <= 0"""
    x, dy = entry.input, entry.dy
    assert dy is not None
    lengths = [np.arange(size) for size in x.shape]
    if len(entry.params["weight"]) > 1:
        lengths[1] = np.array(index)
    places = grid(*lengths)
    places = places[at(x, places) < 0]
    terms = products((Place("y", places), Place("x", places)), dy=at(dy, places), x=at(x, places))
    return Parts("dweight[c] = sum of dy * x where x < 0", terms)


def _curve(entry: LayerTrace, index: Index) -> tuple[dict[str, float], float, str]:
    """Factors, slope and formula at one number; a PReLU with one weight has it for all channels."""
    weight = entry.params.get("weight", np.zeros(1))
    own = float(weight[index[1]]) if len(weight) > 1 else float(weight[0])
    x = float(entry.input[index])
    curve = next(CURVES[kind] for kind in type(entry.layer).__mro__ if kind in CURVES)
    if not math.isfinite(x):
        raise ValueError(f"layer {entry.key!r} was given {said_at('x', index)} = {x}: there is no arithmetic to show")
    return curve(entry.layer, x, own)


def _reach(layer: Layer, x: float) -> float:
    """What rounding of x, and of sums like 1 + erf(x), may do to a smooth curve; straight lines have none of it."""
    return 0.0 if isinstance(layer, ReLU | ReLU6 | LeakyReLU | PReLU) else 1 + abs(x)


RULE = Rule(explain, blame_input, same)
PRELU = Rule(explain, blame_input, same, weight=blame_slope)
