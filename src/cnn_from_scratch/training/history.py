"""What happened, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class History:
    """One row an epoch: loss and accuracy on the training batches, on the validation part, learning rate, seconds.

    Examples
    --------
    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    >>> print(history)
     epoch  loss
         1  0.50
         2  0.25
    """

    rows: list[dict[str, Any]] = field(default_factory=list)

    def to_frame(self) -> pd.DataFrame:
        """The rows as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def __getitem__(self, column: str) -> list[Any]:
        if not any(column in row for row in self.rows):
            columns = ", ".join(self.rows[0]) if self.rows else "none, for no epoch was finished"
            raise KeyError(f"History has no column {column!r}; it has {columns}")
        return [row.get(column) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return self.to_frame().to_string(index=False)
