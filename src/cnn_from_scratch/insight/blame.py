"""Where one number of a gradient comes from: every output that the weight, or the input, took part in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ..layers import Container
from ..layers.context import join
from ..typing import Array
from .arithmetic import branches, loss
from .arithmetic.branches import KINDS
from .arithmetic.requests import as_index, layer_of, require_cross_entropy, written
from .arithmetic.rule import Index, Parts
from .arithmetic.rules import rule_of
from .arithmetic.sums import Sum

if TYPE_CHECKING:
    from .trace import LayerTrace, Trace

At = int | Sequence[int]


class Blame(Sum):
    """What `blame` gives: print it, draw it with `plot`, or ask `to_frame` for a table."""

    def plot(self) -> Figure:
        """The terms as a picture: where they come from, and the largest of them."""
        from .arithmetic.pictures import plot_blame

        return plot_blame(self)


def blame(
    trace: Trace,
    key: str,
    *,
    weight: At | None = None,
    bias: At | None = None,
    input: At | None = None,  # noqa: A002
) -> Blame:
    """dweight[index], dbias[index] or dx[index] = the sum of dy * what dy met, for one number of one layer

    Each term is a product of its own, computed from the definition: the gradient dy that arrived at one output, times
    the slope of that output by the weight, bias or input in question. In a layer whose outputs share statistics
    (batch, layer, group norm) or a sum (softmax) these slopes are a row of its Jacobian, and there is a term for each
    output that the input moves.

    Parameters
    ----------
    trace : Trace
        With a backward pass: made with targets.
    key : str
        Of a layer, or container; ``"loss"`` for the gradient of cross-entropy by the logits.
    weight, bias, input : tuple of int
        One of the three: an index into the parameter, or into the layer's input, the example first. For ``"loss"``
        it is ``input=(n, k)``.

    Returns
    -------
    Blame

    Raises
    ------
    KeyError
        If no layer has this key.
    IndexError, ShapeError
        If there is no such number.
    TypeError
        If it is a layer of your own, whose arithmetic is not known.
    ValueError
        If not one of the three is asked for, the layer has no such parameter, or the trace no backward pass.

    References
    ----------
    Rumelhart, Hinton, Williams: Learning representations by back-propagating errors (1986).

    Examples
    --------
    A weight that met 2 where dy is 1, and 3 where dy is 10.

    >>> from cnn_from_scratch.insight.trace import trace
    >>> from cnn_from_scratch.layers import Linear
    >>> layer = Linear(1, 1, bias=False)
    >>> layer.params["weight"][...] = 0
    >>> x, y = np.array([[2.0], [3.0]], np.float32), np.array([[-1.0], [-10.0]], np.float32)
    >>> print(blame(trace(layer, x, y, loss="mse"), "", weight=(0, 0)))
    dweight[0, 0] = 32   in Linear(1, 1, bias=False)
      = 2 products
      dweight[o, i] = sum of dy[n, o] * x[n, i]
    <BLANKLINE>
                      dy × x =
    y[0, 0]  x[0, 0]   1 × 2 =  2
    y[1, 0]  x[1, 0]  10 × 3 = 30
    sum                        32
    <BLANKLINE>
    the sum is the traced number
    """
    kind, asked = _asked(weight, bias, input)
    if key == loss.KEY and key not in trace.layers:
        return _blame_loss(trace, kind, asked)
    entry = layer_of("blame", trace, key)
    gradient, shape = _gradient(entry, kind)
    index = as_index("blame", kind, asked, shape, f"the {kind} of layer {key!r}", "x" if kind == "input" else kind)
    return Blame(
        key=key,
        layer=written(entry),
        name="dx" if kind == "input" else f"d{kind}",
        index=index,
        value=float(gradient[index]),
        dtype=gradient.dtype,
        parts=_parts(trace, entry, kind, index),
    )


def _asked(weight: At | None, bias: At | None, of_input: At | None) -> tuple[str, At]:
    """Which of the three, and its index."""
    given = {"weight": weight, "bias": bias, "input": of_input}
    asked = [(name, index) for name, index in given.items() if index is not None]
    if len(asked) != 1:
        names = " and ".join(name for name, _ in asked) or "none"
        raise ValueError(f"blame: give one of weight, bias and input, got {names}")
    return asked[0]


def _gradient(entry: LayerTrace, kind: str) -> tuple[Array, tuple[int, ...]]:
    """The traced gradient, once it is known to be there."""
    if entry.dy is None:
        raise ValueError("blame: the trace has no backward pass; make it with targets, by trace(model, x, y)")
    if kind != "input" and isinstance(entry.layer, Container):
        inside = ", ".join(join(entry.key, key) for key in entry.params if key.endswith(kind)) or "none"
        raise ValueError(
            f"blame: {entry.key!r} is a {written(entry)}; ask the layers inside, which have the parameters: {inside}"
        )
    if kind != "input" and kind not in entry.params:
        raise ValueError(f"blame: layer {entry.key!r} = {written(entry)} has no {kind}")
    gradient = entry.dx if kind == "input" else entry.grads.get(kind)
    if gradient is None:
        raise ValueError(f"blame: no gradient reached the {kind} of layer {entry.key!r}")
    return gradient, gradient.shape


def _parts(trace: Trace, entry: LayerTrace, kind: str, index: Index) -> Parts:
    with np.errstate(all="ignore"):  # infinity and NaN go on: they are what one looks for
        if isinstance(entry.layer, KINDS):
            return branches.blame_input(trace, entry, index)
        rule = rule_of("blame", entry.key, entry.layer)
        take = {"input": rule.input, "weight": rule.weight, "bias": rule.bias}[kind]
        assert take is not None, f"{entry.layer!r} has a {kind} but no rule for it"
        return take(entry, index)


def _blame_loss(trace: Trace, kind: str, asked: At) -> Blame:
    require_cross_entropy("blame", trace)
    if kind != "input" or trace.dlogits is None:
        raise ValueError(f"blame: the loss has no {kind}; ask for input=(n, k), the gradient of one logit")
    index = as_index("blame", "input", asked, trace.logits.shape, "the logits", "logits")
    with np.errstate(all="ignore"):
        parts = loss.blame(trace, index)
    return Blame(
        key=loss.KEY,
        layer="softmax with cross-entropy",
        name="dlogits",
        index=index,
        value=float(trace.dlogits[index]),
        dtype=trace.dlogits.dtype,
        parts=parts,
    )
