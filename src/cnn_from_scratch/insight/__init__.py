"""Pictures and explanations: what a model has learned, what it makes of an image, where it is wrong.

The only room that imports Matplotlib. Every picture is a function that returns a `matplotlib.figure.Figure`, made
without pyplot; where there is something to compute, a function beside it returns arrays or a DataFrame.
"""

from .activation_maximization import ActivationMaximum, maximize_activation, plot_activation_maxima
from .animation import Animation, save_animation
from .attribution_picture import plot_attribution
from .attributions import plot_attributions
from .blame import Blame, blame
from .confusion import most_confused, plot_confusion
from .diagrams import (
    animate_sliding_window,
    draw_batch_norm,
    draw_col2im,
    draw_convolution_options,
    draw_cross_entropy,
    draw_filter_step,
    draw_gradient_flow,
    draw_im2col,
    draw_memory_order,
    draw_optimizer_paths,
    draw_overlaps,
    draw_pooling,
    draw_product,
    draw_receptive_fields,
    draw_shapes,
    draw_sliding_window,
    draw_winograd,
    draw_winograd_row,
    optimizer_path,
    receptive_fields,
)
from .embedding import Embedding, embed_layer, pca, plot_embedding
from .explain import Explanation, explain
from .feature_inversion import FeatureInversion, invert_features, plot_feature_inversion
from .feature_picture import plot_feature_maps
from .features import feature_maps
from .filters import filter_grid, find_convolution, plot_filters
from .gradcam import gradcam, guided_gradcam, plot_gradcam
from .gradcheck import gradcheck
from .gradcheck_result import ArrayCheck, GradCheck
from .guided_backpropagation import guided_backpropagation, plot_guided_backpropagation
from .health import Finding, Health
from .history import plot_history, plot_quantity
from .image_optimizer import Ascent, Regularizers, ascend
from .image_priors import alpha_norm, gaussian_blur, total_variation
from .input_gradient import InputGradient, input_gradient
from .integrated_gradients import IntegratedGradients, integrated_gradients, plot_integrated_gradients
from .landscape import landscape
from .mistakes import most_confident_mistakes, plot_mistakes
from .occlusion import occlusion, plot_occlusion
from .pictures import save_run_pictures
from .randomization import model_randomization
from .randomization_picture import plot_model_randomization
from .receptive_windows import ReceptiveWindows, receptive_windows
from .recorder import Recorder
from .recording import Recording, load_recording
from .recording_animation import animate_recording
from .recording_picture import plot_recording
from .resize import resize_bilinear
from .saliency import plot_saliency, saliency
from .saving import save_figure
from .smoothgrad import plot_smoothgrad, smoothgrad
from .spatial_layers import last_spatial_layer
from .tidiness import untidy
from .top_patches import TopPatches, plot_top_patches, top_patches
from .trace import LayerTrace, Trace, trace
from .trace_file import load_trace, save_trace
from .trace_picture import plot_trace
from .trace_table import trace_table
from .until import model_until

__all__ = [
    "ActivationMaximum",
    "Animation",
    "ArrayCheck",
    "Ascent",
    "Blame",
    "Embedding",
    "Explanation",
    "FeatureInversion",
    "Finding",
    "GradCheck",
    "Health",
    "InputGradient",
    "IntegratedGradients",
    "LayerTrace",
    "ReceptiveWindows",
    "Recorder",
    "Recording",
    "Regularizers",
    "TopPatches",
    "Trace",
    "alpha_norm",
    "animate_recording",
    "animate_sliding_window",
    "ascend",
    "blame",
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
    "embed_layer",
    "explain",
    "feature_maps",
    "filter_grid",
    "find_convolution",
    "gaussian_blur",
    "gradcam",
    "gradcheck",
    "guided_backpropagation",
    "guided_gradcam",
    "input_gradient",
    "integrated_gradients",
    "invert_features",
    "landscape",
    "last_spatial_layer",
    "load_recording",
    "load_trace",
    "maximize_activation",
    "model_randomization",
    "model_until",
    "most_confident_mistakes",
    "most_confused",
    "occlusion",
    "optimizer_path",
    "pca",
    "plot_activation_maxima",
    "plot_attribution",
    "plot_attributions",
    "plot_confusion",
    "plot_embedding",
    "plot_feature_inversion",
    "plot_feature_maps",
    "plot_filters",
    "plot_gradcam",
    "plot_guided_backpropagation",
    "plot_history",
    "plot_integrated_gradients",
    "plot_mistakes",
    "plot_model_randomization",
    "plot_occlusion",
    "plot_quantity",
    "plot_recording",
    "plot_saliency",
    "plot_smoothgrad",
    "plot_top_patches",
    "plot_trace",
    "receptive_fields",
    "receptive_windows",
    "resize_bilinear",
    "saliency",
    "save_animation",
    "save_figure",
    "save_run_pictures",
    "save_trace",
    "smoothgrad",
    "top_patches",
    "total_variation",
    "trace",
    "trace_table",
    "untidy",
]
