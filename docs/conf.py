from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from options import with_tables

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "napari-tarrow"
author = "The napari-tarrow authors"
copyright = f"2026, {author}"
version_file = Path(__file__).parent.parent / "src" / "napari_tarrow" / "__init__.py"
release = re.findall(r'__version__ = "(.+)"', version_file.read_text(encoding="utf-8"))[0]

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"napari-tarrow {release}"


def setup(app: Sphinx) -> None:
    """Make the tables of options anew in every build."""
    app.connect("env-get-outdated", lambda *_: ["options"])
    app.connect("source-read", _fill_in)


def _fill_in(app: Sphinx, page: str, source: list[str]) -> None:
    if page == "options":
        source[0] = with_tables(source[0])
