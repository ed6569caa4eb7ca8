"""Every way Django has to change or remove rows, tried on the ledger's models: all refused, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.utils import NestedObjects
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, ProtectedError, Value
from django.utils import timezone

from chronos_storage.exceptions import AppendOnlyError
from chronos_storage.facade import Storage
from chronos_storage.models import AuditLog, Event, Session
from chronos_storage.records import AuditLog as AuditLogRecord
from chronos_storage.records import Checkpoint as CheckpointRecord
from chronos_storage.records import Event as EventRecord
from chronos_storage.records import Message as MessageRecord
from chronos_storage.records import Session as SessionRecord
from chronos_storage.testing.conformance.helpers import case, failing

#: What is tried, given the model, its stored rows on the tested database, and an instance that is not stored.
Attempt = Callable[[Any, Any, Any], object]

ADDITIONS: dict[str, Attempt] = {
    "save": lambda model, rows, new: new.save(using=rows.db),
    "save force_insert": lambda model, rows, new: new.save(using=rows.db, force_insert=True),
    "asave": lambda model, rows, new: async_to_sync(new.asave)(using=rows.db),
    "save_base": lambda model, rows, new: new.save_base(using=rows.db),
    "objects.create": lambda model, rows, new: model.objects.db_manager(rows.db).create(**fields(new)),
    "objects.create without arguments": lambda model, rows, new: model.objects.create(),
    "create": lambda model, rows, new: rows.create(**fields(new)),
    "acreate": lambda model, rows, new: async_to_sync(rows.acreate)(**fields(new)),
    "bulk_create": lambda model, rows, new: rows.bulk_create([new]),
    "bulk_create of nothing": lambda model, rows, new: rows.bulk_create([]),
    "abulk_create": lambda model, rows, new: async_to_sync(rows.abulk_create)([new]),
    "bulk_create ignore_conflicts": lambda model, rows, new: rows.bulk_create([new], ignore_conflicts=True),
    "bulk_create ignore_conflicts of a stored row": lambda model, rows, new: rows.bulk_create(
        [rows[0]], ignore_conflicts=True
    ),
    "get_or_create": lambda model, rows, new: rows.get_or_create(hash="new", defaults=fields(new)),
    "aget_or_create": lambda model, rows, new: async_to_sync(rows.aget_or_create)(hash="new", defaults=fields(new)),
    "update_or_create": lambda model, rows, new: rows.update_or_create(hash="new", defaults=fields(new)),
    "base manager's create": lambda model, rows, new: model._base_manager.using(rows.db).create(**fields(new)),
    "base manager's bulk_create": lambda model, rows, new: model._base_manager.using(rows.db).bulk_create([new]),
    "default manager's create": lambda model, rows, new: model._default_manager.using(rows.db).create(**fields(new)),
}
CHANGES: dict[str, Attempt] = {
    "save": lambda model, rows, new: changed(rows[0]).save(),
    "save unchanged": lambda model, rows, new: rows[0].save(),
    "save update_fields": lambda model, rows, new: changed(rows[0]).save(update_fields=["hash"]),
    "save force_update": lambda model, rows, new: changed(rows[0]).save(force_update=True),
    "asave": lambda model, rows, new: async_to_sync(changed(rows[0]).asave)(),
    "save_base": lambda model, rows, new: changed(rows[0]).save_base(),
    "save_base raw": lambda model, rows, new: changed(rows[0]).save_base(raw=True),
    "update": lambda model, rows, new: rows.update(hash="changed"),
    "update of nothing": lambda model, rows, new: rows.none().update(hash="changed"),
    "update by an expression": lambda model, rows, new: rows.filter(seq_num=1).update(seq_num=F("seq_num") + Value(9)),
    "aupdate": lambda model, rows, new: async_to_sync(rows.aupdate)(hash="changed"),
    "update under a lock": lambda model, rows, new: rows.select_for_update().update(hash="changed"),
    "bulk_update": lambda model, rows, new: rows.bulk_update([changed(rows[0])], ["hash"]),
    "abulk_update": lambda model, rows, new: async_to_sync(rows.abulk_update)([changed(rows[0])], ["hash"]),
    "bulk_create update_conflicts": lambda model, rows, new: rows.bulk_create(
        [changed(rows[0])], update_conflicts=True, update_fields=["hash"], unique_fields=["id"]
    ),
    "update_or_create": lambda model, rows, new: rows.update_or_create(seq_num=1, defaults={"hash": "changed"}),
    "aupdate_or_create": lambda model, rows, new: async_to_sync(rows.aupdate_or_create)(
        seq_num=1, defaults={"hash": "changed"}
    ),
    "update_or_create without a change": lambda model, rows, new: rows.update_or_create(seq_num=1),
    "manager's update": lambda model, rows, new: model.objects.db_manager(rows.db).update(hash="changed"),
    "base manager's update": lambda model, rows, new: model._base_manager.using(rows.db).update(hash="changed"),
}
REMOVALS: dict[str, Attempt] = {
    "delete": lambda model, rows, new: rows[0].delete(),
    "delete with its arguments": lambda model, rows, new: rows[0].delete(using=rows.db, keep_parents=True),
    "adelete": lambda model, rows, new: async_to_sync(rows[0].adelete)(),
    "QuerySet.delete": lambda model, rows, new: rows.delete(),
    "QuerySet.delete of some": lambda model, rows, new: rows.filter(seq_num__gte=2).delete(),
    "QuerySet.delete of nothing": lambda model, rows, new: rows.none().delete(),
    "QuerySet.adelete": lambda model, rows, new: async_to_sync(rows.adelete)(),
    "_raw_delete": lambda model, rows, new: rows._raw_delete(rows.db),
    "_raw_delete of some": lambda model, rows, new: rows.filter(seq_num=1)._raw_delete(using=rows.db),
    "base manager's delete": lambda model, rows, new: model._base_manager.using(rows.db).all().delete(),
    "base manager's _raw_delete": lambda model, rows, new: model._base_manager.using(rows.db)._raw_delete(rows.db),
}
RELATED: dict[str, Callable[[Any, Event], object]] = {
    "create": lambda events, new: events.create(event_id="new", seq_num=4, created_at=timezone.now()),
    "acreate": lambda events, new: async_to_sync(events.acreate)(event_id="new", seq_num=4, created_at=timezone.now()),
    "get_or_create": lambda events, new: events.get_or_create(event_id="new", defaults={"seq_num": 4}),
    "update_or_create": lambda events, new: events.update_or_create(event_id="e1", defaults={"type": "changed"}),
    "add": lambda events, new: events.add(events.all()[0]),
    "add a new one": lambda events, new: in_savepoint(events.instance._state.db, lambda: events.add(new, bulk=False)),
    "aadd": lambda events, new: async_to_sync(events.aadd)(events.all()[0]),
    "set": lambda events, new: in_savepoint(events.instance._state.db, lambda: events.set([new], bulk=False)),
    "bulk_create": lambda events, new: events.bulk_create([new]),
    "update": lambda events, new: events.update(type="changed"),
    "delete": lambda events, new: events.all().delete(),
    "filter delete": lambda events, new: events.filter(seq_num=3).delete(),
}
CASCADES: dict[str, Callable[[Any], object]] = {
    "delete": lambda sessions: sessions.get(id="s").delete(),
    "adelete": lambda sessions: async_to_sync(sessions.get(id="s").adelete)(),
    "QuerySet.delete": lambda sessions: sessions.filter(id="s").delete(),
    "QuerySet.delete of all": lambda sessions: sessions.all().delete(),
    "QuerySet.adelete": lambda sessions: async_to_sync(sessions.filter(id="s").adelete)(),
    "manager of another's": lambda sessions: Session.objects.db_manager(sessions.db).filter(pk="s").delete(),
}


def fields(instance: Any) -> dict[str, Any]:
    return {field.attname: getattr(instance, field.attname) for field in instance._meta.concrete_fields}


def changed(row: Any) -> Any:
    row.hash = "changed"
    return row


def in_savepoint(using: str, attempt: Callable[[], object]) -> None:
    """For what Django does in a block without a savepoint: whatever fails there, it ends the transaction around it."""
    with transaction.atomic(using=using):
        attempt()


def rows_of(*models: Any, using: str) -> list[Any]:
    return [list(model._base_manager.using(using).order_by("pk").values()) for model in models]


@pytest.fixture
def ledger(storage: Storage) -> Storage:
    """A session "s" with three events, three audit entries and a message."""
    storage.create_session(SessionRecord(id="s", agent_id="a"))
    storage.create_session(SessionRecord(id="without events"))
    storage.add_message(MessageRecord(id="m", session_id="s", role="user"))
    for number in (1, 2, 3):
        storage.append_event(EventRecord(id=f"e{number}", session_id="s", payload={"n": number}))
        storage.append_audit_log(AuditLogRecord(id=f"a{number}", session_id="s", detail={"n": number}))
    return storage


@pytest.fixture(params=[Event, AuditLog], ids=lambda model: model.__name__)
def model(request: pytest.FixtureRequest) -> Any:
    return request.param


def not_stored(model: Any) -> Any:
    place = {"session_id": "s", "seq_num": 4, "hash": "0" * 64, "created_at": timezone.now()}
    return Event(event_id="new", **place) if model is Event else AuditLog(id="new", chain="session:s", **place)


def refused(ledger: Storage, attempt: Callable[[], object]) -> AppendOnlyError:
    """The error of an attempt inside a host's transaction, which can then still be used; undone at its end."""
    before = rows_of(Event, AuditLog, Session, using=ledger.alias)
    with failing(transaction.atomic(using=ledger.alias)):
        with transaction.atomic(using=ledger.alias):
            with pytest.raises(AppendOnlyError) as caught:
                attempt()
            assert rows_of(Event, AuditLog, Session, using=ledger.alias) == before
            User.objects.using(ledger.alias).create(username="host")
            assert ledger.append_event(EventRecord(session_id="s")).seq_num == 4
            assert ledger.append_audit_log(AuditLogRecord(session_id="s")).seq_num == 4
        assert User.objects.using(ledger.alias).filter(username="host").exists()
        assert ledger.verify_events("s").intact
        assert ledger.verify_audit_logs("s").intact
    return caught.value


