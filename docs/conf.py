"""Settings of the documentation's site: `make docs`. It needs no network, neither to build nor to read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opendmux._version import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

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


def _written(_app: Sphinx, name: str, source: list[str]) -> None:
    """Leave pages that are listed and not written yet out of the index; a page that is in no list is an error."""
    if name == "index":
        head, *lists = source[0].split("```{toctree}")
        keep = [re.sub(r"(?m)^([\w-]+)\n", lambda m: m[0] if _exists(m[1]) else "", part) for part in lists]
        source[0] = "```{toctree}".join([head, *keep])


def _exists(page: str) -> bool:
    return (Path(__file__).parent / f"{page}.md").exists()


def setup(app: Sphinx) -> None:
    """See Sphinx."""
    app.connect("source-read", _written)
