"""MNIST and Fashion-MNIST from files: the published ones where they are at hand, small ones of our own otherwise."""

from __future__ import annotations

import gzip
import shutil
import struct

import numpy as np
import pytest
from ladder import REAL_DATA

from cnn_from_scratch.data import DownloadError, load_fashion_mnist, load_mnist, mnist
from cnn_from_scratch.errors import FormatError

real = pytest.mark.skipif(not REAL_DATA.exists(), reason="the real data are not part of the repository")


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def small(tmp_path):
    """Four small files in the form of MNIST, 6 training and 2 test images, in tmp_path/mnist."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    arrays = {
        "train-images.idx3-ubyte": np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4),
        "train-labels-idx1-ubyte": np.arange(6, dtype=np.uint8),
        "t10k-images-idx3-ubyte.gz": np.zeros((2, 4, 4), np.uint8),
        "t10k-labels.idx1-ubyte.gz": np.array([9, 0], np.uint8),
    }
    for name, array in arrays.items():
        (folder / name).write_bytes(gzip.compress(idx(array)) if name.endswith("gz") else idx(array))
    return folder


@pytest.mark.parametrize("where", ["folder", "parent", "environment"])
def test_files_are_read_under_any_of_their_names(small, where, monkeypatch):
    monkeypatch.setenv("CNN_DATA_DIR", str(small.parent))
    data = load_mnist({"folder": small, "parent": str(small.parent), "environment": None}[where], verify=False)
    assert data.train.x.shape == (6, 1, 4, 4)
    assert data.train.x[1, 0, 0, 0] == 16
    assert data.train.y.tolist() == [0, 1, 2, 3, 4, 5]
    assert data.test.y.tolist() == [9, 0]
    assert data.test.y.dtype == np.int64


def test_other_files_are_refused_unless_told_otherwise(small):
    with pytest.raises(FormatError, match=r"train-images\.idx3-ubyte: its content has SHA-256 \w+, expected ba8910"):
        load_mnist(small)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "train-images.idx3-ubyte",
            np.zeros((6, 16), np.uint8),
            "expected uint8 images (N, H, W), got uint8 (6, 16)",
        ),
        ("train-labels-idx1-ubyte", np.zeros(5, np.uint8), "expected 6 uint8 labels, got uint8 (5,)"),
        ("train-labels-idx1-ubyte", np.full(6, 10, np.uint8), "labels must lie in 0..9, got 10"),
    ],
)
def test_files_that_do_not_fit_together(small, name, array, message):
    (small / name).write_bytes(idx(array))
    with pytest.raises(FormatError) as caught:
        load_mnist(small, verify=False)
    assert str(caught.value) == f"{small / name}: {message}"


def test_what_is_missing_is_fetched_into_the_folder_of_the_data_set(small, monkeypatch):
    asked = []

    def offline(file, folder):
        asked.append((file, folder))
        raise DownloadError("offline")

    (small / "train-labels-idx1-ubyte").unlink()
    monkeypatch.setattr(mnist, "fetch", offline)
    with pytest.raises(DownloadError):
        load_mnist(small.parent)
    [(file, folder)] = asked
    assert folder == small
    assert file.name == "train-labels-idx1-ubyte.gz"
    assert file.size == 60_008
    assert file.sha256 == "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    assert file.urls[0] == "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz"
    assert all(url.startswith("https://") for url in file.urls)


@real
@pytest.mark.parametrize(
    ("load", "folder", "first", "mean"),
    [(load_mnist, "mnist", [5, 0, 4, 1, 9], 33.318), (load_fashion_mnist, "fashion-mnist", [9, 0, 0, 3, 0], 72.940)],
)
def test_the_published_files(load, folder, first, mean):
    data = load(REAL_DATA / folder)
    assert data.name == folder
    assert data.train.x.shape == (60_000, 1, 28, 28)
    assert data.test.x.shape == (10_000, 1, 28, 28)
    assert data.train.x.dtype == np.uint8
    assert data.train.y[:5].tolist() == first
    assert np.bincount(data.test.y).shape == (10,)
    assert data.train.x.mean() == pytest.approx(mean, abs=1e-3)  # the published 0.1307 and 0.2860 times 255
    assert len(data.classes) == 10


@real
def test_a_published_file_with_one_bit_flipped_is_refused(tmp_path):
    for file in (REAL_DATA / "mnist").iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(labels.read_bytes()))
    content[-1] ^= 1
    labels.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(FormatError, match=r"t10k-labels-idx1-ubyte\.gz: its content has SHA-256"):
        load_mnist(tmp_path)
