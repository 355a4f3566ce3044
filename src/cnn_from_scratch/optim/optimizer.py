"""What all optimizers share: they turn gradients into new parameters, and remember moments under the same keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..ops.memory import empty
from ..typing import Array
from .checks import check_floats, check_mapping, check_number, check_same, check_writeable, some
from .groups import ParamGroup, check_groups, check_patterns, settings_of
from .pieces import piece_shape, pieces
from .state import State, array_of, count_of, number_of, split_state


class Now(NamedTuple):
    """What the update of one parameter goes by in this step."""

    t: int  # which step of this parameter it is, from 1
    lr: float
    weight_decay: float


class Optimizer(ABC):
    """param <- param - lr * direction(gradient, moments)

    An optimizer knows no model. It is handed parameters and gradients as dicts with the same keys, writes the new
    values into the parameters' own arrays, and keeps its moments in `state`, which has these keys again.

    A subclass names its moments, says which settings are in range, and writes down one formula: `_update`. Every
    setting is a plain attribute: it may be changed between steps, and is read and checked at each step. Above all the
    learning rate: ``optimizer.lr = schedule(step)``.

    Attributes
    ----------
    lr : float
        Learning rate.
    t : int
        Steps taken.
    steps : dict of int
        Steps taken by each parameter: fewer than t for one that was frozen for a while.
    state : dict of dict of Array
        ``state[key][moment]``, named as PyTorch names them.

    Examples
    --------
    An optimizer of one's own, which looks only at the sign of the gradient:

    >>> class SignSGD(Optimizer):
    ...     def _moment_names(self):
    ...         return ()
    ...     def _update(self, param, grad, moments, scratch, now):
    ...         np.sign(grad, out=scratch)
    ...         np.multiply(scratch, now.lr, out=scratch)
    ...         np.subtract(param, scratch, out=param)
    >>> params = {"weight": np.array([1.0, 2.0])}
    >>> SignSGD(0.5).step(params, {"weight": np.array([3.0, -0.1])})
    >>> params["weight"]
    array([0.5, 2.5])
    """

    def __init__(self, lr: float, *, weight_decay: float = 0.0, groups: Sequence[ParamGroup] = ()) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.groups = check_groups(type(self).__name__, groups)
        self.t = 0
        self.steps: dict[str, int] = {}
        self.state: dict[str, dict[str, Array]] = {}
        self._check()

    def step(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Write new values into the arrays of `params`.

        All is checked, and new moments are made, before the first value is written: after an error nothing has changed.
        (Ctrl-C in the middle of a step is another matter; `fit` answers it between two steps.)

        Parameters
        ----------
        params : dict of Array
            All parameters, float32 or float64. One that has no gradient is frozen: it is left alone.
        grads : dict of Array
            Their gradients under the same keys, of the same shape and dtype; they are not written.

        Raises
        ------
        ValueError
            If there is no parameter at all, a gradient has no parameter, a group's pattern matches no key, a
            parameter is read-only, or a setting was changed to a value out of range.
        ShapeError
            If a gradient or a moment has not the shape of its parameter.
        TypeError
            If a gradient or a moment has not the dtype of its parameter, or that is neither float32 nor float64.
        """
        self._check()
        self._check_arrays(params, grads)
        moments = {key: self._moments(key, params[key]) for key in grads}
        for key, grad in grads.items():
            param = params[key]
            lr, weight_decay = settings_of(self.groups, key, param.ndim, self.lr, self.weight_decay)
            now = Now(self.steps.get(key, 0) + 1, lr, weight_decay)
            self._update_in_pieces(param, grad, list(moments[key].values()), now)
            self.state[key], self.steps[key] = moments[key], now.t
        self.t += 1

    def state_dict(self) -> State:
        """All that a checkpoint needs besides the arguments of the constructor, as a flat dict of copies.

        ``"t"`` and ``"lr"`` are numbers, ``"steps/KEY"`` is a number for each parameter, and ``"MOMENT/KEY"`` an array.

        Examples
        --------
        >>> from cnn_from_scratch.optim import SGD
        >>> optimizer = SGD(0.5, momentum=0.9)
        >>> optimizer.step({"0.bias": np.zeros(1)}, {"0.bias": np.ones(1)})
        >>> optimizer.state_dict()
        {'t': 1, 'lr': 0.5, 'steps/0.bias': 1, 'momentum_buffer/0.bias': array([1.])}
        """
        state: State = {"t": self.t, "lr": float(self.lr)}
        for key, t in self.steps.items():
            state[f"steps/{key}"] = t
            state |= {f"{name}/{key}": moment.copy() for name, moment in self.state[key].items()}
        return state

    def load_state_dict(self, state: Mapping[str, Array | int | float]) -> None:
        """Take over what `state_dict` gave; the next step is then bitwise the one that would have come.

        Numbers may also be arrays of one number, which is what ``np.savez`` makes of them.

        Raises
        ------
        ValueError
            If something is missing, left over or out of range, as in the state of another kind of optimizer. Nothing
            has changed then.
        """
        owner, names = f"{type(self).__name__}.load_state_dict", self._moment_names()
        keys = split_state(owner, state, once=("t", "lr"), per_key=("steps", *names))
        t, lr = count_of(owner, state, "t"), number_of(state, "lr")
        check_number(owner, "lr", lr)
        steps = {key: count_of(owner, state, f"steps/{key}") for key in keys}
        moments = {key: {name: array_of(owner, state, f"{name}/{key}") for name in names} for key in keys}
        self.t, self.lr, self.steps, self.state = t, float(lr), steps, moments

    def __repr__(self) -> str:
        settings = {"lr": self.lr} | {k: v for k, v in vars(self).items() if k not in ("t", "steps", "state")}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"

    # --- what a subclass says ---------------------------------------------------------------------------------------

    @abstractmethod
    def _moment_names(self) -> tuple[str, ...]:
        """Names of the moments that these settings need, in the order in which `_update` gets them."""

    @abstractmethod
    def _update(self, param: Array, grad: Array, moments: list[Array], scratch: Array, now: Now) -> None:
        """Write the new moments and the new parameter in place, with one array to calculate in; `grad` is borrowed.

        All have the same shape: some rows of the parameter, or all.
        """

    def _check(self) -> None:
        """Raise ValueError if a setting is out of range. A subclass adds its own."""
        check_number(type(self).__name__, "lr", self.lr)
        check_number(type(self).__name__, "weight_decay", self.weight_decay)

    def _decay(self, param: Array, grad: Array, now: Now, out: Array) -> Array:
        """grad + weight_decay * param: the gradient of loss + weight_decay/2 * |param|^2 (L2 regularization)."""
        if now.weight_decay == 0:
            return grad
        np.multiply(param, now.weight_decay, out=out)
        return np.add(grad, out, out=out)

    # --- what they share --------------------------------------------------------------------------------------------

    def _update_in_pieces(self, param: Array, grad: Array, moments: list[Array], now: Now) -> None:
        """Decay and update a few rows of the parameter at a time."""
        count = 2 if now.weight_decay else 1
        room = empty((count, *piece_shape(param)), param.dtype.newbyteorder("="))
        scratch, decayed = room[0], room[-1]
        for p, g, *m in pieces(param, grad, *moments):
            g = self._decay(p, g, now, decayed[: len(p)])
            self._update(p, g, m, scratch[: len(p)], now)

    def _moments(self, key: str, param: Array) -> dict[str, Array]:
        """The moments of one parameter, in the order of their names; zero before its first step."""
        kept, dtype = self.state.get(key, {}), param.dtype.newbyteorder("=")
        return {name: kept[name] if name in kept else np.zeros(param.shape, dtype) for name in self._moment_names()}

    def _check_arrays(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        owner = f"{type(self).__name__}.step"
        check_mapping(owner, "params", params)
        check_mapping(owner, "grads", grads)
        if not params:
            raise ValueError(f"{owner}: params is empty, so there is nothing to optimize")
        check_patterns(owner, self.groups, params)
        for key, grad in grads.items():
            if key not in params:
                raise ValueError(f"{owner}: grads has the key {key!r}, which is none of params: {some(params)}")
            param, name = params[key], f"params[{key!r}]"
            check_floats(owner, name, param)
            check_floats(owner, f"grads[{key!r}]", grad)
            check_same(owner, f"grads[{key!r}]", grad, name, param)
            check_writeable(owner, name, param)
            for moment, array in self.state.get(key, {}).items():
                check_same(owner, f"the {moment} of {key!r}", array, name, param)
