"""A reader of pickles that calls nothing from them: opcodes, a stack, and a list of the few names a file may say.

A pickle is a program for a small stack machine. Python's own machine imports whatever a file names and calls it; this
one knows no import. A name is looked up in a table that the caller gives, and what stands there is a plain value or a
`Maker`, one of our own functions. Opcodes that only objects of classes need are refused, as is any name not listed.

References
----------
Python's Lib/pickletools.py, which defines the opcodes and splits a pickle into them.
torch/_weights_only_unpickler.py, which does the same for ``torch.load(..., weights_only=True)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pickletools import genops
from typing import Any, NamedTuple

from ..errors import CnnError, FormatError, LimitError

MAX_OPCODES = 2_000_000
"""A network of a thousand tensors takes about 40,000."""


class Maker(NamedTuple):
    """A function of ours that stands for what a file would have called."""

    make: Callable[..., Any]


def unpickle(stream: BytesIO, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> Any:
    """The value that the pickle at this place of a stream describes; the stream then stands behind it.

    Parameters
    ----------
    stream : BytesIO
        Bytes in memory: of a file on disk, a length that lies would be allocated before it is found out.
    names : dict
        What each name that may appear stands for, as ``{"collections.OrderedDict": Maker(dict)}``.
    persistent : function
        Gives the value for a persistent id: what lies outside of the pickle.

    Returns
    -------
    value : None, bool, int, float, str, tuple, list, dict, or what `names` and `persistent` give

    Raises
    ------
    FormatError
        If it is no sound pickle, names something else, or describes anything but data. The message names no file.
    LimitError
        If it has too many opcodes.

    Examples
    --------
    >>> import io, os, pickle
    >>> unpickle(io.BytesIO(pickle.dumps({"a": [1, (2.5, None)]})), {}, lambda identity: None)
    {'a': [1, (2.5, None)]}
    >>> unpickle(io.BytesIO(pickle.dumps(os.getcwd)), {}, lambda identity: None)
    Traceback (most recent call last):
        ...
    cnn_from_scratch.errors.FormatError: its pickle names 'posix.getcwd', which is no part of a state dict: save ...
    """
    machine = _Machine(names, persistent)
    try:
        for count, (opcode, argument, _) in enumerate(genops(stream)):
            if count >= MAX_OPCODES:
                raise LimitError(f"its pickle has more than {MAX_OPCODES} opcodes")
            machine.step(opcode.name, argument)
        return machine.result()
    except (CnnError, MemoryError):
        raise
    except Exception as error:  # from opcodes that find on the stack what they do not expect
        raise FormatError(f"its pickle is damaged: {type(error).__name__}: {error}") from error


LITERAL = frozenset(
    "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINSTRING SHORT_BINSTRING"
    .split()
)  # fmt: skip
CONSTANT: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
SHORT = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
SILENT = frozenset(["PROTO", "FRAME", "STOP"])


class _Machine:
    """Stack, marks and memo of one pickle."""

    def __init__(self, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> None:
        self.names, self.persistent = names, persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # stacks below a mark
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        """What is left on the stack at the end."""
        if self.marked or len(self.stack) != 1:
            raise FormatError("its pickle ends in the middle")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        """One opcode."""
        if name in LITERAL:
            self.stack.append(argument)
        elif name in CONSTANT:
            self.stack.append(CONSTANT[name]())
        elif name in SHORT:
            self._short_tuple(SHORT[name])
        elif name in OTHERS:
            OTHERS[name](self, argument)
        elif name not in SILENT:
            raise FormatError(f"its pickle uses {name}, which describes more than data")

    def _short_tuple(self, length: int) -> None:
        self.stack.append(tuple(reversed([self.stack.pop() for _ in range(length)])))

    def _mark(self, _: Any) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[Any]:
        """What was put onto the stack since the last mark, which goes with it."""
        items, self.stack = self.stack, self.marked.pop()
        return items

    def _tuple(self, _: Any) -> None:
        items = tuple(self._since_mark())
        self.stack.append(items)

    def _append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("only a list can be appended to")
        self.stack[-1].extend(items)

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def _setitems(self, _: Any) -> None:
        self._update(self._since_mark())

    def _update(self, items: list[Any]) -> None:
        """Keys are names or numbers of 32 bits.

        Of other keys, nested ones could exhaust the processor's stack by their hash; and among large numbers a file
        could choose many that have one hash, so that filling a dict takes hours.
        """
        target = self.stack[-1]
        if type(target) is not dict or not all(_is_key(key) for key in items[::2]):
            raise TypeError("only a dict with names or numbers of 32 bits as keys can be filled")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _put(self, index: Any) -> None:
        self.memo[index] = self.stack[-1]

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, index: Any) -> None:
        self.stack.append(self.memo[index])

    def _global(self, argument: str) -> None:
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(module, name)

    def _name(self, module: Any, name: Any) -> None:
        full = f"{module}.{name}" if type(module) is type(name) is str else "no text"
        if full not in self.names:
            raise FormatError(
                f"its pickle names {full[:80]!r}, which is no part of a state dict: save model.state_dict()"
            )
        self.stack.append(self.names[full])

    def _reduce(self, _: Any) -> None:
        arguments, maker = self.stack.pop(), self.stack.pop()
        if type(maker) is not Maker or type(arguments) is not tuple:
            raise FormatError(f"its pickle would call a {type(maker).__name__}")
        self.stack.append(maker.make(*arguments))

    def _build(self, _: Any) -> None:
        """The attributes of an object: of an ordered dict, PyTorch's notes about versions, which nothing here needs."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise FormatError("its pickle sets attributes of something that is no dict")

    def _persistent(self, _: Any) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def _is_key(value: Any) -> bool:
    return type(value) is str or (type(value) is int and abs(value) < 1 << 32)


OTHERS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine._mark,
    "TUPLE": _Machine._tuple,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._setitem,
    "SETITEMS": _Machine._setitems,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._memoize,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}
