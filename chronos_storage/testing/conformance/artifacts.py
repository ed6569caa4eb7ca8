"""Artifacts: versions of files, whose bytes are kept once and as long as something has them."""

from __future__ import annotations

import hashlib
import io
import shutil
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage as FileStorage
from django.core.files.storage import storages

from ... import conf
from ...backends.base import Query
from ...exceptions import AlreadyExists, DamagedArtifact, InvalidRecord, NotFound, SequenceConflict
from ...facade import Storage
from ...records import Artifact, Blob, Checkpoint
from .helpers import case, cases, column, everything, failing, needs_transactions, open_session, together, writers
from .samples import ODD_STRINGS, at

#: As old as what was written before the call.
NOW = timedelta(microseconds=1)


def put(storage: Storage, data: Any = b"data", name: str = "n", **fields: Any) -> Artifact:
    return storage.put_artifact(Artifact(name=name, **fields), data)


def content(storage: Storage, artifact: Artifact) -> bytes:
    with storage.open_artifact(artifact.id) as file:
        return file.read()


def file_storage() -> FileStorage:
    return storages[conf.artifact_storage()]


def files_of(storage: Storage) -> list[str]:
    """The names of the files that the store knows of, and that are there."""
    blobs = list(storage.backend.iterate(Query(record=Blob, order=("id",))))
    names = [name for blob in blobs if blob.id for name in (blob.kept, *blob.others) if name]
    return [name for name in names if file_storage().exists(name)]


