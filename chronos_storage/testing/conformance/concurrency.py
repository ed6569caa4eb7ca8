"""Many who append at once: nothing is lost, doubled, or numbered twice."""

from __future__ import annotations

import time
from itertools import chain

from ...exceptions import SequenceConflict
from ...facade import Storage
from ...records import AuditLog, Checkpoint, Event, Message
from .helpers import PATIENCE, THREADS, column, open_session, together, writers


class ConcurrentAppendContract:
    def test_events_are_numbered_without_gap_or_repeat(self, storage_committed: Storage) -> None:
        """Against: sequence numbers computed as a count, so that two writers collide."""
        storage = storage_committed
        open_session(storage)

        def append(writer: int) -> list[int]:
            return [storage.append_event(Event(session_id="s", type=f"{writer}", payload=n)).seq_num for n in range(12)]

        numbers = together(storage, *writers(append))
        assert sorted(chain(*numbers)) == list(range(1, THREADS * 12 + 1))
        events = storage.list_events("s")
        assert column(events, "seq_num") == list(range(1, THREADS * 12 + 1))
        for writer in range(THREADS):
            assert [event.payload for event in events if event.type == f"{writer}"] == list(range(12))
        assert storage.verify_events("s").intact
        assert storage.verify_events("s").checked == THREADS * 12

    def test_batches_stay_together(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)

        def append(writer: int) -> None:
            for _ in range(10):
                storage.append_events([Event(session_id="s", payload=writer)] * 5)

        together(storage, *writers(append, 4))
        payloads = column(storage.list_events("s"), "payload")
        assert len(payloads) == 200
        assert all(len(set(payloads[start : start + 5])) == 1 for start in range(0, 200, 5))
        assert storage.verify_events("s").intact

    def test_batches_over_several_sessions_do_not_block_each_other(self, storage_committed: Storage) -> None:
        storage = storage_committed
        ids = ["a", "b", "c"]
        for id in ids:
            open_session(storage, id)

        def append(writer: int) -> None:
            turned = ids[writer % 3 :] + ids[: writer % 3]
            for session_ids in (turned, turned[::-1]) * 5:
                storage.append_events([Event(session_id=id) for id in session_ids])
                storage.add_messages([Message(session_id=id, role="user") for id in session_ids])

        together(storage, *writers(append, 6))
        for id in ids:
            assert column(storage.list_events(id), "seq_num") == list(range(1, 61))
            assert column(storage.list_messages(id), "seq_num") == list(range(1, 61))

    def test_of_those_who_expect_the_same_number_one_wins(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)

        def append(writer: int) -> object:
            try:
                return storage.append_event(Event(session_id="s", payload=writer), expected_seq=0)
            except SequenceConflict as conflict:
                return (conflict.expected, conflict.actual)

        results = together(storage, *writers(append))
        assert results.count((0, 1)) == THREADS - 1
        assert [result for result in results if isinstance(result, Event)] == storage.list_events("s")

    def test_a_retry_that_overtakes_the_first_try(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)

        def append(_: int) -> list[Event]:
            return [storage.append_event(Event(id=f"{n}", session_id="s", payload=n)) for n in range(10)]

        results = together(storage, *writers(append))
        assert all(result == storage.list_events("s") for result in results)
        assert storage.last_seq("s") == 10
        assert storage.verify_events("s").checked == 10

    def test_a_reader_who_follows_the_numbers_misses_nothing(self, storage_committed: Storage) -> None:
        """Against: messages lost, or reordered under a reader."""
        storage = storage_committed
        open_session(storage)
        deadline = time.monotonic() + PATIENCE

        def append(_: int) -> None:
            for _ in range(30):
                storage.append_event(Event(session_id="s"))

        def follow() -> list[int]:
            seen = [0]
            while seen[-1] < 120 and time.monotonic() < deadline:
                time.sleep(0.001)  # the writers' turn
                seen += column(storage.list_events("s", seen[-1]), "seq_num")
            return seen

        seen = together(storage, follow, *writers(append, 4))[0]
        assert seen == list(range(121))

    def test_messages_of_several_writers_are_all_there_in_one_order(self, storage_committed: Storage) -> None:
        """Against: messages silently lost, or reordered under a reader, when several writers share a session."""
        storage = storage_committed
        open_session(storage)
        deadline = time.monotonic() + PATIENCE

        def add(writer: int) -> None:
            for n in range(10):
                given = [Message(id=f"{writer}/{n}/{i}", session_id="s", role="user") for i in range(3)]
                storage.add_messages(given) if n % 2 else [storage.add_message(message) for message in given]

        def watch() -> list[list[str]]:
            views: list[list[str]] = [[]]
            while len(views[-1]) < 180 and time.monotonic() < deadline:
                time.sleep(0.005)  # the writers' turn
                views.append(column(storage.list_messages("s"), "id"))
            return views

        views = together(storage, watch, *writers(add, 6))[0]
        final = storage.list_messages("s")
        assert column(final, "seq_num") == list(range(1, 181))
        assert all(view == column(final[: len(view)], "id") for view in views)
        for writer in range(6):
            its_own = [message.id for message in final if message.id.startswith(f"{writer}/")]
            assert its_own == [f"{writer}/{n}/{i}" for n in range(10) for i in range(3)]
        assert storage.get_session("s").last_activity_at == max(column(final, "created_at"))

    def test_audit_entries_of_one_chain(self, storage_committed: Storage) -> None:
        """Against: sequence numbers computed as a count, so that two writers collide."""
        storage = storage_committed

        def append(_: int) -> None:
            for _ in range(12):
                storage.append_audit_log(AuditLog(agent_id="a"))

        together(storage, *writers(append))
        assert column(storage.scan("audit_log"), "seq_num") == list(range(1, THREADS * 12 + 1))
        assert storage.verify_audit_logs(agent_id="a").intact

    def test_checkpoints_get_numbers_of_their_own(self, storage_committed: Storage) -> None:
        """Against: sequence numbers computed as a count, so that two writers collide."""
        storage = storage_committed
        open_session(storage)

        def save(writer: int) -> None:
            for _ in range(12):
                storage.save_checkpoint(Checkpoint(session_id="s", namespace="even" if writer % 2 else ""))

        together(storage, *writers(save))
        for namespace in ("", "even"):
            numbers = column(storage.list_checkpoints("s", namespace=namespace), "seq_num")
            assert numbers == list(range(THREADS * 6, 0, -1))
