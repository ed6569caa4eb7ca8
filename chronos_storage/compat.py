"""What is used of Django and the drivers without being documented: here and nowhere else.

Each has a test in ``tests/unit/test_compat.py`` that fails where an upgrade changes it.
"""

from __future__ import annotations

from typing import Any

from django.db import connections


def add_database(alias: str, settings: dict[str, Any]) -> None:
    """Make a database known to this process that the host's settings don't name.

    Args:
        settings: as an entry of ``DATABASES``; what is left out gets Django's defaults.
    """
    handler: Any = connections
    handler.settings |= handler.configure_settings({"default": handler.settings["default"], alias: settings})
