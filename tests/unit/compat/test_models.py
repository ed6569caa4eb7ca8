"""Undocumented parts of Django that `compat.models` uses: that they are there, and do what they did."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections, models
from django.dispatch import Signal

from chronos_storage.compat.models import GuardedModel, GuardedQuerySet, is_heard, looking_at_few, renew_lock
from chronos_storage.compat.queries import statement
from chronos_storage.exceptions import AppendOnlyError
from chronos_storage.fields import bytewise_collation
from chronos_storage.models import Container, Event, MemoryRecord, Session
from tests.conftest import ONLY_SQLITE

ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE)


class Guarded(GuardedQuerySet[Any]):
    asked: list[Any]

    def _refuse_removal(self) -> Any:
        raise AppendOnlyError

    def _changed(self, values: Any) -> int:
        type(self).asked = [(field.name, value) for field, value in values]
        return 1


@ONCE
def test_a_guarded_queryset_is_asked_before_django_writes(alias, monkeypatch):
    with pytest.raises(AppendOnlyError):
        Guarded(Container, using=alias)._raw_delete(alias)
    # As `Model.save` and what loads fixtures write a row that may be stored already.
    monkeypatch.setattr(Container._meta, "base_manager", models.Manager.from_queryset(Guarded)())
    Container._meta.base_manager.model = Container
    models.Model.save_base(Container(id="c", config={"a": 1}), using=alias, raw=True)
    assert ("config", {"a": 1}) in Guarded.asked
    assert not Container.objects.using(alias).exists()  # it was told that the row is there


def test_save_base_asks_save():
    class Asked:
        def save(self) -> None:
            raise AppendOnlyError

    class Row(GuardedModel, Asked):
        pass

    with pytest.raises(AppendOnlyError):
        Row().save_base()


@ONCE
def test_what_refers_to_a_deleted_row_is_not_loaded(alias, django_assert_num_queries):
    seen: list[Any] = []

    @looking_at_few
    def note(collector: Any, field: Any, sub_objs: Any, using: str) -> None:
        seen.append(sub_objs)

    relation = Event._meta.get_field("session").remote_field
    relation.on_delete, before = note, relation.on_delete
    try:
        Session.objects.using(alias).create(id="s").delete()
    finally:
        relation.on_delete = before
    assert [rows.model for rows in seen] == [Event]
    assert seen[0]._result_cache is None


def test_a_column_has_its_collation_and_no_check_and_is_selected_as_text(alias):
    connection = connections[alias]
    for name in ("id", "agent_id"):
        field = MemoryRecord._meta.get_field(name)
        assert field.db_parameters(connection)["collation"] == bytewise_collation(connection)
    for field in (Session._meta.get_field("metadata"), MemoryRecord._meta.get_field("value")):
        assert field.db_parameters(connection)["check"] is None
    rows = MemoryRecord.objects.using(alias)
    sql, _ = statement(rows.values("value"))
    assert ("::text" in sql) == (connection.vendor == "postgresql")
    inner, _ = statement(rows.filter(value__in=rows.values("value")).values("id"))
    assert "::text" not in inner


def test_a_signal_is_heard_where_it_has_a_receiver():
    signal, receiver = Signal(), lambda **kwargs: None
    signal.connect(receiver, sender=Session)
    assert is_heard(signal, Session)
    assert not is_heard(signal, Event)
    signal.disconnect(receiver, sender=Session)
    assert not is_heard(signal, Session)


def test_a_signals_lock_is_new():
    signal = Signal()
    before = signal.lock
    before.acquire()
    renew_lock(signal)
    assert signal.lock is not before
    signal.connect(lambda **kwargs: None, weak=False)
    assert signal.send(None)
