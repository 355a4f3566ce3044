"""How each layer is written in ONNX, by family: a table from the type of a layer to a function that writes its nodes.

An exporter is given the layer's place in the graph, the layer, the name of its input and the shape of one example,
and gives the name of its output. A layer that ONNX has no operator for becomes several that compute the same.
"""

from .activations import *  # noqa: F403
from .adaptive import *  # noqa: F403
from .containers import *  # noqa: F403
from .convolution import *  # noqa: F403
from .graph import *  # noqa: F403
from .normalization import *  # noqa: F403
from .pooling import *  # noqa: F403
from .shaping import *  # noqa: F403
from .table import export, exports

__all__ = ["export", "exports"]
