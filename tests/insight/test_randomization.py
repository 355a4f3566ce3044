"""Sanity: a map must depend on what was learned (Adebayo et al. 2018). Also the measures of likeness, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import assert_tidy, images, network

from cnn_from_scratch import fit
from cnn_from_scratch.data import load_digits
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import model_randomization, plot_model_randomization
from cnn_from_scratch.insight.map_similarity import rank_correlation, structural_similarity
from cnn_from_scratch.insight.randomization import randomized_models
from cnn_from_scratch.layers import Conv2d, Flatten, Identity, Sequential
from cnn_from_scratch.optim import Adam


@pytest.fixture(scope="module")
def trained():
    """A network that reads 8x8 digits, and test images."""
    data = load_digits()
    x, y = data.train
    model = network(classes=10, seed=3)
    train = (x.astype(np.float32) / data.maximum, y)
    fit(model, train, epochs=12, batch_size=32, optimizer=Adam(lr=5e-3), seed=0, shards=1, progress=False)
    x, y = data.test
    x = x.astype(np.float32) / data.maximum
    assert (model.predict(x).argmax(1) == y).mean() > 0.9
    return model, x[:24]


@pytest.fixture(scope="module")
def table(trained):
    model, x = trained
    return model_randomization(model, x, seed=1).set_index(["method", "layer"])


def test_the_rows(table):
    assert [layer for method, layer in table.index if method == "gradcam"] == ["6", "3", "0"]
    assert table.notna().all(axis=None)
    assert (table.abs() <= 1 + 1e-9).all(axis=None)


@pytest.mark.parametrize("method", ["saliency", "smoothgrad", "integrated_gradients", "occlusion", "gradcam"])
def test_randomized_weights_destroy_the_map(table, method):
    """All layers drawn anew: the order of the pixels has next to nothing in common with that of the trained network."""
    assert abs(table.loc[(method, "0"), "rank_correlation"]) < 0.3


def test_guided_backpropagation_hardly_notices(table):
    """The known exception. With the last layer new, most of the map stays; and of the others, nearly nothing."""
    last_layer = table.xs("6", level="layer")["rank_correlation"]
    assert last_layer["guided_backpropagation"] > 0.5
    assert last_layer.drop("guided_backpropagation").max() < last_layer["guided_backpropagation"] - 0.1


def test_zeros_of_the_image_survive_in_the_absolute_values_of_integrated_gradients(table):
    assert table.loc[("integrated_gradients", "0"), "absolute_rank_correlation"] > 0.5


def test_layers_go_one_by_one_and_the_model_stays():
    model = network()
    before = {key: value.copy() for key, value in model.params.items()}
    new = []
    for key, changed in randomized_models(model, seed=0):
        new.append(key)
        for name, value in changed.params.items():
            assert np.array_equal(value, before[name]) == (name.split(".")[0] not in new), name
    assert new == ["6", "3", "0"]
    assert all(np.array_equal(before[key], value) for key, value in model.params.items())


def test_the_classes_are_those_of_the_trained_model_and_the_seed_decides():
    model, x = network(), images(3)
    options = {"methods": ["saliency", "gradcam"]}
    first = model_randomization(model, x, seed=4, **options)
    own = model_randomization(model, x, model.predict(x).argmax(1), seed=4, **options)
    assert first.equals(own)
    assert not first.equals(model_randomization(model, x, seed=5, **options))


# --- the measures ---------------------------------------------------------------------------------------------------


def test_ranks_by_hand():
    # ranks (0.5, 0.5, 2, 3) and (3, 2, 0.5, 0.5); from their mean 1.5: (-1, -1, 0.5, 1.5) and (1.5, 0.5, -1, -1)
    # -1.5 - 0.5 - 0.5 - 1.5 = -4, both of length sqrt(4.5)
    a, b = np.array([[1.0, 1.0], [2.0, 9.0]]), np.array([[7.0, 3.0], [0.0, 0.0]])
    assert rank_correlation(a, b) == pytest.approx(-4 / 4.5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=12))
def test_ranks_by_counting(pairs):
    """The rank of a value is how many are smaller, and half of the others that are equal."""
    a, b = np.array(pairs, np.float64).T
    ranks = [np.array([(v < u).sum() + ((v == u).sum() - 1) / 2 for u in v]) for v in (a, b)]
    if min(np.ptp(a), np.ptp(b)) == 0:
        assert rank_correlation(a, b) == 0
    else:
        assert rank_correlation(a, b) == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)


def test_structural_similarity_by_loops():
    rng = np.random.default_rng(0)
    a, b = rng.random((9, 8)), rng.random((9, 8))
    total = []
    for i in range(3):
        for j in range(2):
            p, q = (v[i : i + 7, j : j + 7].ravel() for v in (a, b))
            covariance = ((p - p.mean()) * (q - q.mean())).mean()
            total.append(
                (2 * p.mean() * q.mean() + 1e-4)
                * (2 * covariance + 9e-4)
                / ((p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var() + q.var() + 9e-4))
            )
    assert structural_similarity(a, b) == pytest.approx(np.mean(total), rel=1e-9)
    assert structural_similarity(a * 0, b * 0) == 1


# --- the picture ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture(channels):
    model, x = network(channels), images(1, channels)
    figure = plot_model_randomization(model, x * 2 - 1, 2, image=x[0], seed=3)
    assert_tidy(figure)
    (ax,) = figure.axes
    assert len(ax.images) == 2 * 6 * 4  # six methods; as trained, and three layers gone
    table = model_randomization(model, x * 2 - 1, 2, seed=3).set_index(["method", "layer"])["rank_correlation"]
    written = {text.get_text().replace("−", "-") for text in ax.texts}
    assert {f"{value:.2f}" for value in table} <= written


def test_deep_networks_are_thinned():
    inside = Sequential(*(Conv2d(1, 1, 3, padding=1, rng=i) for i in range(9)))
    model = Sequential({"a_block_with_a_name": inside, "same": Identity(), "flat": Flatten()})
    figure = plot_model_randomization(model, images(1), methods=["saliency"])
    assert_tidy(figure)
    assert len(figure.axes[0].images) == 2 * (1 + 6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: plot_model_randomization(network(), images(2)),
            ShapeError,
            "plot_model_randomization: x must be a batch of one image (1, C, H, W), got shape (2, 1, 8, 8)",
        ),
        (
            lambda: model_randomization(Flatten(), images(2)),
            ValueError,
            "model_randomization: no layer of the model has parameters",
        ),
        (
            lambda: model_randomization(network(), images(2), methods=["lime"]),
            ValueError,
            "model_randomization: methods must be among saliency, smoothgrad, integrated_gradients, "
            "guided_backpropagation, occlusion, gradcam, got 'lime'",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
