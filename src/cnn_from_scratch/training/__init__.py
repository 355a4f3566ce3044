"""Training and evaluation: `fit`, `evaluate`, the history, callbacks."""

from .callbacks import Callback, Progress
from .checkpoint import (
    Checkpoint,
    latest_checkpoint,
    list_checkpoints,
    load_checkpoint_model,
    read_checkpoint,
    write_checkpoint,
)
from .evaluate import Evaluation, evaluate
from .fit import fit
from .history import History
from .interrupts import Terminated
from .losses import Loss, as_loss
from .step import StepResult, compute_gradients
from .stepper import training_steps
from .usual_callbacks import AverageWeights, BestWeights, EarlyStopping

__all__ = [
    "AverageWeights",
    "BestWeights",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Evaluation",
    "History",
    "Loss",
    "Progress",
    "StepResult",
    "Terminated",
    "as_loss",
    "compute_gradients",
    "evaluate",
    "fit",
    "latest_checkpoint",
    "list_checkpoints",
    "load_checkpoint_model",
    "read_checkpoint",
    "training_steps",
    "write_checkpoint",
]
