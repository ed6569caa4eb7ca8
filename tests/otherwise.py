"""Settings by which the suites run a second way, so that what they show does not hang on how they were first run.

DATABASES are written by hand, with nothing in them that nobody needs. Stores are given no alias: a router says where
they write, and a wrong place to read. Transactions keep to a snapshot, as MariaDB's own default is.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from tests.settings import *  # noqa: F403

ROUTED = True
DATABASE_ROUTERS = ["tests.routers.Routed", "tests.routers.VectorsElsewhere"]
# Of no table that a store may ask for.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
_LEVELS: dict[str, tuple[str, dict[str, Any]]] = {
    "postgres": ("postgresql", {"isolation_level": 3}),
    "postgres15": ("postgresql", {}),  # the whole suite, which is run on it here alone
    "mariadb": ("mysql", {"isolation_level": "repeatable read"}),
}
for _alias, (_engine, _options) in _LEVELS.items():
    if _url := os.environ.get(f"TEST_{_alias.upper()}_URL"):
        _parts = urlsplit(_url)
        DATABASES[_alias] = {
            "ENGINE": f"django.db.backends.{_engine}",
            "NAME": _parts.path[1:],
            "USER": _parts.username,
            "PASSWORD": _parts.password or "",
            "HOST": _parts.hostname,
            "PORT": _parts.port,
            "OPTIONS": _options,
            "TEST": {"NAME": "chronos_otherwise", "DEPENDENCIES": []},
        }
