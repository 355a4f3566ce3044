"""What a report is made of: the model, the images it is tried on, and what its training has left on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...layers import Container, Layer
from ...layers.containers import named_layers
from ...layers.summary import Summary, summarize
from ...training import Evaluation, History
from ...typing import Array
from ..trace import Trace, trace


@dataclass(frozen=True, eq=False, repr=False)
class Tried:
    """A model on the test images.

    Attributes
    ----------
    evaluation : Evaluation
        What `evaluate` returned for all of them.
    images : callable
        ``images(indices)`` gives some of them, (n, C, H, W) in [0, 1].
    shown : int
        The place of the one that is followed through the network.
    """

    evaluation: Evaluation
    images: Callable[[Array], Array]
    shown: int


@dataclass(frozen=True, eq=False, repr=False)
class Material:
    """Everything that a report needs; what is not there is None or empty, and its section says so.

    Attributes
    ----------
    name : str
        Of the run.
    model : Layer
        Gives (N, K): a logit for each class.
    classes : sequence of str
    input_shape : (C, H, W)
    prepare : callable
        ``prepare(images)`` makes of images in [0, 1] what the model takes.
    tried : Tried, optional
        On test images.
    batch : (x, y), optional
        Some training images as the model takes them, for one step back.
    missing : str
        Why there are no images.
    history : History
        Empty if none was kept.
    recorded : mapping
        What metrics.json says.
    command : str
        Which makes the run again; "" where it is not known.
    notes : sequence of str
        What the run says of itself: that it was interrupted, or is for other versions.
    environment : mapping
        Versions and the like, by name.
    """

    name: str
    model: Layer
    classes: Sequence[str]
    input_shape: tuple[int, int, int]
    prepare: Callable[[Array], Array]
    tried: Tried | None = None
    batch: tuple[Array, Array] | None = None
    missing: str = ""
    history: History = field(default_factory=History)
    recorded: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    notes: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    mistakes: int = 12

    @cached_property
    def summary(self) -> Summary:
        """Shapes, parameters and costs, layer by layer."""
        return summarize(self.model, self.input_shape)

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """Every single layer by its key, from the first to the last."""
        return {key: layer for key, layer in named_layers(self.model) if not isinstance(layer, Container)}

    @cached_property
    def image(self) -> Array:
        """The image (C, H, W) that is followed; grey where there is none."""
        if self.tried is None:
            return np.full(self.input_shape, 0.5, np.float32)
        image: Array = self.tried.images(np.array([self.tried.shown]))[0]
        return image

    @cached_property
    def seen(self) -> Trace:
        """That image on its way through the layers."""
        return trace(self.model, self.prepare(self.image[None]))


class MissingPart(Exception):  # noqa: N818
    """Why a section has nothing to show."""
