"""The examples on the pages of the documentation give what stands below them."""

from __future__ import annotations

import doctest
import re

import pytest
from ladder import REPOSITORY

PAGES = sorted((REPOSITORY / "docs").rglob("*.md"))
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(text):
    """All blocks of Python with a prompt, as one session."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return "\n".join(block for block in blocks if ">>>" in block)


WITH_EXAMPLES = [page for page in PAGES if examples(page.read_text())]


def test_there_are_examples():
    assert len(WITH_EXAMPLES) >= 8


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: str(page.relative_to(REPOSITORY / "docs")))
def test_examples_are_true(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    test = doctest.DocTestParser().get_doctest(examples(page.read_text()), {}, page.name, str(page), 0)
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append)
    assert not result.failed, "".join(said)
    assert result.attempted
