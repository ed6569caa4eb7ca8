"""The pages about one session."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from chronos_storage import codec
from chronos_storage.admin import checkpoint_pages, span_pages
from chronos_storage.models import Checkpoint as CheckpointRow
from chronos_storage.models import Event as EventRow
from chronos_storage.models import Message as MessageRow
from chronos_storage.records import AuditLog, Checkpoint, Event, Message, Session, TokenUsage, Trace, now
from tests.admin.night import BAD, a_night, at
from tests.admin.pages import calls, timeline_items, url
from tests.conftest import ONLY_SQLITE, STRICTEST

#: For what is asked of the facade, or done with what was read.
once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

SUBPAGES = ("spans", "tokens", "context", "checkpoints", "verdict")


def page(client: Client, name: str = "change", id: str = BAD, **parameters: Any) -> str:
    response = client.get(url("session", name, id), parameters)
    assert response.status_code == 200
    return response.content.decode()


def call(id: str, **arguments: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "look", "arguments": json.dumps(arguments)}}


def test_the_header_says_who_and_how_much(site, viewer, staff) -> None:
    a_night(site, 0)
    context = viewer.get(url("session", "change", BAD)).context
    figures = context["summary"]
    assert (figures.messages, figures.events, figures.spans, figures.tokens, figures.errors) == (8, 8, 8, 3199, 3)
    assert (figures.started, figures.duration.total_seconds()) == (at(0), 9.6)  # when the last span ended
    site.append_audit_log(AuditLog(session_id=BAD, created_at=at(60)))
    site.save_checkpoint(Checkpoint(session_id=BAD, created_at=at(50)))
    figures = viewer.get(url("session", "change", BAD)).context["summary"]
    assert figures.duration.total_seconds() == 60
    assert staff("view_session").get(url("session", "change", BAD)).context["summary"].duration.total_seconds() == 8.8


def test_all_kinds_stand_in_one_timeline(site, viewer) -> None:
    a_night(site, 0)
    items = timeline_items(viewer.get(url("session", "change", BAD)).context)
    assert {item.kind for item in items} == {"message", "event", "span", "checkpoint", "audit", "artifact"}
    # Two messages are results, which stand in the entries of their calls.
    assert len(items) == 34 - 2
    items = timeline_items(viewer.get(url("session", "change", BAD), {"kind": ["span", "event"]}).context)
    assert {item.kind for item in items} == {"span", "event"}
    assert [item.timestamp for item in items] == sorted(item.timestamp for item in items)
    assert len(items) == 16


def test_a_call_stands_beside_its_result(site, viewer) -> None:
    a_night(site, 0)
    context = viewer.get(url("session", "change", BAD), {"kind": "message"}).context
    [made] = calls(context)[5]
    assert (made.name, made.answer.number, made.answer.failed) == ("refund", 6, True)
    assert "above the order" in made.answer.blocks[0].text
    assert [item.number for item in timeline_items(context)] == [1, 2, 3, 5, 7, 8]


def test_a_result_on_another_page_is_linked(site, viewer) -> None:
    site.create_session(Session(id="s"))
    site.add_messages([Message(session_id="s", role="user", content=str(number)) for number in range(99)])
    site.add_message(Message(session_id="s", role="assistant", tool_calls=[call("c")]))
    site.add_message(Message(session_id="s", role="tool", tool_call_id="c", content="found it"))
    [made] = calls(viewer.get(url("session", "change", "s")).context)[100]
    assert made.answer.blocks[0].text == "found it"
    there = timeline_items(viewer.get(made.answer.place).context)
    assert there[0].pk == MessageRow.objects.get(tool_call_id="c").pk
    [(number, place)] = there[0].speech.callers.items()
    assert number == 100
    assert timeline_items(viewer.get(place).context)[0].number == 100


@once
def test_ids_of_calls_that_come_again_are_told_apart(site, viewer) -> None:
    site.create_session(Session(id="s"))
    for number in range(3):
        site.add_message(Message(session_id="s", role="assistant", tool_calls=[call("call_0", number=number)]))
        site.add_message(Message(session_id="s", role="tool", tool_call_id="call_0", content=f"answer {number}"))
    found = calls(viewer.get(url("session", "change", "s")).context)
    texts = {number: [made.answer.blocks[0].text for made in each] for number, each in found.items()}
    assert texts == {1: ["answer 0"], 3: ["answer 1"], 5: ["answer 2"]}


def test_long_content_stays_in_the_database_until_it_is_asked_for(site, viewer) -> None:
    site.create_session(Session(id="s", title="t" * 300_000))
    text = "é" * 300_000
    for _ in range(3):
        site.add_message(Message(session_id="s", role="user", content=text))
        site.append_event(Event(session_id="s", payload={"k": text}))
        site.insert_trace(Trace(session_id="s", input=text, error="e" * 300_000))
        site.save_checkpoint(Checkpoint(session_id="s", state={"k": text}))
    whole = page(viewer, id="s")
    assert len(whole) < 200_000
    row = MessageRow.objects.first()
    response = viewer.get(url("message", "content", row.pk, "content"))
    assert (response.content.decode(), response["Content-Type"]) == (text, "text/plain; charset=utf-8")
    assert response["X-Content-Type-Options"] == "nosniff"
    for name, pk in (("message", row.pk), ("checkpoint", CheckpointRow.objects.first().pk)):
        assert len(viewer.get(url(name, "change", pk)).content) < 200_000
    assert len(viewer.get(url("session")).content) < 200_000
    assert viewer.get(url("message", "content", row.pk, "role")).status_code == 404
    assert viewer.get(url("message", "content", 0, "content")).status_code == 404


@once
def test_two_states_are_compared(site, viewer) -> None:
    a_night(site, 0)
    one, two, three, _four = (
        CheckpointRow.objects.filter(session_id=BAD).order_by("seq_num").values_list("pk", flat=True)
    )
    found = viewer.get(url("session", "compare", BAD), {"a": one, "b": three}).context["differences"]
    assert [(each.path, each.kind) for each in found] == [
        *(("node", "changed"), ("order", "changed"), ("refund", "changed"), ("messages", "changed")),
    ]
    found = viewer.get(url("session", "compare", BAD), {"b": two}).context
    assert (found["before"].pk, found["following"].pk) == (one, three)
    page_of_two = viewer.get(url("session", "compare", BAD), {"b": two}).content.decode()
    assert f'href="?b={one}"' in page_of_two
    assert f'href="?b={three}"' in page_of_two
    first = viewer.get(url("session", "compare", BAD), {"b": one}).context
    assert {each.kind for each in first["differences"]} == {"added"}
    for wrong in ({}, {"b": "x"}, {"b": "9" * 30}, {"a": "0", "b": two}):
        assert viewer.get(url("session", "compare", BAD), wrong).status_code == 404


@once
def test_a_fork_takes_a_post_and_the_permission_to_add(site, superuser, viewer, staff) -> None:
    a_night(site, 0)
    row = CheckpointRow.objects.get(session_id=BAD, seq_num=2)
    address = _fork(row.pk)
    for client in (viewer, staff("view_session", "add_session"), staff("add_session", "view_checkpoint")):
        assert (client.get(address).status_code, client.post(address).status_code) == (403, 403)
    assert superuser.get(address).status_code == 200
    assert len(site.list_sessions()) == 1
    forker = staff("view_session", "add_session", "view_checkpoint")
    response = forker.post(address)
    [fork] = [session for session in site.list_sessions() if session.id != BAD]
    assert response["Location"] == url("session", "change", fork.id)
    assert site.get_latest_checkpoint(fork.id).state == row.state
    assert superuser.post(_fork(0)).status_code == 404


@once
def test_a_legal_hold_takes_a_post_and_its_permission(site, superuser, staff) -> None:
    a_night(site, 0)
    address = url("session", "hold", BAD)
    changer = staff("view_session", "change_session")
    assert (changer.get(address).status_code, changer.post(address, {"held": "true"}).status_code) == (403, 403)
    assert address not in changer.get(url("session", "change", BAD)).content.decode()
    holder = staff("view_session", "hold_session")
    assert address in holder.get(url("session", "change", BAD)).content.decode()
    holder.post(address, {"held": "true", "reason": " "})
    assert not site.get_session(BAD).legal_hold
    holder.post(address, {"held": "true", "reason": "case <7>"})
    assert site.get_session(BAD).legal_hold
    assert "case" not in holder.get(address).content.decode()  # who may not view the audit log
    page = superuser.get(address).content.decode()
    assert "case &lt;7&gt;" in page
    assert "under a legal hold" in superuser.get(url("session", "change", BAD)).content.decode()
    holder.post(address, {"held": "false", "reason": "settled"})
    assert not site.get_session(BAD).legal_hold
    actors = [log.actor for log in site.list_audit_logs(resource=BAD, action="session.legal_hold")]
    assert actors == [holder.get(address).context["user"].get_username()] * 2


def _fork(pk: int) -> str:
    return f"{url('session', 'checkpoints', BAD).removesuffix('checkpoints/')}fork/{pk}/"


def test_the_verdict_names_the_first_bad_row(site, viewer, alias) -> None:
    a_night(site, 0)
    assert [finding.verdict.intact for finding in viewer.get(url("session", "verdict", BAD)).context["findings"]] == [
        True,
        True,
    ]
    brief = url("session", "verdict", BAD) + "?brief=1"
    assert viewer.get(brief).json() == {"intact": True, "text": "Intact"}
    tamper(alias, "UPDATE chronos_storage_event SET type = 'x' WHERE event_id IN ('event-5', 'event-7')")
    assert viewer.get(brief).json() == {"intact": False, "text": "Broken"}
    events, logs = viewer.get(url("session", "verdict", BAD)).context["findings"]
    assert (events.verdict.bad_seq, logs.verdict.intact) == (5, True)
    assert events.row.event_id == "event-5"
    assert viewer.get(events.timeline_address).context["at"] == f"event-{events.row.pk}"


def tamper(alias: str, statement: str) -> None:
    """Change rows of events with the triggers out of the way, as who can alter the schema may."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE chronos_storage_event DISABLE TRIGGER USER")
        elif connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'chronos_storage_event'"
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
        else:
            pytest.skip("on MariaDB a trigger can't be dropped and come back with the test's transaction")
        cursor.execute(statement)


