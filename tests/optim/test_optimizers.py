"""SGD, RMSprop, Adam and AdamW: by hand, by the textbook, by PyTorch's vectors, in both dtypes, bit by bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import Case, conformance, frozen, layouts

from cnn_from_scratch.optim import SGD, Adam, AdamW, RMSprop
from cnn_from_scratch.optim import pieces as pieces_module

# --- by hand --------------------------------------------------------------------------------------------------------


def two_steps(optimizer, start, *grads):
    params = {"w": np.array([start])}
    seen = []
    for grad in grads:
        optimizer.step(params, {"w": np.array([grad])})
        seen.append(params["w"].item())
    return seen


def test_sgd_by_hand():
    # 10 - 0.5*2 = 9, 9 - 0.5*4 = 7
    assert two_steps(SGD(0.5), 10.0, 2.0, 4.0) == [9.0, 7.0]


def test_momentum_by_hand():
    # b = 2: 10 - 0.5*2 = 9;   b = 0.5*2 + 4 = 5: 9 - 0.5*5 = 6.5
    assert two_steps(SGD(0.5, momentum=0.5), 10.0, 2.0, 4.0) == [9.0, 6.5]


def test_dampening_spares_the_first_step():
    # b = 2: 9;   b = 0.5*2 + (1 - 0.25)*4 = 4: 9 - 0.5*4 = 7
    assert two_steps(SGD(0.5, momentum=0.5, dampening=0.25), 10.0, 2.0, 4.0) == [9.0, 7.0]


def test_nesterov_by_hand():
    # b = 2: 10 - 0.5*(2 + 0.5*2) = 8.5;   b = 0.5*2 + 4 = 5: 8.5 - 0.5*(4 + 0.5*5) = 5.25
    assert two_steps(SGD(0.5, momentum=0.5, nesterov=True), 10.0, 2.0, 4.0) == [8.5, 5.25]


def test_weight_decay_by_hand():
    # g = 2 + 0.25*8 = 4: 8 - 0.5*4 = 6;   g = 4 + 0.25*6 = 5.5: 6 - 0.5*5.5 = 3.25
    assert two_steps(SGD(0.5, weight_decay=0.25), 8.0, 2.0, 4.0) == [6.0, 3.25]


def test_rmsprop_by_hand():
    # v = 0.75*0 + 0.25*4 = 1: 10 - 0.5*2/(1 + 1) = 9.5
    # v = 0.75*1 + 0.25*13 = 4, as g^2 = 13: 9.5 - 0.5*sqrt(13)/(2 + 1)
    expected = [9.5, 9.5 - 0.5 * math.sqrt(13) / 3]
    np.testing.assert_allclose(two_steps(RMSprop(0.5, alpha=0.75, eps=1.0), 10.0, 2.0, math.sqrt(13)), expected)


def test_centered_rmsprop_by_hand():
    # v = 0.5*4 = 2, a = 0.5*2 = 1, v - a^2 = 1: 10 - 0.5*2/(1 + 1) = 9.5
    # v = 0.5*2 + 0.5*16 = 9, a = 0.5*1 + 0.5*4 = 2.5, v - a^2 = 2.75: 9.5 - 0.5*4/(sqrt(2.75) + 1)
    expected = [9.5, 9.5 - 2 / (math.sqrt(2.75) + 1)]
    np.testing.assert_allclose(two_steps(RMSprop(0.5, alpha=0.5, eps=1.0, centered=True), 10.0, 2.0, 4.0), expected)


def test_rmsprop_with_momentum_by_hand():
    # d = 2/(1 + 1) = 1, b = 1: 10 - 0.5 = 9.5
    # v = 0.75*1 + 0.25*13 = 4, d = sqrt(13)/3, b = 0.5*1 + d: 9.5 - 0.5*(0.5 + sqrt(13)/3)
    expected = [9.5, 9.25 - math.sqrt(13) / 6]
    optimizer = RMSprop(0.5, alpha=0.75, eps=1.0, momentum=0.5)
    np.testing.assert_allclose(two_steps(optimizer, 10.0, 2.0, math.sqrt(13)), expected)


def test_adam_by_hand():
    # m = 0.5*2 = 1, v = 0.25*4 = 1, mhat = 1/0.5 = 2, vhat = 1/0.25 = 4: 10 - 0.5*2/(2 + 1) = 10 - 1/3
    # m = 0.5*1 + 0.5*4 = 2.5, v = 0.75*1 + 0.25*16 = 4.75, mhat = 2.5/(1 - 0.25), vhat = 4.75/(1 - 0.5625)
    second = 0.5 * (2.5 / 0.75) / (math.sqrt(4.75 / 0.4375) + 1)
    expected = [10 - 1 / 3, 10 - 1 / 3 - second]
    np.testing.assert_allclose(two_steps(Adam(0.5, (0.5, 0.75), eps=1.0), 10.0, 2.0, 4.0), expected, rtol=1e-14)


def test_the_first_step_of_adam_is_lr_whatever_the_gradient():
    # without the corrections by 1 - beta^t it would be lr * 0.1 / sqrt(0.001), more than three times as long
    for size in (1e-3, 1.0, 1e3):
        np.testing.assert_allclose(two_steps(Adam(0.5, eps=0.0), 10.0, size), [9.5], rtol=1e-14)


def test_amsgrad_by_hand():
    # v = 0.5*64 = 32, then 0.5*32 + 0.5*0 = 16: the larger one, 32, stays in the divisor, corrected by 1 - 0.25
    # m = 0.5*8 = 4, then 2; 10 - 1*(4/0.5)/(sqrt(32/0.5) + 0) = 9; 9 - (2/0.75)/sqrt(32/0.75)
    optimizer = Adam(1.0, (0.5, 0.5), eps=0.0, amsgrad=True)
    np.testing.assert_allclose(
        two_steps(optimizer, 10.0, 8.0, 0.0), [9.0, 9.0 - (2 / 0.75) / math.sqrt(32 / 0.75)], rtol=1e-14
    )


def test_the_decay_of_adam_passes_through_the_moments_and_that_of_adamw_does_not():
    # Adam: g = 0 + 0.5*10 = 5, and the step is lr whatever g is: 10 - 0.5 = 9.5
    # AdamW: 10 - 0.5*0.5*10 = 7.5, and Adam's step for g = 0 is 0
    assert two_steps(Adam(0.5, weight_decay=0.5), 10.0, 0.0) == pytest.approx([9.5])
    assert two_steps(AdamW(0.5, weight_decay=0.5), 10.0, 0.0) == [7.5]


# --- by the textbook ------------------------------------------------------------------------------------------------


def textbook_sgd(p, grads, *, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    b = None
    for g in grads:
        g = g + weight_decay * p
        b = g if b is None else momentum * b + (1 - dampening) * g
        p = p - lr * (g + momentum * b if nesterov else b if momentum else g)
    return p


def textbook_rmsprop(p, grads, *, lr, alpha, eps, momentum=0.0, centered=False, weight_decay=0.0):
    v = a = b = 0.0
    for g in grads:
        g = g + weight_decay * p
        v, a = alpha * v + (1 - alpha) * g**2, alpha * a + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - a**2 if centered else v) + eps)
        p = p - lr * b
    return p


def textbook_adam(p, grads, *, lr, betas, eps, weight_decay=0.0, amsgrad=False, decoupled=False):
    m = v = top = 0.0
    for t, g in enumerate(grads, 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
        top = np.maximum(top, v)
        vhat = (top if amsgrad else v) / (1 - betas[1] ** t)
        p = p - lr * m / (1 - betas[0] ** t) / (np.sqrt(vhat) + eps)
    return p


def textbook_adamw(p, grads, **options):
    return textbook_adam(p, grads, decoupled=True, **options)


TEXTBOOK = {SGD: textbook_sgd, RMSprop: textbook_rmsprop, Adam: textbook_adam, AdamW: textbook_adamw}
share = st.floats(0.0, 0.99)
positive = st.floats(0.0, 0.5)


@st.composite
def optimizers(draw):
    kind = draw(st.sampled_from([SGD, RMSprop, Adam, AdamW]))
    options = {"lr": draw(positive), "weight_decay": draw(positive)}
    if kind is SGD:
        options |= {"momentum": draw(share), "dampening": draw(share)}
        if draw(st.booleans()):
            options |= {"momentum": draw(st.floats(0.1, 0.99)), "dampening": 0.0, "nesterov": True}
    elif kind is RMSprop:
        options |= {"alpha": draw(st.floats(0.1, 0.99)), "eps": draw(st.floats(1e-3, 1.0)), "momentum": draw(share)}
        options |= {"centered": draw(st.booleans())}
    else:
        options |= {"betas": (draw(share), draw(share)), "eps": draw(st.floats(1e-3, 1.0))}
        options |= {"amsgrad": draw(st.booleans())}
    return kind, options


@settings(max_examples=200, deadline=None)
@given(optimizers(), st.integers(0, 2**16), st.integers(1, 6))
def test_every_setting_does_what_the_textbook_says(drawn, seed, steps):
    (kind, options), rng = drawn, np.random.default_rng(seed)
    start, grads = rng.standard_normal((2, 3)), rng.standard_normal((steps, 2, 3))
    params, optimizer = {"w": start.copy()}, kind(**options)
    for grad in grads:
        optimizer.step(params, dict(zip("w", frozen(grad), strict=True)))
    np.testing.assert_allclose(params["w"], TEXTBOOK[kind](start, grads, **options), rtol=1e-9, atol=1e-9)
    assert (optimizer.t, optimizer.steps) == (steps, {"w": steps})


def test_the_defaults_are_those_of_pytorch():
    assert [repr(optimizer) for optimizer in (SGD(0.1), RMSprop(), Adam(), AdamW())] == [
        "SGD(lr=0.1, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0, groups=())",
        "RMSprop(lr=0.01, alpha=0.99, eps=1e-08, momentum=0.0, centered=False, weight_decay=0.0, groups=())",
        "Adam(lr=0.001, betas=(0.9, 0.999), eps=1e-08, amsgrad=False, weight_decay=0.0, groups=())",
        "AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, amsgrad=False, weight_decay=0.01, groups=())",
    ]


# --- by PyTorch's vectors -------------------------------------------------------------------------------------------

KINDS = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def optimizer_of(case: Case):
    options = {name: value for name, value in case.attrs.items() if name not in ("kind", "steps")}
    return KINDS[case.op](**options)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", conformance("optim", *KINDS))
def test_reference_vectors(case: Case, dtype):
    case = case.float32() if dtype == np.float32 else case
    run = open_loop if "p0_a" in case.arrays else closed_loop
    run(case, optimizer_of(case), dtype)


def open_loop(case, optimizer, dtype):
    params = {key: case[f"p0_{key}"].copy() for key in "ab"}
    for k in range(case.attrs["steps"]):
        optimizer.step(params, {key: case[f"grads_{key}"][k] for key in "ab"})
        for key in "ab":
            assert_near(params[key], case[f"params_{key}"][k], dtype, 1e-12)


def closed_loop(case, optimizer, dtype):
    A, c, params = case["A"], case["c"], {"p": case["p0"].copy()}
    for k in range(case.attrs["steps"]):
        p = params["p"]
        residual = A @ p - c
        loss = 0.5 * np.mean(residual**2) + 0.01 * np.sum(p**4)
        assert_near(loss, case["loss"][k], dtype, 1e-9)
        optimizer.step(params, {"p": (A.T @ residual / len(c) + 0.04 * p**3).astype(dtype)})
        assert_near(params["p"], case["params"][k], dtype, 1e-9)


def assert_near(actual, expected, dtype, atol):
    assert actual.dtype == dtype
    if dtype == np.float32:
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.max(np.abs(expected)))
    else:
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=atol)


# --- bit by bit -----------------------------------------------------------------------------------------------------

EVERY = [
    lambda: SGD(0.1),
    lambda: SGD(0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    lambda: SGD(0.1, momentum=0.9, nesterov=True),
    lambda: RMSprop(weight_decay=0.01),
    lambda: RMSprop(momentum=0.9, centered=True),
    lambda: Adam(weight_decay=0.01),
    lambda: Adam(amsgrad=True),
    lambda: AdamW(),
]
each = pytest.mark.parametrize("make", EVERY, ids=lambda make: repr(make()))


def run(make, params, grads):
    optimizer = make()
    for step in grads:
        optimizer.step(params, step)
    return optimizer


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_arrays_stay_the_same_and_so_does_their_dtype(make, dtype):
    rng = np.random.default_rng(0)
    w, b, one = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 3, 4), (5,), ()))
    params = {"w": w, "b": b, "one": one}
    before = {key: value.copy() for key, value in params.items()}
    optimizer = run(make, params, [{key: np.ones_like(value) for key, value in params.items()}] * 2)
    assert params["w"] is w
    assert params["b"] is b
    assert params["one"] is one
    assert all(np.all(params[key] != before[key]) for key in params)
    arrays = [*params.values(), *(moment for moments in optimizer.state.values() for moment in moments.values())]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert all(moment.shape == params[key].shape for key in params for moment in optimizer.state[key].values())


@each
def test_settings_in_another_precision_do_not_leak_into_float32(make):
    # numpy.float64 scalars would make the arithmetic float64; the result must not depend on who computed the rate
    rng = np.random.default_rng(0)
    start, grads = (rng.standard_normal(shape).astype(np.float32) for shape in (2000, (4, 2000)))
    results = []
    for number in (float, np.float64):
        params, optimizer = {"w": start.copy()}, make()
        optimizer.lr = 10.0  # steps as large as the parameter show their last bit
        if hasattr(optimizer, "eps"):
            optimizer.eps = 0.3  # 1e-8 would vanish in either precision
        for name in ("lr", "weight_decay", "momentum", "dampening", "eps", "alpha"):
            if hasattr(optimizer, name):
                setattr(optimizer, name, number(getattr(optimizer, name)))
        if hasattr(optimizer, "betas"):
            optimizer.betas = tuple(number(beta) for beta in optimizer.betas)
        for grad in grads:
            optimizer.step(params, {"w": grad})
        results.append(params["w"])
    np.testing.assert_array_equal(results[0], results[1])


@each
@pytest.mark.parametrize("shape", [(7, 3, 2), (40,), (1, 30), (), (0, 3), (3, 0)])
def test_pieces_change_no_bit(make, shape, monkeypatch):
    rng = np.random.default_rng(0)
    start, grads = np.asarray(rng.standard_normal(shape)), rng.standard_normal((3, *shape))
    whole, parts = {"w": start.copy()}, {"w": start.copy()}
    run(make, whole, [{"w": np.asarray(grad)} for grad in grads])
    monkeypatch.setattr(pieces_module, "PIECE", 12)
    run(make, parts, [{"w": np.asarray(grad)} for grad in grads])
    np.testing.assert_array_equal(parts["w"], whole["w"])


@pytest.mark.fault("odd-arrays")
@each
def test_any_layout_gives_the_same_result(make):
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((4, 3, 2, 5)), rng.standard_normal((2, 4, 3, 2, 5))
    expected = {"w": start.copy()}
    run(make, expected, [{"w": grad} for grad in grads])
    for label, param in layouts(start):
        for _, grad in layouts(grads[0]):
            params = {"w": param if param.flags.writeable else start.copy()}
            params["w"][...] = start
            run(make, params, [{"w": grad}, {"w": grads[1]}])
            np.testing.assert_array_equal(params["w"], expected["w"], err_msg=label)


@each
def test_gradients_are_only_read(make):
    params, (grad,) = {"w": np.ones((2, 3))}, frozen(np.ones((2, 3)))
    run(make, params, [{"w": grad}] * 3)  # a write into it would raise


@each
def test_a_nan_stays_where_it_is(make):
    params = {"w": np.ones(3)}
    run(make, params, [{"w": np.array([1.0, np.nan, 1.0])}, {"w": np.ones(3)}])
    assert np.isnan(params["w"]).tolist() == [False, True, False]


@each
def test_a_rate_of_zero_moves_nothing(make):
    params, optimizer = {"w": np.ones(3)}, make()
    optimizer.lr = 0.0
    optimizer.step(params, {"w": np.ones(3)})
    np.testing.assert_array_equal(params["w"], np.ones(3))


def test_the_rate_is_read_at_each_step():
    params, optimizer = {"w": np.array([10.0])}, SGD(0.5)
    for lr, expected in ((1.0, 9.0), (0.25, 8.75), (4, 4.75)):
        optimizer.lr = lr
        optimizer.step(params, {"w": np.array([1.0])})
        assert params["w"].item() == expected


@each
def test_a_frozen_parameter_is_left_alone_and_has_its_own_count_of_steps(make):
    # "late" learns from the third step on, and goes the way that "early" went from the first on
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal(4), rng.standard_normal((4, 4))
    params, optimizer, early = {"early": start.copy(), "late": start.copy()}, make(), []
    for grad in grads[:2]:
        optimizer.step(params, {"early": grad})
        early.append(params["early"].copy())
    np.testing.assert_array_equal(params["late"], start)
    assert "late" not in optimizer.state
    for grad, expected in zip(grads[:2], early, strict=True):
        optimizer.step(params, {"late": grad})
        np.testing.assert_array_equal(params["late"], expected)
    assert (optimizer.t, optimizer.steps) == (4, {"early": 2, "late": 2})


def test_no_gradient_at_all_is_a_step_that_changes_nothing():
    params, optimizer = {"w": np.ones(2)}, Adam()
    optimizer.step(params, {})
    np.testing.assert_array_equal(params["w"], np.ones(2))
    assert optimizer.t == 1


def test_a_constant_gradient_does_not_make_centered_rmsprop_nan():
    # v - a^2 goes to 0 and rounding makes it negative: the root would be NaN
    params = {"w": np.zeros(64, np.float32)}
    grads = {"w": np.linspace(0.1, 1.7, 64, dtype=np.float32)}
    optimizer = RMSprop(1e-6, alpha=0.5, centered=True)
    below_zero = False
    for _ in range(60):
        optimizer.step(params, grads)
        moments = optimizer.state["w"]
        below_zero |= bool(np.any(moments["square_avg"] - moments["grad_avg"] ** 2 < 0))
    assert below_zero  # else this test shows nothing
    assert np.isfinite(params["w"]).all()


def test_training_reaches_the_minimum():
    # f(w) = |w - target|^2 / 2, whose gradient is w - target
    target = np.array([3.0, -2.0])
    for optimizer in (SGD(0.1, momentum=0.9), RMSprop(0.01), Adam(0.05), AdamW(0.05, weight_decay=0.0)):
        params = {"w": np.zeros(2)}
        for _ in range(600):
            optimizer.step(params, {"w": params["w"] - target})
        np.testing.assert_allclose(params["w"], target, atol=0.02)
