"""The ledger's promise, as far as a caller of the storage sees it: chains that verify, and purges that leave a word."""

from __future__ import annotations

import json

import pytest

from ...exceptions import ChronosError
from ...facade import Storage
from ...records import AuditLog, Event, Verdict
from .helpers import column, everything, failing, needs_transactions, open_session, populate


def append(storage: Storage, count: int, session_id: str = "s") -> list[Event]:
    return storage.append_events([Event(session_id=session_id, payload=number) for number in range(count)])


class LedgerContract:
    def test_the_verdict_of_an_intact_chain(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 3)
        assert storage.verify_events("s") == Verdict(kind="event", chain="s", last_seq=3, checked=3)
        assert storage.verify_events("s").intact
        open_session(storage, "empty")
        assert storage.verify_events("empty") == Verdict(kind="event", chain="empty")
        assert storage.verify_events("unknown") == Verdict(kind="event", chain="unknown")

    def test_every_chain_of_the_store_is_verified(self, storage: Storage) -> None:
        populate(storage, "s1")
        populate(storage, "s2")
        storage.append_audit_log(AuditLog(agent_id="a"))
        storage.delete_session("s2")
        verdicts = list(storage.verify_all())
        found = {(verdict.kind, verdict.chain): verdict.checked for verdict in verdicts}
        assert found == {
            ("event", "s1"): 3,
            ("event", "s2"): 3,
            ("audit_log", "session:s1"): 2,
            ("audit_log", "session:s2"): 2,
            ("audit_log", "agent:a"): 1,
        }
        assert len(verdicts) == len({(verdict.kind, verdict.chain) for verdict in verdicts})
        assert all(verdict.intact for verdict in verdicts)


class PurgeContract:
    def test_the_beginning_of_a_chain_can_be_purged(self, storage: Storage) -> None:
        open_session(storage, "s")
        open_session(storage, "other")
        append(storage, 5)
        append(storage, 1, "other")
        with storage.purge_permit(reason="too old") as permit:
            assert permit.purge_events("s", through_seq=2) == 2
        assert column(storage.list_events("s"), "seq_num") == [3, 4, 5]
        assert storage.verify_events("s") == Verdict(kind="event", chain="s", base_seq=2, last_seq=5, checked=3)
        assert append(storage, 1)[0].seq_num == 6
        assert storage.count_events("s") == 4
        assert storage.count_events("other") == 1
        with storage.purge_permit(reason="again") as permit:
            assert permit.purge_events("s", through_seq=2) == 0
            assert permit.purge_events("s", through_seq=4) == 2
        assert storage.verify_events("s") == Verdict(kind="event", chain="s", base_seq=4, last_seq=6, checked=2)

    def test_a_whole_chain_can_be_purged_and_its_numbers_go_on(self, storage: Storage) -> None:
        """Against: a run that restarts at 0."""
        open_session(storage)
        append(storage, 3)
        with storage.purge_permit(reason="asked for") as permit:
            assert permit.purge_events("s") == 3
        assert storage.list_events("s") == []
        assert (storage.count_events("s"), storage.last_seq("s")) == (0, 3)
        assert storage.verify_events("s") == Verdict(kind="event", chain="s", base_seq=3, last_seq=3)
        assert storage.append_event(Event(session_id="s"), expected_seq=3).seq_num == 4
        assert storage.verify_events("s") == Verdict(kind="event", chain="s", base_seq=3, last_seq=4, checked=1)

    def test_audit_entries_can_be_purged(self, storage: Storage) -> None:
        for fields in ({"session_id": "s", "agent_id": "a"}, {"agent_id": "a"}, {"session_id": "s"}, {"agent_id": "a"}):
            storage.append_audit_log(AuditLog(action="kept or not", **fields))
        with storage.purge_permit(reason="old") as permit:
            assert permit.purge_audit_logs("s", through_seq=1) == 1
            assert permit.purge_audit_logs(agent_id="a") == 2
        assert [(log.session_id, log.seq_num) for log in storage.list_audit_logs(action="kept or not")] == [("s", 2)]
        assert storage.verify_audit_logs("s").base_seq == 1
        assert storage.append_audit_log(AuditLog(agent_id="a")).seq_num >= 3
        assert all(verdict.intact for verdict in storage.verify_all())

    def test_a_purge_leaves_a_word_of_what_went_and_why(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 3)
        with storage.purge_permit(reason="the user asked to be forgotten") as permit:
            permit.purge_events("s")
        [entry] = storage.list_audit_logs()
        words = json.dumps([entry.action, entry.resource, entry.detail])
        assert "the user asked to be forgotten" in words
        assert '"s"' in words or ':s"' in words
        assert entry.session_id == ""
        assert storage.verify_audit_logs(agent_id=entry.agent_id).intact

    def test_a_permit_ends_with_its_block(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 1)
        with storage.purge_permit(reason="nothing yet") as permit:
            pass
        with pytest.raises(ChronosError):
            permit.purge_events("s")
        assert storage.count_events("s") == 1

    def test_a_purge_that_fails_midway_removes_nothing(self, storage: Storage) -> None:
        needs_transactions(storage)
        open_session(storage)
        append(storage, 3)
        before = everything(storage)
        with failing(storage.purge_permit(reason="in vain")) as permit:
            assert permit.purge_events("s") == 3
        assert everything(storage) == before
        assert storage.verify_events("s") == Verdict(kind="event", chain="s", last_seq=3, checked=3)
