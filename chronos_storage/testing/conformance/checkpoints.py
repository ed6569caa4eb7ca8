"""Checkpoints: numbered per session and namespace, the latest by number, thinned out, and forked from."""

from __future__ import annotations

from typing import Any

import pytest

from ... import signals
from ...exceptions import AlreadyExists, AmbiguousId, InvalidRecord, NotFound
from ...facade import Storage
from ...records import Checkpoint, Event
from .helpers import case, column, everything, exactly, open_session, populate, say
from .samples import at


def save(storage: Storage, id: str = "", namespace: str = "", **fields: Any) -> Checkpoint:
    return storage.save_checkpoint(Checkpoint(**{"id": id, "session_id": "s", "namespace": namespace} | fields))


class CheckpointContract:
    def test_each_namespace_has_numbers_of_its_own(self, storage: Storage) -> None:
        """Against: sequence numbers computed as a count."""
        open_session(storage, "s")
        open_session(storage, "other")
        assert [save(storage).seq_num for _ in range(3)] == [1, 2, 3]
        assert save(storage, namespace="sub").seq_num == 1
        assert save(storage, session_id="other").seq_num == 1
        assert save(storage).seq_num == 4

    def test_a_given_number_raises_the_counter(self, storage: Storage) -> None:
        open_session(storage)
        assert save(storage, "ten", seq_num=10).seq_num == 10
        assert save(storage, "next").seq_num == 11
        assert save(storage, "five", seq_num=5).seq_num == 5
        assert save(storage, "last").seq_num == 12
        assert column(storage.list_checkpoints("s"), "id") == ["last", "next", "ten", "five"]

    def test_a_given_number_must_be_unused(self, storage: Storage) -> None:
        open_session(storage)
        save(storage, "a", seq_num=3)
        before = everything(storage)
        with pytest.raises(AlreadyExists):
            save(storage, "b", seq_num=3)
        assert everything(storage) == before
        assert save(storage, "b", namespace="sub", seq_num=3).seq_num == 3

    def test_behind_the_last_number_there_is_none(self, storage: Storage) -> None:
        open_session(storage)
        save(storage, "last", seq_num=2**63 - 1)
        with pytest.raises(InvalidRecord, match="seq_num"):
            save(storage, "next")
        assert column(storage.list_checkpoints("s"), "id") == ["last"]

    def test_an_unknown_session_gets_no_checkpoint(self, storage: Storage) -> None:
        for unknown in ("nowhere", ""):
            with pytest.raises((NotFound, InvalidRecord)):
                save(storage, session_id=unknown)
        assert list(storage.scan("checkpoint")) == []

    def test_the_latest_has_the_highest_number(self, storage: Storage) -> None:
        """Against: "latest" chosen by clock."""
        open_session(storage)
        for id, timestamp in (("a", 9), ("b", 1), ("c", 5)):
            save(storage, id, created_at=at(timestamp), run_id="one" if id == "a" else "two")
        save(storage, "sub", namespace="sub", run_id="one")
        assert storage.get_latest_checkpoint("s").id == "c"
        assert storage.get_latest_checkpoint("s", run_id="one").id == "a"
        assert storage.get_latest_checkpoint("s", namespace="sub").id == "sub"
        assert storage.get_latest_checkpoint("s", run_id="three") is None
        assert storage.get_latest_checkpoint("s", namespace="sub", run_id="two") is None
        assert storage.get_latest_checkpoint("nowhere") is None

    def test_listing_goes_from_the_latest_back(self, storage: Storage) -> None:
        open_session(storage)
        for number in range(1, 6):
            save(storage, f"c{number}", run_id="odd" if number % 2 else "even", created_at=at(-number))
        save(storage, "sub", namespace="sub")
        for filters, found in (
            ({}, ["c5", "c4", "c3", "c2", "c1"]),
            ({"limit": 2}, ["c5", "c4"]),
            ({"before_seq": 3}, ["c2", "c1"]),
            ({"before_seq": 4, "limit": 1}, ["c3"]),
            ({"run_id": "odd"}, ["c5", "c3", "c1"]),
            ({"run_id": "odd", "before_seq": 5}, ["c3", "c1"]),
            ({"namespace": "sub"}, ["sub"]),
            ({"namespace": "none"}, []),
        ):
            assert column(storage.list_checkpoints("s", **filters), "id") == found
            if "limit" not in filters:
                assert column(storage.iter_checkpoints("s", **filters), "id") == found

    def test_listing_by_metadata(self, storage: Storage) -> None:
        """In the grammar of vector stores' filters: types never cross, and a limit is of what matches."""
        open_session(storage)
        for id, metadata in (
            ("none", {}),
            ("one", {"n": 1, "source": "loop", "who": {"name": "ada"}}),
            ("true", {"n": True, "source": "loop", "$odd": "a%b'\""}),
            ("text", {"n": "1", "source": "input", "who": "ada", "tags": ["a", 1, {"b": 2}]}),
            ("two", {"n": 2.0, "source": "loop", "who": None}),
        ):
            save(storage, id, metadata=metadata)
        save(storage, "elsewhere", "sub", metadata={"n": 1})
        found: list[tuple[dict[str, Any], list[str]]] = [
            ({}, ["two", "text", "true", "one", "none"]),
            ({"n": 1.0}, ["one"]),
            ({"n": True}, ["true"]),
            ({"n": {"$gte": 1}}, ["two", "one"]),
            ({"n": {"$in": ["1", 2]}}, ["two", "text"]),
            ({"who.name": "ada"}, ["one"]),
            ({"who": None}, ["two"]),
            ({"who": {"$exists": False}}, ["true", "none"]),
            ({"source": {"$ne": "loop"}, "n": {"$exists": True}}, ["text"]),
            ({"$or": [{"n": "1"}, {"$not": {"source": "loop"}}]}, ["text", "none"]),
            ({"a%b": "%s"}, []),
            ({"source": {"$prefix": "lo"}}, ["two", "true", "one"]),
            ({"n": {"$prefix": ""}}, ["text"]),
            ({"tags": {"$contains": 1.0}}, ["text"]),
            ({"tags": {"$contains_any": ["1", {"b": 2}]}}, ["text"]),
            ({"tags": {"$contains_all": ["a", {}]}}, []),
            ({"source": {"$contains": "loop"}}, []),
        ]
        for asked, ids in found:
            with case(asked):
                assert column(storage.list_checkpoints("s", metadata=asked), "id") == ids
                assert column(storage.iter_checkpoints("s", metadata=asked), "id") == ids
        loop = {"source": "loop"}
        assert column(storage.list_checkpoints("s", metadata=loop, limit=2), "id") == ["two", "true"]
        assert column(storage.list_checkpoints("s", metadata=loop, before_seq=5, limit=1), "id") == ["true"]
        assert column(storage.list_checkpoints("s", namespace="sub", metadata={"n": 1}), "id") == ["elsewhere"]

    @pytest.mark.parametrize(
        ("keep", "deleted", "kept"),
        [
            (9, 0, ["1", "2", "3", "sub1", "sub2"]),
            (2, 1, ["2", "3", "sub1", "sub2"]),
            (1, 3, ["3", "sub2"]),
            (0, 5, []),
        ],
    )
    def test_the_last_few_of_each_namespace_are_kept(
        self, storage: Storage, keep: int, deleted: int, kept: list[str]
    ) -> None:
        open_session(storage, "s")
        open_session(storage, "other")
        save(storage, session_id="other", id="other's")
        for namespace, count in (("", 3), ("sub", 2)):
            for number in range(1, count + 1):
                save(storage, f"{namespace}{number}", namespace, created_at=at(-number))
        assert storage.delete_checkpoints("s", keep_last=keep) == deleted
        assert storage.delete_checkpoints("s", keep_last=keep) == 0
        assert sorted(record.id for record in storage.scan("checkpoint") if record.session_id == "s") == kept
        assert column(storage.list_checkpoints("other"), "id") == ["other's"]
        assert [save(storage).seq_num, save(storage, namespace="sub").seq_num] == [4, 3]

    def test_those_of_some_runs_go(self, storage: Storage) -> None:
        open_session(storage)
        for id, namespace, run_id in (
            *(("a1", "", "a"), ("b1", "", "b"), ("a2", "", "a"), ("c1", "", "c"), ("b2", "", "b"), ("0", "", "")),
            *(("sub a1", "sub", "a"), ("sub a2", "sub", "a"), ("sub c1", "sub", "c")),
        ):
            save(storage, id, namespace, run_id=run_id)
        for filters, gone in (
            ({"run_ids": []}, []),
            ({"run_ids": ["unheard of"], "keep_last": 0}, []),
            ({"run_ids": ["a", "b"], "keep_last": 1}, ["a1", "a2", "b1", "sub a1"]),
            ({"run_ids": ["c"]}, ["c1", "sub c1"]),
            ({"run_ids": ["", "a"]}, ["0", "sub a2"]),
        ):
            before = column(storage.scan("checkpoint"), "id")
            assert storage.delete_checkpoints("s", **filters) == len(gone)
            assert sorted(set(before).difference(column(storage.scan("checkpoint"), "id"))) == gone
        assert column(storage.scan("checkpoint"), "id") == ["b2"]

    def test_all_go_only_where_that_is_said(self, storage: Storage) -> None:
        open_session(storage)
        save(storage)
        with pytest.raises(InvalidRecord) as caught:
            storage.delete_checkpoints("s")
        assert caught.value.field == "keep_last"
        assert len(storage.list_checkpoints("s")) == 1

    def test_the_namespaces_that_have_checkpoints(self, storage: Storage) -> None:
        for session_id in ("s", "other"):
            open_session(storage, session_id)
        save(storage, namespace="another's", session_id="other")
        for namespace in ("b", "", "B", "b", "\u00e9", "gone"):
            last = save(storage, namespace=namespace)
        storage.delete_checkpoint(last.id)
        assert storage.list_namespaces("s") == ["", "B", "b", "\u00e9"]
        assert storage.list_namespaces("nowhere") == []
        storage.delete_session("s")
        assert len(storage.list_namespaces("s")) == 4

    def test_one_is_deleted_and_its_number_is_not_given_again(self, storage: Storage) -> None:
        open_session(storage)
        for id, namespace in (("a", ""), ("b", ""), ("sub", "sub")):
            save(storage, id, namespace)
        assert [storage.delete_checkpoint(id) for id in ("b", "b", "nothing", "sub")] == [True, False, False, True]
        assert column(storage.scan("checkpoint"), "id") == ["a"]
        assert storage.get_latest_checkpoint("s").id == "a"
        assert save(storage, "c").seq_num == 3
        assert storage.get_latest_checkpoint("s", namespace="sub") is None
        assert storage.delete_checkpoints("s", keep_last=1) == 1

    def test_of_an_id_in_two_sessions_one_is_named(self, storage: Storage) -> None:
        for session_id in ("s", "other"):
            open_session(storage, session_id)
            save(storage, "c", session_id=session_id)
        with pytest.raises(AmbiguousId):
            storage.delete_checkpoint("c")
        assert storage.delete_checkpoint("c", session_id="nowhere") is False
        assert storage.delete_checkpoint("c", session_id="other") is True
        assert column(storage.scan("checkpoint"), "session_id") == ["s"]

    def test_a_negative_number_to_keep_is_refused(self, storage: Storage) -> None:
        open_session(storage)
        save(storage)
        with pytest.raises(InvalidRecord):
            storage.delete_checkpoints("s", keep_last=-1)
        assert len(storage.list_checkpoints("s")) == 1
        assert storage.delete_checkpoints("nowhere", keep_last=0) == 0


