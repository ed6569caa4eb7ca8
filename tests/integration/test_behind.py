"""Rows that models or SQL have stored without the head of their series, which has their numbers still to give."""

from __future__ import annotations

import pytest
from django.db import connections

from chronos_storage import models
from chronos_storage.exceptions import AlreadyExists, NotFound, SequenceConflict, StaleWriter, StoreFailure
from chronos_storage.facade import Storage
from chronos_storage.records import Checkpoint, Event, Message, Session
from tests.conftest import ONLY_SQLITE, STRICTEST


def store_without_head(storage: Storage, number: int) -> None:
    rows = models.Message.objects.using(storage.alias)
    rows.create(message_id=f"by hand {number}", session_id="s", role="user", seq_num=number)


def test_messages_go_on_behind_one_that_was_stored_by_its_model(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    storage.add_message(Message(session_id="s", role="user"))
    store_without_head(storage, 2)
    assert storage.add_message(Message(session_id="s", role="user")).seq_num == 3
    store_without_head(storage, 5)
    batch = storage.add_messages([Message(session_id="s", role="user") for _ in range(3)])
    assert [message.seq_num for message in batch] == [6, 7, 8]
    store_without_head(storage, 9)
    with pytest.raises(SequenceConflict) as caught:
        storage.add_message(Message(session_id="s", role="user"), expected_seq=8)
    assert caught.value.actual == 9
    assert storage.add_message(Message(session_id="s", role="user"), expected_seq=9).seq_num == 10
    assert storage.last_message_seq("s") == 10


def test_checkpoints_go_on_behind_one_that_was_stored_by_its_model(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    rows = models.Checkpoint.objects.using(storage.alias)
    rows.create(checkpoint_id="by hand", session_id="s", seq_num=1)
    with pytest.raises(AlreadyExists):
        storage.save_checkpoint(Checkpoint(session_id="s", seq_num=1))
    assert [storage.save_checkpoint(Checkpoint(session_id="s")).seq_num for _ in range(2)] == [2, 3]


def test_a_chain_does_not_go_on_behind_a_row_that_was_not_appended(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s"))
    connection = connections[storage.alias]
    with connection.cursor() as cursor:
        columns = [field.column for field in models.Event._meta.concrete_fields if not field.primary_key]
        taken = ["seq_num + 1" if name == "seq_num" else "'sql'" if name == "event_id" else name for name in columns]
        table = models.Event._meta.db_table
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(taken)} FROM {table}")
    with pytest.raises(StoreFailure, match="event chain 's' has a number 2, which was not appended"):
        storage.append_event(Event(session_id="s"))
    assert storage.verify_events("s").bad_seq == 2


def test_a_session_that_was_deleted_by_its_model_takes_no_more(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    row = models.Session.objects.using(storage.alias).filter(pk="s")
    writes = [
        lambda: storage.append_event(Event(session_id="s")),
        lambda: storage.add_messages([Message(session_id="s", role="user")]),
        lambda: storage.save_checkpoint(Checkpoint(session_id="s")),
        lambda: storage.delete_messages("s"),
    ]
    for write in writes:
        write()
    row.update(deleted_at=row.get().created_at)
    for write in writes:
        with pytest.raises(NotFound, match="deleted"):
            write()
    row.update(deleted_at=None)
    for write in writes:
        write()
    storage.delete_session("s")
    row.update(deleted_at=None)
    assert storage.append_event(Event(session_id="s")).seq_num == 3


@pytest.mark.parametrize("text", ["[1]", "null", '"x"'])
@pytest.mark.parametrize("alias", STRICTEST + ONLY_SQLITE, indirect=True)
def test_metadata_that_is_no_object_is_not_merged(storage: Storage, text: str) -> None:
    storage.create_session(Session(id="s"))
    with connections[storage.alias].cursor() as cursor:
        cursor.execute("UPDATE chronos_storage_session SET metadata = %s", [text])
    for _ in range(2):
        with pytest.raises(StoreFailure, match=r"metadata holds .*no object"):
            storage.patch_session_metadata("s", {"a": 1})


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_saving_a_session_s_row_that_was_read_earlier_does_not_set_its_token_back(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    stale = storage.acquire("s", "worker 1")
    row = models.Session.objects.using(storage.alias).get()
    fence = storage.acquire("s", "worker 2", force=True)
    row.title = "by hand"
    row.save()
    row.save(update_fields=["title", "fence_token"])
    with pytest.raises(StaleWriter):
        storage.append_event(Event(session_id="s"), fence=stale)
    storage.append_event(Event(session_id="s"), fence=fence)
    assert storage.get_session("s").title == "by hand"
    made = models.Session(id="other", fence_token=7)
    made.save(using=storage.alias)
    made.refresh_from_db()
    assert made.fence_token == 7


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_what_is_no_json_is_told_with_its_column(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    storage.add_message(Message(session_id="s", role="user"))
    for name in ("content", "metadata"):
        for text in ('{"a":', "", "{} {}", "[" * 10_000, "9" * 5_000):
            with connections[storage.alias].cursor() as cursor:
                cursor.execute(f"UPDATE chronos_storage_message SET {name} = %s", [text])
            for read in (storage.list_messages, storage.iter_messages):
                with pytest.raises(StoreFailure, match=f"Message.{name} holds what can't be read as JSON: "):
                    list(read("s"))
        models.Message.objects.using(storage.alias).update(**{name: {}})