def test_tokens_are_added_up_by_messages(site, viewer) -> None:
    site.create_session(Session(id="s"))
    usage = TokenUsage(prompt_tokens=10, completion_tokens=1)
    site.add_messages([Message(session_id="s", role="assistant", content="x", usage=usage) for _ in range(100)])
    site.add_message(Message(session_id="s", role="assistant", content="x", usage=TokenUsage(total_tokens=7)))
    context = viewer.get(url("session", "tokens", "s")).context
    assert len(context["columns"]) <= 40
    assert sum(column["total"] for column in context["columns"]) == context["summary"].tokens == 1107
    assert sum(column["other"] for column in context["columns"]) == 7


def test_spans_nest_and_errors_have_a_word(site, viewer) -> None:
    a_night(site, 0)
    bars = viewer.get(url("session", "spans", BAD)).context["waterfall"].bars
    assert [bar.depth for bar in bars] == [0, 1, 2, 1, 2, 2, 1, 2]
    [bad] = [bar for bar in bars if bar.error]
    assert (bad.row.name, bad.x, bad.width) == ("refund", pytest.approx(42.708, 0.001), pytest.approx(32.292, 0.001))
    assert bars[-1].open
    assert escape(bad.error) in page(viewer, "spans")


def test_only_errors_are_shown_and_the_next_is_led_to(site, viewer, staff) -> None:
    a_night(site, 0)
    address = url("session", "change", BAD)
    context = viewer.get(address, {"errors": "1"}).context
    assert [item.kind for item in timeline_items(context)] == ["span", "message", "message"]
    assert context["summary"].errors == 3
    page = viewer.get(address).context
    seen = []
    while (response := viewer.get(page["error_links"]["next_error"], follow=True)).redirect_chain[-1][0] not in seen:
        seen.append(response.redirect_chain[-1][0])
        page = response.context
        if "no error after" in response.content.decode():
            break
    assert len(seen) == 4  # and the last again, with a word that there is none after it
    assert seen[2].partition("#")[0] == seen[3]
    back = viewer.get(page["error_links"]["previous_error"])["Location"]
    assert back == seen[1]
    nothing = viewer.get(viewer.get(address).context["error_links"]["previous_error"], follow=True)
    assert "There is no error before this." in nothing.content.decode()
    only_events = staff("view_session", "view_event")
    first = only_events.get(only_events.get(address).context["error_links"]["next_error"], follow=True)
    assert "There is no error after this." in first.content.decode()
    assert staff("view_session", "view_auditlog").get(address).context["error_links"] is None


