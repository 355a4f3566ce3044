"""From the pattern of an error to the mistake that makes it: each rule is a comparison that only its mistake passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from ..typing import Array
from .gradcheck_evidence import NEAR, Evidence


def likely_cause(e: Evidence, *, undecided: bool, direction: bool) -> str:
    """What is wrong with one array, in words; "" if nothing is."""
    if e.gradient is None:
        return _missing(e) if bool((np.abs(e.numeric) > 10 * e.noise).any()) else ""
    if not e.fits:
        return _wrong_shape(e)
    if not np.isfinite(e.gradient).all():
        return "backward gives NaN or infinity"
    if undecided:
        return "every element lies at a kink or a tie; check at other values"
    if not e.wrong.any():
        return "a direction disagrees, its elements alone do not" if direction else ""
    return next((found for rule in RULES if (found := rule(e))), "") or _where(e) or "no known pattern"


# --- no gradient, or one of another shape ---------------------------------------------------------------------------


def _missing(e: Evidence) -> str:
    """Under which key it may have gone."""
    for key, other in e.others.items():
        if other is not None and key not in ("x", e.name) and e.explains(np.asarray(other)):
            return f"the gradient is returned as {key!r} instead of {e.name!r}"
    return f"backward forgets {e.name!r}: it gives no gradient for it"


def _wrong_shape(e: Evidence) -> str:
    gradient = e.gradient
    assert gradient is not None
    said = f"the gradient has shape {gradient.shape}, the array {e.value.shape}"
    extra = gradient.ndim - e.value.ndim
    if gradient.shape == e.value.shape[::-1] and e.value.ndim > 1:
        return f"{said}: it is transposed"
    if gradient.shape[:1] == (e.batch,) and gradient.ndim > e.value.ndim:
        if gradient.shape[1:] == e.value.shape:
            return f"{said}: the sum over the batch is missing"
        return f"{said}: the sum over the batch and over {extra - 1} further axes is missing"
    if e.explains(np.asarray(gradient.sum(tuple(range(e.value.ndim, gradient.ndim))))):
        return f"{said}: the sum over the last {extra} axes is missing"
    if gradient.size == e.value.size:
        return f"{said}: it is not brought back into the array's shape"
    return said


# --- rules for a gradient of the right shape ------------------------------------------------------------------------


def _zero(e: Evidence) -> str:
    return "backward gives 0 everywhere: the gradient is never computed, or cut off" if not e.analytic.any() else ""


def _factor(e: Evidence) -> str:
    """backward = factor * right, with the same factor everywhere."""
    power = float(e.numeric @ e.numeric)
    factor = float(e.analytic @ e.numeric) / power if power else 0.0
    if abs(factor) < NEAR or not e.matches(factor * e.numeric):
        return ""
    names = [text for number, text in _known_factors(e) if abs(factor / number - 1) < NEAR]
    return " or ".join(names) if names else f"all are {factor:.4g} times the right value"


def _known_factors(e: Evidence) -> Iterator[tuple[float, str]]:
    """Factors that mean something, and what; the batch and the positions of the output where they are more than one."""
    yield -1.0, "the sign is flipped"
    yield 2.0, "all are twice too large (added twice, or the 2 of a square too many)"
    yield 0.5, "all are half of the right value (the 2 of a square is missing, or one of two paths)"
    N, P = e.batch, int(np.prod(e.output_shape[2:], dtype=np.int64))
    if N > 1:
        yield N, f"all are {N} times too large: the division by the batch size N = {N} is missing"
        yield 1 / N, f"all are {N} times too small: divided by the batch size N = {N}, a mean instead of a sum"
        yield -N, f"the sign is flipped, and the division by the batch size N = {N} is missing"
    if P > 1:
        yield P, f"all are {P} times too large: the division by the {P} positions of the output is missing"
        yield 1 / P, f"all are {P} times too small: divided by the {P} positions of the output"
    if N > 1 and P > 1:
        yield 1 / (N * P), f"all are {N * P} times too small: a mean over batch and positions instead of a sum"


def _order(e: Evidence) -> str:
    """The right numbers in the wrong places: axes flipped or exchanged."""
    gradient = np.asarray(e.gradient)
    axes = range(gradient.ndim)
    if gradient.ndim >= 4 and e.explains(gradient[..., ::-1, ::-1]):
        return "the kernel is flipped in both axes (convolution where cross-correlation is meant, or the reverse)"
    for axis in axes:
        if gradient.shape[axis] > 1 and e.explains(np.flip(gradient, axis)):
            return f"axis {axis} is reversed"
    for a, b in combinations(axes, 2):
        if gradient.shape[a] == gradient.shape[b] and e.explains(np.swapaxes(gradient, a, b)):
            return f"axes {a} and {b} are exchanged: it is transposed"
    for a in axes:  # right numbers, reshaped without moving the axes first
        for b in axes:
            moved = np.moveaxis(gradient.reshape(_moved(gradient.shape, a, b)), b, a)
            if a != b and e.explains(moved):
                return f"reshaped with axis {a} at the place of axis {b}: move the axes before the reshape"
    return ""


def _moved(shape: tuple[int, ...], a: int, b: int) -> tuple[int, ...]:
    """The shape with axis a taken out and put at place b."""
    rest = list(shape)
    rest.insert(b, rest.pop(a))
    return tuple(rest)


def _other_key(e: Evidence) -> str:
    for key, other in e.others.items():
        if other is not None and e.explains(np.asarray(other, np.float64)):
            return f"this is not the gradient of {e.name!r}; that one is returned as {key!r}"
    return ""


def _overwritten(e: Evidence) -> str:
    """Wrong elements hold one of the contributions that should have been added up."""
    if not e.output_shape or not e.wrong.any():
        return ""
    wrong = np.flatnonzero(e.wrong)
    by_example = np.array([p.reshape(p.shape[0], -1).sum(1) for p in e.parts])  # (elements, N)
    for n in range(by_example.shape[1] if by_example.shape[1] > 1 else 0):
        if e.matches(by_example[:, n]):
            return f"only example {n} of the batch counts: the sum over the batch is missing"
    if len(e.output_shape) < 3:
        return ""
    if all(_is_one_of(e.analytic[i], e.parts[i].sum((0, 1)), e.noise[i]) for i in wrong):
        return "one contribution instead of the sum of all: overlapping windows are overwritten (= instead of +=)"
    return ""


def _is_one_of(value: float, parts: Array, noise: float) -> bool:
    """Whether the value is a single one of several contributions."""
    several = np.flatnonzero(parts)
    size = float(np.abs(parts).max(initial=0.0))
    return len(several) > 1 and bool((np.abs(parts.flat[several] - value) <= NEAR * size + noise).any())


def _not_masked(e: Evidence) -> str:
    """Wrong only where the function is flat, or only where backward says it is."""
    flat = np.abs(e.numeric) <= e.noise
    zero = e.analytic == 0
    if flat.any() and not flat.all() and (flat | ~e.wrong).all():
        return "dy passes where the function is flat: a mask is missing (ReLU, maximum, dropout)"
    if zero.any() and not zero.all() and (zero | ~e.wrong).all():
        return "0 where the function is not flat: a mask shuts out too much, or contributions are left out"
    return ""


def _decay(e: Evidence) -> str:
    """backward - right = factor * value: weight decay."""
    excess, value = e.analytic - e.numeric, e.at(e.value)
    power = float(value @ value)
    factor = float(excess @ value) / power if power else 0.0
    near = np.abs(excess - factor * value) <= NEAR * float(np.abs(excess).max()) + e.noise
    if len(value) > 1 and factor and near.all():
        return f"{factor:.4g} times the array itself is added: weight decay belongs into the optimizer"
    return ""


def _mean_left_out(e: Evidence) -> str:
    """The right gradient sums to 0 over some axes, as behind a normalisation or a softmax; backward's does not."""
    if len(e.places) < e.value.size or e.value.ndim < 2:
        return ""
    right, given = (a.reshape(e.value.shape) for a in (e.numeric, e.analytic))
    size, axes = float(np.abs(right).sum()), range(e.value.ndim)
    zero = float(e.noise.sum()) + 1e-7 * size  # narrow, so that no sum is taken for 0 by chance
    for count in range(1, e.value.ndim + 1):
        for over in combinations(axes, count):
            if np.prod([e.value.shape[a] for a in over]) < 2:
                continue
            if np.abs(right.sum(over)).max() <= zero and np.abs(given.sum(over)).max() > 10 * NEAR * size:
                return (
                    f"the right gradient sums to 0 over axes {over}, this does not: the terms through the mean are "
                    "missing (statistics of a normalisation, or the sum of a softmax, taken for constants)"
                )
    return ""


RULES: tuple[Callable[[Evidence], str], ...] = (
    _zero,
    _factor,
    _other_key,
    _order,
    _overwritten,
    _not_masked,
    _decay,
    _mean_left_out,
)


def _where(e: Evidence) -> str:
    """Where the wrong elements lie, if that is somewhere in particular."""
    wrong, places = e.wrong, np.array(np.unravel_index(e.places, e.value.shape))  # (axes, elements)
    if wrong.all():
        return ""
    for axis, at in enumerate(places):
        for i in np.unique(at[wrong]):
            if (at[wrong] == i).all() and wrong[at == i].all() and (at == i).sum() > 1:
                return f"no known pattern; wrong exactly where axis {axis} is {i}"
    return f"no known pattern; wrong in {int(wrong.sum())} of {len(wrong)} compared elements"
