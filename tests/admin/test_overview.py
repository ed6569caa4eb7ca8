"""The overview's figures."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connections

from chronos_storage.models import Session as SessionRow
from chronos_storage.records import Event, Message, Session, TokenUsage, Trace, now
from tests.admin.pages import url

DAY = datetime(2026, 3, 14, 23, 59, 59, 999999, tzinfo=UTC)
NEXT = datetime(2026, 3, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "UTC"


def test_figures_are_per_day_and_agent(site, viewer) -> None:
    for id, agent, timestamp in (
        ("a", "one", DAY),
        ("b", "two", NEXT),
        ("c", "one", NEXT),
        ("old", "one", DAY.replace(day=1)),
    ):
        site.create_session(Session(id=id, agent_id=agent, created_at=timestamp))
        site.append_events([Event(session_id=id, created_at=timestamp), Event(session_id=id, created_at=timestamp)])
        usage = TokenUsage(prompt_tokens=5, completion_tokens=2)
        site.add_message(Message(session_id=id, role="assistant", content="x", usage=usage, created_at=timestamp))
        site.add_message(Message(session_id=id, role="error", content="x", created_at=timestamp))
    site.insert_trace(Trace(session_id="a", error="broken", started_at=DAY))
    site.insert_trace(Trace(session_id="nowhere", error="broken", started_at=NEXT))
    context = viewer.get(url("session", "overview"), {"since": "2026-03-13", "until": "2026-03-15"}).context
    panels = {panel.name: panel for panel in context["panels"]}
    assert list(panels) == ["sessions", "errors", "events", "tokens"]
    first, second = "2026-03-14", "2026-03-15"
    agents = panels["sessions"].agents
    assert set(agents) == {"one", "two", "no agent"}

    def figures(name: str) -> dict[str, dict[str, int]]:
        return {
            row.label: {agent: value for agent, (value, _) in zip(agents, row.cells, strict=True) if value}
            for row in panels[name].rows
        }

    assert figures("sessions") == {first: {"one": 1}, second: {"one": 1, "two": 1}}
    assert figures("events") == {first: {"one": 2}, second: {"one": 2, "two": 2}}
    assert figures("tokens") == {first: {"one": 7}, second: {"one": 7, "two": 7}}
    assert figures("errors") == {first: {"one": 2}, second: {"one": 1, "two": 1, "no agent": 1}}
    assert panels["errors"].total == 5


def test_each_figure_leads_to_what_it_counts(site, viewer) -> None:
    for number, (agent, timestamp) in enumerate((("one", DAY), ("two", DAY), ("one", NEXT))):
        id = f"s{number}"
        site.create_session(Session(id=id, agent_id=agent, created_at=timestamp, last_activity_at=timestamp))
        site.append_event(Event(id=f"e{number}", session_id=id, created_at=timestamp))
        usage = TokenUsage(total_tokens=7)
        failed = {"role": "tool", "content": "Error: no such order", "created_at": timestamp}
        site.add_message(Message(session_id=id, role="assistant", content="x", usage=usage, created_at=timestamp))
        site.add_message(Message(session_id=id, **failed))
    page = viewer.get(url("session", "overview"), {"since": "2026-03-13", "until": "2026-03-15"})
    for panel in page.context["panels"]:
        assert panel.total == (21 if panel.name == "tokens" else 3)

        def counted(address: str, name: str = panel.name) -> set[str]:
            rows = viewer.get(address).context["cl"].result_list
            return {row.session_id if name == "events" else row.pk for row in rows}

        assert counted(panel.address) == {"s0", "s1", "s2"}
        row = next(row for row in panel.rows if row.label == "2026-03-14")
        assert counted(row.total[1]) == {"s0", "s1"}
        for agent, (value, address) in zip(panel.agents, row.cells, strict=True):
            assert bool(value)
            assert counted(address) == {{"one": "s0", "two": "s1"}[agent]}
        assert {box.address for box in panel.chart.boxes} <= set(re.findall(r'href="([^"]*)"', unescape(page.text)))


def test_the_last_hours_are_shown_in_the_time_zone_of_the_site(site, viewer, settings) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"  # half an hour off
    local = now().astimezone(ZoneInfo("Asia/Kolkata"))
    site.create_session(Session(id="s", agent_id="one", created_at=now() - timedelta(hours=3)))
    page = viewer.get(url("session", "overview"))
    [panel] = [panel for panel in page.context["panels"] if panel.name == "sessions"]
    begun = (local - timedelta(hours=3)).replace(minute=0)
    assert [row.label for row in panel.rows] == [f"{begun:%Y-%m-%d %H:%M}"]
    assert len(page.context["span"].parts) == 24


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_days_have_the_hours_that_they_have_where_clocks_are_changed(site, viewer, settings, day, hours) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    begun = datetime.fromisoformat(f"{day}T23:30").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    site.create_session(Session(id="s", created_at=begun))
    context = viewer.get(url("session", "overview"), {"since": day, "until": day}).context
    assert len(context["span"].parts) == hours
    assert [row.label for row in context["panels"][0].rows] == [f"{day} 23:00"]
    week = viewer.get(url("session", "overview"), {"since": "2026-03-01", "until": "2026-03-31"}).context
    assert len(week["span"].parts) == 31


def test_tools_and_models_have_rates_and_durations(site, viewer) -> None:
    def span(kind: str, name: str, seconds: int, **fields: Any) -> Trace:
        model = name if kind == "model_call" else ""
        return Trace(
            kind=kind, name=name, model=model, started_at=NEXT, ended_at=NEXT + timedelta(seconds=seconds), **fields
        )

    site.insert_traces([span("tool_call", "refund", seconds) for seconds in (1, 2, 3)])
    site.insert_trace(span("tool_call", "refund", 10, error="broken"))
    usage = TokenUsage(prompt_tokens=5, completion_tokens=2)
    site.insert_traces([span("model_call", "large", 4, cost=Decimal("0.25"), usage=usage) for _ in range(2)])
    site.create_session(Session(id="s"))
    site.add_messages(
        [
            Message(session_id="s", role="tool", name="imported", content=content, created_at=NEXT)
            for content in ("Error: no", "yes")
        ]
    )
    site.add_message(Message(session_id="s", role="tool", name="other", content="Error: no", created_at=NEXT))
    response = viewer.get(url("session", "overview"), {"since": "2026-03-15", "until": "2026-03-15"})
    context, page = response.context, unescape(response.text)
    tools = {row.name: row for row in context["tools"]}
    refund, imported = tools["refund"], tools["imported"]
    assert (refund.calls, refund.failures, refund.rate, refund.longest) == (4, 1, 25.0, timedelta(seconds=10))
    assert (imported.calls, imported.results, imported.failed_results, imported.rate) == (0, 2, 1, 50.0)
    if connections[site.alias].vendor == "postgresql":
        assert refund.half == timedelta(seconds=2.5)
    assert refund.mean == timedelta(seconds=4)
    [model] = context["models"]
    assert (model.name, model.calls, model.tokens, model.cost) == ("large", 2, 14, Decimal("0.5"))
    assert [row.error for row in viewer.get(refund.addresses["failures"]).context["cl"].result_list] == ["broken"]
    slowest, *others = viewer.get(refund.addresses["longest"]).context["cl"].result_list
    assert slowest.status == "error"
    assert len(others) == 3
    for figure, numbers in (("results", [2, 1]), ("failed_results", [1])):
        assert imported.addresses[figure] in page
        assert [row.seq_num for row in viewer.get(imported.addresses[figure]).context["cl"].result_list] == numbers
    assert imported.addresses["calls"] not in page  # as there are none


def test_many_agents_share_the_last_colour(site, viewer) -> None:
    for number in range(20):
        site.create_session(Session(agent_id=f"agent-{number:02}", created_at=NEXT))
    context = viewer.get(url("session", "overview"), {"since": "2026-03-15", "until": "2026-03-15"}).context
    [panel] = [panel for panel in context["panels"] if panel.name == "sessions"]
    assert len(panel.agents) == 8
    assert panel.agents[-1] == "all others"
    [row] = panel.rows
    assert (row.label, [value for value, _ in row.cells], row.total[0]) == ("2026-03-15 00:00", [1] * 7 + [13], 20)


def test_a_period_that_cannot_be_is_refused_in_words(site, viewer) -> None:
    for since, until in (("2026-01-01", "2026-12-31"), ("2026-01-02", "2026-01-01"), ("x", ""), ("2026-01-01", "")):
        page = viewer.get(url("session", "overview"), {"since": since, "until": until})
        assert page.status_code == 200
        assert page.context["form"].errors


def test_soft_deleted_sessions_count_too(site, viewer) -> None:
    site.create_session(Session(id="s", created_at=NEXT))
    site.delete_session("s")
    context = viewer.get(url("session", "overview"), {"since": "2026-03-15", "until": "2026-03-15"}).context
    assert context["panels"][0].total == SessionRow.objects.count() == 1