@once
def test_later_pages_of_spans_are_on_the_sessions_clock_and_below_what_they_are_inside_of(
    site, viewer, monkeypatch
) -> None:
    monkeypatch.setattr(span_pages, "SPANS", 5)
    site.create_session(Session(id="s"))
    site.insert_trace(Trace(id="run", session_id="s", started_at=at(0), ended_at=at(8000)))
    site.insert_trace(Trace(id="step", session_id="s", parent_id="run", started_at=at(1), ended_at=at(7000)))
    for number in range(16):
        started = at(60 * number + 2)
        site.insert_trace(
            Trace(id=f"t{number:02}", session_id="s", parent_id="step", started_at=started, ended_at=started)
        )
    links, pages = [""], []
    while links[-1] is not None:
        context = viewer.get(url("session", "spans", "s") + links[-1]).context
        pages.append(context["waterfall"].bars)
        links.append(context["next_link"])
    assert [[bar.row.pk for bar in bars] for bars in pages[2:]] == [
        ["run", "step", *(f"t{number:02}" for number in range(8, 13))],
        ["run", "step", *(f"t{number:02}" for number in range(13, 16))],
    ]
    last = pages[3]
    assert [bar.elsewhere for bar in last] == [True, True, False, False, False]
    assert [bar.depth for bar in last] == [0, 1, 2, 2, 2]
    assert [bar.start.total_seconds() for bar in last] == [0, 1, 782, 842, 902]
    assert [(bar.x, bar.width) for bar in last[:2]] == [(0, 100)] * 2  # cut off at the ends of the page's axis
    assert [bar.x for bar in last[2:]] == [0, 50, 99.6]
    ticks = viewer.get(url("session", "spans", "s") + links[3]).context["waterfall"].ticks
    assert [mark.total_seconds() for mark, _x in ticks] == [782, 812, 842, 872, 902]
    back = viewer.get(url("session", "spans", "s") + links[3]).context["previous_link"]
    assert (back, viewer.get(url("session", "spans", "s") + links[1]).context["previous_link"]) == (links[2], "?")


