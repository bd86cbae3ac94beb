from __future__ import annotations

import re
from pathlib import Path

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
