"""What every notebook of the repository keeps to: functions that return complaints, of which there should be none."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
from ladder import REPOSITORY

FOLDER = REPOSITORY / "notebooks"
LARGEST = 1_500_000
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MACHINES = re.compile(r"(?<![\w.:/-])/(?:home|root|tmp|usr|opt|mnt|var|Users|private)/|site-packages|\b[A-Z]:\\\w")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)


def complaints(text: str) -> list[str]:
    """What is wrong with a notebook as it is committed, before anything is run."""
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    size = len(text.encode())
    found = [f"has {size} bytes, more than {LARGEST}"] if size > LARGEST else []
    for rule in (outputs, metadata, machine, contents, links):
        found += rule(notebook)
    return found


# --- outputs ----------------------------------------------------------------------------------------------------------


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def outputs(notebook: Any) -> Iterator[str]:
    """It was run from top to bottom, nothing failed, nothing warned, and there are pictures."""
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        yield f"was not run once from top to bottom: execution counts {counts}"
    everything = [output for cell in cells for output in cell.outputs]
    for output in everything:
        if output.output_type == "error":
            yield f"shows an error: {output.ename}: {output.evalue}"
        if output.get("name") == "stderr":
            yield f"shows a warning: {output.text.strip()[:200]}"
    if not any("image/png" in output.get("data", {}) for output in everything):
        yield "shows no picture"


def texts(cell: Any) -> list[str]:
    """What a cell printed, and the text of what it showed."""
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]


# --- noise ------------------------------------------------------------------------------------------------------------


def metadata(notebook: Any) -> Iterator[str]:
    """Nothing that an editor or a kernel added; tags are for the reader of the notebook's source."""
    if notebook.metadata != METADATA:
        yield f"has metadata that scripts/run_notebooks.py would not write: {dict(notebook.metadata)}"
    for cell in notebook.cells:
        if extra := set(cell.metadata) - {"tags"}:
            yield f"cell {cell.id} has metadata {sorted(extra)}"
        if cell.get("attachments"):
            yield f"cell {cell.id} has attachments"


def machine(notebook: Any) -> Iterator[str]:
    """No folder of the machine it was run on, and no address in its memory."""
    folders = {str(REPOSITORY), str(Path.home()), sys.prefix, tempfile.gettempdir()} - {"/"}
    for cell in notebook.cells:
        said = [cell.source, *map(json.dumps, cell.get("outputs", []))]
        for text in (re.sub(r'"image/png": "[^"]*"', "", part) for part in said):
            if match := MACHINES.search(text):
                yield f"cell {cell.id} names a folder of one machine: {match[0]!r}"
            if match := ADDRESS.search(text):
                yield f"cell {cell.id} shows an address in memory: {match[0]!r}"
            yield from (f"cell {cell.id} names {folder!r}" for folder in folders if folder in text)


# --- links ------------------------------------------------------------------------------------------------------------


def headings(notebook: Any) -> list[str]:
    """Of the second level and below, without marks of Markdown."""
    lines = re.sub(r"(?ms)^```.*?^```", "", prose(notebook)).splitlines()
    return [re.sub(r"[`*]", "", line.lstrip("#")).strip() for line in lines if re.match(r"#{2,} ", line)]


def anchors(notebook: Any) -> set[str]:
    """As Jupyter names them: the heading, with - for every blank."""
    return {heading.replace(" ", "-") for heading in headings(notebook)}


def targets(text: str) -> list[str]:
    """Where the links of a Markdown text lead."""
    return [
        unquote(target)
        for target in re.findall(r"\]\(([^()\s]+)\)|(?:href|src)=\"([^\"]+)\"", text)
        for target in target
        if target
    ]


def contents(notebook: Any) -> Iterator[str]:
    """The first cell links to every numbered heading."""
    linked = {target[1:] for target in targets(notebook.cells[0].source) if target.startswith("#")}
    numbered = [heading for heading in headings(notebook) if re.match(r"\d+\. ", heading)]
    if not numbered:
        yield "has no numbered headings"
    for heading in numbered:
        if heading.replace(" ", "-") not in linked:
            yield f"its table of contents does not link to {heading!r}"


def links(notebook: Any) -> Iterator[str]:
    """Links lead somewhere: to a heading, a file of the repository, or https; files named in `code` are there, too."""
    text = prose(notebook)
    for target in targets(text):
        file, _, anchor = target.partition("#")
        if not file:
            if anchor not in anchors(notebook):
                yield f"links to #{anchor}, which is no heading"
        elif ":" in file:
            if not file.startswith("https://"):
                yield f"links to {file}, which is not https"
        elif not (FOLDER / file).exists():
            yield f"links to {file}, which is not there"
    places = (REPOSITORY, REPOSITORY / "src" / "cnn_from_scratch", FOLDER)
    for file in re.findall(r"(?<![\w/.`])`?([\w.-]+(?:/[\w.-]+)+\.(?:py|md|ipynb))\b", text):
        if not any((place / file).exists() for place in places) and not (FOLDER / file).exists():
            yield f"names {file}, which is not there"


# --- two runs ---------------------------------------------------------------------------------------------------------


def differences(committed: Any, ran: Any) -> Iterator[str]:
    """What a run shows beside what is committed.

    The kinds of output are the same in every cell. Texts are the same, but for blanks and for the last digits of
    numbers (other processors round sums otherwise): 1 % is allowed, and everything below 1e-6 is zero. A cell that
    shows times, rounding, or the outcome of a longer training has the tag "varies": its texts are not compared.
    """
    if [cell.source for cell in committed.cells] != [cell.source for cell in ran.cells]:
        yield "the sources have changed"
    for before, after in zip(code_cells(committed), code_cells(ran), strict=True):
        if kinds(before) != kinds(after):
            yield f"cell {before.id} shows {kinds(after)}, committed is {kinds(before)}"
        elif "varies" not in before.metadata.get("tags", []):
            for old, new in zip(texts(before), texts(after), strict=True):
                if not alike(old, new):
                    yield f"cell {before.id} says\n{new}\ncommitted is\n{old}"


def kinds(cell: Any) -> list[str]:
    """Of its outputs: a stream's name, or the formats of what is shown."""
    return [output.get("name") or " ".join(sorted(output.get("data", {}))) for output in cell.outputs]


def alike(old: str, new: str) -> bool:
    """The same words, and nearly the same numbers."""
    if re.sub(r"[\s-]+", "", NUMBER.sub("#", old)) != re.sub(r"[\s-]+", "", NUMBER.sub("#", new)):
        return False
    pairs = zip(map(float, NUMBER.findall(old)), map(float, NUMBER.findall(new)), strict=True)
    return all(abs(a - b) <= 0.01 * max(abs(a), abs(b)) + 1e-6 for a, b in pairs)