@once
def test_what_has_not_ended_is_drawn_until_now(site, viewer) -> None:
    def bars(id: str) -> tuple[Any, list[Any]]:
        found = viewer.get(url("session", "spans", id)).context["waterfall"]
        return found, found.bars

    for id, ago in (("fresh", 60), ("late", 3600), ("old", 864_000)):
        site.create_session(Session(id=id))
        begins = now() - timedelta(seconds=ago)
        ended = begins + timedelta(seconds=600 if id == "late" else 30)
        site.insert_trace(Trace(id=f"{id}-done", session_id=id, started_at=begins, ended_at=ended))
        site.insert_trace(Trace(id=f"{id}-open", session_id=id, started_at=begins + timedelta(seconds=6)))
    fresh, (done, running) = bars("fresh")
    assert (running.open, running.overdue, fresh.cut) == (True, False, False)
    assert 54 <= running.duration.total_seconds() < 90
    assert running.x + running.width == pytest.approx(100)
    assert done.width < 60
    late, (_done, running) = bars("late")
    assert (running.overdue, late.cut, running.x + running.width) == (True, False, pytest.approx(100))
    assert "not ended for long" in page(viewer, "spans", "late")
    assert "not ended for long" not in page(viewer, "spans", "fresh")
    old, (done, running) = bars("old")  # of which ten days would leave nothing to be seen
    assert (old.cut, running.duration.days, done.width) == (True, 9, 100)
    assert "goes on beyond the axis" in page(viewer, "spans", "old")


