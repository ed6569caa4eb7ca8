"""The documentation's example of a backend of one's own: it keeps the contract, whatever names it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Backend, Storage, config, connect, storages
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.records import Session
from chronos_storage.testing.conformance.deletion import HardDeletionContract
from chronos_storage.testing.conformance.ledger import LedgerContract
from chronos_storage.testing.conformance.sizes import SizeContract

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(autouse=True)
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example can be imported, as one of a host's own modules."""
    monkeypatch.syspath_prepend(DOCS / "examples")
    yield
    sys.modules.pop("one_table", None)


class TestOneTable(LedgerContract, HardDeletionContract, SizeContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        with closing(connect("one_table.OneTable", path=str(tmp_path / "agents.db"), migrate=True)) as storage:
            yield storage

    @pytest.fixture
    def storage_committed(self, storage: Storage) -> Storage:
        return storage


def test_the_settings_and_a_yaml_file_name_it_alike(tmp_path: Path, settings: Any) -> None:
    place = tmp_path / "agents.db"
    backend = {"BACKEND": "one_table.OneTable", "OPTIONS": {"PATH": str(place)}}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}}
    with closing(storages["default"]) as storage:
        storage.migrate()
        storage.create_session(Session(id="s"))
        assert "one_table" in storage.health().backend
        assert str(place) in repr(storage)
    file = tmp_path / "agents.yaml"
    file.write_text("storage: {backend: one_table.OneTable}\n")
    assert config.load(file)["STORAGES"]["default"] == {"BACKEND": "one_table.OneTable", "OPTIONS": {}}
    file.write_text(f"storage: {{backend: one_table.OneTable, dsn: '{place}'}}\n")
    assert config.load(file)["STORAGES"]["default"]["OPTIONS"] == {"DSN": str(place)}


def test_what_is_no_backend_is_refused_by_name(settings: Any) -> None:
    for name, why in (
        ("one_table.SQLiteDriver", "must make a chronos_storage.Backend"),
        ("one_table.OneTable", "options of 'one_table.OneTable' don't fit"),
        ("nowhere.Backend", "can't be imported: No module named 'nowhere'; write ./nowhere.Backend if it is a file"),
    ):
        options = {"path": "x"} if name.endswith("Driver") else {}
        with pytest.raises(ConfigurationError, match=re.escape(why)):
            connect(name, **options)
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": "pathlib.Path"}}}
    with pytest.raises(ConfigurationError, match="it must make a"):
        storages["default"]


def test_the_page_names_every_primitive() -> None:
    page = (DOCS / "backends.md").read_text(encoding="utf-8")
    for name in (*Backend.__abstractmethods__, "supports_transactions", "keeps", "using"):
        assert f"`{name}" in page, name
    assert len(Backend.__abstractmethods__) <= 31
