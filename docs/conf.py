"""Settings of the documentation's site: `make docs`. It needs no network, neither to build nor to read."""

from __future__ import annotations

import re
from typing import Any, Final

from sphinx.application import Sphinx

from opendmux._version import __version__

project = "opendmux"
author = "the opendmux authors"
copyright = "the opendmux authors, Apache-2.0"  # noqa: A001 - Sphinx's own name
release = version = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_*", "clients/*/*.md"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"opendmux {__version__}"
html_copy_source = False
html_theme_options: Final[dict[str, Any]] = {"top_of_page_buttons": [], "source_edit_link": ""}
pygments_style = "friendly"
pygments_dark_style = "monokai"

FOR_THE_SITE: Final = re.compile(r"^<!-- site\n(.*?)^-->\n", re.MULTILINE | re.DOTALL)
"""What a page shows on the site alone: a reader of the plain file follows the links beside it."""


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", lambda _app, _name, source: source.__setitem__(0, FOR_THE_SITE.sub(r"\1", source[0])))
