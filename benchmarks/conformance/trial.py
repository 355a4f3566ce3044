"""One case in a process of its own: it can neither wait for ever nor take the others with it."""

from __future__ import annotations

import json
import multiprocessing
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import blocked
import numpy as np
import onnx
from onnx import numpy_helper

from cnn_from_scratch.errors import UnsupportedOpError
from cnn_from_scratch.formats.onnx.reading import load_onnx

SECONDS = 20.0
RTOL, ATOL = 1e-3, 1e-7

HOW = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


class Status:
    """What can become of a case."""

    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    EXCLUDED = "excluded"
    LEFT_OUT = "left out"
    OTHER = "other operators"


class Outcome(NamedTuple):
    """What became of a case, and why."""

    status: str
    reason: str = ""


def run_apart(case: Any) -> Outcome:
    """The outcome of a case; a process that says nothing, or nothing in time, has failed."""
    context = multiprocessing.get_context(HOW)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(str(case.folder), theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(SECONDS):
            return Outcome(Status.FAILED, f"took more than {SECONDS:.0f} s")
        return Outcome(*ours.recv())
    except EOFError:
        process.join(SECONDS)
        return Outcome(Status.FAILED, f"its process ended with {process.exitcode}")
    finally:
        process.kill()
        process.join()
        ours.close()


def _report(folder: str, pipe: Connection) -> None:
    blocked.block()
    pipe.send(tuple(run_here(Path(folder))))


def run_here(folder: Path) -> Outcome:
    """Load, run with every set of inputs, compare."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _run(folder)
        blocked.require_unused()
    except UnsupportedOpError as error:
        return Outcome(Status.UNSUPPORTED, _line(error, folder))
    except Exception as error:  # whatever it is, it belongs into the table
        return Outcome(Status.FAILED, _line(error, folder))
    return Outcome(Status.PASSED)


def _run(folder: Path) -> None:
    model = load_onnx(folder / "model.onnx")
    held = {**model.params, **model.buffers, **model.constants}
    names = [value.name for value in model.inputs if value.name not in held]
    sets = sorted(folder.glob("test_data_set*"))
    if not sets:
        raise AssertionError("has no numbers to compare with")
    for data in sets:
        given = _arrays(data, "input")
        if len(given) > len(names):
            raise AssertionError(f"{len(given)} inputs are given, but the graph takes {', '.join(names)}")
        outputs = model.run(dict(zip(names, given, strict=False)))
        compare(list(outputs.values()), _arrays(data, "output"), **_tolerances(folder))


def _arrays(data: Path, kind: str) -> list[Any]:
    """The tensors of a set: input_0.pb, input_1.pb ..."""
    count = len(list(data.glob(f"{kind}_*.pb")))
    return [
        numpy_helper.to_array(onnx.TensorProto.FromString((data / f"{kind}_{i}.pb").read_bytes())) for i in range(count)
    ]


def _tolerances(folder: Path) -> dict[str, float]:
    """Those of the case where it has its own."""
    own = folder / "data.json"
    given = json.loads(own.read_text()) if own.is_file() else {}
    return {"rtol": given.get("rtol", RTOL), "atol": given.get("atol", ATOL)}


def compare(outputs: list[Any], expected: list[Any], *, rtol: float, atol: float) -> None:
    """Raise unless number, shapes and dtypes are the same, and the numbers as near as ONNX's own runner wants them."""
    np.testing.assert_equal(len(outputs), len(expected), "number of outputs")
    for ours, theirs in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(ours.shape, theirs.shape, "shape")
        if theirs.dtype == object:
            np.testing.assert_array_equal(ours, theirs)
        else:
            np.testing.assert_equal(ours.dtype, theirs.dtype, "dtype")
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def _line(error: Exception, folder: Path) -> str:
    """What an error says, in one line."""
    text = " ".join(str(error).replace(f"{folder / 'model.onnx'}: ", "").split())
    return f"{type(error).__name__}: {text[:200]}{'...' if len(text) > 200 else ''}"
