"""The table of faults says what the marks of tests and the records of trials say, and refuses what does not hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benchmarks" / "faults"
RECORD = {
    "fault": ["disk-full"], "what": "Saves on a full disk", "how": "A file system of 1 MiB", "trials": 1200,
    "survived": 1200, "lost": "nothing", "command": "python benchmarks/faults/full.py --trials 1200",
    "date": "2026-11-28", "machine": {}, "versions": {}, "details": {},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The scripts import one another by their file names; nothing of that stays behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield
    for name in set(sys.modules) - before:
        if str(SCRIPTS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def repository(folder, tests="", **records):
    """A repository with two faults, one test file and some records."""
    for name in ("docs", "tests", "src", "benchmarks/results/faults"):
        (folder / name).mkdir(parents=True)
    (folder / "docs" / "faults.toml").write_text(
        '[disk-full]\nfault = "The disk is full"\nanswer = "`OSError`"\n\n[zip-bomb]\nfault = "a | b"\nanswer = "c"\n'
    )
    (folder / "tests" / "test_it.py").write_text(tests)
    for name, record in records.items():
        (folder / "benchmarks" / "results" / "faults" / f"{name}.json").write_text(json.dumps(record))
    from table import collect

    return collect(folder)


# --- marks ------------------------------------------------------------------------------------------------------------


def marks(source):
    from marks import marks_in

    return [(mark.row, mark.test) for mark in marks_in(source, "tests/test_it.py")]


SOURCE = """
import pytest
from pytest import mark
pytestmark = [pytest.mark.slow, pytest.mark.fault("a")]
full = mark.fault("f")
CASES = [pytest.param(1, marks=full), pytest.param(2, marks=[mark.fault("g")])]

@pytest.mark.fault("b", "c")
class TestIt:
    pytestmark = pytest.mark.fault("d")
    @pytest.mark.fault("e", "a")
    def test_one(self): ...
    def helper(self): ...

@pytest.mark.parametrize("x", [*CASES, pytest.param(3, marks=pytest.mark.fault("h"))])
def test_two(x): ...

@full
def test_three(): ...
"""


def test_marks_of_a_test_its_class_its_module_its_parameters_and_names_add_up():
    assert [row for row, test in marks(SOURCE) if test == "TestIt::test_one"] == list("abcde")
    assert [row for row, test in marks(SOURCE) if test == "test_two"] == list("afgh")
    assert [row for row, test in marks(SOURCE) if test == "test_three"] == list("af")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "@pytest.mark.fault(ROW)\ndef test_it(): ...",
            r"line 1: a mark takes the names of faults; got pytest.mark.fault",
        ),
        ("@pytest.mark.fault()\ndef test_it(): ...", r"line 1: a mark takes the names of faults"),
        ("\n@pytest.mark.fault('a')\ndef check_it(): ...", r"line 2: a mark of a fault that belongs to no test"),
    ],
)
def test_marks_that_say_nothing_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        marks(source)


# --- problems ---------------------------------------------------------------------------------------------------------


def problems(evidence):
    from table import problems_of

    return problems_of(evidence)


BOTH = "import pytest\n@pytest.mark.fault('disk-full', 'zip-bomb')\ndef test_it(): ...\n"


def test_nothing_is_wrong_where_every_fault_has_a_test_and_every_trial_was_survived(tmp_path):
    assert problems(repository(tmp_path, BOTH, full=RECORD)) == []


def test_a_fault_without_a_test_and_a_mark_without_a_fault_are_problems(tmp_path):
    found = problems(repository(tmp_path, BOTH.replace("zip-bomb", "zip-bmob")))
    assert found == [
        "docs/faults.toml: no test produces 'zip-bomb'",
        "tests/test_it.py: test_it is marked 'zip-bmob', which is no fault of docs/faults.toml",
    ]


def test_a_mark_that_cannot_be_read_is_a_problem(tmp_path):
    (problem, *_) = problems(repository(tmp_path, BOTH.replace("'zip-bomb'", "*ROWS")))
    assert problem == (
        "tests/test_it.py, line 2: a mark takes the names of faults; got pytest.mark.fault('disk-full', *ROWS)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"survived": 1199}, "survived 1199 of 1200; lost: nothing"),
        ({"lost": "an epoch"}, "survived 1200 of 1200; lost: an epoch"),
        ({"fault": ["fire"]}, "'fire' is no fault of docs/faults.toml"),
        ({"fault": []}, "names no fault, or no trial"),
        ({"trials": 0, "survived": 0}, "names no fault, or no trial"),
    ],
)
def test_a_trial_that_was_not_survived_is_a_problem(tmp_path, change, message):
    assert problems(repository(tmp_path, BOTH, full=RECORD | change)) == [
        f"benchmarks/results/faults/full.json: {message}"
    ]


def test_a_record_that_lacks_something_is_a_problem(tmp_path):
    short = {key: value for key, value in RECORD.items() if key not in ("how", "trials")}
    assert problems(repository(tmp_path, BOTH, full=short)) == [
        "benchmarks/results/faults/full.json: lacks how, trials"
    ]


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_trials_answers_and_tests(tmp_path):
    from table import page

    text = page(repository(tmp_path, BOTH, full=RECORD))
    assert (
        "| Saves on a full disk ([disk-full](#disk-full)) | A file system of 1 MiB | 1,200 | 1,200 | nothing |" in text
    )
    assert "| a \\| b | c | [1 test](#zip-bomb) |" in text
    assert "### zip-bomb\n\n- [tests/test_it.py](../tests/test_it.py): `test_it`\n" in text


def test_the_committed_page_is_what_the_script_makes_up_to_the_trials():
    from table import EVERY_FAULT, PAGE, by_fault, collect

    committed = (ROOT / PAGE).read_text(encoding="utf-8")
    assert committed[committed.index(EVERY_FAULT) :] == by_fault(collect(ROOT)) + "\n", (
        "run python benchmarks/faults/table.py"
    )


def test_every_fault_has_a_test_and_every_trial_was_survived():
    from table import collect

    assert problems(collect(ROOT)) == []


def test_the_reader_of_the_source_and_pytest_see_the_same_marks(tmp_path):
    (tmp_path / "test_it.py").write_text(SOURCE)
    (tmp_path / "conftest.py").write_text(
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        for mark in item.iter_markers('fault'):\n"
        "            for row in mark.args:\n"
        "                print('MARK', row, item.nodeid.partition('::')[2].partition('[')[0])\n"
    )
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-s", "--rootdir", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    seen = {tuple(line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("MARK ")}
    assert seen == set(marks(SOURCE))
    assert len(seen) == 11
