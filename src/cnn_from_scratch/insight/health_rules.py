"""When a number is a sign of illness, and what helps: each rule reads a look and says what it suspects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ..typing import Array
from . import style
from .health_look import Look

DEPTH = 1e4
"""Gradients of two weights that differ by more than this vanish or explode on the way."""

GROWTH = 100.0
"""A gradient so many times its median so far explodes."""

MOST_UPDATE, LEAST_UPDATE, WHOLE_UPDATE = 0.1, 1e-6, 1.0
"""Of a weight's size, the change that one step may make, ought to make, and must never make."""

WARM_UP = 20
"""Steps in which Adam's first moments make large updates, and the first batches large gradients."""

SATURATED = 0.6
"""Share of a layer's sigmoids that are at their bounds."""

DEAD_MAPS, DEAD_UNITS = 0.1, 0.7
"""Share of feature maps, and of a vector's units, that may be 0 behind a ReLU: in healthy networks some are."""

EVIDENCE = 192
"""Examples for which a unit behind a ReLU must have been 0 before it is called dead: it may answer to rare ones."""


class Suspicion(NamedTuple):
    """What a rule says about one look; it becomes a finding when it has been said so many times in a row."""

    rule: str
    key: str
    value: float
    text: str
    advice: str
    patience: int


class Past(NamedTuple):
    """What was measured before."""

    first_loss: float  # the mean of the first steps
    loss: float  # the mean of the latest steps
    highest_lr: float
    gradients: dict[str, float]  # the median of what was looked at
    dead: dict[str, Array]  # for each channel, in how many looks in a row it was still
    patience: int


Rule = Callable[[Look, Past], Iterator[Suspicion]]


def _number(value: float) -> str:
    return f"{value:.3g}"


def _some(places: Array) -> str:
    """As 3, 5, 8 and 4 more."""
    shown, more = ", ".join(map(str, places[:6])), len(places) - 6
    return f"{shown} and {more} more" if more > 0 else shown


def state_not_finite(look: Look, past: Past) -> Iterator[Suspicion]:
    """A parameter or a running statistic has overflowed."""
    for key in look.not_finite[:1]:
        yield Suspicion("not finite", key, float("nan"), "holds NaN or infinity", "lower the learning rate", 1)


