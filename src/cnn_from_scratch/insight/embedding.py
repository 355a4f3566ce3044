"""A layer's activations as points in the plane: principal components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..data import Normalization
from ..errors import ShapeError
from ..layers import Layer
from ..layers.predict import as_model_input, require_floats
from ..ops.utils import check_rank, check_shape
from ..optim.checks import check_count
from ..typing import Array
from . import style
from .until import model_until

COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.YELLOW, style.PINK, style.SKY, style.INK)
MARKERS = "o^sDvPX"
"""Of the classes: first all colours with the first marker, then with the next."""

MOST_NAMES = 16
"""In one column beside the picture."""


class Embedding(NamedTuple):
    """The principal components of N vectors of F numbers."""

    coordinates: Array  # (N, components): where each vector lies along each component
    components: Array  # (components, F): directions of length 1, at right angles, the one of most variance first
    mean: Array  # (F,)
    variance: Array  # (components,): of the coordinates, divided by N - 1
    share: Array  # (components,): of the variance of all F numbers

    def transform(self, vectors: Array) -> Array:
        """(vectors - mean) @ components^T: coordinates of other vectors, (M, components)."""
        check_shape("Embedding.transform", "vectors", vectors, (len(vectors), len(self.mean)))
        coordinates: Array = (vectors - self.mean) @ self.components.T
        return coordinates

    def reconstruct(self, coordinates: Array | None = None) -> Array:
        """mean + coordinates @ components: the vectors of these coordinates, or those nearest to the original ones."""
        coordinates = self.coordinates if coordinates is None else coordinates
        vectors: Array = self.mean + coordinates @ self.components
        return vectors


def pca(vectors: Array, components: int = 2) -> Embedding:
    """vectors - mean = U S V^T;  components = the first rows of V^T,  coordinates = U S,  variance = S^2 / (N - 1)

    The sign of a component is free. Here the entry of largest absolute value is positive, the first one of equals.

    Parameters
    ----------
    vectors : (N, F)
        float32 or float64; N at least 2.
    components : int
        How many, at most min(N, F).

    Returns
    -------
    Embedding
        In the dtype of the vectors.

    Raises
    ------
    TypeError
        If vectors are not floating.
    ShapeError
        If vectors are not (N, F) with N of at least 2.
    ValueError
        If components is not in 1..min(N, F).

    References
    ----------
    Pearson: On lines and planes of closest fit to systems of points in space (1901). Jolliffe: Principal Component
    Analysis (2002), section 3.5, for the singular value decomposition.

    Examples
    --------
    Points on a line through (1, 2) in the direction of (3, 4) / 5:

    >>> found = pca(np.array([[-2.0, -2.0], [1.0, 2.0], [4.0, 6.0]]), 1)
    >>> found.components.round(3), found.coordinates.round(3).ravel(), found.mean
    (array([[0.6, 0.8]]), array([-5.,  0.,  5.]), array([1., 2.]))
    >>> found.variance.round(3), found.share.round(3)
    (array([25.]), array([1.]))
    """
    require_floats("pca", vectors)
    check_rank("pca", "vectors", vectors, "N F")
    N, F = vectors.shape
    if N < 2:
        raise ShapeError(f"pca: vectors must be (N, F) with N >= 2, got shape {vectors.shape}")
    check_count("pca", "components", components)
    if components > min(N, F):
        raise ValueError(f"pca: components must be in 1..{min(N, F)} for vectors {vectors.shape}, got {components}")
    mean = vectors.mean(0, dtype=np.float64).astype(vectors.dtype)
    u, s, v = np.linalg.svd(vectors - mean, full_matrices=False)
    variance = s**2 / (N - 1)
    share = variance / (variance.sum() or 1)
    u, s, v = u[:, :components], s[:components], v[:components]
    largest = np.abs(v).argmax(1)
    sign = np.where(v[np.arange(components), largest] < 0, -1, 1).astype(v.dtype)
    coordinates, directions = u * (s * sign), v * sign[:, None]
    return Embedding(coordinates, np.ascontiguousarray(directions), mean, variance[:components], share[:components])


def embed_layer(
    model: Layer,
    images: Array,
    key: str | None = None,
    *,
    components: int = 2,
    normalization: Normalization | None = None,
    batch_size: int = 256,
) -> Embedding:
    """`pca` of what a layer gives for images, each image's output as one vector

    Parameters
    ----------
    model : Layer
    images : (N, C, H, W)
        Floating; at least two.
    key : str, optional
        Which layer, as ``"fc1"``; the model's own output if not given. The output of an early one has many numbers:
        memory and time grow with N^2 times their count.
    components : int
        How many.
    normalization : Normalization, optional
        What is done to images before the model sees them. Without it the model takes the images as they are.
    batch_size : int
        How many images run at a time.

    Returns
    -------
    Embedding

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `pca`; and if there is no such layer, or images do not fit into the model.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Flatten
    >>> embed_layer(Flatten(), np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)).share.round(2)
    array([0.5, 0.5], dtype=float32)
    """
    check_rank("embed_layer", "images", images, "N C H W")
    part = model_until(model, key)
    x = as_model_input("embed_layer", part, images)
    y = part.predict(x if normalization is None else normalization.apply(x), batch_size=batch_size)
    return pca(y.reshape(len(y), -1), components)


def plot_embedding(found: Embedding, labels: Array, *, classes: Sequence[str] | None = None, layer: str = "") -> Figure:
    """The first two coordinates of every example, in the colour of its class.

    Parameters
    ----------
    found : Embedding
        Of at least two components.
    labels : (N,) of int
        The class of each example.
    classes : sequence of str, optional
        Names of the classes; numbers if not given.
    layer : str
        Which layer it was, for the title.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeError
        If there are fewer than two components, or not one label for each example.
    """
    if found.coordinates.shape[1] < 2:
        raise ShapeError(f"plot_embedding: two components are needed, got {found.coordinates.shape[1]}")
    check_shape("plot_embedding", "labels", labels, found.coordinates.shape[:1])
    shares = [style.percent(float(share)) for share in found.share[:2]]
    title = f"Activations of {layer} along their two main directions" if layer else "Activations along two directions"
    figure = style.new_figure(6.4, 4.6, title, "A point for each image. Images that are alike to the layer lie close.")
    ax = figure.subplots()
    style.chart(ax, f"second direction: {shares[1]} of the variance", f"first direction: {shares[0]} of the variance")
    for i, label in enumerate(np.unique(labels)):
        across, down = found.coordinates[labels == label, :2].T
        name = str(label) if classes is None else style.short(classes[label], 16)
        shape, colour = MARKERS[i // len(COLOURS) % len(MARKERS)], COLOURS[i % len(COLOURS)]
        ax.scatter(across, down, 16, colour, marker=shape, alpha=0.75, linewidths=0, label=name)
    columns = -(-len(np.unique(labels)) // MOST_NAMES)
    legend = ax.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), ncols=columns, frameon=False, fontsize=8.5, handletextpad=0.2
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
