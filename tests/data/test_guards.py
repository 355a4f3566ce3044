"""Batches, splits, scaling and augmentations refuse what is of the wrong kind, and images are never written."""

from __future__ import annotations

import numpy as np
import pytest
from ladder import layouts

from cnn_from_scratch.data import (
    ArrayData,
    Compose,
    Cutout,
    Normalization,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomShift,
    batch_count,
    check_finite,
    iterate_batches,
    scale,
    stratified_folds,
    stratified_split,
)
from cnn_from_scratch.errors import ShapeError

X, Y = np.random.default_rng(0).random((6, 1, 5, 4), np.float32), np.arange(6) % 2
AUGMENTS = [RandomFlip(), RandomCrop(1), RandomShift(1), Cutout(2), RandomAffine(), Compose(RandomFlip(), Cutout(2))]
MASKED = np.ma.masked_array(X)
FILL = "is a masked array, and masks are not looked at; fill it, as in"


def batches(data=(X, Y), size=2, **options):
    return list(iterate_batches(data, size, **{"seed": 0} | options))


@pytest.mark.fault("bad-settings")
@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: ArrayData(X.tolist(), Y), TypeError, "ArrayData: x must be a NumPy array, got list"),
        (lambda: ArrayData(MASKED, Y), TypeError, f"ArrayData: x {FILL} x.filled(0)"),
        (
            lambda: ArrayData(X, Y[:5]),
            ShapeError,
            "ArrayData: x and y must have the same length, got shapes (6, 1, 5, 4) and (5,)",
        ),
        (lambda: ArrayData(X, Y, 3), TypeError, "ArrayData: augment must be callable, got 3"),
        (lambda: batches(shuffle="no"), TypeError, "iterate_batches: shuffle must be True or False, got 'no'"),
        (lambda: batches(drop_last=1), TypeError, "batch_count: drop_last must be True or False, got 1"),
        (lambda: batches(prefetch=-1), ValueError, "iterate_batches: prefetch must be an int >= 0, got -1"),
        (lambda: batches(first_step=1.0), ValueError, "iterate_batches: first_step must be an int >= 0, got 1.0"),
        (lambda: batches(size=0), ValueError, "batch_count: batch_size must be an int >= 1, got 0"),
        (lambda: batches(seed="0"), ValueError, "derive: seed must be an integer >= 0, got '0'"),
        (lambda: batches(epoch="1"), ValueError, "derive: epoch must be an integer, got '1'"),
        (lambda: batches(epoch=np.inf), ValueError, "derive: epoch must be an integer, got inf"),
        (lambda: batch_count(-1, 2), ValueError, "batch_count: examples must be an int >= 0, got -1"),
        (lambda: batch_count("6", 2), ValueError, "batch_count: examples must be an int >= 0, got '6'"),
        (
            lambda: stratified_split(Y, "0.5", seed=0),
            TypeError,
            "stratified_split: fraction must be a number, got '0.5'",
        ),
        (
            lambda: stratified_split(Y, 1.0, seed=0),
            ValueError,
            "stratified_split: fraction must lie between 0 and 1, got 1.0",
        ),
        (
            lambda: stratified_folds(np.ma.masked_array(Y), 2, seed=0),
            TypeError,
            f"stratified_folds: y {FILL} y.filled(0)",
        ),
        (
            lambda: stratified_folds(Y, 2.0, seed=0),
            ValueError,
            "stratified_folds: k must be an int from 2 to the 6 examples, got 2.0",
        ),
        (lambda: scale([1, 2]), TypeError, "scale: x must be a NumPy array, got list"),
        (lambda: scale(X), TypeError, "scale: x has dtype float32; expected integers (it may have been scaled before)"),
        (lambda: scale(Y, maximum="255"), TypeError, "scale: maximum must be a number, got '255'"),
        (lambda: scale(Y, maximum=0), ValueError, "scale: maximum must be above 0, got 0"),
        (lambda: Normalization.of(MASKED), TypeError, f"Normalization.of: x {FILL} x.filled(0)"),
        (lambda: RandomFlip("0.5"), TypeError, "RandomFlip: p must be a number, got '0.5'"),
        (lambda: RandomFlip(1.5), ValueError, "RandomFlip: p must lie in [0, 1], got 1.5"),
        (lambda: RandomCrop(-1), ShapeError, "RandomCrop: padding must be an int >= 0 or a pair of them, got -1"),
        (lambda: RandomCrop(1, fill="black"), TypeError, "RandomCrop: fill must be a number, got 'black'"),
        (lambda: RandomShift(1, fill=None), TypeError, "RandomShift: fill must be a number, got None"),
        (lambda: Cutout(0), ShapeError, "Cutout: size must be an int >= 1 or a pair of them, got 0"),
        (lambda: Cutout(2, fill=1j), TypeError, "Cutout: fill must be a number, got 1j"),
        (lambda: RandomAffine("10"), TypeError, "RandomAffine: degrees must be a number, got '10'"),
        (lambda: RandomAffine(-1.0), ValueError, "RandomAffine: degrees must be a number >= 0, got -1.0"),
        (lambda: RandomAffine(scale=1.1), ValueError, "RandomAffine: scale must be a pair (low, high), got 1.1"),
        (lambda: RandomAffine(scale=("a", 1)), TypeError, "RandomAffine: scale[0] must be a number, got 'a'"),
        (lambda: RandomAffine(shear=90), ValueError, "RandomAffine: shear must be below 90 degrees, got 90"),
        (lambda: Compose(3), TypeError, "Compose: an augmentation must be callable, got 3"),
    ],
)
def test_arguments_of_the_wrong_kind(attempt, error, message):
    with pytest.raises(error) as caught:
        attempt()
    assert str(caught.value) == message
    assert type(caught.value) is error


