"""How the documentation's site is built: ``make docs`` puts it in ``build/docs``, without the network."""

from __future__ import annotations

import os
from typing import Any

import django
from django.core.management import get_commands, load_command_class
from docutils import nodes
from docutils.parsers.rst import Directive

from chronos_storage import EventQueue, SessionHandle, Storage, VectorStore

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

project = "chronos_storage"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]
nitpicky = True
# Names of Python's own documentation, which is not fetched, and types that only signatures have.
nitpick_ignore_regex = [("py:.*", ".*")]
highlight_language = "none"
default_role = "code"
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
html_copy_source = False
html_show_copyright = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False


#: Whatever may have an asynchronous variant.
METHODS = {name for owner in (Storage, SessionHandle, EventQueue, VectorStore) for name in dir(owner)} - {""}


class Commands(Directive):
    """What ``--help`` says of each management command of this package, under a heading each."""

    def run(self) -> list[nodes.Node]:
        """The sections, in the order of the commands' names."""
        return [self.section(name, app) for name, app in sorted(get_commands().items()) if name.startswith("chronos_")]

    def section(self, name: str, app: str) -> nodes.section:
        """A command's heading and its help."""
        os.environ["COLUMNS"] = "100"
        shown = load_command_class(app, name).create_parser("manage.py", name).format_help()
        section = nodes.section("", nodes.title(text=name), nodes.literal_block(shown, shown, language="none"))
        section["names"].append(name)
        self.state.document.note_implicit_target(section, section)
        return section


def skip(app: Any, what: str, name: str, member: object, skipped: bool, options: Any) -> bool | None:
    """Leave out asynchronous variants, which do what their methods do."""
    return True if name[:1] == "a" and name[1:] in METHODS else None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_directive("commands", Commands)
    app.connect("autodoc-skip-member", skip)
