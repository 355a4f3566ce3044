"""What the messages of an ONNX file say, as plain Python values: attributes of nodes, types of inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import FormatError, UnsupportedOpError
from ...layers.graph import ValueInfo
from .dtypes import numpy_dtype
from .tensors import tensor_array

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto, ValueInfoProto

FIELDS = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings", 9: "tensors"}
"""Where AttributeProto keeps a value of each type that can be read."""

FOREIGN = {5: "a graph", 10: "graphs", 11: "a sparse tensor", 12: "sparse tensors", 13: "a type", 14: "types"}


def attributes_of(node: NodeProto, what: str) -> dict[str, Any]:
    """The attributes by name: int, float, str (bytes where it is no text), lists of these, arrays.

    Raises
    ------
    UnsupportedOpError
        If one holds a graph of its own, as those of If and Loop do, or a type that NumPy lacks.
    FormatError
        If a name is there twice, or something is damaged.
    """
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if not attribute.name or attribute.name in found:
            raise FormatError(f"{what} has an attribute {attribute.name!r} twice, or without a name")
        found[attribute.name] = _value(attribute, f"attribute {attribute.name!r} of {what}")
    return found


def _value(attribute: AttributeProto, what: str) -> Any:
    if attribute.ref_attr_name:
        raise FormatError(f"{what} refers to the attribute of a function, and is in none")
    kind = attribute.type or _guessed(attribute)
    if kind in FOREIGN:
        raise UnsupportedOpError(f"{what} is {FOREIGN[kind]}, which is not supported")
    if kind not in FIELDS:
        raise FormatError(f"{what} is of type {kind}, which ONNX does not define")
    value = getattr(attribute, FIELDS[kind])
    if kind in (1, 2):
        return value
    if kind == 3:
        return _text(value)
    if kind == 4:
        return tensor_array(value, what)
    return [_text(item) if kind == 8 else tensor_array(item, what) if kind == 9 else item for item in value]


def _guessed(attribute: AttributeProto) -> int:
    """Files of the first version of the format do not say which field is meant: the one that is there."""
    filled = [kind for kind, field in FIELDS.items() if _is_filled(attribute, field)]
    return filled[0] if filled else 0


def _is_filled(attribute: AttributeProto, field: str) -> bool:
    return attribute.HasField(field) if len(field) == 1 else len(getattr(attribute, field)) > 0


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def require_text(values: Iterable[Any], what: str) -> None:
    """Raise a FormatError unless all are text: protobuf gives bytes where a string is no UTF-8."""
    for value in values:
        if not isinstance(value, str):
            raise FormatError(f"{what} has a name that is no text: {value[:80]!r}")


def value_info(value: ValueInfoProto, what: str) -> ValueInfo:
    """Name, dtype and shape of an input; an axis of any length is a str or None.

    Raises
    ------
    UnsupportedOpError
        If it is no tensor, or of a type that NumPy lacks.
    FormatError
        If it is of no type, or a size is negative.
    """
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise FormatError(f"{what} has no type")
    if kind != "tensor_type":
        raise UnsupportedOpError(f"{what} is of {kind.replace('_', ' ')}; only tensors are supported")
    tensor = value.type.tensor_type
    dtype = numpy_dtype(tensor.elem_type, what)
    return ValueInfo(value.name, dtype, _lengths(tensor.shape.dim, what) if tensor.HasField("shape") else None)


def _lengths(dims: Sequence[Any], what: str) -> tuple[int | str | None, ...]:
    found: list[int | str | None] = []
    require_text((dim.dim_param for dim in dims), what)
    for dim in dims:
        length = dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
        if isinstance(length, int) and length < 0:
            raise FormatError(f"{what} claims a size of {length}")
        found.append(length)
    return tuple(found)
