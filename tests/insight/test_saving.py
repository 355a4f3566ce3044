"""Figures in files: the same bytes each time, readable anywhere."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from PIL import Image

from cnn_from_scratch.insight import draw_im2col, save_figure
from cnn_from_scratch.insight.card import on_card
from cnn_from_scratch.insight.saving import _shorter, svg_of
from cnn_from_scratch.insight.style import new_figure

X = np.arange(9.0).reshape(3, 3)


def test_an_svg_is_the_same_in_every_process_and_thread(tmp_path):
    code = """
import sys, numpy as np
from cnn_from_scratch.insight import draw_im2col, save_figure
save_figure(draw_im2col(np.arange(9.0).reshape(3, 3), 2), sys.argv[1])
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path / "a.svg")], check=True)
    expected = (tmp_path / "a.svg").read_bytes()
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda name: save_figure(draw_im2col(X, 2), tmp_path / name), ("b.svg", "c.svg")))
    assert [path.read_bytes() for path in paths] == [expected, expected]
    assert dict(mpl.rcParams) == before


def test_an_svg_needs_no_font_and_no_other_file_and_says_what_it_shows():
    figure = new_figure(4, 2, "A title & more", "What is seen in it")
    figure.add_subplot().imshow(np.eye(3))
    drawing = svg_of(figure)
    root = ElementTree.fromstring(drawing)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "text" not in names
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "A title & more"
    assert "What is seen in it" in drawing
    links = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert links
    assert all(link.startswith(("#", "data:image/png")) for link in links)
    assert "Matplotlib v" not in drawing
    assert "dc:date" not in drawing


def test_paths_in_hundredths():
    assert _shorter("M 7.2 115.488 \nL -30.241999 0.001 \nQ 1 2.5 3.0049 4 \nz\n") == "M7.2 115.49L-30.24 0Q1 2.5 3 4z"


def test_a_png_is_written_whatever_its_name(tmp_path):
    save_figure(new_figure(1, 1), tmp_path / "picture")
    with Image.open(tmp_path / "picture") as picture:
        assert picture.format == "PNG"


def test_a_card_is_white_with_a_margin_and_clear_corners(tmp_path):
    figure = new_figure(2, 1, "Title")
    ax = figure.add_subplot()
    figure.draw_without_rendering()
    place = ax.get_position().width * 2
    with Image.open(save_figure(on_card(figure, 0.2), tmp_path / "a.png")) as picture:
        pixels = np.array(picture)
    assert pixels.shape == (210, 360, 4)
    corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1], 3]
    np.testing.assert_array_equal(corners, 0)
    np.testing.assert_array_equal(pixels[5:25, 30:-30], 255)  # above the title
    assert abs(ax.get_position().width * 2.4 - place) < 1e-9


def test_images_keep_their_pixels_and_show_no_compressor():
    figure = new_figure(4, 2)
    ax = figure.add_subplot()
    ax.imshow(np.eye(3), interpolation="none", extent=(0, 1, 0, 1))
    ax.imshow(np.eye(2), interpolation="none", extent=(2, 3, 0, 1))  # not painted together with the first
    ax.set_xlim(0, 3)
    (first, second) = re.findall(r"data:image/png;base64,([^\"]+)", svg_of(figure))
    raw = base64.b64decode(first)
    with Image.open(io.BytesIO(raw)) as picture:
        picture.load()
        pixels = np.asarray(picture)
    assert pixels.shape == (3, 3, 4)
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) == 2
    # 3 rows of a filter byte and 12 bytes of pixels, stored as they are
    assert b"".join(b"\0" + row.tobytes() for row in pixels) in raw
    assert Image.open(io.BytesIO(base64.b64decode(second))).size == (2, 2)


def test_large_images_stay_compressed():
    figure = new_figure(4, 2)
    figure.add_subplot().imshow(np.eye(200), interpolation="none")
    assert len(svg_of(figure)) < 60_000  # 160 kB of pixels
