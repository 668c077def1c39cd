"""Settings of the documentation's builder (Sphinx); `make docs` runs it."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from generated_pages import site_links, write_pages  # noqa: E402

import lead.generation  # noqa: E402, F401 - here pydantic may look at annotations as they are,
import lead.training.inversion_stage  # noqa: E402, F401 - which autodoc's own import prevents
from lead import __version__  # noqa: E402

write_pages(HERE.parent, HERE / "generated")

project = "lead"
author = "the lead authors"
copyright = "the lead authors, MIT licence"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False

html_theme = "furo"
html_title = "lead"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False


def setup(app) -> None:
    """Let links leave ``docs``, and docstrings write |x|² as mathematics does."""
    app.connect("source-read", _site_links)
    app.connect("autodoc-process-docstring", _escape_bars)
    app.connect("autodoc-process-signature", _shorten)


def _site_links(app, name: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(name))
    if page.parent.name != "generated":
        source[0] = site_links(source[0], page, HERE.parent)


def _escape_bars(app, what, name, obj, options, lines) -> None:
    for place, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[place] = "".join(parts)


def _shorten(app, what, name, obj, options, signature, returned):
    """Names without their modules where a default that is no expression hides them from Sphinx."""
    short = [text and re.sub(r"~(?:\w+\.)+", "", text) for text in (signature, returned)]
    return tuple(text and text.replace("<factory>", "...") for text in short)
