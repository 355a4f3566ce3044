"""How a convolutional network works, in diagrams; every number in them is computed by this package."""

from .batch_statistics import draw_batch_norm
from .columns import draw_im2col
from .field_picture import draw_receptive_fields
from .fields import Field, receptive_fields
from .flow import Flow, Passage, passages
from .gradients import draw_gradient_flow
from .memory import draw_memory_order
from .options import Panel, cells_read, channels_read, draw_convolution_options
from .overlap_add import draw_col2im
from .overlaps import draw_overlaps
from .paths import draw_optimizer_paths, optimizer_path
from .pools import draw_pooling
from .product import draw_product
from .shapes import draw_shapes, stages
from .sliding import animate_sliding_window
from .softmax import draw_cross_entropy
from .steps import FilterStep, draw_filter_step, filter_step
from .window import draw_sliding_window
from .winograd import draw_winograd
from .winograd_row import draw_winograd_row

__all__ = [
    "Field",
    "FilterStep",
    "Flow",
    "Panel",
    "Passage",
    "animate_sliding_window",
    "cells_read",
    "channels_read",
    "draw_batch_norm",
    "draw_col2im",
    "draw_convolution_options",
    "draw_cross_entropy",
    "draw_filter_step",
    "draw_gradient_flow",
    "draw_im2col",
    "draw_memory_order",
    "draw_optimizer_paths",
    "draw_overlaps",
    "draw_pooling",
    "draw_product",
    "draw_receptive_fields",
    "draw_shapes",
    "draw_sliding_window",
    "draw_winograd",
    "draw_winograd_row",
    "filter_step",
    "optimizer_path",
    "passages",
    "receptive_fields",
    "stages",
]
