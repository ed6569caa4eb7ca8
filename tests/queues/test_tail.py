"""The commands of the queue."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from chronos_storage import queue, storage
from chronos_storage.queues.handler import queue_handler
from chronos_storage.records import Event, Session
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, alias_of
from tests.integration.conftest import start as start  # the fixture

alias = alias_of(SQLITE_AND_POSTGRES)
once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


@pytest.fixture(autouse=True)
def here(alias: str, settings, transactional_db: None):
    """The settings' own storage and queue are on the database under test."""
    settings.CHRONOS_STORAGE = {
        "STORAGES": {
            "default": {"BACKEND": "chronos_storage.backends.orm.OrmBackend", "OPTIONS": {"USING": alias}},
        },
        "QUEUE": {"OPTIONS": {"USING": alias}},
    }
    yield
    queue_handler.only.close()


Start = Callable[..., subprocess.Popen[str]]


def test_a_session_is_followed(start: Start) -> None:
    storage.create_session(Session(id="s"))
    for number in range(3):
        storage.append_event(Event(session_id="s", type="t", payload={"n": number}))
    with start("chronos_tail", "s", "--after", 1) as process:
        assert process.stdout is not None
        missed = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [(each["seq_num"], each["payload"]) for each in missed] == [(2, {"n": 1}), (3, {"n": 2})]
        fields = ["id", "session_id", "seq_num", "hash", "type", "payload", "schema", "schema_version", "created_at"]
        assert list(missed[0]) == fields
        event = storage.append_event(Event(session_id="s", payload="é\n"))
        assert json.loads(process.stdout.readline())["id"] == event.id
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


@once
def test_a_topic_is_followed_on_a_terminal_until_nobody_reads(start: Start) -> None:
    cursor = queue.publish("t", 1)
    queue.publish("t", {"text": "\x1b[31mred\n"}, user_id="ada")
    ours, theirs = pty.openpty()
    with start("chronos_tail", "--topic", "t", "--after", cursor, stdout=theirs) as process:
        os.close(theirs)
        line = b""
        while b"\n" not in line:
            line += os.read(ours, 1000)
        assert b"ada" in line
        assert b"\x1b" not in line
        assert b"red" in line
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    os.close(ours)
    assert process.returncode == 130


@once
def test_a_closed_pipe_ends_it_quietly(start: Start) -> None:
    queue.publish("t", 1)
    with start("chronos_tail", "--topic", "t", "--after", "0" * 16) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == 1
        process.stdout.close()
        queue.publish("t", 2)
        process.stdout = None
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


@once
def test_what_is_not_there() -> None:
    storage.create_session(Session(id="s"))
    with pytest.raises(CommandError, match="no session"):
        call_command("chronos_tail", "unheard of")
    with pytest.raises(CommandError, match="--after"):
        call_command("chronos_tail", "s", "--after", "x")
    with pytest.raises(CommandError, match="after: is no cursor"):
        call_command("chronos_tail", "--topic", "t", "--after", "x")


@once
def test_cleanup(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from chronos_storage.testing.queues.helpers import Clock

    queue.publish("t", 1)
    Clock(monkeypatch).move(hours=25)
    call_command("chronos_prune")
    assert capsys.readouterr().out.splitlines()[1].split() == ["0", "queue", "1", "0"]
