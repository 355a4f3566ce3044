"""One command, `cnn`: train, evaluate, predict, show, explain, report, summary, import, export, data, check."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; what it needs is imported only then."""
    from .app import app
    from .letters import print_everywhere

    print_everywhere()
    app(prog_name="cnn")
