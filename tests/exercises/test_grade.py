"""What is said of results that are wrong in another way than by a classic mistake."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnn_from_scratch.exercises import EXERCISES, arguments, check_function
from cnn_from_scratch.exercises.compare import side_by_side
from cnn_from_scratch.exercises.relations import relation
from cnn_from_scratch.exercises.verdict import Verdict
from cnn_from_scratch.ops import im2col


def right(x, kernel_size, stride=1, padding=0, dilation=1):
    return im2col(x, kernel_size, stride=stride, padding=padding, dilation=dilation)


def changed(change):
    return lambda x, kernel_size, stride=1, padding=0, dilation=1: change(
        right(x, kernel_size, stride, padding, dilation)
    )


def section(verdict, title):
    return next((list(s.lines) for s in verdict.sections if s.title == title), None)


@pytest.mark.parametrize(
    ("change", "headline"),
    [
        (lambda cols: None, "im2col returns None: is `return cols` missing?"),
        (lambda cols: cols.tolist(), "cols is a list, not a NumPy array: np.array(cols) makes one of it"),
        (lambda cols: "cols", "cols is a str, not a NumPy array"),
        (lambda cols: cols.astype(complex), "cols is an array of complex128: it should hold real numbers"),
        (lambda cols: cols.astype(object), "cols is an array of object: it should hold real numbers"),
        (lambda cols: cols[:, :1], "cols should have the shape (1, 4, 4) and has (1, 1, 4)"),
        (lambda cols: cols * np.nan, "cols[0, 0, 0] should be 1 and is nan; all numbers are wrong"),
        (lambda cols: cols / 0, "cols[0, 0, 0] should be 1 and is inf; all numbers are wrong"),
    ],
)
def test_results_of_the_wrong_kind(change, headline):
    verdict = check_function("im2col", changed(change))
    assert (verdict.state, verdict.headline) == ("wrong", headline)
    assert verdict.passed[0] is False


def test_one_wrong_number_is_taken_apart():
    def one_wrong(cols):
        cols = cols.copy()
        cols[0, 2, 1] += 1
        return cols

    verdict = check_function("im2col", changed(one_wrong))
    assert verdict.headline == "cols[0, 2, 1] should be 5 and is 6; 1 of 16 numbers is wrong"
    assert section(verdict, "How cols[0, 2, 1] comes about") == [
        "row 2 of cols is c = 0, kh = 1, kw = 0; column 1 is oh = 0, ow = 1",
        "h = oh*stride + kh*dilation - padding = 0*1 + 1*1 - 0 = 1",
        "w = ow*stride + kw*dilation - padding = 1*1 + 0*1 - 0 = 1",
        "x[0, 0, 1, 1] = 5",
    ]
    assert section(verdict, "Side by side")[:2] == ["cols[0, :, :]", "right         yours, * where wrong"]
    assert "4  5  7  8    4  6* 7  8" in section(verdict, "Side by side")
    assert verdict.mistakes == ()


def test_the_sum_that_makes_a_number():
    verdict = check_function("conv_forward", lambda x, weight, bias, stride=1, padding=0: np.zeros((1, 1, 2, 2)))
    assert verdict.headline == "y[0, 0, 0, 0] should be 16 and is 0; all numbers are wrong"
    lines = section(verdict, "How y[0, 0, 0, 0] comes about")  # 1*1 + 2*2 - 4 + 5*3
    assert [
        line.split()[-1] for line in lines if " = " in line and "×" in line and "weight[" in line
    ] == "1 4 -4 15".split()
    assert lines[-1].split() == ["sum", "16"]
    assert section(verdict, "Seen") == ["y: every number is 0: was anything written?"]


def test_a_dtype_that_is_wrong_while_the_numbers_are_right():
    verdict = check_function("im2col", changed(lambda cols: cols.astype(np.float64)))
    assert verdict.passed == (True,) * 7 + (False,)
    assert verdict.headline.startswith("cols is float64 where the input is float32: the numbers are right")


def test_an_argument_that_is_changed():
    def greedy(x, kernel_size, stride=1, padding=0, dilation=1):
        cols = right(x, kernel_size, stride, padding, dilation)
        x += 1
        return cols

    verdict = check_function("im2col", greedy)
    assert verdict.headline.startswith("the numbers are right, but x was changed: what is lent is not written")


def test_as_many_arrays_as_asked_for():
    verdict = check_function("conv_backward", lambda dy, x, weight, stride=1, padding=0: (x, weight))
    assert verdict.headline == "conv_backward returns 2 things: it should return 3, dx, dweight, dbias"
    verdict = check_function("conv_backward", lambda dy, x, weight, stride=1, padding=0: x)
    assert verdict.headline == "conv_backward returns one ndarray: it should return 3, dx, dweight, dbias"


def test_a_loss_may_be_a_plain_number():
    def plain(logits, targets):
        loss, dlogits = EXERCISES["softmax_cross_entropy"].answer(logits, targets)
        return float(loss), dlogits

    assert check_function("softmax_cross_entropy", plain)


def test_a_function_that_takes_other_arguments():
    verdict = check_function("im2col", lambda image: image)
    assert "got an unexpected keyword argument" in verdict.headline
    assert section(verdict, "Where")[0].startswith("it is called by these names: x, kernel_size")


def test_a_part_that_is_not_written_yet():
    def unpadded(x, kernel_size, stride=1, padding=0, dilation=1):
        if padding:
            raise NotImplementedError
        return right(x, kernel_size, stride, padding, dilation)

    unpadded.__code__ = unpadded.__code__.replace(co_name="im2col")
    verdict = check_function("im2col", unpadded)
    assert (verdict.state, sum(verdict.passed)) == ("wrong", 6)
    assert verdict.headline == "im2col raises NotImplementedError: a part of it is not written yet"


def test_what_is_new_on_a_rung_where_nothing_else_is_known():
    def no_dilation(x, kernel_size, stride=1, padding=0, dilation=1):
        cols = right(x, kernel_size, stride, padding, dilation)
        return cols if dilation == 1 else cols + np.arange(cols.size).reshape(cols.shape) ** 2

    verdict = check_function("im2col", no_dilation)
    assert verdict.mistakes == ()
    assert section(verdict, "Seen") == ["the rungs before this one are right, so look at what is new here: dilation"]


def test_a_loop_whose_result_changes_from_run_to_run():
    answer, elsewhere = EXERCISES["training_loop"].answer, np.random.default_rng(0)

    def careless(rng, **given):
        return answer(rng=elsewhere, **given)

    verdict = check_function("training_loop", careless)
    assert any("another result in each run" in line for line in section(verdict, "Seen"))


@pytest.mark.parametrize("name", EXERCISES)
def test_every_number_of_the_smallest_rung_can_be_taken_apart(name):
    """What is shown ends in the number that is right."""
    exercise = EXERCISES[name]
    given = arguments(name, 0)
    returned = exercise.answer(**arguments(name, 0))
    values = returned if len(exercise.outputs) > 1 else (returned,)
    for output, value in zip(exercise.outputs, values, strict=True):
        for index in np.ndindex(*np.shape(value)):
            lines = exercise.terms(given, output, index)
            said = [float(number) for line in lines for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", line)]
            assert any(number == pytest.approx(float(np.asarray(value)[index]), rel=1e-4) for number in said)


def test_the_arguments_are_not_moved_by_a_check():
    before = arguments("training_loop", 1)["rng"].permutation(9)
    check_function("training_loop", EXERCISES["training_loop"].answer)
    assert (arguments("training_loop", 1)["rng"].permutation(9) == before).all()
    with pytest.raises(ValueError, match="arguments: rung must be 0 to 5 for training_loop, got 6"):
        arguments("training_loop", 6)


def test_two_mistakes_at_once():
    """The one that shows first is named, and that it is not all."""

    def two(x, weight, bias, stride=1, padding=0):
        y = EXERCISES["conv_forward"].answer(x, weight, 0 * bias, stride, padding)
        return y if stride == 1 else -y

    verdict = check_function("conv_forward", two)
    assert verdict.mistakes == ("bias-forgotten",)
    first, second = section(verdict, "Likely")
    assert first.startswith("On this rung, this is what comes out when the bias is forgotten")
    assert second == "It does not fit to other rungs: something else is wrong, too."


def test_what_comes_first_is_examined_first():
    """A wrong v makes a wrong param: v is what is told."""

    def careless(param, grad, m, v, t, **rest):
        param, m, v = EXERCISES["adam"].answer(param, grad, m, v, t, **rest)
        return param + 1, m, 2 * v

    assert check_function("adam", careless).headline == "v[0] should be 0.016 and is 0.032"


def test_numbers_that_differ_late_are_shown_with_more_digits():
    lines = side_by_side("y", np.array([1.0, 2.0]), np.array([1.0, 2.00001]), (1,))
    assert lines[-1].split() == ["1", "2", "1", "2.00001*"]


def test_a_shape_alone_can_tell():
    """Cut as if there were no padding at the end, and with numbers of no known mistake."""

    def odd(cols, input_shape, kernel_size, stride=1, padding=0, dilation=1):
        N, C, H, W = input_shape
        x = EXERCISES["col2im"].answer(cols, input_shape, kernel_size, stride, padding, dilation)
        return x if not padding else np.full((N, C, H + padding, W + padding), 0.5)

    verdict = check_function("col2im", odd)
    assert verdict.mistakes == ("cropped-at-the-start-only",)
    assert section(verdict, "Likely")[0].startswith("This shape comes out when the padding is cut off only at the top")


def test_several_mistakes_that_make_the_same_are_all_named():
    def half_padded(x, kernel_size, stride=1, padding=0, dilation=1):
        sides = ((padding, 0), (padding, 0))
        return im2col(x, kernel_size, stride=stride, padding=sides, dilation=dilation) * (-1 if padding else 1)

    given = check_function("im2col", half_padded)
    assert given.mistakes == ("padding-top-left", "padding-bottom-right", "one-window-less")
    lines = section(given, "Likely")
    assert lines[0] == "This shape comes out when (one of these):"
    assert len(lines) == 1 + len(given.mistakes)


# --- resemblances ---------------------------------------------------------------------------------------------------

A = np.array([[1.0, 2.0, 7.0], [3.0, 5.0, 11.0], [4.0, 6.0, 13.0]])


@pytest.mark.parametrize(
    ("yours", "said"),
    [
        (A * 0, "every number is 0: was anything written?"),
        (-A, "every number has the wrong sign"),
        (A * 3, "every number is 3 times the right one"),
        (A / 4, "every number is 0.25 times the right one, that is 1/4"),
        (A[::-1, ::-1], "it is the right array with its last two axes reversed: turned by half a circle"),
        (A[::-1], "it is the right array with axis 0 reversed"),
        (A.T, "it is the right array with the axes 0 and 1 exchanged: transposed"),
        (np.roll(A, 1, 0), "it is the right array shifted by 1 along axis 0"),
        (np.roll(A, -1, 1), "it is the right array shifted by -1 along axis 1"),
        (A + 2, "every number is 2 too large"),
        (A - 2, "every number is 2 too small"),
        (A.ravel()[[3, 1, 2, 0, 8, 5, 6, 7, 4]].reshape(3, 3), "the numbers are right but stand in the wrong places"),
        (A.ravel(), "the numbers are right, and in the right order: reshape them to (3, 3)"),
        (A * [1, 1, np.nan], "3 of 9 numbers are NaN or infinite"),
        (A**2, ""),
    ],
)
def test_resemblances(yours, said):
    found = relation(A, yours)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_what_should_add_up_to_nothing():
    right = np.array([[0.25, -0.75, 0.5], [-0.5, 0.125, 0.375]])
    found = relation(right, right + [[0.1, 0.0, 0.3], [0.2, 0.5, 0.0]])
    assert found.startswith("over (1,) the right numbers add up to 0, yours do not")
    assert relation(np.float64(1.0), np.float64("nan")) == ""


def test_resemblances_of_other_shapes():
    assert relation(A[:2], A[:2].T) == "it is the right array with its axes in the order (1, 0): transposed"
    assert relation(A, np.stack([A, A * 0])) == "summed over axis 0 it would be right"
    assert relation(A, A[:2]) == ""


def test_large_arrays_are_not_written_out():
    assert side_by_side("y", np.zeros((20, 20)), np.ones((20, 20)), (0, 0)) == []
    assert side_by_side("loss", np.float64(1), np.float64(2), ()) == []


def test_a_verdict_can_be_printed_and_sent():
    verdict = check_function("im2col", changed(lambda cols: cols * 3))
    text = str(verdict)
    assert text.startswith("im2col: wrong, 0 of 8\ncols[0, 0, 0] should be 1 and is 3; all numbers are wrong")
    assert "cols: every number is 3 times the right one" in text
    assert Verdict.from_json(verdict.to_json()) == verdict
