"""Other settings for some parameters, chosen by their keys: ``groups=[ParamGroup("head.*", lr_factor=10.0)]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from fnmatch import fnmatchcase

from ..typing import Array
from .checks import check_count, check_number, some


@dataclass(frozen=True)
class ParamGroup:
    """Settings for the parameters whose key matches a pattern. What is None stays as the optimizer has it.

    Where several groups speak of one parameter, the later one wins, setting by setting. PyTorch's parameter groups
    hold the parameters themselves; here they hold patterns, so an optimizer can be made before the model.

    Parameters
    ----------
    pattern : str
        With the wildcards of a shell, as in ``"*.bias"`` or ``"layer[12].*"``; upper and lower case differ.
    max_ndim : int, optional
        Only parameters with at most so many axes.
    lr_factor : float, optional
        The learning rate of these is the optimizer's times this, whatever a schedule does to it.
    weight_decay : float, optional
        In place of the optimizer's.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    A slower trunk, and no decay for biases:

    >>> from cnn_from_scratch.optim import SGD
    >>> trunk, biases = ParamGroup("trunk.*", lr_factor=0.1), ParamGroup("*.bias", weight_decay=0.0)
    >>> optimizer = SGD(0.1, weight_decay=5e-4, groups=[trunk, biases])
    >>> trunk.matches("trunk.0.weight", ndim=4), trunk.matches("head.weight", ndim=2)
    (True, False)
    """

    pattern: str
    _: KW_ONLY
    max_ndim: int | None = None
    lr_factor: float | None = None
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.pattern, str) or not self.pattern:
            raise ValueError(f"ParamGroup: pattern must be a string that is not empty, got {self.pattern!r}")
        if self.max_ndim is not None:
            check_count("ParamGroup", "max_ndim", self.max_ndim, minimum=0)
        for name, value in (("lr_factor", self.lr_factor), ("weight_decay", self.weight_decay)):
            if value is not None:
                check_number("ParamGroup", name, value)

    def matches(self, key: str, *, ndim: int) -> bool:
        """Whether these settings are for the parameter `key`, which has `ndim` axes."""
        return fnmatchcase(key, self.pattern) and (self.max_ndim is None or ndim <= self.max_ndim)


NO_DECAY_1D = ParamGroup("*", max_ndim=1, weight_decay=0.0)
"""No decay on biases and norms: ``AdamW(1e-3, groups=[NO_DECAY_1D])``.

The biases of all layers and the scales and offsets of normalization have one axis, weights have two or more; names
cannot tell them apart, for the scale of a batch norm is called ``weight`` too. (The slopes of PReLU have one axis as
well, and PyTorch advises against decay on them. A LayerNorm over several axes needs a pattern of its own.)
"""


def check_groups(owner: str, groups: Sequence[ParamGroup]) -> tuple[ParamGroup, ...]:
    """The groups as a tuple, if they are groups."""
    if not isinstance(groups, Sequence) or not all(isinstance(group, ParamGroup) for group in groups):
        raise ValueError(f"{owner}: groups must be a sequence of ParamGroup, got {groups!r}")
    return tuple(groups)


def check_patterns(owner: str, groups: Iterable[ParamGroup], params: Mapping[str, Array]) -> None:
    """Raise if the pattern of a group fits no key at all: a misspelt pattern would go unnoticed otherwise."""
    for group in groups:
        if not any(fnmatchcase(key, group.pattern) for key in params):
            raise ValueError(
                f"{owner}: the group pattern {group.pattern!r} matches no key of params, which are {some(params)}"
            )


def settings_of(
    groups: Iterable[ParamGroup], key: str, ndim: int, lr: float, weight_decay: float
) -> tuple[float, float]:
    """Learning rate and weight decay of one parameter.

    Examples
    --------
    >>> groups = [ParamGroup("*.bias", weight_decay=0.0), ParamGroup("head.*", lr_factor=10.0)]
    >>> settings_of(groups, "head.bias", 1, 0.5, 1e-4), settings_of(groups, "head.weight", 2, 0.5, 1e-4)
    ((5.0, 0.0), (5.0, 0.0001))
    """
    factor = 1.0
    for group in groups:
        if group.matches(key, ndim=ndim):
            factor = factor if group.lr_factor is None else group.lr_factor
            weight_decay = weight_decay if group.weight_decay is None else group.weight_decay
    return float(lr) * float(factor), float(weight_decay)
