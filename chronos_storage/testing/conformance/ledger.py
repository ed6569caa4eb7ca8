"""The ledger's promise, as far as a caller of the storage sees it: chains that verify, and purges that leave a word."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ...backends.base import Backend, SeriesHead
from ...exceptions import ChronosError, InvalidRecord
from ...facade import Storage
from ...records import AuditLog, ChainHead, Checkpoint, Event, Message, Verdict
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

    def test_heads_say_where_each_chain_ends_and_begins(self, storage: Storage) -> None:
        open_session(storage)
        appended = append(storage, 3)
        of_agent = storage.append_audit_log(AuditLog(agent_id="a"))
        open_session(storage, "empty")
        zero = "0" * 64
        assert list(storage.chain_heads()) == [
            ChainHead(kind="event", chain="s", seq_num=3, hash=appended[2].hash, base_seq=0, base_hash=zero),
            ChainHead(kind="audit_log", chain="agent:a", seq_num=1, hash=of_agent.hash, base_seq=0, base_hash=zero),
        ]
        with storage.purge_permit(reason="old") as permit:
            permit.purge_events("s", through_seq=2)
        head = next(storage.chain_heads())
        assert (head.seq_num, head.hash) == (3, appended[2].hash)
        assert (head.base_seq, head.base_hash) == (2, appended[1].hash)

    def test_a_chain_can_begin_where_another_store_purged_it(self, storage: Storage) -> None:
        open_session(storage)
        base = "ab" * 32
        for seq_num in (4, 7):  # the second time it has begun
            storage.backend.set_base(Event, "s", seq_num, base)
        storage.backend.set_base(AuditLog, "agent:a", 2, base)
        assert column([*append(storage, 2), storage.append_audit_log(AuditLog(agent_id="a"))], "seq_num") == [5, 6, 3]
        assert storage.count_events("s") == 2
        assert all(verdict.intact for verdict in storage.verify_all())
        assert list(storage.backend.heads(Event)) == [SeriesHead("s", "", 6, 4, base)]
        assert list(storage.backend.heads(AuditLog, "agent:a")) == [SeriesHead("agent:a", "", 3, 2, base)]
        assert list(storage.backend.heads(Event, "unknown")) == []

    def test_every_series_of_checkpoints_has_a_head(self, storage: Storage) -> None:
        for id in ("s", "t"):
            open_session(storage, id)
            for namespace in ("", "inner", "inner"):
                storage.save_checkpoint(Checkpoint(session_id=id, namespace=namespace))
            storage.add_message(Message(session_id=id, role="user"))
            append(storage, 2, id)
            storage.append_audit_log(AuditLog(session_id=id))
        found = [SeriesHead(id, *of) for id in ("s", "t") for of in (("", 1), ("inner", 2))]
        assert list(storage.backend.heads(Checkpoint)) == found
        assert list(storage.backend.heads(Checkpoint, "t")) == found[2:]
        for record in (Message, Event, AuditLog, Checkpoint):  # as a backend has them that keeps none of its own
            assert list(Backend.heads(storage.backend, record)) == list(storage.backend.heads(record))

    def test_a_chain_is_read_as_it_is_stored(self, storage: Storage) -> None:
        open_session(storage)
        appended = append(storage, 4)
        logs = [storage.append_audit_log(AuditLog(action=action, **of)) for of in OWNERS for action in ("b", "a")]
        assert storage.list_chain("event", "s") == appended
        assert storage.list_chain("event", "s", 1, limit=2) == appended[1:3]
        for chain, own in (("session:s", logs[:2]), ("agent:a", logs[2:4]), ("agent:", logs[4:])):
            assert storage.list_chain("audit_log", chain) == own
            assert storage.list_chain("audit_log", chain, 1, limit=1) == own[1:]
            assert storage.list_chain("audit_log", chain, limit=0) == []
        assert storage.list_chain("audit_log", "s") == []
        for wrong in (lambda: storage.list_chain("message", "s"), lambda: storage.list_chain("event", "s", -1)):
            with pytest.raises(InvalidRecord):
                wrong()


#: Whose audit entries stand in chains of their own.
OWNERS: tuple[dict[str, str], ...] = ({"session_id": "s", "agent_id": "a"}, {"agent_id": "a"}, {})


class ErasedRowsContract:
    def test_rows_in_the_middle_of_a_chain_can_be_emptied(self, storage: Storage) -> None:
        """Against: a person's rows that stay since others' chains would break without them."""
        open_session(storage)
        before = [
            storage.append_event(Event(session_id="s", id=id, type="said", payload={"by": "ann"}, schema="x"))
            for id in ("", "ann-2", "ann-3", "")
        ]
        with storage.purge_permit(reason="asked to") as permit:
            assert permit.erase_events("s", [1, 2, 2, 99]) == 2
            assert permit.erase_events("s", [2, 3]) == 1
        first, second, third, last = storage.list_events("s")
        assert [first.id, last] == [before[0].id, before[3]]
        assert "ann" not in repr((first, second, third))
        for found, was in zip((first, second, third), before, strict=False):
            assert (found.seq_num, found.hash, found.created_at) == (was.seq_num, was.hash, was.created_at)
            assert (found.type, found.payload, found.schema) == ("", None, "")
            assert storage.get_event(found.id, session_id="s") == found
        assert storage.get_event("ann-2", session_id="s") is None
        assert list(map(len, column([first, second, third, last], "erased"))) == [64, 128, 128, 0]
        verdict = Verdict(kind="event", chain="s", last_seq=4, checked=4, erased=3)
        assert storage.verify_events("s") == verdict
        assert (append(storage, 1)[0].seq_num, storage.verify_events("s").intact) == (5, True)
        assert permit.audit_log is not None
        assert permit.audit_log.detail["erased"] == [{"kind": "event", "chain": "s", "rows": 3}]
        with storage.purge_permit(reason="asked again") as permit:
            assert permit.erase_events("s", [1, 2, 3]) == 0
        assert permit.audit_log is None
        with storage.purge_permit(reason="too old") as permit:
            permit.purge_events("s", through_seq=1)
        assert storage.verify_events("s") == Verdict(
            kind="event", chain="s", base_seq=1, last_seq=5, checked=4, erased=2
        )

    def test_audit_entries_of_others_stay_as_they_are(self, storage: Storage) -> None:
        given = [
            AuditLog(agent_id="a", user_id=user, actor=user, action="do", resource=user, detail={"by": user})
            for user in ("ann", "ben", "ann")
        ]
        before = list(map(storage.append_audit_log, given))
        with storage.purge_permit(reason="asked to") as permit:
            assert permit.erase_audit_logs(agent_id="a", seq_nums=[1, 3]) == 2
        found = storage.list_chain("audit_log", "agent:a")
        assert found[1] == before[1]
        assert "ann" not in repr(found)
        assert found[0].agent_id == "a"
        assert storage.list_audit_logs(user_id="ann") == []
        assert column(storage.list_audit_logs(user_id="ben"), "id") == [before[1].id]
        assert storage.verify_audit_logs(agent_id="a").erased == 2
        assert all(verdict.intact for verdict in storage.verify_all())

    def test_what_was_emptied_can_be_copied_and_nobody_else_can_say_so(self, storage: Storage) -> None:
        open_session(storage)
        given = storage.append_events([Event(session_id="s", id=id, type="t") for id in ("", "mine", "")])
        with storage.purge_permit(reason="asked to") as permit:
            permit.erase_events("s", [1, 2])
        events = storage.list_chain("event", "s")
        storage.delete_session("s", hard=True)
        open_session(storage)
        wrong = [replace(events[0], erased=events[1].erased[:64]), replace(events[0], type="forged")]
        for each in wrong:
            with pytest.raises(InvalidRecord, match="hash"):
                storage.load([each])
        assert storage.load(events) == 3
        assert storage.list_chain("event", "s") == events
        assert storage.verify_events("s").erased == 2
        appended = storage.append_event(replace(given[0], id="new", seq_num=0, erased="ab" * 32))
        assert appended.erased == storage.list_events("s")[-1].erased == ""
        logged = storage.append_audit_log(AuditLog(session_id="s", erased="ab" * 32))
        batch = storage.append_events([replace(given[0], id="", seq_num=0, erased="ab" * 32) for _ in range(2)])
        assert logged.erased == ""
        assert [each.erased for each in batch] == ["", ""]
        assert all(verdict.intact for verdict in storage.verify_all())


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
