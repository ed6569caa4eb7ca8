"""Walking through all that is stored, and writing it as it was into a store again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ...exceptions import AlreadyExists, InvalidRecord, NotFound
from ...facade import Storage
from ...records import KINDS, AuditLog, Checkpoint, Container, Event, Image, MemoryRecord
from ..writers import write
from .helpers import case, column, everything, open_session, populate, say
from .samples import NAIVE, ODD_STRINGS, at, bare, complete_session, full

OWNED = [kind for kind in KINDS if kind not in ("container", "image")]


def all_of(storage: Storage) -> list[Any]:
    return [record for records in everything(storage).values() for record in records]


class ScanContract:
    def test_a_walk_that_was_broken_off_goes_on(self, storage: Storage) -> None:
        for number in (2, 1, 3):
            populate(storage, f"s{number}")
            write(storage, bare("container"))
            write(storage, bare("image"))
        for kind, whole in everything(storage).items():
            with case(kind):
                assert len(whole) >= 3
                for position, record in enumerate(whole):
                    assert list(storage.scan(kind, after=record)) == whole[position + 1 :]

    def test_a_walk_goes_by_id_bytewise(self, storage: Storage) -> None:
        """Against: a result list that differs between backends."""
        for id in ODD_STRINGS:
            open_session(storage, id)
        assert column(storage.scan("session"), "id") == sorted(ODD_STRINGS, key=str.encode)

    def test_what_is_numbered_goes_by_session_and_number(self, storage: Storage) -> None:
        for session_id in ("b", "\u00e9", "B", "a"):
            open_session(storage, session_id)
            say(storage, *[f"{number}" for number in range(11, 0, -1)], session_id=session_id)
        places = [(message.session_id, message.seq_num) for message in storage.scan("message")]
        assert places == [(session_id, number) for session_id in ("B", "a", "b", "\u00e9") for number in range(1, 12)]

    def test_a_walk_goes_on_behind_what_is_gone(self, storage: Storage) -> None:
        for id in ("a", "b", "c"):
            open_session(storage, id)
        reached = next(storage.scan("session", after=storage.get_session("a")))
        storage.delete_session("b", hard=True)
        assert column(storage.scan("session", after=reached), "id") == ["c"]

    def test_only_what_is_a_users(self, storage: Storage) -> None:
        populate(storage, "s1", "u1")
        populate(storage, "s2", "u2")
        populate(storage, "s3", "u1")
        for kind in OWNED:
            with case(kind):
                of = "id" if kind == "session" else "session_id"
                whole = list(storage.scan(kind))
                theirs = [record for record in whole if getattr(record, of) in ("s1", "s3")]
                assert 0 < len(theirs) < len(whole)
                assert list(storage.scan(kind, user_id="u1")) == theirs
                assert list(storage.scan(kind, user_id="u1", after=theirs[0])) == theirs[1:]
                others = [record for record in whole if record not in theirs]
                following = [record for record in theirs if whole.index(record) > whole.index(others[0])]
                assert list(storage.scan(kind, user_id="u1", after=others[0])) == following
                assert list(storage.scan(kind, user_id="nobody")) == []

    def test_what_names_a_user_or_is_in_a_session_of_theirs(self, storage: Storage) -> None:
        open_session(storage, "theirs", user_id="u")
        open_session(storage, "nobody's")
        owners = [{"user_id": "u"}, {"session_id": "theirs"}, {"session_id": "nobody's"}, {"user_id": "other"}]
        for kind in ("memory", "audit_log"):
            with case(kind):
                stored = [write(storage, bare(kind, **{"session_id": ""} | owner)) for owner in owners]
                found = column(storage.scan(kind, user_id="u"), "id")
                assert sorted(found) == sorted(column(stored[:2], "id"))

    def test_containers_and_images_are_nobodys(self, storage: Storage) -> None:
        storage.save_container(Container())
        storage.save_image(Image())
        assert list(storage.scan("container", user_id="user")) == []
        assert list(storage.scan("image", user_id="user")) == []

    def test_what_is_hidden_is_walked_through_too(self, storage: Storage) -> None:
        open_session(storage)
        storage.delete_session("s")
        storage.put_memory(MemoryRecord(agent_id="a", key="k", expires_at=at(-(10**9))))
        assert column(storage.scan("session"), "id") == ["s"]
        assert column(storage.scan("memory"), "key") == ["k"]

    def test_an_unknown_kind_is_refused(self, storage: Storage) -> None:
        with pytest.raises(ValueError, match="nonsense"):
            list(storage.scan("nonsense"))


def changed(**changes: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda chain: [chain[0], dataclasses.replace(chain[1], **changes), *chain[2:]]


TAMPERED: dict[str, Callable[[list[Any]], list[Any]]] = {
    "another hash": changed(hash="0" * 64),
    "no hash": changed(hash=""),
    "another number": changed(seq_num=7),
    "no number": changed(seq_num=0),
    "another id": changed(id="another"),
    "another time": changed(created_at=at(77)),
    "a missing entry": lambda chain: [chain[0], chain[2]],
    "an entry twice under two ids": lambda chain: [*chain, dataclasses.replace(chain[2], id="again")],
    "two entries swapped": lambda chain: [chain[0], chain[2], chain[1]],
    "two entries with their numbers swapped": lambda chain: [
        chain[0],
        dataclasses.replace(chain[2], seq_num=2),
        dataclasses.replace(chain[1], seq_num=3),
    ],
    "another session's": lambda chain: [dataclasses.replace(entry, session_id="s2") for entry in chain],
}
EVENT_TAMPERED = TAMPERED | {
    "another type": changed(type="another"),
    "another schema": changed(schema="another"),
    "another version of the schema": changed(schema_version=1),
    "another payload": changed(payload={"n": 2.0}),
}
AUDIT_TAMPERED = TAMPERED | {
    f"another {name}": changed(**{name: "another"}) for name in ("agent_id", "user_id", "actor", "action", "resource")
}
AUDIT_TAMPERED["another detail"] = changed(detail={})


class LoadContract:
    def test_a_copy_is_the_original(self, storage: Storage) -> None:
        populate(storage, "s1", "u1")
        populate(storage, "s2", "u2")
        for kind in ("container", "image"):
            write(storage, full(kind))
        storage.delete_message("m2", session_id="s1")
        storage.delete_checkpoints("s1", keep_last=1)
        storage.delete_session("s2")
        original = all_of(storage)
        for session_id in ("s1", "s2"):
            storage.delete_session(session_id, hard=True)
        storage.delete_container("container")
        storage.delete_image("image")
        of_deletion = all_of(storage)
        assert column(of_deletion, "session_id") == ["", ""]
        assert storage.load(iter(original)) == len(original)
        assert [record for record in all_of(storage) if record not in of_deletion] == original
        assert all(verdict.intact for verdict in storage.verify_all())

    def test_a_copy_goes_on_where_the_original_was(self, storage: Storage) -> None:
        populate(storage)
        storage.delete_message("m2")
        original = all_of(storage)
        storage.delete_session("s", hard=True)
        storage.load(original)
        assert say(storage, "next")[0].seq_num == 4
        assert storage.append_event(Event(session_id="s"), expected_seq=3).seq_num == 4
        assert storage.append_audit_log(AuditLog(session_id="s")).seq_num == 3
        assert storage.save_checkpoint(Checkpoint(session_id="s", namespace="sub")).seq_num == 3
        memory = next(record for record in original if isinstance(record, MemoryRecord))
        assert storage.put_memory(dataclasses.replace(memory, id="", value="again")).id == memory.id
        assert all(verdict.intact for verdict in storage.verify_all())

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_record_is_loaded_as_it_is(self, storage: Storage, kind: str) -> None:
        if kind != "session":
            open_session(storage)
        given = full(kind)
        chained = kind in ("event", "audit_log")
        numbers = {"seq_num": 42, "version": 42, "sha256": "0" * 64}
        for name, value in {"updated_at": at(99), "deleted_at": at(98), **numbers}.items():
            if hasattr(given, name) and not chained:
                setattr(given, name, value)
        if chained:
            given = write(storage, given)
        else:
            assert storage.load([given]) == 1
        [stored] = storage.scan(kind)
        assert stored == given

    def test_loading_again_changes_nothing(self, storage: Storage) -> None:
        for kind in ("session", "container", "image"):
            write(storage, full(kind, "full"))
        populate(storage)
        before = everything(storage)
        assert storage.load(all_of(storage)) == 0
        assert everything(storage) == before

    def test_what_is_new_is_added_to_what_is_there(self, storage: Storage) -> None:
        populate(storage)
        original = all_of(storage)
        storage.delete_session("s", hard=True)
        part = [record for record in original if getattr(record, "seq_num", 0) < 2]
        assert storage.load(part) == len(part)
        assert storage.load(original) == len(original) - len(part)
        assert storage.verify_events("s").checked == 3

    def test_events_that_do_not_fit_their_chain_are_refused(self, storage: Storage) -> None:
        populate(storage, "s")
        events = storage.list_events("s")
        storage.delete_session("s", hard=True)
        before = everything(storage)
        for name, tamper in EVENT_TAMPERED.items():
            with case(name), pytest.raises(InvalidRecord) as caught:
                storage.load([complete_session("s"), complete_session("s2"), *tamper(events)])
            assert caught.value.field in ("seq_num", "hash"), name
            assert everything(storage) == before, name
        assert storage.load([complete_session("s"), *events]) == 4

    def test_audit_entries_that_do_not_fit_their_chain_are_refused(self, storage: Storage) -> None:
        open_session(storage)
        given = dataclasses.replace(full("audit_log"), id="")
        logs = [storage.append_audit_log(given) for _ in range(3)]
        storage.delete_session("s", hard=True)
        before = everything(storage)
        for name, tamper in AUDIT_TAMPERED.items():
            with case(name), pytest.raises(InvalidRecord) as caught:
                storage.load([complete_session("s"), *tamper(logs)])
            assert caught.value.field in ("seq_num", "hash"), name
            assert everything(storage) == before, name
        assert storage.load(logs) == 3

    def test_other_content_under_a_known_id_is_refused_whole(self, storage: Storage) -> None:
        populate(storage)
        before = everything(storage)
        for other in (
            complete_session("s", agent_id="other"),
            dataclasses.replace(storage.list_messages("s")[0], content="other"),
            dataclasses.replace(storage.list_messages("s")[0], content="other", seq_num=100),
            dataclasses.replace(storage.list_events("s")[0], type="other", seq_num=storage.last_seq("s") + 1),
            dataclasses.replace(storage.list_traces("s")[0], name="other"),
        ):
            with pytest.raises(AlreadyExists):
                storage.load([complete_session("new"), other])
            assert everything(storage) == before

    def test_a_place_that_another_id_holds_is_refused(self, storage: Storage) -> None:
        populate(storage)
        before = everything(storage)
        for kind in ("message", "checkpoint", "memory", "artifact"):
            with case(kind):
                with pytest.raises(AlreadyExists):
                    storage.load([complete_session("new"), dataclasses.replace(before[kind][0], id="another")])
                assert everything(storage) == before

    def test_what_has_no_session_is_refused_whole(self, storage: Storage) -> None:
        for kind in ("message", "checkpoint"):
            with case(kind):
                with pytest.raises(NotFound):
                    storage.load([complete_session("new"), bare(kind, "nowhere", id="x", seq_num=1, created_at=at(0))])
                assert not any(everything(storage).values())

    def test_events_without_their_session_are_refused(self, storage: Storage) -> None:
        populate(storage)
        events = storage.list_events("s")
        storage.delete_session("s", hard=True)
        with pytest.raises(NotFound):
            storage.load(events)
        assert list(storage.scan("event")) == []

    def test_what_cannot_be_kept_cannot_be_loaded(self, storage: Storage) -> None:
        wrongs: list[tuple[str, str, Any]] = [
            ("memory", "key", "\x00"),
            ("message", "created_at", NAIVE),
            ("trace", "input", {1: 2}),
        ]
        for kind, name, wrong in wrongs:
            with case(kind, name, wrong):
                given = dataclasses.replace(full(kind), **{name: wrong})
                with pytest.raises(InvalidRecord) as caught:
                    storage.load([complete_session("another"), complete_session("s"), given])
                assert caught.value.field == name
                assert not any(everything(storage).values())

    def test_a_large_copy(self, storage: Storage) -> None:
        timestamp = datetime(2026, 1, 1, tzinfo=UTC)
        message = dataclasses.replace(full("message"), created_at=timestamp)
        messages = [dataclasses.replace(message, id=f"{number:05}", seq_num=number) for number in range(1, 1_101)]
        given = [complete_session(), *messages]
        assert storage.load(given) == 1_101
        assert storage.list_messages("s") == given[1:]
        assert storage.load(given) == 0

    def test_of_a_number_that_is_taken_the_session_is_named(self, storage: Storage) -> None:
        for session_id in ("a", "b"):
            open_session(storage, session_id)
        for kind in ("message", "checkpoint"):
            with case(kind):
                write(storage, bare(kind, "b", id="first"))
                before = everything(storage)
                given = [bare(kind, session_id, id="other", seq_num=1, created_at=at(1)) for session_id in ("a", "b")]
                with pytest.raises(AlreadyExists, match="'b'"):
                    storage.load(given)
                assert everything(storage) == before
