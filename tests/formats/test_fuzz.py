"""Some hundred damaged and hostile files for every reader, the same ones in every run. Millions: benchmarks/faults."""

from __future__ import annotations

import time
import warnings
from random import Random

import pytest
from fuzzing.guard import guard
from fuzzing.readers import READERS, watch

from cnn_from_scratch.errors import CnnError

INPUTS = {
    "idx": 2000,
    "idx-gzip": 1500,
    "tar": 600,
    "npz": 600,
    "safetensors": 1500,
    "saved-model": 250,
    "trace": 80,
    "checkpoint": 100,
    "job": 500,
    "torch-zip": 800,
    "torch-legacy": 1500,
    "pickle": 2000,
    "onnx": 200,
}
"""Where reading is fast, more; 100 of each kind of image."""

SECONDS = 20.0
"""Of processor time for one file, which takes a thousandth of it; a hang has no end."""

FUZZED = pytest.mark.fault(
    "boastful-header",
    "damaged-file",
    "hostile-architecture",
    "hostile-image",
    "hostile-pickle",
    "hostile-tensors",
    "onnx-corrupt",
    "onnx-external-data",
    "onnx-unsupported",
    "tar-archive",
    "zip-bomb",
)


def test_the_mark_names_the_faults_of_all_readers():
    assert set(FUZZED.args) == {row for reader in READERS.values() for row in reader.fault}


@FUZZED
@pytest.mark.parametrize("name", READERS)
def test_every_file_is_read_or_refused_in_our_words(tmp_path, name):
    """Nothing is run, no other file is opened, and the error names the file."""
    if name in ("onnx", "saved-model"):
        pytest.importorskip("onnx")
    reader, rng = READERS[name], Random(f"fuzz {name}")
    path, passed = tmp_path / f"hostile{reader.suffix}", []
    for seed in reader.seeds():
        path.write_bytes(seed)
        reader.read(path)
    path.write_bytes(b"none")
    with pytest.raises(CnnError):
        reader.read(path)  # and now all is imported
    end = watch(reader, lambda: passed.append(1))
    try:
        refused = 0
        for _ in range(INPUTS.get(name, 100)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile's, about names that it writes twice
                path.write_bytes(reader.mutate(rng.choice(reader.seeds()), rng))
            refused += is_refused(reader, path)
    finally:
        end()
    assert refused > INPUTS.get(name, 100) / 20
    assert len(passed) > INPUTS.get(name, 100) / 20


def is_refused(reader, path):
    """Whether the file was refused; whatever else happens fails the test."""
    began = time.process_time()
    error = None
    with guard().watching(path) as seen, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about what it then refuses or mends
        try:
            reader.read(path)
        except CnnError as caught:
            error = caught
        except ValueError as caught:
            if not reader.allowed or reader.allowed not in str(caught):
                raise
            error = caught
    assert not seen
    assert time.process_time() - began < SECONDS
    assert error is None or path.name in str(error) or not isinstance(error, CnnError)
    return error is not None
