"""A layer: parameters and configuration, a forward and a backward. Never activations."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError
from ..ops.checks import check_memory, check_number, check_switch, float_dtype, plain_array
from ..randomness import derive
from ..typing import Array
from .arrays import Arrays
from .context import Context, join

if TYPE_CHECKING:
    from .plan import Plan
    from .summary import Summary

Shape = tuple[int, ...]
Grads = dict[str, Array]


class Layer:
    """Base of all layers, and the recipe for your own.

    A layer of your own sets `params` (and `buffers`, for state that is not trained), and defines

    - ``forward(x, ctx) -> (y, cache)``: pure; what the backward pass needs goes into the cache, not into self;
    - ``backward(dy, cache, *, need_dx=True) -> (dx, grads)``: `grads` has the keys of `params`;
    - ``output_shape(input_shape)``: shapes of one example, without the batch axis; raises ShapeError where they
      do not fit (optional: where it is missing, the shape stays as it is);
    - ``multiply_adds(input_shape)``: what `summary` counts (optional);
    - ``reset_parameters(rng)``: draw the parameters anew, in place (optional);
    - ``commit(cache)``: write what a training step wants remembered into `buffers` (optional; batch norm), and
      ``to_commit(cache)``: what it needs of the cache, so that the rest can be let go before (optional).

    Every argument of the constructor is kept as an attribute of the same name, so that the layer can be
    printed, saved and made again. ``examples/own_layer.py`` adds the check of its gradients and trains it.

    Examples
    --------
    A layer that multiplies each channel by a learned number:

    >>> class Scale(Layer):
    ...     def __init__(self, channels):
    ...         super().__init__()
    ...         self.channels = channels
    ...         self.params = {"weight": np.ones(channels, np.float32)}
    ...
    ...     def forward(self, x, ctx):
    ...         return x * self.params["weight"][:, None, None], x
    ...
    ...     def backward(self, dy, cache, *, need_dx=True):
    ...         dx = dy * self.params["weight"][:, None, None] if need_dx else None
    ...         return dx, {"weight": (dy * cache).sum((0, 2, 3))}
    >>> y, cache = Scale(2).forward(np.ones((1, 2, 2, 2), np.float32), Context())
    >>> Scale(2).backward(y, cache)[1]
    {'weight': array([4., 4.], dtype=float32)}
    """

    def __init__(self) -> None:
        self._params = Arrays()
        self._buffers = Arrays()
        self._frozen: frozenset[str] = frozenset()

    @property
    def params(self) -> Arrays:
        """What is trained: ``params[key] = value`` writes into the array that is there, which keeps its identity."""
        return self._params

    @params.setter
    def params(self, arrays: Mapping[str, Array]) -> None:
        self._params = Arrays(arrays)

    @property
    def buffers(self) -> Arrays:
        """What is remembered but not trained, such as the running mean of batch norm; written as `params` are."""
        return self._buffers

    @buffers.setter
    def buffers(self, arrays: Mapping[str, Array]) -> None:
        self._buffers = Arrays(arrays)

    # --- what a layer does --------------------------------------------------------------------------------------

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """Compute (y, cache)."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """Compute (dx, grads) for the dy that arrives; dx may be None where `need_dx` is False."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one output for the shape of one input, both without the batch axis."""
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """Multiplications followed by an addition that one example costs in the forward pass."""
        return 0

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw the parameters anew, in place."""

    def commit(self, cache: Any) -> None:
        """Write into the buffers what the forward pass of a finished training step left in its cache."""

    def to_commit(self, cache: Any) -> Any:
        """What `commit` needs of a cache: all of it unless a layer knows better, None where there is no `commit`."""
        return None if type(self).commit is Layer.commit else cache

    # --- what all layers share ----------------------------------------------------------------------------------

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Every layer inside, with its key, in order; a plain layer has only itself."""
        yield "", self

    def full_key(self, key: str, name: str) -> str:
        """The key in the whole model of the parameter `name` of this layer, whose own key is `key`."""
        return join(key, name)

    def keeps_batch(self, input_shape: Shape) -> bool:
        """Whether a batch may be cut: each example's output comes from this example alone, for any length of batch.

        All layers keep the batch; a `Graph` only where that can be shown. (Batch norm asks the other shards.)
        """
        return True

    def initialize(self, seed: int) -> Self:
        """Draw all parameters anew from (seed, key of the layer); buffers return to their start.

        Examples
        --------
        >>> from cnn_from_scratch.layers import Linear
        >>> a, b = Linear(2, 3).initialize(7), Linear(2, 3).initialize(7)
        >>> bool((a.params["weight"] == b.params["weight"]).all())
        True
        """
        for key, layer in self.layers():
            layer.reset_parameters(derive(seed, "initialize", key=key))
        return self

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters and floating buffers to float32 or float64, in this model; returns the model.

        The converted arrays are new ones. Start an optimizer afterwards, not before.
        """
        wanted = float_dtype("astype", dtype)
        if wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise TypeError(f"astype: a model computes in float32 or float64, got {wanted}")
        self.params = {k: v.astype(wanted) for k, v in self.params.items()}
        self.buffers = {k: v.astype(wanted) if v.dtype.kind == "f" else v for k, v in self.buffers.items()}
        return self

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of the parameters and floating buffers; float32 for a model that has none."""
        return next((v.dtype for v in (self.params | self.buffers).values() if v.dtype.kind == "f"), np.dtype("f4"))

    def freeze(self, *patterns: str) -> Self:
        """Keep training away from the keys that match; a batch norm that is frozen stays in evaluation.

        Parameters
        ----------
        *patterns : str
            Shell patterns over keys of params and buffers, as ``"features.*"`` or ``"*.bias"``; ``"*"`` is all.

        Raises
        ------
        ValueError
            If a pattern matches no key.
        """
        self._set_frozen(self.frozen | self._matching("freeze", patterns))
        return self

    def unfreeze(self, *patterns: str) -> Self:
        """Take back `freeze` for the keys that match."""
        self._set_frozen(self.frozen - self._matching("unfreeze", patterns))
        return self

    def _matching(self, function: str, patterns: tuple[str, ...]) -> frozenset[str]:
        keys = [*self.params, *self.buffers]
        matched: set[str] = set()
        for pattern in patterns:
            if not isinstance(pattern, str):
                raise TypeError(f"{function}: a pattern must be a string, got {pattern!r}")
            found = {key for key in keys if fnmatchcase(key, pattern)}
            if not found:
                raise ValueError(f"{function}: pattern {pattern!r} matches no key; the keys are {', '.join(keys)}")
            matched |= found
        return frozenset(matched)

    @property
    def frozen(self) -> frozenset[str]:
        """Keys of params and buffers that training must leave alone."""
        return self._frozen

    def _set_frozen(self, keys: frozenset[str]) -> None:
        self._frozen = keys

    @property
    def trainable(self) -> frozenset[str]:
        """Keys of the parameters that training may change."""
        return frozenset(self.params) - self.frozen

    def config(self) -> dict[str, Any]:
        """Arguments that make this layer again, by name; without `rng`."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name not in ("self", "rng")]
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        parameters = list(inspect.signature(type(self).__init__).parameters.values())[1:]
        config = self.config()
        shown = [
            repr(config[p.name])
            if p.default is p.empty and p.kind is not p.KEYWORD_ONLY
            else f"{p.name}={config[p.name]!r}"
            for p in parameters
            if p.name in config and (p.default is p.empty or config[p.name] != p.default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def predict(self, x: Array, *, batch_size: int = 256) -> Array:
        """The model's output for a batch of any size, in evaluation mode: logits for a classifier.

        Parameters
        ----------
        x : (N, ...)
            Inputs; floating, cast to the dtype of the model.
        batch_size : int
            How many examples run at a time.

        Returns
        -------
        y : (N, ...)
            C-contiguous.
        """
        from .predict import predict

        return predict(self, x, batch_size=batch_size)

    def compile(self, batch_shape: Shape, *, shards: int | None = None) -> Plan:
        """A plan: this model made ready for batches of one shape, faster than `predict`, above all for one image.

        Parameters
        ----------
        batch_shape : (N, C, H, W) or (N, features)
            The shape of a batch.
        shards : int, optional
            On how many threads; one per core unless told otherwise, and one where a batch is little work.

        Returns
        -------
        plan : Plan
            ``plan(x)`` for a batch of exactly that shape, ``plan.predict(x)`` for any number of examples. It has its
            own copy of the weights: later training of this model does not change it.

        Raises
        ------
        ShapeError
            If batch_shape is no shape of a batch, or an example does not fit into the model.
        ValueError
            If shards is no int of at least 1.

        Examples
        --------
        >>> from cnn_from_scratch.layers import ReLU
        >>> ReLU().compile((1, 2))(np.array([[-1.0, 2.0]], np.float32))
        array([[0., 2.]], dtype=float32)
        """
        from .plan import Plan

        return Plan(self, batch_shape, shards=shards)

    def summary(self, input_shape: Shape) -> Summary:
        """Print a table of the layers: output shape, parameters, multiply-adds, memory. Ask it `to_frame()` for pandas.

        Parameters
        ----------
        input_shape : (C, H, W) or (features,)
            Shape of one example, without the batch axis.
        """
        from .summary import summarize

        table = summarize(self, input_shape)
        print(table)  # noqa: T201
        return table


def example_shape(layer: Layer, x: Array) -> Shape:
    """The shape of one example of a batch, which must be an array."""
    return plain_array(type(layer).__name__, "x", x).shape[1:]


def require_gradient(layer: Layer, dy: Array | None) -> Array:
    """What arrives at a layer from above; a layer of your own that gives no dx although it is asked for is named."""
    if dy is None:
        raise TypeError(f"{type(layer).__name__}: dy must be a NumPy array, got None; does the layer above give dx?")
    return dy


def require_rank(layer: Layer, input_shape: Shape, axes: str) -> None:
    """Raise unless one example has as many axes as `axes` names, as in ``"C H W"``."""
    names = axes.split()
    if len(input_shape) != len(names):
        raise ShapeError(
            f"{type(layer).__name__}: an example must have {len(names)} axes ({', '.join(names)}), got {input_shape}"
        )


def require_counts(layer: Layer, *names: str) -> None:
    """Raise unless each of these attributes is an int of at least 1; NumPy's become Python's."""
    for name in names:
        value = getattr(layer, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ShapeError(f"{type(layer).__name__}: {name} must be an int >= 1, got {value!r}")
        setattr(layer, name, int(value))


def require_numbers(layer: Layer, *names: str, finite: bool = True) -> None:
    """Raise unless each of these attributes is a number; NumPy's, which would widen float32, become Python's."""
    for name in names:
        value = getattr(layer, name)
        check_number(type(layer).__name__, name, value, finite=finite)
        setattr(layer, name, value.item() if isinstance(value, np.generic) else value)


def require_switches(layer: Layer, *names: str) -> None:
    """Raise unless each of these attributes is True or False; NumPy's become Python's."""
    for name in names:
        value = getattr(layer, name)
        check_switch(type(layer).__name__, name, value)
        setattr(layer, name, bool(value))


def require_memory(layer: Layer, shape: Shape) -> None:
    """Raise if so many numbers, drawn in float64, are more than all the memory there is."""
    check_memory(shape, np.float64, f"{type(layer).__name__}: ")


def weight_and_bias(dweight: Array | None, dbias: Array | None) -> Grads:
    """Gradients under the keys of their parameters, as far as there are any."""
    named = {"weight": dweight, "bias": dbias}
    return {key: grad for key, grad in named.items() if grad is not None}
