"""One command, `cnn`: train, evaluate, predict, show, explain, summary, import, export, data, check."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; what it needs is imported only then."""
    from .app import app

    app(prog_name="cnn")
