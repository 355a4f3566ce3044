"""Convolutional networks with glass walls: NumPy all the way down, every forward beside its backward.

>>> import numpy as np
>>> from cnn_from_scratch import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
>>> model = Sequential(Conv2d(1, 8, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(8 * 14 * 14, 10))
>>> model.predict(np.zeros((2, 1, 28, 28), np.float32)).shape
(2, 10)

Importing this package imports NumPy and nothing heavier; every name is looked up when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import *  # noqa: F403
    from .formats import *  # noqa: F403
    from .layers import *  # noqa: F403
    from .models import *  # noqa: F403
    from .ops import *  # noqa: F403
    from .optim import *  # noqa: F403
    from .training import *  # noqa: F403

__version__ = "0.1.0"

_ROOMS = ("ops", "layers", "optim", "data", "models", "formats", "training", "insight", "exercises", "parallel")
_OFFERING = ("errors", "layers", "ops", "optim", "models", "training", "formats", "data")


def __getattr__(name: str) -> Any:
    if name == "__all__":  # asked for by `from cnn_from_scratch import *`
        return [n for n in __dir__() if n not in _ROOMS]
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if not name.startswith("_"):
        for room in _OFFERING:
            module = importlib.import_module(f".{room}", __name__)
            if name in getattr(module, "__all__", ()):
                value = getattr(module, name)
                globals()[name] = value
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    names = set(_ROOMS) | {"__version__"}
    for room in _OFFERING:
        names |= set(getattr(importlib.import_module(f".{room}", __name__), "__all__", ()))
    return sorted(names)
