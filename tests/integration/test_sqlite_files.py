"""SQLite files that `connect` opened are whole when a process that closed nothing has ended."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: What every script begins with: a store in a new file, and a session in it.
BEGINNING = """
    import os, sys, threading
    import django
    django.setup()
    from chronos_storage import connect
    from chronos_storage.records import Message, Session

    path = sys.argv[1]
    store = connect(path, migrate=True)
    store.create_session(Session(id="s"))

    def say(id):
        store.add_message(Message(id=id, session_id="s", role="user", content="x"))

    def size_of_log():
        return os.path.getsize(path + "-wal")
"""


def run(path: Path, script: str, status: int = 0) -> str:
    """What a process that runs the script writes."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(BEGINNING) + textwrap.dedent(script), str(path)],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == status, ran.stderr
    return ran.stdout


def messages(path: Path) -> list[str]:
    """The messages that a file has on its own."""
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy)) as database:
        return [id for (id,) in database.execute("SELECT message_id FROM chronos_storage_message ORDER BY seq_num")]


def test_a_file_that_is_copied_is_whole_and_restoring_over_it_replays_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    script = """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        say("main")
        thread = threading.Thread(target=say, args=["thread"])
        thread.start()
        thread.join()
        pool = ThreadPoolExecutor(2)
        pool.submit(say, "pool").result()
        asyncio.run(store.aadd_message(Message(id="loop", session_id="s", role="user")))
    """
    run(path, script)
    assert messages(path) == ["main", "thread", "pool", "loop"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.db", "notes.db"]


def test_a_thread_that_is_still_there_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    script = """
        written = threading.Event()

        def stay():
            say("daemon")
            written.set()
            threading.Event().wait()

        threading.Thread(target=stay, daemon=True).start()
        written.wait()
        say("main")
    """
    run(path, script)
    assert messages(path) == ["daemon", "main"]
    log = path.with_name("notes.db-wal")
    assert not log.exists() or log.stat().st_size == 0


def test_an_exit_in_a_transaction_or_by_an_error_leaves_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    script = """
        say("committed")
        with store.atomic():
            say("not committed")
            1 / 0
    """
    run(path, script, status=1)
    assert messages(path) == ["committed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_leaves_the_parent_s_alone_and_closes_its_own(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    script = """
        import multiprocessing
        say("parent")
        before = size_of_log()
        if not (child := os.fork()):
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        assert size_of_log() == before > 0
        say("again")

        def work(name):
            other = connect(path + name, migrate=True)
            other.create_session(Session(id="child"))

        if not (child := os.fork()):
            work(".forked")
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        process = multiprocessing.get_context("fork").Process(target=work, args=[".process"])
        process.start()
        process.join()
        assert process.exitcode == 0
        for name in (".forked", ".process"):
            assert os.path.exists(path + name)
            assert not os.path.exists(path + name + "-wal")
        assert size_of_log() > 0
    """
    run(path, script)
    assert messages(path) == ["parent", "again"]
