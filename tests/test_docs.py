"""The documentation site: formulas of docstrings, links between pages, figures, and the check that opens every page."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BROWSER = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")))


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The extensions of the site import one another by their file names; nothing of that stays behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    yield
    for name in set(sys.modules) - before:
        if str(DOCS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


# --- docstrings -------------------------------------------------------------------------------------------------------


def shown(*lines):
    pytest.importorskip("sphinx", reason="the site is built with Sphinx")
    from formulas import show_formulas

    lines = list(lines)
    show_formulas(None, "function", "f", None, None, lines)
    return lines


@pytest.mark.parametrize("first", ["y = max(x, 0)", "dx[n, c] = sum of dy", "dx, dw = 1, 2", "argmin_x  |y(x)|^2"])
def test_a_formula_is_shown_letter_by_letter(first):
    assert shown(first, "", "Text.") == [
        ".. code-block:: text",
        "   :class: formula",
        "",
        f"   {first}",
        "",
        "",
        "Text.",
    ]


@pytest.mark.parametrize("first", ["Turn each image: A = r @ s.", "What `x` needs.", "If x = 0 it is 0."])
def test_prose_stays_prose(first):
    assert shown(first, "", "Text.") == [first, "", "Text."]


def test_stars_and_bars_of_prose_are_products_and_absolute_values():
    assert shown("Takes x *y and |x|, not `a * |b|`, and *stresses this*.")[0] == (
        r"Takes x \*y and \|x\|, not `a * |b|`, and *stresses this*."
    )


def test_examples_and_literal_blocks_are_left_alone():
    lines = ["Text:", "", ">>> 2 * 3 | 1", "7", "", "See::", "", "    a | b", "", "c | d"]
    assert shown(*lines) == [*lines[:-1], r"c \| d"]


# --- pages that are made ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "turned"),
    [
        ("SECURITY.md", "../project/security.md"),
        ("docs/onnx.md#scope", "../onnx.md#scope"),
        ("README.md", "../index.md"),
        ("tests/vectors", "../../tests/vectors"),
    ],
)
def test_links_of_the_root_lead_to_the_pages_of_the_site(link, turned):
    pytest.importorskip("sphinx", reason="the site is built with Sphinx")
    from made_pages import _root_file

    assert _root_file(f"[a]({link}), [b](https://x.org/y) and [c](#d)") == (
        f"[a]({turned}), [b](https://x.org/y) and [c](#d)"
    )


@pytest.mark.parametrize(
    ("page", "link", "turned"),
    [
        ("start", "../notebooks/01_backpropagation.ipynb", "/notebooks/01_backpropagation.ipynb"),
        ("guides/teach", "../../CONTRIBUTING.md#order", "/project/contributing.md#order"),
        ("guides/teach", "../notebooks/index.md", "../notebooks/index.md"),
        ("start", "../src/a.py", "../src/a.py"),
    ],
)
def test_links_to_committed_files_lead_to_their_pages(page, link, turned):
    pytest.importorskip("sphinx", reason="the site is built with Sphinx")
    from links import turn

    source = [f"See [this]({link})."]
    turn(None, page, source)
    assert source == [f"See [this]({turned})."]


def test_links_of_committed_pages_lead_to_committed_files():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    if "docs/start.md" not in tracked:
        pytest.skip("this is no clone")
    places = {ROOT / name for name in tracked} | {place for name in tracked for place in (ROOT / name).parents}
    for page in (ROOT / name for name in tracked if name.endswith(".md")):
        text = re.sub(r"^(`{3,}).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for link in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text):
            assert Path(os.path.normpath(page.parent / link)) in places, f"{page.relative_to(ROOT)}: {link}"


def test_the_page_of_the_command_line_has_every_option():
    pytest.importorskip("sphinx", reason="the site is built with Sphinx")
    import typer
    from options_page import page

    from cnn_from_scratch.cli.app import app

    text = page()
    for name, command in typer.main.get_command(app).commands.items():
        section = text.partition(f"\ncnn {name}\n---")[2].partition("\n---")[0]
        for param in command.params:
            shown = param.name.upper() if param.param_type_name == "argument" else param.opts[0]
            assert f"   * - ``{shown}" in section, (name, shown)


def test_links_inside_a_notebook_lead_to_its_headings(tmp_path):
    pytest.importorskip("sphinx", reason="the site is built with Sphinx")
    from made_pages import _copy_notebooks

    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "a.ipynb").write_text('"[x](#5.-The-way-back:-gradients) [y](../README.md) [z](https://x.org)"')
    (target).mkdir()
    (target / "gone.ipynb").write_text("")
    _copy_notebooks(source, target)
    assert [path.name for path in target.iterdir()] == ["a.ipynb"]
    assert (target / "a.ipynb").read_text() == '"[x](#5-the-way-back-gradients) [y](../index.md) [z](https://x.org)"'


@pytest.mark.parametrize(
    "room", ["ops", "layers", "optim", "data", "models", "formats", "training", "insight", "exercises", "parallel"]
)
def test_the_reference_has_every_public_name_once(room):
    pytest.importorskip("sphinx", reason="the site is built with Sphinx")
    from made_pages import _room

    module = importlib.import_module(f"cnn_from_scratch.{room}")
    documented = re.findall(rf"^\.\. auto\w+:: {re.escape(module.__name__)}\.(\w+)$", _room(room), flags=re.MULTILINE)
    assert sorted(documented) == sorted(module.__all__)


# --- figures and files ------------------------------------------------------------------------------------------------


def test_the_figures_of_the_comparison_are_those_that_were_measured():
    page = (DOCS / "comparison.md").read_text(encoding="utf-8")
    results = ROOT / "benchmarks" / "results"
    sizes = {s["name"]: s["size"] / 2**20 for s in json.loads((results / "installed_size.json").read_text())["sizes"]}
    assert f"| {sizes['this package, to predict']:.0f} | {sizes['PyTorch']:.0f} |" in page

    (case,) = json.loads((results / "speed-numpy-peers.json").read_text())["cases"]
    times = {peer["name"]: peer["median"] for peer in case["competitors"]}
    torch = min(time for name, time in times.items() if name.startswith("PyTorch"))
    assert f"| PyTorch, its fastest variant here | {torch / times['ours']:.1f} |" in page
    for row, name in [
        ("DeZero 0.0.13", "DeZero"),
        ("NumPy as it is taught: sliding windows and one large product", "NumPy, sliding window + one GEMM"),
        ("NumPy as it is taught: fancy indexing and `np.add.at`, as in CS231n", "NumPy, fancy-index im2col"),
    ]:
        assert f"| {row} | {times[name] / times['ours']:.0f} |" in page


def test_mathjax_lies_beside_the_pages_with_its_licence():
    folder = DOCS / "_static" / "mathjax"
    assert 'mathjax_path = "mathjax/tex-svg.js"' in (DOCS / "conf.py").read_text(encoding="utf-8")
    assert (folder / "tex-svg.js").stat().st_size < 3 << 20
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


# --- the check that opens every page ----------------------------------------------------------------------------------

HEAD = '<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">'
PHONES = '<meta name="viewport" content="width=device-width">'


def check_pages(*paths, env=None):
    command = [sys.executable, str(ROOT / ".ci" / "check_pages.py"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not BROWSER, reason="there is no Chromium here")
def test_every_kind_of_bad_page_is_found_and_good_ones_pass(tmp_path):
    bodies = {
        "good": "<p>fine</p><div style='overflow-x:auto'><div style='width:3000px'>wide, but it scrolls</div></div>",
        "outside": "<img src='http://127.0.0.1:9/picture.png'>",
        "missing": "<img src='missing.png'>",
        "exception": "<script>nothing.at.all()</script>",
        "console": "<script>console.error('it hurts')</script>",
        "wide": "<div style='width:500px'>too wide for a phone</div>",
    }
    for name, body in bodies.items():
        (tmp_path / f"{name}.html").write_text(f"{HEAD}{PHONES}</head><body>{body}</body></html>")
    (tmp_path / "small.html").write_text(f"{HEAD}</head><body>fine</body></html>")
    assert check_pages(tmp_path / "good.html") == (
        0,
        "1 pages, each in 2 widths and 2 colours: no outside request, no error\n",
    )
    status, said = check_pages(tmp_path)
    lines = [line.removeprefix(f"{tmp_path}{os.sep}") for line in said.splitlines()]
    assert status == 1
    assert {line.partition(".")[0] for line in lines} == {*bodies, "small"} - {"good"}
    assert "small.html: phone: no viewport, so that it is shown small" in lines
    assert "outside.html: requests http://127.0.0.1:9/picture.png" in lines
    assert any(line.startswith("missing.html: did not load: net::ERR_FILE_NOT_FOUND") for line in lines)
    assert any(line.startswith("exception.html: exception: ReferenceError: nothing is not defined") for line in lines)
    assert "console.html: console: it hurts" in lines
    assert "wide.html: phone: wider than 390: div" in lines
    assert not any("desk: wider" in line for line in lines)


def test_without_a_browser_the_check_says_that_it_was_skipped(tmp_path):
    (tmp_path / "page.html").write_text(HEAD)
    env = {**os.environ, "PATH": str(tmp_path)}
    assert check_pages(tmp_path, env=env) == (0, "skipped: there is no Chromium here to open the pages with\n")


# --- links of the built site ------------------------------------------------------------------------------------------


def check_links(folder):
    command = [sys.executable, str(ROOT / ".ci" / "check_links.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<p id="top"><a href="#top">1</a><a href="#gone">2</a><a href="sub/b%20c.html#x">3</a>'
        '<a href="sub/d.html">4</a><a href="https://example.org/no">5</a><img src="no.png">'
        '<a href="sub/b%20c.html#y">6</a>'
    )
    (tmp_path / "sub" / "b c.html").write_text('<a name="x" href="../a.html#top">back</a>')
    assert check_links(tmp_path) == (
        1,
        [
            "a.html: #gone leads to no place in a.html",
            "a.html: sub/d.html leads to no file",
            "a.html: no.png leads to no file",
            "a.html: sub/b%20c.html#y leads to no place in b c.html",
        ],
    )


def test_a_site_without_broken_links_passes_and_an_empty_one_does_not(tmp_path):
    assert check_links(tmp_path) == (1, [f"there is no page in {tmp_path}"])
    (tmp_path / "a.html").write_text('<a href="a.html">1</a><a href="mailto:x@example.org">2</a>')
    assert check_links(tmp_path) == (0, ["1 pages: every link inside leads somewhere"])
