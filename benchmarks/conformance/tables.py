"""The outcomes as Markdown: by suite, by operator, and by name where something is not as it should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trial import Status

from cnn_from_scratch.formats import write_atomically

PAGE = Path("docs") / "onnx.md"
BEGIN = "<!-- what follows, up to the end, is written by: python benchmarks/conformance -->"
SHOWN = (Status.PASSED, Status.FAILED, Status.UNSUPPORTED, Status.EXCLUDED, Status.LEFT_OUT)

Cases = Sequence[dict[str, Any]]


def write_page(path: Path, result: dict[str, Any]) -> None:
    """Put the tables in the place of the old ones, at the end of the page."""
    text = path.read_text(encoding="utf-8")
    head = text[: text.index(BEGIN)]
    write_atomically(path, f"{head}{BEGIN}\n\n{page(result)}")


def page(result: dict[str, Any]) -> str:
    """All tables."""
    cases = result["cases"]
    node = [case for case in cases if case["suite"] == "node"]
    operators = sorted({case["operator"] for case in node})
    by_operator = [(name, [case for case in node if case["operator"] == name]) for name in operators]
    parts = [
        f"## Conformance with onnx {result['onnx']}\n",
        table("suite", by_suite(cases), total=False),
        f"\n{result['others']:,} more cases are of operators that this library does not have, and do not count.\n",
        "### Operators\n\nThe suite `node`, case by case under the operator that it tests.\n",
        table("operator", by_operator, total=True),
        "\n### What does not pass\n",
        listed(cases, (Status.FAILED, Status.UNSUPPORTED)),
        "\n### What is excluded\n",
        listed(cases, (Status.EXCLUDED,)),
        "\n### What is left out\n",
        reasons(cases),
    ]
    return "\n".join(parts).rstrip() + "\n"


def by_suite(cases: Cases) -> list[tuple[str, Cases]]:
    """The cases of each suite, in the order of the run."""
    suites = dict.fromkeys(case["suite"] for case in cases)
    return [(suite, [case for case in cases if case["suite"] == suite]) for suite in suites]


def table(first: str, rows: Iterable[tuple[str, Cases]], *, total: bool) -> str:
    """A row for each group: how many there are of each outcome, and the share that passes of those that count."""
    rows = list(rows)
    if total:
        rows.append(("**all**", [case for _, group in rows for case in group]))
    lines = [f"| {first} | {' | '.join(SHOWN)} | passed of the judged |", f"|---|{'---:|' * (len(SHOWN) + 1)}"]
    for name, group in rows:
        counts = Counter(case["status"] for case in group)
        lines.append(f"| {name} | {' | '.join(str(counts[s] or '–') for s in SHOWN)} | {share(counts)} |")
    return "\n".join(lines) + "\n"


def share(counts: Counter[str]) -> str:
    """Passed of the judged: of passed, failed and unsupported."""
    judged = sum(counts[status] for status in SHOWN[:3])
    return f"{100 * counts[Status.PASSED] / judged:.1f} %" if judged else "–"


def listed(cases: Cases, statuses: Sequence[str]) -> str:
    """Case by case, with the reason."""
    found = [case for case in cases if case["status"] in statuses]
    lines = [f"| {c['suite']} | `{c['name']}` | {c['status']} | {_cell(c['reason'])} |" for c in found]
    return "\n".join(["| suite | case | | reason |", "|---|---|---|---|", *lines]) + "\n" if found else "Nothing.\n"


def reasons(cases: Cases) -> str:
    """How many cases are left out for each reason."""
    counts = Counter(case["reason"] for case in cases if case["status"] == Status.LEFT_OUT)
    lines = [f"| {_cell(reason)} | {count} |" for reason, count in sorted(counts.items())]
    return "\n".join(["| reason | cases |", "|---|---:|", *lines]) + "\n" if counts else "Nothing.\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def summary(result: dict[str, Any]) -> str:
    """A line for each suite, for the terminal."""
    lines = []
    for suite, group in by_suite(result["cases"]):
        counts = Counter(case["status"] for case in group)
        lines.append(f"{suite:20} {share(counts):>8}   " + ", ".join(f"{counts[s]} {s}" for s in counts))
    return "\n".join([*lines, f"{result['seconds']} s"])
