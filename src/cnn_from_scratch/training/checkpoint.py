"""A training in a file: all that is needed to go on from where it was, to the bit.

What is random is derived from the seed and the place, so no state of a generator is among it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import FormatError
from ..formats.architecture import describe, registry
from ..formats.document import Kind, read_described, write_described
from ..formats.saved_model import assemble
from ..formats.tensors import parse_json
from ..layers import Layer
from ..layers.containers import named_layers
from ..typing import Array
from .encoding import decode, encode

CHECKPOINT = Kind("cnn_checkpoint", "checkpoint", "names in the checkpoint", "write_checkpoint")

BEST = "best.safetensors"
"""The checkpoint at the end of the best epoch."""

NAME = re.compile(r"checkpoint-(\d{5,})-(\d{8,})\.safetensors")

STATE = "state"
"""The array with the JSON text: a description in the header would be limited in length, a long history is not."""


KINDS: dict[str, type] = {"epoch": int, "steps": int, "finished": bool, "stopped": bool, "frozen": list,
                          "callbacks": list, "history": list}  # fmt: skip
"""What the parts of a checkpoint are of, where they are no dicts."""


class Checkpoint(NamedTuple):
    """Where a training was, and all that it had changed."""

    epoch: int  # under way, or just finished; from 1
    steps: int  # done since the training began
    finished: bool  # whether the epoch is: validated, and told to the callbacks
    stopped: bool  # whether a callback has then ended the training
    settings: dict[str, Any]  # what must be the same when it goes on
    architecture: dict[str, Any] | None  # of the model; None if it cannot be written
    model: dict[str, Array]  # parameters and buffers
    constants: dict[str, Array]  # of the graphs in the model
    frozen: list[str]  # keys that were not being trained
    optimizer: dict[str, Any]
    callbacks: list[dict[str, Any]]  # in their order
    meter: dict[str, Any]  # sums of the epoch so far
    history: list[dict[str, Any]]  # the rows of the epochs before, and of this one if it is finished


def write_checkpoint(folder: str | os.PathLike[str], checkpoint: Checkpoint) -> Path:
    """Write ``checkpoint-EEEEE-SSSSSSSS.safetensors``, named by epoch and steps, atomically.

    The model's arrays are called ``model/KEY``: whoever reads safetensors finds them.

    Raises
    ------
    TypeError
        If the state of a callback, or the history, holds what cannot be written.
    OSError
        If the file cannot be written: the disk is full, say. It names the file; there is no new one then, and older
        ones are as they were.
    """
    path = Path(folder) / f"checkpoint-{checkpoint.epoch:05d}-{checkpoint.steps:08d}.safetensors"
    arrays: dict[str, Array] = {}
    state = {name: encode(value, name, arrays) for name, value in checkpoint._asdict().items()}
    arrays[STATE] = np.frombuffer(json.dumps(state, allow_nan=False).encode(), np.uint8)
    write_described(CHECKPOINT, path, {}, arrays)
    return path


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """What `write_checkpoint` wrote: same numbers, same types. The arrays may be written.

    Raises
    ------
    FormatError
        If the file is damaged, or no checkpoint. Nothing in it is run.
    FileNotFoundError
        If there is none.
    """
    arrays = read_described(CHECKPOINT, path, {}).arrays
    if STATE not in arrays or arrays[STATE].dtype != np.uint8 or arrays[STATE].ndim != 1:
        raise FormatError(f"{path}: holds no state of a training")
    state = parse_json(path, STATE, arrays[STATE].tobytes())
    try:
        return _checked(state, arrays)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error.__cause__
    except RecursionError:
        raise FormatError(f"{path}: its state is nested too deeply") from None


def _checked(state: Any, arrays: dict[str, Array]) -> Checkpoint:
    """The parts, if they are those of a checkpoint."""
    names = Checkpoint._fields
    if not isinstance(state, dict) or set(state) != set(names):
        raise FormatError(f"the state must have the parts {', '.join(names)}")
    found = Checkpoint(**{name: decode(state[name], arrays) for name in names})
    for name, value in found._asdict().items():
        if type(value) is not KINDS.get(name, dict) and (name, value) != ("architecture", None):
            raise FormatError(f"{name} must be of type {KINDS.get(name, dict).__name__}, got {value!r:.80}")
    if found.epoch < 1 or found.steps < 1:
        raise FormatError(f"epoch and steps must be at least 1, got {found.epoch} and {found.steps}")
    _check_items("callbacks", found.callbacks, dict)
    _check_items("history", found.history, dict)
    _check_items("frozen", found.frozen, str)
    _check_items("model", [*found.model.values(), *found.constants.values()], np.ndarray)
    return found


def _check_items(name: str, items: list[Any], kind: type) -> None:
    if not all(isinstance(item, kind) for item in items):
        raise FormatError(f"{name} must hold nothing but {kind.__name__}")


def load_checkpoint_model(path: str | os.PathLike[str], layers: Mapping[str, type[Layer]] | None = None) -> Layer:
    """The model in a checkpoint, as it was being trained at that moment.

    Its weights are the model's own: `AverageWeights` and `BestWeights` put theirs in at the end of a training, and
    only there. A model of yours takes the weights by ``load_state_dict(model, read_checkpoint(path).model)``.

    Parameters
    ----------
    path : path
        ``best.safetensors``, or any other checkpoint.
    layers : dict of classes, optional
        Layers of your own, by the names of their classes.

    Raises
    ------
    FormatError
        If the file is damaged, is no checkpoint, or has a model that cannot be made from a description.
    FileNotFoundError
        If there is none.
    """
    known = registry(layers)
    checkpoint = read_checkpoint(path)
    if checkpoint.architecture is None:
        raise FormatError(
            f"{path}: the model could not be described; make it yourself, and load read_checkpoint(path).model into it"
        )
    return assemble(path, checkpoint.architecture, checkpoint.model | checkpoint.constants, known)


def architecture_of(model: Layer) -> dict[str, Any] | None:
    """The model as `save_model` describes it, with layers of your own by the names of their classes; None if it cannot.

    Examples
    --------
    >>> from cnn_from_scratch.layers import ReLU
    >>> architecture_of(ReLU())
    {'type': 'ReLU', 'config': {}}
    """
    ours = set(registry().values())
    own = {type(layer).__name__: type(layer) for _, layer in named_layers(model) if type(layer) not in ours}
    try:
        return describe(model, registry(own))
    except (AttributeError, TypeError, ValueError):  # what a layer of your own may lack; it can be trained all the same
        return None


def list_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """The numbered checkpoints in a folder, from the first to the last; none if there is no such folder.

    Examples
    --------
    >>> list_checkpoints("nowhere")
    []
    """
    found = []
    for path in Path(folder).glob("checkpoint-*.safetensors"):
        if (match := NAME.fullmatch(path.name)) is not None:
            found.append((int(match[2]), int(match[1]), path))
    return [path for *_, path in sorted(found)]


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """The last of the numbered checkpoints in a folder, None where there is none."""
    found = list_checkpoints(folder)
    return found[-1] if found else None


def steps_of(path: Path) -> int:
    """How many steps a numbered checkpoint was written after, by its name."""
    match = NAME.fullmatch(path.name)
    assert match is not None
    return int(match[2])
