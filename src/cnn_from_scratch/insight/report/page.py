"""A report as one page: its sections in order, each whole or with the reason why it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...errors import CnnError
from .architecture import architecture
from .fields import fields
from .gradients import gradients
from .head import again, head
from .judged import classes, mistakes
from .learned import filters, maps
from .markup import Html, joined, paragraph, tag
from .material import Material, MissingPart
from .one_number import one_number
from .sheet import SHEET
from .training import curves, learning_rate

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded, and nothing runs."""


class Section(NamedTuple):
    """One part of a report."""

    key: str
    title: str
    write: Callable[[Material], Html]
    more: str  # where the documentation says more


SECTIONS = (
    Section("again", "Make it again", again, "Guides: A training that can be broken off"),
    Section("architecture", "Architecture", architecture, "The mathematics: Convolution; Reference: layers"),
    Section("curves", "Learning curves", curves, "The mathematics: Losses"),
    Section("rate", "Learning rate", learning_rate, "The mathematics: Optimizers"),
    Section("filters", "Learned filters", filters, "The mathematics: Convolution"),
    Section("maps", "One image on its way", maps, "Reference: insight, feature_maps and trace"),
    Section("classes", "Every class", classes, "Reference: training, evaluate"),
    Section("mistakes", "The surest mistakes", mistakes, "Reference: insight, most_confident_mistakes and gradcam"),
    Section("gradients", "Gradients and health", gradients, "Reference: insight, Health and trace"),
    Section("fields", "Receptive fields", fields, "Reference: insight, receptive_windows"),
    Section("number", "One number, down to its products", one_number, "Reference: insight, explain"),
)


def report_html(material: Material, progress: Callable[[str], object] = lambda title: None) -> str:
    """The page, complete in itself: it loads nothing, runs nothing, and the same material gives the same text.

    Parameters
    ----------
    material : Material
    progress : callable
        Told the title of each section before it is made.

    Returns
    -------
    str
        HTML. All names, of classes, layers and files, are escaped.
    """
    parts = []
    for section in SECTIONS:
        progress(section.title)
        parts.append(_section(section, material))
    links = (tag("li", tag("a", section.title, href=f"#{section.key}")) for section in SECTIONS)
    contents = tag("nav", tag("ol", *links), aria_label="Contents")
    body = tag("body", tag("main", head(material), contents, *parts, _foot()))
    return f"<!doctype html>\n{tag('html', _head(material), body, lang='en')}\n"


def _head(material: Material) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{material.name}: report of a run"),
        tag("style", Html(SHEET)),
    )


def _section(section: Section, material: Material) -> Html:
    """One section; where something is not to be had, the reason."""
    try:
        inside = section.write(material)
    except MissingPart as reason:
        inside = paragraph("Not in this report. ", str(reason), class_="note")
    except (CnnError, ValueError, TypeError) as error:
        inside = paragraph(f"Not in this report. {type(error).__name__}: {error}", class_="note")
    more = paragraph("More in the documentation: ", section.more, ".", class_="soft more")
    return tag("section", tag("h2", section.title, id=section.key), inside, more)


def _foot() -> Html:
    words = (
        "Made by cnn report of CNN-From-Scratch: convolutional networks with glass walls, NumPy all the way down. "
        "This file loads nothing and runs no script."
    )
    return tag("footer", joined([paragraph(words, class_="soft")]))
