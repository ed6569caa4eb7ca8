"""What `chronos_import` makes of a line: what goes where, and what is broken."""

from __future__ import annotations

import gzip
import json

import pytest

from chronos_storage.exceptions import InvalidRecord
from chronos_storage.importing import lines, openai_chat
from chronos_storage.importing.lines import parse, read_lines
from chronos_storage.records import Message, Session, TokenUsage
from chronos_storage.testing.conformance.samples import ODD_JSON
from tests.conftest import STRICTEST
from tests.conversations import assert_stored, conversation, on_sqlite_alone, write

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
                    "raw": {"b": 1e23, "a": 1.0},
                    "format": "a-framework",
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
        raw={"b": 1e23, "a": 1.0},
        format="a-framework",
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


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
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


@on_sqlite_alone
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


@on_sqlite_alone
@pytest.mark.parametrize("damage", ["cut off", "overwritten", "followed by something else"])
def test_a_damaged_gzip_file_gives_what_it_can(storage, command, tmp_path, damage: str) -> None:
    good = [conversation(number) for number in range(60)]
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


@on_sqlite_alone
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


@on_sqlite_alone
def test_a_missing_file_is_refused_before_anything_is_stored(storage, command, tmp_path) -> None:
    ran = command("chronos_import", write(tmp_path / "file", [conversation(1)]), tmp_path / "missing")
    assert ran.status == 1
    assert "missing" in ran.stderr
    assert storage.list_sessions() == []
