"""Erasure: nothing of a person is left, and what is others' is as it was."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ...backends.base import Query
from ...chains.erasing import nameless
from ...facade import Storage
from ...operations.erasing import erase
from ...records import (
    KINDS,
    Artifact,
    AuditLog,
    Blob,
    Checkpoint,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)

#: What stands in every field of a person's records, and nowhere else.
MARK = "Zyxw6Vut"


def write_of_person(storage: Storage, session_id: str, user_id: str, mark: str) -> None:
    """A session with records of every kind, in all of whose fields the mark stands."""
    json = {mark: [mark, {"more": mark * 20}]}
    storage.create_session(
        Session(id=session_id, agent_id="a", user_id=user_id, author=mark, title=mark, metadata={"k": mark})
    )
    inside = {"session_id": session_id, "id": f"{mark}-{session_id}"}
    storage.add_message(
        Message(**inside, role=mark, content=json, name=mark, tool_calls=[json], tool_call_id=mark, raw=json)
    )
    storage.append_events(
        [Event(**inside, type=mark, payload=json, schema=mark), Event(session_id=session_id, type="t")]
    )
    for number in range(2):
        state = {"items": [f"{mark} {item} {'x' * 200}" for item in range(9 * number)]}
        storage.save_checkpoint(
            Checkpoint(session_id=session_id, namespace=mark, state=state, run_id=mark, metadata=json)
        )
    storage.insert_trace(Trace(**inside, name=mark, input=json, output=json, error=mark, attributes=json))
    storage.put_memory(MemoryRecord(**inside, agent_id="a", user_id=user_id, kind="long_term", key=mark, value=json))
    storage.append_audit_log(
        AuditLog(**inside, agent_id="a", user_id=user_id, actor=mark, action=mark, resource=mark, detail=json)
    )
    storage.put_artifact(Artifact(**inside, name=mark, mime_type=mark, metadata=json), mark.encode() * 9)
    storage.save_image(
        Image(**inside, name=mark, description=mark, system_prompt=mark, mcp_servers=json, metadata=json)
    )
    storage.acquire(session_id, mark)


def write_beside(storage: Storage, session_id: str, user_id: str, mark: str) -> None:
    """Records of a person that are in no session of theirs: in others', in this one, and in none."""
    json = {mark: mark}
    for place in (session_id, ""):
        of_user: dict[str, Any] = {"id": f"{mark}-beside-{place}", "session_id": place, "user_id": user_id}
        storage.put_memory(MemoryRecord(**of_user, agent_id="a", kind=mark, key=mark, value=json))
        storage.put_artifact(Artifact(**of_user, name=mark, metadata=json), b"both have these")
        log = AuditLog(**of_user, agent_id="a", actor=mark, action=mark, resource=mark, detail=json)
        storage.append_audit_log(log)
        storage.append_audit_log(AuditLog(session_id=place, agent_id="a", user_id="ben", action="went on"))
    storage.append_audit_log(AuditLog(agent_id="a", actor=user_id, action="came"))
    storage.append_audit_log(AuditLog(agent_id="a", actor="admin", action="looked", resource=f"{mark}-1"))


def write_shared(storage: Storage) -> str:
    """What a person has beside others; returns the person's user id."""
    user_id = f"{MARK}-user"
    write_of_person(storage, "ben-1", "ben", "ben")
    write_of_person(storage, f"{MARK}-1", user_id, MARK)
    storage.create_session(Session(id=f"{MARK}-2", user_id=user_id))
    storage.add_message(Message(session_id=f"{MARK}-2", role="user", content=MARK))
    storage.delete_session(f"{MARK}-2")
    storage.update_session(_fenced(storage, f"{MARK}-1"))
    storage.put_artifact(Artifact(id="ben-both", user_id="ben", name="both"), b"both have these")
    write_beside(storage, "ben-1", user_id, MARK)
    return user_id


def _fenced(storage: Storage, id: str) -> Session:
    session = storage.get_session(id)
    assert session is not None
    session.require_fence = True
    return session


def everything(storage: Storage) -> dict[str, list[Any]]:
    """All records of a store, by kind."""
    return {kind: list(storage.scan(kind)) for kind in KINDS}


def others(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Those of them that are not the person's, and no receipts."""
    return {
        kind: [
            record
            for record in of_kind
            if MARK not in repr(record) and not getattr(record, "erased", "") and getattr(record, "agent_id", "a")
        ]
        for kind, of_kind in found.items()
    }


class ErasureContract:
    def test_nothing_of_a_person_is_left_and_the_others_have_what_they_had(self, storage: Storage) -> None:
        user_id = write_shared(storage)
        before = everything(storage)
        report = erase(storage, user_id)
        after = everything(storage)
        assert MARK not in repr(after)
        assert others(after) == others(before)
        marked = {kind: sum(MARK in repr(each) for each in found) for kind, found in before.items()}
        # The second event of the session says nothing, and goes with it.
        assert {**marked, "event": 2, "file": 1} == {"container": 0, **report.counts}
        blobs = storage.backend.select(Query(record=Blob))
        assert {blob.id for blob in blobs if blob.kept} == {"", *(each.sha256 for each in after["artifact"])}
        with storage.open_artifact("ben-both") as file:
            assert file.read() == b"both have these"
        verdicts = list(storage.verify_all())
        assert all(verdict.intact for verdict in verdicts)
        assert sum(verdict.erased for verdict in verdicts) == 4
        [receipt] = storage.list_audit_logs(action="user.erase")
        assert (receipt.id, receipt.resource) == (report.receipt, nameless(user_id))
        assert receipt.detail["counts"] == report.counts
        again = erase(storage, user_id).counts
        assert again - Counter(file=1) == {}  # the file goes when the caller's transaction is committed
        assert storage.acquire(storage.create_session(Session(id=f"{MARK}-1")).id, "new").token == 1

    def test_what_is_under_a_legal_hold_is_left_and_named(self, storage: Storage) -> None:
        user_id = f"{MARK}-user"
        storage.create_session(Session(id=f"{MARK}-1", user_id=user_id))
        storage.append_event(Event(session_id=f"{MARK}-1", type="said", payload=MARK))
        storage.create_session(Session(id="ben-1", user_id="ben"))
        write_beside(storage, "ben-1", user_id, MARK)
        for id in (f"{MARK}-1", "ben-1"):
            storage.set_legal_hold(id, True, actor="court", reason="a lawsuit")
        before = everything(storage)
        report = erase(storage, user_id)
        assert report.held == [f"{MARK}-1", "ben-1"]
        [receipt] = storage.list_audit_logs(action="user.erase")
        assert receipt.detail["held"] == [nameless(id) for id in report.held]
        after = everything(storage)
        for kind, found in before.items():
            held = [each for each in found if getattr(each, "session_id", each.id) in report.held]
            assert [each for each in after[kind] if getattr(each, "session_id", each.id) in report.held] == held
        for id in report.held:
            storage.set_legal_hold(id, False, actor="court", reason="it is over")
        assert erase(storage, user_id).held == []
        assert MARK not in repr(everything(storage))
