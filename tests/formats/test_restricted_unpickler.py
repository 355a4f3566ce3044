"""Pickles: what is data comes back as Python's own reader gives it; what would be run is refused, and is not run."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import subprocess
import sys
import threading

import pytest
from formats.pickles import Call, Name, Outside, Raw, encode, pickled
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_from_scratch.errors import FormatError, LimitError
from cnn_from_scratch.formats import restricted_unpickler
from cnn_from_scratch.formats.restricted_unpickler import Maker, unpickle


def ordered_dict():
    return {}


NAMES = {"collections.OrderedDict": Maker(ordered_dict), "some.plain": 5}


def read(data, names=NAMES):
    return unpickle(io.BytesIO(data), names, lambda identity: ("outside", identity))


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers(-(1 << 32) + 1, (1 << 32) - 1)
DATA = st.recursive(
    LEAVES, lambda inside: st.lists(inside) | st.lists(inside).map(tuple) | st.dictionaries(KEYS, inside)
)


@settings(max_examples=300, deadline=None)
@given(DATA, st.sampled_from([2, 3, 4, 5]))
def test_data_comes_back_as_python_reads_it(value, protocol):
    assert repr(read(pickle.dumps(value, protocol))) == repr(value)


def test_what_is_met_twice_is_one_object():
    part = [1]
    first, second = read(pickle.dumps((part, part), 2))
    assert first is second


def test_the_stream_stands_behind_the_pickle():
    stream = io.BytesIO(pickle.dumps([1], 2) + pickle.dumps("next", 2) + b"rest")
    assert [unpickle(stream, {}, id) for _ in range(2)] == [[1], "next"]
    assert stream.read() == b"rest"


def test_names_and_ids_give_what_the_caller_says():
    value = {"a": Call(Name("collections.OrderedDict"), ()), "b": Outside(("x", 1))}
    assert read(pickled(value)) == {"a": {}, "b": ("outside", ("x", 1))}


def test_attributes_of_a_dict_are_left_out():
    # `OrderedDict`, filled, and then BUILD with its attributes: as PyTorch writes a state dict
    data = encode(Call(Name("collections.OrderedDict"), ())) + encode("a") + encode(1) + b"s"
    assert read(b"\x80\x02" + data + encode({"_metadata": 1}) + b"b.") == {"a": 1}


class Touch:
    """Makes a file where it is unpickled by a reader that runs what it reads."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.fault("hostile-pickle")
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_nothing_is_run(tmp_path, protocol):
    evil = pickle.dumps({"weight": Touch(tmp_path / "made")}, protocol)
    with pytest.raises(FormatError):
        read(evil)
    assert not (tmp_path / "made").exists()
    pickle.loads(evil)  # this is what it would have done
    assert (tmp_path / "made").exists()


