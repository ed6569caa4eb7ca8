"""How the documentation's site is built: ``make docs`` puts it in ``build/docs``, without the network."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

project = "chronos_storage"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["examples"]
nitpicky = True
highlight_language = "none"
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
