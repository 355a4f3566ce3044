"""State dicts into models, whole or not at all, and out again."""

from __future__ import annotations

import numpy as np
import pytest
from formats.pickles import archive, tensor
from safetensors.numpy import load_file, save_file

from cnn_from_scratch.errors import FormatError
from cnn_from_scratch.formats import load_state_dict, read_state_dict, save_safetensors
from cnn_from_scratch.layers import BatchNorm2d, Conv2d, Flatten, Linear, Sequential


def net(seed=0):
    layers = {"conv": Conv2d(2, 3, 3, rng=seed), "bn": BatchNorm2d(3), "flat": Flatten(), "fc": Linear(12, 4, rng=seed)}
    return Sequential(layers)


def arrays(model):
    return {key: value.copy() for key, value in (model.params | model.buffers).items()}


def given(seed=1):
    """A state dict for `net`, with numbers of its own, read-only."""
    rng = np.random.default_rng(seed)
    found = {key: np.asarray(rng.standard_normal(a.shape), a.dtype) for key, a in arrays(net()).items()}
    found["bn.num_batches_tracked"] = np.array(17)
    for array in found.values():
        array.flags.writeable = False
    return found


def test_every_array_is_written_in_place():
    model, new = net(), given()
    own = model.params | model.buffers
    assert load_state_dict(model, new) == ((), ())
    for key, array in (model.params | model.buffers).items():
        assert array is own[key]
        np.testing.assert_array_equal(array, new[key])


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_numbers_take_the_dtype_of_the_model(dtype):
    model = net()
    load_state_dict(model, {key: a.astype(dtype) if a.dtype.kind == "f" else a for key, a in given().items()})
    assert model.dtype == np.float32
    np.testing.assert_array_equal(model.params["fc.bias"], given()["fc.bias"].astype(dtype).astype(np.float32))
    wide = net().astype(np.float64)
    load_state_dict(wide, given())
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide.params["fc.bias"], given()["fc.bias"])


