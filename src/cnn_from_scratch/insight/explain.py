"""Where one number of a layer's output comes from: its field of view, its factors, and the sum they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ..typing import Array
from .arithmetic import branches, loss
from .arithmetic.branches import KINDS
from .arithmetic.receptive_field import Field, layer_field, receptive_field
from .arithmetic.requests import as_index, layer_of, require_cross_entropy, written
from .arithmetic.rule import Index, Parts
from .arithmetic.rules import rule_of
from .arithmetic.sums import Sum
from .arithmetic.window import Window
from .arithmetic.window_words import window_lines

if TYPE_CHECKING:
    from .trace import LayerTrace, Trace


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Sum):
    """What `explain` gives: print it, draw it with `plot`, or ask `to_frame` for a table.

    Attributes
    ----------
    window : Window or None
        Of a convolution or pooling: rows and columns of the input, the patch, the filter, what lies in the padding,
        and what no window of the layer ever sees.
    field : Field
        What the number sees of the layer's own input: `field.mask` (H, W), `field.box`.
    image_field : Field
        What it sees of the model's input, through all layers before.
    image : (C, H, W) or (features,)
        The example that it belongs to.
    input : (C, H, W) or (features,)
        What the layer was given for this example; for the loss the logits.
    """

    field: Field
    image_field: Field
    image: Array
    input: Array

    @property
    def window(self) -> Window | None:
        """Where the window stands, if the layer has windows."""
        return self.parts.window

    @property
    def patch(self) -> Array | None:
        """What the window shows, (C, KH, KW): the numbers that are multiplied with the filter."""
        return None if self.window is None else self.window.patch

    def plot(self) -> Figure:
        """The arithmetic as a picture: the image with what is seen of it, and the largest terms."""
        from .arithmetic.pictures import plot_explanation

        return plot_explanation(self)

    def _tail(self) -> list[str]:
        lines = super()._tail()
        if self.window is not None:
            lines += window_lines(self.window)
        if self.field.full.ndim == 3 and self.window is None:
            lines.append(f"it sees of the layer's input: {self.field}")
        if self.index:
            size = " × ".join(map(str, self.image_field.mask.shape))
            lines.append(f"it sees of the model's input, {size}: {self.image_field}")
        if self.image_field.unknown:
            names = ", ".join(map(repr, self.image_field.unknown))
            lines.append(f"(layers of your own are taken to see everything: {names})")
        return lines


def explain(trace: Trace, key: str, index: int | Sequence[int]) -> Explanation:
    """y[index] = bias + the sum of products, for one number of the output of one layer

    Every term is computed from the definition of the layer, from its traced input and parameters, in float64; that
    they add up to the number which the model computed is the proof (`Explanation.adds_up`).

    Parameters
    ----------
    trace : Trace
    key : str
        Of a layer, or container; ``"loss"`` for cross-entropy, the loss of one example.
    index : tuple of int
        As in ``trace[key].output[index]``: the example first, as in (n, f, oh, ow). For the loss (n,), or () for
        the mean over the batch.

    Returns
    -------
    Explanation

    Raises
    ------
    KeyError
        If no layer has this key.
    IndexError, ShapeError
        If the output has no such number.
    TypeError
        If it is a layer of your own, whose arithmetic is not known.

    References
    ----------
    Dumoulin, Visin: A guide to convolution arithmetic for deep learning (2016). https://arxiv.org/abs/1603.07285
    Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks (2019), for fields of view.
    https://doi.org/10.23915/distill.00021

    Examples
    --------
    The filter (1, 10) at the second of two places: 1 * 2 + 10 * 3.

    >>> from cnn_from_scratch.insight.trace import trace
    >>> from cnn_from_scratch.layers import Conv2d
    >>> layer = Conv2d(1, 1, (1, 2), bias=False)
    >>> layer.params["weight"][...] = [[[[1, 10]]]]
    >>> seen = trace(layer, np.array([[[[1.0, 2.0, 3.0]]]], np.float32))
    >>> print(explain(seen, "", (0, 0, 0, 1)))
    y[0, 0, 0, 1] = 32   in Conv2d(1, 1, (1, 2), bias=False)
      = 2 products
      y[n, f, oh, ow] = bias[f] + sum of x[n, c, oh*SH + kh*DH - PH, ow*SW + kw*DW - PW] * weight[f, c, kh, kw]
    <BLANKLINE>
                                       x × weight =
    x[0, 0, 0, 1]  weight[0, 0, 0, 0]  2 ×      1 =  2
    x[0, 0, 0, 2]  weight[0, 0, 0, 1]  3 ×     10 = 30
    sum                                             32
    <BLANKLINE>
    the sum is the traced number
    the window covers row 0 and columns 1 to 2 of 1 × 3
    it sees of the model's input, 1 × 3: row 0, columns 1 to 2: 2 pixels
    """
    if key == loss.KEY and key not in trace.layers:
        return _explain_loss(trace, index)
    entry = layer_of("explain", trace, key)
    place = as_index("explain", "index", index, entry.output.shape, f"the output of layer {key!r}", "y")
    parts = _parts(trace, entry, place)
    seen = np.zeros(entry.output.shape[1:], bool)
    seen[place[1:]] = True
    field = layer_field(entry.layer, entry.input.shape[1:], seen, train=trace.train)
    whole = receptive_field(trace.model, key, trace.x.shape[1:], field.full, train=trace.train)
    return Explanation(
        key=key,
        layer=written(entry),
        name="y",
        index=place,
        value=float(entry.output[place]),
        dtype=entry.output.dtype,
        parts=parts,
        field=field,
        image_field=whole._replace(unknown=(*field.unknown, *whole.unknown)),
        image=trace.x[place[0]],
        input=entry.input[place[0]],
    )


def _parts(trace: Trace, entry: LayerTrace, place: Index) -> Parts:
    with np.errstate(all="ignore"):  # infinity and NaN go on: they are what one looks for
        if isinstance(entry.layer, KINDS):
            return branches.explain(trace, entry, place)
        return rule_of("explain", entry.key, entry.layer).explain(entry, place)


def _explain_loss(trace: Trace, index: int | Sequence[int]) -> Explanation:
    require_cross_entropy("explain", trace)
    mean = isinstance(index, Sequence) and len(index) == 0
    with np.errstate(all="ignore"):
        each = loss.losses(trace)
        place = () if mean else as_index("explain", "index", index, each.shape, "the losses", "loss")
        parts = loss.explain(trace, place)
    seen = np.zeros(trace.logits.shape[1:], bool)
    np.moveaxis(seen, 0, -1)[place[1:]] = True  # all classes of one position
    return Explanation(
        key=loss.KEY,
        layer="softmax with cross-entropy",
        name="loss",
        index=place,
        value=float(trace.loss if mean and trace.loss is not None else each[place]),
        dtype=trace.logits.dtype,
        parts=parts,
        field=Field(seen),
        image_field=layer_field(trace.model, trace.x.shape[1:], seen, train=trace.train),
        image=trace.x[place[0] if place else 0],
        input=trace.logits[place[0] if place else 0],
    )