@pytest.mark.parametrize("augment", AUGMENTS[:5], ids=lambda a: type(a).__name__)
def test_augmentations_want_images_and_a_generator(augment):
    name, inner = (
        type(augment).__name__,
        {"RandomShift": "RandomCrop"}.get(type(augment).__name__, type(augment).__name__),
    )
    for x in (X.tolist(), None, MASKED, X[0], X.astype("U3"), X.astype(object)):
        with pytest.raises((TypeError, ShapeError), match=rf"^({name}|{inner}|warp_affine): x "):
            augment(x, np.random.default_rng(0))
    for rng in (None, 0, np.random):
        with pytest.raises(TypeError) as caught:
            augment(X, rng)
        assert str(caught.value) == f"{inner}: rng must be a numpy.random.Generator, got {rng!r}"


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("augment", AUGMENTS, ids=lambda a: type(a).__name__)
def test_however_images_lie_they_are_augmented_the_same_and_not_written(augment):
    wanted = augment(X, np.random.default_rng(1))
    for label, x in layouts(X):
        before = x.tobytes()
        np.testing.assert_allclose(augment(x, np.random.default_rng(1)), wanted, atol=1e-6, err_msg=label)
        assert x.tobytes() == before


@pytest.mark.fault("empty-batch")
@pytest.mark.parametrize("augment", AUGMENTS, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("shape", [(0, 1, 5, 4), (3, 0, 5, 4)])
def test_no_images_stay_none(augment, shape):
    assert augment(np.ones(shape, np.float32), np.random.default_rng(0)).shape == shape


@pytest.mark.fault("not-finite")
@pytest.mark.parametrize(
    ("value", "counted"), [(np.nan, "1 NaN and 0"), (np.inf, "0 NaN and 1"), (-np.inf, "0 NaN and 1")]
)
def test_images_that_are_not_finite_are_refused(value, counted):
    x = X.copy()
    x[2, 0, 1, 3] = value
    with pytest.raises(ValueError, match="NaN") as caught:
        check_finite("photo.npz", x)
    assert str(caught.value) == f"photo.npz: {counted} infinite values among {x.size}, the first at (2, 0, 1, 3)"
    check_finite("photo.npz", X)