def test_a_file_of_either_kind(tmp_path):
    save_file(given(), tmp_path / "a.safetensors")
    model = net()
    load_state_dict(model, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(model.params["conv.weight"], given()["conv.weight"])
    new = given()
    kinds = {"f": "Float", "i": "Long"}
    value = {
        key: tensor(
            key,
            kind=kinds[a.dtype.kind],
            count=a.size,
            shape=a.shape,
            strides=tuple(s // a.itemsize for s in a.strides),
        )
        for key, a in new.items()
    }
    (tmp_path / "a.pth").write_bytes(archive(value, {key: a.tobytes() for key, a in new.items()}))
    model = net()
    load_state_dict(model, str(tmp_path / "a.pth"))
    for key, array in (model.params | model.buffers).items():
        np.testing.assert_array_equal(array, new[key])


def test_all_that_does_not_fit_is_listed_and_nothing_is_written():
    model, new = net(), given()
    before = arrays(model)
    del new["conv.bias"], new["bn.running_mean"]
    new |= {"head.weight": np.zeros(3), "fc.weight": np.zeros((5, 12)), "bn.weight": np.zeros((3, 1), np.float32)}
    new |= {"fc.bias": np.zeros(4, np.int64), "bn.num_batches_tracked": np.array(1.0)}
    with pytest.raises(FormatError) as caught:
        load_state_dict(model, new)
    assert str(caught.value) == (
        "load_state_dict: the state dict does not fit the model; nothing was written\n"
        "  missing: conv.bias, bn.running_mean\n"
        "  unexpected: head.weight\n"
        "  of another shape: bn.weight is (3, 1), the model's (3,), fc.weight is (5, 12), the model's (4, 12), "
        "fc.bias is int64, the model's float32, bn.num_batches_tracked is float64, the model's int64"
    )
    np.testing.assert_equal(arrays(model), before)


def test_the_file_is_named(tmp_path):
    save_file({"a": np.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(FormatError) as caught:
        load_state_dict(net(), tmp_path / "a.safetensors")
    assert str(caught.value).startswith(
        f"load_state_dict: {tmp_path / 'a.safetensors'} does not fit the model; nothing"
    )


def test_long_lists_are_cut():
    many = given() | {f"more.{i}": np.zeros(1) for i in range(25)}
    with pytest.raises(FormatError) as caught:
        load_state_dict(net(), many)
    assert str(caught.value).endswith("more.18, more.19 ... and 5 more")


def test_without_strict_what_fits_is_written_and_the_rest_is_told():
    model, new = net(), given()
    before = arrays(model)
    del new["conv.bias"]
    new["head.weight"] = np.zeros(3)
    assert load_state_dict(model, new, strict=False) == (("conv.bias",), ("head.weight",))
    np.testing.assert_array_equal(model.params["conv.weight"], new["conv.weight"])
    np.testing.assert_array_equal(model.params["conv.bias"], before["conv.bias"])


def test_without_strict_shapes_must_still_fit():
    model = net()
    before = arrays(model)
    with pytest.raises(FormatError) as caught:
        load_state_dict(model, {"conv.bias": np.ones(3), "fc.bias": np.zeros(5)}, strict=False)
    assert str(caught.value) == (
        "load_state_dict: the state dict does not fit the model; nothing was written\n"
        "  of another shape: fc.bias is (5,), the model's (4,)"
    )
    np.testing.assert_equal(arrays(model), before)


def test_batches_may_be_uncounted():
    model, new = net(), given()
    del new["bn.num_batches_tracked"]
    model.buffers["bn.num_batches_tracked"] = np.array(5)
    assert load_state_dict(model, new) == ((), ())
    assert model.buffers["bn.num_batches_tracked"] == 5


def test_keys_are_renamed():
    new, model = given(), net()
    load_state_dict(model, {f"module.{k}": a for k, a in new.items()}, rename=lambda key: key.removeprefix("module."))
    np.testing.assert_array_equal(model.params["fc.weight"], new["fc.weight"])
    model = net()
    other = {{"fc.weight": "head.w"}.get(key, key): a for key, a in new.items()} | {"extra": np.zeros(1)}
    load_state_dict(model, other, rename=lambda key: {"extra": None, "head.w": "fc.weight"}.get(key, key))
    np.testing.assert_array_equal(model.params["fc.weight"], new["fc.weight"])
    model = net()
    del other["extra"]
    load_state_dict(model, other, rename={"head.w": "fc.weight"})
    np.testing.assert_array_equal(model.params["fc.weight"], new["fc.weight"])


def test_two_keys_of_one_name():
    with pytest.raises(ValueError, match=r"rename gives two keys the name 'fc.weight', one of them 'head.weight'"):
        load_state_dict(net(), given() | {"head.weight": np.zeros(1)}, rename={"head.weight": "fc.weight"})


def test_a_value_that_is_no_array():
    with pytest.raises(TypeError, match=r"load_state_dict: 'fc.bias' must be a NumPy array, got list"):
        load_state_dict(net(), given() | {"fc.bias": [1.0]})  # type: ignore[dict-item]


def test_out_and_in_again(tmp_path):
    model = net(3)
    model.buffers["bn.num_batches_tracked"] = np.array(9)
    save_safetensors(model, tmp_path / "a.safetensors")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == arrays(model).keys()
    assert found["bn.num_batches_tracked"].dtype == np.int64
    again = net(4)
    load_state_dict(again, tmp_path / "a.safetensors")
    np.testing.assert_equal(arrays(again), arrays(model))


def raw(header, content):
    import json

    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def test_numbers_of_16_bits_in_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    half, brain = np.array([1.5, -2.0], "<f2").tobytes(), np.array([0x3FC0, 0xC000], "<u2").tobytes()
    header = {
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "brain": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [4, 8]},
    }
    path.write_bytes(raw(header, half + brain))
    found = read_state_dict(path)
    assert {key: (a.tolist(), a.dtype) for key, a in found.items()} == {
        "half": ([1.5, -2.0], np.float32),
        "brain": ([[1.5], [-2.0]], np.float32),
    }
    path.write_bytes(raw({"a": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, b"\0"))
    with pytest.raises(FormatError, match=r"a.safetensors: has numbers of type 'F8_E4M3', which NumPy lacks"):
        read_state_dict(path)
