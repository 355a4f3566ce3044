"""What tests of the commands share: the command itself, and a picture to give it."""

from __future__ import annotations

from PIL import Image, ImageDraw
from typer.testing import CliRunner

from cnn_from_scratch.cli.app import app


def cnn(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def draw_one(path, *, ink=20, paper=230):
    """A slanted one with a foot."""
    image = Image.new("L", (120, 160), paper)
    pen = ImageDraw.Draw(image)
    pen.line([(40, 60), (66, 30), (60, 130)], fill=ink, width=14)
    pen.line([(38, 130), (84, 130)], fill=ink, width=14)
    image.save(path)
    return path
