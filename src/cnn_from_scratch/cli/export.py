"""`cnn export`: a run as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run, its model.safetensors, or an ONNX file.", show_default=False)
    ],
    onnx: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Layers and weights as ONNX.", show_default=False)
    ] = None,
    safetensors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Weights alone, as PyTorch's load_state_dict takes them.", show_default=False
        ),
    ] = None,
    opset: Annotated[
        int | None, typer.Option(help="Version of ONNX's operators; 21 unless told otherwise.", show_default=False)
    ] = None,
) -> None:
    """Write a model for other programs: as ONNX for those that run it, as safetensors for PyTorch.

    The batch may have any size.

    An ONNX file also keeps the classes and how pictures are prepared: `cnn predict` takes it as it takes the run.

    [bold]Examples[/bold]

    cnn export runs/mnist-1 --onnx mnist.onnx

    cnn export runs/mnist-1 --safetensors mnist.safetensors
    """
    import json

    from ..formats import save_onnx, save_safetensors
    from ..formats.saved_model import ENTRY
    from .output import print_written
    from .saved_run import load_run, run_metadata

    if onnx is None and safetensors is None:
        raise ValueError("nothing to write: name a file by --onnx or by --safetensors")
    found = load_run(run)
    if onnx is not None:
        known = run_metadata(found.dataset, found.classes, found.input_shape, found.normalization, found.preparation)
        text = {ENTRY: json.dumps(known)}
        save_onnx(found.model, onnx, input_shape=found.input_shape, opset=opset, metadata=text)
        print_written(onnx, f"ONNX, images {'x'.join(map(str, found.input_shape))}, {len(found.classes)} classes")
    if safetensors is not None:
        save_safetensors(found.model, safetensors)
        print_written(safetensors, f"{len(found.model.params | found.model.buffers)} arrays for load_state_dict")
