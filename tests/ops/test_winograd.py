"""Winograd's convolution: the identity exactly, then the ladder against the plain sum, whatever the shape."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder import assert_gradients_match, assert_recycles, frozen, layouts

from cnn_from_scratch.ops import (
    conv_backward,
    conv_forward,
    conv_winograd,
    conv_winograd_backward,
    is_hwnc,
    to_hwnc,
    winograd,
    winograd_tiles,
)
from cnn_from_scratch.ops.blocked_matmul import blocks_of_rows, matmul_by_columns, matmul_by_rows
from cnn_from_scratch.ops.conv_winograd import backward_winograd, cheapest_tile, forward_winograd, suits
from cnn_from_scratch.ops.utils import conv_geometry
from cnn_from_scratch.ops.winograd import filters_gradient, transform_filters, transform_filters_transposed

TILES = (2, 4)
ROUNDOFFS = {2: 10, 4: 300}
"""Largest error that `largest_errors` allows, in unit roundoffs; over 6000 random problems 2.3 and 69 were seen."""


def geometry_of(x, padding):
    return conv_geometry("test", x.shape[2:], 3, padding=padding)


def run(x, weight, dy, padding, tile):
    """(y, dx, dweight)"""
    geometry = geometry_of(x, padding)
    return (
        forward_winograd(x, weight, geometry, 1, tile=tile),
        *backward_winograd(dy, x, weight, geometry, 1, True, tile=tile),
    )


def plain(x, weight, dy, padding):
    """The same three by im2col, in float64."""
    x, weight, dy = (a.astype(np.float64) for a in (x, weight, dy))
    y, cache = conv_forward(x, weight, padding=padding, algorithm="im2col")
    return (y, *conv_backward(dy, cache)[:2])


def problem(rng, shape, F, padding, dtype=np.float64):
    """x, weight, dy as read-only arrays."""
    x = rng.standard_normal(shape).astype(dtype)
    output = geometry_of(x, padding).output
    weight, dy = rng.standard_normal((F, shape[1], 3, 3)), rng.standard_normal((shape[0], F, *output))
    return frozen(x, weight.astype(dtype), dy.astype(dtype))


def assert_all_near(actual, expected, bound):
    for name, a, e in zip(("y", "dx", "dweight"), actual, expected, strict=True):
        assert a.shape == e.shape
        error = np.max(np.abs(a - e), initial=0)
        assert error <= bound * np.max(np.abs(e), initial=0), f"{name}: {error}"


def largest_errors(x, weight, dy, tile):
    """What rounding may do to y, dx and dweight.

    A tile mixes all its numbers before it separates them again. So an error does not shrink with the result, where
    terms cancel or meet only padding: it goes with the sum of a filter's weights times the largest input, and for
    dweight with the products of all tiles, what hangs over included.
    """
    largest, above = np.max(np.abs(x), initial=0), np.max(np.abs(dy), initial=0)
    N, _, OH, OW = dy.shape
    covered = N * (-(-OH // tile) * tile) * (-(-OW // tile) * tile)
    scales = (
        largest * np.abs(weight).sum((1, 2, 3)).max(),
        above * np.abs(weight).sum((0, 2, 3)).max(),
        largest * above * covered,
    )
    return [ROUNDOFFS[tile] * np.finfo(x.dtype).eps / 2 * float(scale) for scale in scales]


# --- the matrices ---------------------------------------------------------------------------------------------------


def exactly(matrix):
    """Rows of fractions: every entry of the matrices is a multiple of 1/24."""
    rows = [[Fraction(value).limit_denominator(24) for value in row] for row in matrix]
    assert [[float(value) for value in row] for row in rows] == matrix
    return np.array(rows, object)


@pytest.mark.parametrize("m", TILES)
def test_the_identity_holds_exactly(m):
    # Both sides are linear in the weights g and in the inputs d, so the unit vectors prove it for all numbers:
    # g = e_j and d = e_i give y_k = 1 where i = k + j.
    BT, AT, G = (exactly(matrix[m]) for matrix in (winograd.BT, winograd.AT, winograd.G))
    for i in range(m + 2):
        for j in range(3):
            y = AT @ (G[:, j] * BT[:, i])
            assert list(y) == [int(i == k + j) for k in range(m)]


@pytest.mark.parametrize("m", TILES)
def test_two_dimensions_exactly(m):
    rng = np.random.default_rng(m)
    d, g = rng.integers(-9, 10, (m + 2, m + 2)), rng.integers(-9, 10, (3, 3))
    BT, AT, G = (exactly(matrix[m]) for matrix in (winograd.BT, winograd.AT, winograd.G))
    y = AT @ ((G @ g @ G.T) * (BT @ d @ BT.T)) @ AT.T
    assert y.tolist() == [[np.sum(d[i : i + 3, j : j + 3] * g) for j in range(m)] for i in range(m)]


@pytest.mark.parametrize("m", TILES)
@pytest.mark.parametrize("shape", [(3, 5), (70, 90)])  # the second is cut into blocks of columns
def test_filters_and_their_adjoint(m, shape):
    rng = np.random.default_rng(0)
    G, weight = np.array(winograd.G[m]), rng.standard_normal((*shape, 3, 3))
    U = transform_filters(weight, m)  # (P*P, C, F)
    expected = np.einsum("pi,fcij,qj->pqcf", G, weight, G).reshape(U.shape)
    np.testing.assert_allclose(U, expected, atol=1e-14)
    np.testing.assert_allclose(transform_filters_transposed(weight, m), expected.swapaxes(1, 2), atol=1e-14)
    dU = rng.standard_normal(U.shape)
    np.testing.assert_allclose(np.sum(U * dU), np.sum(weight * filters_gradient(dU, m)), rtol=1e-10)


def test_matrices_are_not_for_writing():
    for matrix in winograd.transforms(4, np.dtype(np.float32))[1:]:
        assert matrix.dtype == np.float32
        assert not matrix.flags.writeable


@pytest.mark.parametrize("shape", [(3, 64, 40, 50), (2, 1024, 16, 24), (2, 60, 200, 200), (1, 5, 1, 1), (2, 0, 4, 4)])
def test_blocked_products(shape):
    batch, M, K, N = shape
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 10, (batch, M, K)) * 1.0, rng.integers(-9, 10, (batch, K, N)) * 1.0
    out = np.full((batch, M, N), np.nan)
    assert matmul_by_rows(a, b, out=out) is out
    np.testing.assert_array_equal(out, a @ b)
    for block, whole in zip(blocks_of_rows(a, b, out), (a, b, out), strict=True):
        assert block.size == whole.size
        assert np.shares_memory(block, whole) or not whole.size
    wide = np.full((N, M), np.nan)
    np.testing.assert_array_equal(matmul_by_columns(b[0].T, a[0].T, wide), b[0].T @ a[0].T)


# --- the convolution ------------------------------------------------------------------------------------------------


def test_by_hand():
    # x = 1 2 3    one filter: 1 at the upper left, 2 in the middle, so y[i, j] = x[i-1, j-1] + 2*x[i, j]
    #     4 5 6
    #     7 8 9
    x, weight = np.arange(1.0, 10.0).reshape(1, 1, 3, 3), np.zeros((1, 1, 3, 3))
    weight[0, 0, 0, 0], weight[0, 0, 1, 1] = 1, 2
    dy = np.zeros((1, 1, 3, 3))
    dy[0, 0, 2, 1] = 10
    for tile in TILES:
        y, dx, dweight = run(x, weight, dy, 1, tile)
        np.testing.assert_allclose(y[0, 0], [[2, 4, 6], [8, 11, 14], [14, 20, 23]], atol=1e-12)
        # y[2, 1] = x[1, 0] + 2*x[2, 1]
        np.testing.assert_allclose(dx[0, 0], [[0, 0, 0], [10, 0, 0], [0, 20, 0]], atol=1e-12)
        # the patch around (2, 1), the row below the image is zero
        np.testing.assert_allclose(dweight[0, 0], [[40, 50, 60], [70, 80, 90], [0, 0, 0]], atol=1e-12)


@st.composite
def problems(draw):
    sides = [(draw(st.integers(0, 1)), draw(st.integers(0, 1))) for _ in range(2)]
    H, W = (draw(st.integers(max(1, 3 - sum(pair)), 13)) for pair in sides)
    shape = (draw(st.integers(0, 5)), draw(st.integers(1, 6)), H, W)
    chunk = draw(st.sampled_from([winograd_tiles.CHUNK, 20_000, 1]))
    return shape, draw(st.integers(1, 6)), tuple(sides), chunk, draw(st.integers(0, 2**16))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("tile", TILES)
@settings(max_examples=60, deadline=None)
@given(problems())
def test_equals_the_plain_sum(tile, dtype, drawn):
    shape, F, padding, chunk, seed = drawn
    x, weight, dy = problem(np.random.default_rng(seed), shape, F, padding, dtype)
    expected = plain(x, weight, dy, padding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd_tiles, "CHUNK", chunk)
        for order in (np.asarray, to_hwnc):
            actual = run(order(x), weight, order(dy), padding, tile)
            assert {a.dtype for a in actual} == {np.dtype(dtype)}
            for a, e, bound in zip(actual, expected, largest_errors(x, weight, dy, tile), strict=True):
                assert a.shape == e.shape
                assert np.max(np.abs(a - e), initial=0) <= bound


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(
    ("shape", "F"), [((16, 64, 8, 8), 64), ((9, 130, 7, 9), 70), ((3, 24, 32, 32), 48), ((40, 16, 14, 14), 20)]
)
def test_sizes_that_are_cut_into_blocks(shape, F, tile):
    x, weight, dy = problem(np.random.default_rng(0), shape, F, 1)
    assert_all_near(run(to_hwnc(x), weight, to_hwnc(dy), 1, tile), plain(x, weight, dy, 1), 1e-12)


@pytest.mark.parametrize("tile", TILES)
def test_the_adjoint_identity(tile):
    # y is linear in x and in the weights: <conv(x, w), dy> = <x, dx> = <w, dw>
    x, weight, dy = problem(np.random.default_rng(0), (3, 5, 11, 10), 4, ((1, 0), (0, 1)))
    y, dx, dweight = run(x, weight, dy, ((1, 0), (0, 1)), tile)
    product = np.sum(y * dy)
    np.testing.assert_allclose([np.sum(x * dx), np.sum(weight * dweight)], product, rtol=1e-11)


@pytest.mark.parametrize("tile", TILES)
def test_gradients_by_finite_differences(tile):
    x, weight, dy = problem(np.random.default_rng(0), (2, 3, 6, 7), 4, 1)
    _, dx, dweight = run(x, weight, dy, 1, tile)
    assert_gradients_match(
        lambda x, weight: forward_winograd(x, weight, geometry_of(x, 1), 1, tile=tile),
        {"x": x, "weight": weight},
        {"x": dx, "weight": dweight},
        dy,
    )


@pytest.mark.fault("odd-arrays")
@pytest.mark.parametrize("tile", TILES)
def test_any_layout_gives_the_same_result(tile):
    x, weight, dy = problem(np.random.default_rng(0), (4, 3, 6, 5), 2, 1)
    expected = plain(x, weight, dy, 1)
    kinds = [
        kind for kind in zip(layouts(x), layouts(weight), layouts(dy), strict=True) if kind[0][0] != "byte-swapped"
    ]
    assert len(kinds) == 4
    for (_, xs), (_, ws), (_, dys) in kinds:
        assert_all_near(run(xs, ws, dys, 1, tile), expected, 1e-12)
    # some images of a larger batch, and every other row of larger images, lying as (H, W, N, C)
    many = to_hwnc(np.repeat(np.repeat(x, 2, axis=0), 2, axis=2))
    y, dx, dweight = run(many[::2, :, ::2], weight, dy, 1, tile)
    assert_all_near((y, dx, dweight), expected, 1e-12)
    batch = to_hwnc(np.concatenate([x, x]))
    assert_all_near(run(batch[4:], weight, dy, 1, tile), expected, 1e-12)


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
def test_results_lie_as_their_input_does(order):
    x, weight, dy = problem(np.random.default_rng(0), (4, 3, 6, 5), 2, 1)
    y, dx, _ = run(order(x), weight, dy, 1, 4)
    assert is_hwnc(y) == is_hwnc(dx) == (order is to_hwnc)


def test_without_dx():
    x, weight, dy = problem(np.random.default_rng(0), (4, 3, 6, 5), 2, 1)
    dx, dweight = backward_winograd(dy, x, weight, geometry_of(x, 1), 1, False, tile=4)
    assert dx is None
    np.testing.assert_array_equal(dweight, run(x, weight, dy, 1, 4)[2])


@pytest.mark.parametrize("order", [np.ascontiguousarray, to_hwnc])
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(("chunk", "images"), [(4_800_000, [5]), (6_000, [2, 2, 1]), (1, [1] * 5)])
def test_finish_sees_every_number_once_and_may_change_it(chunk, images, tile, order, monkeypatch):
    monkeypatch.setattr(winograd_tiles, "CHUNK", chunk)
    x, weight, dy = problem(np.random.default_rng(0), (5, 3, 9, 7), 2, 1)
    x = order(x)
    y = forward_winograd(x, weight, geometry_of(x, 1), 1, tile=tile)
    pieces = []

    def finish(out):
        pieces.append(out.copy())
        assert out.shape[1::2] == (7, 2)
        assert out[0, 0].flags.c_contiguous
        assert out.flags.c_contiguous == (out.shape[2] == len(x))
        out += 1000

    finished = forward_winograd(x, weight, geometry_of(x, 1), 1, finish, tile=tile)
    np.testing.assert_array_equal(finished, y + 1000)
    seen = np.concatenate([piece.ravel() for piece in pieces])
    np.testing.assert_array_equal(np.sort(seen), np.sort(y.ravel()))
    rows = [min(tile, 9 - first) for first in range(0, 9, tile)]
    assert [(len(piece), piece.shape[2]) for piece in pieces] == [(row, count) for count in images for row in rows]


@pytest.mark.parametrize(("chunk", "times"), [(4_800_000, 1), (1, 3)])
def test_views_are_made_once_for_all_rows_of_tiles(chunk, times, monkeypatch):
    made, inputs_in = [], winograd_tiles.inputs_in

    def counted(*arguments):
        made.append(arguments)
        return inputs_in(*arguments)

    monkeypatch.setattr(winograd_tiles, "CHUNK", chunk)
    for module in (conv_winograd, conv_winograd_backward):
        monkeypatch.setattr(module, "inputs_in", counted)
    x, weight, dy = problem(np.random.default_rng(0), (3, 2, 20, 6), 2, 1)
    run(x, weight, dy, 1, 4)
    assert len(made) == 2 * times  # forward and backward


def test_the_same_input_gives_the_same_bits():
    x, weight, dy = problem(np.random.default_rng(0), (8, 16, 14, 14), 16, 1, np.float32)
    for first, second in zip(run(x, weight, dy, 1, 4), run(x, weight, dy, 1, 4), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("tile", "bound"), [(2, 5e-7), (4, 3e-6)])
def test_rounding_of_float32(tile, bound):
    # root mean square error by the spread of the result, on 64 channels
    x, weight, dy = problem(np.random.default_rng(0), (8, 64, 16, 16), 64, 1, np.float32)
    for actual, expected in zip(run(to_hwnc(x), weight, dy, 1, tile), plain(x, weight, dy, 1), strict=True):
        assert np.sqrt(np.mean((actual - expected) ** 2)) < bound * np.std(expected)


@pytest.mark.parametrize(
    ("options", "groups", "answer"),
    [
        ({"padding": 1}, 1, True),
        ({"padding": 0}, 1, True),
        ({"padding": ((1, 0), (0, 1))}, 1, True),
        ({"padding": ((1, 2), (1, 1))}, 1, False),
        ({"padding": 1, "stride": (1, 2)}, 1, False),
        ({"padding": 1, "dilation": (2, 1)}, 1, False),
        ({"padding": 1, "kernel_size": (3, 1)}, 1, False),
        ({"padding": 1}, 2, False),
    ],
)
def test_suits(options, groups, answer):
    assert suits(conv_geometry("test", (8, 9), **{"kernel_size": 3, **options}), groups) is answer


def test_the_tile_with_fewer_products():
    # 4x4: one tile of 36 or four of 16; 2x2 and 1x9: 2x2 tiles fit better; 14x14: 16 of 36 or 49 of 16
    answers = {(4, 4): 4, (2, 2): 2, (1, 9): 2, (14, 14): 4, (6, 6): 2, (7, 7): 4}
    assert {size: cheapest_tile(conv_geometry("test", size, 3, padding=1)) for size in answers} == answers


def test_memory_is_used_again():
    x, weight, dy = problem(np.random.default_rng(0), (32, 64, 16, 16), 64, 1, np.float32)
    x, dy = to_hwnc(x), to_hwnc(dy)  # 2 MiB each
    assert_recycles(lambda: run(x, weight, dy, 1, 4), 200_000)
