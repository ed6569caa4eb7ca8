"""Audit logs: appended to a chain a session, or an agent where there is no session, and listed newest first."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ...exceptions import SequenceConflict
from ...facade import Storage
from ...records import AuditLog, Verdict
from .helpers import column, everything, open_session
from .samples import at


def log(storage: Storage, action: str = "", **fields: object) -> AuditLog:
    return storage.append_audit_log(AuditLog(action=action, **fields))


class AuditLogContract:
    def test_each_chain_has_numbers_of_its_own(self, storage: Storage) -> None:
        """Against: sequence numbers computed as a count."""
        open_session(storage)
        chains = [
            {"session_id": "s"},
            {"session_id": "s", "agent_id": "a"},
            {"agent_id": "a"},
            {"agent_id": "b"},
            {},
            {"session_id": "s", "agent_id": "b"},
            {"agent_id": "a"},
            {},
        ]
        stored = [log(storage, **fields) for fields in chains]
        assert column(stored, "seq_num") == [1, 2, 1, 1, 1, 3, 2, 2]
        assert len(set(column(stored, "hash"))) == len(stored)
        assert all(len(entry.hash) == 64 and int(entry.hash, 16) for entry in stored)

    def test_it_may_name_a_session_that_is_not_there(self, storage: Storage) -> None:
        stored = log(storage, "plan", session_id="to come")
        assert (stored.session_id, stored.seq_num) == ("to come", 1)
        assert storage.list_audit_logs("to come") == [stored]

    def test_both_names_of_the_method_do_the_same(self, storage: Storage) -> None:
        first = storage.insert_audit_log(AuditLog(id="1", session_id="s"))
        second = storage.append_audit_log(AuditLog(id="2", session_id="s"))
        assert storage.insert_audit_log(AuditLog(id="2")) == second
        assert storage.list_audit_logs("s") == [second, first]

    def test_a_number_of_its_own_is_the_chains_next(self, storage: Storage) -> None:
        log(storage, session_id="s")
        assert log(storage, session_id="s", seq_num=2).seq_num == 2
        for wrong in (1, 2, 4):
            with pytest.raises(SequenceConflict) as caught:
                log(storage, session_id="s", seq_num=wrong)
            assert (caught.value.expected, caught.value.actual) == (wrong - 1, 2)
        assert len(storage.list_audit_logs("s")) == 2

    def test_entries_of_a_session_an_agent_or_all(self, storage: Storage) -> None:
        log(storage, "1", session_id="s", agent_id="a")
        log(storage, "2", agent_id="a")
        log(storage, "3", session_id="s")
        assert column(storage.list_audit_logs("s"), "action") == ["3", "1"]
        assert column(storage.list_audit_logs(agent_id="a"), "action") == ["2", "1"]
        assert column(storage.list_audit_logs("s", agent_id="a"), "action") == ["1"]
        assert column(storage.list_audit_logs(session_id="s", agent_id="b"), "action") == []
        assert column(storage.list_audit_logs(), "action") == ["3", "2", "1"]
        assert column(storage.iter_audit_logs(), "action") == ["3", "2", "1"]

    def test_of_the_same_moment_the_last_appended_comes_first(self, storage: Storage) -> None:
        for action in "abcd":
            log(storage, action, session_id="s", created_at=at(1))
        assert column(storage.list_audit_logs("s"), "action") == ["d", "c", "b", "a"]

    def test_from_one_moment_to_another_both_included(self, storage: Storage) -> None:
        tick = timedelta(microseconds=1)
        for action, timestamp in (("1", at(1)), ("2", at(1) + tick), ("3", at(2) - tick), ("4", at(2))):
            log(storage, action, session_id="s", created_at=timestamp)
        for (since, until), found in {
            (at(1), at(2)): ["4", "3", "2", "1"],
            (at(1) + tick, at(2) - tick): ["3", "2"],
            (None, at(1)): ["1"],
            (at(2), None): ["4"],
        }.items():
            assert column(storage.list_audit_logs(since=since, until=until), "action") == found
            assert column(storage.iter_audit_logs(since=since, until=until), "action") == found

    def test_the_chains_verify(self, storage: Storage) -> None:
        for fields in ({"session_id": "s", "agent_id": "a"}, {"session_id": "s"}, {"agent_id": "a"}, {}):
            log(storage, **fields)
        of_session = Verdict(kind="audit_log", chain="session:s", last_seq=2, checked=2)
        of_agent = Verdict(kind="audit_log", chain="agent:a", last_seq=1, checked=1)
        of_nobody = Verdict(kind="audit_log", chain="agent:", last_seq=1, checked=1)
        assert storage.verify_audit_logs("s") == of_session
        assert storage.verify_audit_logs(agent_id="a") == of_agent
        assert storage.verify_audit_logs(agent_id="") == of_nobody
        assert {verdict.chain: verdict for verdict in storage.verify_all()} == {
            verdict.chain: verdict for verdict in (of_session, of_agent, of_nobody)
        }
        assert storage.verify_audit_logs("unknown") == Verdict(kind="audit_log", chain="session:unknown")

    def test_an_entry_again_begins_no_chain(self, storage: Storage) -> None:
        """Against: a chain without an entry, of the agent that a repeat names and not the session."""
        stored = log(storage, id="l", session_id="s", agent_id="a")
        assert log(storage, id="l", agent_id="a") == stored
        assert [verdict.chain for verdict in storage.verify_all()] == ["session:s"]

    def test_an_entry_is_refused_whole(self, storage: Storage) -> None:
        log(storage, session_id="s")
        before = everything(storage)
        with pytest.raises(ValueError, match="detail"):
            log(storage, session_id="s", detail={"n": float("inf")})
        assert everything(storage) == before
        assert log(storage, session_id="s").seq_num == 2
