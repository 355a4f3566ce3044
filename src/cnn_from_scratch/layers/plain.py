"""Layers that wrap one pair of operations and learn nothing: most layers are no more than that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from ..typing import Array
from .base import Grads, Layer
from .context import Context

ForwardBackward: TypeAlias = tuple[Callable[..., tuple[Array, Any]], Callable[[Array, Any], Array]]
"""(NAME_forward, NAME_backward)"""


class PlainLayer(Layer):
    """Base of the layers without parameters. A subclass names its operation, and hands it its options if it has any.

    Examples
    --------
    >>> from cnn_from_scratch.ops import relu_backward, relu_forward
    >>> class Rectifier(PlainLayer):
    ...     op = (relu_forward, relu_backward)
    """

    op: ClassVar[ForwardBackward]

    def forward(self, x: Array, ctx: Context) -> tuple[Array, Any]:
        """The first of `op`; overridden where it has options."""
        forward, _ = self.op
        return forward(x)

    def backward(self, dy: Array, cache: Any, *, need_dx: bool = True) -> tuple[Array | None, Grads]:
        """The second of `op`."""
        _, backward = self.op
        return (backward(dy, cache) if need_dx else None), {}
