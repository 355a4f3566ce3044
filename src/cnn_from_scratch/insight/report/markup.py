"""HTML from Python: whatever is not markup already is escaped, so that a name can be anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

VOID = ("img", "meta", "br")
"""Elements without an end."""


class Html(str):
    """Text that is markup already. Every other text is escaped where it becomes part of a page."""

    __slots__ = ()


def tag(name_: str, /, *inside: object, **attributes: object) -> Html:
    """One element; an attribute that is None is left out, `class_` is class, `aria_label` is aria-label.

    Examples
    --------
    >>> print(tag("p", "a < b", tag("br"), class_='"'))
    <p class="&quot;">a &lt; b<br></p>
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name_}{said}>" if name_ in VOID else f"<{name_}{said}>{joined(inside)}</{name_}>")


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Parts one behind the other; what is no markup is escaped.

    Examples
    --------
    >>> print(joined(["<b>", tag("b", "x")], " "))
    &lt;b&gt; <b>x</b>
    """
    return Html(between.join(part if isinstance(part, Html) else escape(str(part)) for part in parts))


def table(
    caption: object, head: Sequence[object], rows: Iterable[Sequence[object]], *, words: int = 1, class_: str = ""
) -> Html:
    """A table with a caption, that scrolls by itself where it is wider than the page.

    The first cell of a row is its heading; the first `words` columns stand at the left, the others, numbers, at the
    right. Without a head there is none.
    """
    top = [tag("th", cell, scope="col", class_=_side(i, words)) for i, cell in enumerate(head)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", class_="w"),
            *(_cell(cell, _side(i, words)) for i, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    ]
    parts = (
        tag("caption", tag("span", caption)),
        tag("thead", tag("tr", *top)) if any(head) else "",
        tag("tbody", *body),
    )
    whole = tag("table", *parts, class_=class_ or None)
    return scrolling(whole, f"Table: {caption}")


def scrolling(inside: Html, label: object) -> Html:
    """Something that may be wider than the page; a keyboard can scroll it."""
    return tag("div", inside, class_="scroll", tabindex=0, role="region", aria_label=label)


def paragraph(*inside: object, class_: str | None = None) -> Html:
    """A paragraph."""
    return tag("p", *inside, class_=class_)


def _side(column: int, words: int) -> str:
    return "w" if column < words else "n"


def _cell(content: object, side: str) -> Html:
    return content if isinstance(content, Html) and content.startswith("<td") else tag("td", content, class_=side)
