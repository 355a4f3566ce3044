"""Write .ci/requirements*.txt: every package that the checks need, in one version, with the hashes of its files.

    pip install pip-tools
    python .ci/pin_dependencies.py              what is pinned stays, what pyproject.toml adds is added
    python .ci/pin_dependencies.py --upgrade    the newest of everything

Settings of pip that belong to a machine (other indexes, folders of wheels) play no part, so that the file is the same
wherever it is made. Run it with the oldest Python that the checks run on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = {"requirements-test.txt": ("test",), "requirements.txt": ("test", "dev", "docs")}
HEAD = """\
# Every package that .ci/run installs{}, in one version, with the hashes of its files.
# Made by: python .ci/pin_dependencies.py
"""
OPTIONS = """
    --generate-hashes --allow-unsafe --strip-extras --build-deps-for=wheel
    --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --quiet
""".split()


def main() -> None:
    """Let pip-compile do it, without this machine's settings, and put our own head on top."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL")}
    for file, extras in FILES.items():
        path = ROOT / ".ci" / file
        chosen = [*(f"--extra={extra}" for extra in extras), "-o", str(path), "pyproject.toml"]
        command = [sys.executable, "-m", "piptools", "compile", *OPTIONS, *sys.argv[1:], *chosen]
        subprocess.run(command, cwd=ROOT, env={**clean, "PIP_CONFIG_FILE": os.devnull}, check=True)
        head = HEAD.format(" for the tests" if extras == ("test",) else "")
        path.write_text(head + path.read_text(encoding="utf-8").removeprefix(head), encoding="utf-8")


if __name__ == "__main__":
    main()
