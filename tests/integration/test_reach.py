"""Stores in other databases than the one that `migrate` migrates: it says so, a check too, and the admin follows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from chronos_storage import connect, storages
from chronos_storage.records import Session

pytestmark = pytest.mark.usefixtures("other_databases")

CONNECT = "chronos_storage.dsn.connect"
MEMORY = {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}


@pytest.fixture
def elsewhere(tmp_path: Path, settings: Settings, django_db_setup: None) -> Any:
    """The default store is a file that the settings' databases know nothing of."""
    settings.CHRONOS_STORAGE = {
        "STORAGES": {
            "default": {"BACKEND": CONNECT, "OPTIONS": {"DSN": str(tmp_path / "agents.db")}},
            "agent:a": {"BACKEND": CONNECT, "OPTIONS": {"DSN": str(tmp_path / "own.db")}},
            "scratch": MEMORY,
        }
    }
    return storages


def messages(id: str) -> list[tuple[str, str]]:
    found = checks.run_checks(tags=[checks.Tags.compatibility, checks.Tags.admin])
    return [(message.msg, str(message.hint)) for message in found if message.id == f"chronos_storage.{id}"]


def migrated(path: Path) -> str:
    """What ``migrate`` of this database prints, which may be done already."""
    written = io.StringIO()
    store: Any = connect(str(path))
    call_command("migrate", "chronos_storage", database=store.alias, stdout=written, no_color=True)
    store.close()
    return written.getvalue()


def test_a_check_names_each_store_that_migrate_does_not_reach(elsewhere: Any, tmp_path: Path) -> None:
    (first, hint), (second, own_hint) = messages("I001")
    assert first.startswith('CHRONOS_STORAGE["STORAGES"]["default"]')
    assert str(tmp_path / "agents.db") in first
    assert hint == "Run chronos_migrate or storage.migrate()."
    assert second.startswith('CHRONOS_STORAGE["STORAGES"]["agent:a"]')
    assert own_hint == 'Run chronos_migrate or storages["agent:a"].migrate().'
    assert not list(tmp_path.glob("*.db"))


def test_migrate_ends_with_each_store_that_lacks_its_tables(elsewhere: Any, tmp_path: Path) -> None:
    last = migrated(tmp_path / "some.db").splitlines()[-2:]
    assert [line.partition(" keeps")[0] for line in last] == [
        'Not migrated: CHRONOS_STORAGE["STORAGES"]["default"]',
        'Not migrated: CHRONOS_STORAGE["STORAGES"]["agent:a"]',
    ]
    assert last[0].endswith("Run chronos_migrate or storage.migrate().")
    elsewhere["default"].migrate()
    again = migrated(tmp_path / "some.db")
    assert '["default"]' not in again
    assert 'storages["agent:a"].migrate()' in again
    elsewhere["agent:a"].migrate()
    assert "Not migrated" not in migrated(tmp_path / "some.db")


def test_one_command_migrates_every_store(elsewhere: Any, tmp_path: Path, settings: Settings) -> None:
    written = io.StringIO()
    call_command("chronos_migrate", stdout=written, no_color=True)
    lines = written.getvalue().splitlines()
    assert [f'CHRONOS_STORAGE["STORAGES"]["{alias}"]: ready' for alias in elsewhere] == lines[:3]
    assert 'CHRONOS_STORAGE["QUEUE"]: ready' in lines
    for alias in elsewhere:
        elsewhere[alias].create_session(Session(id=alias))
    assert "Not migrated" not in migrated(tmp_path / "own.db")
    call_command("chronos_migrate", stdout=io.StringIO())


def test_a_store_that_can_not_be_migrated_is_named_and_keeps_no_other_from_it(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "no database").write_text("no database")
    settings.CHRONOS_STORAGE = {
        "STORAGES": {
            "default": {"BACKEND": CONNECT, "OPTIONS": {"DSN": str(tmp_path / "no database")}},
            "other": {"BACKEND": CONNECT, "OPTIONS": {"DSN": str(tmp_path / "other.db")}},
        }
    }
    written = io.StringIO()
    with pytest.raises(CommandError, match="Not every store"):
        call_command("chronos_migrate", stdout=written)
    first, second = written.getvalue().splitlines()[:2]
    assert first.startswith('CHRONOS_STORAGE["STORAGES"]["default"]: ')
    assert "ready" not in first
    assert second == 'CHRONOS_STORAGE["STORAGES"]["other"]: ready'
    assert storages["other"].health().ok


def test_a_database_of_the_settings_is_migrated_by_name(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {"QUEUE": {"OPTIONS": {"USING": "postgres"}}}
    if "postgres" not in settings.DATABASES:
        pytest.skip("there is no second database")
    [(text, hint)] = messages("I001")
    assert text.startswith("CHRONOS_STORAGE[\"QUEUE\"] keeps its tables in the database 'postgres'")
    assert hint == "Run chronos_migrate or migrate --database postgres."


@pytest.mark.django_db
def test_the_admin_shows_the_store_of_the_settings(elsewhere: Any, admin_client: Client) -> None:
    elsewhere["default"].migrate()
    elsewhere["default"].create_session(Session(id="seen", title="from the store"))
    page = admin_client.get(reverse("admin:chronos_storage_session_changelist")).content.decode()
    assert "from the store" in page
    assert messages("W004") == []


def test_a_store_that_the_admin_can_not_show_is_a_warning(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": MEMORY}}
    [(text, _)] = messages("W004")
    assert 'CHRONOS_STORAGE["STORAGES"]["default"] keeps nothing in one' in text


@pytest.mark.django_db
def test_the_admin_says_that_another_store_is_served_by_the_api(settings: Settings, admin_client: Client) -> None:
    pages = [reverse("admin:app_list", args=["chronos_storage"]), reverse("admin:chronos_storage_session_changelist")]
    queue = reverse("admin:chronos_storage_topic_changelist")
    link = f'<a href="{reverse("chronos_storage_api:root")}">The REST API shows it.</a>'
    assert not any("no Django database" in admin_client.get(page).content.decode() for page in pages)
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": MEMORY}}
    for page in pages:
        text = " ".join(admin_client.get(page).content.decode().split())
        assert "The storage of this site is a MemoryBackend, which is no Django database" in text
        assert link in text
    assert link not in admin_client.get(queue).content.decode()
