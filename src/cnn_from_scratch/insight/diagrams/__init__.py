"""How a convolutional network works, in diagrams; every number in them is computed by this package."""

from .columns import draw_im2col, draw_product
from .gradients import draw_gradient_flow, passages
from .overlaps import draw_overlaps
from .shapes import draw_shapes, stages
from .sliding import animate_sliding_window
from .window import draw_sliding_window

__all__ = [
    "animate_sliding_window",
    "draw_gradient_flow",
    "draw_im2col",
    "draw_overlaps",
    "draw_product",
    "draw_shapes",
    "draw_sliding_window",
    "passages",
    "stages",
]
