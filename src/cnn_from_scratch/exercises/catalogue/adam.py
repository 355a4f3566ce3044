"""The exercise adam."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..arrays import real
from ..exercise import Arguments, Exercise, Rung
from ..mistakes.adam import MISTAKES, correct


def _rungs() -> list[Rung]:
    def case(param: Any, grad: Any, m: Any, v: Any, t: int, **more: float) -> Arguments:
        arrays = {"param": param, "grad": grad, "m": m, "v": v}
        return {name: np.asarray(array, np.float64) for name, array in arrays.items()} | {"t": t, **more}

    large = {name: real(seed, 5, 4, dtype="float32") for seed, name in enumerate(("param", "grad", "m"))}
    return [
        Rung("the first step of one number", case([1.0], [4.0], [0.0], [0.0], 1, lr=0.5)),
        Rung(
            "the first step of three, of any size",
            case([1.0, 2.0, 3.0], [4.0, -100.0, 0.25], [0] * 3, [0] * 3, 1, lr=0.5),
        ),
        Rung(
            "the third step, with a past",
            case([1.0, -2.0], [4.0, 3.0], [2.0, -1.0], [5.0, 7.0], 3, lr=0.1, beta1=0.8, beta2=0.9),
        ),
        Rung(
            "an eps that is large enough to be seen",
            case([1.0, -2.0], [4.0, 3.0], [2.0, -1.0], [5.0, 7.0], 4, lr=0.1, eps=0.5),
        ),
        Rung("a gradient of 0 that always was 0", case([1.0, 2.0], [0.0, 3.0], [0.0, 0.0], [0.0, 0.0], 1, lr=0.1)),
        Rung(
            "weight decay",
            case([10.0, -20.0], [4.0, 3.0], [2.0, -1.0], [5.0, 7.0], 2, lr=0.1, weight_decay=0.2),
        ),
        Rung("a matrix in float32", large | {"v": real(9, 5, 4, dtype="float32") ** 2, "t": 7, "weight_decay": 0.01}),
    ]


def _terms(given: Arguments, output: str, index: tuple[int, ...]) -> list[str]:
    """The step of one number, line by line."""
    usual = {name: p.default for name, p in inspect.signature(correct).parameters.items()} | given
    t, lr, beta1, beta2, eps, decay = (usual[k] for k in ("t", "lr", "beta1", "beta2", "eps", "weight_decay"))
    param, grad, m, v = (float(given[name][index]) for name in ("param", "grad", "m", "v"))
    new_m, new_v = beta1 * m + (1 - beta1) * grad, beta2 * v + (1 - beta2) * grad**2
    lines = [
        f"m = {beta1:g} * {m:.5g} + {1 - beta1:.4g} * {grad:.5g} = {new_m:.6g}",
        f"v = {beta2:g} * {v:.5g} + {1 - beta2:.4g} * {grad:.5g}**2 = {new_v:.6g}",
    ]
    if output != "param":
        return lines
    mhat, vhat = new_m / (1 - beta1**t), new_v / (1 - beta2**t)
    kept, step = (1 - lr * decay) * param, lr * mhat / (vhat**0.5 + eps)
    return [
        *lines,
        f"mhat = m / (1 - {beta1:g}**{t}) = {mhat:.6g}, vhat = v / (1 - {beta2:g}**{t}) = {vhat:.6g}",
        f"(1 - lr * weight_decay) * param = (1 - {lr:g} * {decay:g}) * {param:.5g} = {kept:.6g}",
        f"lr * mhat / (sqrt(vhat) + eps) = {lr:g} * {mhat:.6g} / ({vhat**0.5:.6g} + {eps:g}) = {step:.6g}",
        f"param = {kept:.6g} - {step:.6g} = {kept - step:.6g}",
    ]


EXERCISE = Exercise(
    name="adam",
    summary="one step of the optimizer",
    read="running means: what beta * old + (1 - beta) * new does to a constant, step by step",
    start="start with the two running means, m and v, in new arrays. Then correct them, then take the step",
    hints=(
        "Five lines, in the order of the docstring. m and v are what is remembered, mhat and vhat only what this step "
        "uses.",
        "Write m = beta1 * m + (1 - beta1) * grad, which makes a new array; m *= beta1 would change the caller's.",
        "mhat = m / (1 - beta1**t); vhat = v / (1 - beta2**t); param = (1 - lr * weight_decay) * param - lr * mhat / "
        "(np.sqrt(vhat) + eps); return param, m, v.",
    ),
    solution=("optim.adam:Adam", "optim.adam:AdamW"),
    outputs=("param", "m", "v"),
    answer=correct,
    rungs=_rungs,
    mistakes=MISTAKES,
    terms=_terms,
    examined=("m", "v", "param"),
)
