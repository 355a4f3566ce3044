"""PyTorch on the CPU: in its own memory order, in channels_last, and compiled."""

from __future__ import annotations

from typing import Any

import torch
import torch._inductor.config as inductor
from competitors.torch_nets import NETS
from nets import weights_of
from tasks import Array, Competitor, Runner, Task, batch, filters_of, output_gradient
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

VERSION = "torch"
FORMATS = {"channels_last": torch.channels_last, "compile channels_last": torch.channels_last}


def build(task: Task, competitor: Competitor) -> Runner:
    """Make a task ready. The variants are "NCHW", "channels_last", "compile" and "compile channels_last"."""
    torch.set_num_threads(competitor.threads)
    if task.kind in ("forward", "backward"):
        return _convolve(task, competitor.variant)
    if task.kind == "fit":
        from competitors.torch_fit import build_fit

        return build_fit(task, competitor)
    return {"train": _train, "infer": _infer}[task.kind](task, competitor.variant)


def ordered(array: Array, variant: str) -> Tensor:
    """A tensor in the memory order of the variant."""
    return torch.from_numpy(array).contiguous(memory_format=FORMATS.get(variant, torch.contiguous_format))


def network(net: str, variant: str, dtype: str = "float32") -> nn.Module:
    """The network with our weights, in the memory order of the variant."""
    model = NETS[net]()
    model.load_state_dict({key: torch.from_numpy(array) for key, array in weights_of(net).items()})
    model = model.to(getattr(torch, dtype))
    return model.to(memory_format=FORMATS.get(variant, torch.contiguous_format))


def _compiled(model: nn.Module, variant: str, *, freezing: bool = False) -> Any:
    """The compiler works in this process, so that none of its workers is left to disturb the others."""
    if not variant.startswith("compile"):
        return model
    inductor.compile_threads = 1
    inductor.freezing = freezing
    return torch.compile(model)


def _train(task: Task, variant: str) -> Runner:
    """Adam is the fused one: the default, a loop over tensors, is several times slower on a CPU."""
    images, classes = batch(task)
    x, y = ordered(images, variant), torch.from_numpy(classes)
    model = network(task.net, variant, task.dtype).train()
    forward = _compiled(model, variant)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def gradients() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(forward(x), y)
        loss.backward()
        return loss

    def run() -> None:
        gradients()
        optimizer.step()

    def values() -> dict[str, Array]:
        loss = gradients().detach().numpy()
        return {"loss": loss, **{key: p.grad.numpy().copy() for key, p in model.named_parameters()}}

    return Runner(run, values)


def _infer(task: Task, variant: str) -> Runner:
    """Batch norm is folded into the convolutions; compiled with freezing, which lets the weights be packed ahead."""
    x = ordered(batch(task)[0], variant)
    folded = fuse(network(task.net, variant).eval()).to(memory_format=FORMATS.get(variant, torch.contiguous_format))
    forward = _compiled(folded, variant, freezing=True)
    without_gradients = torch.no_grad if variant.startswith("compile") else torch.inference_mode  # freezing needs it so

    def run() -> Tensor:
        with without_gradients():
            return forward(x)

    return Runner(run, lambda: {"output": run().numpy()})


def _convolve(task: Task, variant: str) -> Runner:
    assert task.convolution is not None
    _, _, stride, padding, groups = task.convolution
    x, weight = ordered(batch(task)[0], variant), ordered(filters_of(task), variant)

    def forward() -> Tensor:
        with torch.inference_mode():
            return functional.conv2d(x, weight, stride=stride, padding=padding, groups=groups)

    if task.kind == "forward":
        return Runner(forward, lambda: {"y": forward().numpy()})
    dy = ordered(output_gradient(tuple(forward().shape), task.dtype), variant)
    sizes = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups)
    wanted = (task.need_dx, True, False)

    def backward() -> Any:
        with torch.no_grad():
            return torch.ops.aten.convolution_backward(dy, x, weight, None, *sizes, wanted)

    def values() -> dict[str, Array]:
        dx, dweight, _ = backward()
        return {"dweight": dweight.numpy(), **({"dx": dx.numpy()} if task.need_dx else {})}

    return Runner(backward, values)
