"""The pictures that `cnn show` knows: what each is made of, and which options mean something to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from .. import insight
from ..insight.feature_picture import SAME_NUMBERS
from ..insight.spatial_layers import POOLS
from ..layers import Container
from ..layers.containers import named_layers
from ..typing import Array
from .own_data import OwnData, Subject, find_subject
from .saved_run import Run

MOST_UNITS, MOST_CHANNELS, MOST_LAYERS = 16, 8, 6
"""So many images are made for the units of a layer, rows of patches shown, and layers inverted."""

STEPS = 300
"""Of gradient ascent or descent to an image."""

MOST_SEARCHED, MOST_POINTS = 5000, 1000
"""So many test images are searched for patches, and shown as points."""


class Scene:
    """A run, and what of it is to be shown; images are loaded when a picture first needs them."""

    def __init__(
        self,
        run: Run,
        data: OwnData,
        *,
        picture: Path | None = None,
        index: int | None = None,
        layer: str | None = None,
        target: int | None = None,
    ) -> None:
        self.run, self.data, self.layer, self.target = run, data, layer, target
        self.picture, self.index = picture, index

    @cached_property
    def subject(self) -> Subject:
        """The image."""
        return find_subject(self.data, self.picture, self.index)

    @property
    def x(self) -> Array:
        """The image as the model takes it, (1, C, H, W)."""
        return self.run.normalization.apply(self.subject.image[None])

    @cached_property
    def trace(self) -> insight.Trace:
        """One pass forward and backward, with the loss by `right`."""
        return insight.trace(self.run.model, self.x, np.array([self.right]))

    @property
    def right(self) -> int:
        """The class that the loss is measured by: the one asked for, else that of the image, else the likeliest."""
        if self.target is not None:
            return self.target
        known = self.subject.label
        return int(self.subject.probabilities.argmax()) if known is None else known


class Kind(NamedTuple):
    """A kind of picture."""

    draw: Callable[[Scene], Figure]
    of_image: bool = False  # whether it shows the image
    by_layer: bool = False  # whether --layer says something to it
    by_class: bool = False  # whether --class does


def _filters(scene: Scene) -> Figure:
    return insight.plot_filters(scene.run.model, scene.layer)


def _maps(scene: Scene) -> Figure:
    return insight.plot_feature_maps(scene.run.model, scene.x, image=scene.subject.image, classes=scene.run.classes)


def _trace(scene: Scene) -> Figure:
    return insight.plot_trace(scene.trace, image=scene.subject.image, classes=scene.run.classes)


def _attribution(plot: Callable[..., Figure]) -> Callable[[Scene], Figure]:
    """One of the pictures that say where in the image a class is seen."""

    def draw(scene: Scene) -> Figure:
        run, image = scene.run, scene.subject.image
        return plot(run.model, scene.x, scene.target, image=image, classes=run.classes)

    return draw


def _gradcam(scene: Scene) -> Figure:
    run, image = scene.run, scene.subject.image
    return insight.plot_gradcam(run.model, scene.x, scene.target, key=scene.layer, image=image, classes=run.classes)


def _attributions(scene: Scene) -> Figure:
    run, images = scene.run, scene.subject.image[None]
    return insight.plot_attributions(run.model, scene.x, scene.target, images=images, classes=run.classes)


def _activation(scene: Scene) -> Figure:
    run, shape = scene.run, _output_shape(scene.run, scene.layer)
    units = list(range(min(MOST_UNITS, shape[0])))
    if scene.layer is None and scene.target is not None:
        units = [scene.target]
    found = insight.maximize_activation(
        run.model,
        units,
        run.input_shape,
        key=scene.layer,
        position="center" if len(shape) == 3 else None,  # the mean over a map is excited by any texture
        normalization=run.normalization,
        steps=STEPS,
    )
    _go_on(found.history)
    names = None if scene.layer is not None else [run.classes[unit] for unit in units]
    return insight.plot_activation_maxima(found, names=names)


def _inversion(scene: Scene) -> Figure:
    run, image = scene.run, scene.subject.image[None]
    found = {}
    for key in [scene.layer] if scene.layer is not None else _telling_layers(run):
        found[key] = insight.invert_features(run.model, image, key, normalization=run.normalization, steps=STEPS)
        _go_on(found[key].history)
    return insight.plot_feature_inversion(image, found)


def _go_on(history: Array) -> None:
    """Raise KeyboardInterrupt after Ctrl-C, which ends a search early with what it has: here it means to leave."""
    if len(history) < STEPS:
        raise KeyboardInterrupt


def _patches(scene: Scene) -> Figure:
    run, images = scene.run, scene.data.test_images(MOST_SEARCHED).x
    key = _patch_layer(run) if scene.layer is None else scene.layer
    channels = list(range(min(MOST_CHANNELS, _output_shape(run, key)[0])))
    found = insight.top_patches(run.model, images, channels, key, normalization=run.normalization)
    return insight.plot_top_patches(found)


def _embedding(scene: Scene) -> Figure:
    run, test = scene.run, scene.data.test_images(MOST_POINTS)
    found = insight.embed_layer(run.model, test.x, scene.layer, normalization=run.normalization)
    return insight.plot_embedding(found, test.y, classes=run.classes, layer=scene.layer or "the output")


def _output_shape(run: Run, key: str | None) -> tuple[int, ...]:
    return insight.model_until(run.model, key).output_shape(run.input_shape)


def _patch_layer(run: Run) -> str:
    """The last layer with maps that sees at most two thirds of an image's sides; pools add nothing."""
    last = insight.last_spatial_layer(run.model, run.input_shape)
    layers = dict(named_layers(run.model))
    keys = list(layers)[: list(layers).index(last) + 1]
    for key in reversed([key for key in keys if not isinstance(layers[key], (Container, *POOLS))]):
        size = insight.receptive_windows(run.model, run.input_shape, key).size
        if all(3 * seen <= 2 * side for seen, side in zip(size, run.input_shape[1:], strict=True)):
            return key
    return last


def _telling_layers(run: Run) -> list[str]:
    """Some layers from the first to the last, of those that change the numbers."""
    layers = [(key, layer) for key, layer in named_layers(run.model) if not isinstance(layer, Container)]
    keys = [key for key, layer in layers if type(layer).__name__ not in SAME_NUMBERS]
    places = np.linspace(0, len(keys) - 1, min(len(keys), MOST_LAYERS)).round().astype(int)
    return [keys[i] for i in places]


KINDS: dict[str, Kind] = {
    "filters": Kind(_filters, by_layer=True),
    "maps": Kind(_maps, of_image=True),
    "trace": Kind(_trace, of_image=True, by_class=True),
    "saliency": Kind(_attribution(insight.plot_saliency), of_image=True, by_class=True),
    "guided": Kind(_attribution(insight.plot_guided_backpropagation), of_image=True, by_class=True),
    "integrated": Kind(_attribution(insight.plot_integrated_gradients), of_image=True, by_class=True),
    "smoothgrad": Kind(_attribution(insight.plot_smoothgrad), of_image=True, by_class=True),
    "occlusion": Kind(_attribution(insight.plot_occlusion), of_image=True, by_class=True),
    "gradcam": Kind(_gradcam, of_image=True, by_layer=True, by_class=True),
    "attributions": Kind(_attributions, of_image=True, by_class=True),
    "activation": Kind(_activation, by_layer=True, by_class=True),
    "inversion": Kind(_inversion, of_image=True, by_layer=True),
    "patches": Kind(_patches, by_layer=True),
    "embedding": Kind(_embedding, by_layer=True),
}
"""Every kind by its name."""
