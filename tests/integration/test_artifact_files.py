"""Artifacts over Django's file storages: a folder, and an S3 bucket by django-storages; and what may go wrong there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.files.storage import InMemoryStorage, storages
from django.core.management import call_command
from django.test import override_settings

from chronos_storage import Storage
from chronos_storage import storages as chronos_storages
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.exceptions import ConfigurationError, StoreFailure
from chronos_storage.records import Artifact
from chronos_storage.testing.conformance.artifacts import NOW, ArtifactContract, content, files_of, put
from chronos_storage.testing.conformance.helpers import PATIENCE, together

STATIC = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


@contextmanager
def kept_in(backend: str, **options: Any) -> Iterator[None]:
    """Artifacts are kept in a file storage of this class."""
    files = {"BACKEND": backend, "OPTIONS": options}
    with override_settings(
        STORAGES={"default": {"BACKEND": "no.such.Storage"}, "files": files, "staticfiles": STATIC},
        CHRONOS_STORAGE={"ARTIFACTS": {"STORAGE": "files"}},
    ):
        yield


@pytest.fixture
def storage() -> Storage:
    return Storage(MemoryBackend())


@pytest.fixture
def storage_committed(storage: Storage) -> Storage:
    return storage


@pytest.fixture(scope="class")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Artifacts are kept in a folder."""
    with kept_in("django.core.files.storage.FileSystemStorage", location=tmp_path_factory.mktemp("artifacts")):
        yield


@pytest.fixture(scope="class")
def bucket() -> Iterator[None]:
    """Artifacts are kept in a bucket on a server that speaks as S3 does."""
    from moto.server import ThreadedMotoServer  # which is large: not wherever tests are collected

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"access_key": "testing", "secret_key": "testing", "region_name": "us-east-1"}
    options = {"endpoint_url": url, "bucket_name": "artifacts", "max_memory_size": 1024 * 1024}
    with kept_in("storages.backends.s3.S3Storage", **options, **keys):
        bucket: Any = storages["files"]
        bucket.connection.create_bucket(Bucket="artifacts")
        yield
    server.stop()


@pytest.mark.usefixtures("folder")
class TestFolder(ArtifactContract):
    pass


@pytest.mark.usefixtures("bucket")
class TestS3(ArtifactContract):
    pass


class Waiting(InMemoryStorage):
    """A file storage in which nothing is written before somebody says so."""

    has_begun, may_go_on = threading.Event(), threading.Event()

    def _save(self, name: str, content: Any) -> str:
        self.has_begun.set()
        assert self.may_go_on.wait(PATIENCE)
        saved: str = super()._save(name, content)  # type: ignore[misc]  # which the stubs lack
        return saved


def test_what_was_swept_while_it_was_written_is_written_again(storage: Storage) -> None:
    def store() -> Artifact:
        return put(storage)

    def sweep() -> None:
        assert Waiting.has_begun.wait(PATIENCE)
        assert storage.sweep_artifacts(older_than=NOW) == 1
        Waiting.may_go_on.set()

    with kept_in(f"{__name__}.Waiting"):
        stored, _ = together(storage, store, sweep)
        assert content(storage, stored) == b"data"
        assert len(files_of(storage)) == 1
        # The one that was swept before it was written is a stray now.
        assert storage.sweep_artifacts(older_than=NOW) == 1
        assert content(storage, stored) == b"data"


def test_two_stores_share_a_file_storage(storage: Storage) -> None:
    """Against: a sweep that takes what it does not know for nobody's."""
    other = Storage(MemoryBackend())
    stored = put(storage)
    assert put(other).sha256 == stored.sha256
    other.delete_artifact(other.get_artifact("n").id)
    assert other.sweep_artifacts(older_than=NOW) == 1
    assert Storage(MemoryBackend()).sweep_artifacts(older_than=NOW) == 0
    assert content(storage, stored) == b"data"


class Broken(InMemoryStorage):
    """A file storage that is full, cannot be looked at, and does not list what it has."""

    def _save(self, name: str, content: Any) -> str:
        raise OSError(28, "No space left on device")

    def delete(self, name: str) -> None:
        raise ValueError("an error of a library")

    def listdir(self, path: str) -> Any:
        raise NotImplementedError


class Renaming(InMemoryStorage):
    """A file storage that names files as it likes."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return f"{name}.bin"


def test_what_a_file_storage_cannot_do_is_an_error_of_the_store(storage: Storage) -> None:
    with kept_in(f"{__name__}.Broken"):
        with pytest.raises(StoreFailure, match="No space left on device"):
            put(storage)
        with pytest.raises(StoreFailure, match="an error of a library"):
            storage.sweep_artifacts(older_than=NOW)
    with kept_in(f"{__name__}.Renaming"), pytest.raises(StoreFailure, match="under another name"):
        put(storage)
    with kept_in("no.such.Class"), pytest.raises(ConfigurationError, match="'files', which can't be used"):
        put(storage)
    assert storage.list_artifacts() == []


@pytest.mark.django_db
def test_the_check_says_which_file_storage_is_not_there() -> None:
    def errors(text: str) -> list[str | None]:
        return [error.id for error in run_checks(tags=["compatibility", "files"]) if text in error.msg]

    with override_settings(CHRONOS_STORAGE={"ARTIFACTS": {"STORAGE": "nowhere"}}):
        assert errors("names 'nowhere'") == ["chronos_storage.E004"]
    with override_settings(CHRONOS_STORAGE={"ARTIFACTS": {"PLACE": "nowhere"}}):
        assert errors("'PLACE'") == ["chronos_storage.E003"]


@pytest.mark.django_db(transaction=True)
def test_the_command_sweeps(capsys: pytest.CaptureFixture[str]) -> None:
    default = chronos_storages["default"]
    default.delete_artifact(put(default).id)
    call_command("chronos_prune")
    rule = {"type": "artifact_file", "older_than": timedelta(milliseconds=1)}
    with override_settings(CHRONOS_STORAGE={"RETENTION": [rule]}):
        call_command("chronos_prune")
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [removed for _, what, removed, *_ in said if what == "artifact_file"] == ["0", "1"]
