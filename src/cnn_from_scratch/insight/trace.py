"""Everything that happens in a network for one batch: forward, backward and update, kept as plain arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..layers import Container, Conv2d, Layer
from ..ops import im2col
from ..optim import Optimizer
from ..randomness import Place
from ..training.losses import LossPair
from ..typing import Array

if TYPE_CHECKING:
    import pandas as pd

    from .blame import Blame
    from .explain import Explanation


class LayerTrace(NamedTuple):
    """What one layer, or container, was given and gave, on the way forward and on the way back.

    All arrays are read-only copies: what is the same array for two layers is so here, too. Those of the cache lie in
    memory as they lay; the others are C-contiguous. Keys of `params`, `grads` and `update` are the layer's own
    (``"weight"``); a container has those of all layers inside (``"0.weight"``).
    """

    key: str  # "0", "features.0"; "" for a model that is a single layer
    layer: Layer  # as it was, see `Trace.model`
    input: Array
    output: Array
    cache: Any  # what its forward returned beside the output
    dy: Array | None  # incoming gradient, by the output; None without a backward pass
    dx: Array | None  # outgoing gradient, by the input
    params: dict[str, Array]
    grads: dict[str, Array]  # what its backward returned; empty without a backward pass
    update: dict[str, Array]  # what the optimizer would add to each parameter; empty without an optimizer


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """One forward and backward pass with all that arose on the way. `trace` makes it; print it to see it in brief.

    Attributes
    ----------
    model : Layer
        A copy of the model, as it was when it was traced, its arrays read-only: training the model later does not
        change a trace.
    x : (N, ...)
        The batch.
    y : (N, ...) or None
        The targets; None where only the forward pass was run.
    loss : float or None
        The mean over the batch.
    logits : (N, ...)
        What the model gave.
    dlogits : (N, ...) or None
        The gradient of the loss by `logits`, where the way back begins.
    train : bool
        Whether dropout dropped and batch norm looked at the batch.
    layers : dict of LayerTrace
        By key, in the order in which the forward pass finished them: a container comes after what it contains.
        The model itself is not among them unless it is a single layer, whose key is "".
    loss_name : str
        ``"cross_entropy"`` ...; "" where there was no loss.
    dx : (N, ...) or None
        The gradient of the loss by `x`, where the way back ends.
    """

    model: Layer
    x: Array
    y: Array | None
    loss: float | None
    logits: Array
    dlogits: Array | None
    train: bool
    layers: dict[str, LayerTrace]
    loss_name: str = ""
    dx: Array | None = None

    def __getitem__(self, key: str) -> LayerTrace:
        if key not in self.layers:
            raise KeyError(f"trace: no layer {key!r}; the keys are {', '.join(map(repr, self.layers))}")
        return self.layers[key]

    def __repr__(self) -> str:
        loss = "no loss" if self.loss is None else f"{self.loss_name} {self.loss:.4g}"
        return f"Trace({len(self.layers)} layers, x {self.x.shape}, {loss}, train={self.train})"

    @property
    def grads(self) -> dict[str, Array]:
        """The gradients of all parameters that learn, under their full keys; empty without a backward pass."""
        return _gathered(self, "grads")

    @property
    def update(self) -> dict[str, Array]:
        """What the optimizer would add to every parameter, under their full keys; empty without an optimizer."""
        return _gathered(self, "update")

    def columns(self, key: str) -> Array:
        """The input of a convolution as the matrix that is multiplied with its filters: ``im2col``, made when asked.

        Parameters
        ----------
        key : str
            Of a `Conv2d`.

        Returns
        -------
        cols : (N, C*KH*KW, OH*OW)
            Of all channels: with groups, group g is multiplied with rows ``g*C/G*KH*KW`` and following.

        Raises
        ------
        KeyError
            If there is no such layer.
        TypeError
            If it is no convolution.

        Examples
        --------
        >>> import numpy as np
        >>> from cnn_from_scratch.layers import Conv2d
        >>> x = np.array([1.0, 2.0, 3.0], np.float32).reshape(1, 1, 1, 3)
        >>> trace(Conv2d(1, 1, (1, 2)), x).columns("")
        array([[[1., 2.],
                [2., 3.]]], dtype=float32)
        """
        conv = self[key].layer
        if not isinstance(conv, Conv2d):
            raise TypeError(f"columns: layer {key!r} = {conv!r} is no convolution, so it has no columns")
        x, kernel_size = self[key].input, conv.kernel_size
        return im2col(x, kernel_size, stride=conv.stride, padding=conv.padding, dilation=conv.dilation)

    def table(self) -> pd.DataFrame:
        """One row for each layer; see `trace_table`."""
        from .trace_table import trace_table

        return trace_table(self)

    def explain(self, key: str, index: tuple[int, ...]) -> Explanation:
        """Where one number of a layer's output comes from; see `explain`."""
        from .explain import explain

        return explain(self, key, index)

    def blame(
        self,
        key: str,
        *,
        weight: tuple[int, ...] | None = None,
        bias: tuple[int, ...] | int | None = None,
        input: tuple[int, ...] | None = None,  # noqa: A002
    ) -> Blame:
        """Where one number of a layer's gradient comes from; see `blame`."""
        from .blame import blame

        return blame(self, key, weight=weight, bias=bias, input=input)

    def save(self, path: str | os.PathLike[str], *, layers: Mapping[str, type[Layer]] | None = None) -> None:
        """Write all of it into one file; see `save_trace`."""
        from .trace_file import save_trace

        save_trace(self, path, layers=layers)

    def __str__(self) -> str:
        from .trace_text import trace_text

        return trace_text(self)


