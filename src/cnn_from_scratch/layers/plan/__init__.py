"""A model as a list of NumPy calls.

Reading order: calls -> plan -> graph -> rewrite -> stage -> memory -> simple -> conv_rows, conv_winograd ... -> build.
"""

from .calls import Call, CallList
from .plan import Plan

__all__ = ["Call", "CallList", "Plan"]
