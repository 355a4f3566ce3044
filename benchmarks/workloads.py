"""Everything that is measured, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from tasks import Competitor, Convolution, Task

OURS = Competitor("ours", "ours")
PLAN = Competitor("ours, compiled plan", "ours", "compile")
PREDICT = Competitor("ours, predict", "ours", "predict")
JAX = Competitor("JAX jit", "jax_peer")
ORT = [Competitor(f"onnxruntime, {n} thread{'s' * (n > 1)}", "onnxruntime_peer", threads=n) for n in (1, 2)]
TEXTBOOK = [
    Competitor("NumPy, fancy-index im2col", "textbook", "fancy"),
    Competitor("NumPy, sliding window + one GEMM", "textbook", "sliding"),
]
DEZERO = Competitor("DeZero", "dezero_peer")


def torch_variants(*orders: str) -> list[Competitor]:
    """Each with the malloc of the system as it comes and with one that keeps its memory."""
    return [
        Competitor(f"PyTorch {order}{', tuned malloc' if tuned else ''}", "torch_peer", order, tuned)
        for order in orders
        for tuned in (False, True)
    ]


EAGER = torch_variants("NCHW", "channels_last")
TORCH = EAGER + torch_variants("compile", "compile channels_last")
BEST_TORCH = [peer for peer in EAGER if peer.tuned_malloc]
"""Where all variants would take too long: the two that are the best eager ones in the steps of W1 and W2."""


class Case(NamedTuple):
    """One row of a table."""

    label: str
    task: Task
    competitors: Sequence[Competitor]
    x: float = 0.0  # where it lies in a picture of growth
    exact: bool = False  # compare the gradients in float64, too


class Workload(NamedTuple):
    """One table."""

    name: str
    title: str
    cases: Callable[[], list[Case]]
    how: Literal["time", "memory", "fit"] = "time"
    per_image: bool = False  # tables say time per image
    brief: bool = False  # many cases, of which only the course matters


MNIST, CIFAR = (128, 1, 28, 28), (64, 3, 32, 32)
STEP = "forward, softmax cross-entropy, backward, Adam"


def _step(net: str, shape: tuple[int, int, int, int]) -> list[Case]:
    peers = [OURS, *TORCH, *([JAX] if net != "resnet20" else [])]
    return [Case(f"batch {shape[0]}", Task("train", net, shape), peers, exact=True)]


def _inference(net: str, image: tuple[int, int, int], batches: Sequence[int], headlines: Sequence[int]) -> list[Case]:
    """All variants of PyTorch for the headlines, the eager ones (compiling takes long) for the sizes between."""
    peers = {N: [PLAN, PREDICT, *(TORCH if N in headlines else EAGER), *ORT, JAX] for N in batches}
    return [Case(f"batch {N}", Task("infer", net, (N, *image)), peers[N], x=N) for N in batches]


GRID = (
    ("3 to 64, 3x3, 32 x 32, batch 64", (64, 3, 32, 32), Convolution(64, 3, 1, 1)),
    ("64 to 64, 3x3, 32 x 32, batch 64", (64, 64, 32, 32), Convolution(64, 3, 1, 1)),
    ("128 to 128, 3x3, 16 x 16, batch 64", (64, 128, 16, 16), Convolution(128, 3, 1, 1)),
    ("256 to 256, 3x3, 8 x 8, batch 64", (64, 256, 8, 8), Convolution(256, 3, 1, 1)),
    ("64 to 64, 1x1, 56 x 56, batch 32", (32, 64, 56, 56), Convolution(64, 1)),
    ("64 to 128, 3x3 stride 2, 56 x 56, batch 32", (32, 64, 56, 56), Convolution(128, 3, 2, 1)),
    ("3 to 64, 7x7 stride 2, 224 x 224, batch 16", (16, 3, 224, 224), Convolution(64, 7, 2, 3)),
    ("1 to 6, 5x5, 28 x 28, batch 64", (64, 1, 28, 28), Convolution(6, 5, 1, 2)),
    ("64 depthwise, 3x3, 32 x 32, batch 64", (64, 64, 32, 32), Convolution(64, 3, 1, 1, 64)),
)


def _grid(kind: Literal["forward", "backward"]) -> list[Case]:
    return [Case(label, Task(kind, "", shape, conv), [OURS, *EAGER]) for label, shape, conv in GRID]


def _growth(net: str, image: tuple[int, int, int], batches: Sequence[int]) -> list[Case]:
    return [Case(f"batch {N}", Task("train", net, (N, *image)), [OURS, *BEST_TORCH], x=N) for N in batches]


def _sizes() -> list[Case]:
    sides = (16, 24, 32, 48, 64, 96)
    return [Case(f"{s} x {s}", Task("train", "vgg_small", (16, 3, s, s)), [OURS, *BEST_TORCH], x=s) for s in sides]


def _depth() -> list[Case]:
    nets = ((20, "resnet20"), (56, "resnet56"))
    return [Case(f"ResNet-{n}", Task("train", net, CIFAR), [OURS, *BEST_TORCH], x=n) for n, net in nets]


def _shards() -> list[Case]:
    ours = [
        Competitor("ours, 2 shards", "ours"),
        Competitor("ours, 2 shards on threads", "ours", "on threads"),
        Competitor("ours, 1 shard, BLAS on 1 thread", "ours", "1 BLAS thread", threads=1),
        Competitor("ours, 1 shard, BLAS on 2 threads", "ours", threads=1),
    ]
    one = [peer._replace(name=f"{peer.name}, 1 thread", threads=1) for peer in BEST_TORCH]
    nets = (("W1", "mnist_cnn", MNIST), ("W2", "vgg_small", CIFAR), ("ResNet-20", "resnet20", (128, 3, 32, 32)))
    return [Case(name, Task("train", net, shape), [*ours, *BEST_TORCH, *one]) for name, net, shape in nets]


def _memory() -> list[Case]:
    return [Case("W2 step, batch 64", Task("train", "vgg_small", CIFAR), [OURS, *EAGER, TEXTBOOK[1]])]


def _fit() -> list[Case]:
    """Ours and PyTorch, one after the other."""
    recipes = (("the recipe of `cnn train mnist`", "recipe"), ("no augmentation, no dropout, no average", "plain"))
    torch = Competitor("PyTorch NCHW, tuned malloc", "torch_peer", "NCHW", tuned_malloc=True)
    last = Competitor("PyTorch channels_last, tuned malloc", "torch_peer", "channels_last", tuned_malloc=True)
    return [
        Case(label, Task("fit", recipe, (64, 1, 28, 28), epochs=5), [OURS, torch, last]) for label, recipe in recipes
    ]


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("w1-step", f"W1, one training step: {STEP}", lambda: _step("mnist_cnn", MNIST)),
        Workload("w2-step", f"W2, one training step: {STEP}", lambda: _step("vgg_small", CIFAR)),
        Workload("resnet20-step", f"ResNet-20, one training step: {STEP}", lambda: _step("resnet20", (128, 3, 32, 32))),
        Workload("w1-inference", "W1, inference", lambda: _inference("mnist_cnn", (1, 28, 28), (256, 1, 32), (1, 256))),
        Workload(
            "w2-inference",
            "W2, inference, batch norm folded",
            lambda: _inference("vgg_small", (3, 32, 32), (64, 1, 32, 256), (64,)),
        ),
        Workload(
            "resnet20-inference",
            "ResNet-20, inference, batch norm folded",
            lambda: _inference("resnet20", (3, 32, 32), (64,), ()),
        ),
        Workload(
            "resnet18-inference",
            "ResNet-18, inference, 224 x 224, batch norm folded",
            lambda: [
                Case("batch 1", Task("infer", "resnet18", (1, 3, 224, 224)), [PLAN, PREDICT, *EAGER, *ORT]),
            ],
        ),
        Workload("layers-forward", "One convolution, forward", lambda: _grid("forward")),
        Workload("layers-backward", "One convolution, backward", lambda: _grid("backward")),
        Workload(
            "growth-w1",
            "W1 step, growing batch",
            lambda: _growth("mnist_cnn", (1, 28, 28), (16, 32, 64, 128, 256, 512, 1024)),
            per_image=True,
            brief=True,
        ),
        Workload(
            "growth-w2",
            "W2 step, growing batch",
            lambda: _growth("vgg_small", (3, 32, 32), (16, 32, 64, 128, 256)),
            per_image=True,
            brief=True,
        ),
        Workload("growth-size", "W2 step, growing images, batch 16", _sizes, per_image=True, brief=True),
        Workload(
            "growth-depth", "ResNet-20 and ResNet-56, one training step, batch 64", _depth, per_image=True, brief=True
        ),
        Workload("shards", "One shard and two: one training step", _shards),
        Workload("memory", "Peak memory of three training steps, over the imports", _memory, how="memory"),
        Workload(
            "numpy-peers",
            f"Other NumPy code, W1, one training step: {STEP}",
            lambda: [Case("batch 128", Task("train", "mnist_cnn", MNIST), [OURS, *BEST_TORCH, *TEXTBOOK, DEZERO])],
        ),
        Workload("fit", "Five epochs of MNIST, from the first step to the last", _fit, how="fit"),
    )
}