class _Pieces:
    """A binary file object that can be read once, and not whole."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        assert 0 < size <= 1024 * 1024
        return self._file.read(size)


class ArtifactContract:
    def test_each_name_has_versions_of_its_own_in_each_scope(self, storage: Storage) -> None:
        open_session(storage)
        scopes: list[dict[str, str]] = [{}, {"session_id": "s"}, {"user_id": "s"}, {"session_id": "s", "user_id": "s"}]
        for fields in (*scopes, *scopes):
            for name in ("n", "N"):
                put(storage, f"{fields} {name}".encode(), name, **fields)
        for fields in scopes:
            with case(fields):
                found = [storage.get_artifact("n", **fields, version=version) for version in (1, 2, 3, None)]
                assert column(found[:2], "version") == [1, 2]
                assert found[2:] == [None, found[1]]
                assert content(storage, found[0]) == f"{fields} n".encode()
        assert storage.get_artifact("x") is None

    def test_odd_ids_and_names_are_all_different(self, storage: Storage) -> None:
        odd = {"version": 1, "sha256": "0" * 64, "created_at": at(0)}
        given = [Artifact(id=name, name=name, user_id=name, **odd) for name in ODD_STRINGS]
        assert storage.load(given) == len(ODD_STRINGS)
        assert [storage.get_artifact(name, user_id=name) for name in ODD_STRINGS] == given
        for name in ("e", "1", "a"):
            assert put(storage, name.encode(), name, user_id=name).version == 2
            assert content(storage, storage.get_artifact(name, user_id=name)) == name.encode()

    def test_bytes_come_back_with_their_size_and_digest(self, storage: Storage) -> None:
        large = bytes(range(256)) * 5_000
        for data in (b"", b"\x00\xff\r\n", bytearray(b"array"), memoryview(b"view"), large):
            stored = put(storage, data)
            assert (stored.size, stored.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            assert content(storage, stored) == data
            assert storage.get_artifact("n") == stored

    def test_a_file_is_read_in_pieces_from_where_it_is_on(self, storage: Storage) -> None:
        data = bytes(range(256)) * 10_000
        assert content(storage, put(storage, _Pieces(data))) == data
        file = io.BytesIO(data)
        file.seek(2_000_000)
        assert content(storage, put(storage, file)) == data[2_000_000:]
        assert not file.closed

    def test_a_part_of_it_can_be_read(self, storage: Storage) -> None:
        stored = put(storage, bytes(range(256)) * 1_000)
        with storage.open_artifact(stored.id) as file:
            assert file.seek(255_000) == 255_000
            assert file.read(5) == bytes(range(24, 29))
            file.seek(-1, io.SEEK_END)
            assert file.read() == b"\xff"
            file.seek(0)
            assert file.read(3) == b"\x00\x01\x02"

    def test_what_is_said_of_the_bytes_must_be_so(self, storage: Storage) -> None:
        for name, wrong in (("size", 3), ("sha256", "0" * 64), ("sha256", "data"), ("name", ""), ("size", -1)):
            with case(name, wrong), pytest.raises(InvalidRecord) as caught:
                put(storage, **{"name": "n"} | {name: wrong})
            assert caught.value.field == name
        assert storage.list_artifacts() == []
        right = hashlib.sha256(b"data").hexdigest()
        assert put(storage, size=4, sha256=right.upper()).sha256 == right

    def test_the_next_version_can_be_required(self, storage: Storage) -> None:
        assert put(storage, version=1).version == 1
        for wrong in (1, 3):
            with pytest.raises(SequenceConflict) as caught:
                put(storage, version=wrong)
            assert (caught.value.expected, caught.value.actual) == (wrong - 1, 1)
        assert put(storage, version=2).version == 2

    def test_a_version_is_never_given_again(self, storage: Storage) -> None:
        first, last = put(storage), put(storage)
        assert [storage.delete_artifact(id) for id in (last.id, last.id, "nothing")] == [True, False, False]
        assert storage.get_artifact("n") == first
        assert put(storage).version == 3
        for artifact in storage.list_artifacts():
            storage.delete_artifact(artifact.id)
        assert put(storage).version == 4

    def test_writing_again(self, storage: Storage) -> None:
        open_session(storage)
        stored = put(storage, id="a", session_id="s", mime_type="text/plain", metadata={"k": 1})
        before = everything(storage)
        assert put(storage, id="a", session_id="s") == stored
        assert storage.put_artifact(stored, b"data") == stored
        others: list[tuple[bytes, dict[str, Any]]] = [
            (b"other", {}),
            *((b"data", {name: "other"}) for name in ("name", "mime_type", "user_id")),
            (b"data", {"metadata": {"k": 2}}),
            (b"data", {"created_at": at(1)}),
        ]
        for data, other in others:
            with case(data, other), pytest.raises(AlreadyExists):
                put(storage, data, **{"id": "a", "session_id": "s", "name": "n"} | other)
        assert everything(storage) == before
        assert put(storage, session_id="s").version == 2

    def test_its_session_must_be_there_and_not_deleted(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            put(storage, session_id="s")
        open_session(storage)
        stored = put(storage, session_id="s")
        storage.delete_session("s")
        for write in (
            lambda: put(storage, session_id="s"),
            lambda: storage.put_artifact(stored, b"data"),
            lambda: storage.delete_artifact(stored.id),
        ):
            with pytest.raises(NotFound):
                write()
        assert storage.get_artifact("n", session_id="s") == stored
        assert storage.list_artifacts(session_id="s") == [stored]
        assert content(storage, stored) == b"data"

    def test_it_goes_with_its_session(self, storage: Storage) -> None:
        for session_id in ("s", "other"):
            open_session(storage, session_id)
            put(storage, session_id=session_id, user_id="u")
            put(storage, session_id=session_id, user_id="u")
        kept = [put(storage, user_id="u"), *storage.list_artifacts(session_id="other")]
        storage.delete_session("s", hard=True)
        [log] = storage.list_audit_logs(action="session.delete")
        assert log.detail["removed"]["artifact"] == 2
        assert storage.list_artifacts(user_id="u") == kept
        open_session(storage)
        assert put(storage, session_id="s", user_id="u").version == 1

    def test_a_fork_has_none(self, storage: Storage) -> None:
        open_session(storage)
        put(storage, session_id="s")
        fork = storage.fork_session(storage.save_checkpoint(Checkpoint(session_id="s")).id)
        assert storage.list_artifacts(session_id=fork.id) == []

    def test_lists_are_newest_first(self, storage: Storage) -> None:
        for session_id in ("s", "S"):
            open_session(storage, session_id)
        fields = [
            {"session_id": "s", "name": "n"},
            {"session_id": "s", "user_id": "u", "name": "n"},
            {"session_id": "S", "user_id": "u", "name": "N"},
            {"user_id": "u", "name": "n"},
            {"name": "n"},
        ]
        for number, each in enumerate(fields):
            put(storage, id=f"{number}", created_at=at(number), **each)
        for filters, ids in cases(
            [
                ({}, "43210"),
                ({"session_id": "s"}, "10"),
                ({"session_id": ""}, "43"),
                ({"user_id": "u"}, "321"),
                ({"session_id": "s", "user_id": ""}, "0"),
                ({"name": "n"}, "4310"),
                ({"name": "n", "user_id": "u", "session_id": "s"}, "1"),
                ({"limit": 2}, "43"),
                ({"limit": 2, "offset": 3}, "10"),
                ({"limit": 0}, ""),
            ]
        ):
            with case(filters):
                assert column(storage.list_artifacts(**filters), "id") == list(ids)
        assert column(storage.list_artifacts(after=storage.list_artifacts()[1]), "id") == ["2", "1", "0"]

    def test_what_is_not_there_cannot_be_opened(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            storage.open_artifact("nothing")

    def test_missing_bytes_are_told_and_put_again(self, storage: Storage) -> None:
        stored = put(storage)
        [name] = files_of(storage)
        file_storage().delete(name)
        with pytest.raises(DamagedArtifact):
            storage.open_artifact(stored.id)
        assert storage.put_artifact(stored, b"data") == stored
        assert content(storage, stored) == b"data"

    def test_other_bytes_are_told_before_the_last_of_them_is_read(self, storage: Storage) -> None:
        data = b"data" * 100_000
        for wrong in (data[:-1], data[:-1] + b"x", data + b"x", b""):
            stored = put(storage, data)
            [name] = files_of(storage)
            file_storage().delete(name)
            file_storage().save(name, ContentFile(wrong))
            with storage.open_artifact(stored.id) as file, pytest.raises(DamagedArtifact):
                shutil.copyfileobj(file, io.BytesIO(), 1_000)

    def test_what_is_loaded_gets_its_bytes_by_being_put_again(self, storage: Storage) -> None:
        open_session(storage)
        given = Artifact(
            id="a", session_id="s", name="n", version=7, size=4, sha256=hashlib.sha256(b"data").hexdigest()
        )
        given.created_at = at(1)
        assert storage.load([given]) == 1
        with pytest.raises(DamagedArtifact):
            storage.open_artifact("a")
        assert storage.put_artifact(given, b"data") == given
        assert content(storage, given) == b"data"
        assert put(storage, session_id="s").version == 8

    def test_the_same_bytes_are_kept_once_and_as_long_as_something_has_them(self, storage_committed: Storage) -> None:
        storage = storage_committed
        first, second = put(storage), put(storage, name="other")
        assert len(files_of(storage)) == 1
        storage.delete_artifact(first.id)
        assert storage.sweep_artifacts(older_than=NOW) == 0
        assert content(storage, second) == b"data"
        storage.delete_artifact(second.id)
        assert storage.sweep_artifacts() == 0  # not yet
        assert len(files_of(storage)) == 1
        told: list[tuple[int, int]] = []
        assert storage.sweep_artifacts(older_than=NOW, progress=lambda *counts: told.append(counts)) == 1
        assert told[-1][1] == 1
        assert files_of(storage) == []
        assert storage.sweep_artifacts(older_than=NOW) == 0
        assert content(storage, put(storage)) == b"data"

    def test_the_bytes_of_a_removed_session_are_swept(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)
        put(storage, session_id="s")
        storage.delete_session("s", hard=True)
        assert len(files_of(storage)) == 1
        assert storage.sweep_artifacts(older_than=NOW) == 1
        assert files_of(storage) == []

    def test_the_bytes_of_a_transaction_that_was_rolled_back_are_swept(self, storage_committed: Storage) -> None:
        storage = storage_committed
        needs_transactions(storage)
        kept = put(storage, b"kept")
        with failing(storage.atomic()):
            rolled_back = put(storage)
            [name] = set(files_of(storage)) - {storage.backend.change_blob(kept.sha256, lambda blob, _: blob.kept)}
        assert storage.get_artifact(rolled_back.name) == kept
        assert file_storage().exists(name)
        assert storage.sweep_artifacts() == 0
        assert storage.sweep_artifacts(older_than=NOW) == 1
        assert not file_storage().exists(name)
        assert content(storage, kept) == b"kept"

    def test_a_sweep_that_is_rolled_back_removes_nothing(self, storage_committed: Storage) -> None:
        storage = storage_committed
        needs_transactions(storage)
        stored = put(storage)
        with failing(storage.atomic()):
            storage.delete_artifact(stored.id)
            assert storage.sweep_artifacts(older_than=NOW) == 1
        assert content(storage, stored) == b"data"

    def test_writers_of_one_name_get_one_version_each(self, storage_committed: Storage) -> None:
        storage = storage_committed
        open_session(storage)
        stored = together(storage, *writers(lambda number: put(storage, f"{number % 3}".encode(), session_id="s")))
        assert sorted(column(stored, "version")) == list(range(1, len(stored) + 1))
        assert sorted(storage.list_artifacts(session_id="s"), key=lambda each: each.version) == sorted(
            stored, key=lambda each: each.version
        )
        assert len(files_of(storage)) == 3

    def test_sweeping_takes_nothing_from_who_stores_the_same_bytes(self, storage_committed: Storage) -> None:
        storage = storage_committed

        def store(number: int) -> None:
            for _ in range(2):
                stored = put(storage, name=f"{number}")
                assert content(storage, stored) == b"data"
                storage.delete_artifact(stored.id)

        def sweep() -> None:
            for _ in range(3):
                storage.sweep_artifacts(older_than=0.2)

        last = put(storage, b"data")
        storage.delete_artifact(last.id)
        together(storage, *writers(store, 2), sweep)
        storage.sweep_artifacts(older_than=NOW)
        assert files_of(storage) == []
