"""Fences: a writer that has slept while another took its session over is refused, whatever it writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ...exceptions import (
    AlreadyExists,
    AmbiguousId,
    FenceHeld,
    InvalidRecord,
    NotFound,
    RetryTransaction,
    SequenceConflict,
    StaleWriter,
)
from ...facade import Storage
from ...records import Artifact, AuditLog, Checkpoint, Event, Fence, MemoryRecord, Message, Session, Trace
from .helpers import PATIENCE, case, cases, everything, failing, needs_transactions, open_session, populate, together
from .samples import complete_session

Write = Callable[[Storage, Any], Any]

#: Every write that a session with `require_fence` refuses without a fence, to what `populate` wrote.
GUARDED: dict[str, Write] = {
    "save_session": lambda s, fence: s.save_session(_session(s), fence=fence),
    "update_session": lambda s, fence: s.update_session(_session(s), fence=fence),
    "patch_session": lambda s, fence: s.patch_session("s", title="t", fence=fence),
    "patch_session_metadata": lambda s, fence: s.patch_session_metadata("s", {"k": 1}, fence=fence),
    "add_message": lambda s, fence: s.add_message(Message(session_id="s", role="user"), fence=fence),
    "add_messages": lambda s, fence: s.add_messages([Message(session_id="s", role="user")] * 2, fence=fence),
    "delete_message": lambda s, fence: s.delete_message("m1", session_id="s", fence=fence),
    "truncate_messages": lambda s, fence: s.truncate_messages("s", "m2", fence=fence),
    "delete_messages": lambda s, fence: s.delete_messages("s", fence=fence),
    "append_event": lambda s, fence: s.append_event(Event(session_id="s"), fence=fence),
    "append_events": lambda s, fence: s.append_events([Event(session_id="s"), Event(session_id="s")], fence=fence),
    "append_audit_log": lambda s, fence: s.append_audit_log(AuditLog(session_id="s"), fence=fence),
    "insert_audit_log": lambda s, fence: s.insert_audit_log(AuditLog(session_id="s"), fence=fence),
    "save_checkpoint": lambda s, fence: s.save_checkpoint(Checkpoint(session_id="s"), fence=fence),
    "delete_checkpoint": lambda s, fence: s.delete_checkpoint("c1", session_id="s", fence=fence),
    "delete_checkpoints": lambda s, fence: s.delete_checkpoints("s", keep_last=1, fence=fence),
    "put_artifact": lambda s, fence: s.put_artifact(Artifact(session_id="s", name="n"), b"d", fence=fence),
    "delete_artifact": lambda s, fence: s.delete_artifact(s.list_artifacts(session_id="s")[0].id, fence=fence),
    "delete_session": lambda s, fence: s.delete_session("s", fence=fence),
    "restore_session": lambda s, fence: s.restore_session("s", fence=fence),
    "delete_session, hard": lambda s, fence: s.delete_session("s", hard=True, fence=fence),
}
#: The writes that take a fence and never need one.
UNGUARDED: dict[str, Write] = {
    "insert_trace": lambda s, fence: s.insert_trace(Trace(session_id="s"), fence=fence),
    "insert_traces": lambda s, fence: s.insert_traces([Trace(session_id="s"), Trace(session_id="s")], fence=fence),
    "end_trace": lambda s, fence: s.end_trace("s t1", output=1, fence=fence),
    "put_memory": lambda s, fence: s.put_memory(_memory("k3"), fence=fence),
    "put_memories": lambda s, fence: s.put_memories([_memory("k1"), _memory("k4")], fence=fence),
    "delete_memory": lambda s, fence: s.delete_memory(s.list_memory("agent")[0].id, fence=fence),
}
#: Of the writes those that a session takes which is there and not deleted.
OPEN = {name: write for name, write in GUARDED.items() if name not in ("restore_session", "delete_session, hard")}


def _session(storage: Storage) -> Session:
    """The session as it is, or a new one, with another title."""
    return replace(storage.get_session("s", include_deleted=True) or Session(id="s"), title="t")


def _memory(key: str) -> MemoryRecord:
    return MemoryRecord(agent_id="agent", session_id="s", user_id="user", kind="long_term", key=key, value=1)


def acquire(storage: Storage, count: int = 1, session_id: str = "s") -> Fence:
    """The session's fence after so many were acquired."""
    return [storage.acquire(session_id, f"worker {number}") for number in range(count)][-1]


