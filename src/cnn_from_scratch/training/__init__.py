"""Training and evaluation: `fit`, `evaluate`, the history, callbacks."""

from .callbacks import AverageWeights, BestWeights, Callback, EarlyStopping, Progress
from .evaluate import Evaluation, evaluate
from .fit import fit
from .history import History
from .losses import Loss, as_loss
from .step import StepResult, compute_gradients
from .stepper import training_steps

__all__ = [
    "AverageWeights",
    "BestWeights",
    "Callback",
    "EarlyStopping",
    "Evaluation",
    "History",
    "Loss",
    "Progress",
    "StepResult",
    "as_loss",
    "compute_gradients",
    "evaluate",
    "fit",
    "training_steps",
]