def trace(
    model: Layer,
    x: Array,
    y: Array | None = None,
    *,
    loss: str | LossPair = "cross_entropy",
    optimizer: Optimizer | None = None,
    train: bool = False,
    seed: int | Place = 0,
) -> Trace:
    """Run one batch forward and, with targets, backward through the layers as they are written, and keep everything.

    Nothing changes: neither the model (no parameter, no running statistic) nor the optimizer, and not one bit of what
    ``model.forward`` and ``model.backward`` compute for this x. Layers are not fused as in training, where the last
    digits may therefore differ. Memory is that of every array that arises: trace a batch of some images, not an epoch.

    Parameters
    ----------
    model : Layer
    x : (N, C, H, W) or (N, features)
        What the model takes; floating, cast to the dtype of the model, and run in the memory order it comes in.
    y : array, optional
        Targets, as the loss wants them. Without, there is only the forward pass.
    loss : str or (forward, backward) pair
        As for `fit`: its mean over the batch is what the gradients are of.
    optimizer : Optimizer, optional
        One whose next update is asked for. It is not changed: a copy of it makes the step.
    train : bool
        False: dropout keeps everything and batch norm takes its running statistics, as in `predict`; the gradients are
        those of this function. True: as in a step of training.
    seed : int or Place
        Decides dropout, with ``train=True``. ``Place(seed, epoch=1, step=3)`` has what the fourth step of `fit` has.

    Returns
    -------
    Trace

    Raises
    ------
    TypeError, ShapeError
        If x is not what the model takes, as for `Layer.predict`, or optimizer is none.
    ValueError
        If there is an optimizer, but no y to have gradients of, or the loss does not know its targets.

    Examples
    --------
    One weight of 3, one input of 2, target 5: the output is 6, and the loss (6 - 5)^2 has the gradient 2 * (6 - 5) by
    the output, times the input 2 by the weight, times the weight 3 by the input.

    >>> import numpy as np
    >>> from cnn_from_scratch.layers import Linear
    >>> from cnn_from_scratch.optim import SGD
    >>> layer = Linear(1, 1, bias=False)
    >>> layer.params["weight"][...] = 3
    >>> x, y = np.array([[2.0]], np.float32), np.array([[5.0]], np.float32)
    >>> seen = trace(layer, x, y, loss="mse", optimizer=SGD(0.5))[""]
    >>> seen.output.item(), seen.dy.item(), seen.grads["weight"].item(), seen.dx.item(), seen.update["weight"].item()
    (6.0, 2.0, 4.0, 6.0, -2.0)
    """
    from .trace_pass import run

    return run(model, x, y, loss=loss, optimizer=optimizer, train=train, seed=seed)


def _gathered(trace: Trace, name: str) -> dict[str, Array]:
    """Of every single layer, what learns, under its full key; of what several nodes share, the sum of the gradients."""
    found: dict[str, Array] = {}
    for seen in trace.layers.values():
        if isinstance(seen.layer, Container):
            continue
        for key, array in getattr(seen, name).items():
            full = seen.layer.full_key(seen.key, key)
            if key in seen.layer.trainable:
                found[full] = found[full] + array if full in found and name == "grads" else array
    return found
