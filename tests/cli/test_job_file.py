"""job.json is read strictly: what `cnn train` has written comes back, and anything else is a FormatError."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import cnn
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_from_scratch.cli.fingerprint import Fingerprint
from cnn_from_scratch.cli.job_file import MAX_BYTES, Begun, Job, read_job, write_job
from cnn_from_scratch.cli.recipes import RECIPES
from cnn_from_scratch.errors import FormatError

VERSIONS = {"cnn_from_scratch": "0.1.0", "numpy": "2.0.0", "python": "3.11.7"}
PRINT = Fingerprint(10, 2, "0" * 64)


@pytest.fixture
def order(tmp_path):
    """The content of a job.json, as an object."""
    write_job(tmp_path, Begun(Job("digits", RECIPES["digits"], 3, 2, None, (32, 32)), PRINT, VERSIONS))
    return json.loads((tmp_path / "job.json").read_text())


@pytest.mark.parametrize("dataset", ["digits", "mnist", "fashion-mnist", "cifar10"])
def test_what_is_written_comes_back(tmp_path, dataset):
    job = Job(dataset, RECIPES[dataset], 2**40, 7, tmp_path, (32, 32), checkpoints=False, every=9)
    write_job(tmp_path, Begun(job, PRINT, VERSIONS))
    assert read_job(tmp_path) == Begun(job, PRINT, VERSIONS)


def test_folders_are_found_again_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_job(tmp_path, Begun(Job("photos", RECIPES["folder"], 0, 1, Path("data"), (64, 64)), PRINT, VERSIONS))
    found = read_job(tmp_path).job
    assert (found.dataset, found.data_dir, found.size) == (str(tmp_path / "photos"), tmp_path / "data", (64, 64))


def test_nothing_is_written_that_would_not_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"^seed must be a whole number from 0 to 18446744073709551615, got 1844"):
        write_job(tmp_path, Begun(Job("digits", RECIPES["digits"], 2**64, 2, None, (32, 32)), PRINT, VERSIONS))
    assert list(tmp_path.iterdir()) == []


MUTATIONS = [
    ("version", 2, "version is 2, and 1 is the only one that is known here"),
    ("dataset", "relative/photos", "dataset must be one of digits, mnist, fashion-mnist, cifar10, or an absolute path"),
    ("dataset", "/photos\0", "dataset must be one of "),
    ("dataset", "/" + "x" * 5000, "dataset must be one of "),
    ("dataset", ["digits"], "dataset must be one of "),
    ("data_dir", "..", "data_dir must be null or an absolute path, got '..'"),
    ("size", 10**9, "size must be a whole number from 4 to 4096, got 1000000000"),
    ("seed", -1, "seed must be a whole number from 0 to "),
    ("seed", True, "seed must be a whole number from 0 to 18446744073709551615, got True"),
    ("shards", 65, "65 shards cannot share a batch of 64"),
    ("shards", 0, "shards must be a whole number of at least 1, got 0"),
    ("shards", 2.0, "shards must be a whole number of at least 1, got 2.0"),
    ("recipe", [], "recipe must be an object, got []"),
    ("recipe.model", "os.system", "recipe.model must be one of "),
    ("recipe.epochs", 0, "recipe.epochs must be a whole number of at least 1, got 0"),
    ("recipe.epochs", 2**31, "recipe.epochs must be a whole number of at least 1, got 2147483648"),
    ("recipe.lr", -1.0, "recipe.lr must be a number of at least 0, got -1.0"),
    ("recipe.lr", "0.1", "recipe.lr must be a number of at least 0, got '0.1'"),
    ("recipe.optimizer", "lion", "recipe.optimizer must be one of adam, adamw, sgd, rmsprop, got 'lion'"),
    ("recipe.schedule", None, "recipe.schedule must be one of one-cycle, cosine, step, constant, got None"),
    ("recipe.augment", "mixup", "recipe.augment must be one of none, affine-8, "),
    ("recipe.dropout", 1, "recipe.dropout must be null or a number of at least 0 and below 1, got 1"),
    ("recipe.best_weights", 1, "recipe.best_weights must be true or false, got 1"),
    ("recipe.preparation", "eval", "recipe.preparation must be one of uci-digit, "),
    ("recipe.extra", 1, "recipe.extra is unknown"),
    ("fingerprint.sha256", "0" * 63 + "G", "fingerprint.sha256 must be a SHA-256"),
    ("fingerprint.train_images", None, "fingerprint.train_images must be a whole number of at least 0, got None"),
    ("checkpoints.every", 0, "checkpoints.every must be null or a whole number of at least 1, got 0"),
    ("versions.numpy", "\x1b[31mred", "versions.numpy must be a short text"),
]


@pytest.mark.fault("hostile-architecture")
@pytest.mark.parametrize(("name", "value", "message"), MUTATIONS)
def test_an_entry_that_cnn_train_would_not_have_written(tmp_path, order, name, value, message):
    *parents, last = name.split(".")
    part = order
    for parent in parents:
        part = part[parent]
    part[last] = value
    _refused(tmp_path, json.dumps(order), f"was not written by cnn train, or is damaged: {message}")


@pytest.mark.parametrize("name", ["dataset", "recipe", "seed", "fingerprint", "versions"])
def test_an_entry_that_is_missing(tmp_path, order, name):
    del order[name]
    _refused(tmp_path, json.dumps(order), f"was not written by cnn train, or is damaged: {name} is missing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its content is not sound JSON: "),
        ("{", "its content is not sound JSON: "),
        ("[" * 60_000, "its content is not sound JSON: "),
        ('{"version": 1, "version": 1}', "its content is not sound JSON: 'version' appears twice"),
        ('{"version": NaN}', "its content is not sound JSON: NaN is no JSON number"),
        ("[1]", "was not written by cnn train, or is damaged: all of it must be an object, got [1]"),
        ('{"version": 1' + " " * MAX_BYTES + "}", "is longer than 65536 bytes, the most that a job takes"),
        ('{"seed": ' + "9" * 60_000 + "}", "its content is not sound JSON: "),
    ],
)
def test_a_file_that_is_no_job(tmp_path, text, message):
    _refused(tmp_path, text, message)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "job.json").write_bytes(b"\xff\xfe\xfa{}\x00")
    with pytest.raises(FormatError, match="its content is not sound JSON"):
        read_job(tmp_path)


def test_the_command_says_it_in_a_sentence(tmp_path):
    (tmp_path / "job.json").write_text("{}")
    result = cnn("train", "--resume", tmp_path)
    assert result.exit_code == 1
    assert result.output == (
        f"cnn: {tmp_path}/job.json: was not written by cnn train, or is damaged: version is None, and 1 is the only "
        "one that is known here\n"
    )


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 800), new=st.binary(min_size=0, max_size=3), gone=st.integers(0, 40))
def test_any_damage_is_noticed_or_harmless(tmp_path_factory, at, new, gone):
    folder = tmp_path_factory.mktemp("job")
    write_job(folder, Begun(Job("digits", RECIPES["digits"], 3, 2, None, (32, 32)), PRINT, VERSIONS))
    text = (folder / "job.json").read_bytes()
    (folder / "job.json").write_bytes(text[:at] + new + text[at + gone :])
    try:
        found = read_job(folder)
    except FormatError:
        return
    write_job(folder, found)
    assert read_job(folder) == found


def _refused(folder, text, message):
    (folder / "job.json").write_text(text)
    with pytest.raises(FormatError) as caught:
        read_job(folder)
    assert str(caught.value).startswith(f"{folder}/job.json: {message}")
