"""Every layer beside PyTorch's, live: signature, names and shapes of its arrays, output, gradients, how it begins."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest
from peers.compare import DTYPES, Array, as_tensor, assert_near, assert_same_distribution, torch

from cnn_from_scratch import layers
from cnn_from_scratch.layers import Context, Layer
from cnn_from_scratch.layers.initializers import INITIALIZERS

nn = torch.nn


class Pair(NamedTuple):
    """One layer, made with the same arguments in both libraries."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}  # noqa: RUF012
    shape: tuple[int, ...] = (3, 4, 6, 5)

    def ours(self) -> Layer:
        return getattr(layers, self.name)(*self.args, **self.kwargs)

    def theirs(self) -> Any:
        return getattr(nn, self.name)(*self.args, **self.kwargs)


PAIRS = [
    Pair("Conv2d", (4, 6, 3)),
    Pair("Conv2d", (4, 6, (3, 1), 2, (1, 0), 1, 2, False)),
    Pair("Conv2d", (4, 8, 3), {"padding": "same", "dilation": 2, "groups": 4}),
    Pair("Conv2d", (4, 2, 3, (1, 2), "valid")),
    Pair("ConvTranspose2d", (4, 6, 3, 2, 1, 1, 2)),
    Pair("ConvTranspose2d", (4, 6, (1, 2)), {"bias": False, "dilation": 2}),
    Pair("ConvTranspose2d", (4, 6, 3, (2, 3), 2, (0, 2), 1, True, (1, 2))),
    Pair("Linear", (5, 3)),
    Pair("Linear", (5, 3, False), shape=(3, 5)),
    Pair("MaxPool2d", (2,)),
    Pair("MaxPool2d", (3, 2, 1), {"ceil_mode": True}),
    Pair("MaxPool2d", ((2, 1), 1, 0, 2)),
    Pair("AvgPool2d", (2,)),
    Pair("AvgPool2d", (3, 2, 1, True, False)),
    Pair("AvgPool2d", ((2, 3), (1, 2), (1, 0))),
    Pair("AdaptiveAvgPool2d", (4,)),
    Pair("AdaptiveAvgPool2d", ((None, 3),)),
    Pair("AdaptiveMaxPool2d", ((4, None),)),
    Pair("Flatten"),
    Pair("Flatten", (2,)),
    Pair("Flatten", (1, -2)),
    Pair("Identity"),
    Pair("ReLU"),
    Pair("ReLU6"),
    Pair("LeakyReLU"),
    Pair("LeakyReLU", (0.2,)),
    Pair("PReLU"),
    Pair("PReLU", (4, 0.1)),
    Pair("ELU"),
    Pair("ELU", (0.5,)),
    Pair("GELU"),
    Pair("GELU", (), {"approximate": "tanh"}),
    Pair("SiLU"),
    Pair("Sigmoid"),
    Pair("Tanh"),
    Pair("Softplus"),
    Pair("Softplus", (2.0, 1.0)),
    Pair("Softmax", (1,)),
    Pair("Softmax", (-1,), shape=(3, 5)),
    Pair("LogSoftmax", (1,)),
    Pair("BatchNorm1d", (5,), shape=(3, 5)),
    Pair("BatchNorm1d", (4, 1e-3, 0.3), shape=(3, 4, 6)),
    Pair("BatchNorm2d", (4,)),
    Pair("BatchNorm2d", (4, 1e-4, None)),
    Pair("BatchNorm2d", (4, 1e-5, 0.1, False)),
    Pair("BatchNorm2d", (4, 1e-5, 0.1, True, False)),
    Pair("LayerNorm", (5,)),
    Pair("LayerNorm", ((4, 6, 5), 1e-3)),
    Pair("LayerNorm", ((6, 5), 1e-5, True, False)),
    Pair("LayerNorm", ([6, 5], 1e-5, False)),
    Pair("GroupNorm", (2, 4)),
    Pair("GroupNorm", (4, 4, 1e-3, False)),
    Pair("Dropout", (0.0,)),
    Pair("ZeroPad2d", (2,)),
    Pair("ZeroPad2d", ((1, 2, 0, 3),)),
    Pair("ReflectionPad2d", ((1, 2, 0, 3),)),
    Pair("ReplicationPad2d", ((1, 2, 0, 7),)),
    Pair("Upsample", (), {"scale_factor": 2}),
    Pair("Upsample", (), {"scale_factor": (1, 3), "mode": "nearest"}),
]
of_every_pair = pytest.mark.parametrize(
    "pair", PAIRS, ids=[f"{p.name}-{','.join(map(repr, (*p.args, *p.kwargs.values())))}" for p in PAIRS]
)


