"""Pictures inside a page: figures, and arrays whose numbers are pixels."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from PIL import Image

from ...typing import Array
from ..saving import svg_of
from ..style import DPI, SIGNED
from .markup import Html, scrolling, tag

PIXELS = 96
"""Of a page in an inch."""

COLOURS = 128
"""In the picture of a figure: enough for the steps of a colour scale and the soft edges of letters."""


def figure_image(figure: Figure, alt: str) -> Html:
    """A figure as SVG or as PNG, whichever is shorter, on a card that scrolls where the page is narrow."""
    vector, raster = svg_of(figure).encode(), _png_of(figure)
    kind, content = min(("svg+xml", vector), ("png", raster), key=lambda found: len(found[1]))
    width, height = (round(PIXELS * float(inches)) for inches in figure.get_size_inches())
    image = tag("img", src=_data(kind, content), alt=alt, width=width, height=height)
    return scrolling(tag("div", image, class_="card"), alt)


def pixel_image(pixels: Array, alt: str, *, class_: str = "pixels", style: str | None = None) -> Html:
    """Bytes (H, W), (H, W, 3) or (H, W, 4) as a picture whose pixels stay squares."""
    height, width = pixels.shape[:2]
    source = _data("png", _png(Image.fromarray(pixels)))
    return tag("img", src=source, alt=alt, width=width, height=height, class_=class_, style=style)


def grey_or_colour(image: Array) -> Array:
    """An image (C, H, W) in [0, 1] as bytes: in colour if it has three channels, otherwise their mean in grey.

    Examples
    --------
    >>> grey_or_colour(np.array([[[0.0, 0.5, 2.0]]]))
    array([[  0, 128, 255]], dtype=uint8)
    """
    pixels = image.transpose(1, 2, 0) if len(image) == 3 else image.mean(0)
    found: Array = np.rint(255 * np.nan_to_num(pixels).clip(0, 1)).astype(np.uint8)
    return found


def signed_colours(values: Array) -> Array:
    """Numbers (H, W) as bytes (H, W, 4): white is zero, blue above, orange below; NaN is transparent."""
    scale = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    return coloured(SIGNED, 0.5 + values / (2 * scale))


def coloured(colours: Colormap, shares: Array) -> Array:
    """Numbers in [0, 1] as bytes (H, W, 4)."""
    return np.asarray(colours(np.ma.masked_invalid(shares), bytes=True))


def _png_of(figure: Figure) -> bytes:
    """A figure in some colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, pil_kwargs={"compress_level": 1})
    with Image.open(buffer) as drawn:
        return _png(drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
