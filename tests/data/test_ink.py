"""Ink is found in any colours, on uneven paper, among dirt and noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ladder import layouts

from cnn_from_scratch.data import find_ink
from cnn_from_scratch.data.spots import grown, label_spots, large_spots
from cnn_from_scratch.errors import ShapeError


def ring(size=60):
    """A ring of ink, as a mask."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(y, x)
    return (distance > size / 6) & (distance < size / 3.5)


def painted(mask, ink, paper):
    return np.where(mask[:, :, None], np.array(ink), np.array(paper)).astype(np.uint8)


def assert_is(ink, mask):
    assert ink.dtype == np.float32
    assert ink.shape == mask.shape
    assert ink.min() >= 0
    assert ink.max() <= 1
    np.testing.assert_array_equal(ink > 0.5, mask)


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((0, 0, 0), (255, 255, 255)),
        ((255, 255, 255), (0, 0, 0)),
        ((255, 0, 0), (0, 130, 0)),  # equally bright: only the colour tells
        ((90, 90, 110), (140, 140, 130)),
        ((0, 0, 60), (0, 0, 0)),
    ],
)
def test_any_two_colours(ink, paper):
    assert_is(find_ink(painted(ring(), ink, paper)), ring())


def test_grey_colour_and_floats_are_alike():
    grey = np.where(ring(), 30, 220).astype(np.uint8)
    expected = find_ink(grey)
    np.testing.assert_array_equal(find_ink(np.repeat(grey[:, :, None], 3, axis=2)), expected)
    np.testing.assert_allclose(find_ink(grey / 255), expected, atol=1e-6)
    np.testing.assert_allclose(find_ink((grey / 255).astype(np.float32)), expected, atol=1e-6)
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    np.testing.assert_array_equal(find_ink(opaque), expected)


@pytest.mark.parametrize("colour", [0, 255])
def test_what_is_transparent_is_paper(colour):
    picture = np.full((60, 60, 4), colour, np.uint8)
    picture[:, :, 3] = np.where(ring(), 255, 0)
    assert_is(find_ink(picture), ring())


@pytest.mark.parametrize("slope", [(0.6, 0.0), (-0.4, 0.5)])
def test_paper_in_the_shade(slope):
    y, x = np.mgrid[-1:1:60j, -1:1:60j]
    light = 1 + slope[0] * y / 2 + slope[1] * x / 2
    picture = painted(ring(), (40, 40, 60), (220, 215, 200)) * (light / light.max())[:, :, None]
    assert_is(find_ink(picture / 255), ring())


def test_paper_lit_in_the_middle():
    y, x = np.mgrid[-1:1:60j, -1:1:60j]
    picture = painted(ring(), (40, 40, 60), (220, 215, 200)) * (1 - 0.2 * (y * y + x * x))[:, :, None]
    assert_is(find_ink(picture / 255), ring())


def test_noise_is_no_ink():
    rng = np.random.default_rng(0)
    picture = painted(ring(), (70, 70, 70), (190, 190, 190)) + rng.normal(0, 12, (60, 60, 3))
    ink = find_ink(np.clip(picture, 0, 255).astype(np.uint8))
    assert ((ink > 0.5) == ring()).mean() > 0.995
    assert ink[~grown(ring())].max() == 0


def test_a_small_digit_on_a_large_sheet():
    mask = np.zeros((400, 600), bool)
    mask[300:320, 50:70] = ring(20)
    rng = np.random.default_rng(1)
    picture = np.clip(painted(mask, (50, 50, 90), (200, 200, 190)) + rng.normal(0, 5, (400, 600, 3)), 0, 255)
    assert_is(find_ink(picture.astype(np.uint8)), mask)


def test_dirt_is_wiped_away():
    mask = ring()
    picture = np.where(mask, 0, 255).astype(np.uint8)
    picture[2:4, 50:53] = 0
    assert_is(find_ink(picture), mask)


def test_a_stroke_in_two_parts_is_kept():
    mask = np.zeros((40, 40), bool)
    mask[5:35, 18:22] = True
    mask[18:21] = False
    assert_is(find_ink(np.where(mask, 0, 255).astype(np.uint8)), mask)


