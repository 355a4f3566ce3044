"""Settings by key pattern: who gets them, which one wins, and what they do."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_from_scratch.optim import NO_DECAY_1D, SGD, AdamW, ParamGroup


def stepped(optimizer, **shapes):
    """What one step with zero gradients leaves of ones: 1 - lr * weight_decay."""
    params = {key.replace("_", "."): np.ones(shape) for key, shape in shapes.items()}
    optimizer.step(params, {key: np.zeros_like(value) for key, value in params.items()})
    return {key: value.flat[0].item() for key, value in params.items()}


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_no_decay_on_biases_and_norms(kind):
    left = stepped(
        kind(0.5, weight_decay=0.5, groups=[NO_DECAY_1D]),
        conv_weight=(4, 3, 2, 2),
        conv_bias=4,
        norm_weight=4,
        norm_bias=4,
        linear_weight=(2, 4),
        scale=(),
    )
    # 1 - 0.5*0.5 = 0.75 where there is decay
    assert left == {
        "conv.weight": 0.75,
        "conv.bias": 1.0,
        "norm.weight": 1.0,
        "norm.bias": 1.0,
        "linear.weight": 0.75,
        "scale": 1.0,
    }


def test_the_later_group_wins_setting_by_setting():
    groups = [
        ParamGroup("*.bias", weight_decay=0.0),
        ParamGroup("head.*", lr_factor=2.0, weight_decay=0.25),
        ParamGroup("*", lr_factor=1.0),
        ParamGroup("head.bias", lr_factor=0.5),
    ]
    left = stepped(SGD(1.0, weight_decay=0.5, groups=groups), head_weight=2, head_bias=2, trunk_weight=2, trunk_bias=2)
    assert left == {
        "head.weight": 1 - 1.0 * 0.25,
        "head.bias": 1 - 0.5 * 0.25,  # "head.*" came after "*.bias"; its lr_factor, 2, was overruled
        "trunk.weight": 1 - 1.0 * 0.5,
        "trunk.bias": 1.0,
    }


def test_lr_factor_follows_the_schedule():
    params, optimizer = {"a": np.array([8.0]), "b": np.array([8.0])}, SGD(1.0, groups=[ParamGroup("b", lr_factor=0.5)])
    for lr in (1.0, 2.0):
        optimizer.lr = lr
        optimizer.step(params, {"a": np.ones(1), "b": np.ones(1)})
    # a: 8 - 1 - 2;   b: 8 - 0.5*1 - 0.5*2
    assert (params["a"].item(), params["b"].item()) == (5.0, 6.5)


def test_lr_factor_zero_freezes():
    params, optimizer = {"a": np.ones(2), "b": np.ones(2)}, AdamW(0.1, groups=[ParamGroup("a", lr_factor=0.0)])
    optimizer.step(params, {"a": np.ones(2), "b": np.ones(2)})
    np.testing.assert_array_equal(params["a"], np.ones(2))
    assert np.all(params["b"] < 1)


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("*.bias", "layer1.0.bias", True),
        ("*.bias", "bias", False),
        ("layer[12].*", "layer2.0.weight", True),
        ("layer[12].*", "layer3.0.weight", False),
        ("?.weight", "0.weight", True),
        ("?.weight", "10.weight", False),
        ("HEAD.*", "head.weight", False),
        ("head", "head.weight", False),
    ],
)
def test_patterns_are_those_of_a_shell(pattern, key, expected):
    assert ParamGroup(pattern).matches(key, ndim=1) is expected


def test_groups_may_match_only_frozen_parameters():
    params = {"a": np.ones(2), "b": np.ones(2)}
    SGD(0.5, groups=[ParamGroup("b", lr_factor=0.5)]).step(params, {"a": np.ones(2)})
    np.testing.assert_array_equal(params["b"], np.ones(2))
