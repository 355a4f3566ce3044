"""Every link inside of a built site leads to a file that is there, and to a place in it that is there.

python .ci/check_links.py docs/_build/html
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """The names of places in a page, and where its links lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.places: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        values = dict(attrs)
        self.places |= {value for name in ("id", "name") if (value := values.get(name))}
        if link := values.get(ATTRIBUTES.get(tag, "")):
            self.links.append(link)


def broken(folder: Path) -> Iterator[str]:
    """A line for each link that leads nowhere."""
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    for page in pages.values():
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path.resolve()
            if not target.is_file():
                yield f"{page.path.relative_to(folder)}: {link} leads to no file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
                yield f"{page.path.relative_to(folder)}: {link} leads to no place in {target.name}"


def main() -> None:
    """All pages below a folder."""
    folder = Path(sys.argv[1])
    count = len(list(folder.rglob("*.html")))
    problems = [*broken(folder)]
    if problems or not count:
        sys.exit("\n".join(problems) or f"there is no page in {folder}")
    print(f"{count} pages: every link inside leads somewhere")


if __name__ == "__main__":
    main()
