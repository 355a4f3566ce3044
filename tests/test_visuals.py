"""visuals/: the pictures are compared as strictly as they can be, and what differs is named."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

VISUALS = Path(__file__).resolve().parents[1] / "visuals"
PYPROJECT = VISUALS.parent / "pyproject.toml"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The scripts import one another by their file names; nothing of that stays behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(VISUALS))
    yield
    for name in set(sys.modules) - before:
        if str(VISUALS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def folders(tmp_path):
    """Two folders with the same three files."""
    for folder in ("made", "kept"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.svg").write_text("<svg/>")
        picture = Image.new("RGBA", (40, 30), "white")
        picture.save(tmp_path / folder / "b.png")
        frames = [Image.new("L", (40, 30), grey) for grey in (0, 99, 255)]
        frames[0].save(tmp_path / folder / "c.gif", save_all=True, append_images=frames[1:], duration=[100, 100, 500])
    return tmp_path / "made", tmp_path / "kept"


def test_the_same_is_the_same(folders):
    from comparing import differences

    assert differences(*folders) == []
    (folders[0] / "notes.txt").write_text("no picture")
    assert differences(*folders) == []


def test_one_byte_of_an_svg_is_noticed(folders):
    from comparing import differences

    (folders[0] / "a.svg").write_text("<svg />")
    assert differences(*folders) == ["a.svg: other bytes"]


def test_rounding_is_forgiven_and_a_digit_is_not(folders):
    from comparing import differences

    pixels = np.full((30, 40, 4), 255, np.uint8)
    pixels[..., :3] -= 20  # every pixel, a little
    pixels[0, :10, :3] = 0  # ten pixels, wholly
    Image.fromarray(pixels).save(folders[0] / "b.png")
    assert differences(*folders) == []
    pixels[0, 10, :3] = 0
    Image.fromarray(pixels).save(folders[0] / "b.png")
    assert differences(*folders) == ["b.png: 11 pixels differ"]


def test_sizes_frames_and_times_are_noticed(folders):
    from comparing import differences

    Image.new("RGB", (40, 31), "white").save(folders[0] / "b.png")
    frames = [Image.new("L", (40, 30), grey) for grey in (0, 99, 200)]
    frames[0].save(folders[0] / "c.gif", save_all=True, append_images=frames[1:], duration=[100, 100, 500])
    assert differences(*folders) == ["b.png: 40×31 pixels instead of 40×30", "c.gif: 1200 pixels differ"]
    frames[0].save(folders[0] / "c.gif", save_all=True, append_images=frames[1:2], duration=[100, 100])
    assert differences(*folders)[1] == "c.gif: 2 frames of [100, 100] ms instead of 3 of [100, 100, 500] ms"


def test_what_is_missing_is_named(folders):
    from comparing import differences

    (folders[0] / "a.svg").unlink()
    (folders[1] / "b.png").unlink()
    assert differences(*folders) == ["a.svg: is kept, but no longer made", "b.png: is made, but not kept"]


def test_the_check_says_what_differs(tmp_path, monkeypatch, capsys):
    import make_visuals

    monkeypatch.setattr(make_visuals.matplotlib, "__version__", make_visuals.pinned("matplotlib", PYPROJECT))
    monkeypatch.setattr(make_visuals, "HERE", tmp_path / "visuals")
    monkeypatch.setattr(make_visuals, "PICTURES", {"im2col": make_visuals.PICTURES["im2col"]})
    monkeypatch.setattr(make_visuals, "ANIMATIONS", {})
    shutil.copy(PYPROJECT, tmp_path)
    (tmp_path / "visuals").mkdir()
    make_visuals.write(tmp_path / "visuals", ["im2col"])
    capsys.readouterr()
    assert make_visuals.main("--check") == 0
    assert capsys.readouterr().out == "1 pictures are what the code makes\n"
    svg = tmp_path / "visuals" / "im2col.svg"
    svg.write_text(svg.read_text().replace("#1f2328", "#1f2329"))
    assert make_visuals.main("--check") == 1
    assert capsys.readouterr().out.startswith("im2col.svg: other bytes\n")


def test_the_check_says_what_is_not_tidy(tmp_path, monkeypatch, capsys):
    import make_visuals

    def untidy_picture():
        figure = make_visuals.PICTURES["im2col"]()
        figure.axes[0].text(1, 5.7, "words on words")
        return figure

    monkeypatch.setattr(make_visuals, "PICTURES", {**make_visuals.PICTURES, "planted": untidy_picture})
    assert make_visuals.write(tmp_path, ["planted"]) == 1
    assert "planted: 'words on words' crosses the edge of a cell\n" in capsys.readouterr().err


def test_another_matplotlib_is_refused(monkeypatch, capsys):
    import make_visuals

    monkeypatch.setattr(make_visuals.matplotlib, "__version__", "1.0")
    assert make_visuals.main("--check") == 2
    said = r"pictures are compared under Matplotlib [\d.]+ \(pyproject.toml, dev\), not 1.0\n"
    assert re.fullmatch(said, capsys.readouterr().out)


def test_every_picture_is_shown_and_says_what_it_is():
    import make_visuals

    shown = {name: words for words, name in re.findall(r"!\[(.+?)\]\((\S+?)\)", (VISUALS / "README.md").read_text())}
    assert shown.keys() == {f"{name}.svg" for name in [*make_visuals.PICTURES, *make_visuals.ANIMATIONS]}
    assert len(set(shown.values())) == len(shown)
