"""Run notebooks in fresh kernels and keep their outputs: all of `notebooks/`, or the ones that are named.

    pip install 'cnn-from-scratch[test]'
    python scripts/run_notebooks.py
    python scripts/run_notebooks.py notebooks/01_backpropagation.ipynb

Its code is formatted where Ruff is installed; its outputs are written only if it ran to its end. What it says about the
machine (times, versions, the state of a window) is left out, so that a second run changes only what has changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
RUFF = (
    "--isolated",
    "--no-cache",
    "--line-length",
    "120",
    "--config",
    'lint.isort.known-first-party=["cnn_from_scratch"]',
)
"""How code in notebooks is formatted: as elsewhere, and wherever the notebook lies."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def run(notebook: Any, folder: Path) -> Any:
    """A copy of the notebook with the outputs of a fresh kernel that works in an empty part of `folder`.

    The kernel finds the package of this repository, no data but those that ship with it, and no settings of the reader.
    """
    ran, here = nbformat.from_dict(notebook), folder / "here"
    here.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "PYTHONWARNINGS")}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "CNN_DATA_DIR": str(folder / "data")}
    environment |= {"IPYTHONDIR": str(folder / "settings")}
    client = NotebookClient(ran, timeout=300, kernel_name="python3", record_timing=False, coalesce_streams=True)
    client.execute(cwd=str(here), env=environment)  # a cell that fails, or whose assert fails, raises
    return ran


def tidy(notebook: Any) -> Any:
    """The notebook without what editors and kernels add to it; tags stay."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
    nbformat.validate(notebook)
    return notebook


def ruff() -> str | None:
    """The program beside this Python, or else on the path; None where it is not installed."""
    return shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")


def arrange(path: Path) -> None:
    """Sort the imports and format the code of a notebook, if Ruff is here to do it."""
    if program := ruff():
        subprocess.run([program, "check", *RUFF, "--quiet", "--select", "I", "--fix", path], check=True)
        subprocess.run([program, "format", *RUFF, "--quiet", path], check=True)


def main(names: list[str]) -> None:
    for path in map(Path, names) if names else sorted((ROOT / "notebooks").glob("*.ipynb")):
        start = time.perf_counter()
        arrange(path)
        with tempfile.TemporaryDirectory() as folder:
            ran = run(nbformat.read(path, as_version=4), Path(folder))
        nbformat.write(tidy(ran), path)
        print(f"{path.name}: {time.perf_counter() - start:.0f} s, {path.stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
