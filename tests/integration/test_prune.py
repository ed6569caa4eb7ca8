"""Retention: what the rules of the settings remove, what stays, and what it says."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from chronos_storage.backends.document import MemoryBackend
from chronos_storage.checks import check_retention
from chronos_storage.facade import Storage
from chronos_storage.operations import pruned
from chronos_storage.operations.pruning import prune
from chronos_storage.operations.retention import rule_of
from chronos_storage.queues.memory import MemoryQueue
from chronos_storage.records import (
    Artifact,
    AuditLog,
    Checkpoint,
    Event,
    MemoryRecord,
    Message,
    Session,
    Trace,
    now,
)
from chronos_storage.testing.conformance.helpers import case, cases, column, everything
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, alias_of

YEAR, MONTH = timedelta(days=365), timedelta(days=30)
OLD, NEW = now() - 2 * YEAR, now() - timedelta(days=1)


alias = alias_of(SQLITE_AND_POSTGRES)


def fill(storage: Storage) -> None:
    """Two years old and of yesterday: sessions "old", "new", "held" and "fenced", with old and new content each."""
    for id, at in (("old", OLD), ("held", OLD), ("new", NEW), ("fenced", OLD)):
        owner = {"agent_id": "b" if id == "new" else "a", "user_id": "u"}
        status = "active" if id == "new" else "ended"
        storage.create_session(Session(id=id, **owner, status=status, created_at=OLD, last_activity_at=at))
        times = (OLD, OLD, NEW if at == NEW else OLD)
        for n, time in enumerate(times):
            about: dict[str, Any] = {"session_id": id, "created_at": time}
            storage.add_message(Message(**about, id=f"m{n}", role="user"))
            storage.append_event(Event(**about, id=f"e{n}"))
            storage.save_checkpoint(Checkpoint(**about, id=f"c{n}", state={"n": n}))
            storage.insert_trace(Trace(session_id=id, id=f"{id} t{n}", started_at=time, kind="node"))
            storage.append_audit_log(AuditLog(**about, id=f"{id} l{n}"))
            kept = {"id": f"{id} k{n}", "agent_id": "a", "key": f"k{n}", "updated_at": time}
            storage.load([MemoryRecord(**about, **kept, expires_at=time + MONTH)])
        storage.put_artifact(Artifact(session_id=id, id=f"{id} a", name="n", created_at=OLD), b"data")
    storage.append_audit_log(AuditLog(agent_id="a", created_at=OLD))
    storage.set_legal_hold("held", True, actor="a", reason="case 7")
    storage.patch_session("fenced", require_fence=True)
    storage.acquire("fenced", "worker")


class _Undone(Exception):
    pass


@contextmanager
def undone(storage: Storage) -> Iterator[None]:
    """Nothing that is done to the storage in the block remains."""
    with suppress(_Undone), storage.atomic():
        yield
        raise _Undone


def _of(storage: Storage, session_id: str) -> list[Any]:
    """All that a session has."""
    kept = [each for records in everything(storage).values() for each in records]
    return [each for each in kept if session_id in (getattr(each, "session_id", ""), each.id)]


def pruned_by(storage: Storage, *given: dict[str, Any], dry_run: bool = False) -> list[tuple[int | None, int]]:
    """How many records went by each rule, and are held."""
    rules = [rule_of(each, "RETENTION") for each in given]
    report = prune(storage, MemoryQueue(), rules, dry_run=dry_run)
    return [(line.records, line.held) for line in report.lines]


#: By rule: what goes, and is held, of what `fill` made.
RULES: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({"type": "message", "older_than": YEAR}, (8, 3)),
    ({"type": "message", "older_than": YEAR, "agent_id": "b"}, (2, 0)),
    ({"type": "message", "older_than": YEAR, "status": ["ended"]}, (6, 3)),
    ({"type": "event", "older_than": YEAR, "reason": "a year"}, (8, 3)),
    ({"type": "audit_log", "older_than": YEAR, "reason": "a year"}, (9, 3)),
    ({"type": "audit_log", "older_than": YEAR, "reason": "a year", "agent_id": "b"}, (2, 0)),
    ({"type": "checkpoint", "keep_last": 2}, (3, 1)),
    ({"type": "checkpoint", "keep_last": 1, "older_than": YEAR}, (6, 2)),
    ({"type": "compaction", "older_than": YEAR}, (4, 2)),
    ({"type": "trace", "older_than": YEAR}, (8, 3)),
    ({"type": "trace", "older_than": YEAR, "kind": "node", "user_id": "u", "agent_id": "b"}, (2, 0)),
    ({"type": "trace", "older_than": YEAR, "kind": "graph"}, (0, 0)),
    ({"type": "memory", "older_than": YEAR, "agent_id": "a"}, (8, 3)),
    ({"type": "memory", "expired": True}, (8, 3)),
    ({"type": "artifact", "older_than": YEAR}, (3, 1)),
    ({"type": "session", "older_than": YEAR}, (2, 1)),
    ({"type": "session", "older_than": YEAR, "hard": True}, (2, 1)),
    ({"type": "session", "older_than": MONTH, "deleted": True}, (0, 0)),
]


def left_by_all(storage: Storage) -> dict[str, list[str]]:
    """The ids of what all rules leave of what `fill` makes, but for the audit log; each kept thing is looked at."""
    fill(storage)
    held, before = _of(storage, "held"), everything(storage)
    rules = [rule for rule, _ in RULES]
    assert pruned_by(storage, *rules, dry_run=True) == [wanted for _, wanted in RULES]
    assert everything(storage) == before
    pruned_by(storage, *rules)
    assert [removed for removed, _ in pruned_by(storage, *rules)] == [0] * len(rules)
    assert _of(storage, "held") == held
    assert all(verdict.intact for verdict in storage.verify_all())
    return {kind: column(records, "id") for kind, records in everything(storage).items() if kind != "audit_log"}


def test_each_rule_removes_what_a_dry_run_counts_and_leaves_what_is_held(storage: Storage) -> None:
    assert left_by_all(storage) == left_by_all(Storage(MemoryBackend()))


@pytest.mark.django_db
def test_each_rule_for_itself() -> None:
    storage = Storage(MemoryBackend())
    fill(storage)
    for rule, wanted in cases(RULES):
        with case(rule), undone(storage):
            assert pruned_by(storage, rule) == [wanted]


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_sessions_are_hidden_first_and_removed_for_good_later(storage: Storage) -> None:
    fill(storage)
    storage.delete_session("held")
    rules = [{"type": "session", "older_than": YEAR}, {"type": "session", "older_than": MONTH, "deleted": True}]
    assert pruned_by(storage, *rules) == [(2, 0), (0, 0)]
    assert column(storage.list_sessions(), "id") == ["new"]
    storage.restore_session("old")  # as the clock does not go on
    with undone(storage):
        storage.delete_session("old", hard=True)
        storage.load([Session(id="old", created_at=OLD, updated_at=OLD, last_activity_at=OLD, deleted_at=OLD)])
        assert pruned_by(storage, *rules[1:]) == [(1, 0)]
        assert storage.get_session("old", include_deleted=True) is None
    assert pruned_by(storage, {**rules[0], "hard": True}) == [(2, 1)]
    assert column(storage.scan("session"), "id") == ["held", "new"]
    logs = storage.list_audit_logs(action="session.delete")
    assert {log.resource for log in logs} == {"old", "fenced"}


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_a_large_session_goes_in_batches_and_the_ledger_says_why(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruned.Pace, "size", 4)
    monkeypatch.setattr(pruned, "_MOST", 4)
    fill(storage)
    storage.add_messages([Message(session_id="old", role="user", created_at=OLD) for _ in range(10)])
    storage.append_events([Event(session_id="old", created_at=OLD) for _ in range(10)])
    seen: list[str] = []
    rule = rule_of({"type": "event", "older_than": YEAR, "reason": "a year"}, "RETENTION")
    prune(storage, MemoryQueue(), [rule], progress=lambda report: seen.append(str(report)))
    assert len(seen) > 6
    logs = storage.list_audit_logs(action="ledger.purge")
    assert {log.detail["reason"] for log in logs} == {"a year"}
    assert sum(chain["rows"] for log in logs for chain in log.detail["chains"]) == 18
    assert storage.last_seq("old") == 13
    assert storage.verify_events("old").intact
    storage.append_events([Event(session_id="old", created_at=OLD) for _ in range(10)])
    assert pruned_by(storage, {"type": "session", "older_than": YEAR, "hard": True}) == [(2, 1)]
    assert _of(storage, "old") == []


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_no_kind_of_record_makes_a_session_go_in_one_batch(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruned.Pace, "size", 4)
    monkeypatch.setattr(pruned, "_MOST", 4)
    writes: dict[str, Callable[[str, int], object]] = {
        "spans": lambda id, n: storage.insert_trace(Trace(session_id=id, kind="node", started_at=OLD)),
        "memories": lambda id, n: storage.put_memory(MemoryRecord(session_id=id, agent_id="a", key=f"{n}")),
        "artifacts": lambda id, n: storage.put_artifact(Artifact(session_id=id, name="n"), b"data"),
        "checkpoints": lambda id, n: storage.save_checkpoint(Checkpoint(session_id=id, state={"n": n})),
        "audit log": lambda id, n: storage.append_audit_log(AuditLog(session_id=id, action="a")),
    }
    for id, write in writes.items():
        with case(id):
            storage.create_session(Session(id=id, created_at=OLD, last_activity_at=OLD))
            for n in range(9):
                write(id, n)
            seen: list[object] = []
            rule = rule_of({"type": "session", "older_than": YEAR, "hard": True}, "RETENTION")
            prune(storage, MemoryQueue(), [rule], progress=seen.append)
            assert _of(storage, id) == []
            assert len(seen) > 3


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_what_happens_in_between_is_looked_at(storage: Storage) -> None:
    fill(storage)
    rule = rule_of({"type": "session", "older_than": YEAR, "hard": True}, "RETENTION")
    between: dict[str, tuple[Callable[[], object], tuple[int, int]]] = {
        "it is held": (lambda: storage.set_legal_hold("old", True, actor="a", reason="r"), (1, 2)),
        "something happens": (lambda: storage.add_message(Message(session_id="old", role="user")), (1, 1)),
        "it is gone": (lambda: storage.delete_session("old", hard=True), (1, 1)),
    }
    for name, (change, wanted) in cases(between.items()):
        with case(name), undone(storage):
            changes = [change]

            def interfere(report: object, left: list[Callable[[], object]] = changes) -> None:
                while left:
                    left.pop()()

            report = prune(storage, MemoryQueue(), [rule], progress=interfere)
            assert [(line.records, line.held) for line in report.lines] == [wanted]


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
class TestCommand:
    def test_it_shows_what_would_go_asks_and_removes(
        self, storage: Storage, command: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(storage)
        rules = [{"type": "message", "older_than": YEAR}, {"type": "queue"}]
        settings.CHRONOS_STORAGE = {**settings.CHRONOS_STORAGE, "RETENTION": rules}
        assert command("chronos_prune", dry_run=True).stdout.splitlines() == [
            "rule  type        would go  held",
            "   0  message            8     3",
            "   1  queue    not counted     0",
            "Records: 8 would be removed, 3 left under legal holds.",
        ]
        monkeypatch.setattr("sys.stdin", io.StringIO())
        asked = command("chronos_prune")
        assert (asked.status, asked.stdout) == (1, "")
        assert "--no-input" in asked.stderr
        assert storage.count_messages("old") == 3
        ran = command("chronos_prune", interactive=False, json=True)
        assert json.loads(ran.stdout) == {
            "dry_run": False,
            "rules": [
                {"rule": 0, "type": "message", "records": 8, "held": 3},
                {"rule": 1, "type": "queue", "records": 0, "held": 0},
            ],
        }
        assert storage.count_messages("old") == 0

    def test_without_rules_it_keeps_house_and_asks_nobody(self, storage: Storage, command: Any) -> None:
        ran = command("chronos_prune", json=True)
        assert [rule["type"] for rule in json.loads(ran.stdout)["rules"]] == ["queue", "artifact_file", "store_item"]


WRONG: dict[str, Any] = {
    "must be a list of dicts, not dict": {"type": "queue"},
    "[0] must be a dict, not str": ["queue"],
    '[0]["type"] must be one of session, message,': [{"type": "messages", "older_than": YEAR}],
    "[1] is of the type 'message', which has no key 'keep_last'": [
        {"type": "queue"},
        {"type": "message", "older_than": YEAR, "keep_last": 3},
    ],
    "[0] is of the type 'event' and needs \"reason\"": [{"type": "event", "older_than": YEAR}],
    '[0]["older_than"] must be a timedelta above zero, not 30': [{"type": "trace", "older_than": 30}],
    '[0]["keep_last"] must be a number, at least 1, not 0': [{"type": "checkpoint", "keep_last": 0}],
    "must be one of session, message": [{"type": ["message"], "older_than": YEAR}],
    '[0]["user_id"] must be a string': [{"type": "session", "older_than": YEAR, "user_id": "a\0"}],
    '[0]["reason"] must be a string that says why': [{"type": "event", "older_than": YEAR, "reason": " "}],
    'needs "older_than" or "expired": True': [{"type": "memory", "expired": False}],
    '[0]["status"] must be a string or a list of them, not []': [{"type": "session", "older_than": YEAR, "status": []}],
}


def test_a_wrong_rule_is_named_by_a_check_and_removes_nothing(settings: Any) -> None:
    for problem, rules in cases(WRONG.items()):
        with case(problem), override_settings(CHRONOS_STORAGE={"RETENTION": rules}):
            [error] = check_retention()
            assert error.id == "chronos_storage.E005"
            assert str(error.msg).startswith('CHRONOS_STORAGE["RETENTION"]')
            assert problem in error.msg
            with pytest.raises(CommandError, match="RETENTION"):
                call_command("chronos_prune", interactive=False)
    with override_settings(CHRONOS_STORAGE={"RETENTION": [rule for rule, _ in RULES]}):
        assert check_retention() == []
