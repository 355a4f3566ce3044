"""The check of dependencies fails for unknown licences, known weaknesses, low bounds, missing pins, and only then."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CI = Path(__file__).resolve().parents[1] / ".ci"
RULES = """\
permissive = ["MIT", "BSD-3-Clause", "Apache-2.0"]
[spelled]
"MIT License" = "MIT"
"BSD License" = "BSD-3-Clause"
"Mozilla Public License 2.0 (MPL 2.0)" = "MPL-2.0"
[accepted]
certs = ["MPL-2.0", "data only"]
[[advisory]]
package = "Weak_Package"
affected = ["<1.5", ">=2.0,<2.1"]
id = "CVE-2000-1"
why = "it leaks"
"""
PROJECT = '[project]\ndependencies = ["weak.package>=1.5", "other[x]>=1; python_version > \'3\'"]\n'


def check(tmp_path, *metadata, project=PROJECT, pins=None):
    """Run the script on distributions that say this of themselves; its exit status and what it said."""
    for number, text in enumerate(metadata):
        name, version = re.findall(r"^(?:Name|Version): (.*)$", text, flags=re.MULTILINE)
        folder = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\n{text}\n\ntext {number}\n")
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "pyproject.toml").write_text(project)
    command = [sys.executable, str(CI / "check_dependencies.py"), "--site", str(tmp_path / "site")]
    command += ["--rules", str(tmp_path / "rules.toml"), "--project", str(tmp_path / "pyproject.toml")]
    if pins is not None:
        (tmp_path / "pins.txt").write_text(pins)
        command += ["--pins", str(tmp_path / "pins.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr.splitlines() or done.stdout.splitlines()


def distribution(name="a", version="1.0", licence="License-Expression: MIT"):
    return f"Name: {name}\nVersion: {version}" + (f"\n{licence}" if licence else "")


def test_good_distributions_pass(tmp_path):
    found = check(
        tmp_path, distribution("a"), distribution("weak-package", "1.5"), pins="a==1.0 \\\nweak-package==1.5 \\\n"
    )
    assert found == (0, ["2 distributions: licences known, none of 1 weaknesses, pinned"])


@pytest.mark.parametrize(
    "licence",
    [
        "License-Expression: MIT AND BSD-3-Clause",
        "License-Expression: GPL-3.0-only OR MIT",
        "License-Expression: (MIT AND Apache-2.0)",
        "Classifier: License :: OSI Approved :: MIT License",
        "Classifier: License :: OSI Approved\nClassifier: License :: OSI Approved :: BSD License",
        "License: MIT License",
        "License: MIT\n        and a long text",
    ],
)
def test_permissive_licences_pass_however_they_are_said(tmp_path, licence):
    assert check(tmp_path, distribution(licence=licence))[0] == 0


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("License-Expression: GPL-3.0-only", "GPL-3.0-only"),
        ("License-Expression: MIT AND GPL-3.0-only", "MIT AND GPL-3.0-only"),
        ("License-Expression: MIT AND (GPL-3.0-only OR BSD-3-Clause)", "MIT AND (GPL-3.0-only OR BSD-3-Clause)"),
        ("License-Expression: GPL-3.0-only\nLicense: MIT", "GPL-3.0-only"),
        ("Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: Other", "MIT License, Other"),
        ("License: Mine", "Mine"),
        ("", "nothing"),
    ],
)
def test_other_licences_fail(tmp_path, licence, said):
    assert check(tmp_path, distribution(licence=licence)) == (
        1,
        [f"a: its licence is {said!r}, which is not on the list"],
    )


def test_a_licence_is_accepted_by_name_and_only_that_one(tmp_path):
    mpl = "Classifier: License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"
    assert check(tmp_path / "1", distribution("certs", licence=mpl))[0] == 0
    assert check(tmp_path / "2", distribution("certs", licence="License: Mine")) == (
        1,
        ["certs: its licence is 'Mine', which is not on the list; accepted was 'MPL-2.0'"],
    )


@pytest.mark.parametrize(
    ("version", "weak"), [("1.4.9", True), ("1.5", False), ("2.0rc1", False), ("2.0.3", True), ("2.1", False)]
)
def test_known_weaknesses_fail(tmp_path, version, weak):
    line = f"weak-package {version}: CVE-2000-1, it leaks (<1.5 or >=2.0,<2.1)"
    status, said = check(tmp_path, distribution("weak-package", version))
    assert (status, said) == (1, [line]) if weak else status == 0


@pytest.mark.parametrize("bound", ["weak-package>=1.4", "weak-package", "weak-package>=1.0,<3", "weak-package==2.0.1"])
def test_a_requirement_that_lets_a_weak_version_in_fails(tmp_path, bound):
    project = f'[project]\ndependencies = []\n[project.optional-dependencies]\nx = ["{bound}"]\n'
    assert check(tmp_path, distribution(), project=project) == (
        1,
        [f"pyproject.toml: {bound} allows: CVE-2000-1, it leaks (<1.5 or >=2.0,<2.1)"],
    )


def test_what_is_not_pinned_fails(tmp_path):
    found = check(tmp_path, distribution("a"), distribution("b"), distribution("pip"), pins="B==2.0 \\\n    --hash=x\n")
    assert found == (1, ["a 1.0 is installed, and has no pin", "b 1.0 is installed, and pinned is 2.0"])


def pins(file):
    text = (CI / file).read_text(encoding="utf-8")
    return text, re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize("file", ["requirements-test.txt", "requirements.txt"])
def test_every_pin_has_hashes_and_nothing_says_where_it_was_made(file):
    text, blocks = pins(file)
    assert len(blocks) > 50
    assert all(re.match(r"\S+==\S+( ; .*)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", block) for block in blocks)
    assert not re.search(r"://|find-links|index-url|file:|torch", text)


def test_the_tests_have_the_versions_that_all_checks_have():
    few, all_of_them = (
        {block.split()[0] for block in pins(file)[1]} for file in ("requirements-test.txt", "requirements.txt")
    )
    assert few < all_of_them


def test_the_pins_are_those_of_the_project():
    """Every requirement has a pin that it allows; if not, run .ci/pin_dependencies.py."""
    table = tomllib.loads((CI.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = table["project"]["optional-dependencies"]
    for file, chosen in [("requirements-test.txt", ["test"]), ("requirements.txt", ["test", "dev", "docs"])]:
        pinned = dict(block.split()[0].split("==") for block in pins(file)[1])
        asked = table["project"]["dependencies"] + table["build-system"]["requires"]
        for text in asked + [text for extra in chosen for text in extras.get(extra, [])]:
            requirement = Requirement(text)
            version = pinned.get(canonicalize_name(requirement.name))
            assert version, f"{file} has no {text}"
            assert requirement.specifier.contains(version, prereleases=True), f"{file} has {version} for {text}"


def test_the_rules_name_packages_once_for_each_advisory_and_say_why():
    rules = tomllib.loads((CI / "dependencies.toml").read_text(encoding="utf-8"))
    ids = [(advisory["package"], advisory["id"]) for advisory in rules["advisory"]]
    assert len(set(ids)) == len(ids)
    assert all(advisory["why"] and advisory["affected"] for advisory in rules["advisory"])
    assert all(len(entry) == 2 and entry[1] for entry in rules["accepted"].values())
