"""The way back, number by number: each column is laid where its window was, and what lies on one pixel is added."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import LimitError, ShapeError
from ...ops import ConvGeometry, col2im, conv_geometry
from ...ops.utils import check_rank
from ...typing import Array, Padding, Pair
from .. import style
from .grids import arrow, board, draw_grid, outline, said, tint, window_colour, write
from .sliding import added_up

MOST_WINDOWS = 9
"""With more, the picture would be larger than a page."""


def draw_col2im(
    cols: Array,
    input_size: tuple[int, int],
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> Figure:
    """Columns on their way home: one picture for each, and their sum, which is `col2im`.

    Parameters
    ----------
    cols : (KH*KW, OH*OW)
        For instance the gradient of the columns, weight.T @ dy.
    input_size : (H, W)
    kernel_size, stride, padding, dilation
        As for `col2im`. What goes to the padding is not drawn, as `col2im` drops it.

    Returns
    -------
    Figure

    Raises
    ------
    LimitError
        If there are more than nine windows.

    Examples
    --------
    >>> draw_col2im(np.ones((4, 2)), (2, 3), 2).get_suptitle()
    'col2im: 2 columns go home, overlaps add up'
    """
    check_rank("draw_col2im", "cols", cols, "KH*KW OH*OW")
    geometry = conv_geometry("draw_col2im", input_size, kernel_size, stride, padding, dilation)
    (KH, KW), (OH, OW) = geometry.kernel, geometry.output
    if cols.shape != (KH * KW, OH * OW):
        raise ShapeError(f"draw_col2im: cols must have shape {(KH * KW, OH * OW)}, got {cols.shape}")
    if OH * OW > MOST_WINDOWS:
        raise LimitError(f"draw_col2im: {OH * OW} windows are too many to draw; at most {MOST_WINDOWS}")
    parts, total = contributions(cols.astype(np.float64), geometry)
    title = f"col2im: {OH * OW} columns go home, overlaps add up"
    most = max(np.ndindex(*input_size), key=lambda pixel: int((~np.isnan(parts[(..., *pixel)])).sum()))
    amounts = parts[(..., *most)][~np.isnan(parts[(..., *most)])]
    caption = f"Framed: {len(amounts)} windows saw this pixel, and each sends its share: "
    return _draw(
        cols, parts, total, geometry, most, title, f"{caption}{added_up(amounts)} = {said(float(total[most]))}."
    )


def contributions(cols: Array, geometry: ConvGeometry) -> tuple[Array, Array]:
    """Where each column goes, (OH*OW, H, W), NaN where its window does not look; and the sum of all, (H, W).

    Examples
    --------
    >>> parts, total = contributions(np.ones((2, 2)), conv_geometry("example", (1, 3), (1, 2), 1, 0, 1))
    >>> parts[:, 0], total
    (array([[ 1.,  1., nan], [nan,  1.,  1.]]), array([[1., 2., 1.]]))
    """
    shape = (1, 1, *geometry.input)
    options = {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}

    def home(columns: Array) -> Array:
        image: Array = col2im(columns[None], shape, geometry.kernel, **options)[0, 0]  # type: ignore[arg-type]
        return image

    parts = []
    for one in np.eye(cols.shape[1]):  # 1 at one column, 0 at the others
        seen = home(np.ones_like(cols) * one) > 0
        parts.append(np.where(seen, home(cols * one), np.nan))
    return np.stack(parts), home(cols)


def _draw(
    cols: Array, parts: Array, total: Array, geometry: ConvGeometry, pixel: tuple[int, ...], title: str, caption: str
) -> Figure:
    """Columns, what each of them gives, and the sum."""
    (H, W), (OH, OW), (K, L) = geometry.input, geometry.output, cols.shape
    rows = max(K, OH * (H + 1) - 1, H) + 1.4
    images, sums = L + 2, L + 2 + OW * (W + 1) + 1  # left edges
    figure, ax = board(sums + W, rows, title, caption)
    middle = (rows + 1) / 2
    fills = np.array([tint(window_colour(i), 0.3) for i in range(L)])
    draw_grid(ax, cols, 0, middle - K / 2, name=f"columns {K}×{L}", fill=np.broadcast_to(fills, (K, L, 3)))
    arrow(ax, (L + 0.4, middle), (images - 0.4, middle))
    top = middle - (OH * (H + 1) - 1) / 2
    for i, (oh, ow) in enumerate(np.ndindex(OH, OW)):
        corner = images + ow * (W + 1), top + oh * (H + 1)
        draw_grid(ax, parts[i], *corner, fill=np.where(np.isnan(parts[i])[..., None], 1.0, fills[i]))
        if not np.isnan(parts[(i, *pixel)]):
            _frame(ax, *corner, pixel)
        if ow:
            write(ax, corner[0] - 0.5, corner[1] + H / 2, "+", style.SOFT, size=12)
        elif oh:
            write(ax, images + (OW * (W + 1) - 1) / 2, corner[1] - 0.5, "+", style.SOFT, size=12)
    write(ax, sums - 1, middle, "=", style.SOFT, size=12)
    counts = (~np.isnan(parts)).sum(0)
    fill = style.RIGHT(0.5 * counts / counts.max())[..., :3]
    draw_grid(ax, total, sums, middle - H / 2, name="sum", fill=fill)
    _frame(ax, sums, middle - H / 2, pixel)
    return figure


def _frame(ax: Axes, left: float, top: float, pixel: tuple[int, ...]) -> None:
    """The pixel that the caption speaks of."""
    outline(ax, left + pixel[1], top + pixel[0], 1, 1, style.INK, width=2)
