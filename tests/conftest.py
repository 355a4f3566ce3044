"""What tests of several rooms need to produce a fault."""

from __future__ import annotations

import os
import subprocess

import pytest


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a file system in memory with the given options, or mounts it anew, and says where."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def mount(options):
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("only root may mount a file system")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)
