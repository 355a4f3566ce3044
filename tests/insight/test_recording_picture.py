"""A recording replayed: every tile is what was recorded at its moment."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import assert_tidy
from PIL import Image

from cnn_from_scratch.insight import Recording, animate_recording, plot_recording, save_animation
from cnn_from_scratch.insight.recording_animation import _columns
from cnn_from_scratch.insight.recording_picture import spread


def recording(count=12, filters=6, channels=1, size=(3, 3), examples=0, every=10, maps=0):
    rng = np.random.default_rng(0)
    found = {"0.weight": rng.standard_normal((count, filters, channels, *size)).astype(np.float16)} if filters else {}
    steps = np.arange(count) * every
    loss = np.r_[np.nan, np.linspace(2.3, 0.1, count - 1)].astype(np.float32)
    losses = rng.random((count, examples)).astype(np.float32)
    kept = {"1": rng.random((count, 2, maps, 8, 8)).astype(np.float16)} if maps else {}
    return Recording(steps, loss, found, kept, losses, np.zeros((2, 1, 8, 8), np.float32), np.zeros(examples, int))


def test_each_tile_is_a_filter_at_its_moment():
    recorded = recording()
    figure = plot_recording(recorded, moments=4)
    tiles = [image.get_array() for image in figure.axes[0].images]
    assert len(tiles) == 4 * 6
    chosen = [0, 1, 5, 11]  # (i/3)^2 * 11 = 0, 1.2, 4.9, 11
    for column, moment in enumerate(chosen):
        for row in range(6):
            expected = recorded.filters["0.weight"][moment, row, 0].astype(np.float32)
            np.testing.assert_array_equal(tiles[column * 6 + row], expected)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["step 0", "10", "50", "110", *(f"filter {i}" for i in range(6))]
    scales = {image.get_clim() for image in figure.axes[0].images}
    largest = float(np.abs(recorded.filters["0.weight"][chosen]).max())
    assert scales == {(-largest, largest)}


def test_the_loss_is_marked_at_the_moments():
    recorded = recording()
    chart = plot_recording(recorded, moments=4).axes[1]
    line, dots = chart.lines[0].get_xydata(), chart.lines[1].get_xydata()
    np.testing.assert_array_equal(line, np.c_[recorded.steps[1:], recorded.loss[1:]])
    np.testing.assert_array_equal(dots[:, 0], [0, 10, 50, 110])
    np.testing.assert_array_equal(dots[1:, 1], recorded.loss[[1, 5, 11]])
    assert np.isnan(dots[0, 1])


def test_maps_are_those_of_the_first_image():
    recorded = recording(maps=3, examples=5)
    figure = plot_recording(recorded, "1", moments=2)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), recorded.maps["1"][0, 0, 0].astype(np.float32))
    caption = " ".join(figure.get_supxlabel().split())
    assert caption.startswith("Of the first probed image. White is zero")
    assert caption.endswith("the losses of 5 probed examples, median and 10 % to 90 %.")
    assert len(figure.axes[1].lines) == 3
    assert_tidy(figure)


@pytest.mark.parametrize(
    "options",
    [
        {"count": 2, "filters": 1},
        {"count": 60, "filters": 32, "channels": 3, "size": (7, 7), "examples": 20},
        {"filters": 3, "size": (1, 9)},
        {"filters": 3, "size": (9, 2)},
        {"count": 1, "filters": 2},
        {"every": 123456, "examples": 1},
    ],
    ids=str,
)
def test_pictures_of_every_size_are_tidy(options):
    if options.get("count") == 1:
        recorded = recording(2, filters=2)
        first = {"0.weight": recorded.filters["0.weight"][:1]}
        recorded = recorded._replace(
            steps=recorded.steps[:1], loss=recorded.loss[:1], losses=recorded.losses[:1], filters=first
        )
    else:
        recorded = recording(**options)
    assert_tidy(plot_recording(recorded))
    animation = animate_recording(recorded)
    for step in {0, animation.steps - 1}:
        animation.show(step)
        assert_tidy(animation.figure)


def test_infinite_weights_are_drawn():
    recorded = recording()
    recorded.filters["0.weight"][-1, 0] = np.inf
    assert_tidy(plot_recording(recorded))


def test_an_animation_has_a_state_for_each_moment(tmp_path):
    recorded = recording(5, filters=4)
    animation = animate_recording(recorded)
    assert animation.steps == 5
    for step in range(5):
        animation.show(step)
        (image,) = [image for image in animation.figure.axes[0].images if image.get_visible()]
        shown = image.get_array()
        largest = np.abs(recorded.filters["0.weight"].astype(np.float32)).max()
        first = np.round(recorded.filters["0.weight"][step, 0, 0].astype(np.float32) / largest * 20)
        np.testing.assert_array_equal(shown[:3, :3], first)
        (words,) = [text.get_text() for text in animation.figure.axes[0].texts if text.get_visible()]
        assert words == f"after {10 * step} steps"
    path = save_animation(animation, tmp_path / "filters.gif")
    with Image.open(path) as gif:
        assert (gif.format, gif.n_frames) == ("GIF", 5)
    moving = save_animation(animation, tmp_path / "filters.svg").read_text()
    assert "prefers-reduced-motion" in moving


@pytest.mark.parametrize(("count", "most"), [(1, 8), (2, 8), (8, 8), (9, 8), (51, 8), (1000, 8), (41, 40)])
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 5.0])
def test_moments_are_different_and_include_the_ends(count, most, power):
    places = spread(count, most, power)
    assert len(places) == min(count, most)
    assert (places[0], places[-1]) == (0, count - 1)
    assert (np.diff(places) > 0).all()


def test_grids_are_about_square():
    assert [_columns(n) for n in (1, 2, 3, 6, 8, 16, 12, 7)] == [1, 2, 3, 3, 4, 4, 4, 3]


def test_what_was_not_recorded_is_named():
    with pytest.raises(ValueError, match=r"^plot_recording: 'fc' was not recorded; there are 0\.weight$"):
        plot_recording(recording(), "fc")
    with pytest.raises(ValueError, match=r"^plot_recording: the recording holds neither filters nor maps$"):
        animate_recording(recording(filters=0))
