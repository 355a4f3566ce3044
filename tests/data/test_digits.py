"""The digits in the package are the published ones, and their split never changes."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from ladder import REPOSITORY

from cnn_from_scratch.data import digits_folds, load_digits
from cnn_from_scratch.data.digits import _all_digits

ARRAYS_SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
SPLIT_SHA256 = "de6308b90cbc06bff2d746ed02a27a05183cbb56a9b17647b05cc303938319b6"
FOLDS_SHA256 = "6d7808333c1553f434a08160f0e48b1fb1f654b67a9b7acc8bbe6ba9a2726988"


def _sha256(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def test_the_arrays_are_the_published_ones():
    images, labels = _all_digits()
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == np.uint8
    assert _sha256(images, labels.astype(np.uint8)) == ARRAYS_SHA256
    assert images.max() == 16
    # class counts as published in the data set's description
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_script_that_repacked_them_names_the_same_digest():
    script = REPOSITORY / "scripts" / "repack_digits.py"
    if not script.exists():
        pytest.skip("scripts/ is not part of this copy")
    assert re.search(r'ARRAYS_SHA256 = "(\w+)"', script.read_text())[1] == ARRAYS_SHA256


def test_the_split_is_fixed():
    data = load_digits()
    assert np.bincount(data.test.y).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]  # a fifth of the above
    assert len(data.train.y) + len(data.test.y) == 1797
    assert data.train.y.dtype == np.int64
    assert data.classes == tuple("0123456789")
    assert _sha256(data.test.x, data.test.y.astype(np.uint8)) == SPLIT_SHA256
    assert data.scaled().train.x.max() == 1


def test_the_folds_are_fixed():
    folds = digits_folds()
    assert [fold.name for fold in folds] == [f"digits, fold {i} of 5" for i in range(1, 6)]
    assert sum(len(fold.test.y) for fold in folds) == 1797
    assert all(len(fold.train.y) + len(fold.test.y) == 1797 for fold in folds)
    assert _sha256(*(fold.test.x for fold in folds)) == FOLDS_SHA256
