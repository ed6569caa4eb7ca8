"""`chronos_import`: what goes in is what comes back, once, however the import went."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Storage, transactions
from chronos_storage.exceptions import NotSupported, RetryTransaction
from chronos_storage.importing import FORMATS
from chronos_storage.importing.importer import Importer, digest
from chronos_storage.records import Message, Session
from chronos_storage.testing.conformance.helpers import everything, together
from tests.conftest import SQLITE_AND_POSTGRES
from tests.conversations import Document, assert_stored, conversation, on_sqlite_alone, write

ROOT = Path(__file__).resolve().parents[2]
CONVERSATIONS = ROOT.parent / "shared" / "data" / "airline_conversations.jsonl.gz"


# All of the real conversations


@pytest.fixture(scope="module")
def real() -> list[Document]:
    if not CONVERSATIONS.exists():
        pytest.skip(f"{CONVERSATIONS.name} is not beside the project, in ../shared/data")
    with gzip.open(CONVERSATIONS) as file:
        return [json.loads(line) for line in file]


def test_real_conversations_come_back_as_they_were(storage, command, real, tmp_path) -> None:
    """All of them on SQLite; on the servers, which see the same statements for each, a part."""
    path, documents = CONVERSATIONS, real
    if storage.alias != "default":
        documents = real[::20]
        path = write(tmp_path / "part.jsonl", documents)
    count, messages = len(documents), sum(len(document["messages"]) for document in documents)
    assert (count, messages) == (200, 5_308) or storage.alias != "default"

    ran = command("chronos_import", path, agent_id="airline", user_id="ada", format="openai-chat")
    assert ran.stdout == f"Conversations: {count} imported, 0 already there, 0 broken. Messages: {messages:,}.\n"
    assert (ran.status, ran.stderr) == (0, "")
    assert_stored(storage, documents, verified=True)
    assert len(storage.list_sessions("airline", user_id="ada", limit=None)) == count
    verified = command("chronos_verify")
    assert (verified.status, verified.stderr) == (0, "")
    assert verified.stdout == f"Chains: {count} checked, 0 broken. Rows: {messages:,}.\n"

    before = everything(storage)
    again = command("chronos_import", path, agent_id="airline", user_id="ada")
    assert again.stdout == f"Conversations: 0 imported, {count} already there, 0 broken. Messages: 0.\n"
    assert everything(storage) == before


# What is a conversation of its own


@pytest.fixture
def once(storage, command, tmp_path) -> Callable[..., list[Session]]:
    """Imports files of these documents, twice, and gives the sessions that are then there."""

    def run(*files: list[Any], **options: Any) -> list[Session]:
        paths = [write(tmp_path / f"{number}.jsonl", documents) for number, documents in enumerate(files)]
        assert command("chronos_import", *paths, **options).status == 0
        before = everything(storage)
        assert command("chronos_import", *paths, **options).status == 0
        assert everything(storage) == before
        return storage.list_sessions(limit=None)

    return run


def test_equal_lines_are_as_many_conversations(once) -> None:
    document = conversation(1)
    spelled_otherwise = dict(reversed(document.items()))
    assert len(once([document, document], [spelled_otherwise], [conversation(2)])) == 4


def test_another_agent_or_user_has_its_own(once) -> None:
    first = once([conversation(1)])
    second = once([conversation(1)], agent_id="a")
    third = once([conversation(1)], agent_id="a", user_id="u")
    assert (len(first), len(second), len(third)) == (1, 2, 3)
    assert {(session.agent_id, session.user_id) for session in third} == {("", ""), ("a", ""), ("a", "u")}


def test_a_line_may_name_its_own_agent_and_user(once) -> None:
    named = {"agent_id": "own", "user_id": "self", "messages": []}
    (session,) = once([named], agent_id="a", user_id="u")
    assert (session.agent_id, session.user_id) == ("own", "self")
    assert once([named], agent_id="b") == [session]


@on_sqlite_alone
def test_plain_and_gzip_are_the_same(storage, command, tmp_path) -> None:
    plain = write(tmp_path / "plain", [conversation(1), conversation(2)])
    packed = tmp_path / "packed"
    first, second = plain.read_bytes().splitlines(keepends=True)
    packed.write_bytes(gzip.compress(first) + gzip.compress(second))  # two members, one after the other
    assert command("chronos_import", packed).status == 0
    before = everything(storage)
    assert command("chronos_import", plain).status == 0
    assert everything(storage) == before


def test_what_happened_since_an_import_is_left_alone(storage, command, tmp_path) -> None:
    path = write(tmp_path / "file", [conversation(1), conversation(2), conversation(3)])
    command("chronos_import", path)
    gone, continued, _ = storage.list_sessions()
    storage.delete_session(gone.id)
    storage.delete_message(storage.list_messages(continued.id)[0].id)
    storage.add_message(Message(session_id=continued.id, role="user", content="And then?"))
    before = everything(storage)
    assert "0 imported, 2 already there, 1 deleted here" in command("chronos_import", path).stdout
    assert everything(storage) == before


@on_sqlite_alone
def test_blank_lines_and_a_byte_order_mark_are_no_lines(storage, command, tmp_path) -> None:
    path = tmp_path / "file"
    path.write_text("\ufeff" + json.dumps(conversation(1)) + "\r\n\r\n  \n" + json.dumps(conversation(2)))
    assert command("chronos_import", path).status == 0
    assert_stored(storage, [conversation(1), conversation(2)])


# Broken off


class Unreliable:
    """A store that fails on some calls, and has no transactions."""

    supports_transactions = False

    def __init__(self, storage: Storage, method: str, *errors: BaseException) -> None:
        self._storage = storage
        self._method = method
        self._errors = list(errors)

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._errors:
            raise self._errors.pop(0)
        return getattr(self._storage, name)

    def atomic(self) -> None:
        raise NotSupported


@pytest.mark.parametrize("method", ["create_session", "add_messages", "append_events"])
def test_without_transactions_the_next_run_completes_a_conversation(storage, method: str) -> None:
    text = json.dumps(conversation(1)).encode()
    unreliable = Unreliable(storage, method, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        Importer(unreliable, FORMATS["openai-chat"]).add(text)
    for _ in range(2):
        Importer(unreliable, FORMATS["openai-chat"]).add(text)
        assert_stored(storage, [conversation(1)])


def test_a_busy_database_is_tried_again(storage_committed, monkeypatch) -> None:
    monkeypatch.setattr(transactions, "_LONG_DELAYS", (0, 0))
    storage = storage_committed
    text = json.dumps(conversation(1)).encode()
    busy = Unreliable(storage, "add_messages", RetryTransaction(), RetryTransaction(), RetryTransaction())
    busy.supports_transactions, busy.atomic = True, storage.atomic
    with pytest.raises(RetryTransaction):
        Importer(busy, FORMATS["openai-chat"]).add(text)
    assert storage.list_sessions() == []
    busy = Unreliable(storage, "add_messages", RetryTransaction(), RetryTransaction())
    busy.supports_transactions, busy.atomic = True, storage.atomic
    assert Importer(busy, FORMATS["openai-chat"]).add(text).new
    assert_stored(storage, [conversation(1)])


@on_sqlite_alone
def test_in_a_callers_transaction_a_conversation_is_stored_once(storage) -> None:
    busy = Unreliable(storage, "add_messages", RetryTransaction())
    busy.supports_transactions, busy.atomic = True, storage.atomic
    with storage.atomic(), pytest.raises(RetryTransaction):
        Importer(busy, FORMATS["openai-chat"]).add(json.dumps(conversation(1)).encode())


def test_several_imports_of_one_file_at_once_store_it_once(storage_committed) -> None:
    texts = [json.dumps(conversation(number)).encode() for number in range(10)]

    def run() -> int:
        one = Importer(storage_committed, FORMATS["openai-chat"])
        return sum(one.add(text).new for text in texts)

    assert sum(together(storage_committed, run, run, run)) == len(texts)
    documents = {document["number"]: document for document in map(json.loads, texts)}
    stored = storage_committed.list_sessions(limit=None)[::-1]
    assert_stored(storage_committed, [documents[session.metadata["number"]] for session in stored])


@pytest.mark.parametrize("alias", SQLITE_AND_POSTGRES, indirect=True)
def test_killed_midway_it_leaves_whole_conversations(storage_committed, start, command, tmp_path) -> None:
    stop_midway(signal.SIGKILL, storage_committed, start, command, tmp_path)


@on_sqlite_alone
def test_interrupted_midway_it_says_how_to_go_on(storage_committed, start, command, tmp_path) -> None:
    status, stderr = stop_midway(signal.SIGINT, storage_committed, start, command, tmp_path)
    assert status == 130
    again = "Stopped. What is stored stays; the same command again goes on from there."
    assert stderr == f"CommandError: {again}\n"


def stop_midway(number: signal.Signals, storage, start, command, tmp_path) -> tuple[int, str]:
    """Import conversations in a process that is stopped, and once more; what the process ended with, and said."""
    documents = [conversation(number, 12) for number in range(40)]
    path, pipe = write(tmp_path / "file", documents), tmp_path / "pipe"
    os.mkfifo(pipe)
    feed, rest = os.open(pipe, os.O_RDWR | os.O_NONBLOCK), path.read_bytes()
    process = start("chronos_import", pipe)
    # It is given no more than a pipe holds until some are stored, so that it can't have come to the end.
    while process.poll() is None and len(storage.list_sessions(limit=None)) < 5:
        with suppress(BlockingIOError):
            rest = rest[os.write(feed, rest) :]
        time.sleep(0.01)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    os.close(feed)
    assert stdout == "", stderr
    assert "Traceback" not in stderr
    stored = len(storage.list_sessions(limit=None))
    assert 5 <= stored < len(documents)
    assert_stored(storage, documents[:stored])
    ran = command("chronos_import", path)
    assert ran.status == 0
    assert f" {stored} already there" in ran.stdout
    assert_stored(storage, documents)
    return process.returncode, stderr


# On a terminal, and in memory


@on_sqlite_alone
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_progress_is_shown_on_a_terminal(storage_committed, start, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    path = write(tmp_path / "file", [*map(conversation, range(30)), "broken"])
    ours, theirs = os.openpty()
    process = start("chronos_import", path, "--no-color", stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(ours)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stdout == "Conversations: 30 imported, 0 already there, 1 broken. Messages: 240.\n"
    *progress, report, last, error = filter(
        None, (line.strip() for line in shown.decode().replace("\r", "\n").split("\n"))
    )
    assert progress[0] == "3% of 0.3 MB. Conversations: 1 imported, 0 already there, 0 broken. Messages: 8."
    assert all("% of 0.3 MB. Conversations: " in line for line in progress)
    assert report == f"{path}:31: line: must be an object"
    assert last == "100% of 0.3 MB. Conversations: 30 imported, 0 already there, 1 broken. Messages: 240."
    assert error == "CommandError: Not every line could be imported."


PEAKS = """
import sys
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
for path in sys.argv[1:]:
    call_command("chronos_import", path)
    with open("/proc/self/status") as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system doesn't tell a process's peak memory")
