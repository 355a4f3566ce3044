"""Figures in files: PNG, and SVG that comes out the same byte for byte."""

from __future__ import annotations

import base64
import io
import os
import re
import struct
import zlib
from pathlib import Path
from threading import Lock

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..formats import replacing
from . import style

_SETTING = Lock()
"""Matplotlib has no other way to set these than for the whole process."""


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as SVG if `path` ends in .svg, otherwise as PNG, whole or not at all.

    The same figure gives the same bytes, as long as Matplotlib is the same.

    Raises
    ------
    OSError
        If the file cannot be written; an older one is untouched.
    """
    with replacing(path) as part:
        if Path(path).suffix == ".svg":
            part.write_text(svg_of(figure), encoding="utf-8", newline="\n")
        else:
            options = {"optimize": True}
            figure.savefig(part, format="png", dpi=style.DPI, metadata={"Software": None}, pil_kwargs=options)
    return Path(path)


def svg_of(figure: Figure) -> str:
    """The figure as SVG, self-contained, with its title and caption for those who cannot see it."""
    title, caption = (figure.get_suptitle(), figure.get_supxlabel())
    words = {"Title": title, "Description": caption}
    said = {name: " ".join(text.split()) for name, text in words.items() if text}
    buffer = io.StringIO()
    # names depend on nothing but the content; letters are shapes, so no font is needed; images keep their own pixels
    with (
        _SETTING,
        mpl.rc_context({"svg.hashsalt": "cnn_from_scratch", "svg.fonttype": "path", "image.composite_image": False}),
    ):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, **said})
    drawing = re.sub(r'(?<= d=")[^"]+', lambda path: _shorter(path[0]), buffer.getvalue())
    drawing = re.sub(r'(?<=data:image/png;base64,)[^"]+', lambda image: _plain_png(image[0]), drawing)
    return drawing.replace("<svg ", '<svg role="img" ', 1)


def _shorter(path: str) -> str:
    """The same path in hundredths of a point, on one line."""
    rounded = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), path)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", rounded).replace("\n", " ").strip()


def _plain_png(encoded: str) -> str:
    """The same pixels in the simplest of PNGs, uncompressed, so that no version of a compressor shows in the file.

    Images of more than 64 kB stay as they are.
    """
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    if pixels.nbytes > MOST_PLAIN:
        return encoded.replace("\n", "")
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # 0: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits; red, green, blue, alpha
    pieces = {b"IHDR": header, b"IDAT": zlib.compress(rows, 0), b"IEND": b""}
    chunks = (struct.pack(">I", len(body)) + name + body + _checksum(name + body) for name, body in pieces.items())
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


MOST_PLAIN = 1 << 16
"""Bytes of pixels."""


def _checksum(chunk: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(chunk))
