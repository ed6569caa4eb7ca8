"""What `manage.py check` says of the saver's and the store's database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import connections

from chronos_storage import connect
from chronos_storage.integrations.langgraph.checks import check_storage, check_tables
from chronos_storage.integrations.langgraph.models import StoredItem


def test_missing_tables_are_named(other_databases: None, tmp_path: Path) -> None:
    storage = connect(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    try:
        assert check_tables(databases=[storage.alias]) == []  # of a database that has nothing yet
        storage.migrate()
        assert check_tables(databases=[storage.alias]) == []
        with connections[storage.alias].schema_editor() as editor:
            editor.delete_model(StoredItem)
        [warning] = check_tables(databases=[storage.alias])
        assert "missing: chronos_langgraph_item." in warning.msg
        assert "migrate" in str(warning.hint)
    finally:
        storage.close()


def test_a_default_storage_that_is_no_database_is_named(settings: Any) -> None:
    assert check_storage() == []
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}}}
    [warning] = check_storage()
    assert "MemoryBackend" in warning.msg
    assert 'storages["' in str(warning.hint)
