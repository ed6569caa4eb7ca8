"""The documentation's example of a backend of one's own: it keeps the contract, whatever names it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

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
    page = (DOCS / "own-backend.md").read_text(encoding="utf-8")
    for name in (*Backend.__abstractmethods__, "supports_transactions", "keeps", "using"):
        assert f"`{name}" in page, name
    assert len(Backend.__abstractmethods__) <= 33


def test_the_command_reports_what_a_configured_storage_keeps(tmp_path: Path, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k 'several_calls or last_n or purged'")
    options = {"PATH": str(tmp_path / "agents.db")}
    settings.CHRONOS_STORAGE = {"STORAGES": {"mine": {"BACKEND": "one_table.OneTable", "OPTIONS": options}}}
    with closing(storages["mine"]) as storage:
        storage.migrate()
        storage.create_session(Session(id="s"))
        out = StringIO()
        call_command("chronos_conformance", storage="mine", stdout=out)
        lines = out.getvalue().splitlines()
        assert [session.id for session in storage.list_sessions()] == ["s"]
    assert str(tmp_path) in lines[0]
    assert re.fullmatch(r"Purge +[1-9][0-9]* passed", next(line for line in lines if line.startswith("Purge")))
    assert "Skipped: this backend has no transactions" in lines
    assert re.fullmatch(r"[1-9][0-9]* passed, 0 failed, [1-9][0-9]* skipped", lines[-1])
    with closing(sqlite3.connect(options["PATH"])) as database:
        keys = {json.loads(key)[0] for (key,) in database.execute("SELECT key FROM document")}
    assert keys <= {"session", "guard", "head"}


def test_the_command_names_what_is_not_kept(tmp_path: Path, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k 'patch_writes_only'")
    (tmp_path / "forgetful.py").write_text(
        "from chronos_storage.backends.document import MemoryBackend\n\n\n"
        "class Forgetful(MemoryBackend):\n"
        "    def patch(self, record, id, patch, fence=None):\n"
        "        return super().patch(record, id, type(patch)(), fence)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings.CHRONOS_STORAGE = {"STORAGES": {"mine": {"BACKEND": "forgetful.Forgetful"}}}
    out = StringIO()
    with pytest.raises(CommandError, match="The contract is not kept"):
        call_command("chronos_conformance", storage="mine", stdout=out)
    assert "failed" in out.getvalue().splitlines()[-1]
    assert " 0 failed" not in out.getvalue().splitlines()[-1]


def test_the_command_makes_the_test_database_of_another_alias_alone(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'django.contrib.auth', 'chronos_storage']\n"
        "SECRET_KEY = 'x'\nUSE_TZ = True\n"
        "DATABASES = {n: {'ENGINE': 'django.db.backends.sqlite3', 'NAME': n} for n in ('default', 'second')}\n"
        "BACKEND = {'BACKEND': 'chronos_storage.backends.orm.OrmBackend', 'OPTIONS': {'USING': 'second'}}\n"
        "CHRONOS_STORAGE = {'STORAGES': {'mine': BACKEND}}\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "two",
        "PYTEST_ADDOPTS": "-k last_n",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), root]),
    }
    command = [sys.executable, "-m", "django", "chronos_conformance", "--storage", "mine"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert re.search(r"[1-9][0-9]* passed, 0 failed", done.stdout), done.stderr
    left = {path.name for path in tmp_path.iterdir() if path.is_dir() or path.stat().st_size}
    assert left <= {"two.py", "__pycache__", "second"}  # Django 6.1's own checks open "default", and write nothing
