"""Legal holds: nothing of a session under one is removed, and nothing but `set_legal_hold` sets or lifts one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ...exceptions import InvalidRecord, LegalHold, NotFound
from ...facade import Storage
from ...records import AuditLog, Checkpoint, Event, Message, Session
from .helpers import case, cases, everything, open_session, populate, together
from .samples import complete_session

#: What a hold stops, to what `populate` wrote; once it is lifted each leaves the next something to remove.
REMOVALS: dict[str, Callable[[Storage], Any]] = {
    "delete_message": lambda storage: storage.delete_message("m3", session_id="s"),
    "truncate_messages": lambda storage: storage.truncate_messages("s", "m1"),
    "delete_messages": lambda storage: storage.delete_messages("s"),
    "delete_checkpoint": lambda storage: storage.delete_checkpoint("c1", session_id="s"),
    "delete_checkpoints": lambda storage: storage.delete_checkpoints("s", keep_last=0),
    "delete_artifact": lambda storage: storage.delete_artifact(storage.list_artifacts(session_id="s")[0].id),
    "purge of the first event": lambda storage: _purge(storage, "purge_events", through_seq=1),
    "purge of events": lambda storage: _purge(storage, "purge_events"),
    "purge of audit logs": lambda storage: _purge(storage, "purge_audit_logs"),
    "delete_session, hard": lambda storage: storage.delete_session("s", hard=True),
}


def _purge(storage: Storage, method: str, **named: Any) -> int:
    with storage.purge_permit(reason="old") as permit:
        count: int = getattr(permit, method)("s", **named)
    return count


def hold(storage: Storage, held: bool = True, session_id: str = "s") -> Session:
    """The session, under a hold or not any more."""
    return storage.set_legal_hold(session_id, held, actor="counsel", reason="case 7")


class LegalHoldContract:
    def test_nothing_of_the_session_is_removed_until_it_is_lifted(self, storage: Storage) -> None:
        populate(storage)
        populate(storage, "other")
        hold(storage)
        before = everything(storage)
        for name, remove in cases(REMOVALS.items()):
            with case(name), pytest.raises(LegalHold) as caught:
                remove(storage)
            assert caught.value.session_id == "s"
            assert everything(storage) == before, name
        assert storage.delete_messages("other") == 3
        assert storage.delete_session("other", hard=True) is True
        hold(storage, False)
        for name, remove in cases(REMOVALS.items()):
            with case(name):
                assert remove(storage)

    def test_a_purge_of_several_sessions_stops_as_a_whole(self, storage: Storage) -> None:
        for id in ("free", "s"):
            populate(storage, id)
        hold(storage)
        with pytest.raises(LegalHold), storage.purge_permit(reason="old") as permit:  # noqa: PT012 - the second is
            permit.purge_events("free")
            permit.purge_events("s")
        assert storage.count_events("free") == storage.count_events("s") == 3

    def test_it_goes_on_and_can_be_hidden(self, storage: Storage) -> None:
        populate(storage)
        hold(storage)
        assert storage.add_message(Message(session_id="s", role="user")).seq_num == 4
        assert storage.append_event(Event(session_id="s")).seq_num == 4
        assert storage.save_checkpoint(Checkpoint(session_id="s")).seq_num == 3
        assert storage.patch_session("s", title="new").legal_hold is True
        assert storage.patch_session_metadata("s", {"k": 1}).legal_hold is True
        assert storage.delete_session("s") is True
        with pytest.raises(LegalHold):
            storage.delete_session("s", hard=True)
        assert storage.restore_session("s").legal_hold is True

    def test_nothing_else_sets_or_lifts_it(self, storage: Storage) -> None:
        populate(storage)
        refused: dict[str, Callable[[], Any]] = {
            "create_session": lambda: storage.create_session(Session(id="new", legal_hold=True)),
            "ensure_session": lambda: storage.ensure_session(Session(id="new", legal_hold=True)),
            "save_session": lambda: storage.save_session(Session(id="new", legal_hold=True)),
            "patch_session": lambda: storage.patch_session("s", legal_hold=True),
            "fork_session": lambda: storage.fork_session("c1", id="new", legal_hold=True),
        }
        for name, write in cases(refused.items()):
            with case(name), pytest.raises(InvalidRecord) as caught:
                write()
            assert caught.value.field == "legal_hold"
        for held in (False, True):
            stored = hold(storage, held)
            given = replace(stored, legal_hold=not held, title=f"{held}")
            assert storage.update_session(given).legal_hold is held
            assert storage.save_session(replace(given, title="saved")).legal_hold is held
            session = storage.get_session("s")
            assert session is not None
            assert (session.legal_hold, session.title) == (held, "saved")
        assert storage.fork_session("c1", session_id="s", id="fork").legal_hold is False

    def test_each_call_is_an_audit_entry_that_stays(self, storage: Storage) -> None:
        made = open_session(storage, agent_id="a")
        held = hold(storage)
        assert (held.updated_at or made.created_at) >= made.updated_at
        assert replace(held, legal_hold=False, updated_at=made.updated_at) == made
        assert storage.get_session("s") == held
        assert hold(storage).legal_hold is True
        assert hold(storage, False).legal_hold is False
        storage.delete_session("s", hard=True)
        logs = storage.list_audit_logs(resource="s", action="session.legal_hold")
        assert [(log.actor, log.session_id, log.detail) for log in reversed(logs)] == [
            ("counsel", "", {"legal_hold": held, "reason": "case 7"}) for held in (True, True, False)
        ]
        assert all(verdict.intact for verdict in storage.verify_all())

    def test_a_deleted_session_can_be_held(self, storage: Storage) -> None:
        populate(storage)
        storage.delete_session("s")
        assert hold(storage).deleted_at is not None
        with pytest.raises(LegalHold):
            storage.delete_session("s", hard=True)
        hold(storage, False)
        assert storage.delete_session("s", hard=True) is True

    def test_one_that_requires_a_fence_can_be_held(self, storage: Storage) -> None:
        open_session(storage, require_fence=True)
        fence = storage.acquire("s", "worker")
        hold(storage)
        with pytest.raises(LegalHold):
            storage.delete_messages("s", fence=fence)
        assert storage.append_event(Event(session_id="s"), fence=fence).seq_num == 1

    def test_what_is_wrong_is_refused(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            hold(storage)
        open_session(storage)
        before = everything(storage)
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("held", {"held": 1}),
            ("actor", {"actor": ""}),
            ("reason", {"reason": ""}),
            ("actor", {"actor": "x" * 256}),
        ]
        for field, given in wrong:
            with case(given), pytest.raises(InvalidRecord) as caught:
                storage.set_legal_hold("s", **{"held": True, "actor": "a", "reason": "r", **given})
            assert caught.value.field == field
        assert everything(storage) == before

    def test_it_is_loaded_as_it_is(self, storage: Storage) -> None:
        storage.load([complete_session(legal_hold=True)])
        assert [session.legal_hold for session in storage.scan("session")] == [True]
        with pytest.raises(LegalHold):
            storage.delete_messages("s")
        assert storage.list_audit_logs() == []

    def test_beside_a_removal_it_comes_after_it_or_stops_it(self, storage_committed: Storage) -> None:
        storage = storage_committed
        belonging = {id: len(populate(storage, id)) for id in (f"{n}" for n in range(4))}
        ids = list(belonging)

        def remove(id: str) -> bool:
            try:
                return storage.delete_session(id, hard=True)
            except LegalHold:
                return False

        def keep(id: str) -> bool:
            try:
                return hold(storage, session_id=id).legal_hold
            except NotFound:
                return False

        jobs: list[Callable[[], bool]] = [lambda id=id, do=do: do(id) for id in ids for do in (remove, keep)]  # type: ignore[misc]
        answers = together(storage, *jobs)
        for id, removed, held in zip(ids, answers[::2], answers[1::2], strict=True):
            assert removed is not held
            left = [record for records in everything(storage).values() for record in records if _is_of(record, id)]
            assert len(left) == (0 if removed else belonging[id])
            session = storage.get_session(id)
            assert (session is not None and session.legal_hold) is held


def _is_of(record: Any, id: str) -> bool:
    return id in (record.id, getattr(record, "session_id", "")) and not (
        isinstance(record, AuditLog) and record.resource
    )
