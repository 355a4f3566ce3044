"""Pictures of the page: ratios, single convolutions, growth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from report_tables import fastest_peer, label_of, per_image

from cnn_from_scratch.insight.style import BLUE, GREEN, INK, ORANGE, SKY, SOFT, YELLOW, chart, new_figure

WIDTH = 8.0  # inches
Results = dict[str, dict[str, Any]]


def draw_pictures(results: Results, folder: Path) -> dict[str, str]:
    """Draw what there is; each picture's name, and the section that it stands in."""
    drawn = {}
    for name, section, draw in (
        ("ratios.png", "", draw_ratios),
        ("convolutions.png", "One convolution", draw_convolutions),
        ("growth.png", "Growth", draw_growth),
        ("memory.png", "Memory", draw_memory),
    ):
        figure = draw(results)
        if figure is not None:
            figure.savefig(folder / name)
            drawn[name] = section
    return drawn


# --- ratios: bars that begin at 1, to the left where ours is faster -------------------------------------------------


def draw_ratios(results: Results) -> Figure | None:
    """A bar for each step and each inference: ours / best PyTorch."""
    wanted = [result for name, result in results.items() if name.endswith(("step", "inference"))]
    bars = [(label_of(result, case), case) for result in wanted for case in result["cases"] if "ratio" in case]
    if not bars:
        return None
    figure = new_figure(
        WIDTH,
        1.3 + 0.36 * len(bars),
        "Time of ours / time of the fastest PyTorch",
        "Two cores, float32. Left of the line ours is faster. Thin lines span the quartiles of the rounds. "
        "A diamond is ours / fastest peer, where that is no PyTorch.",
    )
    ax = figure.subplots()
    chart(ax, "")
    for row, (_, case) in enumerate(bars):
        _bar(ax, row, case)
        _diamond(ax, row, case)
    _rows(ax, [f"{label}   {case['ratio']:.2f}" for label, case in bars])
    _ratio_axis([ax], room=2.2)
    return figure


def draw_convolutions(results: Results) -> Figure | None:
    """Forward and backward side by side, a row for each convolution."""
    there = [results[name] for name in ("layers-forward", "layers-backward") if name in results]
    labels = list(dict.fromkeys(case["label"] for result in there for case in result["cases"] if "ratio" in case))
    if not labels:
        return None
    title = "One convolution: time of ours / time of the fastest eager PyTorch"
    figure = new_figure(WIDTH, 1.2 + 0.4 * len(labels), title, "Two cores, float32. Left of the line ours is faster.")
    panels = figure.subplots(1, len(there), sharex=True, sharey=True, squeeze=False)[0]
    for ax, result in zip(panels, there, strict=True):
        chart(ax, result["title"].split(", ")[1])
        for case in result["cases"]:
            if "ratio" in case:
                row = labels.index(case["label"])
                _note(ax, f"{case['ratio']:.2f}", _bar(ax, row, case), row)
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
    _rows(panels[0], [label.replace(", batch", ",\nbatch") for label in labels])
    _ratio_axis(panels, room=1.6)
    return figure


def _bar(ax: Axes, row: int, case: dict[str, Any]) -> float:
    """From 1 to the ratio, and its quartiles; where it ends, seen from 1."""
    ratio = case["ratio"]
    low, high = case.get("ratio_quartiles", [ratio, ratio])
    ax.barh(row, ratio - 1, left=1, height=0.62, color=BLUE if ratio <= 1 else ORANGE)
    ax.plot([low, high], [row, row], color=INK, linewidth=1.2)
    return min(low, ratio) if ratio <= 1 else max(high, ratio)


def _diamond(ax: Axes, row: int, case: dict[str, Any]) -> None:
    """Ours against a peer that is faster than PyTorch."""
    fastest = fastest_peer(case)
    if fastest["name"] == case["best_torch"]:
        return
    medians = {peer["name"]: peer.get("median") for peer in case["competitors"]}
    ratio = medians[case["ours"]] / fastest["median"]
    ax.plot(ratio, row, marker="D", markersize=7, color="white", markeredgecolor=INK, markeredgewidth=1.4, zorder=4)
    end = max(1.0, ratio, case["ratio"], *case.get("ratio_quartiles", []))
    _note(ax, f"{ratio:.2f} {fastest['name'].split(',')[0]}", end, row)


