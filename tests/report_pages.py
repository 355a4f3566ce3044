"""What the tests of reports share: a page taken apart, and what any page must be."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}
SECTIONS = (
    "Make it again", "Architecture", "Learning curves", "Learning rate", "Learned filters", "One image on its way",
    "Every class", "The surest mistakes", "Gradients and health", "Receptive fields",
    "One number, down to its products",
)  # fmt: skip


class Page(HTMLParser):
    """Elements with their attributes, and the text outside of the style sheet; an end without a beginning raises."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts, self.titles = [], [], [], []
        self.feed(source)
        self.close()
        assert not self.open, self.open
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self.titles.append("")

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
        if self.open and self.open[-1] == "h2":
            self.titles[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def read_page(source):
    """A page, once it is known to be whole, small, complete in itself, and readable to all."""
    page = Page(source)
    assert source.startswith("<!doctype html>")
    assert len(source.encode()) < 3_000_000
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.elements}
    for tag, attrs in page.elements:
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name == "src":
                assert value.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,")), value[:60]
            if name in ("href", "srcset", "action", "background"):
                assert value.startswith("#"), value
            assert not re.search(r"url\(|@import|javascript:", value if name != "src" else "", re.I), (tag, name)
    assert not re.search(r"url\(|@import", source.split("<style>")[1].split("</style>")[0])
    policy = next(attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert tuple(page.titles) == SECTIONS
    assert len(page.all("h1")) == 1
    assert all(image["alt"].strip() for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    anchors, keys = {a["href"] for a in page.all("a")}, {f"#{h['id']}" for h in page.all("h2")}
    assert anchors == keys
    return page
