"""The look at whether a picture is tidy finds what was planted, and leaves in peace what is well."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from cnn_from_scratch.insight.diagrams.grids import arrow, board, draw_grid, outline, write
from cnn_from_scratch.insight.style import new_figure
from cnn_from_scratch.insight.tidiness import untidy

NUMBERS = np.arange(9.0).reshape(3, 3)
PIXELS = 48  # of one cell


def picture():
    """Two grids of 3x3 with two cells between them; nothing else."""
    figure, ax = board(10, 5, "Two grids", "a caption")
    draw_grid(ax, NUMBERS, 0, 1, name="left")
    draw_grid(ax, NUMBERS, 6, 1, name="right")
    return figure, ax


def test_a_tidy_picture_is_left_in_peace():
    figure, ax = picture()
    arrow(ax, (3.3, 2.5), (5.7, 2.5))
    outline(ax, 0, 1, 2, 2, "black")
    write(ax, 4.5, 1.5, "words")
    assert untidy(figure) == []


def test_every_pixel_of_air_counts():
    gaps = []
    for shift in np.arange(0, 12) / PIXELS:
        figure, ax = board(10, 5, "", "")
        write(ax, 5, 1, "HHH", ha="right")
        write(ax, 5 + shift, 1, "HHH", ha="left")
        gaps.append(bool(untidy(figure)))
    assert gaps[0]
    assert not gaps[-1]
    assert gaps == sorted(gaps, reverse=True)  # once they are apart they stay so
    assert 2 <= sum(gaps) <= 5  # about three pixels; letters have a little room of their own


def test_letters_are_as_high_as_they_are():
    figure, ax = board(10, 5, "", "")
    write(ax, 5, 1, "nnn", va="baseline")
    write(ax, 5, 1 + 15 / PIXELS, "nnn", va="baseline")  # 10 pixels high, so 5 of air
    assert untidy(figure) == []
    write(ax, 5, 1 - 12 / PIXELS, "ggg", va="baseline")  # but these reach down
    assert untidy(figure) == ["'nnn' and 'ggg' touch"]


def test_words_outside_of_the_figure():
    figure, ax = picture()
    write(ax, 9.9, 4.6, "far too long")
    assert untidy(figure) == ["'far too long' is cut off"]


@pytest.mark.parametrize(
    ("x", "y", "tidy"), [(2.8, 2.5, False), (1.2, 3.9, False), (3.02, 2.5, False), (3.1, 2.5, True)]
)
def test_words_across_the_edge_of_a_cell(x, y, tidy):
    figure, ax = board(10, 5, "", "")
    draw_grid(ax, np.full((3, 3), np.nan), 0, 1)
    write(ax, x, y, "abc", ha="left")
    assert ("'abc' crosses the edge of a cell" not in untidy(figure)) is tidy


def test_a_number_too_long_for_its_cell():
    figure, ax = board(10, 5, "", "")
    draw_grid(ax, np.full((3, 3), np.nan), 0, 1)
    write(ax, 1.5, 2.5, "−1234567")
    assert untidy(figure) == ["'−1234567' crosses the edge of a cell"]


def test_a_frame_through_words():
    figure, ax = picture()
    outline(ax, 0, 1, 2.5, 2.5, "black")  # through the middle of a column of numbers
    assert set(untidy(figure)) == {f"'{n}' is crossed by a frame" for n in (2, 5, 6, 7, 8)}


def test_an_arrow_through_cells():
    figure, ax = picture()
    arrow(ax, (1.5, 4.1), (1.5, 0.9))
    faults = untidy(figure)
    assert any(fault.endswith("touches '4'") for fault in faults)
    # it starts next to the lowest cell and ends next to the highest, which it therefore means
    assert any("crosses 1 cells that it does not mean" in fault for fault in faults)


def test_an_arrow_from_cell_to_cell():
    figure, ax = board(10, 5, "", "")
    empty = np.full((3, 3), np.nan)
    draw_grid(ax, empty, 0, 1)
    draw_grid(ax, empty, 6, 1)
    arrow(ax, (2.5, 2.5), (6.5, 2.5))  # from the last column into the first
    assert untidy(figure) == []
    arrow(ax, (1.5, 2.5), (7.5, 3.5))
    (fault,) = untidy(figure)
    assert fault.endswith("crosses 2 cells that it does not mean")


def test_an_arrow_that_bends_into_a_cell():
    figure, ax = board(10, 6, "", "")
    draw_grid(ax, np.full((1, 1), np.nan), 4, 2)
    straight = FancyArrowPatch((1, 4), (9, 4), arrowstyle="-|>", mutation_scale=11)
    ax.add_patch(straight)
    assert untidy(figure) == []
    bent = FancyArrowPatch((1, 4), (9, 4), arrowstyle="-|>", mutation_scale=11, connectionstyle="arc3,rad=-0.4")
    ax.add_patch(bent)
    (fault,) = untidy(figure)
    assert fault.endswith("crosses 1 cells that it does not mean")


def test_an_arrow_of_an_annotation_through_a_box():
    figure, ax = board(10, 6, "", "")
    ax.add_patch(FancyBboxPatch((4, 2), 2, 2, "round,pad=0"))
    ax.annotate("here", (9, 3), (1, 3), arrowprops={"arrowstyle": "->"}, va="center")
    (fault,) = untidy(figure)
    assert fault.endswith("crosses 1 cells that it does not mean")


def test_charts_are_looked_at_for_labels_alone():
    figure = new_figure(4, 3, "A chart")
    ax = figure.add_subplot()
    ax.bar([0, 1], [2, 3])
    ax.text(0, 2, "2", ha="center", va="center")
    assert untidy(figure) == []
    ax.text(0, 2, "two", ha="center", va="center")
    assert untidy(figure) == ["'2' and 'two' touch"]
