"""Pictures and explanations: what a model has learned, what it makes of an image, where it is wrong.

The only room that imports Matplotlib. Every picture is a function that returns a `matplotlib.figure.Figure`, made
without pyplot; where there is something to compute, a function beside it returns arrays or a DataFrame.
"""

from .confusion import most_confused, plot_confusion
from .diagrams import (
    draw_gradient_flow,
    draw_im2col,
    draw_overlaps,
    draw_product,
    draw_shapes,
    draw_sliding_window,
)
from .feature_picture import plot_feature_maps
from .features import feature_maps
from .filters import filter_grid, find_convolution, plot_filters
from .gradcheck import gradcheck
from .gradcheck_result import ArrayCheck, GradCheck
from .history import plot_history
from .landscape import landscape
from .mistakes import most_confident_mistakes, plot_mistakes
from .pictures import save_run_pictures
from .saving import save_figure
from .trace import LayerTrace, Trace, trace

__all__ = [
    "ArrayCheck",
    "GradCheck",
    "LayerTrace",
    "Trace",
    "draw_gradient_flow",
    "draw_im2col",
    "draw_overlaps",
    "draw_product",
    "draw_shapes",
    "draw_sliding_window",
    "feature_maps",
    "filter_grid",
    "find_convolution",
    "gradcheck",
    "landscape",
    "most_confident_mistakes",
    "most_confused",
    "plot_confusion",
    "plot_feature_maps",
    "plot_filters",
    "plot_history",
    "plot_mistakes",
    "save_figure",
    "save_run_pictures",
    "trace",
]