def test_every_layer_meets_its_peer():
    classes = [name for name in layers.__all__ if inspect.isclass(getattr(layers, name)) and hasattr(nn, name)]
    assert {pair.name for pair in PAIRS} | {"Container", "Sequential"} == set(classes)


# --- the same call --------------------------------------------------------------------------------------------------

OURS_ALONE = {"weight_init", "algorithm", "rng"}
THEIRS_ALONE = {"device", "dtype", "inplace", "padding_mode", "return_indices", "divisor_override", "args", "kwargs"}
THEIRS_ALONE |= {"size", "align_corners", "recompute_scale_factor"}
NOT_HERE = {("BatchNorm1d", "bias"), ("BatchNorm2d", "bias"), ("GroupNorm", "bias")}
OWN_DEFAULTS = {
    ("Softmax", "dim"),  # None in PyTorch, which then guesses and warns
    ("LogSoftmax", "dim"),
    ("Upsample", "scale_factor"),  # None in PyTorch, where `size` may be given instead
}


def arguments(cls: type, without: set[str]) -> dict[str, inspect.Parameter]:
    given = inspect.signature(cls).parameters
    return {name: parameter for name, parameter in given.items() if name not in without}


@pytest.mark.parametrize("name", sorted({pair.name for pair in PAIRS}))
def test_names_order_and_defaults_of_arguments(name):
    without = THEIRS_ALONE | {argument for layer, argument in NOT_HERE if layer == name}
    ours, theirs = arguments(getattr(layers, name), OURS_ALONE), arguments(getattr(nn, name), without)
    assert list(ours) == list(theirs)
    for argument in ours:
        if (name, argument) not in OWN_DEFAULTS:
            assert ours[argument].default == theirs[argument].default, argument
    positional = [n for n, p in arguments(getattr(layers, name), set()).items() if p.kind is not p.KEYWORD_ONLY]
    assert positional == list(arguments(getattr(nn, name), set()))[: len(positional)]


# --- the same arrays ------------------------------------------------------------------------------------------------


@of_every_pair
def test_names_shapes_and_dtypes_of_parameters_and_buffers(pair):
    ours, theirs = pair.ours(), pair.theirs()
    for own, peers in ((ours.params, theirs.named_parameters()), (ours.buffers, theirs.named_buffers())):
        expected = {key: (tuple(value.shape), value.detach().numpy().dtype) for key, value in peers}
        assert {key: (value.shape, value.dtype) for key, value in own.items()} == expected
        assert list(own) == list(expected)


def matched(pair: Pair, dtype: Any) -> tuple[Layer, Any]:
    """Both layers with the same random numbers in all their floating arrays."""
    ours, theirs = pair.ours().astype(dtype), pair.theirs().to(torch.from_numpy(np.empty(0, dtype)).dtype)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for key, array in (ours.params | ours.buffers).items():
            if array.dtype.kind == "f":
                array[...] = rng.uniform(0.5, 1.5, array.shape)
                theirs.state_dict()[key].copy_(torch.from_numpy(array))
    return ours, theirs


# --- the same numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@of_every_pair
def test_output_and_gradients(pair, train, dtype):
    ours, theirs = matched(pair, dtype)
    theirs.train(train)
    rng = np.random.default_rng(1)
    for _ in range(2):  # twice, for batch norm remembers
        x = rng.standard_normal(pair.shape).astype(dtype)
        assert_same_step(ours, theirs, x, train)
    for key, buffer in theirs.named_buffers():
        if key == "num_batches_tracked":
            assert ours.buffers[key] == buffer.item()
        else:
            assert_near(ours.buffers[key], buffer, key, scale=1.0)


def assert_same_step(ours: Layer, theirs: Any, x: Array, train: bool) -> None:
    y, cache = ours.forward(x, Context(train=train))
    tensor = as_tensor(x)
    expected = theirs(tensor)
    assert_near(y, expected, "y")
    assert y.shape[1:] == ours.output_shape(x.shape[1:])
    dy = np.random.default_rng(2).standard_normal(y.shape).astype(x.dtype)
    dx, grads = ours.backward(dy, cache)
    if train:
        ours.commit(cache)
    keys, parameters = zip(("x", tensor), *theirs.named_parameters(), strict=True)
    answers = dict(zip(keys, torch.autograd.grad(expected, parameters, torch.from_numpy(dy)), strict=True))
    assert_near(dx, answers.pop("x"), "dx", scale=1.0)
    assert grads.keys() == answers.keys()
    for key, gradient in grads.items():
        assert_near(gradient, answers[key], f"d{key}", scale=1.0)


