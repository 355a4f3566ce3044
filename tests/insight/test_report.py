"""A report is whole for any network, says what is ill, leaves out what is not there, and lets no name be markup."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from pictures import evaluation, images, network
from PIL import Image
from report_pages import SECTIONS, Page, read_page

from cnn_from_scratch.insight import style, trace
from cnn_from_scratch.insight.report import Material, Tried, report_html
from cnn_from_scratch.insight.report.drawings import coloured, pixel_image, signed_colours
from cnn_from_scratch.insight.report.gradients import suspicions
from cnn_from_scratch.insight.report.judged import _cell
from cnn_from_scratch.insight.report.markup import Html, joined, table, tag
from cnn_from_scratch.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Residual, Sequential, Sigmoid
from cnn_from_scratch.training import Evaluation, History

HOSTILE = '"><script>alert(1)</script>', "<img src=x onerror=alert(1)>", "&lt;b&gt;", "'x' onclick=y", "\u202eabc"

WORDS = ("alt", "aria-label")
"""Attributes that hold text."""


def material(model=None, *, channels=1, classes=10, wrong=5, count=40, names=None, **more):
    """Some images, what a network says of them, and a history."""
    model = network(channels, classes) if model is None else model
    x = images(count, channels)
    found = Evaluation.of(model.predict(x), evaluation(count, classes, wrong).targets, loss=0.5)
    rows = [{"epoch": i + 1, "loss": 1 / (i + 1), "accuracy": 0.5, "lr": 0.1, "seconds": 1.0} for i in range(3)]
    known = {
        "name": "a run",
        "model": model,
        "classes": names or [str(k) for k in range(classes)],
        "input_shape": (channels, 8, 8),
        "prepare": lambda images: images,
        "tried": Tried(found, lambda indices: x[indices], 0),
        "batch": (x[:16], found.targets[:16]),
        "history": History(rows),
    }
    return Material(**known | more)


def section(html, title):
    """The text of one section."""
    part = next(part for part in html.split("<section>") if f">{title}</h2>" in part)
    return re.sub(r"<[^>]+>", " ", part)


# --- whole pages ----------------------------------------------------------------------------------------------------


def test_sections_come_in_order_and_are_announced():
    told = []
    page = read_page(report_html(material(), told.append))
    assert tuple(told) == SECTIONS
    assert "Not in this report" not in page.text.replace("Not in this report. Nothing is known", "")


@pytest.mark.parametrize("channels", [1, 3])
def test_residual_blocks_and_colours(channels):
    block = Residual(Sequential(Conv2d(4, 4, 3, padding=1, rng=1), ReLU(), Conv2d(4, 4, 3, padding=1, rng=2)))
    model = Sequential(Conv2d(channels, 4, 3, rng=0), block, ReLU(), GlobalAvgPool2d(), Flatten(), Linear(4, 10, rng=3))
    html = report_html(material(model, channels=channels, command="cnn train"))
    assert "Not in this report" not in read_page(html).text
    assert ("in red, green and blue" in html) == (channels == 3)


def test_many_classes_have_a_picture_and_a_list():
    html = report_html(material(classes=40, names=[f"<{k}>" for k in range(40)]))
    assert "Confusion of 40 classes" in read_page(html).text + html
    assert "Most often confused" in html


def test_a_model_that_is_a_single_layer():
    text = read_page(report_html(material(Sequential(Flatten(), Linear(64, 10, rng=0))))).text
    for said in ("The network has no convolution.", "No layer gives maps.", "There is no Grad-CAM"):
        assert said in text


def test_nothing_but_a_model():
    page = read_page(report_html(material(tried=None, batch=None, history=History(), missing="They <are> away.")))
    assert page.text.count("Not in this report. They <are> away.") == 5
    assert page.text.count("There is no history") == 2
    assert "Nothing is known of how this model was trained." in page.text


def test_no_mistake():
    x, model = images(6), network()
    found = Evaluation.of(model.predict(x), model.predict(x).argmax(1), loss=0.1)
    html = report_html(material(tried=Tried(found, lambda indices: x[indices], 0)))
    assert "There is no mistake among 6 test images." in html


def test_figures_are_those_of_the_record_and_else_those_of_now():
    recorded = {"test_accuracy": 0.87654, "test_loss": 0.4321, "seconds": 61.0, "epochs": 3}
    page = Page(report_html(material(recorded=recorded)))
    assert "87.65 %" in page.text
    assert "0.4321" in page.text
    assert "3 epochs 61.0 s" in page.text
    assert "0.5000" in Page(report_html(material())).text


def test_history_in_figures():
    text = section(report_html(material()), "Learning curves")
    assert re.search(r"1\s+1\s+50.00 %\s+0.1\s+1\s", text)
    assert re.search(r"3\s+0.3333\s+50.00 %", text)


# --- hostile names --------------------------------------------------------------------------------------------------


def test_names_are_never_markup():
    known = {"name": HOSTILE[0], "command": HOSTILE[1], "notes": HOSTILE, "environment": {HOSTILE[0]: HOSTILE[1]},
             "recorded": {"optimizer": HOSTILE[0], "schedule": HOSTILE[1], "model": HOSTILE[0]}}  # fmt: skip
    html = report_html(material(classes=5, names=list(HOSTILE), **known))
    page = read_page(html)
    assert not any("alert" in str(attrs.get(name)) for _, attrs in page.elements for name in attrs if name not in WORDS)
    for name in HOSTILE:
        assert name in page.text
    assert "<script" not in html


def test_keys_of_layers_are_never_markup():
    layers = {"<b>conv</b>": Conv2d(1, 2, 3, rng=0), "<i>": ReLU(), "flat": Flatten(), "'\"": Linear(72, 10, rng=1)}
    page = read_page(report_html(material(Sequential(layers))))
    assert "i" not in {tag for tag, _ in page.elements}
    assert "<b>conv</b>" in page.text


# --- health ---------------------------------------------------------------------------------------------------------


def test_dead_units_are_named():
    model = network()
    model.params["0.bias"][:4] = -100
    text = section(report_html(material(model)), "Gradients and health")
    assert "dead units, 1: 4 of 6 channels (0, 1, 2, 3) are 0 for all of 16 examples" in " ".join(text.split())
    assert re.search(r"1\s+ReLU\s+-\s+-\s+[\d.e-]+\s+4 of 6", text)


def test_saturation_and_a_vanishing_gradient_are_found():
    model = Sequential(Flatten(), Linear(64, 8, rng=0), Sigmoid(), Linear(8, 10, rng=1))
    model.params["1.weight"][...] *= 1e4
    back = trace(model, images(16), np.arange(16) % 10, train=True)
    assert ("saturated", "2") in {(found.rule, found.key) for found in suspicions(back)}


def test_numbers_that_are_not_finite_are_said():
    model = network()
    model.params["0.weight"][0] = np.nan
    text = section(report_html(material(model)), "Gradients and health")
    assert "not finite, 0.weight: holds NaN or infinity" in " ".join(text.split())


# --- pieces ---------------------------------------------------------------------------------------------------------


def test_markup_by_hand():
    assert tag("p", "a", tag("br"), Html("<b>"), class_="x<", aria_label=None) == '<p class="x&lt;">a<br><b></p>'
    assert joined(["<", Html("<")], "&") == "&lt;&<"
    whole = table("T", ("k", "n"), [("<", 1)])
    assert '<th class="w" scope="row">&lt;</th><td class="n">1</td>' in whole.replace(
        '<th scope="row" class="w">', '<th class="w" scope="row">'
    )


def test_pixels_come_back():
    pixels = signed_colours(np.array([[-2.0, 0.0], [np.nan, 2.0]]))
    assert pixels[0, 1].min() >= 253  # the middle of 256 steps is next to white
    assert pixels[1, 0, 3] == 0
    source = Page(pixel_image(pixels, "x")).all("img")[0]["src"]
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), pixels)
    np.testing.assert_array_equal(coloured(style.RIGHT, np.array([[0.0]]))[0, 0], [255] * 4)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.2, 0.35, 0.5, 0.8, 1.0])
def test_counts_can_be_read_on_their_colours(share, right):
    """A contrast of 4.5, as WCAG 2 asks for (level AA)."""
    found = Page(_cell(3, share, right)).all("td")[0]["style"]
    ground, ink = (re.search(rf"{name}:(#\w+)", found)[1] for name in ("background", "color"))
    bright = [_luminance(colour) for colour in (ground, {"#fff": "#ffffff", "#000": "#000000"}[ink])]
    assert (max(bright) + 0.05) / (min(bright) + 0.05) >= 4.5


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
