"""The documentation site. One command builds it, and what it builds needs no network:

python -m sphinx -W --keep-going -b html docs docs/_build/html
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src")]

import made_pages  # noqa: E402

import cnn_from_scratch  # noqa: E402

project = "CNN-From-Scratch"
author = "The CNN-From-Scratch developers"
project_copyright = author
version = release = cnn_from_scratch.__version__

made_pages.write(HERE)  # the reference, the notebooks and the files of the root, as pages

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "formulas",
    "links",
]
exclude_patterns = ["_build", "_ext", "_static/mathjax", "**.ipynb_checkpoints"]
default_role = "code"

# --- Markdown and notebooks: what is committed is what is shown ---
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
suppress_warnings = ["mystnb.unknown_mime_type", "ref.python"]

# --- the reference, from the docstrings ---
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # they stand in the signature, and the docstring says what they mean
autodoc_preserve_defaults = True
add_module_names = False
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

# --- the look ---
html_theme = "furo"
html_title = "CNN-From-Scratch"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

# --- formulas: MathJax lies beside the pages, in one file ---
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {
    "options": {"enableMenu": False, "renderActions": {"addMenu": []}},
    "svg": {"fontCache": "global", "scale": 0.92},  # as high as the words around it
}
