"""What a training left behind, moment by moment: filters, feature maps, and the loss of every probed example."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import FormatError
from ..formats.tensors import read_tensors, write_tensors
from ..typing import Array

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "cnn_from_scratch recording 1"

EDGES = (0.1, 0.5, 0.9)
"""Shares of the probed examples below whose losses the others lie: a band and its middle."""


class Recording(NamedTuple):
    """T moments of a training. Made by `Recorder`, kept in one file.

    Examples
    --------
    >>> empty = np.zeros((2, 0), np.float32)
    >>> steps, loss = np.array([0, 10]), np.array([np.nan, 0.5], np.float32)
    >>> filters = {"0.weight": np.zeros((2, 1, 1, 3, 3), np.float16)}
    >>> recording = Recording(steps, loss, filters, {}, empty, np.zeros((0, 1, 8, 8), np.float32), np.zeros(0))
    >>> len(recording.steps), recording.nbytes
    (2, 60)
    """

    steps: Array  # (T,)  how many steps had been taken
    loss: Array  # (T,)  mean training loss of the steps since the moment before; NaN at the first
    filters: dict[str, Array]  # key of the parameter to (T, F, C, KH, KW)
    maps: dict[str, Array]  # key of the layer to (T, images, C, H, W)
    losses: Array  # (T, N)  of each probed example; N = 0 without targets
    images: Array  # (images, C, H, W)  those whose feature maps are kept
    targets: Array  # (N,) or (N, ...)

    @property
    def nbytes(self) -> int:
        """Bytes of all that grows with the number of moments."""
        return sum(a.nbytes for a in (self.steps, self.loss, self.losses, *self.filters.values(), *self.maps.values()))

    def to_frame(self) -> pd.DataFrame:
        """One row a moment: steps, training loss, and where the losses of the probed examples lie."""
        import pandas as pd

        columns = {"steps": self.steps, "loss": self.loss}
        if self.losses.shape[1]:
            columns |= dict(zip(("probe_low", "probe_median", "probe_high"), self.probe_band(), strict=True))
        return pd.DataFrame(columns)

    def probe_band(self) -> Array:
        """(3, T): the losses that a tenth, a half and nine tenths of the probed examples lie below."""
        found: Array = np.quantile(self.losses, EDGES, axis=1)
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written; an older one is untouched.
        """
        arrays = {name: getattr(self, name) for name in ("steps", "loss", "losses", "images", "targets")}
        arrays |= {f"filters/{key}": value for key, value in self.filters.items()}
        arrays |= {f"maps/{key}": value for key, value in self.maps.items()}
        write_tensors(path, arrays, {"format": FORMAT})

    def __str__(self) -> str:
        kept = [f"{key} {value.shape[1:]}" for key, value in (self.filters | self.maps).items()]
        first, last = (int(self.steps[0]), int(self.steps[-1])) if len(self.steps) else (0, 0)
        return f"{len(self.steps)} moments from step {first} to {last}: {', '.join(kept)}; {self.nbytes / 1e6:.2f} MB"


def load_recording(path: str | os.PathLike[str]) -> Recording:
    """Read what `Recording.save` has written; arrays are read-only.

    Raises
    ------
    FormatError
        If the file is no recording, or not a whole one.
    FileNotFoundError
        If there is none.
    """
    arrays, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise FormatError(f"{path}: not a recording: its format is {metadata.get('format')!r}, expected {FORMAT!r}")
    try:
        plain = {name: arrays[name] for name in ("steps", "loss", "losses", "images", "targets")}
    except KeyError as error:
        raise FormatError(f"{path}: a recording without {error}") from error
    filters, maps = (
        {name.removeprefix(kind): value for name, value in arrays.items() if name.startswith(kind)}
        for kind in ("filters/", "maps/")
    )
    return Recording(filters=filters, maps=maps, **plain)