def test_memory_stays_flat(tmp_path) -> None:
    """The peak of a process is hardly higher after ten times as many conversations more."""
    text, paths = "x" * 20_000, []
    for count in (15, 150):
        documents = (
            {"number": number, "messages": [{"role": "user", "content": f"{text} {n}"} for n in range(4)]}
            for number in range(count, 2 * count)
        )
        paths.append(str(write(tmp_path / str(count), documents)))
    assert (tmp_path / "150").stat().st_size > 12_000_000
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "DJANGO_DEBUG": "1",  # under which Django keeps what it can of the SQL
        "DJANGO_SECRET_KEY": "for these tests alone",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }
    command = [sys.executable, "-c", PEAKS, *paths]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=True)
    first, few, second, many = done.stdout.splitlines()
    for summary, count in ((first, 15), (second, 150)):
        assert summary == f"Conversations: {count} imported, 0 already there, 0 broken. Messages: {4 * count:,}."
    assert int(many) - int(few) < 4_000  # KiB


def test_ids_are_the_same_everywhere_and_in_every_version(storage) -> None:
    """They are public: an import that is run again after an upgrade must find what it stored."""
    document = {"b": 1.0, "a": "\u00e9", "messages": [{"role": "user", "content": "x"}]}
    one = Importer(storage, FORMATS["openai-chat"], agent_id="agent", user_id="user")
    first = one.add(json.dumps(document).encode())
    second = one.add(json.dumps(document).encode())
    assert first.session_id == "302ab130-a166-5f4d-a44c-a92ade2572f9"
    assert second.session_id == "7340d476-4c72-5be9-8f1c-4c1405a7c2d5"
    (message,) = storage.list_messages(first.session_id)
    (event,) = storage.list_events(first.session_id)
    assert message.id == event.id == "71a397d6-224f-57c3-b2b4-42517edd24ba"
    assert event.payload["sha256"] == "f975e3d25966e1d4f201e94ffc2df1af47fe35055a2e8d27a825748dd615096b"
    assert digest(replace(message, content="y")) != event.payload["sha256"]