def test_ink_that_touches_the_border():
    # the border shows more paper than ink, and that is enough
    mask = np.zeros((20, 14), bool)
    mask[:, 5:9] = True
    mask[:3, :9] = True
    assert_is(find_ink(np.where(mask, 10, 240).astype(np.uint8)), mask)


def test_soft_edges_stay_soft():
    # halfway between paper and ink is half; less than a fifth is paper, more than four fifths is ink
    row = np.array([200, 200, 200, 180, 120, 60, 40, 40, 40, 60, 120, 180, 200, 200, 200], np.uint8)
    picture = np.full((15, 15), 200, np.uint8)
    picture[4:11] = row
    ink = find_ink(picture)[7]
    assert ink[3] == 0
    assert ink[4] == pytest.approx(0.5, abs=0.02)
    assert ink[5] == 1


def test_a_large_picture_is_shrunk():
    mask = np.kron(ring(), np.ones((40, 40), bool))
    ink = find_ink(np.where(mask, 0, 255).astype(np.uint8))  # 2400 x 2400: blocks of 3 x 3
    assert ink.shape == (800, 800)
    assert (ink > 0.5).mean() == pytest.approx(ring().mean(), abs=0.01)
    assert find_ink(np.where(np.arange(3000) % 2000 < 9, 0, 255).astype(np.uint8)[None]).shape == (1, 3000)


def test_pictures_are_not_written():
    for label, picture in layouts(np.where(ring(), 0.1, 0.9)):
        assert_is(find_ink(picture), ring())
        assert label


@pytest.mark.parametrize("value", [0, 127, 255])
def test_nothing_is_found_on_a_blank_sheet(value):
    with pytest.raises(ValueError, match="find_ink: nothing in the picture stands out from its background"):
        find_ink(np.full((30, 30), value, np.uint8))


def test_colours_on_both_sides_of_the_paper_are_no_ink():
    picture = np.full((20, 20), 128, np.uint8)
    picture[4:8, 4:8], picture[12:16, 12:16] = 0, 255
    assert find_ink(picture)[5, 5] + find_ink(picture)[13, 13] == 1  # one of them at most
    with pytest.raises(ValueError, match="find_ink: nothing in the picture stands out from its background"):
        find_ink(np.array([[[89, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]], np.uint8))


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (
            np.zeros((3, 4, 2), np.uint8),
            ShapeError,
            "find_ink: picture must have shape (H, W), (H, W, 3) or (H, W, 4), got (3, 4, 2)",
        ),
        (
            np.zeros((0, 4), np.uint8),
            ShapeError,
            "find_ink: picture must have shape (H, W), (H, W, 3) or (H, W, 4), got (0, 4)",
        ),
        (
            np.zeros((3, 4), int),
            TypeError,
            "find_ink: picture must be uint8 in 0..255 or floats in [0, 1], got int64",
        ),
    ],
)
def test_what_is_no_picture_is_named(picture, error, message):
    with pytest.raises(error) as caught:
        find_ink(picture)
    assert str(caught.value) == message


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([3, 4]))))
def test_any_picture_gives_ink_or_our_error(picture):
    try:
        ink = find_ink(picture)
    except ValueError as error:
        assert "stands out" in str(error)  # noqa: PT017 - success is also right
    else:
        assert ink.shape == picture.shape[:2]
        assert np.isfinite(ink).all()
        assert ink.max() > 0.5


# --- spots ----------------------------------------------------------------------------------------------------------


def flooded(mask):
    """The same labels by the definition: flood each spot in turn."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in np.argwhere(mask):
        if labels[tuple(start)]:
            continue
        count += 1
        inside = [tuple(start)]
        while inside:
            y, x = inside.pop()
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                inside += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return labels


@settings(max_examples=150, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_spots_are_what_flooding_finds(mask):
    np.testing.assert_array_equal(label_spots(mask), flooded(mask))


def test_large_spots_by_weight():
    # two spots of 2 pixels; the second weighs 1 + 3 = 4, the first 1 + 1 = 2, half of it
    mask, weight = np.array([[1, 1, 0, 1, 1]], bool), np.array([[1.0, 1, 9, 1, 3]])
    np.testing.assert_array_equal(large_spots(mask, weight, 0.51), [[0, 0, 0, 1, 1]])
    np.testing.assert_array_equal(large_spots(mask, weight, 0.5), mask)
