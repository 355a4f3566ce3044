"""Models in files: architecture and weights together, written whole or not at all, loaded without running code."""

from .atomic import replacing, write_atomically
from .onnx.writing import save_onnx
from .saved_model import load_metadata, load_model, save_model

__all__ = ["load_metadata", "load_model", "replacing", "save_model", "save_onnx", "write_atomically"]
