"""Deleting sessions: softly, so that they are hidden and closed and can be restored, and for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ...exceptions import AlreadyExists, AmbiguousId, InvalidRecord, NotFound
from ...facade import Storage
from ...records import Checkpoint, Event, Message, Session
from .helpers import case, column, everything, open_session, populate, say, together

CHANGES: dict[str, Callable[[Storage], Any]] = {
    "save_session": lambda storage: storage.save_session(Session(id="s", title="back")),
    "update_session": lambda storage: storage.update_session(Session(id="s", title="back")),
    "patch_session": lambda storage: storage.patch_session("s", title="back"),
    "patch_session_metadata": lambda storage: storage.patch_session_metadata("s", {"back": True}),
    "add_message": lambda storage: storage.add_message(Message(session_id="s", role="user")),
    "add_messages": lambda storage: storage.add_messages(
        [Message(session_id=id, role="user") for id in ("other", "s", "other")]
    ),
    "delete_message": lambda storage: storage.delete_message("m1", session_id="s"),
    "delete_messages": lambda storage: storage.delete_messages("s"),
    "truncate_messages": lambda storage: storage.truncate_messages("s", "m1"),
    "append_event": lambda storage: storage.append_event(Event(session_id="s")),
    "append_event as expected": lambda storage: storage.append_event(Event(session_id="s"), expected_seq=3),
    "append_events": lambda storage: storage.append_events([Event(session_id=id) for id in ("other", "s", "other")]),
    "save_checkpoint": lambda storage: storage.save_checkpoint(Checkpoint(session_id="s")),
    "delete_checkpoint": lambda storage: storage.delete_checkpoint("c1", session_id="s"),
    "delete_checkpoints": lambda storage: storage.delete_checkpoints("s", keep_last=0),
}


class SoftDeletionContract:
    def test_it_is_hidden(self, storage: Storage) -> None:
        open_session(storage, agent_id="a", image_id="i")
        kept = open_session(storage, "kept", agent_id="a")
        assert storage.delete_session("s") is True
        assert storage.get_session("s") is None
        assert storage.list_sessions() == storage.list_sessions("a") == list(storage.iter_sessions()) == [kept]
        assert storage.get_image_session("i") is None

    def test_it_can_be_asked_for(self, storage: Storage) -> None:
        made = open_session(storage)
        storage.delete_session("s")
        deleted = storage.get_session("s", include_deleted=True)
        assert deleted is not None
        assert deleted.deleted_at is not None
        assert made.created_at is not None
        assert deleted.deleted_at >= made.created_at
        assert storage.list_sessions(include_deleted=True) == [deleted]
        assert list(storage.iter_sessions(include_deleted=True)) == [deleted]

    def test_a_session_is_deleted_once(self, storage: Storage) -> None:
        """Against: an update of a missing row that reports success."""
        assert storage.delete_session("s") is False
        open_session(storage)
        assert storage.delete_session("s") is True
        deleted = storage.get_session("s", include_deleted=True)
        assert storage.delete_session("s") is False
        assert storage.get_session("s", include_deleted=True) == deleted

    def test_its_id_stays_taken(self, storage: Storage) -> None:
        open_session(storage)
        storage.delete_session("s")
        with pytest.raises(AlreadyExists, match=r"deleted.*restore_session"):
            open_session(storage)

    def test_what_belongs_to_it_stays_readable_and_verifiable(self, storage: Storage) -> None:
        populate(storage)
        before = everything(storage)
        storage.delete_session("s")
        after = everything(storage)
        assert {kind: records for kind, records in after.items() if kind != "session"} == {
            kind: records for kind, records in before.items() if kind != "session"
        }
        assert column(storage.list_messages("s"), "id") == ["m1", "m2", "m3"]
        assert storage.count_messages("s") == storage.count_events("s") == storage.last_seq("s") == 3
        assert storage.get_latest_checkpoint("s").id == "c2"
        assert len(storage.list_traces("s")) == len(storage.list_audit_logs("s")) == 2
        assert storage.verify_events("s").checked == 3
        assert storage.verify_events("s").intact
        assert storage.verify_audit_logs("s").intact

    def test_of_a_closed_session_even_nothing_is_not_deleted(self, storage: Storage) -> None:
        open_session(storage)
        storage.delete_session("s")
        with pytest.raises(NotFound):
            storage.delete_messages("s")

    def test_what_belongs_to_it_is_found_by_id_alone_only_where_no_live_session_has_the_id(
        self, storage: Storage
    ) -> None:
        for id in ("a", "b", "c"):
            populate(storage, id)
        for deleted, found in (("a", ""), ("b", "c"), ("c", "")):
            storage.delete_session(deleted)
            for get, id in (("get_message", "m1"), ("get_event", "e1"), ("get_checkpoint", "c1")):
                if found:
                    assert getattr(storage, get)(id).session_id == found
                else:
                    with pytest.raises(AmbiguousId):
                        getattr(storage, get)(id)
        storage.restore_session("b")
        assert storage.delete_message("m1") is True
        assert column(storage.list_messages("b"), "id") == ["m2", "m3"]

    def test_it_is_closed_to_writers(self, storage: Storage) -> None:
        """Against: soft-deleted rows that come back by an update."""
        populate(storage)
        open_session(storage, "other")
        storage.delete_session("s")
        before = everything(storage)
        for name, change in CHANGES.items():
            with case(name), pytest.raises(NotFound):
                change(storage)
            assert everything(storage) == before, name
        assert storage.get_session("s") is None


class RestoreContract:
    def test_it_is_as_before(self, storage: Storage) -> None:
        populate(storage)
        made, before = storage.get_session("s"), everything(storage)
        storage.delete_session("s")
        restored = storage.restore_session("s")
        assert restored.deleted_at is None
        assert restored.updated_at > made.updated_at
        assert replace(restored, updated_at=made.updated_at) == made
        assert storage.get_session("s") == restored
        assert storage.list_sessions() == [restored]
        before["session"] = [restored]
        assert everything(storage) == before

    def test_it_takes_more_and_numbers_go_on(self, storage: Storage) -> None:
        populate(storage)
        storage.delete_session("s")
        storage.restore_session("s")
        assert storage.add_message(Message(session_id="s", role="user")).seq_num == 4
        assert storage.append_event(Event(session_id="s"), expected_seq=3).seq_num == 4
        assert storage.save_checkpoint(Checkpoint(session_id="s")).seq_num == 3
        assert storage.patch_session("s", title="back").title == "back"
        assert storage.verify_events("s").checked == 4
        assert storage.delete_session("s") is True
        with pytest.raises(NotFound):
            storage.append_event(Event(session_id="s"))

    def test_one_that_never_had_anything(self, storage: Storage) -> None:
        open_session(storage)
        storage.delete_session("s")
        storage.restore_session("s")
        assert storage.add_message(Message(session_id="s", role="user")).seq_num == 1

    def test_what_is_not_deleted_is_not_found(self, storage: Storage) -> None:
        made = open_session(storage)
        for id in ("s", "unheard of"):
            with pytest.raises(NotFound, match=id):
                storage.restore_session(id)
        assert storage.get_session("s") == made
        storage.delete_session("s", hard=True)
        with pytest.raises(NotFound):
            storage.restore_session("s")

    def test_an_id_must_be_a_string(self, storage: Storage) -> None:
        for wrong in (None, 7, "\x00"):
            with case(wrong):
                with pytest.raises(InvalidRecord) as refused:
                    storage.restore_session(wrong)
                assert refused.value.field == "id"

    def test_restoring_and_writing_at_once(self, storage_committed: Storage) -> None:
        """One of several restores wins; a writer finds the session closed or open, and never in between."""
        storage = storage_committed
        populate(storage)
        storage.delete_session("s")

        def restore() -> int:
            try:
                storage.restore_session("s")
            except NotFound:
                return 0
            return 1

        def append() -> int:
            try:
                return storage.append_event(Event(session_id="s")).seq_num
            except NotFound:
                return 0

        *restored, appended = together(storage, restore, restore, restore, append)
        assert sum(restored) == 1
        assert appended in (0, 4)
        assert storage.append_event(Event(session_id="s")).seq_num == max(4, appended + 1)
        assert storage.verify_events("s").intact


class HardDeletionContract:
    @pytest.mark.parametrize("softly_before", [False, True])
    def test_all_that_belongs_to_it_goes(self, storage: Storage, softly_before: bool) -> None:
        populate(storage)
        kept = populate(storage, "other", "another user")
        if softly_before:
            storage.delete_session("s")
        assert storage.delete_session("s", hard=True) is True
        assert storage.get_session("s", include_deleted=True) is None
        left = [record for records in everything(storage).values() for record in records]
        assert [record for record in left if getattr(record, "session_id", None) == "s"] == []
        assert len([record for record in left if getattr(record, "session_id", None) == "other"]) == len(kept) - 1
        assert storage.count_messages("s") == storage.count_events("s") == storage.last_seq("s") == 0
        assert storage.get_message("m1").session_id == "other"
        assert all(verdict.intact for verdict in storage.verify_all())

    def test_it_leaves_an_audit_entry(self, storage: Storage) -> None:
        populate(storage)
        storage.delete_session("s", hard=True)
        [entry] = storage.list_audit_logs()
        assert entry.session_id == ""
        assert "s" in entry.resource.split(":")
        assert storage.verify_audit_logs(agent_id=entry.agent_id).checked == 1

    def test_what_is_not_there_leaves_no_trace(self, storage: Storage) -> None:
        assert storage.delete_session("s", hard=True) is False
        open_session(storage)
        assert [storage.delete_session("s", hard=True) for _ in range(2)] == [True, False]
        assert len(storage.list_audit_logs()) == 1

    def test_its_id_is_free_again_and_all_numbers_begin_anew(self, storage: Storage) -> None:
        populate(storage)
        storage.delete_session("s", hard=True)
        populate(storage)
        assert column(storage.list_messages("s"), "seq_num") == [1, 2, 3]
        assert column(storage.list_events("s"), "seq_num") == [1, 2, 3]
        assert column(storage.list_checkpoints("s"), "seq_num") == [2, 1]
        assert storage.verify_events("s").base_seq == 0
        assert all(verdict.intact for verdict in storage.verify_all())

    def test_the_longest_id_can_be_deleted(self, storage: Storage) -> None:
        id = "\U0001f642" * 255
        open_session(storage, id)
        storage.append_event(Event(session_id=id))
        assert storage.delete_session(id, hard=True) is True
        assert len(storage.list_audit_logs()) == 1

    def test_other_sessions_of_similar_ids_stay(self, storage: Storage) -> None:
        for id in ("s", "S", "s ", "s1", "%", "_"):
            open_session(storage, id)
            say(storage, "m", session_id=id)
        for id in ("s", "%", "_"):
            storage.delete_session(id, hard=True)
        assert sorted(column(storage.scan("session"), "id")) == ["S", "s ", "s1"]
        assert sorted(column(storage.scan("message"), "session_id")) == ["S", "s ", "s1"]
