"""`cnn explain` prints what the library says of one number, and says what there is where one asks for what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from command_line import cnn, draw_one
from PIL import Image

from cnn_from_scratch import insight
from cnn_from_scratch.cli import own_data
from cnn_from_scratch.cli.saved_run import load_run
from cnn_from_scratch.data import load_digits

LAYERS = "conv1, bn1, relu1, conv2, bn2, relu2, pool, conv3, bn3, relu3, conv4, bn4, relu4, flatten, dropout, fc, loss"


@pytest.fixture(scope="module")
def traced(run):
    """Test image 3 on its way through the network and back."""
    found, test = load_run(run), load_digits().scaled().test
    return insight.trace(found.model, found.normalization.apply(test.x[3:4]), test.y[3:4])


def said(text):
    """Its lines without the blanks at their ends."""
    return [line.rstrip() for line in str(text).splitlines()]


# --- what is printed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "index"),
    [
        ("--layer conv2 --at 3,5,7", ("conv2", (0, 3, 5, 7))),
        ("--layer pool --at 31,3,0", ("pool", (0, 31, 3, 0))),
        ("--layer fc --at 5", ("fc", (0, 5))),
        ("--layer loss", ("loss", (0,))),
    ],
)
def test_an_output(run, traced, options, index):
    result = cnn("explain", run, "--index", 3, *options.split())
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith(f"test image 3 of digits: {traced.y[0]}, taken for ")
    assert lines[1:] == [
        *([f"the loss is cross-entropy with class {traced.y[0]}"] if "loss" in options else []),
        "",
        *said(traced.explain(*index)),
    ]
    assert any(line.startswith("the sum is the traced number") for line in lines)


@pytest.mark.parametrize(
    ("options", "key", "asked"),
    [
        ("--layer conv2 --blame weight --at 3,1,0,2", "conv2", {"weight": (3, 1, 0, 2)}),
        ("--layer bn1 --blame bias --at 3", "bn1", {"bias": (3,)}),
        ("--layer fc --blame input --at 77", "fc", {"input": (0, 77)}),
        ("--layer conv1 --blame input --at 0,7,2", "conv1", {"input": (0, 0, 7, 2)}),
        ("--layer loss --blame input --at 4", "loss", {"input": (0, 4)}),
    ],
)
def test_a_gradient(run, traced, options, key, asked):
    result = cnn("explain", run, "--index", 3, *options.split())
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[1:3] == [f"the loss is cross-entropy with class {traced.y[0]}", ""]
    assert lines[3:] == said(traced.blame(key, **asked))


def test_the_gradient_of_another_class(tmp_path, run):
    found, photo = load_run(run), draw_one(tmp_path / "one.png")
    x = found.normalization.apply(found.prepare(photo)[None])
    likeliest = int(found.model.predict(x)[0].argmax())
    for options, target in (((), likeliest), (("--class", 4), 4)):
        result = cnn("explain", run, photo, "--layer", "fc", "--blame", "bias", "--at", 4, *options)
        assert f"\nthe loss is cross-entropy with class {target}\n" in result.output
        expected = insight.trace(found.model, x, np.array([target])).blame("fc", bias=4)
        assert result.output.splitlines()[3:] == said(expected)


def test_a_picture_and_a_table(tmp_path, run, traced):
    picture, table = tmp_path / "a.png", tmp_path / "a.csv"
    result = cnn("explain", run, "--index", 3, *"--layer conv3 --at 9,1,2 --picture".split(), picture, "--csv", table)
    expected = traced.explain("conv3", (0, 9, 1, 2))
    terms = pd.read_csv(table)
    pd.testing.assert_frame_equal(terms, expected.to_frame())
    assert terms["amount"].sum() == pytest.approx(expected.value, rel=1e-4)
    with Image.open(picture) as image:
        assert 400 <= image.height <= 1600
        assert 600 <= image.width <= 2400
    assert result.output.splitlines()[-3:] == [
        "",
        f"{picture}  {' '.join(expected.plot().get_suptitle().split())}",
        f"{table}  288 terms",
    ]


def test_a_vector_picture_of_a_gradient(tmp_path, run):
    result = cnn("explain", run, *"--layer fc --blame weight --at 1,2 --picture".split(), tmp_path / "a.svg")
    assert result.exit_code == 0
    assert "</svg>" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ([], {"conv1": "f,oh,ow 0,0,0 31,7,7 Conv2d", "relu3": "f,oh,ow 0,0,0 63,3,3 ReLU", "fc": "o 0 9 Linear"}),
        (["--blame", "input"], {"conv1": "c,h,w 0,0,0 0,7,7 Conv2d", "fc": "i 0 1023 Linear"}),
        (["--blame", "weight"], {"conv1": "f,c,kh,kw 0,0,0,0 31,0,2,2 Conv2d", "fc": "o,i 0,0 9,1023 Linear"}),
        (["--blame", "bias"], {"bn1": "f 0 31 BatchNorm2d", "fc": "f 0 9 Linear"}),
    ],
)
def test_without_a_layer_all_are_listed(run, options, rows, monkeypatch):
    monkeypatch.setattr(own_data, "dataset_of", None)  # no image is needed
    result = cnn("explain", run, *options)
    assert result.exit_code == 0, result.output
    lines, of_what = result.output.splitlines(), options[-1] if options else "output"
    assert lines[0] == f"Name a layer by --layer, and a number of its {of_what} by --at:"
    found = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[3:]}
    assert rows.items() <= found.items()
    assert ("relu3" in found) == (options in ([], ["--blame", "input"]))
    assert ("conv1" in found) == (options != ["--blame", "bias"])  # it has none


# --- what goes wrong ------------------------------------------------------------------------------------------------

CONV2 = "the output of layer conv2, where f goes from 0 to 31, oh from 0 to 7, ow from 0 to 7"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--layer conv9 --at 1,2,3", f"--layer conv9: there is no such layer; those of this model: {LAYERS}"),
        ("--layer conv2", f"--at is needed: f,oh,ow in {CONV2}"),
        ("--layer conv2 --at 3", f"--at 3: 3 numbers are needed, f,oh,ow in {CONV2}"),
        ("--layer conv2 --at 3,8,0", f"--at 3,8,0 is not in {CONV2}"),
        ("--layer conv2 --at 32,0,0", f"--at 32,0,0 is not in {CONV2}"),
        ("--layer fc --at 1,2", "--at 1,2: 1 number is needed, o in the output of layer fc, where o goes from 0 to 9"),
        ("--layer fc --at 10", "--at 10 is not in the output of layer fc, where o goes from 0 to 9"),
        (
            "--layer conv2 --blame weight --at 1,2,3,0",
            "--at 1,2,3,0 is not in the weight of layer conv2, where f goes from 0 to 31, c from 0 to 31, "
            "kh from 0 to 2, kw from 0 to 2",
        ),
        (
            "--layer conv1 --blame input --at 1,0,0",
            "--at 1,0,0 is not in the input of layer conv1, where c goes from 0 to 0, h from 0 to 7, w from 0 to 7",
        ),
        ("--layer relu1 --blame weight --at 1", "blame: layer 'relu1' = ReLU() has no weight"),
        ("--layer loss --at 1", "--at 1: the loss is a single number; leave --at out"),
        ("--layer loss --blame input --at 10", "--at 10 is not in the scores, where k goes from 0 to 9"),
        (
            "--layer loss --blame weight --at 1",
            "the loss has no weight; --blame input is its gradient by the scores",
        ),
        ("--layer fc --at 1 --class eleven", "--class eleven: the classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("--layer fc --at 1 --index 400", "--index 400: the test images of digits go from 0 to 358"),
    ],
)
def test_what_is_not_there(run, options, message):
    result = cnn("explain", run, *options.split())
    assert (result.exit_code, result.output) == (1, f"cnn: {message}\n")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--at", "a,b", "'a,b' is not a position as in 3,10,7."),
        ("--at", "1,,2", "'1,,2' is not a position as in 3,10,7."),
        ("--at", "-1,2,3", "'-1,2,3' is not a position as in 3,10,7."),
        ("--picture", "a.jpg", "'a.jpg' ends neither in .png nor in .svg."),
    ],
)
def test_what_cannot_be_read(run, option, value, message):
    result = cnn("explain", run, "--layer", "conv1", option, value)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_files_that_cannot_be_written(tmp_path, run):
    for option, name in (("--picture", "a.png"), ("--csv", "a.csv")):
        result = cnn("explain", run, "--layer", "fc", "--at", 1, option, tmp_path / "nowhere" / name)
        assert result.exit_code == 1
        assert result.output.splitlines()[-1] == f"cnn: {tmp_path}/nowhere/{name}: No such file or directory"
    assert list(tmp_path.iterdir()) == []
