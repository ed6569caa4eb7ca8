"""The document backend keeps the contract over files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chronos_storage.backends.document.filesystem import FilesystemBackend
from chronos_storage.facade import Storage
from chronos_storage.testing import StorageConformance


class TestFilesystemStorage(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        with closing(Storage(FilesystemBackend(tmp_path / "data"))) as storage:
            storage.migrate()
            yield storage

    @pytest.fixture
    def storage_committed(self, storage: Storage) -> Storage:
        return storage