@once
def test_states_in_the_log_of_items_are_shown_whole(site, viewer) -> None:
    """On the checkpoint's own page and in a timeline what is long is left out; all of it is where all of a field is."""
    site.create_session(Session(id="s"))
    messages = [f"{number} {200 * 'x'}" for number in range(30)]
    for number in (20, 30):
        site.save_checkpoint(Checkpoint(session_id="s", state={"n": number, "messages": messages[:number]}))
    _, second = CheckpointRow.objects.order_by("seq_num")
    page = viewer.get(url("checkpoint", "change", second.pk)).content.decode()
    assert "{&quot;n&quot;:30,&quot;messages&quot;:[…" in page
    content = viewer.get(f"{url('checkpoint', 'change', second.pk).removesuffix('change/')}content/state/")
    assert json.loads(content.content) == {"n": 30, "messages": messages}
    compared = viewer.get(url("session", "compare", "s"), {"b": second.pk})
    assert {found.path.partition("[")[0] for found in compared.context["differences"]} == {"n", "messages"}
    taken, whole = viewer.get(url("session", "checkpoints", "s")).context["sizes"]
    assert whole == sum(len(codec.encode(found.state)) for found in site.list_checkpoints("s"))
    assert 0.6 * whole < taken < 0.7 * whole


def test_many_spans_and_checkpoints_come_in_pages(site, viewer, monkeypatch) -> None:
    monkeypatch.setattr(span_pages, "SPANS", 20)
    monkeypatch.setattr(checkpoint_pages, "CHECKPOINTS", 10)
    site.create_session(Session(id="s"))
    for number in range(25):
        site.insert_trace(Trace(id=f"t{number}", session_id="s", parent_id=f"t{number - 1}" if number else ""))
    for number in range(11):
        site.save_checkpoint(Checkpoint(session_id="s", state={"n": number}))
    for name, parts in (("spans", [20, 5]), ("checkpoints", [10, 1])):
        address = url("session", name, "s")
        sizes = []
        while address:
            context = viewer.get(address).context
            bars = [bar for bar in context["waterfall"].bars if not bar.elsewhere] if name == "spans" else None
            sizes.append(len(context["checkpoints"] if bars is None else bars))
            address = context["next_link"] and url("session", name, "s") + context["next_link"]
        assert sizes == parts


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_pages_take_the_same_few_queries_however_much_there_is(site, viewer, alias) -> None:
    def counts() -> dict[str, int]:
        found = {}
        for name in ("change", *SUBPAGES):
            viewer.get(url("session", name, BAD))
            with CaptureQueriesContext(connections[alias]) as captured:
                page(viewer, name)
            found[name] = len(captured)
        return found

    a_night(site, 0)
    few = counts()
    site.add_messages([Message(session_id=BAD, role="user", content="x") for _ in range(30)])
    site.append_events([Event(session_id=BAD) for _ in range(30)])
    for _ in range(10):
        site.insert_trace(Trace(session_id=BAD))
        site.save_checkpoint(Checkpoint(session_id=BAD))
    many = counts()
    assert many == few
    assert max(many.values()) <= 30


@once
def test_what_belongs_to_a_deleted_session_is_still_looked_at(site, viewer, superuser) -> None:
    a_night(site, 0)
    site.delete_session(BAD)
    for name in ("change", *SUBPAGES):
        assert "deleted" in page(viewer, name)
    assert superuser.post(_fork(CheckpointRow.objects.first().pk)).status_code == 302


def test_unknown_sessions_are_not_there(site, viewer) -> None:
    for name in SUBPAGES:
        for id in ("nothing", "a/b?", "\x00"):
            assert viewer.get(url("session", name, id)).status_code == 404


def test_rows_that_are_no_json_any_more_are_shown_as_they_are(site, viewer, alias) -> None:
    if connections[alias].vendor == "postgresql":
        pytest.skip("PostgreSQL itself refuses what is no JSON")
    a_night(site, 0)
    tamper(alias, "UPDATE chronos_storage_event SET payload = '<b>no json' WHERE event_id = 'event-5'")
    row = EventRow.objects.defer("payload").get(event_id="event-5")
    assert "&lt;b&gt;no json" in page(viewer)
    assert "&lt;b&gt;no json" in viewer.get(url("event", "change", row.pk)).content.decode()
    assert viewer.get(url("event", "content", row.pk, "payload")).content.decode() == "<b>no json"