def test_adding_is_the_facade_s_alone(ledger: Storage, model: Any) -> None:
    rows = model.objects.using(ledger.alias).order_by("seq_num")
    for name, add in ADDITIONS.items():
        with case(name):
            error = refused(ledger, partial(add, model, rows.all(), not_stored(model)))
            assert {Event: "append_event()", AuditLog: "append_audit_log()"}[model] in str(error)


def test_changing_is_refused(ledger: Storage, model: Any) -> None:
    rows = model.objects.using(ledger.alias).order_by("seq_num")
    for name, change in CHANGES.items():
        with case(name):
            refused(ledger, partial(change, model, rows.all(), not_stored(model)))


def test_removing_is_refused(ledger: Storage, model: Any) -> None:
    rows = model.objects.using(ledger.alias).order_by("seq_num")
    for name, remove in REMOVALS.items():
        with case(name):
            error = refused(ledger, partial(remove, model, rows.all(), not_stored(model)))
            assert "purge_permit" in str(error)


def test_related_managers_refuse(ledger: Storage) -> None:
    for name, attempt in RELATED.items():
        session = Session.objects.using(ledger.alias).get(id="s")
        with case(name):
            refused(ledger, partial(attempt, session.events, not_stored(Event)))


def test_a_cascade_from_a_session_is_refused(ledger: Storage) -> None:
    messages = ledger.list_messages("s")
    for name, delete in CASCADES.items():
        with case(name):
            error = refused(ledger, partial(delete, Session.objects.using(ledger.alias)))
            assert "delete_session" in str(error)
            # Django's own views catch this one
            assert isinstance(error, ProtectedError)
            assert all(isinstance(row, Event) and row.session_id == "s" for row in error.protected_objects)
            assert error.protected_objects
            assert ledger.list_messages("s") == messages


