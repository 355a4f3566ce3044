"""Augmentation against loops over pixels, by hand, in any layout; and nothing random but what the generator gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import frozen, layouts

from cnn_from_scratch.data import Compose, Cutout, RandomAffine, RandomCrop, RandomFlip, RandomShift, warp_affine
from cnn_from_scratch.errors import ShapeError
from cnn_from_scratch.ops import is_hwnc, to_hwnc

ALL = [
    RandomFlip(),
    RandomShift((1, 2), fill=0.25),
    RandomCrop(2),
    RandomCrop(1, size=(3, 5)),
    RandomCrop(size=4),
    Cutout(3, fill=0.5),
    RandomAffine(20, scale=(0.8, 1.2), shift=1.5, shear=5, fill=0.25),
    Compose(RandomCrop(1), RandomFlip(), Cutout(2)),
]
every = pytest.mark.parametrize("augment", ALL, ids=repr)


def images(N=6, C=3, H=5, W=6, dtype=np.float32):
    return np.random.default_rng(0).random((N, C, H, W)).astype(dtype)


def generator(seed=0):
    return np.random.default_rng(seed)


# --- what all have in common ----------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_range_are_kept_and_the_input_is_not_written(augment, dtype):
    (x,) = frozen(images(dtype=dtype))
    y = augment(x, generator())
    assert y.dtype == dtype
    assert y.min() >= 0
    assert y.max() <= 1
    assert not np.shares_memory(x, y)
    assert y.flags.writeable


@every
def test_any_layout_gives_the_same_result_in_its_own_order(augment):
    x = images()
    expected = augment(x, generator())
    assert expected.flags.c_contiguous
    for label, variant in layouts(x):
        y = augment(variant, generator())
        np.testing.assert_array_equal(y, expected, err_msg=label)
        assert y.dtype == np.dtype(np.float32), label
    assert is_hwnc(augment(to_hwnc(x), generator()))


@every
def test_the_generator_decides_alone(augment):
    x = images(N=20)
    np.testing.assert_array_equal(augment(x, generator(1)), augment(x, generator(1)))
    assert (augment(x, generator(1)) != augment(x, generator(2))).any()


@every
def test_no_images(augment):
    y = augment(images(N=0), generator())
    assert len(y) == 0
    assert y.ndim == 4


@every
def test_each_image_has_its_own_numbers_and_all_channels_share_them(augment):
    x = np.broadcast_to(images(N=1, C=1), (40, 2, 5, 6))
    y = augment(x, generator())
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    assert len(np.unique(y[:, 0].reshape(40, -1), axis=0)) > 1


@every
def test_three_axes_are_refused(augment):
    name = type(getattr(augment, "augments", (augment,))[0]).__name__.replace("RandomShift", "RandomCrop")
    with pytest.raises(ShapeError) as caught:
        augment(images()[0], generator())
    assert str(caught.value) == f"{name}: x must have 4 axes (N, C, H, W), got shape (3, 5, 6)"


# --- flip, crop, shift, cutout --------------------------------------------------------------------------------------


def test_flip_by_hand():
    x = np.array([[1, 2, 3], [4, 5, 6]], np.uint8).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(RandomFlip(1.0)(x, generator())[0, 0], [[3, 2, 1], [6, 5, 4]])
    np.testing.assert_array_equal(RandomFlip(0.0)(x, generator()), x)


def test_about_p_of_the_images_are_flipped():
    x = np.broadcast_to(np.array([0.0, 1.0]), (4000, 1, 1, 2))
    flipped = RandomFlip(0.3)(x, generator())[:, 0, 0, 0].mean()
    assert abs(flipped - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 4000)


@given(
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    st.integers(0, 1000),
)
@settings(deadline=None)
def test_a_crop_is_a_window_of_the_padded_image(padding, size, seed):
    x = images(N=4) + 1
    y = RandomCrop(padding, size=size)(x, generator(seed))
    (ph, pw), (OH, OW) = padding, size
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    for n in range(4):
        windows = [
            padded[n, :, top : top + OH, left : left + OW]
            for top in range(padded.shape[2] - OH + 1)
            for left in range(padded.shape[3] - OW + 1)
        ]
        assert any((y[n] == window).all() for window in windows)


def test_every_shift_occurs_about_equally_often():
    x = np.zeros((9000, 1, 3, 3))
    x[:, 0, 1, 1] = 1  # moved by up to one pixel, the point can be at any of nine places
    y = RandomShift(1)(x, generator())
    assert (y.sum(axis=(1, 2, 3)) == 1).all()
    assert (np.abs(y.sum(axis=0) - 1000) < 5 * math.sqrt(1000)).all()
    assert RandomShift((0, 1))(x, generator())[:, 0, 1].sum() == 9000


def test_what_comes_in_at_the_border_is_the_fill():
    y = RandomShift(2, fill=7.0)(np.ones((50, 1, 3, 3), np.float32), generator())
    assert set(np.unique(y)) == {1.0, 7.0}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_cutout_covers_one_square_that_may_stick_out(size):
    x = np.ones((300, 2, 5, 6), np.float32)
    covered = Cutout(size)(x, generator()) == 0
    np.testing.assert_array_equal(covered[:, 0], covered[:, 1])
    areas = set()
    for mask in covered[:, 0]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # a rectangle without gaps
        assert len(rows) <= size
        assert len(columns) <= size
        areas.add(len(rows) * len(columns))
    assert max(areas) == size * size
    assert (len(areas) > 1) == (size > 1)
    assert covered[:, 0].any(axis=0).all()  # anywhere


# --- affine ---------------------------------------------------------------------------------------------------------


def warp_loops(x, matrix, offset, fill):
    """The definition: for each pixel, the four neighbours of where it comes from."""
    N, C, H, W = x.shape
    centre = np.array([(H - 1) / 2, (W - 1) / 2])
    y = np.empty_like(x)
    for n, c, h, w in np.ndindex(N, C, H, W):
        r, s = matrix[n] @ (np.array([h, w]) - centre) + centre + offset[n]
        top, left = math.floor(r), math.floor(s)
        total = 0.0
        for row, row_share in ((top, 1 - (r - top)), (top + 1, r - top)):
            for column, share in ((left, 1 - (s - left)), (left + 1, s - left)):
                inside = 0 <= row < H and 0 <= column < W
                total += row_share * share * (x[n, c, row, column] if inside else fill)
        y[n, c, h, w] = total
    return y


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 5), st.integers(1, 6)),
    st.floats(-1, 1),
    st.integers(0, 1000),
)
@settings(deadline=None, max_examples=60)
def test_warp_agrees_with_the_loops(shape, fill, seed):
    rng = generator(seed)
    x, matrix, offset = frozen(
        rng.random(shape), rng.uniform(-2, 2, (shape[0], 2, 2)), rng.uniform(-6, 6, (shape[0], 2))
    )
    expected = warp_loops(x, matrix, offset, fill)
    np.testing.assert_allclose(warp_affine(x, matrix, offset, fill=fill), expected, atol=1e-12)
    single = warp_affine(x.astype(np.float32), matrix, offset, fill=fill)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-5)


def test_many_images_are_warped_piece_by_piece_as_one_by_one():
    x = images(N=50, C=2, H=28, W=28)
    matrix, offset = RandomAffine(30, scale=(0.5, 2), shift=3).draw(50, generator())
    y = warp_affine(x, matrix, offset)
    for n in (0, 15, 16, 49):
        np.testing.assert_array_equal(y[n : n + 1], warp_affine(x[n : n + 1], matrix[n : n + 1], offset[n : n + 1]))


def test_whole_turns_and_steps_are_exact():
    x = images(N=1, H=5, W=5)
    quarter = np.array([[[0.0, 1.0], [-1.0, 0.0]]])
    np.testing.assert_array_equal(warp_affine(x, quarter, np.zeros((1, 2))), np.rot90(x, axes=(2, 3)))
    np.testing.assert_array_equal(warp_affine(x, np.eye(2)[None], np.zeros((1, 2))), x)
    moved = warp_affine(x, np.eye(2)[None], np.array([[1.0, -2.0]]))
    np.testing.assert_array_equal(moved[:, :, :-1, 2:], x[:, :, 1:, :-2])
    assert (moved[:, :, -1] == 0).all()
    assert (moved[:, :, :, :2] == 0).all()


def test_far_away_there_is_only_fill():
    y = warp_affine(images(), np.tile(np.eye(2), (6, 1, 1)), np.full((6, 2), 1e9), fill=0.5)
    assert (y == 0.5).all()


def test_the_matrices_undo_rotation_scale_and_shear():
    N = 1000
    augment = RandomAffine(degrees=30, scale=(0.5, 2.0), shift=3, shear=20)
    matrix, offset = augment.draw(N, generator())
    forward = np.linalg.inv(matrix)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", forward, -offset).max(), 3, atol=0.05)  # the shift in pixels
    # the second column of rotation @ scale @ [[1, 0], [slant, 1]] is scale * (-sin, cos)
    scale = np.hypot(forward[:, 0, 1], forward[:, 1, 1])
    angle = np.rad2deg(np.arctan2(-forward[:, 0, 1], forward[:, 1, 1]))
    slant = np.einsum("ni,ni->n", forward[:, :, 0], forward[:, :, 1]) / scale**2
    shear = np.rad2deg(np.arctan(slant))
    for values, low, high in ((scale, 0.5, 2.0), (angle, -30, 30), (shear, -20, 20)):
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    np.testing.assert_allclose(np.linalg.det(forward), scale**2, rtol=1e-9)  # shear keeps areas


def test_affine_without_any_change_is_exact():
    x = images()
    np.testing.assert_array_equal(RandomAffine(0)(x, generator()), x)


def test_float16_and_integers():
    x = images().astype(np.float16)
    assert RandomAffine(10)(x, generator()).dtype == np.float16
    with pytest.raises(TypeError, match="warp_affine: x has dtype uint8; expected float32 or float64"):
        RandomAffine(10)(np.zeros((1, 1, 2, 2), np.uint8), generator())


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: RandomFlip(1.5), ValueError, "RandomFlip: p must lie in [0, 1], got 1.5"),
        (lambda: RandomShift(-1), ShapeError, "RandomShift: pixels must be an int >= 0 or a pair of them, got -1"),
        (lambda: RandomCrop(0.5), ShapeError, "RandomCrop: padding must be an int >= 0 or a pair of them, got 0.5"),
        (lambda: RandomCrop(size=0), ShapeError, "RandomCrop: size must be an int >= 1 or a pair of them, got 0"),
        (
            lambda: RandomCrop(1, size=8)(images(), generator()),
            ShapeError,
            "RandomCrop: size (8, 8) does not fit into 5 x 6 padded by 1",
        ),
        (lambda: Cutout(0), ShapeError, "Cutout: size must be an int >= 1 or a pair of them, got 0"),
        (lambda: RandomAffine(-1), ValueError, "RandomAffine: degrees must be a number >= 0, got -1"),
        (lambda: RandomAffine(shift=math.inf), ValueError, "RandomAffine: shift must be a number >= 0, got inf"),
        (lambda: RandomAffine(shear=90), ValueError, "RandomAffine: shear must be below 90 degrees, got 90"),
        (
            lambda: RandomAffine(scale=(1.1, 0.9)),
            ValueError,
            "RandomAffine: scale must be (low, high) with 0 < low <= high, got (1.1, 0.9)",
        ),
        (
            lambda: warp_affine(images(), np.eye(2)[None], np.zeros((6, 2))),
            ShapeError,
            "warp_affine: matrix must have shape (6, 2, 2), got (1, 2, 2)",
        ),
        (
            lambda: warp_affine(images(), np.zeros((6, 2, 2)), np.zeros(2)),
            ShapeError,
            "warp_affine: offset must have shape (6, 2), got (2,)",
        ),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
