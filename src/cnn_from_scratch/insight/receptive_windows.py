"""Which window of the image each position of a layer's output looks at, past the edge where there is padding."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from .. import layers
from ..errors import ShapeError
from ..layers import Layer
from ..ops.utils import conv_geometry, pair
from ..typing import Array, Sides
from .until import model_until

Shape = tuple[int, ...]

PIXELWISE = (
    *(layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.GELU, layers.SiLU, layers.Sigmoid, layers.Tanh),
    *(layers.ReLU6, layers.Softplus, layers.Dropout, layers.Identity, layers.BatchNorm2d),
)
"""Layers whose output pixel depends on the same pixel alone, in evaluation."""


class ReceptiveWindows(NamedTuple):
    """Output (oh, ow) depends on the pixels rows[oh, 0] <= h < rows[oh, 1] and columns[ow, 0] <= w < columns[ow, 1].

    Places below 0, or from H or W on, lie in the padding. There may be gaps in between, by dilation or stride.
    """

    rows: Array  # (OH, 2)
    columns: Array  # (OW, 2)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the largest window."""
        return int(np.ptp(self.rows, axis=1).max()), int(np.ptp(self.columns, axis=1).max())


def receptive_windows(model: Layer, input_shape: Shape, key: str | None = None) -> ReceptiveWindows:
    """The window on the image of every position of a layer's output, through all layers before it.

    ::

        first[o] = min_k first'[o*stride - padding + k*dilation],  end[o] = max_k end'[o*stride - padding + k*dilation]

    for a layer behind one with first' and end'. Where that reaches beyond the maps of the layer before, first' and end'
    go on with their step, so that windows at the edge are as large as all others.

    Parameters
    ----------
    model : Layer
    input_shape : (C, H, W)
    key : str, optional
        Which layer, as ``"conv2"``; the model's own output if not given.

    Returns
    -------
    ReceptiveWindows
        Behind a layer that mixes all positions, such as Linear, GroupNorm, or one that is not known here, the whole
        image. A layer that gives numbers and no maps has one position. Behind a `ReflectionPad2d`, windows at the edge
        may be larger than what is seen; never smaller.

    Raises
    ------
    ShapeError
        If the shape is not (C, H, W), or does not fit into the model.
    ValueError
        If there is no such layer.

    References
    ----------
    Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks (2019).
    https://doi.org/10.23915/distill.00021

    Examples
    --------
    >>> from cnn_from_scratch.layers import Conv2d, MaxPool2d, Sequential
    >>> model = Sequential(Conv2d(1, 1, 3, padding=1), MaxPool2d(2), Conv2d(1, 1, 3, padding=1))
    >>> receptive_windows(model, (1, 4, 4)).rows.tolist()
    [[-3, 5], [-1, 7]]
    """
    if len(input_shape) != 3:
        raise ShapeError(f"receptive_windows: input_shape must be (C, H, W), got {tuple(input_shape)}")
    part = model_until(model, key)
    rows, columns = _through(part, tuple(input_shape), (_pixels(input_shape[1]), _pixels(input_shape[2])))
    return ReceptiveWindows(*(np.stack([axis.first, axis.end], 1) for axis in (rows, columns)))


class _Axis(NamedTuple):
    """One axis of some maps: what each place sees of the image, and how far that moves from one place to the next."""

    first: Array
    end: Array
    step: float
    image: int  # length of this axis of the image

    def behind(self, places: Array, step: float) -> _Axis:
        """The same for outputs that see these places, (K, outputs), the next one `step` places on."""
        inside = places.clip(0, len(self.first) - 1)
        beyond = (places - inside) * self.step
        first = self.first[inside] + np.floor(beyond).astype(np.intp)
        end = self.end[inside] + np.ceil(beyond).astype(np.intp)
        return _Axis(first.min(0), end.max(0), self.step * step, self.image)


Axes = tuple[_Axis, _Axis]


def _pixels(size: int) -> _Axis:
    """The image itself."""
    return _Axis(np.arange(size), np.arange(size) + 1, 1.0, size)


