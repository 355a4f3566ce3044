"""What an ONNX file says about a model besides its graph: `metadata_props`, strings by name."""

from __future__ import annotations

import os

from .messages import require_text
from .package import require_onnx
from .reading import parse


def load_onnx_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The strings that belong to the model in an ONNX file, as `save_onnx` writes them.

    Raises
    ------
    MissingPackageError, FormatError, LimitError, FileNotFoundError
        As for `load_onnx`.

    Examples
    --------
    >>> import tempfile
    >>> from cnn_from_scratch.formats import save_onnx
    >>> from cnn_from_scratch.layers import ReLU
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_onnx(ReLU(), f"{folder}/relu.onnx", input_shape=(3,), metadata={"made by": "hand"})
    ...     load_onnx_metadata(f"{folder}/relu.onnx")
    {'made by': 'hand'}
    """
    message = parse(path, require_onnx("load_onnx_metadata"))
    texts = [text for entry in message.metadata_props for text in (entry.key, entry.value)]
    require_text(texts, f"{path}: its metadata")
    return {entry.key: entry.value for entry in message.metadata_props}
