"""Weights by name, to and from PyTorch, without PyTorch: its files are read, and files are written that it reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from ..errors import FormatError
from ..layers import Layer
from ..typing import Array
from .pytorch_file import STARTS, read_pytorch
from .tensors import read_tensors, write_tensors

Rename: TypeAlias = Mapping[str, str] | Callable[[str], str | None]
"""{their key: ours} for the keys that differ, or a function of every key; None leaves a key out."""

SHOWN = 20
"""So many keys of each kind are named in an error."""


class Keys(NamedTuple):
    """What did not meet, where that is allowed."""

    missing: tuple[str, ...]
    """Keys of the model that were not given, and keep their values."""

    unexpected: tuple[str, ...]
    """Keys that were given, and the model does not have."""


def read_state_dict(path: str | os.PathLike[str], *, entry: str | None = None) -> dict[str, Array]:
    """The arrays of a PyTorch state dict by name, from a file of safetensors or of torch.save.

    Nothing in a file is run: a description of tensors is read by a machine that knows tensors and dicts, nothing else.
    float16 and bfloat16 become float32, which holds them exactly; on which device a tensor was does not matter.

    Parameters
    ----------
    path : path
        ``.safetensors``, or ``.pt``, ``.pth``, ``.bin`` ... with ``model.state_dict()`` or a checkpoint that has one
        among its entries. What kind of file it is shows in its first bytes.
    entry : str, optional
        Which entry of a checkpoint, where several are state dicts.

    Returns
    -------
    arrays : dict
        C-contiguous and read-only; tensors that share numbers share them here, too.

    Raises
    ------
    FormatError
        If it is no such file, is damaged, or names anything but tensors and dicts. The message names the file.
    LimitError
        If it claims to hold more than it does.
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> import tempfile
    >>> from cnn_from_scratch.layers import Linear
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_safetensors(Linear(2, 3), f"{folder}/linear.safetensors")
    ...     read_state_dict(f"{folder}/linear.safetensors")["weight"].shape
    (3, 2)
    """
    with Path(path).open("rb") as file:
        head = file.read(16)
    if head[8:9] == b"{":
        return read_tensors(path, widen=True).arrays
    if head.startswith(STARTS):
        return read_pytorch(path, entry=entry)
    raise FormatError(f"{path}: neither a safetensors file nor one of torch.save: it begins with {head[:9]!r}")


def load_state_dict(
    model: Layer,
    source: str | os.PathLike[str] | Mapping[str, Array],
    *,
    strict: bool = True,
    rename: Rename | None = None,
) -> Keys:
    """Write a state dict into the parameters and buffers of a model, in place: all of it, or nothing.

    Parameters
    ----------
    model : Layer
    source : path or dict of arrays
        See `read_state_dict`. Numbers are converted to the dtype of the model.
    strict : bool
        Whether keys must be the same on both sides. Shapes must always be. A ``num_batches_tracked`` may be missing,
        as in files older than it.
    rename : dict or function, optional
        ``{their key: ours}`` for the keys that differ, or a function of every key, such as
        ``lambda key: key.removeprefix("module.")``; one that gives None leaves the key out.

    Returns
    -------
    keys : Keys
        ``missing`` and ``unexpected``, both empty if `strict`.

    Raises
    ------
    FormatError
        If keys or shapes do not fit; the message lists them. Also as for `read_state_dict`.
    ValueError
        If two keys are renamed to one.
    TypeError
        If a value is no array.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear, Sequential
    >>> model = Sequential(Linear(2, 1))
    >>> given = {"fc.weight": np.array([[3.0, 4.0]]), "fc.bias": np.zeros(2)}
    >>> load_state_dict(model, given, rename=lambda key: key.replace("fc", "0"))
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.FormatError: load_state_dict: the state dict does not fit the model; nothing was written
      of another shape: 0.bias is (2,), the model's (1,)
    >>> load_state_dict(model, {"0.weight": np.array([[3.0, 4.0]])}, strict=False)
    Keys(missing=('0.bias',), unexpected=())
    >>> model.params["0.weight"]
    array([[3., 4.]], dtype=float32)
    """
    named = isinstance(source, str | os.PathLike)
    given = read_state_dict(source) if named else source  # type: ignore[arg-type]
    theirs, own = _renamed(given, rename), model.params | model.buffers  # type: ignore[arg-type]
    missing = [key for key in own if key not in theirs and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in theirs if key not in own]
    wrong = [problem for key in own if key in theirs and (problem := _problem(key, theirs[key], own[key]))]
    if wrong or (strict and (missing or unexpected)):
        lists = (("missing", missing), ("unexpected", unexpected)) if strict else ()
        what = f"{source}" if named else "the state dict"
        text = "".join(_listed(title, keys) for title, keys in (*lists, ("of another shape", wrong)))
        raise FormatError(f"load_state_dict: {what} does not fit the model; nothing was written{text}")
    for key, array in own.items():
        if key in theirs:
            array[...] = theirs[key]
    return Keys(tuple(missing), tuple(unexpected))


def _renamed(given: Mapping[str, Array], rename: Rename | None) -> dict[str, Array]:
    """The arrays under our keys."""
    found: dict[str, Array] = {}
    for key, value in given.items():
        if not isinstance(value, np.ndarray):
            raise TypeError(f"load_state_dict: {key!r} must be a NumPy array, got {type(value).__name__}")
        ours = key if rename is None else rename(key) if callable(rename) else rename.get(key, key)
        if ours in found:
            raise ValueError(f"load_state_dict: rename gives two keys the name {ours!r}, one of them {key!r}")
        if ours is not None:
            found[ours] = value
    return found


def _problem(key: str, value: Array, own: Array) -> str:
    """Why the value cannot stand in the place of the model's own array; empty if it can."""
    if value.shape != own.shape:
        return f"{key} is {value.shape}, the model's {own.shape}"
    if (own.dtype.kind == "f") != (value.dtype.kind == "f") or value.dtype.kind not in "fiu":
        return f"{key} is {value.dtype}, the model's {own.dtype}"
    return ""


def _listed(title: str, keys: list[str]) -> str:
    """One line of the error; nothing where there is nothing to say."""
    more = f" ... and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"\n  {title}: {', '.join(keys[:SHOWN])}{more}" if keys else ""


def save_safetensors(model: Layer, path: str | os.PathLike[str]) -> None:
    """Write parameters and buffers under their keys, atomically, as PyTorch takes them.

    ``torch_model.load_state_dict(safetensors.torch.load_file(path))`` loads them into a network with the same keys;
    `num_batches_tracked` of batch norm is among them. The layers themselves are not in such a file: `save_model`
    writes one from which the model can be made again.

    Raises
    ------
    OSError
        If the file cannot be written. An older one is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from cnn_from_scratch.layers import BatchNorm1d
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_safetensors(BatchNorm1d(2), f"{folder}/norm.safetensors")
    ...     sorted(read_state_dict(f"{folder}/norm.safetensors"))
    ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """
    write_tensors(path, model.params | model.buffers, {"format": "pt"})
