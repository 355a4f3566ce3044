"""One moment of a training: what is kept of it, and which of many are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..layers import Context, Layer
from ..layers.containers import named_layers
from ..layers.predict import in_fast_order, predict
from ..training.losses import Loss
from ..typing import Array


class Moment(NamedTuple):
    """The state of a training after so many steps."""

    steps: int
    arrays: dict[str, Array]  # "filters/KEY", "maps/KEY", "losses"
    loss: float  # sum of the training losses since the moment before
    taken: int  # how many steps that were

    @property
    def nbytes(self) -> int:
        """What it takes in memory and in the file."""
        return sum(array.nbytes for array in self.arrays.values()) + 12  # steps and loss


class Size(NamedTuple):
    """What a recording is going to take."""

    moments: int
    every: int  # steps from one to the next
    moment_bytes: int
    nbytes: int

    def __str__(self) -> str:
        return f"{self.moments} moments, every {self.every} steps, {self.nbytes / 1e6:.2f} MB"


class Selection(NamedTuple):
    """What is kept of a model."""

    filters: str | Sequence[str] | None
    maps: str | Sequence[str]
    most: int
    channels: int
    images: int
    dtype: np.dtype[Any]
    loss: Loss

    def filters_of(self, model: Layer) -> dict[str, Array]:
        """The first filters and channels of those parameters with four axes that are wanted."""
        keys = [key for key, value in model.params.items() if value.ndim == 4]
        keys = keys[:1] if self.filters is None else _matching("filters", self.filters, keys)
        return {f"filters/{key}": self._small(model.params[key][: self.most, : self.channels]) for key in keys}

    def answers_to(self, model: Layer, x: Array, y: Array | None) -> dict[str, Array]:
        """Feature maps of the first images, and the loss of every example."""
        found: dict[str, Array] = {}
        wanted = _matching("maps", self.maps, [key for key, _ in named_layers(model)])

        def tap(key: str, phase: str, values: Mapping[str, Any]) -> None:
            if key in wanted:
                if values["output"].ndim != 4:
                    raise ShapeError(f"Recorder: maps={key!r} gives no images but {values['output'].shape}")
                found[f"maps/{key}"] = self._small(values["output"][:, : self.most])

        if wanted:
            model.forward(in_fast_order(x[: self.images]), Context(tap=tap))
        if y is not None:
            y = y.astype(model.dtype) if y.dtype.kind == "f" else y
            losses, _ = self.loss.forward(predict(model, x, shards=1), y, reduction="none")
            found["losses"] = np.asarray(losses, np.float32).reshape(len(x), -1).mean(1)
        return found

    def _small(self, values: Array) -> Array:
        """A C-contiguous copy in the dtype of the recording."""
        return values.astype(self.dtype, order="C")


def every_second(moments: Sequence[Moment]) -> Iterator[Moment]:
    """The first, third, fifth ...; the losses of those between are added to the next."""
    for i in range(0, len(moments), 2):
        if i == 0:
            yield moments[0]
        else:
            dropped, kept = moments[i - 1], moments[i]
            yield kept._replace(loss=kept.loss + dropped.loss, taken=kept.taken + dropped.taken)


def _matching(argument: str, patterns: str | Sequence[str], keys: Sequence[str]) -> list[str]:
    """The keys that one of the patterns matches; each pattern must match one."""
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in wanted:
        if not any(fnmatchcase(key, pattern) for key in keys):
            raise ValueError(f"Recorder: {argument}={pattern!r} matches none of the keys {', '.join(keys)}")
    return [key for key in keys if any(fnmatchcase(key, pattern) for pattern in wanted)]
