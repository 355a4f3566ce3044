"""The commands that the README promises, run as a stranger would run them: in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from ladder import REPOSITORY
from PIL import Image

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


# --- python examples/... --------------------------------------------------------------------------------------------


def test_an_edge_filter_is_learned():
    done = python("-W", "error", "examples/learn_an_edge_filter.py")
    assert done.returncode == 0, done.stderr
    assert "step 200: loss 0.00000" in done.stdout


def test_the_raw_loop_learns():
    done = python("-W", "error", "examples/raw_loop.py")
    assert done.returncode == 0, done.stderr
    shares = [float(share) for share in re.findall(r"([\d.]+)% of the test digits", done.stdout)]
    assert len(shares) == 8
    assert shares[-1] > 96


@pytest.mark.slow
def test_training_on_digits_leaves_a_model_and_pictures(tmp_path):
    done = python("-W", "error", REPOSITORY / "examples" / "train_digits.py", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    accuracy = re.search(r"([\d.]+)% of 359 digits", done.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) > 97
    pictures = {"history.png", "filters.png", "feature_maps.png", "confusion.png", "mistakes.png"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == pictures | {"model.safetensors"}


@pytest.mark.slow
@pytest.mark.fault("interrupted", "resume")
def test_a_training_that_was_broken_off_goes_on_to_the_same_end(tmp_path):
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        INTERRUPTIBLE,
        REPOSITORY / "examples" / "resume_training.py",
        "run",
    ]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not list(tmp_path.glob("run/checkpoint-*")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
    assert process.returncode == 1
    assert said.endswith("broken off; everything is in run: run me again\n")
    ends = []
    for folder in ("run", "whole"):
        done = python("-W", "error", REPOSITORY / "examples" / "resume_training.py", folder, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        ends.append(done.stdout[done.stdout.index("SHA-256") :])
    assert ends[0] == ends[1]
    accuracy = re.search(r"([\d.]+)% of the test digits", ends[0])
    assert accuracy is not None
    assert float(accuracy[1]) > 95


INTERRUPTIBLE = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever this test runs under
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_examples_are_short():
    lengths = {path.name: len(path.read_text().splitlines()) for path in (REPOSITORY / "examples").glob("*.py")}
    assert len(lengths) >= 3
    assert max(lengths.values()) < 60, lengths


# --- python visuals/make_visuals.py ---------------------------------------------------------------------------------


def test_the_visuals_are_made_by_code(tmp_path):
    done = python("-W", "error", "visuals/make_visuals.py", tmp_path)
    assert done.returncode == 0, done.stderr
    made = {path.name: path for path in tmp_path.iterdir()}
    kept = {path.name: path for path in (REPOSITORY / "visuals").iterdir() if path.suffix in {".svg", ".png", ".gif"}}
    assert made.keys() == kept.keys()
    for path in (*made.values(), *kept.values()):
        assert path.stat().st_size < 300_000
        if path.suffix == ".svg":
            ElementTree.parse(path)
            continue
        with Image.open(path) as picture:
            picture.load()