def dead_units(look: Look, past: Past) -> Iterator[Suspicion]:
    """Channels that are the same number for every pixel of every example, look after look."""
    for key, still in look.still.items():
        looks = max(past.patience, -(-EVIDENCE // max(look.examples, 1)) if still.zero else 0)
        dead = np.flatnonzero(past.dead[key] >= looks)
        share = len(dead) / max(still.size, 1)
        if not len(dead) or (still.zero and share < (DEAD_MAPS if still.maps else DEAD_UNITS)):
            continue
        name = "channels" if still.maps else "units"
        what = "are 0" if still.zero else "give one and the same number"
        text = (
            f"{len(dead)} of {still.size} {name} ({_some(dead)}) {what} "
            f"for all of {look.examples} examples, in {looks} looks in a row"
        )
        advice = "lower the learning rate, use LeakyReLU or batch norm" if still.zero else "draw these weights anew"
        yield Suspicion("dead units", key, share, text, advice, 1)


def constant_input(look: Look, past: Past) -> Iterator[Suspicion]:
    """A channel of the images holds nothing."""
    if look.constant_inputs is not None and len(look.constant_inputs):
        text = f"channel {_some(look.constant_inputs)} of the images is one number in all of {look.examples} examples"
        advice = "look at how images are read, or leave the channel out"
        yield Suspicion("constant input", "input", float(len(look.constant_inputs)), text, advice, past.patience)


def no_gradient(look: Look, past: Past) -> Iterator[Suspicion]:
    """A weight whose gradient is exactly 0."""
    for key, size in look.gradients.items():
        if size == 0:
            advice = "see what lies behind it: dead units, a saturated layer, or a backward pass that gives 0"
            yield Suspicion("no gradient", key, 0.0, "its gradient is exactly 0", advice, past.patience)


def gradients_over_depth(look: Look, past: Past) -> Iterator[Suspicion]:
    """The smallest and the largest gradient lie too far apart."""
    sizes = {key: size for key, size in look.gradients.items() if size > 0}
    if len(sizes) < 2 or look.step < WARM_UP:
        return
    least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    ratio = sizes[most] / sizes[least]
    if not ratio > DEPTH:
        return
    keys = list(sizes)
    if keys.index(least) < keys.index(most):
        text = f"its gradient is {_number(ratio)} times smaller than that of {most!r} behind it"
        advice = "use ReLU with He's initial weights, batch norm or residual connections"
        yield Suspicion("vanishing gradient", least, 1 / ratio, text, advice, past.patience)
    else:
        text = f"its gradient is {_number(ratio)} times larger than that of {least!r} behind it"
        advice = "start from smaller weights, use batch norm, or clip the norm of the gradients"
        yield Suspicion("exploding gradient", most, ratio, text, advice, past.patience)


def gradients_over_time(look: Look, past: Past) -> Iterator[Suspicion]:
    """A gradient is much larger than it was; or is gone, although the loss is not."""
    for key, size in look.gradients.items():
        usual = past.gradients.get(key, 0.0)
        if look.step < WARM_UP or not usual > 0:
            continue
        if size > GROWTH * usual:
            text = f"its gradient has become {_number(size / usual)} times as large as its median so far"
            yield Suspicion(
                "exploding gradient", key, size / usual, text, "lower the learning rate, or clip_norm=1.0", 1
            )
        elif size < usual / (GROWTH * 10) and past.loss > 0.7 * past.first_loss:
            text = f"its gradient has become {_number(usual / size if size else float('inf'))} times smaller"
            text += f", while the loss is still {_number(past.loss)}"
            advice = "look for saturated or dead layers behind it"
            yield Suspicion("vanishing gradient", key, size / usual, text, advice, past.patience)


def update_ratio(look: Look, past: Past) -> Iterator[Suspicion]:
    """How much of a weight one step changes."""
    decay = look.lr / past.highest_lr if past.highest_lr > 0 else 1.0
    for key, change in look.updates.items():
        ratio = change / look.weights[key] if look.weights[key] > 0 else 0.0
        said = f"one step changes it by {_number(ratio)} of its size"
        if ratio > WHOLE_UPDATE:
            advice = f"the learning rate {_number(look.lr)} is far too high; try {_number(look.lr * 0.01 / ratio)}"
            yield Suspicion("update too large", key, ratio, said, advice, 1)
        elif ratio > MOST_UPDATE and look.step >= WARM_UP:
            text = f"{said}; about 0.001 is usual, {MOST_UPDATE:g} too much"
            yield Suspicion("update too large", key, ratio, text, "lower the learning rate", past.patience)
        elif 0 < ratio < LEAST_UPDATE * decay and past.loss > 0.5 * past.first_loss:
            text = f"{said}; about 0.001 is usual"
            yield Suspicion("update too small", key, ratio, text, "raise the learning rate", past.patience)


def saturation(look: Look, past: Past) -> Iterator[Suspicion]:
    """Sigmoids and tanhs at their bounds pass hardly any gradient on."""
    for key, share in look.saturated.items():
        if share > SATURATED:
            text = f"{style.percent(share)} of its outputs lie at its bounds, where its slope is next to 0"
            advice = "start from smaller weights, normalise the input, or put a batch norm before it"
            yield Suspicion("saturated", key, share, text, advice, past.patience)


RULES: tuple[Rule, ...] = (
    state_not_finite,
    constant_input,
    dead_units,
    no_gradient,
    saturation,
    gradients_over_depth,
    gradients_over_time,
    update_ratio,
)
