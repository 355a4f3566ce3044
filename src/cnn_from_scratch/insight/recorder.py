"""A callback that records how filters come about, in memory that is bounded and stated beforehand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LimitError, ShapeError
from ..layers import Layer
from ..layers.predict import as_model_input
from ..training import Callback, Progress, StepResult
from ..training.callbacks import check_state
from ..training.losses import LossPair, as_loss
from ..typing import Array
from .moments import Moment, Selection, Size, every_second
from .recording import Recording

FEWEST = 4
"""Moments that must fit into the limit."""


class Recorder(Callback):
    """Keep filters, feature maps and losses of single examples as they change.

    A moment is kept before the first step, then every so many steps, and after the last. Where the next one would
    exceed the limit, every second is dropped and the distance doubles, so that the moments stay evenly spread however
    long the training is. The training itself is the same, bit by bit. An interrupted one leaves what there is.
    Filters alone cost next to no time (0.02 % of the training of `mnist_cnn`); a probe costs, at every moment, the
    prediction of its examples (100 of them every 10 steps, with maps: 10 %).

    Parameters
    ----------
    filters : str or sequence of str, optional
        Patterns over the keys of parameters with four axes, as ``"conv*.weight"``; the first such parameter if not
        given, ``()`` for none.
    maps : str or sequence of str
        Patterns over the keys of layers whose feature maps are kept; they need a probe.
    probe : x or (x, y), optional
        Examples that are sent through the model: feature maps of the first few, the loss of each where y is given.
    every : int
        Steps between two moments, at first.
    most, channels : int
        At most so many filters or maps are kept of each layer, and of a filter so many of its channels.
    images : int
        Feature maps are kept for so many of the probe's images.
    dtype : float16 or float32
        Of filters and maps. float16 keeps three digits; what is beyond 65504 becomes infinite.
    limit : int
        Bytes that the recording may take.
    loss : str or (forward, backward)
        As for `fit`.
    path : path, optional
        Written after every epoch and at the end, so that not even the end of the process takes everything away.

    Attributes
    ----------
    recording : Recording
        What there is so far; at any time.
    size : Size
        Known from the beginning of the training; `expect` tells it before.

    Raises
    ------
    LimitError
        At the beginning of the training, if fewer than four moments fit into the limit.
    ValueError
        If a pattern matches nothing.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d
    >>> print(Recorder(every=10).expect(Conv2d(1, 16, 3), steps=500))
    51 moments, every 10 steps, 0.02 MB
    """

    def __init__(
        self,
        filters: str | Sequence[str] | None = None,
        *,
        maps: str | Sequence[str] = (),
        probe: Array | tuple[Array, Array] | None = None,
        every: int = 10,
        most: int = 16,
        channels: int = 4,
        images: int = 4,
        dtype: npt.DTypeLike = np.float16,
        limit: int = 32 << 20,
        loss: str | LossPair = "cross_entropy",
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        for name, value in {"every": every, "most": most, "channels": channels, "images": images}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Recorder: {name} must be an int >= 1, got {value!r}")
        if np.dtype(dtype) not in (np.dtype(np.float16), np.dtype(np.float32)):
            raise TypeError(f"Recorder: dtype must be float16 or float32, got {np.dtype(dtype)}")
        self.every, self.images, self.dtype, self.limit, self.path = every, images, np.dtype(dtype), limit, path
        self.x: Array | None
        self.y: Array | None
        self.x, self.y = probe if isinstance(probe, tuple) else (probe, None)
        if self.x is None and (maps or self.y is not None):
            raise ValueError("Recorder: feature maps are those of a probe; give probe=x or probe=(x, y)")
        if self.x is not None and self.y is not None and len(self.x) != len(self.y):
            raise ShapeError(f"Recorder: the probe has {len(self.x)} examples and {len(self.y)} targets")
        self._what = Selection(filters, maps, most, channels, images, self.dtype, as_loss(loss))
        self.size: Size | None = None
        self._forget()

    def _forget(self) -> None:
        self._moments: list[Moment] = []
        self._steps, self._distance = 0, self.every
        self._sum, self._count = 0.0, 0

    # --- when ---------------------------------------------------------------------------------------------------

    def expect(self, model: Layer, steps: int) -> Size:
        """What a training of so many steps would take."""
        return self._size_of(self._moment(model), steps)

    def on_train_begin(self, progress: Progress) -> None:
        """Forget an earlier training; keep the first moment."""
        self._forget()
        first = self._moment(progress.model)
        self.size = self._size_of(first, progress.steps_per_epoch * progress.epochs)
        self._moments = [first]

    def on_step_end(self, progress: Progress, result: StepResult) -> None:
        """Keep a moment if it is time to."""
        self._steps += 1
        self._sum, self._count = self._sum + result.loss, self._count + 1
        if self._steps % self._distance == 0:
            self._keep(progress.model)

    def on_epoch_end(self, progress: Progress, row: dict[str, Any]) -> bool:
        """Write the file."""
        self._write()
        return False

    def on_train_end(self, progress: Progress) -> None:
        """Keep the last moment, also of a training that was interrupted, and write the file."""
        if self._moments and self._moments[-1].steps != self._steps:
            self._moments.append(self._take(progress.model))
        self._write()

    def state_dict(self) -> dict[str, Any]:
        """All moments so far, and what there is of the next one."""
        return {
            **{name: [getattr(moment, name) for moment in self._moments] for name in ("steps", "loss", "taken")},
            "arrays": self._stacked(),
            "now": [self._steps, self._distance, self._sum, self._count],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Callback.load_state_dict`; what is kept of a moment must be what was kept before."""
        check_state("Recorder", state, {"steps": list, "loss": list, "taken": list, "arrays": dict, "now": list})
        arrays = state["arrays"]
        now, before = _kinds(self._stacked()), _kinds(arrays)
        if now != before:
            raise ValueError(f"Recorder.load_state_dict: it keeps {now} of a moment, but it kept {before}")
        self._moments = [
            Moment(steps, {key: array[i] for key, array in arrays.items()}, loss, taken)
            for i, (steps, loss, taken) in enumerate(zip(state["steps"], state["loss"], state["taken"], strict=True))
        ]
        self._steps, self._distance, self._sum, self._count = state["now"]

    @property
    def recording(self) -> Recording:
        """What there is so far."""
        if not self._moments:
            raise ValueError("Recorder: nothing is recorded yet; give it to fit as one of its callbacks")
        moments, arrays = self._moments, self._stacked()
        with np.errstate(invalid="ignore"):
            loss = np.array([m.loss for m in moments]) / np.array([m.taken for m in moments])
        kinds = [
            {key.removeprefix(kind): a for key, a in arrays.items() if key.startswith(kind)}
            for kind in ("filters/", "maps/")
        ]
        x, y = self.x, self.y
        return Recording(
            steps=np.array([moment.steps for moment in moments], np.int64),
            loss=loss.astype(np.float32),
            filters=kinds[0],
            maps=kinds[1],
            losses=arrays.get("losses", np.zeros((len(moments), 0), np.float32)),
            images=np.zeros((0, 1, 1, 1), np.float32) if x is None else np.ascontiguousarray(x[: self.images]),
            targets=np.zeros(0, np.int64) if y is None else np.ascontiguousarray(y),
        )

    def _stacked(self) -> dict[str, Array]:
        """The arrays of all moments, one behind the other."""
        keys = self._moments[0].arrays if self._moments else ()
        return {key: np.stack([moment.arrays[key] for moment in self._moments]) for key in keys}

    # --- how ----------------------------------------------------------------------------------------------------

    def _size_of(self, moment: Moment, steps: int) -> Size:
        """Moments at distances that double until they fit."""
        room = self._room(moment)
        every = self.every
        while 1 + -(-steps // every) > room:
            every *= 2
        moments = 1 + -(-steps // every)
        return Size(moments, every, moment.nbytes, moments * moment.nbytes)

    def _room(self, moment: Moment) -> int:
        """How many moments fit into the limit."""
        room = self.limit // moment.nbytes
        if room < FEWEST:
            raise LimitError(
                f"Recorder: one moment takes {moment.nbytes} bytes and {FEWEST} of them must fit into "
                f"limit={self.limit}; keep fewer filters, maps or examples, or raise the limit"
            )
        return room

    def _keep(self, model: Layer) -> None:
        """One moment more; before there is no room for it and a last one, every second is dropped."""
        moment = self._take(model)
        if len(self._moments) + 2 > self._room(moment):
            self._moments.append(moment)
            self._moments = list(every_second(self._moments))
            self._distance *= 2
            if self._moments[-1].steps != moment.steps:  # its losses count for the next one
                self._sum, self._count = moment.loss, moment.taken
            return
        self._moments.append(moment)

    def _take(self, model: Layer) -> Moment:
        """The present state with the losses since the moment before."""
        moment = self._moment(model)._replace(steps=self._steps, loss=self._sum, taken=self._count)
        self._sum, self._count = 0.0, 0
        return moment

    def _moment(self, model: Layer) -> Moment:
        """The present state of a model."""
        with np.errstate(all="ignore"):
            arrays = self._what.filters_of(model)
            if self.x is not None:
                arrays |= self._what.answers_to(model, as_model_input("Recorder", model, self.x), self.y)
        return Moment(0, arrays, 0.0, 0)

    def _write(self) -> None:
        if self.path is not None and self._moments:
            self.recording.save(self.path)


def _kinds(arrays: Mapping[str, Array]) -> dict[str, str]:
    """Dtype and shape of what is kept of each moment."""
    return {key: f"{array.dtype}{list(array.shape[1:])}" for key, array in arrays.items()}