def test_the_admin_names_what_keeps_a_session(ledger: Storage) -> None:
    collector = NestedObjects(using=ledger.alias, origin=Session.objects.none())
    collector.collect(Session.objects.using(ledger.alias).all())
    assert {str(row.session_id) for row in collector.protected if isinstance(row, Event)} == {"s"}


def test_a_cascade_does_not_load_the_ledger(ledger: Storage) -> None:
    ledger.append_events([EventRecord(session_id="s") for _ in range(50)])
    session = Session.objects.using(ledger.alias).get(id="s")
    with pytest.raises(ProtectedError) as caught:
        session.delete()
    assert 0 < len(caught.value.protected_objects) <= 10


def test_a_session_without_events_can_be_deleted(ledger: Storage) -> None:
    ledger.add_message(MessageRecord(session_id="without events", role="user"))
    Session.objects.using(ledger.alias).get(id="without events").delete()
    assert ledger.get_session("without events") is None
    assert ledger.count_messages("without events") == 0


def test_another_session_of_a_deleted_one_s_id_is_open_and_begins_anew(ledger: Storage) -> None:
    for _ in range(2):
        ledger.create_session(SessionRecord(id="again"))
        assert ledger.add_message(MessageRecord(session_id="again", role="user")).seq_num == 1
        assert ledger.save_checkpoint(CheckpointRecord(session_id="again")).seq_num == 1
        ledger.delete_session("again")
        Session.objects.using(ledger.alias).filter(id="again").delete()


def test_reading_is_like_any_queryset(ledger: Storage, model: Any) -> None:
    rows = model.objects.using(ledger.alias).order_by("seq_num")
    found, created = rows.get_or_create(seq_num=2)
    assert (found, created) == (rows[1], False)
    assert rows.filter(seq_num__gt=1).count() == 2
    assert [row.seq_num for row in rows.iterator()] == [1, 2, 3]
