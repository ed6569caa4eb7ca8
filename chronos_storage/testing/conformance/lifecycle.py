"""The store itself: made ready, closed, asked how it is, and several calls as one transaction."""

from __future__ import annotations

import pytest

from ...exceptions import NotSupported
from ...facade import Storage
from ...records import Event, Message
from .helpers import column, everything, failing, needs_transactions, open_session, populate


class LifecycleContract:
    def test_it_is_well(self, storage: Storage) -> None:
        health = storage.health()
        assert health.ok
        assert health.problems == ()
        assert "." in health.backend
        assert health.store
        assert health.latency is not None
        assert 0 <= health.latency < 60

    def test_being_made_ready_again_changes_nothing(self, storage_committed: Storage) -> None:
        populate(storage_committed)
        before = everything(storage_committed)
        storage_committed.migrate()
        storage_committed.migrate()
        assert everything(storage_committed) == before

    def test_closed_again_and_used_again(self, storage_committed: Storage) -> None:
        populate(storage_committed)
        before = everything(storage_committed)
        storage_committed.close()
        storage_committed.close()
        assert everything(storage_committed) == before
        assert storage_committed.health().ok


class AtomicContract:
    def test_several_calls_are_one(self, storage: Storage) -> None:
        needs_transactions(storage)
        with storage.atomic():
            open_session(storage)
            storage.append_event(Event(session_id="s"))
        assert storage.count_events("s") == 1

    def test_a_failure_undoes_them_all(self, storage: Storage) -> None:
        needs_transactions(storage)
        open_session(storage)
        storage.append_event(Event(session_id="s"))
        before = everything(storage)
        with failing(storage.atomic()):
            open_session(storage, "another")
            storage.append_events([Event(session_id="s"), Event(session_id="another")])
            storage.add_message(Message(session_id="s", role="user"))
            storage.delete_session("s")
        assert everything(storage) == before
        assert storage.append_event(Event(session_id="s"), expected_seq=1).seq_num == 2
        assert storage.verify_events("s").intact

    def test_an_inner_failure_undoes_only_the_inner_calls(self, storage: Storage) -> None:
        needs_transactions(storage)
        with storage.atomic():
            open_session(storage)
            storage.append_event(Event(session_id="s", type="kept"))
            with failing(storage.atomic()):
                storage.append_event(Event(session_id="s", type="undone"))
            storage.append_event(Event(session_id="s", type="kept"))
        assert column(storage.list_events("s"), "type") == ["kept", "kept"]
        assert column(storage.list_events("s"), "seq_num") == [1, 2]
        assert storage.verify_events("s").intact

    def test_what_was_written_inside_is_read_inside(self, storage: Storage) -> None:
        needs_transactions(storage)
        with storage.atomic():
            open_session(storage)
            assert column(storage.list_sessions(), "id") == ["s"]

    def test_without_transactions_it_says_so(self, storage: Storage) -> None:
        if storage.supports_transactions:
            pytest.skip("this backend has transactions")
        with pytest.raises(NotSupported), storage.atomic():
            pass
