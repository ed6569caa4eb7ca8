"""Conditions on what JSON columns hold, the same on every database."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, F, Func, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan

from ... import codec, jsonb
from ...fields import bytewise_collation
from ...filters import Node


class JSONHas(Func):
    """Whether a JSON column has a string, number, boolean or null in a place: types never cross, and 1 is 1.0.

    Args:
        path: the keys that lead there, through objects alone.
        column: which; on PostgreSQL one of ``jsonb``.
    """

    def __init__(self, path: tuple[str, ...], value: Any, column: str = "metadata") -> None:
        super().__init__(F(column), output_field=BooleanField())
        self.path, self.value = path, value

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """A walk from object to object: a path of SQLite's can't hold every key."""
        column, parameters = compiler.compile(self.source_expressions[0])
        tables, conditions, given = [], [], []
        inside = column
        for number, key in enumerate(self.path):
            tables.append(f"json_each({inside}) AS j{number}")
            conditions.append(f"j{number}.key = %s")
            given.append(key)
            inside = f"CASE j{number}.type WHEN 'object' THEN j{number}.value ELSE '{{}}' END"
        last = f"j{len(self.path) - 1}"
        match self.value:
            case None | True | False:
                conditions.append(f"{last}.type = %s")
                given.append(codec.dumps(self.value))
            case str():
                conditions.append(f"{last}.type = 'text' AND {last}.value = %s")
                given.append(self.value)
            case _:
                conditions.append(f"{last}.type IN ('integer', 'real') AND {last}.value = %s")
                given.append(self.value)
        sql = f"EXISTS (SELECT 1 FROM {', '.join(tables)} WHERE {' AND '.join(conditions)})"
        return sql, (*parameters, *given)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, parameters = compiler.compile(self.source_expressions[0])
        wanted = self.value
        for key in reversed(self.path):
            wanted = {key: wanted}
        return f"{column} @> %s::jsonb", (*parameters, codec.dumps(wanted))

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """By the text, which is the store's own."""
        column, parameters = compiler.compile(self.source_expressions[0])
        path = "$" + "".join("." + codec.dumps(key) for key in self.path)
        texts = texts_of(self.value)
        found = f"JSON_EXTRACT({column}, %s) COLLATE {bytewise_collation(connection)}"
        return f"{found} IN ({', '.join(['%s'] * len(texts))})", (*parameters, path, *texts)


class JSONMayHave(JSONHas):
    """Whether a JSON column has it, as far as the database can tell: MariaDB sees nothing of what is 31 deep."""

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, _ = compiler.compile(self.source_expressions[0])
        has, parameters = super().as_mysql(compiler, connection, **context)
        return f"({has} OR NOT JSON_VALID({column}))", parameters


def texts_of(value: Any) -> list[str]:
    """How the store writes what equals a string, number, boolean or null: a whole number in more ways than one."""
    texts = {codec.dumps(value)}
    if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
        texts |= {codec.dumps(int(value)), codec.dumps(float(value))}
        if not value:
            texts.add("-0.0")
    return sorted(texts)


class MetadataMatches(Func):
    """Whether the metadata match a filter, where the database can tell: PostgreSQL.

    Args:
        tree: as `filters.parse` gives it.
    """

    def __init__(self, tree: Node) -> None:
        super().__init__(F("metadata"), output_field=BooleanField())
        self.tree = tree

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, _ = compiler.compile(self.source_expressions[0])
        return jsonb.condition(self.tree, column)


class _JSONText(Func):
    """A JSON column's text, in the column's own collation."""

    template = "%(expressions)s"

    def __init__(self, name: str) -> None:
        super().__init__(F(name), output_field=TextField())

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)::text", **context)


def json_has_text(name: str, text: str) -> Any:
    """Whether a JSON column's text has this one in it, as it stands in JSON; upper and lower case differ."""
    return has_text(_JSONText(name), codec.dumps(text)[1:-1])


def has_text(column: str | Combinable, text: str) -> Any:
    """Whether a bytewise column has this text in it; upper and lower case differ."""
    return GreaterThan(StrIndex(column, Value(text)), 0)
