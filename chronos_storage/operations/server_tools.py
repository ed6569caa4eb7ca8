"""The programs by which PostgreSQL and MariaDB or MySQL write a database into a file, and read it back."""

from __future__ import annotations

from django.db import connections

from .dumping import ServerTools
from .mysql_tools import MysqlTools
from .postgresql_tools import PostgresTools

_TOOLS: dict[str, type[ServerTools]] = {"postgresql": PostgresTools, "mysql": MysqlTools}


def server_tools(alias: str) -> ServerTools | None:
    """The tools for the database of an alias; None where it is on no server."""
    tools = _TOOLS.get(connections[alias].vendor)
    return None if tools is None else tools(alias)
