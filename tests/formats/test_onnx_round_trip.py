"""Out as ONNX and in again: the same outputs, the same parameters under the same keys, and once more the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from formats.onnx_cases import CONTAINERS, LAYERS, filled, name
from formats.test_onnx_graph_writing import small, two_heads
from formats.test_onnx_writing import INPUTS, examples
from random_models import IMAGE as RANDOM_IMAGE
from random_models import random_model

from cnn_from_scratch.formats import save_onnx
from cnn_from_scratch.formats.onnx.reading import load_onnx
from cnn_from_scratch.layers import AdaptiveAvgPool2d, AvgPool2d, Conv2d, LayerNorm, Linear, ReLU, Sequential
from cnn_from_scratch.models import MODELS

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[test]'")

CASES = [filled(case) for case in (*LAYERS, *CONTAINERS)]
SMALL = ("digits_cnn", "lenet5", "mnist_cnn", "resnet20", "vgg_small", "mobilenet_v2", "squeezenet1_1")
each_case = pytest.mark.parametrize("case", CASES, ids=map(name, CASES))


def assert_near(ours, theirs):
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * float(np.abs(theirs).max()))


def there_and_back(model, shape, folder):
    save_onnx(model, folder / "model.onnx", input_shape=shape)
    return load_onnx(folder / "model.onnx")


@each_case
def test_the_same_outputs(case, tmp_path):
    again = there_and_back(case.layer, case.shape, tmp_path)
    assert again.output_shape(case.shape) == case.layer.output_shape(case.shape)
    for count in (1, 3):
        x = examples(count, case.shape)
        assert_near(again.predict(x), case.layer.predict(x))


@each_case
def test_the_same_parameters(case, tmp_path):
    """And nothing else is to be trained: what the exporters calculate with is constant."""
    again = there_and_back(case.layer, case.shape, tmp_path)
    if not case.layer.params:
        assert all(".Constant.output" in f".{key}" for key in again.params)
        return
    assert set(again.params) == set(case.layer.params)
    assert set(again.buffers) == {key for key in case.layer.buffers if not key.endswith("num_batches_tracked")}
    for key, array in {**again.params, **again.buffers}.items():
        np.testing.assert_array_equal(array, (case.layer.params | case.layer.buffers)[key], strict=True)


@pytest.mark.parametrize("model", SMALL)
def test_models(model, tmp_path):
    shape = INPUTS.get(model, (3, 32, 32))
    made = MODELS[model]()
    again = there_and_back(made, shape, tmp_path)
    for count in (1, 3):
        assert_near(again.predict(examples(count, shape)), made.predict(examples(count, shape)))
    assert again.keeps_batch(shape)


@pytest.mark.parametrize("seed", range(15))
def test_random_models(seed, tmp_path):
    model = random_model(seed, np.float32)
    again = there_and_back(model, RANDOM_IMAGE, tmp_path)
    for count in (2, 5):
        assert_near(again.predict(examples(count, RANDOM_IMAGE)), model.predict(examples(count, RANDOM_IMAGE)))


# --- graphs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small, two_heads])
def test_a_graph_is_written_as_it_was_read(make, tmp_path):
    graph = make()
    save_onnx(graph, tmp_path / "first.onnx")
    again = load_onnx(tmp_path / "first.onnx")
    save_onnx(again, tmp_path / "second.onnx")
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()
    assert str(again) == str(graph)
    for kind in ("params", "buffers", "constants"):
        ours, theirs = getattr(graph, kind), getattr(again, kind)
        assert set(ours) == set(theirs)
        for key, array in ours.items():
            np.testing.assert_array_equal(array, theirs[key], strict=True)


def test_what_a_formula_needs_is_constant(tmp_path):
    """Also when the graph goes out again: shares of windows and of cells, a scale of one."""
    model = Sequential(
        Conv2d(4, 4, 3, padding=1, rng=0), AvgPool2d(2, ceil_mode=True), AdaptiveAvgPool2d(3), LayerNorm(3, 1e-3, False)
    )
    again = there_and_back(model, (4, 7, 5), tmp_path)
    save_onnx(again, tmp_path / "second.onnx")
    third = load_onnx(tmp_path / "second.onnx")
    for graph in (again, third):
        assert list(graph.params) == ["0.weight", "0.bias"]
        assert_near(graph.predict(examples(3, (4, 7, 5))), model.predict(examples(3, (4, 7, 5))))
    assert set(third.constants) == set(again.constants)


@pytest.mark.parametrize("model", SMALL)
def test_a_model_that_came_in_goes_out_the_same(model, tmp_path):
    shape = INPUTS.get(model, (3, 32, 32))
    again = there_and_back(MODELS[model](), shape, tmp_path)
    save_onnx(again, tmp_path / "second.onnx")
    third = load_onnx(tmp_path / "second.onnx")
    assert set(third.params) == set(again.params)
    assert third.inputs == again.inputs
    x = examples(3, shape)
    np.testing.assert_array_equal(third.predict(x), again.predict(x))


def test_a_graph_gets_a_head_and_goes_out_whole(tmp_path):
    model = Sequential({"base": small(), "head": Sequential(ReLU(), Linear(4, 2, rng=0))})
    again = there_and_back(model, (3,), tmp_path)
    assert set(again.params) == {"base.w", "head.1.weight", "head.1.bias"}
    assert_near(again.predict(examples(5, (3,))), model.predict(examples(5, (3,))))


# --- the models that ONNX tests with --------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", ["pytorch-converted", "pytorch-operator"])
def test_models_of_the_wheel_go_out_as_they_came_in(suite, tmp_path):
    """Valid, and the same to the last bit for the inputs that are recorded."""
    wheel = Path(onnx.__file__).parent / "backend" / "test" / "data" / suite
    models = sorted(wheel.glob("*/model.onnx"))
    if not models:
        pytest.skip(f"onnx {onnx.__version__} comes without its test data: pip install '.[test]'")
    for model in models:
        graph = load_onnx(model)
        save_onnx(graph, tmp_path / "again.onnx")
        onnx.checker.check_model(onnx.load(tmp_path / "again.onnx"), full_check=True)
        again = load_onnx(tmp_path / "again.onnx")
        held = {*graph.params, *graph.buffers, *graph.constants}
        names = [value.name for value in graph.inputs if value.name not in held]
        arrays = (
            onnx.numpy_helper.to_array(
                onnx.TensorProto.FromString((model.parent / f"test_data_set_0/input_{i}.pb").read_bytes())
            )
            for i in range(len(names))
        )
        given = dict(zip(names, arrays, strict=True))
        ours, theirs = graph.run(given), again.run(given)
        assert list(ours) == list(theirs)
        for value, array in ours.items():
            np.testing.assert_array_equal(array, theirs[value], strict=True, err_msg=model.parent.name)