NESTED = Call(Call(Name("builtins.getattr"), (Name("os.path"), "join")), ("a",))
HOSTILE = {
    "os.system": (pickled(Call(Name("os.system"), ("true",))), "its pickle names 'os.system', which is no part of"),
    "eval": (pickled(Call(Name("builtins.eval"), ("1",))), "its pickle names 'builtins.eval'"),
    "nested": (pickled(NESTED), "its pickle names 'builtins.getattr'"),
    "in a key": (pickled(Raw(b"}" + encode(Call(Name("os.getcwd"), ())) + b"Ns")), "its pickle names 'os.getcwd'"),
    "named in two parts": (
        b"\x80\x04" + encode("posix") + encode("system") + b"\x93.",
        "its pickle names 'posix.system'",
    ),
    "a dotted name": (
        pickled(Raw(b"ccollections\nOrderedDict.fromkeys\n")),
        "names 'collections.OrderedDict.fromkeys'",
    ),
    "a name that is no text": (b"\x80\x04" + encode(1) + encode(2) + b"\x93.", "its pickle names 'no text'"),
    "a long name": (pickled(Name("os." + "x" * 500)), "its pickle names 'os." + "x" * 77 + "', which"),
    "a call of a value": (pickled(Call(Name("some.plain"), ())), "its pickle would call a int"),
    "a call of text": (pickled(Call("os.system", ("true",))), "its pickle would call a str"),
    "arguments that are none": (pickled(Raw(encode(Name("collections.OrderedDict")) + b"NR")), "would call a Maker"),
    "arguments of another kind": (pickled(Call(Name("collections.OrderedDict"), ([],))), "damaged: TypeError"),
    "an instance": (b"(ios\nsystem\n.", "its pickle uses INST, which describes more than data"),
    "an object": (pickled(Raw(b"(" + encode(Name("collections.OrderedDict")) + b"o")), "its pickle uses OBJ"),
    "a new object": (pickled(Raw(encode(Name("collections.OrderedDict")) + b")\x81")), "its pickle uses NEWOBJ"),
    "an extension": (pickled(Raw(b"\x82\x01")), "its pickle uses EXT1"),
    "attributes of a maker": (pickled(Raw(encode(Name("collections.OrderedDict")) + b"}b")), "sets attributes of"),
    "a list that is none": (pickled(Raw(b"N" + encode(1) + b"a")), "only a list can be appended to"),
    "a dict that is none": (pickled(Raw(b"]" + encode(1) + encode(2) + b"s")), "only a dict with names or numbers"),
    "a key that is a tuple": (pickled({(1,): 2}), "only a dict with names or numbers of 32 bits as keys"),
    "an odd number of items": (pickled(Raw(b"}(" + encode("a") + b"u")), "its pickle is damaged: ValueError"),
    "a memo that was not made": (pickled(Raw(b"h\x07")), "its pickle is damaged: KeyError"),
    "a mark that was not set": (pickled(Raw(b"t")), "its pickle is damaged: IndexError"),
    "too little on the stack": (pickled(Raw(b"\x85")), "its pickle is damaged: IndexError"),
    "two values": (pickled(Raw(b"NN")), "its pickle ends in the middle"),
    "an open mark": (pickled(Raw(b"(N")), "its pickle ends in the middle"),
    "no end": (b"\x80\x02N", "its pickle is damaged: ValueError: pickle exhausted before seeing STOP"),
    "nothing": (b"", "its pickle is damaged: ValueError"),
    "text that is longer than the file": (pickled(Raw(b"X\xff\xff\xff\x7fa")), "its pickle is damaged: ValueError"),
    "bytes of 2^62": (pickled(Raw(b"\x8e" + (2**62).to_bytes(8, "little"))), "its pickle is damaged: ValueError"),
    "a number of 2^31 bytes": (pickled(Raw(b"\x8b\xff\xff\xff\x7f")), "its pickle is damaged: ValueError"),
}


@pytest.mark.fault("hostile-pickle")
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles(case):
    data, message = HOSTILE[case]
    with pytest.raises(FormatError) as caught:
        read(data)
    assert message in str(caught.value)


@pytest.mark.fault("hostile-pickle")
def test_a_huge_place_in_the_memo_takes_no_memory():
    # Python's own reader would make room for 2^32 - 1 places
    assert read(pickled(Raw(b"]r\xff\xff\xff\xff"))) == []


DEEP = {
    "lists": b"](" * 200_000 + b"e" * 200_000,
    "tuples": b")" + b"\x85" * 300_000,
    "a deep key": b"})" + b"\x85" * 300_000 + b"Ns",
    "a dict in itself": b"}q\x00" + encode("a") + b"h\x00s",
}


@pytest.mark.fault("hostile-pickle")
@pytest.mark.parametrize("case", DEEP)
def test_depth_is_no_harm(case):
    # in a process of its own: an exhausted stack would end it, and not by an exception
    code = (
        "import io, sys\nfrom cnn_from_scratch.formats.restricted_unpickler import unpickle\n"
        "from cnn_from_scratch.errors import FormatError\n"
        "try:\n    unpickle(io.BytesIO(sys.stdin.buffer.read()), {}, id)\nexcept FormatError as e:\n"
        "    print(str(e)[:60])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"\x80\x02" + DEEP[case] + b".", capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (b"its pickle is damaged: TypeError: only a dict with names or \n" if "key" in case else b"")


@pytest.mark.fault("hostile-pickle")
def test_too_many_opcodes(monkeypatch):
    monkeypatch.setattr(restricted_unpickler, "MAX_OPCODES", 100)
    assert len(read(pickled(Raw(b"(" + b"N" * 96 + b"t")))) == 96
    with pytest.raises(LimitError, match="its pickle has more than 100 opcodes"):
        read(pickled(Raw(b"(" + b"N" * 97 + b"t")))


@pytest.mark.fault("hostile-pickle")
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_give_data_or_our_error(data):
    before = threading.active_count(), set(sys.modules)
    with contextlib.suppress(FormatError):
        read(b"\x80\x02" + data + b".")
    assert (threading.active_count(), set(sys.modules)) == before
