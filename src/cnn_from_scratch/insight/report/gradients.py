"""How gradients come back through the network for one batch, and whether it is in good health."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ...randomness import Place
from ..health_look import Look, not_finite, rms, sorted_states, state_of, still_channels, weights_of
from ..health_rules import RULES, WARM_UP, Past, Suspicion
from ..trace import Trace, trace
from ..trace_table import dead_share, norm
from .markup import Html, joined, paragraph, table, tag
from .material import Material, MissingPart

RULES_OF_A_BATCH = (
    "NaN or infinity, channels and units that never answer, a gradient that is exactly 0 or differs between two "
    "layers by more than 10,000 times, sigmoids at their bounds, and constant channels of the images"
)


def gradients(material: Material) -> Html:
    """Norms of the gradients by layer, dead units, and what the rules of health say of them."""
    if material.batch is None:
        raise MissingPart(material.missing)
    x, y = material.batch
    with np.errstate(all="ignore"):
        back = trace(material.model, x, y, train=True, seed=Place(0))
    found = suspicions(back)
    verdict = (
        tag(
            "ul",
            *(tag("li", tag("b", _place(each)), f" {each.text}. Advice: {each.advice}.") for each in found),
            class_="found",
        )
        if found
        else paragraph("Nothing to complain about: ", RULES_OF_A_BATCH, " were looked for.", class_="good")
    )
    return joined(
        [
            paragraph(
                f"{len(x)} training images went forward, and the gradient of their loss, {back.loss:.4g}, came back, "
                "as in one step of training. The bars are logarithmic: from one layer to the next they should differ "
                "by a few times, not by thousands. After a good training all gradients are small, for there is little "
                "left to learn. Silent are the channels and units that are 0 for all of these images; some are so in "
                "healthy networks."
            ),
            verdict,
            _table(back),
        ]
    )


def suspicions(back: Trace) -> list[Suspicion]:
    """What the rules of health say of one look at one batch."""
    states = {key: state_of(seen.layer, seen.input, seen.output) for key, seen in back.layers.items()}
    still, saturated = sorted_states(back.model, states)
    weights, grads = weights_of(back.model), back.grads
    look = Look(
        step=WARM_UP,
        lr=0.0,
        loss=float("nan") if back.loss is None else back.loss,
        examples=len(back.x),
        gradients={key: rms(grads[key]) for key in weights if key in grads},
        weights={key: rms(weight) for key, weight in weights.items()},
        updates={},
        not_finite=not_finite(back.model),
        still=still,
        saturated=saturated,
        constant_inputs=still_channels(back.x) if back.x.ndim == 4 and len(back.x) > 1 else None,
    )
    dead = {key: np.zeros(state.size, np.int64) for key, state in still.items()}
    for key, state in still.items():
        dead[key][state.channels] = 1 << 30  # one look is all that there is
    past = Past(look.loss, look.loss, 0.0, {}, dead, 1)
    return [suspicion for rule in RULES for suspicion in rule(look, past)]


def _place(found: Suspicion) -> str:
    return f"{found.rule}, {found.key}:" if found.key else f"{found.rule}:"


def _table(back: Trace) -> Html:
    """A row for each layer that learns, or cuts something off."""
    grads: Mapping[str, float] = {
        key: norm(seen.grads["weight"]) for key, seen in back.layers.items() if "weight" in seen.grads
    }
    largest = max([size for size in grads.values() if math.isfinite(size)], default=0.0)
    rows: list[list[object]] = []
    for key, seen in back.layers.items():
        dead = dead_share(seen.output) if type(seen.layer).__name__ in ("ReLU", "ReLU6") else math.nan
        if key not in grads and math.isnan(dead):
            continue
        size = grads.get(key, math.nan)
        units = seen.output.shape[1] if seen.output.ndim > 1 else 0
        rows.append(
            [
                key or "(model)",
                type(seen.layer).__name__,
                _bar(size, largest),
                _number(size),
                _number(norm(seen.params["weight"])) if key in grads else "-",
                _number(norm(seen.dy)),
                "-" if math.isnan(dead) else f"{round(dead * units)} of {units}",
            ]
        )
    head = ("layer", "", "|dweight|, logarithmic", "|dweight|", "|weight|", "|dy|", "silent")
    return table(
        f"Gradients of one batch of {len(back.x)} images, from the first layer to the last", head, rows, words=3
    )


def _bar(size: float, largest: float) -> Html:
    """Six powers of ten below the largest."""
    if not (math.isfinite(size) and size > 0 and largest > 0):
        return tag("td", "", class_="w wide")
    share = max(0.0, 1 + math.log10(size / largest) / 6)
    return tag("td", tag("div", class_="meter", style=f"width:{100 * share:.1f}%"), class_="w wide")


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