# --- the same beginning ---------------------------------------------------------------------------------------------

RANDOM = [
    ("Conv2d", (8, 32, 5), {}),
    ("Conv2d", (8, 32, (3, 2)), {"groups": 4}),
    ("ConvTranspose2d", (8, 32, 3), {}),
    ("ConvTranspose2d", (8, 32, (3, 2)), {"groups": 4}),
    ("Linear", (100, 40), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), RANDOM)
def test_layers_begin_with_numbers_of_the_same_distribution(name, args, kwargs):
    torch.manual_seed(0)
    ours = [getattr(layers, name)(*args, **kwargs, rng=seed).params for seed in range(40)]
    again = [getattr(layers, name)(*args, **kwargs).initialize(seed).params for seed in range(40)]
    theirs = [dict(getattr(nn, name)(*args, **kwargs).named_parameters()) for _ in range(40)]
    for key in ("weight", "bias"):
        expected = np.stack([parameters[key].detach().numpy() for parameters in theirs])
        for drawn in (ours, again):
            actual = np.stack([parameters[key] for parameters in drawn])
            assert_same_distribution(actual, expected)
            assert np.abs(actual).max() == pytest.approx(np.abs(expected).max(), rel=0.02)


@of_every_pair
def test_the_other_parameters_begin_with_the_same_numbers(pair):
    if pair.name in {name for name, _, _ in RANDOM}:
        return
    ours, theirs = pair.ours().initialize(3), pair.theirs()
    for key, expected in theirs.state_dict().items():
        np.testing.assert_array_equal((ours.params | ours.buffers)[key], expected.numpy(), err_msg=key)


PEERS_OF_INITIALIZERS = {
    "pytorch": lambda w: nn.init.kaiming_uniform_(w, a=5**0.5),
    "he_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "he_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "glorot_normal": nn.init.xavier_normal_,
    "glorot_uniform": nn.init.xavier_uniform_,
    "lecun_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"),
    "lecun_uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
    "dirac": nn.init.dirac_,
}


@pytest.mark.parametrize("shape", [(24, 8, 3, 5), (8, 48, 2, 3), (60, 100)])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name, shape):
    if name == "dirac" and len(shape) < 3:
        return  # PyTorch has it for convolutions alone
    torch.manual_seed(0)
    ours = INITIALIZERS[name](shape, np.random.default_rng(0))
    theirs = PEERS_OF_INITIALIZERS[name](torch.empty(shape, dtype=torch.float64)).numpy()
    if name == "dirac":
        np.testing.assert_array_equal(ours, theirs)
        return
    assert_same_distribution(ours, theirs)
    if name == "orthogonal":
        rows = [w.reshape(shape[0], -1) for w in (ours, theirs)]
        small = [w @ w.T if shape[0] <= w.shape[1] else w.T @ w for w in rows]
        np.testing.assert_allclose(small[0], small[1], atol=1e-12)


@pytest.mark.parametrize(("channels", "filters"), [(4, 4), (4, 8), (8, 4), (4, 12), (12, 4)])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_dirac_with_groups(name, groups, channels, filters):
    weight = getattr(layers, name)(channels, filters, (3, 2), groups=groups, weight_init="dirac").params["weight"]
    theirs = nn.init.dirac_(getattr(nn, name)(channels, filters, (3, 2), groups=groups).weight, groups)
    np.testing.assert_array_equal(weight, theirs.detach().numpy())


# --- what differs by design -----------------------------------------------------------------------------------------


def test_padding_same_goes_with_a_stride():
    with pytest.raises(ValueError, match="padding='same' is not supported for strided convolutions"):
        nn.Conv2d(1, 1, 3, 2, "same")
    assert layers.Conv2d(1, 1, 3, 2, "same").output_shape((1, 7, 8)) == (1, 4, 4)  # TensorFlow's and ONNX's rule


def test_dropping_everything_is_refused():
    nn.Dropout(1.0)
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\)"):
        layers.Dropout(1.0)


def test_two_numbers_for_a_padding_layer_are_rows_and_columns():
    x = np.ones((1, 1, 3, 3), np.float32)
    assert nn.ZeroPad2d((1, 2))(torch.tensor(x)).shape == (1, 1, 3, 6)  # undocumented: (left, right)
    assert layers.ZeroPad2d((1, 2)).output_shape((1, 3, 3)) == (1, 5, 7)  # (PH, PW), as everywhere here
