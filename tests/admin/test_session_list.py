"""The list of sessions leads to those in which something went wrong."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections, transaction
from django.urls import reverse
from django.utils.timezone import localtime

from chronos_storage import Storage
from chronos_storage.ledger import triggers
from chronos_storage.models import Head
from chronos_storage.records import Event, Message, Session, TokenUsage, Trace, now
from tests.admin.pages import listed, url
from tests.conftest import STRICTEST

CALL = {"id": "c", "type": "function", "function": {"name": "refund", "arguments": '{"amount": 1200}'}}
LONG_AGO = now() - timedelta(days=30)


def session(site: Storage, id: str, *messages: dict[str, Any], **fields: Any) -> None:
    begun = fields.setdefault("created_at", now() - timedelta(hours=2))
    fields.setdefault("last_activity_at", begun)
    site.create_session(Session(id=id, **fields))
    site.add_messages([Message(session_id=id, created_at=begun, **each) for each in messages])


def ids(client: Any, **parameters: str) -> list[str]:
    return [row.pk for row in listed(client, "session", **parameters)]


def texts(client: Any, id: str) -> dict[str, str]:
    """What the list says of a session, by the column."""
    page = client.get(url("session")).content.decode()
    [row] = [row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if url("session", "change", id) in row]
    cells = re.findall(r'class="(?:action-checkbox |nowrap )*field-(\w+)[^"]*">(.*?)</t[dh]>', row, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]*>", " ", cell).split()) for name, cell in cells}


def test_it_leads_with_what_a_session_was_about(site, viewer) -> None:
    session(site, "titled", {"role": "user", "content": "Hello"}, title="Refund <b>", agent_id="shop", user_id="ada")
    session(
        site, "said", {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Where is my lamp?\n2"}
    )
    session(site, "nothing")
    assert texts(viewer, "titled")["subject"] == "Refund &lt;b&gt; shop · ada"
    assert texts(viewer, "said")["subject"].startswith("Where is my lamp?")
    assert texts(viewer, "nothing")["subject"] == "nothing"
    page = viewer.get(url("session")).context["cl"]
    assert page.list_names[0] == "subject"
    assert page.list_names[-2:] == ["chain", "id"]


def test_it_says_what_each_session_came_to(site, viewer) -> None:
    usage = TokenUsage(prompt_tokens=1000, completion_tokens=234)
    session(
        site,
        "s",
        {"role": "assistant", "tool_calls": [CALL], "usage": usage},
        {"role": "tool", "tool_call_id": "c", "content": "Error: above the total"},
        {"role": "assistant", "content": "No."},
        status="failed",
        last_activity_at=now(),
    )
    site.insert_traces([Trace(session_id="s", error="above", cost=Decimal("0.25")), Trace(session_id="s")])
    site.append_event(Event(session_id="s", type="node_executed"))
    session(site, "empty")
    said = texts(viewer, "s")
    assert (said["state"], said["errors"], said["messages"], said["calls"]) == ("failed", "2", "3", "1")
    assert said["tokens"] == "1 234"
    assert said["cost"].startswith("0.25")
    assert said["duration"].startswith("2 h")
    assert said["chain"] == "intact"
    assert (texts(viewer, "empty")["errors"], texts(viewer, "empty")["tokens"]) == ("0", "0")


def test_who_may_not_see_what_figures_are_made_of_does_not_see_them(site, staff) -> None:
    session(site, "s", {"role": "user", "content": "Where is my lamp?"})
    client = staff("view_session")
    page = client.get(url("session"))
    assert page.context["cl"].list_names == ["subject", "state", "duration", "last_activity_at", "id"]
    assert "my lamp" not in page.content.decode()
    assert ids(client, text="lamp") == []
    assert ids(client, show="errors") == []  # which is no choice


def test_looks_that_are_written_down_are_none_of_the_list(site, viewer, settings) -> None:
    session(site, "s", {"role": "user", "content": "Where is my lamp?"})
    settings.CHRONOS_STORAGE = {"ADMIN": {"AUDIT_VIEWS": True}}
    assert texts(viewer, "s")["subject"] == "s"


@pytest.fixture
def faults(site: Storage, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {"ADMIN": {"TOKEN_BUDGET": 1000}}
    hello = {"role": "user", "content": "Hello"}
    answer = {"role": "assistant", "content": "Good evening.", "usage": TokenUsage(total_tokens=1000)}
    session(site, "fine", hello, answer, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "ok"})
    session(site, "old", {"role": "error", "content": "x"}, created_at=LONG_AGO, status="running")
    session(site, "imported", {"role": "tool", "tool_call_id": "c", "content": "no", "metadata": {"is_error": True}})
    session(site, "span", hello)
    site.insert_trace(Trace(session_id="span", error="broken", started_at=now()))
    session(site, "running", hello, status="running")
    session(site, "just-running", hello, status="running", last_activity_at=now())
    session(site, "open-span", hello)
    site.insert_trace(Trace(session_id="open-span", started_at=now() - timedelta(hours=1)))
    session(
        site, "lost", {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "d"}]}, {"role": "tool", "content": "x"}
    )
    results = [{"type": "tool_result", "tool_use_id": id, "content": "x"} for id in "cd"]
    calls = {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "d"}]}
    session(site, "both", calls, {"role": "user", "content": results})
    session(site, "dear", answer, {"role": "assistant", "usage": TokenUsage(prompt_tokens=1)})
    session(site, "fork", metadata={"forked_from": {"session_id": "fine"}})
    session(site, "deleted", hello)
    site.delete_session("deleted")


def test_what_went_wrong_is_found(site, faults, viewer) -> None:
    assert set(ids(viewer, show="errors")) == {"imported", "span"}
    assert set(ids(viewer, show="errors", since=f"{LONG_AGO - timedelta(days=1):%Y-%m-%dT%H:%M}")) == {
        *("old", "imported", "span")
    }
    assert set(ids(viewer, show="stuck")) == {"running", "open-span"}
    assert ids(viewer, show="lost") == ["lost"]
    assert ids(viewer, show="budget") == ["dear"]
    assert ids(viewer, show="forks") == ["fork"]
    assert ids(viewer, show="deleted") == ["deleted"]
    assert ids(viewer, show="broken") == []
    assert ids(viewer, show="nonsense") == []
    assert len(ids(viewer)) == 12


def test_what_went_wrong_in_an_hour_is_found(site, faults, viewer) -> None:
    begun = localtime(LONG_AGO)
    hour = {"since": f"{begun:%Y-%m-%dT%H:%M:%S}", "until": f"{begun + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"}
    assert ids(viewer, show="errors", **hour) == ["old"]
    assert ids(viewer, show="begun", **hour) == ["old"]
    assert ids(viewer, **hour) == ["old"]


def test_sessions_over_the_budget_are_marked(site, faults, viewer, settings) -> None:
    assert viewer.get(url("session")).content.decode().count("over the token budget</a>") == 1
    assert viewer.get(url("session")).content.decode().count('title="over the token budget"') == 1
    settings.CHRONOS_STORAGE = {}
    assert "budget" not in viewer.get(url("session")).content.decode()
    assert ids(viewer, show="budget") == []


@pytest.mark.parametrize(
    ("name", "first"),
    [("errors", "span"), ("messages", "fine"), ("tokens", "dear"), ("calls", "lost"), ("cost", "open-span")],
)
def test_it_is_sorted_by_what_sessions_came_to(site, faults, viewer, name, first) -> None:
    if name == "errors" and connections[site.alias].vendor == "mysql":
        pytest.skip("MariaDB has no index of failures")
    site.insert_trace(Trace(session_id="open-span", cost=Decimal("1.5"), started_at=now()))
    site.insert_trace(Trace(session_id="span", error="broken again", started_at=now()))
    columns = viewer.get(url("session")).context["cl"].list_names
    page = viewer.get(url("session"), {"o": columns.index(name)}).context["cl"]
    assert page.result_list[0].pk == first if name != "calls" else page.result_list[0].pk in ("lost", "both")
    assert "old" not in {row.pk for row in page.result_list}
    assert "sessions active since" in page.note
    assert page.next_page is None


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_an_order_is_one_statement_for_all_its_rows(site, faults, viewer, django_assert_max_num_queries) -> None:
    columns = viewer.get(url("session")).context["cl"].list_names
    with django_assert_max_num_queries(19, connection=connections[site.alias]):
        viewer.get(url("session"), {"o": columns.index("tokens")})


def test_words_are_found_in_titles_and_messages(site, viewer) -> None:
    session(site, "title", title="A REFUND of 12")
    session(site, "message", {"role": "user", "content": "I want a refund of 1200 now"})
    session(site, "call", {"role": "assistant", "tool_calls": [CALL]})
    session(site, "quote", {"role": "user", "content": 'He said "no"\\ 100%'})
    session(site, "old", {"role": "user", "content": "refund"}, created_at=LONG_AGO)
    assert set(ids(viewer, text="refund")) == {"title", "message", "call"}
    assert set(ids(viewer, text="1200")) == {"message", "call"}
    assert ids(viewer, text="12") == ["title"]
    assert ids(viewer, text="refund now") == ["message"]
    assert ids(viewer, text='"no"\\') == ["quote"]
    assert ids(viewer, text="100%") == ["quote"]
    assert ids(viewer, text="%") == ["quote"]
    assert ids(viewer, text="lamp") == []
    assert set(ids(viewer, text="refund", since=f"{LONG_AGO - timedelta(days=1):%Y-%m-%dT%H:%M}")) == {
        *("title", "message", "call", "old")
    }


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_a_broken_chain_is_marked_and_found(site, viewer) -> None:
    for id in ("good", "bad"):
        session(site, id)
        site.append_events([Event(session_id=id, type="t") for _ in range(3)])
    permitted = triggers.deletion_permitted(site.alias)
    with transaction.atomic(using=site.alias), permitted, connections[site.alias].cursor() as cursor:
        cursor.execute("DELETE FROM chronos_storage_event WHERE session_id = 'bad' AND seq_num = 2")
    assert (texts(viewer, "good")["chain"], texts(viewer, "bad")["chain"]) == ("intact", "broken")
    assert ids(viewer, show="broken") == ["bad"]


def test_long_sessions_are_not_added_up(site, viewer) -> None:
    session(site, "s", {"role": "user", "content": "Hello"})
    Head.objects.filter(series="s", kind="message").update(seq_num=1_000_000)
    assert (texts(viewer, "s")["messages"], texts(viewer, "s")["errors"]) == ("-", "0")


def test_the_page_of_the_app_leads_to_what_went_wrong(site, faults, viewer, staff) -> None:
    app = reverse("admin:app_list", args=["chronos_storage"])
    content = viewer.get(app).content.decode()
    lead = content[content.index('aria-label="What happened"') : content.index("</nav>", content.index("?show=forks"))]
    places = re.findall(r'href="([^"]*)"', lead)
    assert places[:2] == [url("session", "overview"), url("session")]
    assert {place.partition("?")[2] for place in places[2:]} >= {
        *("show=errors", "show=stuck", "show=lost", "show=budget", "show=broken", "show=forks", "o=3")
    }
    assert {viewer.get(place).status_code for place in places} == {200}
    little = staff("view_session").get(app).content.decode()
    assert "show=forks" in little
    assert "show=errors" not in little


def test_spans_are_found_by_failure_kind_and_duration(site, viewer) -> None:
    begun = now() - timedelta(hours=1)

    def span(id: str, seconds: int | None, **fields: Any) -> Trace:
        ended = None if seconds is None else begun + timedelta(seconds=seconds)
        return Trace(id=id, started_at=begun, ended_at=ended, **fields)

    site.insert_traces(
        [
            span("slow", 252, kind="model_call", model="large"),
            span("fast", 1, kind="model_call", model="large"),
            span("failed", 3, kind="tool_call", name="refund", error="broken"),
            span("open", None, kind="node"),
            Trace(id="old", started_at=LONG_AGO, ended_at=now()),
        ]
    )
    since = f"{localtime(begun) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}"
    columns = viewer.get(url("trace")).context["cl"].list_names
    longest = viewer.get(url("trace"), {"o": columns.index("duration")}).context["cl"]
    assert [row.pk for row in longest.result_list] == ["slow", "failed", "fast", "open"]
    assert "since" in longest.note

    def found(**parameters: str) -> set[str]:
        return {row.pk for row in listed(viewer, "trace", since=since, **parameters)}

    assert found(status="error") == {"failed"}
    assert found(kind="model_call") == {"slow", "fast"}
    assert found(name="refund") == {"failed"}
    assert found(kind="tool_call", model="large") == set()
