"""Optimizers, schedules, clipping and averages. They work on dicts of arrays and know no layer.

::

    for step, (params, grads) in enumerate(...):
        norm, grads = clip_grad_norm(grads, 1.0)
        optimizer.lr = schedule(step)
        optimizer.step(params, grads)
        average.update(params)
"""

from .adam import Adam, AdamW
from .clipping import clip_grad_norm, clip_grad_value
from .cycle import one_cycle, one_cycle_momentum
from .ema import ExponentialMovingAverage
from .groups import NO_DECAY_1D, ParamGroup
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .schedules import Schedule, constant, cosine, linear_warmup, step_lr
from .sequence import sequential, with_warmup
from .sgd import SGD

__all__ = [
    "NO_DECAY_1D",
    "SGD",
    "Adam",
    "AdamW",
    "ExponentialMovingAverage",
    "Optimizer",
    "ParamGroup",
    "RMSprop",
    "Schedule",
    "clip_grad_norm",
    "clip_grad_value",
    "constant",
    "cosine",
    "linear_warmup",
    "one_cycle",
    "one_cycle_momentum",
    "sequential",
    "step_lr",
    "with_warmup",
]
