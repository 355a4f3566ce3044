"""ONNX models in: a file becomes a `Graph` of our own operations, to predict with, trace, train and save."""

from .registry import Node, make_operation, operator, supported_operators

__all__ = ["Node", "make_operation", "operator", "supported_operators"]
