"""The numbers in the pictures of explain and blame are those that they explain, and nothing lies upon anything else."""

from __future__ import annotations

import numpy as np
import pytest
from arithmetic import networks, traced
from pictures import assert_tidy

from cnn_from_scratch.insight.arithmetic.pictures.positions import factors_of_positions
from cnn_from_scratch.insight.arithmetic.pictures.window import factors_of_window
from cnn_from_scratch.insight.blame import blame
from cnn_from_scratch.insight.explain import explain
from cnn_from_scratch.insight.trace import trace
from cnn_from_scratch.layers import AvgPool2d, Conv2d, ConvTranspose2d, Linear, MaxPool2d

IMAGE = (4, 7, 6)


def seen_network():
    x = np.random.default_rng(0).standard_normal((3, 1, 10, 9)).astype(np.float32)
    return trace(networks(0), x, np.array([0, 1, 4]), train=True)


@pytest.mark.parametrize("layer", [Conv2d(4, 4, 3, 2, 1, groups=2, rng=0), AvgPool2d(3, 2, 1), MaxPool2d(3, 2, 1)])
def test_the_products_of_a_window_are_those_that_add_up(layer):
    found = explain(traced(layer, IMAGE, 0), "layer", (1, 3, 0, 1))
    factors = factors_of_window(found.window, found.terms)
    totals = [part.total for part in factors]
    np.testing.assert_allclose(sum(totals), found.amounts.sum(), atol=1e-12)
    assert [abs(total) for total in totals] == sorted(map(abs, totals), reverse=True)
    assert sorted(part.slice for part in factors) == ([3] if len(factors) == 1 else [2, 3])  # those of its group
    for part in factors:
        assert part.name == f"channel {part.slice}"
        rows, columns = np.nonzero(part.padded)
        assert set(rows) == {0}  # the padding is above
        assert not part.arrays["product"][rows, columns].any()


@pytest.mark.parametrize("asked", [{"weight": (1, 0, 0, 2)}, {"input": (1, 3, 1, 1)}, {"bias": 2}])
def test_the_products_of_all_positions_add_up(asked):
    found = blame(traced(Conv2d(4, 4, 3, 2, 1, groups=2, rng=0), IMAGE, 0), "layer", **asked)
    factors = factors_of_positions(found.terms)
    np.testing.assert_allclose(sum(part.total for part in factors), found.total, atol=1e-12)
    for part in factors:
        np.testing.assert_allclose(np.nansum(list(part.arrays.values())[-1]), part.total, atol=1e-12)


@pytest.mark.parametrize(
    ("key", "index"),
    [
        ("stem", (0, 3, 0, 0)),
        ("residual.body.conv1", (1, 0, 4, 4)),
        ("residual.body.bn1", (1, 0, 4, 4)),
        ("residual.body.act", (1, 0, 4, 4)),
        ("residual", (1, 0, 4, 4)),
        ("concat", (1, 3, 4, 4)),
        ("block.conv2", (2, 5, 0, 0)),
        ("norm", (2, 5, 0, 0)),
        ("pool", (2, 5, 1, 1)),
        ("up", (0, 0, 5, 5)),
        ("drop", (0, 0, 5, 5)),
        ("global", (0, 3, 1, 1)),
        ("flat", (0, 3)),
        ("head", (0, 3)),
        ("loss", (1,)),
        ("loss", ()),
    ],
)
def test_explanations_are_tidy(key, index):
    figure = explain(seen_network(), key, index).plot()
    assert figure.get_suptitle().startswith("loss" if key == "loss" else "y[")
    assert_tidy(figure)


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("stem", {"weight": (0, 0, 1, 1)}),
        ("stem", {"bias": 1}),
        ("residual.body.conv1", {"input": (0, 1, 4, 4)}),
        ("residual.body.bn1", {"input": (0, 1, 4, 4)}),
        ("residual.body.bn1", {"weight": 1}),
        ("residual", {"input": (0, 1, 4, 4)}),
        ("norm", {"input": (0, 1, 2, 2)}),
        ("pool", {"input": (0, 1, 2, 2)}),
        ("up", {"weight": (0, 1, 2, 2)}),
        ("flat", {"input": (0, 1, 0, 1)}),
        ("head", {"weight": (0, 1)}),
        ("loss", {"input": (0, 1)}),
    ],
)
def test_blames_are_tidy(key, asked):
    figure = blame(seen_network(), key, **asked).plot()
    assert_tidy(figure)


def test_large_windows_and_many_terms_become_bars():
    found = explain(
        traced(Conv2d(4, 2, (1, 6), padding=(0, 20), dilation=(1, 5), rng=0), IMAGE, 0), "layer", (0, 0, 0, 3)
    )
    assert_tidy(found.plot())
    figure = explain(traced(Conv2d(1, 1, 11, padding=5, rng=0), (1, 12, 12), 0), "layer", (0, 0, 5, 5)).plot()
    assert "109 more" in [label.get_text() for label in figure.axes[-1].get_yticklabels()]
    assert_tidy(figure)


def test_numbers_of_every_size_fit_into_their_cells():
    for factor in (1e-12, 1e-3, 1.0, 1e5):
        seen = traced(Conv2d(4, 2, 3, padding=1, rng=0), IMAGE, 0)
        scaled = seen["layer"]._replace(input=seen["layer"].input * factor)
        seen.layers["layer"] = scaled
        assert_tidy(explain(seen, "layer", (0, 0, 2, 2)).plot())


def test_vectors_have_no_image():
    for layer, shape in ((Linear(20, 3, rng=0), (20,)), (ConvTranspose2d(4, 2, 3, 2, rng=0), IMAGE)):
        seen = traced(layer, shape, 0)
        assert_tidy(explain(seen, "layer", (0,) * seen["layer"].output.ndim).plot())


def test_a_term_that_is_infinite_is_drawn_as_nothing():
    x = np.full((1, 1, 2, 2), -np.inf, np.float32)
    assert_tidy(explain(trace(MaxPool2d(2), x), "", (0, 0, 0, 0)).plot())
