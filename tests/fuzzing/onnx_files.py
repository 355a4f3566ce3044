"""ONNX files, changed field by field, so that what comes out still is a message of the format."""

from __future__ import annotations

from random import Random

from .mutations import EDGES, mutate_bytes

TEXTS = (
    "",
    "x",
    "y",
    "Relu",
    "Reshape",
    "Loop",
    "If",
    "Constant",
    "Conv",
    "MaxPool",
    "Resize",
    "Cast",
    "Expand",
    "../x",
    "/etc/passwd",
    "axis",
    "axes",
    "kernel_shape",
    "pads",
    "shape",
    "to",
    "com.microsoft",
    "é",
)


def mutate_message(data: bytes, rng: Random) -> bytes:
    """One to three fields changed, made twice, or left out."""
    import onnx

    message = onnx.ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(message, rng)
    return message.SerializeToString()


def _change(message: object, rng: Random) -> None:
    """Walk down to some field, and change it."""
    fields = [field for field, _ in message.ListFields()]
    if not fields or rng.random() < 0.05:
        fields = list(message.DESCRIPTOR.fields)
    field = rng.choice(fields)
    value = getattr(message, field.name)
    if hasattr(value, "append"):
        _change_list(value, field, rng)
    elif field.message_type is not None:
        if rng.random() < 0.05:
            message.ClearField(field.name)
        else:
            _change(value, rng)
    elif rng.random() < 0.1:
        message.ClearField(field.name)
    else:
        _put(lambda new: setattr(message, field.name, new), value, rng)


def _change_list(values: object, field: object, rng: Random) -> None:
    n, change = len(values), rng.randrange(6)
    if field.message_type is not None:
        if n == 0:
            values.add()
        elif change == 0:
            del values[rng.randrange(n)]
        elif change == 1:
            values.add().CopyFrom(values[rng.randrange(n)])
        else:
            _change(values[rng.randrange(n)], rng)
    elif n and change == 0:
        del values[rng.randrange(n)]
    elif n and change == 1:
        values.append(values[rng.randrange(n)])
    elif n:
        at = rng.randrange(n)
        _put(lambda new: values.__setitem__(at, new), values[at], rng)


def _put(write: object, old: object, rng: Random) -> None:
    """Write something of the same type; what the field cannot hold is left."""
    try:
        if isinstance(old, str):
            write(rng.choice(TEXTS))
        elif isinstance(old, bytes):
            write(mutate_bytes(old, rng))
        elif isinstance(old, float):
            write(rng.choice((0.0, -1.0, 1e30, float("inf"), float("nan"), 0.5)))
        else:
            write(rng.choice((old + 1, old - 1, -old, 0, 1, 2, 16, rng.choice(EDGES), -rng.choice(EDGES))))
    except (ValueError, TypeError):
        pass
