"""How large is what must be installed to predict with a model: this package beside onnxruntime and PyTorch.

    python benchmarks/installed_size.py [--out FILE]

installs this package into new folders, once with NumPy and safetensors alone and once with all it can use, and counts
the bytes of their files. The peers are counted as they are installed in this environment: their own files and those of
all distributions that they require, as their metadata say. Python and pip themselves are counted nowhere.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from machine import describe

REPOSITORY = Path(__file__).resolve().parents[1]
RESULT = REPOSITORY / "benchmarks" / "results" / "installed_size.json"
FRESH = {
    "this package, to predict": [["numpy", "safetensors"], ["--no-deps", str(REPOSITORY)]],
    "this package, all of it": [[str(REPOSITORY)]],
}
PEERS = {"onnxruntime": "onnxruntime", "PyTorch": "torch"}


class Size(NamedTuple):
    """One row of the table."""

    name: str
    size: int  # bytes
    distributions: dict[str, int]  # bytes of each


def fresh(name: str, installs: list[list[str]]) -> Size:
    """What pip puts into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        for arguments in installs:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--target", folder, *arguments], check=True)
        found = {_title(d): _bytes_of(d) for d in metadata.distributions(path=[folder])}
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return Size(name, size, _largest_first(found))


def installed(name: str, distribution: str) -> Size:
    """What is installed here of a distribution and all that it requires."""
    found: dict[str, int] = {}
    waiting = [distribution]
    while waiting:
        one = metadata.distribution(waiting.pop())
        if _title(one) in found:
            continue
        found[_title(one)] = _bytes_of(one)
        waiting += [required for line in one.requires or [] if (required := _required(line))]
    return Size(name, sum(found.values()), _largest_first(found))


def _largest_first(found: dict[str, int]) -> dict[str, int]:
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _required(line: str) -> str | None:
    """The name in a requirement; None if it is for an extra, or not installed here as its marker does not hold."""
    if "extra ==" in line.replace("'", '"'):
        return None
    name = re.match(r"[A-Za-z0-9._-]+", line)
    assert name is not None, line
    try:
        metadata.distribution(name[0])
    except metadata.PackageNotFoundError:
        return None
    return name[0]


def _bytes_of(distribution: metadata.Distribution) -> int:
    paths = (Path(str(distribution.locate_file(file))) for file in distribution.files or [])
    return sum(path.stat().st_size for path in paths if path.is_file())


def _title(distribution: metadata.Distribution) -> str:
    return f"{distribution.metadata['Name'].lower()} {distribution.version}"


def main() -> None:
    """Measure, print, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULT, help="the JSON file")
    arguments = parser.parse_args()
    sizes = [fresh(name, installs) for name, installs in FRESH.items()]
    sizes += [installed(name, distribution) for name, distribution in PEERS.items()]
    least = sizes[0].size
    for row in sizes:
        print(f"{row.name:26} {row.size / 2**20:8.1f} MiB  {row.size / least:5.1f}")
    text = json.dumps({"machine": describe(), "sizes": [row._asdict() for row in sizes]}, indent=1)
    arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
