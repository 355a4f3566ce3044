"""What `cnn show` and `cnn explain` can be asked for: names alone, so that the help need not wait for more."""

from __future__ import annotations

from enum import StrEnum


class What(StrEnum):
    """Kinds of pictures; `scene.KINDS` says how each is drawn."""

    FILTERS = "filters"
    MAPS = "maps"
    TRACE = "trace"
    SALIENCY = "saliency"
    GUIDED = "guided"
    INTEGRATED = "integrated"
    SMOOTHGRAD = "smoothgrad"
    OCCLUSION = "occlusion"
    GRADCAM = "gradcam"
    ATTRIBUTIONS = "attributions"
    ACTIVATION = "activation"
    INVERSION = "inversion"
    PATCHES = "patches"
    EMBEDDING = "embedding"
    ALL = "all"


class Blamed(StrEnum):
    """What a gradient is of."""

    WEIGHT = "weight"
    BIAS = "bias"
    INPUT = "input"
