"""Settings of the documentation's site: `make docs`. It needs no network, neither to build nor to read."""

from __future__ import annotations

from typing import Any, Final

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
