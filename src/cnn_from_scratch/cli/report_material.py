"""What `cnn report` finds of a run: its model, its images, and what its training has left on record."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..data import scale
from ..insight.report import Material, Tried
from ..insight.report.judged import well_read
from ..insight.until import model_until
from ..layers import Layer, Softmax
from ..layers.graph import Graph
from ..training import Evaluation, evaluate
from ..typing import Array
from .errors import sentence
from .own_data import OwnData
from .report_record import NOTHING, Record, read_record
from .run_folder import MODEL
from .saved_run import Run, ends_in_softmax
from .source import PixelSource

BATCH, MOST_BYTES = 192, 256 << 20
"""Training images whose gradients are looked at; fewer where what is kept of them would take more memory than this."""

CLOSE = 1e-4
"""Of a loss: by so much it may differ from the recorded one, through the rounding of another machine."""


def collect(run: Run, data_dir: Path | None, *, mistakes: int) -> Material:
    """All that there is; of what is not, the reason."""
    record = read_record(run.path.parent) if run.path.name == MODEL else NOTHING
    run = run._replace(model=_logits(_as_layers(run)))
    tried, batch, missing = None, None, ""
    data = OwnData(run, data_dir)
    try:
        tried = _tried(run, data)
        batch = _batch(run, data)
    except (OSError, ValueError) as error:
        reason = sentence(error).replace(str(run.path), run.path.name)
        missing = f"There are no images to try the model on: {reason}."
    return Material(
        name=_name(run, record),
        model=run.model,
        classes=run.classes,
        input_shape=run.input_shape,
        prepare=run.normalization.apply,
        tried=tried,
        batch=batch,
        missing=missing,
        history=record.history,
        recorded=record.metrics,
        command=record.command,
        notes=[*record.notes, *_differences(record, tried), *([missing] if missing else [])],
        environment=_environment(run, record),
        mistakes=mistakes,
    )


# --- the model ------------------------------------------------------------------------------------------------------


def _as_layers(run: Run) -> Layer:
    """A graph as layers of this package, where it can be: they can be looked into."""
    if not isinstance(run.model, Graph):
        return run.model
    return run.model.to_layers(run.input_shape) or run.model


def _logits(model: Layer) -> Layer:
    """The model without a softmax at its end: all that is computed of its scores is computed of logits."""
    layers = list(model.layers())
    if ends_in_softmax(model) and len(layers) > 1 and isinstance(layers[-1][1], Softmax):
        return model_until(model, layers[-2][0])
    return model


# --- the images -----------------------------------------------------------------------------------------------------


def _tried(run: Run, data: OwnData) -> Tried:
    """The model on all test images."""
    dataset = data.dataset
    if not len(dataset.test.x):
        raise ValueError(f"{run.dataset} has no test images")
    evaluation = evaluate(run.model, PixelSource(dataset.test, dataset.maximum, run.normalization))
    if ends_in_softmax(run.model):  # at the end of a graph it cannot be taken off
        evaluation = _as_logits(evaluation)

    def images(indices: Array) -> Array:
        return scale(dataset.test.x[indices], maximum=dataset.maximum)

    return Tried(evaluation, images, well_read(evaluation.logits, evaluation.targets))


def _as_logits(evaluation: Evaluation) -> Evaluation:
    """Probabilities as logits, whose softmax they are."""
    logits = np.log(np.maximum(evaluation.logits, np.finfo(evaluation.logits.dtype).tiny))
    loss = -float(logits[np.arange(len(logits)), evaluation.targets].mean(dtype=np.float64))
    return Evaluation.of(logits, evaluation.targets, loss=loss)


def _batch(run: Run, data: OwnData) -> tuple[Array, Array] | None:
    """Training images, evenly out of all of them, as the model takes them."""
    from ..layers.summary import summarize

    dataset = data.dataset
    each = 6 * summarize(run.model, run.input_shape).bytes + 1  # outputs, gradients, caches
    count = min(len(dataset.train.x), BATCH, max(2, MOST_BYTES // each))
    if not count:
        return None
    places = np.linspace(0, len(dataset.train.x) - 1, count).round().astype(int)
    x = run.normalization.apply(scale(dataset.train.x[places], maximum=dataset.maximum))
    return x, dataset.train.y[places]


# --- words ----------------------------------------------------------------------------------------------------------


def _name(run: Run, record: Record) -> str:
    """The network and what it was trained on, or the name of the file."""
    network, dataset = record.metrics.get("model"), Path(run.dataset).name
    if isinstance(network, str) and dataset:
        return f"{network} on {dataset}"
    return run.path.parent.resolve().name if run.path.name == MODEL else run.path.name


def _differences(record: Record, tried: Tried | None) -> list[str]:
    """What was found now and is not what was recorded."""
    if tried is None:
        return []
    found, recorded = tried.evaluation, record.metrics
    accuracy, loss = recorded.get("test_accuracy"), recorded.get("test_loss")
    if not isinstance(accuracy, float) or not isinstance(loss, float):
        return []
    if accuracy == found.accuracy and abs(loss - found.loss) <= CLOSE * max(abs(loss), 1e-3):
        return []
    return [
        f"The run recorded an accuracy of {100 * accuracy:.2f} % and a loss of {loss:.4f}, which stand above; tried "
        f"again for this report it has {100 * (found.accuracy or 0):.2f} % and {found.loss:.4f}. The data, the model's "
        "file or the versions are not those of the training."
    ]


def _environment(run: Run, record: Record) -> dict[str, str]:
    """Versions that trained the model, and those that made the report."""
    now = {"CNN-From-Scratch": __version__, "NumPy": np.__version__, "Python": platform.python_version()}
    keys = {"CNN-From-Scratch": "cnn_from_scratch", "NumPy": "numpy", "Python": "python"}
    trained: dict[str, Any] = record.versions
    found = {}
    for name, version in now.items():
        before = trained.get(keys[name])
        found[name] = f"{before} (this report: {version})" if isinstance(before, str) and before != version else version
    mean, std = run.normalization
    return found | {
        "numbers": str(run.model.dtype),
        "images": f"prepared as {run.preparation}, then (x - {_few(mean)}) / {_few(std)}",
        "data set": Path(run.dataset).name or "not known",
    }


def _few(values: tuple[float, ...]) -> str:
    return f"{values[0]:.4g}" if len(set(values)) == 1 else f"({', '.join(f'{value:.4g}' for value in values)})"
