"""Undocumented parts of Django that `compat.queries` uses: that they are there, and do what they did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext

from chronos_storage.compat.queries import (
    can_return_inserted,
    can_return_updated,
    converted_of,
    delete_unseen,
    expression_sql,
    fetch_statement,
    fetch_values,
    for_writing,
    is_for_update,
    selected,
    statement,
    updating,
    upserting,
)
from chronos_storage.compat.schema import quoted
from chronos_storage.models import Session
from chronos_storage.preparing import prepared_cursor
from chronos_storage.records import now
from tests.conftest import ONLY_SQLITE

ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE)
THEN = datetime(2025, 3, 4, 5, 6, 7, 89, UTC)


def test_a_statement_is_the_querysets(alias):
    rows = Session.objects.using(alias).filter(id="s").values_list("id")
    Session.objects.using(alias).create(id="s")
    with connections[alias].cursor() as cursor:
        cursor.execute(*statement(rows))
        assert list(cursor.fetchall()) == [("s",)]
    with pytest.raises(EmptyResultSet):
        statement(rows.filter(id__in=[]))


@ONCE
def test_who_locks_what_it_reads_says_so(alias):
    rows = Session.objects.using(alias).filter(id="s")
    assert not is_for_update(rows)
    assert is_for_update(rows.select_for_update()[:1])


def test_an_expressions_text_names_no_table(alias):
    lower = expression_sql(alias, Session, Lower("title"))
    assert lower == f"LOWER({quoted(connections[alias], 'title')})"


def test_values_are_those_of_values_list(alias):
    columns = ("id", "title", "metadata", "created_at", "deleted_at")
    Session.objects.using(alias).create(id="s", title="T", metadata={"a": [1, 1.5, None]}, created_at=THEN)
    Session.objects.using(alias).create(id="later")
    rows = Session.objects.using(alias).order_by("created_at")
    found = list(fetch_values(rows, columns))
    assert found == list(rows.values_list(*columns))
    assert found[0] == ("s", "T", {"a": [1, 1.5, None]}, THEN, None)
    assert found[0][3].tzinfo is UTC
    assert list(fetch_values(rows, columns, lambda cursor: [cursor.fetchone()])) == found[:1]
    assert list(fetch_values(rows.filter(id="none"), columns)) == []
    assert list(fetch_values(rows.filter(id__in=[]), columns)) == []


def test_a_statement_gives_the_rows_that_it_wrote(alias):
    connection = connections[alias]
    rows, columns = Session.objects.using(alias), ("title", "metadata", "created_at", "id")
    new = [Session(id=id, title="T", metadata={"é": [1.5, None]}, created_at=THEN) for id in ("a", "b")]
    assert can_return_inserted(connection)

    def upserted_of(new):
        return sorted(fetch_statement(connection, *upserting(rows, columns, new, ["title"], "id")), key=str)

    inserted = [("T", {"é": [1.5, None]}, THEN, id) for id in ("a", "b")]
    assert upserted_of(new) == sorted(inserted, key=str)
    again = [Session(id="a", title="U", created_at=now()), Session(id="c", created_at=THEN)]
    upserted = [("U", {"é": [1.5, None]}, THEN, "a"), ("", {}, THEN, "c")]
    assert upserted_of(again) == sorted(upserted, key=str)
    if not can_return_updated(connection):
        assert connection.vendor == "mysql"
        return
    changes = {"title": Lower("title"), "metadata": {}}

    def updated(*ids: str) -> list[Any]:
        statement = updating(rows.filter(id__in=ids), columns, changes)
        return list(fetch_statement(connection, *statement, cursor_of=prepared_cursor))

    found = updated("a", "x")
    assert found == [("u", {}, THEN, "a")]
    assert not updated("x")


def test_an_expression_is_part_of_another_statement(alias):
    Session.objects.using(alias).create(id="s", title="four", metadata={"a": [1]})
    rows = Session.objects.using(alias)
    more = rows.annotate(more=models.functions.Length("title") + 3)
    sql, parameters, _ = selected(more.values("more"))
    assert list(rows.annotate(again=RawSQL(sql, parameters)).values_list("again", flat=True)) == [7]
    sql, parameters, expressions = selected(more.values_list("metadata", "more"))
    statement = f"SELECT {sql} FROM {quoted(connections[alias], Session._meta.db_table)}"
    converted = converted_of(rows, expressions)
    assert list(fetch_statement(connections[alias], statement, parameters, converted)) == [({"a": [1]}, 7)]


@ONCE
def test_rows_are_those_of_the_alias_for_writing(alias, settings):
    settings.DATABASE_ROUTERS = [f"{__name__}.Elsewhere"]
    assert Session.objects.all().db == "elsewhere"
    assert for_writing(Session.objects.all()).db == alias
    assert for_writing(Session.objects.using("elsewhere")).db == "elsewhere"


class Elsewhere:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "elsewhere"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@ONCE
def test_rows_are_deleted_in_one_statement_and_unseen(alias):
    Session.objects.using(alias).create(id="s")
    heard: list[Any] = []
    listen = post_delete.connect(lambda **kwargs: heard.append(kwargs), sender=Session, weak=False)
    with CaptureQueriesContext(connections[alias]) as queries:
        assert delete_unseen(Session.objects.using(alias).filter(id="s"), alias) == 1
    assert len(queries) == 1
    assert heard == []
    post_delete.disconnect(listen, sender=Session)
