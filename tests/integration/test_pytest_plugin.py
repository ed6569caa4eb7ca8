"""The fixture `chronos_storage` in a host's own tests, each of which is a run of pytest apart from this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SETTINGS = """
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "chronos_storage"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHRONOS_STORAGE = {
    "STORAGES": {"notes": {"BACKEND": "chronos_storage.backends.document.filesystem.FilesystemBackend",
                           "OPTIONS": {"FOLDER": "notes"}}},
    "ADMIN": {"AUDIT_VIEWS": True},
}
MEDIA_ROOT = "media"
USE_TZ = True
"""
#: The host's own code.
AGENT = """
from chronos_storage import queue, storage, storages
from chronos_storage.records import Artifact, Session

def work():
    session = storage.create_session(Session(id="s", title="A refund"))
    storage.put_artifact(Artifact(session_id="s", name="report"), b"bytes")
    storages["notes"].create_session(Session(id="n"))
    queue.publish("jobs", {"run": 1})
    return session
"""


def run(folder: Path, tests: str) -> str:
    """What pytest prints of these tests, all of which pass, in a project of their own."""
    (folder / "host_settings.py").write_text(SETTINGS)
    (folder / "agent.py").write_text(AGENT)
    (folder / "test_host.py").write_text(tests)
    # As if the plugins were found by themselves, whether or not the package was installed since it has this one.
    plugins = ["-p", "pytest_django.plugin", "-p", "chronos_storage.testing.plugin", "-p", "no:cacheprovider"]
    options = ["-q", "-W", "error", "--ds", "host_settings", "--rootdir", str(folder), "-c", os.devnull]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options, str(folder)],
        cwd=folder,
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": f"{folder}{os.pathsep}{Path.cwd()}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.decode()
    assert done.returncode == 0, output
    return output


def test_without_a_database_everything_is_in_memory_and_gone_afterwards(tmp_path: Path) -> None:
    tests = """
import pytest
import agent
from chronos_storage import queue, storage, storages
from chronos_storage.backends.document import MemoryBackend

@pytest.mark.parametrize("time", range(2))
def test_agent(chronos_storage, time):
    assert not chronos_storage.list_sessions() and not storages["notes"].list_sessions() and not queue.recover("jobs")
    session = agent.work()
    assert chronos_storage.get_session("s") == storage.get_session("s") == session
    assert chronos_storage.open_artifact(chronos_storage.get_artifact("report", session_id="s").id).read() == b"bytes"
    assert isinstance(chronos_storage.backend, MemoryBackend) and isinstance(storages["notes"].backend, MemoryBackend)

def test_afterwards_the_settings_are_the_hosts(settings):
    assert storage.alias == "default"
    assert set(settings.CHRONOS_STORAGE) == {"STORAGES", "ADMIN"}
"""
    run(tmp_path, tests)
    assert not (tmp_path / "media").exists()
    assert not (tmp_path / "notes").exists()


def test_with_a_database_it_is_the_hosts_own_in_the_tests_transaction(tmp_path: Path) -> None:
    tests = """
import pytest
from django.test import SimpleTestCase, TestCase
import agent
from chronos_storage import queue, storage, storages
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.models import Session

def works_in_the_database():
    assert storage.alias == queue.alias == "default" and not Session.objects.exists()
    agent.work()
    assert Session.objects.get().title == "A refund"
    assert isinstance(storages["notes"].backend, MemoryBackend)

@pytest.mark.django_db
def test_mark(chronos_storage):
    works_in_the_database()
    assert chronos_storage.get_session("s")

def test_fixture(chronos_storage, db):
    works_in_the_database()

@pytest.mark.usefixtures("chronos_storage")
class TestOfDjangos(TestCase):
    def test_agent(self):
        works_in_the_database()

@pytest.mark.usefixtures("chronos_storage")
class TestWithoutADatabase(SimpleTestCase):
    def test_agent(self):
        agent.work()
        assert storage.backend.using is None
"""
    run(tmp_path, tests)
    assert not (tmp_path / "media").exists()
    assert not (tmp_path / "notes").exists()


def test_what_a_test_sets_itself_is_taken_back_too(tmp_path: Path) -> None:
    tests = """
from chronos_storage import storage, storages

def test_sets(settings, chronos_storage):
    settings.CHRONOS_STORAGE = {"STORAGES": {"other": {"BACKEND": "chronos_storage.backends.none.NoBackend"}}}
    assert set(storages) == {"default", "other"}

def test_afterwards():
    assert set(storages) == {"default", "notes"}
    assert storage.alias == "default"
"""
    run(tmp_path, tests)


def test_who_does_not_use_it_imports_next_to_nothing() -> None:
    code = "import sys, chronos_storage.testing.plugin; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    modules = done.stdout.decode().split()
    assert not [name for name in modules if name.partition(".")[0] in ("django", "hypothesis", "factory")]
    assert {name for name in modules if name.startswith("chronos_storage.")} == {
        "chronos_storage.testing",
        "chronos_storage.testing.plugin",
    }
