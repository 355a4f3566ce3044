"""Links of pages go to files that are committed, so that they lead somewhere on a code host, too.

Of notebooks and of the root's files the site has pages (see `made_pages`): there the same links go to these.
"""

from __future__ import annotations

import re
from typing import Any

from made_pages import ROOT_FILES

LINK = re.compile(r"(?<=\]\()((?:\.\./)+)(notebooks/\w+\.ipynb|" + "|".join(map(re.escape, ROOT_FILES)) + r")(?=[)#])")


def turn(app: Any, docname: str, source: list[str]) -> None:
    """Turn the links of one page that leave the folder docs and come to what has a page."""
    up = docname.count("/") + 1
    source[0] = LINK.sub(lambda match: _page(match[2]) if match[1] == "../" * up else match[0], source[0])


def _page(file: str) -> str:
    """A place that begins at the root of the site."""
    return f"/project/{ROOT_FILES[file]}.md" if file in ROOT_FILES else f"/{file}"


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", turn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
