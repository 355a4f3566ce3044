"""ONNX models in: a file becomes a `Graph` of our own operations, to predict with, trace, train and save."""

from .reading import load_onnx
from .registry import Node, make_operation, operator, supported_operators

__all__ = ["Node", "load_onnx", "make_operation", "operator", "supported_operators"]
