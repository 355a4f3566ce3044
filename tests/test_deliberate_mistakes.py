"""Tests of tests: each of these classic mistakes, put into a copy of the package, must make the suite fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from ladder import REPOSITORY

PACKAGE = "src/cnn_from_scratch"


class Mistake(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str
    suite: str


MISTAKES = [
    Mistake(
        "the kernel is flipped",
        "ops/conv_rows.py",
        "CG, KH, KW).transpose(3, 0, 4, 2, 1)",
        "CG, KH, KW)[..., ::-1, ::-1].transpose(3, 0, 4, 2, 1)",
        "tests/ops/test_conv.py",
    ),
    Mistake(
        "the columns of a stride start one too late",
        "ops/conv_first.py",
        "skipped * SW + phase - left ::",
        "skipped * SW + phase - left + (SW - 1) ::",
        "tests/ops/test_conv_first.py",
    ),
    Mistake(
        "only the first piece of a 1x1 convolution is finished",
        "ops/conv_pointwise.py",
        "if finish is not None:",
        "if finish is not None and first == 0:",
        "tests/ops/test_conv.py",
    ),
    Mistake(
        "lines keep what lay above the next piece",
        "ops/conv_rows.py",
        "lines[:, here.stop :] = 0",
        "lines[:, here.stop :] *= 1",
        "tests/ops/test_conv.py",
    ),
    Mistake(
        "col2im writes over what it should add to",
        "ops/col2im.py",
        "] += cols6",
        "] = cols6",
        "tests/ops/test_im2col.py",
    ),
    Mistake(
        "batch norm's variance goes over the channels, too",
        "ops/batch_statistics.py",
        "mean, var, n = moments_of(sums, x, group)",
        "mean, var, n = moments_of(sums, x, group); var = np.full_like(var, var.mean())",
        "tests/ops/test_normalization.py",
    ),
    Mistake(
        "the running variance is biased",
        "ops/batch_statistics.py",
        "_unbiased(function, var, n, x)",
        "var",
        "tests/ops/test_normalization.py",
    ),
    Mistake(
        "one pass over float32 whatever the mean",
        "ops/channel_sums.py",
        "x.dtype == np.float32 and (mean**2 <= 16 * var).all()",
        "x.dtype == np.float32",
        "tests/ops/test_normalization.py",
    ),
    Mistake(
        "the scale of a batch norm is missing in the gradient of the filters before it",
        "ops/conv_batch_norm.py",
        "return dx, scale_filters(dweight, norm.scale), dbias",
        "return dx, dweight, dbias",
        "tests/ops/test_conv_batch_norm.py",
    ),
    Mistake(
        "Adam does not correct the bias of its means",
        "optim/adam.py",
        "now.lr / (1 - beta1**now.t)",
        "now.lr",
        "tests/optim",
    ),
    Mistake(
        "ties in max-pool count twice",
        "ops/pooling.py",
        "winners &= undecided[outputs]",
        "winners &= True",
        "tests/ops/test_pooling.py",
    ),
    Mistake(
        "of two equal columns the right one wins",
        "ops/pool_pairs.py",
        "np.greater(second, first, out=out)",
        "np.greater_equal(second, first, out=out)",
        "tests/ops/test_pooling.py",
    ),
    Mistake(
        "softmax does not subtract the maximum",
        "ops/softmax.py",
        "largest = x.max(axis, keepdims=True)",
        "largest = 0 * x.max(axis, keepdims=True)",
        "tests/ops/test_softmax.py",
    ),
    Mistake(
        "a shard divides by its own number of examples",
        "training/step.py",
        "divisor = float(member.sum([np.array(own)])[0])",
        "divisor = own",
        "tests/training/test_fit.py",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package and its tests, somewhere else; they pass as they are."""
    folder = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in ("src", "tests"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, folder)
    run = run_suites(folder, *sorted({mistake.suite for mistake in MISTAKES}))
    assert run.returncode == 0, run.stdout[-3000:]
    return folder


def run_suites(folder, *suites):
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *suites]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES, ids=[m.name.replace(" ", "-") for m in MISTAKES])
def test_the_suite_notices(copy, mistake):
    path = copy / PACKAGE / mistake.file
    source = path.read_text(encoding="utf-8")
    assert source.count(mistake.right) >= 1, f"{mistake.file} no longer says {mistake.right!r}"
    path.write_text(source.replace(mistake.right, mistake.wrong), encoding="utf-8")
    try:
        run = run_suites(copy, mistake.suite)
    finally:
        path.write_text(source, encoding="utf-8")
    assert run.returncode == 1, f"{mistake.suite} did not notice that {mistake.name}:\n{run.stdout[-2000:]}"
    assert "failed" in run.stdout
