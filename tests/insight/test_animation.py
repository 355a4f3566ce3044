"""What moves shows the right thing at the right time, in SVG and in GIF, and stands still for those who want that."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text
from pictures import assert_tidy
from PIL import Image

from cnn_from_scratch.errors import LimitError, ShapeError
from cnn_from_scratch.insight.animation import Animation, moving_svg, save_animation
from cnn_from_scratch.insight.diagrams import animate_sliding_window
from cnn_from_scratch.insight.diagrams.grids import board, outline, write
from cnn_from_scratch.ops import conv_forward

X = np.array([[1, 2, 0, 3], [4, 5, 1, 0], [2, 7, 6, 1], [0, 3, 8, 9]], float)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)


def counting(seconds=1.0):
    """Three steps: a number that changes, words that come in the second step and stay, a frame that moves right."""
    figure, ax = board(9, 4, "Counting", "")
    animation = Animation(figure, 3, seconds)
    for step in range(3):
        with animation.during(ax, step, step):
            write(ax, 1, 1, str(step))
    with animation.during(ax, 1):
        write(ax, 6, 1, "stays")
    outline(ax, 4, 2, 1, 1, "black")
    animation.slide(ax.patches[-1], [(0, 2), (2, 2), (4, 2)])
    return animation


def seen(animation, step):
    animation.show(step)
    return [text.get_text() for text in animation.figure.axes[0].texts if text.get_visible()]


def test_what_is_seen_in_each_step():
    animation = counting()
    assert [seen(animation, step) for step in (0, 1, 1.9, 2, 0)] == [
        ["0"], ["1", "stays"], ["1", "stays"], ["2", "stays"], ["0"],
    ]  # fmt: skip


def test_a_frame_is_on_its_way_between_two_steps():
    animation = counting()
    (frame, _), places = animation.paths[0], []
    for step in (0, 0.25, 1, 1.5, 2):
        animation.show(step)
        places.append(frame.get_xy())
    assert places == [(0, 2), (0.5, 2), (2, 2), (3, 2), (4, 2)]


def test_the_svg_stands_still_unless_motion_is_welcome():
    drawing = moving_svg(counting())
    root = ElementTree.fromstring(drawing)
    rules = next(element.text for element in root.iter() if element.tag.endswith("style"))
    still, moving = rules.split("@media (prefers-reduced-motion: no-preference){")
    assert "animation" not in still
    assert re.findall(r"\.(\S+)\{opacity:0\}", still) == ["seen-0-0", "seen-1-1"]  # the third step is what remains
    classes = [element.get("class") for element in root.iter() if element.get("class")]
    assert classes == ["slide-0", "seen-0-0", "seen-1-1", "seen-2-2", "seen-1-2"]
    assert "<script" not in drawing
    for name in classes:
        assert f".{name}{{animation:{name} 5s" in moving  # two steps and a third that is held three times as long


def test_the_keyframes_by_hand():
    rules = moving_svg(counting())
    # five units of time: steps begin at 0, 1/5 and 2/5
    assert "@keyframes seen-0-0{0%{opacity:1}20%{opacity:0}}" in rules
    assert "@keyframes seen-1-1{0%{opacity:0}20%{opacity:1}40%{opacity:0}}" in rules
    assert "@keyframes seen-1-2{0%{opacity:0}20%{opacity:1}}" in rules
    # a cell is 0.32 inches = 23.04 points; the frame ends four cells to the right of where it starts
    slide = re.search(r"@keyframes slide-0\{(.*)\}\n", rules)[1]
    assert slide == (
        "0%,14%{transform:translate(-92.16px,0.00px)}20%,34%{transform:translate(-46.08px,0.00px)}"
        "40%{transform:translate(0.00px,0.00px)}"
    )


def test_the_gif_shows_the_steps_and_the_ways_between(tmp_path):
    path = save_animation(counting(), tmp_path / "a.gif")
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0
        times = []
        for frame in range(picture.n_frames):
            picture.seek(frame)
            times.append(picture.info["duration"])
            assert picture.convert("RGB").getpixel((300, 5)) == (255, 255, 255)
    assert times == [700, 100, 100, 100, 700, 100, 100, 100, 3000]


def test_the_same_animation_gives_the_same_bytes(tmp_path):
    for name in ("a.svg", "a.gif"):
        first = save_animation(counting(), tmp_path / name).read_bytes()
        again = counting()
        again.show(1)
        assert save_animation(again, tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"padding": (0, 1)}])
def test_the_sliding_window_computes_what_the_convolution_does(options):
    animation = animate_sliding_window(X, SOBEL, **options)
    y = conv_forward(X[None, None], SOBEL[None, None], **options)[0][0, 0]
    assert animation.steps == y.size
    for step, value in enumerate(y.ravel()):
        words = [word for word in seen(animation, step) if " = " in word]
        (sentence,) = words
        left, right = sentence.replace("−", "-").split(" = ")
        assert eval(left) == float(right) == value
        animation.show(step)
        assert_tidy(animation.figure)
    last = y.size - 1
    words = [(artist.get_text(), first) for artist, first, until in animation.spans if text(artist) and until == last]
    filled = [word for word, first in words if first < last] + [words[-1][0]]
    assert filled == [f"{v:.0f}".replace("-", "−") for v in y.ravel()]


def text(artist):
    return isinstance(artist, Text)


def test_the_window_stands_where_it_reads():
    animation = animate_sliding_window(X, SOBEL, stride=2, padding=1)
    (window, corners), (pixel, cells) = animation.paths
    assert (window.get_width(), window.get_height()) == (3, 3)
    np.testing.assert_array_equal(corners - corners[0], [[0, 0], [2, 0], [0, 2], [2, 2]])
    np.testing.assert_array_equal(cells - cells[0], [[0, 0], [1, 0], [0, 1], [1, 1]])
    dilated = animate_sliding_window(X, SOBEL[:2, :2], dilation=2)
    assert dilated.paths[0][0].get_width() == 3


def test_bad_input_is_named():
    with pytest.raises(LimitError) as caught:
        animate_sliding_window(np.ones((9, 9)), np.ones((2, 2)))
    assert str(caught.value) == "animate_sliding_window: 64 positions are too many to show; at most 36"
    with pytest.raises(ShapeError, match=r"animate_sliding_window: x must have 2 axes \(H, W\)"):
        animate_sliding_window(np.ones(9), SOBEL)