class FenceContract:
    def test_each_acquire_gives_a_higher_token(self, storage: Storage) -> None:
        open_session(storage)
        open_session(storage, "other")
        assert storage.get_fence("s") is None
        fences = [storage.acquire("s", holder) for holder in ("a", "b", "b", "\u00e9")]
        assert [fence.token for fence in fences] == [1, 2, 3, 4]
        assert fences[1] == Fence(session_id="s", holder="b", token=2)
        assert storage.get_fence("s") == fences[3]
        assert storage.get_fence("other") is None
        assert storage.acquire("other", "a").token == 1

    def test_a_stalled_worker_does_not_overwrite_newer_state(self, storage: Storage) -> None:
        """Against: a worker that wakes after another has taken over, and whose state is the latest then."""
        open_session(storage)
        stalled = storage.acquire("s", "stalled")
        for number in (1, 2):
            storage.save_checkpoint(Checkpoint(session_id="s", state={"by": "stalled", "n": number}), fence=stalled)
        newer = storage.acquire("s", "newer")
        third = storage.save_checkpoint(Checkpoint(session_id="s", state={"by": "newer", "n": 3}), fence=newer)
        with pytest.raises(StaleWriter) as caught:
            storage.save_checkpoint(Checkpoint(session_id="s", state={"by": "stalled", "n": 3}), fence=stalled)
        assert (caught.value.session_id, caught.value.given, caught.value.current) == ("s", 1, 2)
        assert storage.get_latest_checkpoint("s") == third
        assert len(storage.list_checkpoints("s")) == 3

    def test_a_thread_that_stalled_meanwhile_writes_nothing_more(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)
        has_begun, is_taken_over = threading.Event(), threading.Event()

        def save(fence: Fence, number: int) -> Checkpoint:
            state = {"by": fence.holder, "n": number}
            return storage.save_checkpoint(Checkpoint(session_id="s", state=state), fence=fence)

        def stall() -> str:
            fence = storage.acquire("s", "stalled")
            save(fence, 1)
            save(fence, 2)
            has_begun.set()
            assert is_taken_over.wait(PATIENCE)
            try:
                return f"saved {save(fence, 3)}"
            except StaleWriter as error:
                return str(error)

        def take_over() -> str:
            assert has_begun.wait(PATIENCE)
            save(storage.acquire("s", "newer"), 3)
            is_taken_over.set()
            return ""

        said, _ = together(storage, stall, take_over)
        assert said == "session 's' has the token 2; who writes with 1 may not any more"
        assert [(c.state["by"], c.state["n"]) for c in storage.list_checkpoints("s")] == [
            *(("newer", 3), ("stalled", 2), ("stalled", 1))
        ]

    def test_every_write_with_an_old_token_is_refused(self, storage: Storage) -> None:
        populate(storage)
        old = acquire(storage)
        new = acquire(storage)
        before = everything(storage)
        for name, write in cases((OPEN | UNGUARDED).items()):
            for fence in (old, old.token, replace(new, token=new.token + 1)):
                with case(name, fence), pytest.raises(StaleWriter):
                    write(storage, fence)
        with pytest.raises(StaleWriter):
            storage.delete_session("s", hard=True, fence=old)
        assert everything(storage) == before
        storage.delete_session("s")
        with pytest.raises(StaleWriter):
            storage.restore_session("s", fence=old)
        with pytest.raises(StaleWriter):
            storage.delete_session("s", hard=True, fence=old)
        assert storage.get_session("s") is None
        assert storage.count_messages("s") == 3

    def test_every_write_with_the_last_token_is_done(self, storage: Storage) -> None:
        populate(storage)
        fence = acquire(storage, 2)
        for name, write in cases((UNGUARDED | GUARDED).items()):
            with case(name):
                write(storage, fence.token if "s" in name else fence)
        assert storage.get_session("s", include_deleted=True) is None

    def test_writers_without_a_fence_go_on_as_before(self, storage: Storage) -> None:
        populate(storage)
        acquire(storage, 2)
        for name, write in cases((UNGUARDED | GUARDED).items()):
            with case(name):
                write(storage, None)

    def test_a_session_that_requires_a_fence(self, storage: Storage) -> None:
        populate(storage)
        assert storage.patch_session("s", require_fence=True).require_fence
        before = everything(storage)
        for name, write in cases(OPEN.items()):
            with case(name), pytest.raises(StaleWriter) as caught:
                write(storage, None)
            assert (caught.value.given, caught.value.current) == (None, 0)
        assert everything(storage) == before
        for name, write in cases(UNGUARDED.items()):
            with case(name):
                write(storage, None)
        fence = acquire(storage)
        for name, write in cases(GUARDED.items()):
            with case(name), pytest.raises(StaleWriter):
                write(storage, None)
            with case(name):
                write(storage, fence)

    def test_a_session_stops_requiring_a_fence_for_who_has_it(self, storage: Storage) -> None:
        open_session(storage, require_fence=True)
        with pytest.raises(StaleWriter):
            storage.patch_session("s", require_fence=False)
        assert storage.patch_session("s", require_fence=False, fence=acquire(storage)).require_fence is False
        storage.append_event(Event(session_id="s"))

    def test_a_session_that_is_loaded_or_forked_may_require_a_fence(self, storage: Storage) -> None:
        storage.load([complete_session(require_fence=True)])
        source = storage.save_checkpoint(Checkpoint(session_id="s"), fence=acquire(storage))
        assert storage.fork_session(source.id, id="plain").require_fence is False
        assert storage.fork_session(source.id, id="fork", require_fence=True).require_fence
        assert storage.get_latest_checkpoint("fork") is not None
        for session_id in ("s", "fork"):
            with pytest.raises(StaleWriter):
                storage.append_event(Event(session_id=session_id))
        storage.append_event(Event(session_id="plain"))
        assert storage.get_fence("fork") is None

    def test_a_session_that_has_given_no_token_has_0(self, storage: Storage) -> None:
        """So that a caller who has seen that nobody acquired it writes only as long as that is so."""
        open_session(storage, require_fence=True)
        assert storage.patch_session("s", title="t", fence=0).title == "t"
        acquire(storage)
        with pytest.raises(StaleWriter):
            storage.patch_session("s", title="u", fence=0)

    def test_a_session_is_read_with_what_it_requires(self, storage: Storage) -> None:
        open_session(storage, require_fence=True)
        open_session(storage, "other")
        assert {session.id: session.require_fence for session in storage.list_sessions()} == {"s": True, "other": False}
        assert [type(session.require_fence) for session in storage.iter_sessions()] == [bool, bool]
        session = storage.get_session("s")
        assert session is not None
        assert session.require_fence is True

    def test_series_that_begin_later_know_the_fence(self, storage: Storage) -> None:
        open_session(storage)
        old, new = acquire(storage), acquire(storage)
        given = Checkpoint(session_id="s", namespace="new")
        with pytest.raises(StaleWriter):
            storage.save_checkpoint(given, fence=old)
        assert storage.save_checkpoint(given, fence=new).seq_num == 1
        assert storage.list_namespaces("s") == ["new"]

    # Which error comes first

    def test_a_session_that_is_not_there_or_deleted_comes_before_the_fence(self, storage: Storage) -> None:
        open_session(storage)
        old = acquire(storage)
        acquire(storage)
        storage.delete_session("s")
        gone = {"delete_message", "delete_checkpoint", "delete_artifact", "delete_session"}
        gone |= {"append_audit_log", "insert_audit_log"}
        for name, write in cases((name, write) for name, write in OPEN.items() if name not in gone):
            with case(name), pytest.raises(NotFound):
                write(storage, old)
        storage.delete_session("s", hard=True)
        gone |= {"delete_messages", "delete_checkpoints"}
        for name, write in cases((name, write) for name, write in (OPEN | UNGUARDED).items() if name not in gone):
            if name not in ("end_trace", "delete_memory"):
                with case(name), pytest.raises(NotFound):
                    write(storage, old)
        with pytest.raises(NotFound):
            storage.append_audit_log(AuditLog(session_id="s"), fence=old)
        assert storage.get_session("s") is None

    @pytest.mark.parametrize("fence", [1, None], ids=["old", "none"])
    def test_the_fence_comes_before_a_repeat_and_the_number(self, storage: Storage, fence: int | None) -> None:
        populate(storage)
        acquire(storage, 2)
        storage.patch_session("s", require_fence=True)
        before = everything(storage)
        with pytest.raises(StaleWriter):
            storage.append_event(Event(id="e1", session_id="s"), fence=fence)
        with pytest.raises(StaleWriter):
            storage.append_event(Event(id="e1", session_id="s", payload="other"), fence=fence)
        with pytest.raises(StaleWriter):
            storage.append_events([Event(session_id="s")], expected_seq=99, fence=fence)
        with pytest.raises(StaleWriter):
            storage.add_message(Message(id="m1", session_id="s", role="user"), expected_seq=99, fence=fence)
        with pytest.raises(StaleWriter):
            storage.save_checkpoint(Checkpoint(id="c1", session_id="s"), fence=fence)
        with pytest.raises(StaleWriter):
            storage.save_checkpoint(Checkpoint(session_id="s", seq_num=1), fence=fence)
        with pytest.raises(StaleWriter):
            storage.patch_session("s", user_id="another", fence=fence)
        with pytest.raises(StaleWriter):
            storage.truncate_messages("s", "nowhere", fence=fence)
        assert everything(storage) == before

    def test_the_fence_comes_before_a_look_for_what_is_to_be_removed(self, storage: Storage) -> None:
        open_session(storage)
        old, last = (storage.acquire("s", holder) for holder in "ab")
        removals: dict[str, Callable[[Any], Any]] = {
            "message": lambda fence: storage.delete_message("absent", session_id="s", fence=fence),
            "message by id": lambda fence: storage.delete_message("absent", fence=fence),
            "messages": lambda fence: storage.delete_messages("s", fence=fence),
            "checkpoint": lambda fence: storage.delete_checkpoint("absent", session_id="s", fence=fence),
            "checkpoint by id": lambda fence: storage.delete_checkpoint("absent", fence=fence),
            "checkpoints": lambda fence: storage.delete_checkpoints("s", keep_last=0, fence=fence),
            "memory": lambda fence: storage.delete_memory("absent", fence=fence),
        }
        for name, remove in removals.items():
            with case(name):
                with pytest.raises(StaleWriter):
                    remove(old)
                assert not remove(last)
                assert not remove(None)
        assert not storage.delete_message("absent", fence=old.token)  # of no known session
        storage.patch_session("s", require_fence=True, fence=last)
        for name in ("message", "messages", "checkpoint", "checkpoints"):
            with case(name, "required"), pytest.raises(StaleWriter):
                removals[name](None)

    def test_a_fence_names_the_session_of_what_is_removed(self, storage: Storage) -> None:
        for session_id in ("s", "other", "third"):
            open_session(storage, session_id)
        for session_id in ("s", "other"):
            storage.add_message(Message(id="m", session_id=session_id, role="user"))
            storage.save_checkpoint(Checkpoint(id="c", session_id=session_id))
        fence, third = acquire(storage), acquire(storage, session_id="third")
        for remove, id in ((storage.delete_message, "m"), (storage.delete_checkpoint, "c")):
            with pytest.raises(AmbiguousId):
                remove(id, fence=third)
            assert remove(id, fence=fence)
            with pytest.raises(InvalidRecord, match=r"^fence"):
                remove(id, fence=fence)
        assert [each.id for each in storage.list_messages("other")] == ["m"]
        assert [each.id for each in storage.list_checkpoints("other")] == ["c"]

    def test_with_the_last_token_the_other_rules_hold(self, storage: Storage) -> None:
        populate(storage)
        fence = acquire(storage)
        stored = storage.list_events("s")[0]
        assert storage.append_event(Event(id="e1", session_id="s"), expected_seq=99, fence=fence) == stored
        with pytest.raises(AlreadyExists):
            storage.append_event(Event(id="e1", session_id="s", payload="other"), fence=fence)
        with pytest.raises(SequenceConflict):
            storage.append_event(Event(session_id="s"), expected_seq=99, fence=fence)
        with pytest.raises(InvalidRecord, match="user_id"):
            storage.patch_session("s", user_id="another", fence=fence)

    # Who may acquire

    def test_another_holder_is_kept_out_until_the_time_is_over(self, storage: Storage) -> None:
        open_session(storage)
        held = storage.acquire("s", "a", ttl=timedelta(minutes=1))
        assert held.expires_at is not None
        with pytest.raises(FenceHeld) as caught:
            storage.acquire("s", "b")
        error = caught.value
        assert (error.session_id, error.holder, error.expires_at) == ("s", "a", held.expires_at)
        assert storage.get_fence("s") == held
        assert storage.acquire("s", "a", ttl=60).token == 2
        assert storage.acquire("s", "b", ttl=60, force=True).token == 3
        with pytest.raises(FenceHeld):
            storage.acquire("s", "a")

    def test_the_time_is_over_by_itself(self, storage: Storage) -> None:
        open_session(storage)
        first = storage.acquire("s", "a", ttl=0.01)
        deadline = time.monotonic() + PATIENCE
        second = None
        while second is None and time.monotonic() < deadline:
            try:
                second = storage.acquire("s", "b")
            except FenceHeld:
                time.sleep(0.005)
        assert second is not None
        assert second.token == 2
        with pytest.raises(StaleWriter):
            storage.renew(first)

    def test_the_token_decides_and_not_the_clock(self, storage: Storage) -> None:
        """Who was not overtaken goes on, however late it is."""
        open_session(storage)
        fence = storage.acquire("s", "a", ttl=0.000001)
        storage.append_event(Event(session_id="s"), fence=fence)
        renewed = storage.renew(fence, ttl=60)
        assert (renewed.holder, renewed.token) == ("a", 1)
        with pytest.raises(FenceHeld):
            storage.acquire("s", "b")

    def test_renewing(self, storage: Storage) -> None:
        open_session(storage)
        fence = storage.acquire("s", "a", ttl=60)
        again = storage.renew(fence)
        longer = storage.renew(fence, ttl=timedelta(hours=1))
        assert fence.expires_at is not None
        assert again.expires_at is not None
        assert longer.expires_at is not None
        assert fence.expires_at <= again.expires_at < longer.expires_at - timedelta(minutes=58)
        assert storage.get_fence("s") == longer
        untimed = storage.acquire("s", "a")
        assert storage.renew(untimed).expires_at is None

    def test_who_released_keeps_nobody_out(self, storage: Storage) -> None:
        open_session(storage)
        fence = storage.acquire("s", "a", ttl=60)
        for _ in range(2):
            storage.release(fence)
        assert storage.get_fence("s") == Fence(session_id="s", holder="a", token=1)
        storage.append_event(Event(session_id="s"), fence=fence)  # nobody has overtaken it
        assert storage.acquire("s", "b").token == 2
        with pytest.raises(StaleWriter):
            storage.append_event(Event(session_id="s"), fence=fence)

    def test_an_old_token_neither_renews_nor_releases(self, storage: Storage) -> None:
        open_session(storage)
        old, held = storage.acquire("s", "a"), storage.acquire("s", "a", ttl=60)
        for call in (storage.renew, storage.release):
            with pytest.raises(StaleWriter):
                call(old)
        assert storage.get_fence("s") == held

    def test_of_a_session_that_is_not_there_or_deleted(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            storage.acquire("s", "a")
        open_session(storage)
        fence = storage.acquire("s", "a", ttl=60)
        storage.delete_session("s")
        for call in (storage.renew, storage.release, lambda _: storage.acquire("s", "a")):
            with pytest.raises(NotFound):
                call(fence)
        assert storage.get_fence("s") == fence

    # Tokens never go back

    def test_a_restored_session_goes_on(self, storage: Storage) -> None:
        open_session(storage)
        fence = acquire(storage, 2)
        storage.delete_session("s")
        storage.restore_session("s")
        storage.append_event(Event(session_id="s"), fence=fence)
        assert acquire(storage).token == 3

    def test_a_session_made_again_gives_higher_tokens(self, storage: Storage) -> None:
        open_session(storage)
        fence = storage.acquire("s", "a", ttl=60)
        storage.delete_session("s", hard=True)
        assert storage.get_fence("s") is None
        with pytest.raises(NotFound):
            storage.save_session(Session(id="s"), fence=fence)
        open_session(storage)
        assert storage.get_fence("s") is None
        with pytest.raises(StaleWriter):  # whoever still writes to the one that is gone
            storage.append_event(Event(session_id="s"), fence=fence)
        assert storage.acquire("s", "b").token == 2
        with pytest.raises(StaleWriter):
            storage.append_event(Event(session_id="s"), fence=fence)

    def test_what_is_rolled_back_was_never_acquired(self, storage: Storage) -> None:
        needs_transactions(storage)
        open_session(storage)
        fence = acquire(storage)
        with failing(storage.atomic()):
            acquire(storage)
        storage.append_event(Event(session_id="s"), fence=fence)
        assert storage.get_fence("s") == fence

    # Arguments

    def test_what_is_no_fence_of_the_session(self, storage: Storage) -> None:
        populate(storage)
        open_session(storage, "other")
        fence = acquire(storage)
        other = acquire(storage, session_id="other")
        before = everything(storage)
        for name, write in cases((OPEN | UNGUARDED).items()):
            for wrong in (other, "1", -1, True, 1.0, {}, Fence(), Session(id="s"), replace(fence, token=0)):
                with case(name, wrong), pytest.raises(InvalidRecord, match=r"^fence"):
                    write(storage, wrong)
        several = [Event(session_id="s"), Event(session_id="other")]
        for refused in (
            lambda: storage.append_events(several, fence=fence),
            lambda: storage.add_messages([Message(session_id=id, role="user") for id in ("s", "other")], fence=1),
            lambda: storage.append_audit_log(AuditLog(agent_id="agent"), fence=1),
            lambda: storage.insert_trace(Trace(), fence=1),
            lambda: storage.put_memory(MemoryRecord(agent_id="agent", key="k"), fence=1),
        ):
            with pytest.raises(InvalidRecord, match=r"^fence"):
                refused()
        assert everything(storage) == before

    def test_a_wrong_holder_or_time(self, storage: Storage) -> None:
        open_session(storage)
        with pytest.raises(InvalidRecord, match=r"^holder"):
            storage.acquire("s", "")
        for ttl in (0, -1, timedelta(0), timedelta(-1), float("nan"), float("inf"), 1e-9, 10**400, timedelta.max, True):
            with case(ttl), pytest.raises(InvalidRecord, match=r"^ttl"):
                storage.acquire("s", "a", ttl=ttl)
        assert storage.get_fence("s") is None

    # Many at once

    def test_of_those_who_acquire_at_once_one_holds_it(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)

        def take(holder: str) -> Fence | None:
            try:
                return storage.acquire("s", holder, ttl=60)
            except FenceHeld:
                return None

        taken = together(storage, *[lambda holder=holder: take(holder) for holder in "abcdef"])
        assert [fence for fence in taken if fence] == [storage.get_fence("s")]

    def test_those_who_take_it_over_at_once_get_tokens_of_their_own(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)
        jobs = [lambda holder=holder: [storage.acquire("s", holder).token for _ in range(3)] for holder in "abcd"]
        assert sorted(token for tokens in together(storage, *jobs) for token in tokens) == list(range(1, 13))

    def test_nothing_is_written_by_who_was_overtaken(self, storage_committed: Storage) -> None:
        """Of writers that are at it while another acquires the session, none writes after that."""
        storage = storage_committed
        open_session(storage)
        old = storage.acquire("s", "old")
        write: list[Callable[[], Any]] = [
            lambda: storage.append_event(Event(session_id="s"), fence=old),
            lambda: storage.add_messages([Message(session_id="s", role="user")] * 2, fence=old),
            lambda: storage.save_checkpoint(Checkpoint(session_id="s", state={"by": "old"}), fence=old),
        ]

        def go_on(call: Callable[[], Any]) -> str:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                # Where others were in the way too often, nothing is written, and it is tried again.
                with suppress(RetryTransaction):
                    try:
                        call()
                    except StaleWriter:
                        return "overtaken"
            return "never overtaken"

        def take_over() -> Any:
            deadline = time.monotonic() + PATIENCE
            while not (storage.last_seq("s") and storage.get_latest_checkpoint("s")) and time.monotonic() < deadline:
                time.sleep(0.001)  # the writers' turn
            while True:
                with suppress(RetryTransaction):
                    storage.acquire("s", "new")
                    return everything(storage)

        seen, *ends = together(storage, take_over, *[lambda call=call: go_on(call) for call in write])
        assert ends == ["overtaken"] * 3
        assert everything(storage) == seen