def _through(layer: Layer, shape: Shape, axes: Axes) -> Axes:
    """What the outputs of a layer see of the image, if its inputs see `axes`."""
    if isinstance(layer, layers.Sequential):
        for name, before in layer.child_inputs(shape):
            axes = _through(layer.children[name], before, axes)
        return axes
    if isinstance(layer, layers.Residual | layers.Concat):
        ways = [_through(child, shape, axes) for child in layer.children.values()]
        return _together(ways + ([axes] if isinstance(layer, layers.Residual) and layer.shortcut is None else []))
    after = layer.output_shape(shape)
    if isinstance(layer, PIXELWISE) or (isinstance(layer, layers.Softmax) and layer.dim in (1, -3)):
        return axes
    if len(shape) != 3 or len(after) != 3:
        return _whole(axes[0], 1), _whole(axes[1], 1)
    return tuple(_along(layer, shape, after, axes[i], i) for i in (0, 1))  # type: ignore[return-value]


def _together(ways: list[Axes]) -> Axes:
    """What can be seen on one way or another."""
    rows, columns = (
        axes[0]._replace(first=np.min([a.first for a in axes], axis=0), end=np.max([a.end for a in axes], axis=0))
        for axes in zip(*ways, strict=True)
    )
    return rows, columns


def _whole(axis: _Axis, count: int) -> _Axis:
    """Every output sees the whole image."""
    return _Axis(np.zeros(count, np.intp), np.full(count, axis.image), 0.0, axis.image)


def _along(layer: Layer, shape: Shape, after: Shape, axis: _Axis, i: int) -> _Axis:
    """One axis through a layer from maps to maps."""
    size, outputs = shape[1 + i], np.arange(after[1 + i])
    if isinstance(layer, layers.Conv2d | layers.MaxPool2d | layers.AvgPool2d):
        return axis.behind(*_window(layer, (shape[1], shape[2]), outputs, i))
    if isinstance(layer, layers.ConvTranspose2d):
        return axis.behind(*_transposed(layer, outputs, i))
    if isinstance(layer, layers.ReflectionPad2d | layers.ReplicationPad2d):
        mode: Literal["reflect", "edge"] = "reflect" if isinstance(layer, layers.ReflectionPad2d) else "edge"
        return axis.behind(np.pad(np.arange(size), _sides(layer)[i], mode)[None], 1.0)
    if isinstance(layer, layers.ZeroPad2d):
        return axis.behind(outputs[None] - _sides(layer)[i][0], 1.0)
    if isinstance(layer, layers.Upsample):
        factor = pair("receptive_windows", "scale_factor", layer.scale_factor, minimum=1)[i]
        return axis.behind(outputs[None] // factor, 1 / factor)
    if isinstance(layer, layers.AdaptiveAvgPool2d):  # and its kin
        low, high = outputs * size // len(outputs), -((outputs + 1) * -size // len(outputs)) - 1
        reach = np.arange(int((high - low).max(initial=0)) + 1)[:, None]
        return axis.behind(np.minimum(low + reach, high), size / len(outputs))
    return _whole(axis, len(outputs))


def _window(
    layer: layers.Conv2d | layers.MaxPool2d | layers.AvgPool2d, size: tuple[int, int], outputs: Array, i: int
) -> tuple[Array, float]:
    """o*stride - padding + k*dilation for all k, (K, outputs), and the stride."""
    window = conv_geometry(
        "receptive_windows",
        size,
        layer.kernel_size,
        layer.kernel_size if layer.stride is None else layer.stride,
        layer.padding,
        layer.dilation,
        ceil_mode=getattr(layer, "ceil_mode", False),
    )
    k = np.arange(window.kernel[i])[:, None]
    return outputs * window.stride[i] - window.padding[i][0] + k * window.dilation[i], window.stride[i]


def _transposed(layer: layers.ConvTranspose2d, outputs: Array, i: int) -> tuple[Array, float]:
    """All h with h*stride + k*dilation - padding = o, and what a stride is worth; the nearest h where there is none."""
    kernel, stride, dilation, _, sides = layer._geometry()
    reached = outputs + sides[i][0] - np.arange(kernel[i])[:, None] * dilation[i]  # (K, outputs)
    places, rest = np.divmod(reached, stride[i])
    any_of = np.where((rest == 0).any(0), places[(rest == 0).argmax(0), np.arange(len(outputs))], places[0])
    return np.where(rest == 0, places, any_of), 1 / stride[i]


def _sides(layer: layers.ZeroPad2d) -> Sides:
    return layer._sides()
