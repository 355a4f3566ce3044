"""Two records that deserve more than a row on the page of faults: the hostile files, and the hour of work."""

from __future__ import annotations

from typing import Any

JOBS = {
    "memory": "memory, MiB",
    "threads": "threads",
    "handles": "open file handles",
    "forks": "child processes",
    "mappings": "memory mappings",
    "shared": "shared segments",
    "files": "temporary files",
}


def readers(record: dict[str, Any]) -> str:
    """How many inputs each reader of files was given, and how many got past its header."""
    lines = ["| reader | inputs | past the header | read as whole | seconds |", "|---|---:|---:|---:|---:|"]
    for name, found in record["details"]["readers"].items():
        inputs, past = found["inputs"], found["past_header"]
        lines.append(f"| {name} | {inputs:,} | {past / inputs:.0%} | {found['read']:,} | {found['seconds']:.0f} |")
    how = (
        "An input fails that ends in anything but an error of this package (or an `OSError` where that is due), takes "
        "over five seconds or 1.5 GiB, opens another file, starts a program or a connection. None did; those that did "
        "on the way were mended, and their readers tried again."
    )
    return "\n".join(["## Hostile files, reader by reader", "", how, "", *lines])


def hour(record: dict[str, Any]) -> str:
    """What stood still between the rounds, and by how much it did not."""
    lines = ["| between the rounds | minutes 10 to 20 | last 10 minutes | rise in an hour | bound |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, found in record["details"]["between_rounds_after_minute_10"].items():
        figures = [f"{found[key]:g}" for key in ("minutes_10_to_20", "last_10_minutes", "rise_in_an_hour", "bound")]
        lines.append(f"| {JOBS.get(name, name)} | {' | '.join(figures)} |")
    images = record["details"]["images"]
    what = f"{record['trials']} rounds, {images:,} images. The rise is that of a line fitted from minute 10 on."
    picture = "![An hour: memory, threads, file handles](faults/soak.png)"
    return "\n".join(["## An hour of training and prediction", "", what, "", picture, "", *lines])
