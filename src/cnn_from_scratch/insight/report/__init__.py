"""A run in one self-contained HTML file: what the network is, how it learned, what it sees, and where it is wrong."""

from .material import Material, Tried
from .page import report_html

__all__ = ["Material", "Tried", "report_html"]
