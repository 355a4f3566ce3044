"""Does an attribution depend on what was learned? Layers are drawn anew, one after the other, and the maps compared."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..layers import Layer
from ..ops.utils import check_rank
from ..randomness import derive
from ..typing import Array
from .attributions import METHODS, chosen_methods
from .map_similarity import rank_correlation, structural_similarity
from .targets import Target, as_classifier_input, target_classes

if TYPE_CHECKING:
    import pandas as pd


def model_randomization(
    model: Layer, x: Array, target: Target = None, *, methods: Sequence[str] | None = None, seed: int = 0
) -> pd.DataFrame:
    """How much is left of each map when the layers are drawn anew, from the last one down to the first.

    A map that stays as it was while the network forgets what it has learned explains the image, not the network.

    Of mnist_cnn at 99.3 %, the mean rank correlations over the first 20 test images (seed 0) are

    =======================  =====  ====  =====  =====
    drawn anew, down to      fc2    fc1   conv2  conv1
    =======================  =====  ====  =====  =====
    saliency (absolute)      0.49   0.40  0.20   0.13
    smoothgrad               -0.01  0.02  0.00   0.01
    integrated_gradients     0.03   0.00  0.02   -0.02
    guided_backpropagation   0.90   0.72  0.63   0.48
    occlusion                0.13   0.13  0.05   0.06
    gradcam                  0.35   0.21  0.13   0.04
    =======================  =====  ====  =====  =====

    So guided backpropagation keeps half of its order even where nothing is left of the network, as the paper found.
    And of integrated gradients the absolute values keep theirs (0.99, even where every layer is new): they are
    multiplied by x - baseline, which is 0 outside the strokes. What looks like a stroke there is the image; what the
    network has to say are the signs.

    Parameters
    ----------
    model : Layer
        Gives (N, K). It is copied, not changed.
    x : (N, C, H, W)
        What the model takes.
    target : int, (N,) of int, or None
        Whose score; None for the class that the model, as it was trained, predicts.
    methods : sequence of str, optional
        Out of saliency, smoothgrad, integrated_gradients, guided_backpropagation, occlusion, gradcam; all that the
        model allows if not given.
    seed : int
        Where the new parameters come from, and SmoothGrad's noise.

    Returns
    -------
    DataFrame
        A row for each layer with parameters, the last one first, and method: `layer` (it and all above it are new),
        `method`, and means over the images: `rank_correlation` of the maps with their sign, `absolute_rank_correlation`
        of their absolute values, `similarity` (SSIM of the absolute values, each map divided by its largest).

    Raises
    ------
    TypeError, ShapeError, ValueError
        As the methods; ValueError also if no layer has parameters.

    References
    ----------
    Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity Checks for Saliency Maps (2018).
    https://arxiv.org/abs/1810.03292

    Examples
    --------
    >>> from cnn_from_scratch.models import mnist_cnn
    >>> x = np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32)
    >>> model_randomization(mnist_cnn(), x, methods=["saliency"])["layer"].tolist()
    ['fc2', 'fc1', 'conv2', 'conv1']
    """
    import pandas as pd

    check_rank("model_randomization", "x", x, "N C H W")
    (_, trained), *stages = randomized_maps("model_randomization", model, x, target, methods, seed)
    rows = [
        {"layer": key, "method": name} | _likeness(trained[name], maps[name]) for key, maps in stages for name in maps
    ]
    return pd.DataFrame(rows)


def randomized_maps(
    function: str, model: Layer, x: Array, target: Target, methods: Sequence[str] | None, seed: int
) -> Iterator[tuple[str, dict[str, Array]]]:
    """The maps (N, H, W) of each method: under the key "" those of the model as it is, then those of each stage."""
    x = as_classifier_input(function, model, x)
    classes = target_classes(function, model, x, target)
    chosen = {name: METHODS[name] for name in chosen_methods(function, model, x, methods)}
    for key, stage in itertools.chain([("", model)], randomized_models(model, seed)):
        yield key, {name: method.maps(stage, x, classes, seed) for name, method in chosen.items()}


def randomized_models(model: Layer, seed: int) -> Iterator[tuple[str, Layer]]:
    """Key of a layer, and a copy of the model in which it and all layers after it are drawn anew; the last layer first.

    Each copy is the one before it, with one more layer changed: use it before asking for the next.

    Examples
    --------
    >>> from cnn_from_scratch.layers import Linear, ReLU, Sequential
    >>> model = Sequential(Linear(2, 2, rng=0), ReLU(), Linear(2, 2, rng=1))
    >>> for key, changed in randomized_models(model, seed=0):
    ...     print(key, [bool((changed.params[k] == model.params[k]).all()) for k in ("0.weight", "2.weight")])
    2 [True, False]
    0 [False, False]
    """
    changed = copy.deepcopy(model)
    learned = [(key, layer) for key, layer in changed.layers() if layer.params]
    if not learned:
        raise ValueError("model_randomization: no layer of the model has parameters")
    for key, layer in reversed(learned):
        layer.reset_parameters(derive(seed, "model_randomization", key=key))
        yield key, changed


def _likeness(before: Array, after: Array) -> dict[str, float]:
    """The measures of two stacks of maps (N, H, W), each the mean over the stack."""
    measures = [
        (rank_correlation(a, b), rank_correlation(np.abs(a), np.abs(b)), structural_similarity(_unit(a), _unit(b)))
        for a, b in zip(before, after, strict=True)
    ]
    names = ("rank_correlation", "absolute_rank_correlation", "similarity")
    return dict(zip(names, np.mean(measures, axis=0).tolist(), strict=True))


def _unit(values: Array) -> Array:
    """Absolute values, the largest 1."""
    values = np.abs(values)
    return values / (values.max() or 1)