class ForkContract:
    def test_a_fork_starts_from_the_state(self, storage: Storage) -> None:
        about = {"agent_id": "a", "user_id": "u", "author": "w", "title": "t", "container_id": "c", "image_id": "i"}
        open_session(storage, "s", metadata={"of": "source"}, **about)
        save(storage, "first", "sub", state={"n": 1})
        source = save(
            storage, "second", "sub", run_id="r", node_id="n", state={"b": 1e23, "a": [1.0]}, metadata={"m": 1}
        )
        save(storage, "third", "sub", state={"n": 3})
        fork = storage.fork_session("second")
        assert storage.get_session(fork.id) == fork
        assert fork.id != "s"
        assert {name: getattr(fork, name) for name in about} == about
        origin = {"session_id": "s", "checkpoint_id": "second", "namespace": "sub", "seq_num": 2}
        assert fork.metadata["forked_from"] == origin
        [first] = storage.list_checkpoints(fork.id, namespace="sub")
        assert storage.get_latest_checkpoint(fork.id, namespace="sub") == first
        assert first.session_id == fork.id
        assert exactly(first.state) == exactly(source.state)
        assert (first.run_id, first.node_id, first.metadata) == ("r", "n", {"m": 1, "forked_from": origin})

    def test_a_fork_s_checkpoint_has_an_id_of_its_own(self, storage: Storage) -> None:
        open_session(storage)
        source = save(storage, "c", state={"n": 1})
        fork = storage.fork_session("c")
        first = storage.get_latest_checkpoint(fork.id)
        assert storage.get_checkpoint("c") == source
        assert storage.get_checkpoint(first.id) == first
        again = storage.fork_session(first.id)
        assert again.metadata["forked_from"]["checkpoint_id"] == first.id
        assert storage.get_latest_checkpoint(again.id).state == {"n": 1}

    def test_receivers_hear_of_its_session_and_of_its_checkpoint(self, storage_committed: Storage) -> None:
        storage, heard = storage_committed, list[Any]()
        open_session(storage)
        save(storage, "c", state={"n": 1})

        def receive(**message: Any) -> None:
            heard.append(message["records"])

        signals.records_written.connect(receive)
        try:
            fork = storage.fork_session("c")
        finally:
            signals.records_written.disconnect(receive)
        assert heard == [(fork,), (storage.get_latest_checkpoint(fork.id),)]

    def test_nothing_else_goes_with_it_and_the_source_is_untouched(self, storage: Storage) -> None:
        populate(storage)
        before = everything(storage)
        fork = storage.fork_session("c1", session_id="s")
        after = everything(storage)
        assert (storage.list_messages(fork.id), storage.list_events(fork.id)) == ([], [])
        for kind, records in before.items():
            new = [record for record in after[kind] if record not in records]
            assert [record for record in after[kind] if record in records] == records
            assert len(new) == (1 if kind in ("session", "checkpoint") else 0)

    def test_a_fork_goes_its_own_way(self, storage: Storage) -> None:
        open_session(storage)
        save(storage, "c")
        fork = storage.fork_session("c", id="fork", title="Another way", metadata={"why": "to try"})
        assert (fork.id, fork.title, fork.metadata["why"]) == ("fork", "Another way", "to try")
        assert fork.metadata["forked_from"]["checkpoint_id"] == "c"
        later = save(storage, session_id="fork", state={"n": 2})
        assert storage.get_latest_checkpoint("fork") == later
        assert say(storage, "m", session_id="fork")[0].seq_num == 1
        assert storage.append_event(Event(session_id="fork")).seq_num == 1
        assert column(storage.list_checkpoints("s"), "id") == ["c"]

    def test_of_an_id_in_two_sessions_a_fork_names_one(self, storage: Storage) -> None:
        for session_id in ("s", "other"):
            open_session(storage, session_id)
            save(storage, "c", session_id=session_id, state={"n": session_id})
        with pytest.raises(AmbiguousId):
            storage.fork_session("c")
        with pytest.raises(AmbiguousId):
            storage.get_checkpoint("c")
        fork = storage.fork_session("c", session_id="other")
        assert fork.metadata["forked_from"]["session_id"] == "other"
        assert storage.get_latest_checkpoint(fork.id).state == {"n": "other"}

    def test_a_fork_that_cannot_be_made_leaves_nothing(self, storage: Storage) -> None:
        open_session(storage)
        save(storage, "c")
        before = everything(storage)
        with pytest.raises(NotFound):
            storage.fork_session("nothing")
        with pytest.raises(NotFound):
            storage.fork_session("c", session_id="other")
        with pytest.raises(AlreadyExists):
            storage.fork_session("c", id="s")
        for wrong in ({"title": "a\x00"}, {"metadata": None}, {"colour": "red"}):
            with pytest.raises(InvalidRecord):
                storage.fork_session("c", **wrong)
        assert everything(storage) == before
