"""ONNX in and out: a file becomes a `Graph` of our own operations, and every model of ours becomes a file."""

from .reading import load_onnx
from .registry import Node, make_operation, operator, supported_operators

__all__ = ["Node", "load_onnx", "make_operation", "operator", "supported_operators"]
