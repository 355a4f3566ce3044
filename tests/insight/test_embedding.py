"""Principal components are the eigenvectors of the covariance, with signs that do not depend on chance."""

from __future__ import annotations

import numpy as np
import pytest
from digit_reader import digit_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import assert_tidy, images, network

from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import embed_layer, feature_maps, pca, plot_embedding


def vectors(N=20, F=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, F)) * np.linspace(3, 0.5, F) @ rng.normal(size=(F, F)) + rng.normal(size=F)
    x.setflags(write=False)
    return x


@settings(max_examples=25, deadline=None)
@given(N=st.integers(3, 12), F=st.integers(2, 10), seed=st.integers(0, 99))
def test_they_are_the_eigenvectors_of_the_covariance(N, F, seed):
    x = vectors(N, F, seed)
    count = min(N - 1, F)  # of more, the variance is 0 and the direction free
    found = pca(x, count)
    values, axes = np.linalg.eigh(np.cov(x, rowvar=False))
    np.testing.assert_allclose(found.variance, values[::-1][:count], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.share, values[::-1][:count] / values.sum(), rtol=1e-6, atol=1e-9)
    for component, axis in zip(found.components, axes.T[::-1], strict=False):
        assert abs(component @ axis) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(count), atol=1e-9)
    np.testing.assert_allclose(found.coordinates, found.transform(x), atol=1e-9)
    np.testing.assert_allclose(np.cov(found.coordinates, rowvar=False), np.diag(found.variance), atol=1e-8)


def test_signs_are_fixed():
    x = vectors()
    found = pca(x, 6)
    assert (found.components[np.arange(6), np.abs(found.components).argmax(1)] > 0).all()
    order = np.random.default_rng(1).permutation(20)
    shuffled = pca(x[order], 6)
    np.testing.assert_allclose(shuffled.components, found.components, atol=1e-9)
    np.testing.assert_allclose(shuffled.coordinates, found.coordinates[order], atol=1e-9)
    mirrored = pca(-x, 6)
    np.testing.assert_allclose(mirrored.components, found.components, atol=1e-9)
    np.testing.assert_allclose(mirrored.coordinates, -found.coordinates, atol=1e-9)


def test_more_components_leave_less_unexplained():
    x = vectors()
    errors = []
    for count in range(1, 7):
        found = pca(x, count)
        errors.append(((x - found.reconstruct()) ** 2).sum() / 19)
        # what is left over is the variance of the directions left out
        assert errors[-1] == pytest.approx(x.var(0, ddof=1).sum() - found.variance.sum(), abs=1e-9)
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < 1e-20
    np.testing.assert_allclose(pca(x, 6).reconstruct(), x)


def test_other_vectors_have_coordinates_too():
    found = pca(vectors(), 2)
    np.testing.assert_allclose(found.transform(found.mean[None]), [[0, 0]], atol=1e-12)
    np.testing.assert_allclose(found.transform(found.mean + 3 * found.components[1:]), [[0, 3]], atol=1e-12)
    np.testing.assert_allclose(found.reconstruct(np.array([[0.0, 3.0]])), [found.mean + 3 * found.components[1]])


def test_vectors_without_variance():
    found = pca(np.ones((4, 3)), 2)
    assert not found.variance.any()
    assert not found.share.any()
    assert np.isfinite(found.components).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay(dtype):
    found = pca(vectors().astype(dtype), 3)
    assert {array.dtype for array in found} == {np.dtype(dtype)}
    assert all(array.flags.c_contiguous for array in found)


def test_a_layer_is_embedded_by_its_outputs():
    model, x = network(), images(9)
    found = embed_layer(model, x, "3", components=3)
    expected = pca(feature_maps(model, x)["3"].reshape(9, -1), 3)
    np.testing.assert_allclose(found.coordinates, expected.coordinates, rtol=1e-3, atol=1e-5)
    assert found.components.shape == (3, 4 * 2 * 2)


def test_classes_move_apart_from_layer_to_layer():
    """The share of the variance that lies between the classes is larger behind the network than before it."""
    model, normalization, x, y = digit_reader()
    shares = []
    for key in ("conv1", "fc"):
        points = embed_layer(model, x, key, components=2, normalization=normalization).coordinates
        middles = np.stack([points[y == digit].mean(0) for digit in range(10)])
        shares.append(((middles[y] - points.mean(0)) ** 2).sum() / ((points - points.mean(0)) ** 2).sum())
    assert shares[0] < shares[1]
    assert shares[1] > 0.6


@pytest.mark.parametrize("classes", [1, 10, 40])
def test_pictures_are_tidy(classes):
    x = vectors(80)
    labels = np.arange(80) % classes
    assert_tidy(plot_embedding(pca(x), labels))
    figure = plot_embedding(
        pca(x), labels, classes=[f"$kind {k} of thing" for k in range(classes)], layer="block.conv1"
    )
    assert_tidy(figure)
    points = np.concatenate([group.get_offsets() for group in figure.axes[0].collections])
    expected = np.concatenate([pca(x).coordinates[labels == k] for k in range(classes)])
    np.testing.assert_allclose(points, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pca(np.zeros((3, 2), int)), TypeError, "pca: x has dtype int64; expected floating numbers "
         "(images of 0..255 become 0..1 by x.astype(np.float32) / 255)"),
        (lambda: pca(np.zeros(3)), ShapeError, "pca: vectors must have 2 axes (N, F), got shape (3,)"),
        (lambda: pca(np.zeros((1, 2))), ShapeError, "pca: vectors must be (N, F) with N >= 2, got shape (1, 2)"),
        (lambda: pca(np.zeros((3, 2)), 3), ValueError, "pca: components must be in 1..2 for vectors (3, 2), got 3"),
        (
            lambda: pca(vectors()).transform(np.zeros((2, 5))),
            ShapeError,
            "Embedding.transform: vectors must have shape (2, 6), got (2, 5)",
        ),
        (
            lambda: plot_embedding(pca(vectors(), 1), np.zeros(20, int)),
            ShapeError,
            "plot_embedding: two components are needed, got 1",
        ),
        (
            lambda: plot_embedding(pca(vectors()), np.zeros(3, int)),
            ShapeError,
            "plot_embedding: labels must have shape (20,), got (3,)",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
