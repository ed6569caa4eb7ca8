"""A session's page as a conversation: what was said, and what was done about it."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chronos_storage.models import Message as MessageRow
from chronos_storage.records import Artifact, Event, Message, Session, TokenUsage, Trace
from tests.admin.pages import calls, timeline_items, url
from tests.conftest import ONLY_SQLITE, STRICTEST

#: For what is done with what was read.
once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def at(seconds: float) -> datetime:
    return datetime(2026, 3, 14, 3, tzinfo=UTC) + timedelta(seconds=seconds)


def opened(client: Client, id: str = "s", **parameters: Any) -> Any:
    response = client.get(url("session", "change", id), parameters)
    assert response.status_code == 200
    return response


def said(client: Client, id: str = "s") -> list[Any]:
    return [item.speech for item in timeline_items(opened(client, id).context) if item.speech]


def add(storage: Any, *messages: Message) -> None:
    storage.ensure_session(Session(id="s"))
    storage.add_messages(list(messages))


def image(data: bytes, kind: str = "image/png") -> dict[str, Any]:
    address = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": address}}


def test_a_step_is_one_entry(site, viewer) -> None:
    mine: dict[str, Any] = {"session_id": "s"}
    used = TokenUsage(prompt_tokens=90, completion_tokens=10)
    add(site, Message(**mine, role="user", content="Refund it.", created_at=at(0)))
    site.append_event(Event(**mine, type="heard", created_at=at(1)))
    site.insert_trace(Trace(**mine, kind="model_call", name="m", usage=used, cost=Decimal("0.02"), started_at=at(2)))
    asked = {"id": "c", "type": "function", "function": {"name": "refund", "arguments": "{}"}}
    add(site, Message(**mine, role="assistant", tool_calls=[asked], created_at=at(3)))
    site.insert_trace(Trace(**mine, kind="tool_call", name="refund", started_at=at(4), ended_at=at(5)))
    add(site, Message(**mine, role="tool", tool_call_id="c", content="Error: too much", created_at=at(6)))
    site.put_artifact(Artifact(**mine, name="slip.txt", mime_type="text/plain", created_at=at(7)), b"x")
    site.insert_trace(Trace(**mine, kind="model_call", name="m", status="error", started_at=at(8), ended_at=at(9)))
    add(site, Message(**mine, role="user", content="Well?", created_at=at(10)))
    first, answer, last = opened(viewer).context["entries"]
    assert [item.heading[0] for item in first.folded] == ["heard"]
    assert [(item.kind, item.heading[0]) for item in answer.folded] == [
        *(("span", "model_call"), ("span", "tool_call"), ("artifact", "slip.txt"), ("span", "model_call")),
    ]
    assert (answer.tokens, answer.cost, answer.is_open, first.is_open) == (100, Decimal("0.02"), True, False)
    [call] = answer.item.speech.calls
    assert (call.name, call.answer.failed, call.answer.blocks[0].text) == ("refund", True, "Error: too much")
    assert last.folded == []
    page = opened(viewer).content.decode()
    assert page.count('id="message-') == len({"user", "answer", "result", "user again"})


def test_what_was_asked_for_is_not_folded_away(site, viewer) -> None:
    add(site, Message(session_id="s", role="user", content="x", created_at=at(0)))
    site.insert_trace(Trace(id="t", session_id="s", name="n", started_at=at(1)))
    assert [entry.is_open for entry in opened(viewer).context["entries"]] == [False]
    assert [entry.is_open for entry in opened(viewer, at="span:t").context["entries"]] == [True]


def test_blocks_of_anthropic_have_their_results(site, viewer) -> None:
    uses = [{"type": "tool_use", "id": f"t{n}", "name": "look", "input": {"n": n}} for n in range(3)]
    results = [
        {"type": "tool_result", "tool_use_id": "t0", "content": [{"type": "text", "text": "zero"}]},
        {"type": "tool_result", "tool_use_id": "t1", "content": "one", "is_error": True},
    ]
    add(
        site,
        Message(session_id="s", role="assistant", content=[{"type": "text", "text": "*Looking*"}, *uses]),
        Message(session_id="s", role="user", content=results),
    )
    [speech] = said(viewer)
    assert [block.text for block in speech.blocks] == ["<p><em>Looking</em></p>\n"]
    assert [(call.answer and (call.answer.blocks[0].text, call.answer.failed)) for call in speech.calls] == [
        *(("zero", False), ("one", True), None),
    ]
    assert "No result" in opened(viewer).content.decode()


def test_blocks_of_anthropic_have_results_on_other_pages(site, viewer) -> None:
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    add(site, *(Message(session_id="s", role="user", content=str(number)) for number in range(99)))
    add(
        site,
        Message(session_id="s", role="assistant", content=[use]),
        Message(session_id="s", role="user", content=[{"type": "tool_result", "tool_use_id": "t", "content": "there"}]),
    )
    [made] = calls(opened(viewer).context)[100]
    assert made.answer.blocks[0].text == "there"
    [speech] = [item.speech for item in timeline_items(viewer.get(made.answer.place).context) if item.number == 101]
    assert list(speech.callers) == [100]


@once
def test_results_of_several_calls_of_one_name_without_ids(site, viewer) -> None:
    asked = [{"functionCall": {"name": "look", "args": {"n": n}}} for n in range(2)]
    given = [{"functionResponse": {"name": "look", "response": {"n": n}}} for n in range(2)]
    add(
        site,
        Message(session_id="s", role="model", content={"parts": asked}),
        Message(session_id="s", role="user", content={"parts": given}),
    )
    [speech] = said(viewer)
    assert [json.loads(call.answer.blocks[0].text) for call in speech.calls] == [{"n": 0}, {"n": 1}]


@once
def test_tracebacks_and_json_are_laid_out(site, viewer) -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: *no*'
    add(
        site,
        Message(session_id="s", role="user", content=f"What is this?\n{trace}"),
        Message(session_id="s", role="assistant", content='{"a": [1, "x\\ny \\\\n"]}'),
        Message(session_id="s", role="tool", tool_call_id="c", content={"error": trace}),
    )
    question, answer, result = said(viewer)
    assert (question.blocks[0].kind, question.blocks[0].text) == ("text", f"What is this?\n{trace}")
    assert answer.blocks[0].text == '{\n  "a": [\n    1,\n    "x\ny \\\\n"\n  ]\n}'
    assert '"error": "Traceback (most recent call last):\n  File \\"a.py\\"' in result.blocks[0].text


def test_images_are_shown_where_they_are_images_and_ours(site, viewer, stranger) -> None:
    document = {"type": "document", "source": {"type": "base64", "media_type": "text/html", "data": "PGI+"}}
    content = [
        image(PNG),
        image(b"<svg onload=alert(1)>", "image/svg+xml"),
        image(b"<html>", "image/png"),
        {"type": "image_url", "image_url": {"url": "https://elsewhere.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "javascript:alert(1)"}},
        document,
        image(b"", "image/png"),
    ]
    add(site, Message(session_id="s", role="user", content=content))
    [speech] = said(viewer)
    kinds = [block.kind for block in speech.blocks]
    assert kinds == ["image", "file", "file", "link", "text", "file", "text"]
    row = MessageRow.objects.get()
    shown = viewer.get(speech.blocks[0].address)
    assert (b"".join(shown), shown["Content-Type"], shown["Content-Disposition"].split(";")[0]) == (
        PNG,
        "image/png",
        "inline",
    )
    for block in speech.blocks[1:3] + speech.blocks[5:6]:
        response = viewer.get(block.address)
        assert response["Content-Disposition"].startswith("attachment; ")
        assert (response["Content-Security-Policy"], response["X-Content-Type-Options"]) == ("sandbox", "nosniff")
        assert b"".join(response)
    page = opened(viewer).content.decode()
    assert page.count("<img") == 1
    assert "elsewhere.example/a.png" in page
    assert 'href="javascript' not in page
    assert viewer.get(url("message", "medium", row.pk, 99)).status_code == 404
    assert viewer.get(url("message", "medium", row.pk, 3)).status_code == 404
    assert stranger.get(speech.blocks[0].address).status_code == 403


@once
def test_results_may_have_images(site, viewer) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": source}]}
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    add(
        site,
        Message(session_id="s", role="assistant", content=[use]),
        Message(session_id="s", role="user", content=[result]),
    )
    [speech] = said(viewer)
    [block] = speech.calls[0].answer.blocks
    assert b"".join(viewer.get(block.address)) == PNG


@once
def test_large_images_are_read_and_long_texts_are_not(site, viewer) -> None:
    large = PNG + bytes(1_000_000)
    add(
        site,
        Message(session_id="s", role="user", content=[{"type": "text", "text": "look"}, image(large)]),
        Message(session_id="s", role="assistant", content="word " * 200_000 + "end"),
        *(Message(session_id="s", role="user", content=[image(large)]) for _ in range(6)),
    )
    response = opened(viewer)
    picture, text, *others = said(viewer)
    assert [block.kind for block in picture.blocks] == ["html", "image"]
    assert (text.cut, len(text.blocks[0].text) < 20_000) == (True, True)
    # Only so much is read for one page; the others are on pages of their own.
    assert [speech.cut for speech in others] == [False, False, True, True, True, True]
    assert len(response.content) < 300_000
    whole = viewer.get(others[-1].place)
    assert [block.kind for speech in whole.context["speeches"] for block in speech.blocks] == ["image"]
    page = viewer.get(text.place).content.decode()
    assert 60_000 < len(page) < 150_000


@once
def test_only_so_much_of_a_page_is_markdown(site, viewer) -> None:
    add(site, *(Message(session_id="s", role="user", content="*a* " * 3_000) for _ in range(8)))
    kinds = [speech.blocks[0].kind for speech in said(viewer)]
    assert kinds == ["html"] * 5 + ["text"] * 3


@once
def test_what_the_system_says_at_length_is_opened_to_be_read(site, viewer) -> None:
    add(
        site,
        Message(session_id="s", role="system", content="Be kind.\n" * 100),
        Message(session_id="s", role="system", content="Be kind."),
    )
    long, short = said(viewer)
    assert (long.line[:8], short.line) == ("Be kind.", "")


@once
def test_a_session_that_goes_on_says_so_and_has_another_mark_when_there_is_more(site, viewer, staff, stranger) -> None:
    def state(client: Client = viewer) -> dict[str, Any]:
        found: dict[str, Any] = client.get(url("session", "live", "s")).json()
        return found

    add(site, Message(session_id="s", role="user", content="x"))
    assert opened(viewer).context["live"]["mark"] == state()["mark"]
    marks = [state()["mark"], state()["mark"]]
    assert len(set(marks)) == 1
    for write in (
        lambda: add(site, Message(session_id="s", role="user", content="x")),
        lambda: site.append_event(Event(session_id="s")),
        lambda: site.insert_trace(Trace(id="t", session_id="s")),
        lambda: site.end_trace("t"),
        lambda: site.patch_session("s", status="paused"),
    ):
        write()
        marks.append(state()["mark"])
    assert len(set(marks[1:])) == 6
    assert state(staff("view_session"))["mark"] not in marks
    assert state()["live"]
    assert viewer.post(url("session", "live", "s")).status_code == 405
    assert stranger.get(url("session", "live", "s")).status_code == 403
    site.patch_session("s", status="completed")
    assert (state()["live"], opened(viewer).context["live"]) == (False, None)
    site.create_session(Session(id="old", created_at=at(0)))
    assert opened(viewer, "old").context["live"] is None


def test_what_a_model_is_given_stands_beside_what_is_kept(site, viewer, staff) -> None:
    summary = Message(session_id="s", role="system", content="They said hello.", metadata={"summary_of": [1, 2]})
    asked = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    add(
        site,
        Message(session_id="s", role="user", content="Hello <b>"),
        Message(session_id="s", role="assistant", content="Hello"),
        summary,
        Message(session_id="s", role="assistant", tool_calls=[asked]),
        Message(session_id="s", role="user", content="Still there?"),
    )
    address = url("session", "context", "s")
    context = viewer.get(address).context
    assert [each["row"].seq_num for each in context["kept"]] == [1, 2, 3, 4, 5]
    roles = [role for role, _text in context["given"]]
    assert roles == [message["role"] for message in site.context("s", provider="openai")]
    assert roles == ["system", "assistant", "tool", "user"]
    assert "No result" in context["given"][2][1]
    given = viewer.get(address, {"provider": "anthropic"}).context["given"]
    assert given[0] == ("system", "They said hello.")
    text = viewer.get(address, {"provider": "anthropic", "text": "1"})
    found = site.context("s", provider="anthropic")
    assert json.loads(text.content) == {"system": found.system, "messages": list(found)}
    assert text["Content-Type"].startswith("text/plain")
    for wrong in ({"provider": "x"}, {"budget": "0"}, {"budget": "1"}, {"budget": "x"}, {"budget": str(10**30)}):
        response = viewer.get(address, {"provider": "openai"} | wrong)
        assert (response.context["given"], bool(response.context["form"].errors)) == (None, True), wrong
    assert staff("view_session").get(address).status_code == 403


@once
def test_a_session_too_long_for_it_is_not_read_whole(site, viewer) -> None:
    add(site, *(Message(session_id="s", role="user", content="x" * 700_000) for _ in range(3)))
    response = viewer.get(url("session", "context", "s"))
    assert (response.context["given"], response.context["is_long"]) == (None, True)
    assert len(response.content) < 100_000


HOSTILE = (
    "[" * 16_000,
    "![" * 8_000,
    "a|" * 3_000 + "\n" + "-|" * 3_000 + "\n" + "a|b\n" * 2_000,
    "> " * 8_000,
    "<b>" * 5_000,
)


@once
@pytest.mark.parametrize("text", [*HOSTILE, '{"a":' * 3_000, "[" * 450 + "]" * 450, "  at a(" * 2_000, " \n" * 8_000])
def test_a_page_of_hostile_texts_takes_no_longer_than_a_moment(site, viewer, text: str) -> None:
    roles = ("user", "assistant", "tool", "system")
    add(
        site,
        *(
            Message(session_id="s", role=roles[n % 4], content=text, tool_calls=[{"function": text}])
            for n in range(100)
        ),
    )
    begun = time.thread_time()
    page = opened(viewer).content
    assert time.thread_time() - begun < 8
    assert len(page) < 8_000_000


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_a_conversation_takes_few_queries(site, viewer, alias) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG + bytes(20_000)).decode()}
    for number in range(40):
        use = {"type": "tool_use", "id": f"t{number}", "name": "look", "input": {}}
        add(
            site,
            Message(session_id="s", role="user", content=[{"type": "image", "source": source}]),
            Message(session_id="s", role="assistant", content=[use]),
        )
        site.append_event(Event(session_id="s"))
        site.insert_trace(Trace(session_id="s"))
    opened(viewer)
    with CaptureQueriesContext(connections[alias]) as captured:
        opened(viewer)
    assert len(captured) <= 30
