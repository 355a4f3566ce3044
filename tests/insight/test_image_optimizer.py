"""The ascent finds maxima that are known on paper, keeps its bounds, repeats itself, and can be interrupted."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import images, network

from cnn_from_scratch.data import Normalization
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.insight import Regularizers, ascend, total_variation
from cnn_from_scratch.insight.image_optimizer import background_of, pull_back
from cnn_from_scratch.layers import Flatten, Linear, Sequential
from cnn_from_scratch.optim import Adam

NOTHING = Regularizers()


def towards(goal):
    """Grows as images come closer to the goal; its maximum is 0."""
    return lambda x: (-((x - goal) ** 2).sum((1, 2, 3)), 2 * (goal - x))


def start(shape=(2, 1, 3, 3), dtype=np.float64):
    x = np.random.default_rng(1).random(shape).astype(dtype)
    x.setflags(write=False)
    return x


def test_it_ends_at_the_maximum():
    goal = np.random.default_rng(0).random((2, 1, 3, 3))
    found = ascend(towards(goal), start(), regularizers=NOTHING, steps=300, lr=0.1)
    np.testing.assert_allclose(found.images, goal, atol=1e-4)
    assert found.history.shape == (300, 2)
    assert (np.diff(found.history[::30], axis=0) > 0).all()


def test_bounds_cut_off_what_lies_beyond():
    goal = np.array([-1.0, 0.25, 2.0]).reshape(1, 1, 1, 3)
    found = ascend(towards(goal), start((1, 1, 1, 3)), regularizers=NOTHING, bounds=(0.0, 1.0), steps=200, lr=0.1)
    np.testing.assert_allclose(found.images.ravel(), [0, 0.25, 1], atol=1e-4)


def test_decay_leads_to_the_background():
    # d/dx of -(x - 1)^2 - 3 (x - 5)^2 is 0 at (1 + 3*5) / 4
    found = ascend(
        towards(np.ones((2, 1, 3, 3))), start(), regularizers=Regularizers(decay=3.0), background=5.0, steps=900, lr=0.1
    )
    np.testing.assert_allclose(found.images, 4, atol=1e-4)


def test_total_variation_is_what_it_costs_to_be_rough():
    goal = np.random.default_rng(0).random((1, 1, 8, 8))
    rough = [
        total_variation(
            ascend(
                towards(goal), start(goal.shape), regularizers=Regularizers(total_variation=weight), steps=200, lr=0.05
            ).images
        )[0][0]
        for weight in (0, 0.1, 0.3, 1)
    ]
    assert rough == sorted(rough, reverse=True)
    assert rough[-1] < 0.2 * rough[0]


def test_the_direction_is_moved_back_after_jitter():
    # every shift of the image pulls towards the same number, so that jitter changes nothing
    plain, jittered = (
        ascend(towards(0.3), start(), regularizers=Regularizers(jitter=jitter), steps=5, lr=0.1).images
        for jitter in (0.0, 0.5)
    )
    np.testing.assert_array_equal(plain, jittered)


def test_jitter_shows_every_place_of_the_image():
    seen = []

    def look(x):
        seen.append(np.argmax(x))
        return np.zeros(1), np.zeros_like(x)

    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 1, 1] = 1
    ascend(look, x, regularizers=Regularizers(jitter=0.25), steps=100, lr=0.1)
    assert set(seen) == {4 * h + w for h in (0, 1, 2) for w in (0, 1, 2)}


def test_the_size_of_the_direction_does_not_matter_if_it_is_rescaled():
    weight = np.random.default_rng(0).normal(size=(1, 1, 3, 3))
    a, b = (
        ascend(
            lambda x, size=size: ((x * weight).sum((1, 2, 3)), np.broadcast_to(size * weight, x.shape)),
            start(),
            regularizers=Regularizers(decay=0.5),
            rescale=True,
            steps=300,
            lr=0.1,
        ).images
        for size in (1e-3, 1e3)
    )
    np.testing.assert_allclose(a, b, rtol=1e-6)
    expected = np.broadcast_to(weight / np.sqrt((weight**2).mean()), a.shape)
    np.testing.assert_allclose(a, expected, atol=1e-3)


def test_penalties_come_in_over_the_warmup(monkeypatch):
    slopes = []
    monkeypatch.setattr(Adam, "step", lambda self, params, grads: slopes.append(grads["images"].item()))
    flat = np.zeros((1, 1, 1, 1))
    for warmup in (0.0, 0.5):  # |x - background|^2 has the slope 2 at a distance of 1
        ascend(
            lambda x: (np.zeros(1), flat.copy()),
            flat,
            regularizers=Regularizers(decay=1.0),
            background=-1.0,
            warmup=warmup,
            steps=8,
            lr=0.1,
        )
    assert slopes[:8] == [2] * 8
    assert slopes[8:] == [0.5, 1, 1.5, 2, 2, 2, 2, 2]


def test_images_do_not_know_of_each_other():
    goal, x = np.random.default_rng(0).random((3, 1, 3, 3)), start((3, 1, 3, 3))
    options = {"regularizers": Regularizers(0.1, 0.1, blur=0.5, jitter=0.4), "rescale": True, "steps": 20, "lr": 0.1}
    together = ascend(towards(goal), x, **options).images
    for n in range(3):
        alone = ascend(towards(goal[n : n + 1]), x[n : n + 1], **options).images
        np.testing.assert_allclose(alone[0], together[n], rtol=1e-10)


def test_the_blur_fades_from_coarse_to_fine():
    spread = []

    def objective(x):
        spike = np.zeros_like(x)
        spike[..., 4, 4] = 1
        return np.zeros(1), spike

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Adam, "step", lambda self, params, grads: spread.append(-grads["images"].min()))
        ascend(objective, np.zeros((1, 1, 9, 9)), regularizers=Regularizers(blur=0.2), steps=10, lr=0.1)
    assert spread == sorted(spread)  # the height of the bell, of which the sum is 1
    assert spread[0] == pytest.approx(1 / (2 * np.pi * 1.8**2), rel=0.02)
    assert spread[-1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_stay_and_nothing_is_written(dtype):
    x = start(dtype=dtype)
    found = ascend(
        towards(np.full_like(x, 0.5)), x, regularizers=Regularizers(0.1, 0.1, blur=0.5, jitter=0.34), steps=3, lr=0.1
    )
    assert found.images.dtype == found.history.dtype == dtype
    assert found.images.flags.c_contiguous


def test_the_same_seed_gives_the_same_image():
    goal = np.random.default_rng(0).random((2, 1, 3, 3))
    a, b, c = (
        ascend(
            towards(goal), start(), regularizers=Regularizers(jitter=0.5), steps=20, lr=0.1, seed=seed
        ).images.tobytes()
        for seed in (0, 0, 1)
    )
    assert a == b != c


def test_ctrl_c_returns_what_has_been_reached():
    calls = 0

    def interrupted(x):
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return towards(0.5)(x)

    options = {"regularizers": NOTHING, "steps": 10, "lr": 0.1}
    found = ascend(interrupted, start(), **options)
    assert found.history.shape == (5, 2)
    reached = []
    ascend(lambda x: (reached.append(x.copy()), towards(0.5)(x))[1], start(), **options)
    np.testing.assert_array_equal(found.images, reached[5])


def test_ctrl_c_at_once_returns_the_start():
    def interrupted(x):
        raise KeyboardInterrupt

    found = ascend(interrupted, start(), regularizers=NOTHING, steps=10, lr=0.1)
    np.testing.assert_array_equal(found.images, start())
    assert found.history.shape == (0, 2)


def test_other_errors_are_raised():
    def broken(x):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        ascend(broken, start(), regularizers=NOTHING, steps=10, lr=0.1)


def test_the_gradient_reaches_through_the_normalization():
    model, x, step = network(channels=3).astype(np.float64), images(2, 3).astype(np.float64), 1e-6
    normalization, goal = Normalization((0.1, 0.2, 0.3), (0.5, 2.0, 0.7)), np.random.default_rng(1).normal(size=(2, 10))
    y, dx = pull_back(model, x, normalization, lambda y: goal)
    np.testing.assert_allclose(y, model.predict(normalization.apply(x)))
    change = np.random.default_rng(2).normal(size=x.shape)
    up, down = (model.predict(normalization.apply(x + side * step * change)) for side in (1, -1))
    np.testing.assert_allclose((dx * change).sum(), ((up - down) * goal).sum() / (2 * step), rtol=1e-6)


def test_the_background_is_the_mean_colour_or_the_middle():
    assert background_of("f", 3, Normalization((0.1, 0.2, 0.3), (1.0, 1.0, 1.0)), None).ravel().tolist() == [
        0.1,
        0.2,
        0.3,
    ]
    assert background_of("f", 1, None, (-1.0, 2.0)).ravel().tolist() == [0.5]
    assert background_of("f", 2, None, None).ravel().tolist() == [0, 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Regularizers(total_variation=-1),
            ValueError,
            "Regularizers: total_variation must be a finite number >= 0, got -1",
        ),
        (lambda: Regularizers(beta=0), ValueError, "Regularizers: beta must be above 0, got 0"),
        (lambda: Regularizers(alpha=0.5), ValueError, "Regularizers: alpha must be a finite number >= 1, got 0.5"),
        (lambda: Regularizers(jitter=1), ValueError, "Regularizers: jitter must be a number < 1 and >= 0, got 1"),
        (
            lambda: ascend(towards(0), start()[0], regularizers=NOTHING, steps=1, lr=0.1),
            ShapeError,
            "ascend: start must have 4 axes (N, C, H, W), got shape (1, 3, 3)",
        ),
        (
            lambda: ascend(towards(0), start(), regularizers=NOTHING, steps=0, lr=0.1),
            ValueError,
            "ascend: steps must be an int >= 1, got 0",
        ),
        (
            lambda: ascend(towards(0), start(), regularizers=NOTHING, steps=1, lr=0.1, bounds=(1, 1)),
            ValueError,
            "ascend: bounds must be None or (low, high) with low < high, got (1, 1)",
        ),
        (
            lambda: ascend(towards(0), start(), regularizers=NOTHING, steps=1, lr=0.1, warmup=1.0),
            ValueError,
            "ascend: warmup must be a number < 1 and >= 0, got 1.0",
        ),
        (
            lambda: background_of("example", 3, Normalization((0.0,), (1.0,)), None),
            ShapeError,
            "example: normalization is for C=1 channels, images have 3",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_a_linear_layer_is_pulled_back_to_its_weight():
    model = Sequential(Flatten(), Linear(4, 2, rng=0))
    _, dx = pull_back(model, np.zeros((1, 1, 2, 2), np.float32), None, lambda y: np.eye(2, dtype=y.dtype)[:1])
    np.testing.assert_array_equal(dx.ravel(), model.params["1.weight"][0])
