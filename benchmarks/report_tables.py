"""Tables of the page, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

NAMES = {"w1": "W1", "w2": "W2", "resnet20": "ResNet-20", "resnet18": "ResNet-18"}
NONE = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is words, the others are figures.

    >>> print(table(["net", "ms"], [["W1", "12"]]))
    | net | ms |
    |---|---:|
    | W1 | 12 |
    """
    lines = [header, *rows]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([text[0], "|---" + "|---:" * (len(header) - 1) + "|", *text[1:]])


def number(value: float) -> str:
    """Three digits, never as a power of ten.

    >>> number(0.12345), number(12.345), number(1234.5)
    ('0.123', '12.3', '1234')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def label_of(result: dict[str, Any], case: dict[str, Any]) -> str:
    """What a case is called where it stands among those of other workloads."""
    net = NAMES.get(result["workload"].split("-")[0])
    if result["workload"] == "memory":
        return f"memory of a {case['label']}"
    if result["workload"] == "fit":
        return f"MNIST, {case['label']}"
    if net is None:
        return case["label"]
    return f"{net} step" if result["workload"].endswith("step") else f"{net} inference, {case['label']}"


def at_a_glance(results: Sequence[dict[str, Any]]) -> str:
    """Ours, the best PyTorch, and who else is faster than that, for all that is no picture's detail."""
    rows = []
    for result in results:
        if result["workload"].startswith(("layers", "growth", "shards", "numpy")):
            continue
        for case in (case for case in result["cases"] if "ratio" in case):
            ours, torch = (_peer(case, case[who]) for who in ("ours", "best_torch"))
            figures = [_figure(peer, case["unit"]) for peer in (ours, torch)]
            fastest = fastest_peer(case)
            other = NONE if fastest is torch else f"{fastest['name']} {_figure(fastest, case['unit'])}"
            rows.append([label_of(result, case), *figures, torch["name"], _ratio(case), other])
    header = ["workload", "ours", "best PyTorch", "which", "ours / best PyTorch", "a peer faster than PyTorch"]
    return table(header, rows)


def fastest_peer(case: dict[str, Any]) -> dict[str, Any]:
    """Of all but ours."""
    peers = [peer for peer in case["competitors"] if "median" in peer and not peer["name"].startswith("ours")]
    return min(peers, key=lambda peer: peer["median"])


def _peer(case: dict[str, Any], name: str) -> dict[str, Any]:
    return next((peer for peer in case["competitors"] if peer["name"] == name), {})


def _figure(peer: dict[str, Any], unit: str) -> str:
    return f"{number(peer['median'])} {unit}"


def _ratio(case: dict[str, Any]) -> str:
    if "ratio" not in case:
        return NONE
    spread = case.get("ratio_quartiles")
    return f"**{case['ratio']:.2f}**" + (f" ({spread[0]:.2f}–{spread[1]:.2f})" if spread else "")


def by_competitor(results: Sequence[dict[str, Any]]) -> str:
    """A row for each competitor, a column for each case: median and quartiles; the ratio in the last row."""
    cases = [(label_of(result, case).replace(" inference", ""), case) for result in results for case in result["cases"]]
    names = list(dict.fromkeys(peer["name"] for _, case in cases for peer in case["competitors"]))
    rows = [[name, *(_cell(case, name, spread=len(cases) <= 4) for _, case in cases)] for name in names]
    if len(cases) == 1:
        return _with_multiples(rows, *cases[0])
    rows.append(["**ours / best PyTorch**", *(_ratio(case) for _, case in cases)])
    rows.append(["samples each", *(_samples(case) for _, case in cases)])
    rows.append(["largest difference from ours (PyTorch)", *(_difference(case) for _, case in cases)])
    if any("float64" in case for _, case in cases):
        rows.append(["the same in float64", *(_exact(case) for _, case in cases)])
    return table(["", *(label for label, _ in cases)], rows)


def _with_multiples(rows: list[list[str]], label: str, case: dict[str, Any]) -> str:
    """One case alone, with how often each peer takes as much as ours."""
    ours = case["competitors"][0].get("median")
    for row in rows:
        median = _peer(case, row[0]).get("median")
        row.append(f"{median / ours:.2f}" if median and ours else NONE)
    return table(["", f"{label}, {case['unit']}", "times ours"], rows)


def _cell(case: dict[str, Any], name: str, *, spread: bool) -> str:
    peer = _peer(case, name)
    if "median" not in peer:
        return NONE
    if "accuracy" in peer:
        return f"{number(peer['median'])} s, {100 * peer['accuracy']:.2f} %"
    low_high = peer.get("quartiles")
    return number(peer["median"]) + (f" ({number(low_high[0])}–{number(low_high[1])})" if spread and low_high else "")


def _samples(case: dict[str, Any]) -> str:
    return str(max((len(peer.get("samples", ())) for peer in case["competitors"]), default=0))


def _difference(case: dict[str, Any]) -> str:
    far = [p["difference"]["largest"] for p in case["competitors"] if "difference" in p and "PyTorch" in p["name"]]
    return f"{max(far):.1e}" if far else NONE


def _exact(case: dict[str, Any]) -> str:
    largest = (case.get("float64") or {}).get("largest")
    return NONE if largest is None else f"{largest:.1e}"


def by_case(result: dict[str, Any]) -> str:
    """A row for each case, a column for each competitor; per image where the workload says so."""
    names = list(dict.fromkeys(peer["name"] for case in result["cases"] for peer in case["competitors"]))
    rows = []
    for case in result["cases"]:
        shown = per_image(case) if result["per_image"] else case
        rows.append([case["label"], *(_cell(shown, name, spread=False) for name in names), _ratio(case)])
    return table(["", *names, "ours / best PyTorch"], rows)


def per_image(case: dict[str, Any]) -> dict[str, Any]:
    """The case with the median of a step divided by its images."""
    N = case["shape"][0]
    peers = [peer | ({"median": peer["median"] / N} if "median" in peer else {}) for peer in case["competitors"]]
    return case | {"competitors": peers}


def missing(results: Sequence[dict[str, Any]]) -> str:
    """Who could not be measured, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for case in result["cases"]:
            for peer in case["competitors"]:
                if "unavailable" in peer:
                    reasons.setdefault((peer["name"], peer["unavailable"]), []).append(label_of(result, case))
    lines = [f"- {name}: {reason} ({_some(cases)})" for (name, reason), cases in reasons.items()]
    return "Not measured:\n\n" + "\n".join(lines) if lines else ""


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"
