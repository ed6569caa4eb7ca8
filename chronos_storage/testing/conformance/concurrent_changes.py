"""Many who change the same thing at once: all win, or one does and the others hear of it."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from itertools import chain

from ...backends.document import MemoryBackend
from ...exceptions import AlreadyExists, InvalidRecord, NotFound, RetryTransaction
from ...facade import Storage
from ...records import Checkpoint, Container, Event, Image, MemoryRecord, Message, Session
from ..writers import write
from .helpers import (
    PATIENCE,
    THREADS,
    column,
    everything,
    needs_transactions,
    open_session,
    populate,
    together,
    writers,
)


class ConcurrentChangeContract:
    def test_one_key_of_memory_is_one_row(self, storage_committed: Storage) -> None:
        storage = storage_committed

        def put(writer: int) -> list[str]:
            return [storage.put_memory(MemoryRecord(agent_id="a", key="k", value=[writer, n])).id for n in range(10)]

        ids = together(storage, *writers(put))
        assert len(set(chain(*ids))) == 1
        [row] = storage.scan("memory")
        assert row.value[1] == 9
        assert storage.get_memory("a", "k") == row

    def test_keys_put_together_in_any_order_are_one_row_each(self, storage_committed: Storage) -> None:
        storage = storage_committed

        def put(writer: int) -> list[str]:
            keys = "abcd" if writer % 2 else "dcba"
            return sorted(storage.put_memories(MemoryRecord(agent_id="a", key=key) for key in keys).new)

        assert len(set(map(tuple, together(storage, *writers(put))))) == 1
        assert column(storage.list_memory("a", prefix="a"), "key") == ["a"]
        assert sorted(column(storage.scan("memory"), "key")) == ["a", "b", "c", "d"]

    def test_patches_of_different_fields_all_win(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)
        names = ["title", "status", "author", "agent_id", "container_id", "image_id"]

        def patch(writer: int) -> None:
            for n in range(10):
                assert getattr(storage.patch_session("s", **{names[writer]: f"{n}"}), names[writer]) == f"{n}"

        together(storage, *writers(patch, len(names)))
        session = storage.get_session("s")
        assert [getattr(session, name) for name in names] == ["9"] * len(names)

    def test_merges_of_different_keys_all_win(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)

        def merge(writer: int) -> None:
            for n in range(8):
                storage.patch_session_metadata("s", {f"{writer}/{n}": n})

        together(storage, *writers(merge))
        kept = storage.get_session("s")
        assert kept is not None
        assert kept.metadata == {f"{writer}/{n}": n for writer in range(THREADS) for n in range(8)}

    def test_a_user_is_set_by_one(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)

        def claim(writer: int) -> str:
            try:
                return storage.patch_session("s", user_id=f"user {writer}").user_id
            except InvalidRecord:
                return ""

        winners = [user for user in together(storage, *writers(claim)) if user]
        assert winners == [storage.get_session("s").user_id]

    def test_a_session_is_made_by_one(self, storage_committed: Storage) -> None:
        storage = storage_committed

        def make(writer: int) -> Session | None:
            try:
                return storage.create_session(Session(id="s", title=f"{writer}"))
            except AlreadyExists:
                return None

        made = [session for session in together(storage, *writers(make)) if session]
        assert made == storage.list_sessions()

    def test_a_session_is_saved_by_all(self, storage_committed: Storage) -> None:
        storage = storage_committed
        saved = together(storage, *writers(lambda n: storage.save_session(Session(id="s", title=f"{n}"))))
        assert column(saved, "title") == [f"{n}" for n in range(THREADS)]
        assert len(storage.list_sessions()) == 1
        assert storage.append_event(Event(session_id="s")).seq_num == 1

    def test_one_checkpoint_id_in_many_namespaces_is_stored_in_one(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)
        turn = threading.Barrier(THREADS, timeout=PATIENCE)

        def save(writer: int) -> list[Checkpoint]:
            saved = []
            storage.save_checkpoint(Checkpoint(session_id="s", namespace=f"{writer}"))
            for n in range(5):
                turn.wait()
                with contextlib.suppress(AlreadyExists):
                    saved.append(storage.save_checkpoint(Checkpoint(id=f"{n}", session_id="s", namespace=f"{writer}")))
            return saved

        saved = list(chain(*together(storage, *writers(save))))
        assert sorted(column(saved, "id")) == ["0", "1", "2", "3", "4"]
        assert [storage.get_checkpoint(checkpoint.id) for checkpoint in saved] == saved

    def test_the_same_records_loaded_at_once_are_stored_once(self, storage_committed: Storage) -> None:
        storage, source = storage_committed, Storage(MemoryBackend())
        for record in (Container(), Image()):
            write(source, record)
        populate(source)
        given = everything(source)
        records = list(chain(*given.values()))
        counts = together(storage, *writers(lambda _: storage.load(records)))
        assert sum(counts) == len(records)
        assert everything(storage) == given

    def test_nothing_is_written_to_a_session_that_was_closed(self, storage_committed: Storage) -> None:
        """Against: soft-deleted rows that come back by an update."""
        storage = storage_committed
        open_session(storage)
        deadline = time.monotonic() + PATIENCE

        def append(_: int) -> int:
            written = 0
            while time.monotonic() < deadline:
                try:
                    storage.append_event(Event(session_id="s"))
                except NotFound:
                    return written
                written += 1
                time.sleep(0.001)  # who closes it gets a turn
            return written

        def close() -> int:
            while storage.count_events("s") < 20 and time.monotonic() < deadline:
                time.sleep(0.001)
            assert storage.delete_session("s") is True
            return storage.count_events("s")

        at_closing, *written = together(storage, close, *writers(append, 4))
        assert storage.count_events("s") == sum(written) == at_closing >= 20
        assert storage.verify_events("s").intact
        assert storage.get_session("s") is None

    def test_nothing_is_left_behind_by_writers_of_a_removed_session(self, storage_committed: Storage) -> None:
        storage = storage_committed
        populate(storage)
        deadline = time.monotonic() + PATIENCE

        def append(writer: int) -> None:
            while time.monotonic() < deadline:
                try:
                    if writer % 2:
                        storage.append_event(Event(session_id="s"))
                    else:
                        storage.add_message(Message(session_id="s", role="user"))
                except NotFound:
                    return
                time.sleep(0.001)  # who removes it gets a turn

        def remove() -> None:
            while storage.count_events("s") < 15 and time.monotonic() < deadline:
                time.sleep(0.001)
            assert storage.delete_session("s", hard=True) is True

        together(storage, remove, *writers(append, 4))
        assert time.monotonic() < deadline
        assert [list(storage.scan(kind)) for kind in ("session", "message", "event", "checkpoint")] == [[]] * 4
        assert storage.last_seq("s") == 0
        assert all(verdict.intact for verdict in storage.verify_all())

    def test_of_two_transactions_in_each_others_way_one_is_to_be_run_again(self, storage_committed: Storage) -> None:
        storage = storage_committed
        needs_transactions(storage)
        open_session(storage, "a")
        open_session(storage, "b")
        both_hold_one = threading.Barrier(2, timeout=0.3)

        def cross(first: str, second: str) -> bool:
            try:
                with storage.atomic():
                    storage.add_message(Message(session_id=first, role="user"))
                    with contextlib.suppress(threading.BrokenBarrierError):  # where one is let in at a time
                        both_hold_one.wait()
                    storage.add_message(Message(session_id=second, role="user"))
            except RetryTransaction:
                return False
            return True

        committed = together(storage, partial(cross, "a", "b"), partial(cross, "b", "a")).count(True)
        assert committed >= 1
        assert storage.count_messages("a") == storage.count_messages("b") == committed
        assert cross("a", "b")
        assert column(storage.list_messages("a"), "seq_num") == list(range(1, committed + 2))
