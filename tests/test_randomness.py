"""What is drawn depends on the place alone."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest

from cnn_from_scratch.randomness import Place, as_generator, derive


def draw(*args, **kwargs):
    return derive(*args, **kwargs).random(4).tolist()


def test_one_place_gives_one_stream():
    assert draw(7, "dropout", epoch=1, step=2, shard=3, key="4") == draw(
        7, "dropout", epoch=1, step=2, shard=3, key="4"
    )


def test_every_part_of_the_place_matters():
    places = [
        {"seed": 0, "purpose": "dropout"},
        {"seed": 1, "purpose": "dropout"},
        {"seed": 0, "purpose": "order"},
        {"seed": 0, "purpose": "dropout", "epoch": 1},
        {"seed": 0, "purpose": "dropout", "step": 1},
        {"seed": 0, "purpose": "dropout", "shard": 1},
        {"seed": 0, "purpose": "dropout", "key": "1"},
        {"seed": 0, "purpose": "dropout1"},
        {"seed": 2**200, "purpose": "dropout"},
    ]
    assert len({tuple(draw(**place)) for place in places}) == len(places)


def test_neighbouring_names_are_not_confused():
    assert draw(1, "a', 0", key="b") != draw(1, "a", key="0, 'b")
    assert draw(1, "ab", key="c") != draw(1, "a", key="bc")


def test_numpy_integers_are_integers():
    assert draw(np.int64(3), "order", epoch=np.int32(1)) == draw(3, "order", epoch=1)


def test_the_streams_do_not_change_between_versions():
    # a resumed run must go on as it began: these are the first raw numbers of two places, as they have always been
    assert derive(0, "order").bit_generator.random_raw() == 1197960590772350299
    assert (
        derive(1, "dropout", epoch=2, step=3, shard=1, key="body.4").bit_generator.random_raw() == 12932547241015769449
    )


def test_nothing_else_has_a_part_in_it():
    expected = draw(0, "order")
    np.random.seed(1)  # noqa: NPY002
    np.random.random(3)  # noqa: NPY002
    derive(0, "augment").random(100)
    assert draw(0, "order") == expected
    drawn = []
    threads = [threading.Thread(target=lambda: drawn.append(draw(0, "order"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [expected] * 4


def test_streams_of_neighbouring_steps_are_unrelated():
    a, b = (derive(0, "dropout", step=step).standard_normal(10_000) for step in (1, 2))
    assert abs(np.mean(a * b)) < 0.05  # five standard errors


def test_a_place_derives_for_itself():
    place = Place(seed=5, epoch=1, step=2, shard=3)
    assert place.generator("dropout", "0").random() == draw(5, "dropout", epoch=1, step=2, shard=3, key="0")[0]
    assert pickle.loads(pickle.dumps(place)) == place


def test_as_generator():
    rng = np.random.default_rng(0)
    assert as_generator(rng, "test") is rng
    assert as_generator(3, "test").random() == as_generator(np.int64(3), "test").random()
    assert as_generator(3, "test").random() != as_generator(4, "test").random()
    assert as_generator(None, "test").random() != as_generator(None, "test").random()


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", None])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ValueError, match="derive: seed must be an integer") as caught:
        derive(seed, "order")
    assert str(caught.value) == f"derive: seed must be an integer >= 0, got {seed!r}"


@pytest.mark.parametrize("rng", [-1, 1.5, True, "1"])
def test_as_generator_wants_a_seed_or_a_generator(rng):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        as_generator(rng, "Conv2d")
    assert str(caught.value) == f"Conv2d: rng must be None, a NumPy Generator or an integer >= 0, got {rng!r}"
