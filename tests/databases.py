"""New databases on the tests' servers, for tests that may do anything to them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connections

#: Where a new database can be made: in a file, or on a server by its alias.
PLACES = ["sqlite", *(alias for alias in settings.DATABASES if alias != "default")]


@contextmanager
def new_databases(place: str, folder: Path, count: int = 1) -> Iterator[list[str]]:
    """The addresses of new databases without a table, which are gone afterwards."""
    if place == "sqlite":
        yield [f"sqlite:///{folder}/{number}.sqlite3" for number in range(count)]
        return
    url = urlsplit(os.environ[f"TEST_{place.upper()}_URL"])
    names = [f"chronos_new_{secrets.token_hex(4)}" for _ in range(count)]
    with connections[place]._nodb_cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE DATABASE {name}")
    yield [url._replace(path=f"/{name}").geturl() for name in names]
    opened = [alias for alias in connections if connections[alias].settings_dict["NAME"] in names]
    for alias in opened:
        connections[alias].close()
    # The server may not have noticed yet that a process which was killed is gone.
    force = " WITH (FORCE)" if connections[place].vendor == "postgresql" else ""
    with connections[place]._nodb_cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP DATABASE {name}{force}")


def hand_written(url: str, **settings: Any) -> str:
    """A new alias for the database of this address, with settings as they are written by hand: nothing but these."""
    parts, alias = urlsplit(url), f"new_{secrets.token_hex(4)}"
    engine = {"postgres": "postgresql", "mysql": "mysql", "sqlite": "sqlite3"}[parts.scheme]
    address = {"NAME": parts.path[1:], "USER": parts.username, "HOST": parts.hostname, "PORT": parts.port}
    written = {"ENGINE": f"django.db.backends.{engine}", **address, **settings}
    connections.settings |= connections.configure_settings({"default": connections.settings["default"], alias: written})
    return alias


def require(variable: str, reason: str) -> None:
    """Leave a module's tests out, without collecting them, where no server's address stands in this variable."""
    if not os.environ.get(variable):
        pytest.skip(reason, allow_module_level=True)


needs_mongodb = pytest.mark.skipif(not os.environ.get("TEST_MONGODB_URL"), reason="MongoDB is not installed")


@contextmanager
def new_mongodb() -> Iterator[tuple[str, str]]:
    """The address of a MongoDB server, and the name of a new database there, which is gone afterwards."""
    from pymongo import MongoClient

    uri, name = os.environ["TEST_MONGODB_URL"], f"chronos_new_{secrets.token_hex(4)}"
    try:
        yield uri, name
    finally:
        with MongoClient(uri) as client:
            client.drop_database(name)


needs_dynamodb = pytest.mark.skipif(not os.environ.get("TEST_DYNAMODB_URL"), reason="DynamoDB is not installed")


def new_dynamodb() -> tuple[str, str]:
    """The address of a server that speaks as DynamoDB does, and the name of a new table there."""
    return os.environ["TEST_DYNAMODB_URL"], f"chronos_new_{secrets.token_hex(4)}"
