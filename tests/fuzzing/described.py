"""Files of safetensors, and those of this package in which a digest stands for the whole: changed behind the digest."""

from __future__ import annotations

import json
from random import Random

import numpy as np

from cnn_from_scratch.formats.document import digest
from cnn_from_scratch.formats.tensors import DTYPES

from .mutations import mutate_bytes, mutate_json

CODES = {code: dtype for dtype, code in DTYPES.items()}


def split(data: bytes) -> tuple[dict, bytes]:
    """Header and numbers."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: object, numbers: bytes, *, text: bytes | None = None) -> bytes:
    """A file with a right length in front."""
    text = json.dumps(header).encode() if text is None else text
    return len(text).to_bytes(8, "little") + text + numbers


def mutate_header(data: bytes, rng: Random) -> bytes:
    """A safetensors file with another header, as JSON or as text, of which the length is right."""
    header, numbers = split(data)
    if rng.random() < 0.5:
        return join(mutate_json(header, rng), numbers)
    return join(None, numbers, text=mutate_bytes(json.dumps(header).encode(), rng))


def mutate_document(data: bytes, rng: Random) -> bytes:
    """A described file with another description, for which the digest is right."""
    header, numbers = split(data)
    ((entry, text),) = header["__metadata__"].items()
    document = json.loads(text)
    document.pop("sha256", None)
    part = rng.choice(list(document))
    document[part] = mutate_json(document[part], rng)
    document["sha256"] = digest(document, arrays_of(header, numbers))
    header["__metadata__"] = {entry: json.dumps(document)}
    return join(header, numbers)


def mutate_numbers(data: bytes, rng: Random) -> bytes:
    """A described file with other names, dtypes, shapes or numbers, for which the digest is right."""
    header, numbers = split(data)
    ((entry, text),) = header["__metadata__"].items()
    names = [name for name in header if name != "__metadata__"]
    if not names:
        return mutate_document(data, rng)
    name = rng.choice(names)
    if rng.random() < 0.5:
        header[name]["shape"] = rng.choice(([*header[name]["shape"], 1], header[name]["shape"][::-1], [1, -1]))
    elif rng.random() < 0.5:
        header[rng.choice(("x", "0.weight", "model/x"))] = header.pop(name)
    else:
        numbers = mutate_bytes(numbers, rng)[: len(numbers)].ljust(len(numbers), b"\xff")
    document = json.loads(text)
    document.pop("sha256", None)
    document["sha256"] = digest(document, arrays_of(header, numbers))
    header["__metadata__"] = {entry: json.dumps(document)}
    return join(header, numbers)


def arrays_of(header: dict, numbers: bytes) -> dict[str, np.ndarray]:
    """The arrays; raises where they are none."""
    found = {}
    for name, part in header.items():
        if name != "__metadata__":
            first, last = part["data_offsets"]
            found[name] = np.frombuffer(numbers[first:last], "<" + CODES[part["dtype"]]).reshape(part["shape"])
    return found
