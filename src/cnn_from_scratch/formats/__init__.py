"""Models in files: architecture and weights together, written whole or not at all, loaded without running code."""

from .atomic import replacing, write_atomically
from .onnx.properties import load_onnx_metadata
from .onnx.reading import load_onnx
from .onnx.writing import save_onnx
from .saved_model import load_metadata, load_model, save_model
from .state_dict import load_state_dict, read_state_dict, save_safetensors

__all__ = [
    "load_metadata",
    "load_model",
    "load_onnx",
    "load_onnx_metadata",
    "load_state_dict",
    "read_state_dict",
    "replacing",
    "save_model",
    "save_onnx",
    "save_safetensors",
    "write_atomically",
]
