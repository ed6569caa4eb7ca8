"""`chronos_import`: what goes in is what comes back, once, however the import went."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Storage
from chronos_storage.exceptions import InvalidRecord, NotSupported, RetryTransaction
from chronos_storage.importing import FORMATS, importer, lines, openai_chat
from chronos_storage.importing.importer import Importer, digest
from chronos_storage.importing.lines import parse, read_lines
from chronos_storage.records import Message, Session, TokenUsage
from chronos_storage.testing.conformance.helpers import everything, together
from chronos_storage.testing.conformance.samples import ODD_JSON

ROOT = Path(__file__).resolve().parents[2]
CONVERSATIONS = ROOT.parent / "shared" / "data" / "airline_conversations.jsonl.gz"

Document = dict[str, Any]


def conversation(number: int, length: int = 8) -> Document:
    """A conversation of messages of every form that the format knows."""
    call = {"id": f"call-{number}", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    turns: list[Document] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": f"Question {number}"}, ODD_JSON]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "", "tool_call_id": call["id"], "name": "look"},
        {"role": "assistant", "content": f"Answer \u00e9 e\u0301 \U0001f642 {number}"},
    ]
    return {"number": number, "score": 0.1, "messages": [turns[position % len(turns)] for position in range(length)]}


def write(path: Path, documents: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def said(message: Message) -> Document:
    """The message as its source has it."""
    optional = {name: getattr(message, name) for name in ("name", "tool_call_id") if getattr(message, name)}
    if message.tool_calls is not None:
        optional["tool_calls"] = message.tool_calls
    return {"role": message.role, "content": message.content} | optional | message.metadata


def assert_stored(storage: Storage, documents: list[Document]) -> None:
    """Each of these conversations is there once, equal to its source to the last character, and nothing else."""
    sessions = storage.list_sessions(limit=None, order="-created_at")[::-1]
    assert len(sessions) == len(documents)
    for session, document in zip(sessions, documents, strict=True):
        assert session.metadata == {name: value for name, value in document.items() if name != "messages"}
        messages = storage.list_messages(session.id)
        assert [said(message) for message in messages] == document["messages"]
        for message, source in zip(messages, document["messages"], strict=True):
            for name in ("content", "tool_calls"):
                assert json.dumps(getattr(message, name)) == json.dumps(source.get(name))
        assert [message.seq_num for message in messages] == list(range(1, len(messages) + 1))
        events = storage.list_events(session.id)
        assert {event.type for event in events} <= {"chat_message"}
        assert [event.payload for event in events] == [
            {"message_id": message.id, "role": message.role, "sha256": digest(message)} for message in messages
        ]
    assert all(verdict.intact for verdict in storage.verify_all())


# All of the real conversations


@pytest.fixture(scope="module")
def real() -> list[Document]:
    if not CONVERSATIONS.exists():
        pytest.skip(f"{CONVERSATIONS.name} is not beside the project, in ../shared/data")
    with gzip.open(CONVERSATIONS) as file:
        return [json.loads(line) for line in file]


def test_real_conversations_come_back_as_they_were(storage, command, real) -> None:
    ran = command("chronos_import", CONVERSATIONS, agent_id="airline", user_id="ada", format="openai-chat")
    assert ran.stdout == "Conversations: 200 imported, 0 already there, 0 broken. Messages: 5,308.\n"
    assert (ran.status, ran.stderr) == (0, "")
    assert_stored(storage, real)
    assert len(storage.list_sessions("airline", user_id="ada", limit=None)) == 200
    verified = command("chronos_verify")
    assert (verified.status, verified.stderr) == (0, "")
    assert verified.stdout == "Chains: 200 checked, 0 broken. Rows: 5,308.\n"

    before = everything(storage)
    again = command("chronos_import", CONVERSATIONS, agent_id="airline", user_id="ada")
    assert again.stdout == "Conversations: 0 imported, 200 already there, 0 broken. Messages: 0.\n"
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
    assert "0 imported, 3 already there" in command("chronos_import", path).stdout
    assert everything(storage) == before


def test_blank_lines_and_a_byte_order_mark_are_no_lines(storage, command, tmp_path) -> None:
    path = tmp_path / "file"
    path.write_text("\ufeff" + json.dumps(conversation(1)) + "\r\n\r\n  \n" + json.dumps(conversation(2)))
    assert command("chronos_import", path).status == 0
    assert_stored(storage, [conversation(1), conversation(2)])


# Where the parts of a line go


def test_what_is_no_field_goes_into_the_metadata() -> None:
    session, (message,) = openai_chat.read(
        {
            "id": "theirs",
            "created_at": "2024-05-15T15:00:00Z",
            "title": "A title",
            "status": 200,
            "author": None,
            "metadata": {"m": 1},
            "model": "a-model",
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "name": None,
                    "id": "theirs",
                    "model": "a-model",
                    "refusal": None,
                    "function_call": {"name": "f", "arguments": "{}"},
                    "usage": {"prompt_tokens": 1, "total_tokens": 3},
                    "metadata": {"m": 2},
                }
            ],
        }
    )
    assert session == Session(
        title="A title",
        metadata={
            "m": 1,
            "id": "theirs",
            "created_at": "2024-05-15T15:00:00Z",
            "status": 200,
            "author": None,
            "model": "a-model",
        },
    )
    assert message == Message(
        role="assistant",
        model="a-model",
        usage=TokenUsage(prompt_tokens=1, total_tokens=3),
        metadata={
            "m": 2,
            "id": "theirs",
            "refusal": None,
            "function_call": {"name": "f", "arguments": "{}"},
        },
    )


def test_a_usage_of_another_form_is_kept_whole() -> None:
    usage = {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}
    _, (message,) = openai_chat.read({"messages": [{"role": "user", "content": "", "usage": usage}]})
    assert (message.usage, message.metadata) == (None, {"usage": usage})


# What is broken

USER = '{"role": "user", "content": "x"}'
BROKEN = {
    "{": "line: is not JSON at character 2: ",
    "[]": "line: must be an object",
    "null": "line: must be an object",
    f'{{"messages": [{USER}]}} {{}}': "line: is not JSON at character ",
    '{"messages": [NaN]}': "line: holds NaN, which is not JSON",
    f'{{"score": -Infinity, "messages": [{USER}]}}': "line: holds -Infinity, which is not JSON",
    f'{{"score": 1e999, "messages": [{USER}]}}': "metadata.score: holds inf",
    f'{{"score": 1{"0" * 5000}, "messages": [{USER}]}}': "line: holds a number that can't be kept",
    f'{{"score": {2**63}, "messages": [{USER}]}}': "metadata.score: holds a whole number outside",
    f'{{"score": 1e23, "messages": [{USER}]}}': "metadata.score: holds 1e+23, which a filterable field",
    f'{{"a": 1, "a": 1, "messages": [{USER}]}}': "line: has the key 'a' twice in one object",
    '{"messages": [{"role": "user", "content": "x", "role": "tool"}]}': "line: has the key 'role' twice",
    f'{{"messages": {"[" * 100_000}': "line: is nested too deep",
    f'{{"messages": [{{"role": "user", "content": {"[" * 101}{"]" * 101}}}]}}': "messages[0].content",
    '{"title": "x"}': "messages: is missing",
    '{"messages": {}}': "messages: must be a list",
    '{"messages": [[]]}': "messages[0]: must be an object",
    f'{{"messages": [{USER}, {{"content": "x"}}]}}': "messages[1].role: is empty",
    '{"messages": [{"role": 1, "content": "x"}]}': "messages[0].role: must be a string, not int",
    f'{{"messages": [{{"role": "{"r" * 256}", "content": "x"}}]}}': "messages[0].role: is 256 characters long",
    '{"messages": [{"role": "user", "content": 5}]}': "messages[0].content: must be a string, a list of parts",
    '{"messages": [{"role": "user", "content": "\\u0000"}]}': "messages[0].content: contains a NUL character",
    '{"messages": [{"role": "user", "content": "\\ud800"}]}': "messages[0].content: contains the lone surrogate",
    '{"messages": [{"role": "assistant", "tool_calls": {}}]}': "messages[0].tool_calls: must be a list or None",
    '{"messages": [{"role": "user", "content": "", "name": ["x"]}]}': "messages[0].name: must be a string, not list",
    '{"messages": [{"role": "user", "content": "", "x": 1e23}]}': "messages[0].metadata.x: holds 1e+23",
    '{"messages": [{"role": "user", "content": "", "usage": {"total_tokens": "1"}}]}': "messages[0].usage.total_tokens",
    f'{{"title": "{"t" * 1_000_001}", "messages": [{USER}]}}': "title: is 1,000,001 characters long",
    f'{{"metadata": {{"x": 1}}, "x": 2, "messages": [{USER}]}}': "metadata.x: stands outside of the metadata too",
    f'{{"metadata": [], "messages": [{USER}]}}': "metadata: must be an object",
    f'{{"\\u001b[2J\\n": 1e23, "messages": [{USER}]}}': "metadata.\\x1b[2J\\n: holds",
}


def test_broken_lines_are_named_and_the_rest_goes_in(storage, command, tmp_path) -> None:
    path = tmp_path / "file"
    good = [conversation(number, 2) for number in range(len(BROKEN) + 1)]
    with path.open("w") as file:
        for document, broken in zip(good, [*BROKEN, ""], strict=True):
            file.write(json.dumps(document) + "\n" + broken + "\n")
    with path.open("ab") as binary:
        binary.write(b'{"messages": [{"role": "user", "content": "\xff"}]}')
    expected = [*BROKEN.values(), "line: is not UTF-8 at byte 44"]

    for present in (False, True):
        ran = command("chronos_import", path)
        assert ran.status == 1
        *reports, last = ran.stderr.splitlines()
        assert last == "Not every line could be imported."
        assert len(reports) == len(expected)
        for number, (report, reason) in enumerate(zip(reports, expected, strict=True), 1):
            place = 2 * number + (number == len(expected))
            assert report.startswith(f"{path}:{place}: {reason}")
            assert len(report) < 600
            assert report.isprintable()
        counts = f"0 imported, {len(good)} already there" if present else f"{len(good)} imported, 0 already there"
        messages = 0 if present else 2 * len(good)
        assert ran.stdout == f"Conversations: {counts}, {len(expected)} broken. Messages: {messages}.\n"
        assert_stored(storage, good)


def test_a_line_that_is_too_long_is_passed_over(storage, command, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 1000)
    monkeypatch.setattr(lines, "_CHUNK", 64)
    long = {"messages": [{"role": "user", "content": "x" * 10_000}]}
    short = [{"number": number, "messages": [{"role": "user", "content": "x"}]} for number in range(2)]
    path = write(tmp_path / "file", [short[0], long, short[1], long])
    ran = command("chronos_import", path)
    assert ran.stderr.splitlines()[:-1] == [f"{path}:{n}: line: is longer than 1,000 bytes" for n in (2, 4)]
    assert_stored(storage, short)


def test_no_more_of_a_line_is_read_than_may_be_kept(tmp_path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(3 * lines.MAX_LINE)  # a sparse file: one line of NUL characters
    (line,) = read_lines(path)
    assert (line.text, line.problem) == (b"", f"is longer than {lines.MAX_LINE:,} bytes")


@pytest.mark.parametrize("damage", ["cut off", "overwritten", "followed by something else"])
def test_a_damaged_gzip_file_gives_what_it_can(storage, command, tmp_path, damage: str) -> None:
    good = [conversation(number, 50) for number in range(60)]
    text = write(tmp_path / "plain", good).read_bytes()
    packed = gzip.compress(text)
    damaged = {
        "cut off": packed[:-4],
        "overwritten": packed[:-2000] + b"\xff" * 2000,
        "followed by something else": packed + b"something else",
    }
    path = tmp_path / "damaged"
    path.write_bytes(damaged[damage])
    other = write(tmp_path / "other", [conversation(1000)])
    ran = command("chronos_import", path, other)
    assert ran.status == 1
    report = ran.stderr.splitlines()[0]
    assert report.startswith(f"{path}:")
    assert "line: can't be unpacked, nor what comes after it: " in report
    stored = len(storage.list_sessions(limit=None)) - 1
    assert stored == 60 if damage != "overwritten" else 0 < stored < 60
    assert_stored(storage, [*good[:stored], conversation(1000)])


def test_parses_what_json_allows() -> None:
    assert json.dumps(parse(json.dumps(ODD_JSON).encode())) == json.dumps(ODD_JSON)
    with pytest.raises(InvalidRecord, match="twice"):
        parse(b'{"deep": [{"\\u0061": 1, "a": 2}]}')


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"agent_id": "a" * 256}, "agent_id: is 256 characters long"),
        ({"user_id": "\udcff"}, "user_id: contains the lone surrogate"),
        ({"storage": "elsewhere"}, "is not configured"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(command, tmp_path, options, problem) -> None:
    path = write(tmp_path / "file", [conversation(1)])
    ran = command("chronos_import", path, **options)
    assert ran.status == 1
    assert problem in ran.stderr
    assert ran.stdout == ""


def test_a_missing_file_is_refused_before_anything_is_stored(storage, command, tmp_path) -> None:
    ran = command("chronos_import", write(tmp_path / "file", [conversation(1)]), tmp_path / "missing")
    assert ran.status == 1
    assert "missing" in ran.stderr
    assert storage.list_sessions() == []


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


def test_a_busy_database_is_tried_again(storage, monkeypatch) -> None:
    monkeypatch.setattr(importer, "_DELAYS", (0, 0))
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


def test_several_imports_of_one_file_at_once_store_it_once(storage_committed) -> None:
    texts = [json.dumps(conversation(number)).encode() for number in range(10)]

    def run() -> int:
        one = Importer(storage_committed, FORMATS["openai-chat"])
        return sum(one.add(text).new for text in texts)

    assert sum(together(storage_committed, run, run, run)) == len(texts)
    documents = {document["number"]: document for document in map(json.loads, texts)}
    stored = storage_committed.list_sessions(limit=None)[::-1]
    assert_stored(storage_committed, [documents[session.metadata["number"]] for session in stored])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
def test_stopped_midway_it_leaves_whole_conversations(
    storage_committed, start, command, tmp_path, number: signal.Signals
) -> None:
    storage = storage_committed
    documents = [conversation(number, 12) for number in range(80)]
    path = write(tmp_path / "file", documents)
    process = start("chronos_import", path)
    while process.poll() is None and len(storage.list_sessions(limit=None)) < 5:
        time.sleep(0.01)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert stdout == "", stderr
    assert "Traceback" not in stderr
    if number == signal.SIGINT:
        assert process.returncode == 130
        again = "Stopped. What is stored stays; the same command again goes on from there."
        assert stderr == f"CommandError: {again}\n"
    stored = len(storage.list_sessions(limit=None))
    assert 5 <= stored < len(documents)
    assert_stored(storage, documents[:stored])
    ran = command("chronos_import", path)
    assert ran.status == 0
    assert f" {stored} already there" in ran.stdout
    assert_stored(storage, documents)


# On a terminal, and in memory


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_progress_is_shown_on_a_terminal(storage_committed, start, tmp_path) -> None:
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
    assert last == "100% of 0.3 MB. Conversations: 30 imported, 0 already there, 1 broken. Messages:"
    assert error == "CommandError: Not every line could be imported."


PEAK = """
import sys
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("chronos_import", sys.argv[1])
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system doesn't tell a process's peak memory")
def test_memory_stays_flat(tmp_path) -> None:
    def peak(count: int) -> int:
        """The peak of a process that imports so many conversations, in KiB."""
        text = "x" * 2000
        documents = (
            {"number": number, "messages": [{"role": "user", "content": f"{text} {n}"} for n in range(20)]}
            for number in range(count)
        )
        environment = os.environ | {
            "DATABASE_URL": f"sqlite:///{tmp_path}/{count}.sqlite3",
            "DJANGO_DEBUG": "1",  # under which Django keeps what it can of the SQL
            "DJANGO_SECRET_KEY": "for these tests alone",
            "DJANGO_SETTINGS_MODULE": "project.settings",
        }
        command = [sys.executable, "-c", PEAK, str(write(tmp_path / str(count), documents))]
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=True)
        summary, kilobytes = done.stdout.splitlines()
        assert summary == f"Conversations: {count} imported, 0 already there, 0 broken. Messages: {20 * count:,}."
        return int(kilobytes)

    few = peak(30)
    many = peak(300)
    assert (tmp_path / "300").stat().st_size > 12_000_000
    assert many - few < 4_000


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
