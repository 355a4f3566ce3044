"""A photograph made as those were made that torchvision's networks for ImageNet were trained on and are tested with."""

from __future__ import annotations

import numpy as np

from ..errors import FormatError
from ..typing import Array
from .dataset import Normalization
from .picture import MAX_PIXELS, Picture, on_white

IMAGENET_NORMALIZATION = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of red, green and blue over ImageNet's training images, as torchvision's weights expect them."""


def prepare_imagenet(picture: Picture, *, resize: int = 256, size: int = 224) -> Array:
    """The middle of a picture, as the networks of `IMAGENET_MODELS` see it: (3, size, size), float32, in [0, 1].

    The shorter side becomes `resize` pixels, by bilinear interpolation over as wide a window as one new pixel covers
    (so that fine patterns do not alias), and a square of `size` is cut out of the middle, which is torchvision's
    ``Resize(256), CenterCrop(224), ToTensor()``. What is left to do is to normalize::

        x = IMAGENET_NORMALIZATION.apply(prepare_imagenet("photo.jpg")[None])

    Unlike there, cameras' orientation marks are followed, and what is transparent is laid onto white.

    Parameters
    ----------
    picture : path, Pillow image or array
        See `as_pixels`.
    resize : int
        The new length of the shorter side.
    size : int
        The side of the square; at most `resize`.

    Raises
    ------
    ValueError
        If size is not in 1 .. resize.
    FormatError
        If the file is no image, or so long and narrow that scaled it would have more than 50 million pixels.

    References
    ----------
    torchvision/transforms/_presets.py, ImageClassification.
    Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks (2012), section 2.

    Examples
    --------
    A picture of twice the size, left half red. The window of a new pixel is four old ones wide, weighted 1, 3, 3, 1: at
    the edge one eighth comes from the other side.

    >>> image = np.zeros((8, 16, 3), np.uint8)
    >>> image[:, :8, 0] = 255
    >>> prepare_imagenet(image, resize=4, size=2)[0].round(2)
    array([[0.87, 0.13],
           [0.87, 0.13]], dtype=float32)
    """
    from PIL.Image import Resampling

    if not 1 <= size <= resize:
        raise ValueError(f"prepare_imagenet: size must be at least 1 and at most resize={resize}, got {size}")
    image = on_white(picture).convert("RGB")
    W, H = _scaled_size(image.size, resize)
    if W * H > MAX_PIXELS:
        raise FormatError(
            f"a picture of {image.width} x {image.height} would become one of {W} x {H}; it is too narrow"
        )
    if (W, H) != image.size:
        image = image.resize((W, H), Resampling.BILINEAR)
    left, top = round((W - size) / 2), round((H - size) / 2)  # halves to the even number, as in torchvision
    pixels = np.asarray(image.crop((left, top, left + size, top + size)), np.float32)  # (size, size, 3)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1) / np.float32(255))


def _scaled_size(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """(W, H) with the shorter side as wanted; the longer one is cut to a whole number."""
    W, H = size
    return (shorter, shorter * H // W) if W <= H else (shorter * W // H, shorter)
