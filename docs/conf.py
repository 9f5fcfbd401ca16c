"""How the site is built: `make site`, or `sphinx-build -W -n docs docs/_build/html`."""

from __future__ import annotations

import sys
from pathlib import Path

from gpdata import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "gpdata"
author = "The gpdata developers"
project_copyright = "The gpdata developers, Apache-2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "made_pages",
    "mathml",
    "names",
    "pairs",
    "repository_links",
    "sources",
]
exclude_patterns = ["_build"]

# Pages: what GitHub shows is what is written. Each heading can be linked to; code is run by tests, not by the build.
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]  # widgets of a live kernel have no place on a page

# API: the docstrings are numpy-style, and say what they name in single backticks.
default_role = "gpdata"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the docstring, for people
autodoc_preserve_defaults = True
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_use_param = True
napoleon_preprocess_types = False
nitpick_ignore = [("py:class", "gpdata.lake.Account")]  # of the inside: its docstring says what a user gets
nitpick_ignore_regex = [("py:.*", r"(?!gpdata\b).*")]  # a word of a type, such as "frame", is no name of ours
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "gpdata"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {page: [] for page in ("index", "tutorial", "architecture", "coming-from/*")}  # room for what is wide

linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1|.*\.example\.org|.*\blab\.org)\b.*"]
linkcheck_timeout = 15
