"""What a window covers, in words."""

from __future__ import annotations

import numpy as np

from ...typing import Array
from .window import Window


def window_lines(window: Window) -> list[str]:
    """Where it stands, what of it lies in the padding, and what no window sees."""
    H, W = window.size
    inside = window.inside
    rows, columns = window.rows[inside.any(1)], window.columns[inside.any(0)]
    lines = [f"the window covers {places('row', rows)} and {places('column', columns)} of {H} × {W}"]
    if not inside.any():
        lines = [f"the window covers no pixel of {H} × {W}"]
    if outside := int(np.count_nonzero(~inside)):
        lines[0] += f"; {outside} of its {inside.size} places lie in the padding"
    unseen = [
        places(name, pixels)
        for name, pixels in (("row", window.unseen_rows), ("column", window.unseen_columns))
        if len(pixels)
    ]
    if unseen:
        lines.append(f"no window of this layer sees {' and '.join(unseen)}: the stride steps over them")
    return lines


def places(name: str, numbers: Array) -> str:
    """Positions in words.

    Examples
    --------
    >>> places("row", np.array([3])), places("row", np.array([3, 4, 5])), places("column", np.array([0, 2, 4]))
    ('row 3', 'rows 3 to 5', 'columns 0, 2, 4')
    """
    if len(numbers) == 1:
        return f"{name} {numbers[0]}"
    if (len(numbers) > 2 and (np.diff(numbers) == 1).all()) or (len(numbers) == 2 and numbers[1] == numbers[0] + 1):
        return f"{name}s {numbers[0]} to {numbers[-1]}"
    shown = ", ".join(str(int(i)) for i in numbers[:8])
    return f"{name}s {shown}" + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")
