"""Fail if an installed distribution has a licence that is not on the list, a known weakness, or not its pinned version.

    python .ci/check_dependencies.py --pins .ci/requirements.txt

Needs no network: licences are read from the metadata of what is installed, weaknesses from .ci/dependencies.toml. The
lowest versions that pyproject.toml allows must be free of known weaknesses, too.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = Path(__file__).resolve().parent
OURS = "cnn-from-scratch"
COME_WITH_PYTHON = {"pip", "setuptools", "wheel"}  # `python -m venv` brings them; nothing of ours uses them


def main() -> None:
    """All checks; every problem on a line of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=Path, help="a file of NAME==VERSION lines: nothing else may be installed")
    parser.add_argument("--site", help="a folder of installed distributions, in place of those of this Python")
    parser.add_argument("--rules", type=Path, default=HERE / "dependencies.toml")
    parser.add_argument("--project", type=Path, default=HERE.parent / "pyproject.toml")
    arguments = parser.parse_args()
    rules = tomllib.loads(arguments.rules.read_text(encoding="utf-8"))
    installed = dependencies([arguments.site] if arguments.site else None)
    problems = [*licences(installed, rules), *weaknesses(installed, rules), *floors(arguments.project, rules)]
    if arguments.pins:
        problems += unpinned(installed, arguments.pins.read_text(encoding="utf-8"))
    if problems:
        sys.exit("\n".join(problems))
    advisories = len(rules["advisory"])
    print(
        f"{len(installed)} distributions: licences known, none of {advisories} weaknesses"
        + ", pinned" * bool(arguments.pins)
    )


def dependencies(path: list[str] | None) -> dict[str, Distribution]:
    """What is installed, by its canonical name, without ourselves and what comes with Python."""
    found = distributions() if path is None else distributions(path=path)
    named = {canonicalize_name(distribution.metadata["Name"]): distribution for distribution in found}
    return {name: named[name] for name in sorted(named) if name not in {OURS, *COME_WITH_PYTHON}}


# --- licences ---------------------------------------------------------------------------------------------------------


def licences(installed: dict[str, Distribution], rules: dict[str, Any]) -> Iterator[str]:
    """What is neither permissive nor accepted by name."""
    for name, distribution in installed.items():
        licence = licence_of(distribution)
        accepted = rules["accepted"].get(name, [None])[0]
        if not _permissive(licence, rules) and rules["spelled"].get(licence, licence) != accepted:
            but = f"; accepted was {accepted!r}" if accepted else ""
            yield f"{name}: its licence is {licence!r}, which is not on the list{but}"


def licence_of(distribution: Distribution) -> str:
    """As the distribution says it: the expression, else its classifiers, else the first line of the free field."""
    metadata = distribution.metadata
    if expression := metadata["License-Expression"]:
        return expression
    classifiers = [
        text.split(" :: ")[-1] for text in metadata.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    classifiers = [text for text in classifiers if text != "OSI Approved"]
    free = (metadata["License"] or "").strip().split("\n")[0]
    return ", ".join(classifiers) or free or "nothing"


def _permissive(licence: str, rules: dict[str, Any]) -> bool:
    """Every part is on the list; of parts that are joined by OR alone, one."""
    known = set(rules["permissive"])
    if licence in rules["spelled"]:
        return rules["spelled"][licence] in known
    parts = [part.strip(" ()") for part in re.split(r" AND | OR |, ", licence)]
    permissive = [rules["spelled"].get(part, part) in known for part in parts]
    return any(permissive) if " OR " in licence and " AND " not in licence else all(permissive)


# --- weaknesses -------------------------------------------------------------------------------------------------------


def weaknesses(installed: dict[str, Distribution], rules: dict[str, Any]) -> Iterator[str]:
    """Installed versions that an advisory names."""
    for name, distribution in installed.items():
        yield from _advisories(name, distribution.version, f"{name} {distribution.version}", rules)


def floors(project: Path, rules: dict[str, Any]) -> Iterator[str]:
    """Requirements of ours whose lowest version an advisory names."""
    table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras = table.get("optional-dependencies", {}).values()
    for text in [*table["dependencies"], *(text for extra in extras for text in extra)]:
        requirement = Requirement(text)
        bounds = [Version(part.version) for part in requirement.specifier if part.operator in (">=", "==", "~=")]
        lowest = str(max(bounds, default=Version("0")))
        yield from _advisories(canonicalize_name(requirement.name), lowest, f"{project.name}: {text} allows", rules)


def _advisories(name: str, version: str, subject: str, rules: dict[str, Any]) -> Iterable[str]:
    """A line for each advisory that a version falls under."""
    for advisory in rules["advisory"]:
        ranges = [SpecifierSet(text) for text in advisory["affected"]]
        if canonicalize_name(advisory["package"]) == name and any(
            r.contains(version, prereleases=True) for r in ranges
        ):
            yield f"{subject}: {advisory['id']}, {advisory['why']} ({' or '.join(advisory['affected'])})"


# --- pins -------------------------------------------------------------------------------------------------------------


def unpinned(installed: dict[str, Distribution], pins: str) -> Iterator[str]:
    """What is installed without a pin, or in another version."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", pins, flags=re.MULTILINE)
    pinned = {canonicalize_name(name): version for name, version in lines}
    for name, distribution in installed.items():
        if name not in pinned:
            yield f"{name} {distribution.version} is installed, and has no pin"
        elif Version(pinned[name]) != Version(distribution.version):
            yield f"{name} {distribution.version} is installed, and pinned is {pinned[name]}"


if __name__ == "__main__":
    main()
