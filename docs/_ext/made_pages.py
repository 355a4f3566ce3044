"""Pages that are made when the site is built: the reference, the notebooks, and the files of the repository's root.

They lie in docs/api, docs/notebooks and docs/project, which git ignores; what they are made of is committed elsewhere.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import options_page
from formulas import STARTS, escaped
from sphinx.pycode import ModuleAnalyzer

ROOMS = (
    "ops",
    "layers",
    "optim",
    "data",
    "models",
    "formats",
    "training",
    "insight",
    "exercises",
    "parallel",
    "errors",
)
ROOT_FILES = {"CONTRIBUTING.md": "contributing", "SECURITY.md": "security", "CHANGELOG.md": "changelog"}
TITLES = {
    "ops": "Operations",
    "layers": "Layers",
    "optim": "Optimizers",
    "data": "Data",
    "models": "Models",
    "formats": "Files",
    "training": "Training",
    "insight": "Insight",
    "exercises": "Exercises",
    "parallel": "Shards",
    "errors": "Errors",
}


def write(docs: Path) -> None:
    """All of them. A file that is as it should be is left alone, so that Sphinx does not read it again."""
    pages = {docs / "api" / f"{room}.rst": _room(room) for room in ROOMS}
    pages[docs / "api" / "command_line.rst"] = options_page.page()
    for name, page in ROOT_FILES.items():
        pages[docs / "project" / f"{page}.md"] = _root_file((docs.parent / name).read_text(encoding="utf-8"))
    for path, text in pages.items():
        _renew(path, text)
    _copy_notebooks(docs.parent / "notebooks", docs / "notebooks")


def _renew(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


# --- the reference ----------------------------------------------------------------------------------------------------


def _room(room: str) -> str:
    """All public names of a room: first a table of them, then each, under the files that they are defined in."""
    module = importlib.import_module(f"cnn_from_scratch.{room}")
    by_file: dict[str, list[str]] = {}
    for name in module.__all__:
        by_file.setdefault(_file_of(module, name), []).append(name)
    files = {file: sorted(names, key=lambda name: _place(module, name)) for file, names in sorted(by_file.items())}
    lines = [TITLES[room], "=" * len(TITLES[room]), "", *_prose(module)]
    lines += [f".. py:module:: {module.__name__}", "", f"``from {module.__name__} import ...``", ""]
    lines += _table(module, [name for names in files.values() for name in names if not name.endswith("Cache")])
    for file, names in files.items():
        lines += _section(module, file, names, alone=len(files) == 1)
    return "\n".join(lines)


def _table(module: ModuleType, names: list[str]) -> list[str]:
    """Every name with its first sentence, or its formula."""
    lines = [".. list-table::", "   :widths: 36 64", "   :class: names", ""]
    for name in names:
        lines += [f"   * - :py:obj:`~{module.__name__}.{name}`", f"     - {_summary(module, name)}"]
    return [*lines, ""]


def _summary(module: ModuleType, name: str) -> str:
    """The first paragraph of a docstring, of prose the first sentence."""
    thing = getattr(module, name)
    of_class = inspect.isclass(thing) or inspect.isroutine(thing)
    text = inspect.getdoc(thing) if of_class else _said_of_value(_file_of(module, name), name)
    first = " ".join((text or "a value or a type").partition("\n\n")[0].split())
    if STARTS.match(first):
        return "``" + first.replace("`", "") + "``"
    return escaped(re.split(r"(?<=[a-z)`\]])[.:] (?=[A-Z])", first)[0]).rstrip(".") or "..."


def _said_of_value(file: str, name: str) -> str:
    """The string below an assignment."""
    return "\n".join(ModuleAnalyzer.for_module(file).find_attr_docs().get(("", name), []))


def _section(module: ModuleType, file: str, names: list[str], *, alone: bool) -> list[str]:
    """One file: its first words as the heading, and what it offers."""
    lines = []
    if not alone:
        title = file.removeprefix("cnn_from_scratch.").replace(".", "/") + ".py" * (file != module.__name__)
        lines += [
            title,
            "-" * len(title),
            "",
            *(_prose(importlib.import_module(file)) if file != module.__name__ else []),
        ]
    for name in names:
        lines += [f".. {_directive(getattr(module, name))}:: {module.__name__}.{name}", ""]
    return lines


def _directive(thing: object) -> str:
    if inspect.isclass(thing):
        return "autoexception" if issubclass(thing, BaseException) else "autoclass"
    return "autofunction" if inspect.isroutine(thing) else "autodata"


def _file_of(module: ModuleType, name: str) -> str:
    """The module that defines a name; for a constant the one that is found to hold it first."""
    thing = getattr(module, name)
    home = getattr(thing, "__module__", "") if inspect.isclass(thing) or inspect.isroutine(thing) else ""
    if home.startswith("cnn_from_scratch."):
        return home
    folder = Path(str(module.__file__)).parent
    for path in sorted(folder.glob("*.py")) if hasattr(module, "__path__") else []:
        if path.stem != "__init__" and re.search(
            rf"^{name}\b.*=", path.read_text(encoding="utf-8"), flags=re.MULTILINE
        ):
            return f"{module.__name__}.{path.stem}"
    return module.__name__


def _place(module: ModuleType, name: str) -> tuple[int, str]:
    """Where in its file a name is defined."""
    try:
        return inspect.getsourcelines(inspect.unwrap(getattr(module, name)))[1], name
    except (TypeError, OSError):
        return 0, name


def _prose(module: ModuleType) -> list[str]:
    """The docstring of a module, up to its first example."""
    text = inspect.getdoc(module) or ""
    return [*text.partition("\n>>>")[0].splitlines(), ""]


# --- files of the root ------------------------------------------------------------------------------------------------


def _root_file(text: str) -> str:
    """The same page one folder deeper: links go to the pages of the site, or to the file itself."""
    return re.sub(r"(?<=\]\()(?!\w+:|#)([^)]+)(?=\))", lambda match: _turned(match[1]), text)


def _turned(link: str) -> str:
    """A link that starts at the root of the repository, as one that starts in a folder of docs."""
    target, _, anchor = link.partition("#")
    if target in ROOT_FILES:
        target = f"../project/{ROOT_FILES[target]}.md"
    elif target == "README.md":
        target = "../index.md"
    else:
        target = f"../{target.removeprefix('docs/')}" if target.startswith("docs/") else f"../../{target}"
    return target + (f"#{anchor}" if anchor else "")


# --- notebooks --------------------------------------------------------------------------------------------------------


def _copy_notebooks(source: Path, target: Path) -> None:
    """Notebooks as they are committed, outputs and all."""
    target.mkdir(exist_ok=True)
    wanted = {path.name: path for path in _notebooks(source)}
    for path in _notebooks(target):
        if path.name not in wanted:
            path.unlink()
    for name, path in wanted.items():
        _renew(target / name, re.sub(r"(?<=\]\()(#|\.\./)([^)]+)(?=\))", _turned_in_notebook, path.read_text("utf-8")))


def _turned_in_notebook(match: re.Match[str]) -> str:
    """Jupyter's names of headings are not those of the site; files of the root are pages of it."""
    if match[1] == "#":
        return "#" + re.sub(r"[^\w-]", "", match[2].lower())
    return _turned(match[2])


def _notebooks(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*.ipynb")))
