"""Make `tests/vectors/torch_float64.npz`: what PyTorch answers, output and every gradient, for a few dozen small cases.

    pip install 'cnn-from-scratch[peers]'
    python scripts/make_vectors.py

The file is part of the repository, so that the comparison with PyTorch runs without PyTorch. Each case names one of our
operations, its keyword arguments, its arrays in the order of its parameters, and PyTorch's answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

SEED = 11221126
rng = np.random.default_rng(SEED)
arrays: dict[str, np.ndarray] = {}
cases: list[dict[str, Any]] = []


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def case(op: str, inputs: dict[str, np.ndarray | None], torch_op: Callable[..., torch.Tensor], **options: Any) -> None:
    """Run `torch_op` on the inputs, differentiate sum(y * dy) by every floating one, and keep it all."""
    key = f"{len(cases):03d}"
    tensors = {
        name: None if a is None else torch.tensor(a, requires_grad=a.dtype == np.float64) for name, a in inputs.items()
    }
    y = torch_op(*tensors.values())
    dy = torch.tensor(normal(*y.shape))
    wanted = [name for name, t in tensors.items() if t is not None and t.requires_grad]
    gradients = torch.autograd.grad((y * dy).sum(), [tensors[name] for name in wanted])
    kept = {name: a for name, a in inputs.items() if a is not None}
    kept |= {"y": y.detach().numpy(), "dy": dy.numpy()}
    kept |= {f"d{name}": g.numpy() for name, g in zip(wanted, gradients, strict=True)}
    arrays.update({f"{key}/{name}": a for name, a in kept.items()})
    given = [name if a is not None else None for name, a in inputs.items()]
    cases.append({"key": key, "op": op, "options": options, "inputs": given, "gradients": [f"d{n}" for n in wanted]})


def convolutions() -> None:
    for c, f, k, stride, padding, dilation, groups in [
        (2, 3, (3, 3), 1, 1, 1, 1),
        (3, 2, (2, 3), (2, 1), (0, 2), 1, 1),
        (4, 4, (3, 3), 1, 2, 2, 2),
        (3, 6, (3, 2), 2, 1, 1, 3),
    ]:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        inputs = {"x": normal(2, c, 7, 6), "weight": normal(f, c // groups, *k), "bias": normal(f)}
        case("conv", inputs, lambda x, w, b, o=options: F.conv2d(x, w, b, **o), **options)
    for extra in ({}, {"output_padding": 1}):
        options = {"stride": 2, "padding": 1} | extra
        inputs = {"x": normal(2, 3, 4, 3), "weight": normal(3, 2, 3, 3), "bias": normal(2)}
        case("conv_transpose", inputs, lambda x, w, b, o=options: F.conv_transpose2d(x, w, b, **o), **options)


def pools() -> None:
    for k, options in [(2, {}), (3, {"stride": 2, "padding": 1}), (2, {"stride": 1, "dilation": 2, "ceil_mode": True})]:
        case(
            "max_pool",
            {"x": normal(2, 2, 7, 6)},
            lambda x, k=k, o=options: F.max_pool2d(x, k, **o),
            kernel_size=k,
            **options,
        )
    for k, options in [(2, {}), (3, {"stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False})]:
        case(
            "avg_pool",
            {"x": normal(2, 2, 7, 6)},
            lambda x, k=k, o=options: F.avg_pool2d(x, k, **o),
            kernel_size=k,
            **options,
        )
    size = (3, 2)
    case("adaptive_avg_pool", {"x": normal(2, 2, 7, 5)}, lambda x: F.adaptive_avg_pool2d(x, size), output_size=size)
    case("adaptive_max_pool", {"x": normal(2, 2, 7, 5)}, lambda x: F.adaptive_max_pool2d(x, size), output_size=size)


def activations() -> None:
    x = np.concatenate([np.linspace(-6, 6, 25), [0.0, 30.0, -30.0]])
    for name, torch_op, options in [
        ("relu", F.relu, {}),
        ("leaky_relu", lambda x: F.leaky_relu(x, 0.1), {"negative_slope": 0.1}),
        ("elu", lambda x: F.elu(x, 0.7), {"alpha": 0.7}),
        ("gelu", F.gelu, {"approximate": "none"}),
        ("gelu", lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"}),
        ("silu", F.silu, {}),
        ("sigmoid", torch.sigmoid, {}),
        ("tanh", torch.tanh, {}),
        ("softplus", F.softplus, {}),
    ]:
        case(name, {"x": x}, torch_op, **options)
    case("softmax", {"x": normal(3, 5) * 10}, lambda x: F.softmax(x, 1), axis=1)
    case("log_softmax", {"x": normal(3, 5) * 10}, lambda x: F.log_softmax(x, 1), axis=1)


def norms() -> None:
    scale = {"weight": normal(3), "bias": normal(3)}
    case(
        "batch_norm",
        {"x": normal(4, 3, 3, 2), **scale, "running_mean": None, "running_var": None},
        lambda x, w, b, *_: F.batch_norm(x, None, None, w, b, training=True),
        train=True,
    )
    case("layer_norm", {"x": normal(4, 3), **scale}, lambda x, w, b: F.layer_norm(x, (3,), w, b), normalized_shape=[3])
    scale = {"weight": normal(4), "bias": normal(4)}
    case("group_norm", {"x": normal(2, 4, 3, 2), **scale}, lambda x, w, b: F.group_norm(x, 2, w, b), num_groups=2)


def losses() -> None:
    targets = np.array([0, 3, 1, -100, 2])
    for options in ({}, {"label_smoothing": 0.1}, {"reduction": "sum"}, {"reduction": "none"}):
        inputs = {"logits": normal(5, 4) * 3, "targets": targets}
        case("cross_entropy", inputs, lambda z, t, o=options: F.cross_entropy(z, t, **o), **options)
    for name, torch_op in [
        ("mse", F.mse_loss),
        ("l1", F.l1_loss),
        ("huber", F.huber_loss),
        ("binary_cross_entropy", F.binary_cross_entropy_with_logits),
    ]:
        target = torch.tensor(rng.random((4, 3)))
        case(name, {"prediction": normal(4, 3) * 2, "target": target.numpy().astype(np.float64)}, torch_op)


def main() -> None:
    convolutions()
    pools()
    activations()
    norms()
    losses()
    case("linear", {"x": normal(3, 4), "weight": normal(2, 4), "bias": normal(2)}, F.linear)
    meta = {"seed": SEED, "torch": torch.__version__, "numpy": np.__version__, "cases": cases}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    path = Path(__file__).parent.parent / "tests" / "vectors" / "torch_float64.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