def _note(ax: Axes, text: str, end: float, row: int) -> None:
    """Words beyond the end of a bar."""
    offset, side = (-5, "right") if end < 1 else (8, "left")
    ax.annotate(text, (end, row), (offset, 0), textcoords="offset points", va="center", ha=side, fontsize=9, color=INK)


def _rows(ax: Axes, labels: list[str]) -> None:
    ax.set_yticks(range(len(labels)), labels, color=INK, fontsize=9)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)


def _ratio_axis(panels: Sequence[Axes], *, room: float) -> None:
    """Twice as fast is as far from the line as twice as slow; some room for words at the right."""
    low = min(0.45, *(ax.dataLim.xmin / 1.6 for ax in panels))
    high = max(1.4, *(ax.dataLim.xmax for ax in panels)) * room
    ticks = [2.0**e for e in range(-5, 6) if low <= 2.0**e <= high]
    for ax in panels:
        ax.axvline(1, color=INK, linewidth=1.2)
        ax.set_xscale("log", base=2)
        ax.set_xlim(low, high)
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()


# --- growth ---------------------------------------------------------------------------------------------------------

LOOKS = ((BLUE, "o"), (ORANGE, "s"), (YELLOW, "^"), (GREEN, "D"))
"""Colour and marker of each competitor."""


def draw_growth(results: Results) -> Figure | None:
    """Time per image as batches and images grow."""
    panels = [
        (results[name], xlabel)
        for name, xlabel in (
            ("growth-w1", "images in a batch"),
            ("growth-w2", "images in a batch"),
            ("growth-size", "pixels along a side"),
        )
        if name in results
    ]
    if not panels:
        return None
    figure = new_figure(WIDTH, 3.7, "Time of a training step per image", "Two cores, float32; both axes logarithmic.")
    top, *axes = figure.subplot_mosaic(
        [["legend"] * len(panels), [result["workload"] for result, _ in panels]], height_ratios=[0.08, 1]
    ).values()
    for ax, (result, xlabel) in zip(axes, panels, strict=True):
        chart(ax, f"{result['title'].split(',')[0]}, ms", xlabel)
        _lines(ax, result)
    top.set_axis_off()
    top.legend(*axes[0].get_legend_handles_labels(), loc="center left", ncols=3, fontsize=9, frameon=False)
    return figure


def _lines(ax: Axes, result: dict[str, Any]) -> None:
    cases = [per_image(case) for case in result["cases"]]
    names = list(dict.fromkeys(peer["name"] for case in cases for peer in case["competitors"]))
    for name, (colour, marker) in zip(names, LOOKS, strict=False):
        points = [(c["x"], p["median"]) for c in cases for p in c["competitors"] if p["name"] == name and "median" in p]
        if points:
            ax.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=5, linewidth=1.8, label=name)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ticks = [case["x"] for case in cases]
    ax.set_xticks(ticks, [f"{x:.0f}" for x in ticks])
    ax.minorticks_off()
    low, high = ax.get_ylim()
    steps = (1, 2, 5) if high > 8 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    marks = [m * 10.0**e for e in range(-3, 4) for m in steps if low <= m * 10.0**e <= high]
    ax.set_yticks(marks, [f"{mark:g}" for mark in marks])


def draw_memory(results: Results) -> Figure | None:
    """A bar for each competitor."""
    peers = [peer for case in results.get("memory", {"cases": []})["cases"] for peer in case["competitors"]]
    peers = [peer for peer in peers if "median" in peer]
    if not peers:
        return None
    figure = new_figure(WIDTH, 1.2 + 0.34 * len(peers), "Peak memory of training W2, over the imports, MiB", "")
    ax = figure.subplots()
    chart(ax, "")
    for row, peer in enumerate(peers):
        ax.barh(row, peer["median"], height=0.62, color=BLUE if peer["name"].startswith("ours") else SKY)
        ax.annotate(f"{peer['median']:.0f}", (peer["median"], row), (5, 0), textcoords="offset points", va="center",
                    fontsize=9, color=SOFT)  # fmt: skip
    _rows(ax, [peer["name"] for peer in peers])
    ax.set_xlim(0, 1.12 * max(peer["median"] for peer in peers))
    return figure
