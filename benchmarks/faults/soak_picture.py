"""The picture of the hour: what the process holds, minute by minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnn_from_scratch.insight.style import BLUE, GREEN, INK, SKY, chart, new_figure


def draw(details: dict[str, Any], path: Path) -> None:
    """Memory, threads, handles, images a second: at work in the background, between the rounds as dots."""
    series = details["series"]
    looks, rests, rates = series["every_10_seconds_the_most"], series["between_rounds"], series["images_per_second"]
    figure = new_figure(8, 6.4)
    axes = figure.subplots(4, 1, sharex=True, height_ratios=[1.5, 1, 1, 1])
    for ax, name, title in (
        (axes[0], "memory", "Memory, MiB"),
        (axes[1], "threads", "Threads"),
        (axes[2], "handles", "Open file handles"),
    ):
        chart(ax, title)
        ax.plot(looks["minute"], looks[name], color=SKY, linewidth=1, label="at work, the most of ten seconds")
        ax.plot(rests["minute"], rests[name], ".", color=BLUE, markersize=3.5, label="between the rounds, at rest")
        ax.set_ylim(0, 1.12 * max(looks[name]))
    axes[0].legend(ncols=2, fontsize=8, frameon=False, labelcolor=INK, loc="lower left")
    chart(axes[3], "Images a second, on a machine that others use, too", "minutes")
    axes[3].plot(rates["minute"], rates["rate"], color=GREEN, linewidth=1.4)
    axes[3].set_ylim(0, 1.12 * max(rates["rate"]))
    axes[3].set_xlim(0, max(looks["minute"]))
    figure.savefig(path)
