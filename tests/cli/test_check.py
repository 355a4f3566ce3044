"""`cnn check` as a learner uses it: files to begin with, a table, the first failure in full, hints only when asked."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import cnn
from ladder import REPOSITORY

from cnn_from_scratch.exercises import EXERCISES

WITHOUT_BIAS = """
import numpy as np


def conv_forward(x, weight, bias, stride=1, padding=0):
    N, C, H, W = x.shape
    F, C, KH, KW = weight.shape
    OH, OW = (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    y = np.zeros((N, F, OH, OW), x.dtype)
    for n, f, oh, ow in np.ndindex(*y.shape):
        patch = xp[n, :, oh * stride : oh * stride + KH, ow * stride : ow * stride + KW]
        y[n, f, oh, ow] = (patch * weight[f]).sum()BIAS
    return y
"""


@pytest.fixture
def folder(tmp_path):
    """The files that one begins with."""
    assert cnn("check", "--new", "--folder", tmp_path / "mine").exit_code == 0
    return tmp_path / "mine"


def lines_of(result):
    return [line.strip() for line in result.output.splitlines()]


# --- beginning ------------------------------------------------------------------------------------------------------


def test_new_writes_all_files_and_says_what_to_do(tmp_path):
    folder = tmp_path / "my exercises"
    result = cnn("check", "--new", "--folder", folder)
    assert result.exit_code == 0
    assert sorted(path.stem for path in folder.iterdir()) == sorted(EXERCISES)
    assert lines_of(result)[0] == f"{folder / 'im2col.py'}  patches to columns"
    assert lines_of(result)[-1] == (
        f"Open {folder / 'im2col.py'}, write the function, and run: cnn check im2col --folder '{folder}'"
    )


def test_new_leaves_what_is_there(folder):
    (folder / "adam.py").write_text("mine", encoding="utf-8")
    (folder / "im2col.py").unlink()
    result = cnn("check", "--new", "--folder", folder)
    assert f"{folder / 'im2col.py'}  patches to columns" in result.output
    assert "8 files were there already and stay." in result.output
    assert (folder / "adam.py").read_text(encoding="utf-8") == "mine"
    assert "1 file was there already and stays." in cnn("check", "adam", "--new", "--folder", folder).output


def test_nothing_is_written_yet(folder):
    result = cnn("check", "--folder", folder)
    assert result.exit_code == 1
    lines = lines_of(result)
    assert [line.split()[:2] for line in lines[1:10]] == [["·", name] for name in EXERCISES]
    assert "0 of 9 are right." in lines
    assert "· im2col  not written yet" in lines
    assert "How to begin" in lines
    assert not any(hint[:40] in result.output for exercise in EXERCISES.values() for hint in exercise.hints)


def test_no_files_at_all(tmp_path):
    result = cnn("check", "adam", "--folder", tmp_path / "none")
    assert result.exit_code == 1
    assert f"there is no adam.py in {tmp_path / 'none'}" in result.output
    assert f"Write it with: cnn check --new --folder {tmp_path / 'none'}" in result.output


# --- a mistake, and its end -----------------------------------------------------------------------------------------


def test_a_mistake_is_taken_apart_and_named(folder):
    (folder / "conv_forward.py").write_text(WITHOUT_BIAS.replace("BIAS", ""), encoding="utf-8")
    result = cnn("check", "conv_forward", "--folder", folder)
    assert result.exit_code == 1
    lines = lines_of(result)
    assert lines[:3] == [
        "✗ conv_forward  1 of 7 rungs",
        "✓ 1 one filter, no bias to speak of",
        "✗ 2 two filters, each with its bias",
    ]
    assert "y[0, 0, 0, 0] should be -22 and is -32; all numbers are wrong" in lines
    assert "bias                                             10" in lines
    assert "How y[0, 0, 0, 0] comes about" in lines
    assert "This is what comes out when the bias is forgotten: bias[f] is added to every" in lines
    assert lines[-1] == "Stuck? cnn check conv_forward --hint 1"


def test_the_mistake_is_mended(folder):
    (folder / "conv_forward.py").write_text(WITHOUT_BIAS.replace("BIAS", " + bias[f]"), encoding="utf-8")
    result = cnn("check", "conv_forward", "--folder", folder)
    assert result.exit_code == 0
    assert lines_of(result)[0] == "✓ conv_forward  7 of 7 rungs"
    assert lines_of(result)[-1].startswith("Next: cnn check conv_backward --folder")


def test_the_first_that_is_wrong_is_told_in_full(folder):
    (folder / "conv_forward.py").write_text(WITHOUT_BIAS.replace("BIAS", ""), encoding="utf-8")
    result = cnn("check", "--folder", folder)
    row = next(line for line in lines_of(result) if line.startswith("✗ ") and "conv_forward" in line)
    assert re.search(r"1 of 7 +y\[0, 0, 0, 0\] should be -22 and is -32", row)
    assert "· im2col  not written yet" not in result.output
    assert "✗ conv_forward  1 of 7 rungs" in result.output


@pytest.mark.slow
def test_everything_is_right(tmp_path):
    for name in EXERCISES:
        text = f"from cnn_from_scratch.exercises import EXERCISES\n{name} = EXERCISES[{name!r}].answer\n"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    result = cnn("check", "--folder", tmp_path)
    assert result.exit_code == 0, result.output
    assert lines_of(result)[-1] == "9 of 9 are right."


def test_what_the_code_prints_is_shown(folder):
    text = "def adam(param, **rest):\n    print('param is', param)\n"
    (folder / "adam.py").write_text(text, encoding="utf-8")
    lines = lines_of(cnn("check", "adam", "--folder", folder))
    assert "adam returns None: is `return param, m, v` missing?" in lines
    assert lines[lines.index("Your code has printed") + 1] == "param is [1.]"


def test_a_loop_that_never_ends(folder):
    (folder / "adam.py").write_text("def adam(**given):\n    while True:\n        pass\n", encoding="utf-8")
    result = cnn("check", "adam", "--folder", folder, "--seconds", 0.5)
    assert result.exit_code == 1
    assert "adam does not come back: 0.5 s have passed; called for rung 1" in result.output


# --- hints and solutions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXERCISES)
def test_hints_come_one_at_a_time(name):
    for number, hint in enumerate(EXERCISES[name].hints, 1):
        result = cnn("check", name, "--hint", number)
        assert result.exit_code == 0
        assert " ".join(result.output.split()) == f"{name}, hint {number} of 3: {hint}"
        assert max(map(len, result.output.splitlines())) <= 76


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_in_the_library(name):
    result = cnn("check", name, "--solution")
    assert result.exit_code == 0
    _, *places = result.output.splitlines()
    assert len(places) == len(EXERCISES[name].solution)
    for place in places:
        function, path, number = re.fullmatch(r"(\w+)  (.+), line (\d+)", place).groups()
        text = Path(path).read_text(encoding="utf-8").splitlines()[int(number) - 1 : int(number) + 2]
        assert any(re.match(rf"(def|class) {function}\b", line) for line in text), place


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--hint", 1], "name the exercise, as in: cnn check im2col --hint 1"),
        (["--solution"], "name the exercise, as in: cnn check im2col --hint 1"),
        (["im2col", "--hint", 4], "'--hint'"),
        (["im2col", "--seconds", 0], "'--seconds'"),
        (["im2row"], "there is no exercise 'im2row'; there are im2col, col2im"),
    ],
)
def test_requests_that_make_no_sense(arguments, text):
    result = cnn("check", *arguments)
    assert result.exit_code in (1, 2)
    assert text in " ".join(result.output.replace("│", " ").split())


# --- as a command, and in words -------------------------------------------------------------------------------------


def test_as_a_real_command_in_a_folder_of_its_own(tmp_path):
    command = [sys.executable, "-c", "from cnn_from_scratch.cli import main; main()", "check"]
    begin = subprocess.run([*command, "--new"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert begin.stdout.splitlines()[0].split() == ["exercises/im2col.py", "patches", "to", "columns"]
    (tmp_path / "exercises" / "im2col.py").write_text("def im2col(**given): 1 / 0\n", encoding="utf-8")
    check = subprocess.run([*command, "im2col"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert check.returncode == 1
    assert "im2col stops with ZeroDivisionError: division by zero" in check.stdout
    assert "im2col.py, line 1: def im2col(**given): 1 / 0" in check.stdout
    assert check.stderr == ""


def test_the_guide_names_every_exercise_in_order():
    text = (REPOSITORY / "exercises" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| \[`(\w+)`\]\(\.\./(\S+)\) \|", text, re.MULTILINE)
    assert [name for name, _ in rows] == list(EXERCISES)
    for name, path in rows:
        assert (REPOSITORY / path).read_text(encoding="utf-8") == EXERCISES[name].stub
