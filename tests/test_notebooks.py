"""Every notebook of `notebooks/`: committed as it runs, and it runs anywhere, without an error or a warning."""

from __future__ import annotations

import importlib.util
import subprocess

import nbformat
import notebook_rules as rules
import pytest
from ladder import REPOSITORY
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = sorted(rules.FOLDER.glob("*.ipynb"))
of_every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def script():
    """`scripts/run_notebooks.py`, which also writes what is committed."""
    place = REPOSITORY / "scripts" / "run_notebooks.py"
    spec = importlib.util.spec_from_file_location("run_notebooks", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- as they are committed --------------------------------------------------------------------------------------------


def test_the_promised_notebook_is_there():
    assert "CNN_Convolution_Visual_Demo.ipynb" in [path.name for path in NOTEBOOKS]


@of_every_notebook
def test_it_is_committed_as_it_runs(path):
    assert rules.complaints(path.read_text(encoding="utf-8")) == []


@of_every_notebook
def test_its_code_is_formatted(path):
    ruff, settings = script().ruff(), script().RUFF
    if ruff is None:
        pytest.skip("Ruff is not installed")
    for command in (("format", "--check"), ("check", "--select", "E,F,I,W", "--ignore", "E402")):
        done = subprocess.run([ruff, *command, *settings, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# --- as they run ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@of_every_notebook
def test_it_runs_from_top_to_bottom_in_another_folder(path, tmp_path):
    importlib.import_module("matplotlib.font_manager")  # looks for fonts on a new machine, and says so on stderr
    committed = nbformat.read(path, as_version=4)
    ran = script().run(committed, tmp_path)
    assert list(rules.outputs(ran)) == []
    assert list(rules.machine(ran)) == []
    assert list(rules.differences(committed, ran)) == []
    assert list((tmp_path / "here").iterdir()) == []  # it leaves nothing behind


FOREIGN = {"kernelspec": {"name": "mine", "display_name": "Mine"}, "language_info": {"name": "python", "version": "3"}}


@pytest.mark.slow
def test_running_a_notebook_again_writes_the_same_file(tmp_path):
    cells = [new_code_cell("print(6*7)", id="a", metadata={"collapsed": True, "tags": ["varies"]})]
    cells += [new_code_cell("from pathlib import Path\nsorted(Path().iterdir())", id="b")]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=FOREIGN), path)
    written = []
    for _ in range(2):
        script().main([str(path)])
        written.append(path.read_bytes())
    assert written[0] == written[1]
    notebook = nbformat.read(path, as_version=4)
    assert list(rules.metadata(notebook)) == []
    assert notebook.cells[0].source == ("print(6 * 7)" if script().ruff() else "print(6*7)")
    assert [rules.texts(cell) for cell in notebook.cells] == [["42\n"], ["[]"]]


# --- the rules notice -------------------------------------------------------------------------------------------------


def good():
    """A notebook that keeps every rule."""
    picture = new_output("execute_result", {"image/png": "aGk=", "text/plain": "<Figure>"}, execution_count=2)
    return new_notebook(
        metadata=rules.METADATA,
        cells=[
            new_markdown_cell("# A\n\n1. [One](#1.-One-`step`)\n\nSee [how](../README.md).".replace("`", ""), id="a"),
            new_markdown_cell("## 1. One `step`\n\nRead `ops/im2col.py`, [more](https://numpy.org).", id="b"),
            new_code_cell("1 / 3", id="c", execution_count=1, outputs=[new_output("stream", text="loss 0.3333\n")]),
            new_code_cell("draw()", id="d", execution_count=2, outputs=[picture]),
        ],
    )


def test_a_good_notebook_has_no_complaints():
    assert rules.complaints(nbformat.writes(good())) == []


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])
HARM = {
    "was not run once": lambda cells: cells[2].update(execution_count=7),
    "shows an error: ValueError: no": lambda cells: cells[2].outputs.append(ERROR),
    "shows a warning: Careful": lambda cells: cells[2].outputs.append(
        new_output("stream", name="stderr", text="Careful")
    ),
    "shows no picture": lambda cells: cells[3].update(outputs=[]),
    "cell c has metadata ['execution']": lambda cells: cells[2].metadata.update(execution={}),
    "a folder of one machine: '/home/'": lambda cells: cells[2].outputs.append(
        new_output("stream", text="in /home/me")
    ),
    f"names {str(REPOSITORY)!r}": lambda cells: cells[2].update(source=f"open('{REPOSITORY}/x')"),
    "an address in memory": lambda cells: cells[2].outputs.append(new_output("stream", text="<f at 0x7f3a9c>")),
    "no numbered headings": lambda cells: cells[1].update(source="## One"),
    "does not link to '2. Two'": lambda cells: cells[1].update(source="## 1. One step\n\n## 2. Two"),
    "links to #1.-One-step, which is no heading": lambda cells: cells[1].update(source="## 1. Once"),
    "links to ../nowhere.md, which is not there": lambda cells: cells[1].update(
        source="## 1. One step\n[x](../nowhere.md)"
    ),
    "links to http://numpy.org, which is not https": lambda cells: cells[1].update(source="[x](http://numpy.org)"),
    "names ops/im2cool.py, which is not there": lambda cells: cells[1].update(source="`ops/im2cool.py`"),
    "bytes, more than 1500000": lambda cells: cells[2].update(source="#" * rules.LARGEST),
}


@pytest.mark.parametrize("complaint", HARM)
def test_what_breaks_a_rule_is_complained_about(complaint):
    notebook = good()
    HARM[complaint](notebook.cells)
    found = rules.complaints(nbformat.writes(notebook))
    assert [text for text in found if complaint in text], found


@pytest.mark.parametrize(
    ("said", "noticed"),
    [
        ("loss 0.3333\n", False),
        ("loss   0.3334\n", False),
        ("loss 0.4\n", True),
        ("cost 0.3333\n", True),
        ("loss 0.3333 0.1\n", True),
    ],
)
def test_another_text_is_noticed_unless_it_may_vary(said, noticed):
    before, after = good(), good()
    after.cells[2].outputs[0].text = said
    assert bool(list(rules.differences(before, after))) == noticed
    before.cells[2].metadata.tags = ["varies"]
    assert list(rules.differences(before, after)) == []


def test_numbers_that_are_zero_but_for_rounding_are_the_same():
    assert rules.alike("error -1.1e-16, shape (2, 3)", "error 3e-17, shape (2, 3)")
    assert not rules.alike("error -1.1e-16, shape (2, 3)", "error 3e-3, shape (2, 3)")
    assert rules.alike("0.10 -0.2 3", "0.1000 -0.2 3")


def test_other_kinds_of_output_are_noticed():
    before, after = good(), good()
    after.cells[3].outputs = []
    assert list(rules.differences(before, after)) == ["cell d shows [], committed is ['image/png text/plain']"]
    after.cells[0].source = "other"
    assert "the sources have changed" in list(rules.differences(before, after))
