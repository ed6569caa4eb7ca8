"""A legal hold and a removal at once: whichever comes second finds what the first has done."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from chronos_storage import connect
from chronos_storage.backends.document import DocumentBackend, MemoryBackend
from chronos_storage.backends.document.driver import Write
from chronos_storage.backends.document.memory import MemoryDriver
from chronos_storage.backends.document.serialization import decode, encode
from chronos_storage.exceptions import ChronosError, LegalHold, NotFound
from chronos_storage.facade import Storage
from chronos_storage.interfaces.anew import begin_anew
from chronos_storage.operations.exporting import export
from chronos_storage.operations.importing import load_export
from chronos_storage.records import Event, Session
from chronos_storage.testing.conformance.helpers import PATIENCE, case, everything, populate
from chronos_storage.testing.conformance.holds import REMOVALS, hold
from tests.conftest import STRICTEST, alias_of

alias = alias_of(STRICTEST)

#: One of each way to remove something.
WAYS = ("delete_message", "delete_checkpoints", "delete_artifact", "purge of events", "delete_session, hard")


def until_it_waits(storage: Storage, asked: Future[Any]) -> None:
    """Return once another connection waits for a lock of this thread's transaction."""
    deadline = time.monotonic() + PATIENCE
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with connections[storage.alias].cursor() as cursor:
        while time.monotonic() < deadline and not asked.done():
            cursor.execute(waiting)
            if cursor.fetchone() != (0,):
                return
            time.sleep(0.005)
    raise AssertionError("nobody waits")


def test_a_removal_waits_for_a_hold_and_is_stopped_and_a_hold_waits_for_a_removal(storage_committed: Storage) -> None:
    storage = storage_committed

    def alone(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ChronosError as error:
            return type(error)
        finally:
            connections[storage.alias].close()

    with ThreadPoolExecutor(1) as pool:
        for name in WAYS:
            remove = REMOVALS[name]
            with case(name):
                populate(storage)
                before = everything(storage)
                with storage.atomic():
                    hold(storage)
                    removing = pool.submit(alone, lambda remove=remove: remove(storage))  # type: ignore[misc]
                    until_it_waits(storage, removing)
                assert removing.result(PATIENCE) is LegalHold
                hold(storage, False)
                after = everything(storage)
                assert {kind: len(after[kind]) for kind in after if kind != "audit_log"} == {
                    kind: len(before[kind]) for kind in before if kind != "audit_log"
                }
                with storage.atomic():
                    assert remove(storage)
                    holding = pool.submit(alone, lambda: hold(storage).legal_hold)
                    until_it_waits(storage, holding)
                gone = name.startswith("delete_session")
                assert holding.result(PATIENCE) is (NotFound if gone else True)
                if not gone:
                    hold(storage, False)
                    storage.delete_session("s", hard=True)


class Followed(MemoryDriver):
    """Makes a call once the next commit is done."""

    then: Callable[[], object] | None = None

    def commit(self, writes: Sequence[Write]) -> bool:
        done = super().commit(writes)
        if done and self.then is not None:
            then, self.then = self.then, None
            thread = threading.Thread(target=then)
            thread.start()
            thread.join(PATIENCE)
        return done


def test_a_session_over_documents_that_was_closed_to_be_removed_is_open_again_when_a_hold_was_faster() -> None:
    driver = Followed()
    storage = Storage(DocumentBackend(driver))
    populate(storage)
    driver.then = lambda: hold(storage)
    with pytest.raises(LegalHold):
        storage.delete_session("s", hard=True)
    session = storage.get_session("s")
    assert session is not None
    assert session.legal_hold
    assert len(storage.list_messages("s")) == storage.append_event(Event(session_id="s")).seq_num - 1 == 3


def test_a_deleted_session_under_a_hold_does_not_begin_anew() -> None:
    storage = Storage(MemoryBackend())
    populate(storage)
    hold(storage)
    storage.delete_session("s")
    before = everything(storage)
    with pytest.raises(LegalHold):
        asyncio.run(begin_anew(storage, Session(id="s")))
    assert everything(storage) == before


@pytest.mark.usefixtures("other_databases")
def test_a_hold_that_came_later_comes_with_an_import_which_lifts_none(tmp_path: Path) -> None:
    source = Storage(MemoryBackend())
    populate(source)
    for name, change in (("free", None), ("held", True), ("lifted", False)):
        if change is not None:
            hold(source, change)
        export(source, tmp_path / name)
    for target in (Storage(MemoryBackend()), connect(str(tmp_path / "notes.db"), migrate=True)):
        load_export(target, tmp_path / "free")
        for name in ("held", "lifted", "free"):
            load_export(target, tmp_path / name)
            assert [session.legal_hold for session in target.scan("session")] == [True]
            with pytest.raises(LegalHold):
                target.delete_messages("s")


def test_a_worker_of_the_version_before_reads_every_session_that_is_not_held() -> None:
    session = Session(id="s")
    session.complete()
    for held in (False, True):
        session.legal_hold = held
        text = encode(session)
        assert ("legal_hold" in text) is held
        assert decode(Session, text) == session
    names = {field.name for field in fields(Session)} - {"legal_hold"}
    assert all(f'"{name}":' in text for name in names)
