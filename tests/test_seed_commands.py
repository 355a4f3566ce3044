"""The commands that the README promises, run as a stranger would run them: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from ladder import REPOSITORY

SCRIPT = REPOSITORY / "src" / "test_convolution.py"


def python(*arguments, cwd=REPOSITORY, **environment):
    """Run this Python; with the package on its path where it is not isolated."""
    env = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "MPLBACKEND": "agg"} | environment
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)


# --- python src/test_convolution.py ---------------------------------------------------------------------------------


def assert_all_ok(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "FAILED" not in done.stdout
    assert "110 of 110 checks ok" in done.stdout
    assert "x                      (2, 3, 8, 8)         float32   N, C, H, W" in done.stdout
    assert "3x3, stride 2, padding 1, groups 4" in done.stdout


def test_the_script_runs_from_the_repository():
    assert_all_ok(python("src/test_convolution.py"))


def test_the_script_runs_isolated_and_from_another_folder(tmp_path):
    assert_all_ok(python("-I", SCRIPT, cwd=tmp_path))


def test_the_script_runs_where_the_package_is_not_installed(tmp_path):
    # -I -S: no installed packages at all, but for NumPy
    site = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (site / name).exists():
            (tmp_path / name).symlink_to(site / name)
    start = (
        f"import runpy, sys; sys.path.append({str(tmp_path)!r}); runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = python("-I", "-S", "-c", start, cwd=tmp_path)
    assert_all_ok(done)
    assert done.stdout.startswith(f"{REPOSITORY / 'src' / 'cnn_from_scratch'}, NumPy")


def test_the_script_says_in_one_sentence_what_is_missing(tmp_path):
    done = python("-I", "-S", SCRIPT, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    wanted = "test_convolution.py needs numpy, which is not installed: pip install -r requirements.txt\n"
    assert done.stderr == wanted


BROKEN = {
    "conv_forward": ("scaled(right(*a, **k))", "loops, 3x3: the error is"),
    "conv_backward": (
        "right(*a, **k) if k.get('need_dx', True) else 1 / 0",
        "learns, 3x3: ZeroDivisionError: division",
    ),
    "col2im": ("right(np.abs(a[0]), *a[1:], **k)", "adjoint, 3x3: the error is"),
    "im2col": ("right(*a, **k).astype('f4')", "overlaps, 3x3: the error is inf"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_script_fails_when_an_operation_is_broken(tmp_path, name):
    broken, wrong = BROKEN[name]
    runner = tmp_path / "runner.py"
    runner.write_text(
        textwrap.dedent(f"""
            import runpy
            import numpy as np
            from cnn_from_scratch import ops
            scaled = lambda result: (result[0] * 1.001, result[1])
            right = ops.{name}
            ops.{name} = lambda *a, **k: {broken}
            runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
        """)
    )
    done = python(runner, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    assert "FAILED" in done.stdout
    assert wrong in done.stdout
    assert "110 of 110" not in done.stdout


# --- pip install -r requirements.txt --------------------------------------------------------------------------------


def test_requirements_are_the_package_with_what_notebooks_and_tests_need():
    assert (REPOSITORY / "requirements.txt").read_text() == "-e .[notebooks,test]\n"
