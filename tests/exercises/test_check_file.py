"""A learner's file in a process of its own: whatever it does, the check comes back and says what happened."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from cnn_from_scratch.exercises import EXERCISES, check_file, check_function, write_stubs

SIGNATURE = "def im2col(x, kernel_size, stride=1, padding=0, dilation=1):"


@pytest.fixture
def write(tmp_path):
    """Write a learner's file; `body` is what its function does."""

    def file(body, name="im2col", *, before="", signature=SIGNATURE):
        lines = ["import numpy as np", textwrap.dedent(before), signature, textwrap.indent(body, "    "), ""]
        (tmp_path / f"{name}.py").write_text("\n".join(lines), encoding="utf-8")
        return tmp_path

    return file


def section(verdict, title):
    return next((list(s.lines) for s in verdict.sections if s.title == title), None)


# --- what one begins with -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_says_how_to_begin(tmp_path, name):
    write_stubs(tmp_path)
    verdict = check_file(name, tmp_path)
    assert (verdict.state, verdict.passed, bool(verdict)) == ("not begun", (), False)
    (line,) = section(verdict, "How to begin")
    assert line.startswith(f"{name} is yours to write: start ")
    assert len(line) > 80


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_that_runs_says_the_same(tmp_path, name):
    (path,) = write_stubs(tmp_path, [name])
    space = {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    assert check_function(name, space[name]) == check_file(name, tmp_path)


def test_a_stub_with_a_remark_is_not_begun(tmp_path):
    (path,) = write_stubs(tmp_path, ["adam"])
    path.write_text(path.read_text(encoding="utf-8") + "# tomorrow\n", encoding="utf-8")
    assert check_file("adam", tmp_path).state == "not begun"


def test_files_that_are_there_stay(tmp_path):
    (tmp_path / "adam.py").write_text("mine", encoding="utf-8")
    written = write_stubs(tmp_path)
    assert sorted(path.name for path in written) == sorted(f"{n}.py" for n in EXERCISES if n != "adam")
    assert (tmp_path / "adam.py").read_text(encoding="utf-8") == "mine"
    assert write_stubs(tmp_path) == []


def test_no_file(tmp_path):
    verdict = check_file("adam", tmp_path)
    assert verdict.state == "missing"
    assert verdict.headline == f"there is no adam.py in {tmp_path}"
    assert section(verdict, "How to begin") == ["cnn check --new writes the files that are missing"]


@pytest.mark.parametrize(
    ("call", "text"), [({"name": "relu"}, "there is no exercise 'relu'; there are im2col, col2im")]
)
def test_no_such_exercise(tmp_path, call, text):
    with pytest.raises(ValueError, match=text):
        check_file(folder=tmp_path, **call)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_seconds_are_positive(tmp_path, seconds):
    with pytest.raises(ValueError, match="check_file: seconds must be positive, got"):
        check_file("adam", tmp_path, seconds=seconds)


# --- files that cannot be loaded ------------------------------------------------------------------------------------


def test_a_syntax_error(tmp_path):
    (tmp_path / "im2col.py").write_text("def im2col(x, kernel_size:\n    return x\n", encoding="utf-8")
    verdict = check_file("im2col", tmp_path)
    assert verdict.state == "broken"
    assert verdict.headline.startswith("im2col.py is not Python yet: ")
    where = section(verdict, "Where")
    assert where[:2] == ["im2col.py, line 1:", "def im2col(x, kernel_size:"]
    assert where[2].strip() == "^"


def test_an_error_outside_of_the_function(write):
    verdict = check_file("im2col", write("return x", before="size = 1 / 0"))
    assert verdict.headline == (
        "im2col.py stops with ZeroDivisionError before the function is called: division by zero"
    )
    assert section(verdict, "Where") == ["im2col.py, line 2: size = 1 / 0"]


def test_the_function_has_another_name(write):
    verdict = check_file("im2col", write("return x", signature="def im2Col(x):"))
    assert verdict.headline == "im2col.py has no function im2col; it has im2Col"


def test_the_file_leaves_the_program(write):
    verdict = check_file("im2col", write("return x", before="exit()"))
    assert (verdict.state, verdict.headline[:30]) == ("broken", "im2col.py stops with SystemExi")


# --- functions that do not come back --------------------------------------------------------------------------------


def test_an_endless_loop(write):
    verdict = check_file("im2col", write("i = 0\nwhile i < 3:\n    x = x + 1\nreturn x"), seconds=1)
    assert verdict.state == "broken"
    assert verdict.headline == (
        "im2col does not come back: 1 s have passed; called for rung 1, a 3x3 image and a 2x2 kernel"
    )
    (line,) = section(verdict, "Where")
    assert line in ("im2col.py, line 5: while i < 3:", "im2col.py, line 6: x = x + 1")
    assert section(verdict, "Likely") == [
        "a loop that never ends: does the condition of a `while` change inside of it?"
    ]


def test_an_endless_loop_that_catches_everything(write):
    body = "while True:\n    try:\n        x = x + 1\n    except BaseException:\n        pass"
    assert "does not come back" in check_file("im2col", write(body), seconds=1).headline


def test_an_endless_loop_while_it_is_loaded(write):
    verdict = check_file("im2col", write("return x", before="while True:\n    pass"), seconds=1)
    assert verdict.headline == "im2col does not come back: 1 s have passed; called for the file is loaded"


def test_a_process_that_dies(write):
    verdict = check_file("im2col", write("import os\nos._exit(7)"))
    assert verdict.headline == (
        "the process ended by itself, with status 7; called for rung 1, a 3x3 image and a 2x2 kernel"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_process_that_is_killed(write):
    verdict = check_file("im2col", write("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    assert verdict.headline.startswith("the process ended by itself, with status -9; called for rung 1")


def test_a_thread_that_is_left_behind(write):
    body = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\nreturn x"
    assert check_file("im2col", write(body)).headline == "cols should have the shape (1, 4, 4) and has (1, 1, 3, 3)"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_ctrl_c_ends_the_check_and_its_process(write, tmp_path):
    folder = write("import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True:\n    pass")
    start = "from cnn_from_scratch.cli import main; main()"
    command = [sys.executable, "-c", start, "check", "im2col", "--folder", str(folder), "--seconds", "60"]
    check = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert check.poll() is None, check.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    check.send_signal(signal.SIGINT)
    _, errors = check.communicate(timeout=60)
    assert (check.returncode, errors) == (130, "cnn: interrupted\n")
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text()], capture_output=True, text=True, check=False
    )
    assert state.stdout.strip()[:1] in ("", "Z")  # gone, or dead and not yet asked for by anyone


def test_exit_inside_of_the_function(write):
    verdict = check_file("im2col", write("exit(0)"))
    assert (verdict.state, verdict.headline) == ("wrong", "im2col leaves the program (exit): it should return")


def test_nobody_answers_input(write):
    verdict = check_file("im2col", write("input('size? ')"))
    assert verdict.headline.startswith("im2col stops with EOFError")


def test_recursion_without_end(write):
    verdict = check_file("im2col", write("return im2col(x, kernel_size)"))
    assert verdict.headline.startswith("im2col stops with RecursionError")


# --- what it says when it runs --------------------------------------------------------------------------------------


def test_an_error_with_the_line_and_the_shapes(write):
    verdict = check_file("im2col", write("cols = np.zeros((2, 3))\nreturn cols @ x[0, 0][:2]"))
    assert verdict.headline.startswith("im2col stops with ValueError: matmul: Input operand 1 has a mismatch")
    assert section(verdict, "Where") == [
        "im2col.py, line 5: return cols @ x[0, 0][:2]",
        "cols is an array (2, 3) of float64",
        "x is an array (1, 1, 3, 3) of float64",
    ]


def test_what_is_printed_is_kept_and_a_flood_is_cut(write):
    verdict = check_file("im2col", write("print(x.shape)\nfor _ in range(10000):\n    print('deluge')"))
    assert verdict.printed.startswith("(1, 1, 3, 3)\ndeluge\n")
    assert len(verdict.printed) == 2000


def test_one_file_uses_another(write, tmp_path):
    write_stubs(tmp_path, ["im2col"])
    forward = "cols = im2col(x, weight.shape[2:], stride, padding)\nreturn cols"
    folder = write(
        forward,
        "conv_forward",
        before="from im2col import im2col",
        signature="def conv_forward(x, weight, bias, stride=1, padding=0):",
    )
    verdict = check_file("conv_forward", folder)
    assert (verdict.state, verdict.headline) == ("wrong", "conv_forward uses im2col, which is not written yet")
    assert section(verdict, "Where")[0] == "im2col.py, line 28: raise NotImplementedError  # your code here"
    write("return np.zeros((1, 1, 1, 1))")
    verdict = check_file("conv_forward", folder)
    assert verdict.headline == "y should have the shape (1, 1, 2, 2) and has (1, 1, 1, 1)"


def test_nothing_is_left_in_the_folder(write):
    folder = write("return x")
    check_file("im2col", folder)
    assert [path.name for path in folder.iterdir()] == ["im2col.py"]


def test_a_folder_with_a_name_of_the_standard_library_beside(write):
    """What lies beside the learner's file does not stand in for the modules that the check itself needs."""
    folder = write("raise ValueError('mine')")
    (folder / "json.py").write_text("raise SystemExit", encoding="utf-8")
    (folder / "copy.py").write_text("raise SystemExit", encoding="utf-8")
    assert check_file("im2col", folder).headline == "im2col stops with ValueError: mine"
