"""The few type names that every room shares."""

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Scalar: TypeAlias = "np.floating[Any]"

Pair: TypeAlias = int | tuple[int, int]
"""One number for both axes, or (rows, columns)."""

Sides: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right))"""

Padding: TypeAlias = int | tuple[int, int] | Sides | Literal["same", "valid"]
"""An int, a pair (PH, PW), four sides, "same" (output size = ceil(input / stride)) or "valid" (none)."""

Reduction: TypeAlias = Literal["mean", "sum", "none"]
