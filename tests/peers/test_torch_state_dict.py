"""Weights to PyTorch and back: its own files are read as it reads them, and it reads ours."""

from __future__ import annotations

import warnings
import zipfile
from typing import Any

import numpy as np
import pytest
from peers.compare import Array, torch
from peers.test_torch_layers import PAIRS, of_every_pair
from peers.test_torch_models import NETWORKS

from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import load_state_dict, read_state_dict, save_safetensors
from cnn_from_scratch.layers import Layer

BASE = torch.arange(24.0).reshape(4, 6)
WEIGHTS = {
    "plain": torch.randn(3, 2),
    "base": BASE,
    "transposed": BASE.t(),
    "row": BASE[1],
    "columns": BASE[:, 1::2],
    "broadcast": torch.tensor([2.0]).expand(3, 4),
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "parameter": torch.nn.Parameter(torch.randn(2)),
    "half": torch.tensor([1.5, -65504.0, 6e-8, float("inf")], dtype=torch.half),
    "brain": torch.tensor([1.5, -3e38, 1e-40, float("nan")], dtype=torch.bfloat16),
    "double": torch.randn(2, 2, dtype=torch.float64),
    "long": torch.tensor(2**62),
    "int": torch.tensor([-5], dtype=torch.int32),
    "short": torch.tensor([-5], dtype=torch.int16),
    "char": torch.tensor([-5], dtype=torch.int8),
    "byte": torch.tensor([250], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "unsigned": torch.tensor([1, 65535], dtype=torch.uint16),
    "empty": torch.zeros(0, 3),
}


def as_array(tensor: Any) -> Array:
    """As NumPy has it; 16 bits widened by PyTorch itself."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype in (torch.half, torch.bfloat16) else tensor).numpy()


def assert_same(found: dict[str, Array], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        wanted = as_array(tensor)
        assert (found[key].dtype, found[key].shape) == (wanted.dtype, wanted.shape), key
        np.testing.assert_array_equal(found[key], wanted, err_msg=key)
        assert found[key].flags.c_contiguous, key


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_what_torch_save_writes(tmp_path, zipped, protocol):
    path = tmp_path / "weights.pt"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    found = read_state_dict(path)
    assert_same(found, WEIGHTS)
    assert np.shares_memory(found["base"], found["row"])


def test_a_checkpoint_of_a_training(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 1, 5, 5)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": 0.25}
    torch.save(checkpoint, tmp_path / "checkpoint.pth")
    assert_same(read_state_dict(tmp_path / "checkpoint.pth"), model.state_dict())


@pytest.mark.parametrize("tag", [b"cuda", b"mps:"])
def test_the_device_of_a_storage_does_not_matter(tmp_path, tag):
    # a tag of another device, put in by hand: nothing here has one
    torch.save({"a": torch.arange(3.0)}, tmp_path / "cpu.pt")
    with zipfile.ZipFile(tmp_path / "cpu.pt") as source, zipfile.ZipFile(tmp_path / "gpu.pt", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                assert data.count(b"X\x03\0\0\0cpu") == 1
                data = data.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0" + tag + b":0")
            target.writestr(name, data)
    assert read_state_dict(tmp_path / "gpu.pt")["a"].tolist() == [0, 1, 2]


def test_what_is_no_state_dict(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(FormatError, match=r"names 'torch.nn.modules.linear.Linear', .* save model.state_dict\(\)"):
        read_state_dict(path)
    for tensor in (torch.ones(1, dtype=torch.complex64), torch.eye(2).to_sparse(), torch.eye(2, device="meta")):
        torch.save({"a": tensor}, path)
        with pytest.raises(FormatError, match="its pickle names 'torch"):
            read_state_dict(path)
    torch.save({"a": torch.complex(torch.ones(1), torch.ones(1)).conj().imag}, path)
    with pytest.raises(FormatError, match="is to be conjugated or negated"):
        read_state_dict(path)


def test_a_torchscript_program(tmp_path):
    path = tmp_path / "a.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch discourages it by now
        torch.jit.script(torch.nn.Linear(1, 1)).save(path)
    with pytest.raises(FormatError, match="is a TorchScript program, not a state dict; where PyTorch is installed"):
        read_state_dict(path)


# --- into a model and out of it --------------------------------------------------------------------------------------


def numbered(module: Any) -> Any:
    """Every parameter and buffer with numbers of its own; variances above 0."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in module.state_dict().items():
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.4 + (0.8 if "var" in name else -0.2))
        else:
            tensor.fill_(11)
    return module.eval()


def assert_round_trip(ours: Layer, theirs: Any, again: Any, shape: tuple[int, ...], folder: Any) -> None:
    """torch.save -> ours -> safetensors -> PyTorch: bitwise the same weights, and the same outputs."""
    from safetensors.torch import load_file

    numbered(theirs)
    torch.save(theirs.state_dict(), folder / "theirs.pth")
    assert load_state_dict(ours, folder / "theirs.pth") == ((), ())
    save_safetensors(ours, folder / "ours.safetensors")
    state = load_file(folder / "ours.safetensors")
    again.load_state_dict(state)
    for key, tensor in theirs.state_dict().items():
        assert tensor.dtype == state[key].dtype
        assert torch.equal(again.state_dict()[key], tensor), key
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with torch.no_grad():
        expected = again.eval()(torch.from_numpy(x)).numpy()
    y = ours.predict(x)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * max(1.0, float(np.abs(expected).max())))


@of_every_pair
def test_every_layer(pair, tmp_path):
    assert_round_trip(pair.ours(), pair.theirs(), pair.theirs(), pair.shape, tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network(name, tmp_path):
    make, shape = NETWORKS[name]
    ours, theirs = make()
    assert_round_trip(ours, theirs, make()[1], (3, *shape), tmp_path)


def test_what_pytorch_writes_into_safetensors(tmp_path):
    from safetensors.torch import save_file

    # the file cannot hold views or what shares numbers
    weights = {k: t.detach().clone().contiguous() for k, t in WEIGHTS.items()}
    save_file(weights, tmp_path / "a.safetensors")
    found = read_state_dict(tmp_path / "a.safetensors")
    assert_same({key: found[key] for key in weights}, weights)


def test_layers_with_state_are_among_the_pairs():
    assert {"Conv2d", "ConvTranspose2d", "Linear", "BatchNorm1d", "BatchNorm2d", "LayerNorm", "GroupNorm", "PReLU"} <= {
        pair.name for pair in PAIRS
    }
