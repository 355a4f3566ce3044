"""The page docs/faults.md: what each fault gets, the tests that produce it, and the trials for the record.

    python benchmarks/faults/table.py            write the page
    python benchmarks/faults/table.py --check    write nothing; fail if the page is not what it should be

The faults and their answers are docs/faults.toml, the tests are found by their marks (`@pytest.mark.fault("ROW")`), the
trials by their files in benchmarks/results/faults. A fault without a test, a mark without a fault and a trial that
something did not survive are errors.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import closer
from marks import Mark, marks_in

ROOT = Path(__file__).resolve().parents[2]
PAGE, ROWS, RESULTS = Path("docs/faults.md"), Path("docs/faults.toml"), Path("benchmarks/results/faults")
TESTS = ("tests", "src")
FIELDS = {"fault", "what", "how", "trials", "survived", "lost", "command", "date", "machine", "versions", "details"}
EVERY_FAULT = "## Every fault and its answer"


class Evidence(NamedTuple):
    """All that the page is made of."""

    rows: dict[str, dict[str, str]]  # by name: fault and answer
    marks: list[Mark]
    records: dict[str, dict[str, Any]]  # by file name
    unclear: list[str]  # marks that cannot be read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of date")
    arguments = parser.parse_args()
    evidence = collect(ROOT)
    problems = problems_of(evidence)
    text = page(evidence)
    if not arguments.check:
        (ROOT / PAGE).write_text(text, encoding="utf-8")
    elif not (ROOT / PAGE).exists() or (ROOT / PAGE).read_text(encoding="utf-8") != text:
        problems.append(f"{PAGE} is out of date: run python benchmarks/faults/table.py")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(evidence.rows)} faults, {_tests(evidence.marks)}, {len(evidence.records)} records of trials")


def collect(root: Path) -> Evidence:
    """What a repository has of all three."""
    rows = tomllib.loads((root / ROWS).read_text(encoding="utf-8"))
    marks, unclear = [], []
    for path in sorted(path for folder in TESTS for path in (root / folder).rglob("test_*.py")):
        try:
            marks += marks_in(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())
        except ValueError as error:
            unclear.append(str(error))
    records = {path.name: json.loads(path.read_text("utf-8")) for path in sorted((root / RESULTS).glob("*.json"))}
    return Evidence(rows, marks, records, unclear)


def problems_of(evidence: Evidence) -> list[str]:
    """Faults without a test, marks without a fault, trials that were not survived."""
    tested = {mark.row for mark in evidence.marks}
    problems = evidence.unclear + [f"{ROWS}: no test produces {row!r}" for row in evidence.rows if row not in tested]
    for mark in evidence.marks:
        if mark.row not in evidence.rows:
            problems.append(f"{mark.file}: {mark.test} is marked {mark.row!r}, which is no fault of {ROWS}")
    for name, record in evidence.records.items():
        problems += [f"{RESULTS}/{name}: {problem}" for problem in _problems_of_record(record, evidence.rows)]
    return problems


def _problems_of_record(record: dict[str, Any], rows: dict[str, Any]) -> list[str]:
    """What is missing or wrong in one record of trials."""
    if missing := FIELDS - record.keys():
        return [f"lacks {', '.join(sorted(missing))}"]
    problems = [f"{row!r} is no fault of {ROWS}" for row in record["fault"] if row not in rows]
    if not record["fault"] or record["trials"] < 1:
        problems.append("names no fault, or no trial")
    if record["survived"] != record["trials"] or record["lost"] != "nothing":
        problems.append(f"survived {record['survived']} of {record['trials']}; lost: {record['lost']}")
    return problems


def page(evidence: Evidence) -> str:
    """The whole page as Markdown."""
    parts = [_introduction(evidence), _trials(evidence.records)]
    for name, show in (("fuzz.json", closer.readers), ("soak.json", closer.hour)):
        if name in evidence.records:
            parts.append(show(evidence.records[name]))
    return "\n\n".join([*parts, by_fault(evidence)]) + "\n"


def _introduction(evidence: Evidence) -> str:
    count = len(evidence.rows)
    return f"""\
# Faults

What bad luck and bad input get: {count} faults, the answer to each, and the tests that produce it: a real signal, a
real full file system, a real server, a real hostile file. The tests run with all others. Trials in large numbers have
scripts of their own, and their outcomes are recorded.

This page is written by `python benchmarks/faults/table.py` from `docs/faults.toml`, from the marks of the tests and
from the files in `benchmarks/results/faults`. It fails where a fault has no test, or where a trial was not survived."""


def _trials(records: dict[str, dict[str, Any]]) -> str:
    """A row for each record, and what it was run on."""
    if not records:
        return "## Trials for the record\n\nNone yet."
    lines = ["| what | how the fault was produced | trials | survived | lost |", "|---|---|---:|---:|---|"]
    for record in records.values():
        faults = ", ".join(f"[{row}](#{row})" for row in record["fault"])
        counts = f"{record['trials']:,} | {record['survived']:,} | {_cell(record['lost'])}"
        lines.append(f"| {_cell(record['what'])} ({faults}) | {_cell(record['how'])} | {counts} |")
    again = [
        f"- [{name}](../{RESULTS.as_posix()}/{name}), {record['date']}: `{record['command']}`"
        for name, record in records.items()
    ]
    return "\n".join(["## Trials for the record", "", *lines, "", "Each again, by one command:", "", *again])


def by_fault(evidence: Evidence) -> str:
    """The table of all faults, and below it the tests of each."""
    lines = [EVERY_FAULT, "", "| fault | answer | tests |", "|---|---|---|"]
    for name, row in evidence.rows.items():
        found = [mark for mark in evidence.marks if mark.row == name]
        lines.append(f"| {_cell(row['fault'])} | {_cell(row['answer'])} | [{_tests(found)}](#{name}) |")
    lines += ["", "## The tests of each fault"]
    for name in evidence.rows:
        lines += ["", f"### {name}", "", *_by_file([mark for mark in evidence.marks if mark.row == name])]
    return "\n".join(lines)


def _by_file(marks: list[Mark]) -> list[str]:
    """A line for each file with its tests."""
    files = dict.fromkeys(mark.file for mark in marks)
    lines = []
    for file in files:
        tests = list(dict.fromkeys(mark.test for mark in marks if mark.file == file))
        names = ", ".join(f"`{test}`" for test in tests)
        count = f" ({len(tests)} tests)" if len(tests) > 1 else ""
        lines.append(f"- [{file}](../{file}){count}: {names}")
    return lines or ["None yet."]


def _tests(marks: list[Mark]) -> str:
    count = len({(mark.file, mark.test) for mark in marks})
    return f"{count} test" if count == 1 else f"{count} tests"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    main()
