"""Names in docstrings are links on the site, where they name something public that is not the thing's own."""

from __future__ import annotations

import sys

import pytest
from ladder import REPOSITORY

EXTENSIONS = REPOSITORY / "docs" / "_ext"


@pytest.fixture
def names(monkeypatch):
    """The extension of the site, imported by its file name; nothing of that stays behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    pytest.importorskip("sphinx", reason="the site is built with Sphinx")
    import names

    yield names
    for name in set(sys.modules) - before:
        if str(EXTENSIONS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("See `Conv2d`.", "See :py:obj:`~cnn_from_scratch.layers.Conv2d`."),
        ("as `cnn_from_scratch.data.iterate_batches`", "as :py:obj:`~cnn_from_scratch.data.iterate_batches`"),
        ("`fit`, `im2col`", ":py:obj:`~cnn_from_scratch.training.fit`, :py:obj:`~cnn_from_scratch.ops.im2col`"),
        ("by `scale` and `x`", "by `scale` and `x`"),  # words that are mostly arguments
        ("``Conv2d`` and `Conv2d(1, 2, 3)`", "``Conv2d`` and `Conv2d(1, 2, 3)`"),
        (":py:obj:`Conv2d`", ":py:obj:`Conv2d`"),
    ],
)
def test_public_names_are_links(names, line, shown):
    assert names.linked(line, frozenset()) == shown


def test_a_thing_links_neither_to_itself_nor_from_its_arguments(names):
    def fit(model, batch_count=1):
        """Nothing."""

    own = names.names_of(fit, "cnn_from_scratch.training.fit")
    assert own == {"fit", "model", "batch_count"}
    assert names.linked("`fit` takes `batch_count`, see `Adam`", own) == (
        "`fit` takes `batch_count`, see :py:obj:`~cnn_from_scratch.optim.Adam`"
    )
