"""The overview's figures."""

from __future__ import annotations

from datetime import UTC, date, datetime

from chronos_storage.models import Session as SessionRow
from chronos_storage.records import Event, Message, Session, TokenUsage, Trace
from tests.admin.pages import url

DAY = datetime(2026, 3, 14, 23, 59, 59, 999999, tzinfo=UTC)
NEXT = datetime(2026, 3, 15, tzinfo=UTC)


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
    context = viewer.get(url("session", "overview"), {"since": "2026-03-14", "until": "2026-03-15"}).context
    panels = {panel.name: panel for panel in context["panels"]}
    assert list(panels) == ["sessions", "events", "errors", "tokens"]
    first, second = date(2026, 3, 14), date(2026, 3, 15)
    agents = panels["sessions"].agents
    assert set(agents) == {"one", "two", "no agent"}

    def figures(name: str) -> dict[date, dict[str, int]]:
        return {day: {a: v for a, v in zip(agents, values, strict=True) if v} for day, values, _ in panels[name].rows}

    assert figures("sessions") == {first: {"one": 1}, second: {"one": 1, "two": 1}}
    assert figures("events") == {first: {"one": 2}, second: {"one": 2, "two": 2}}
    assert figures("tokens") == {first: {"one": 7}, second: {"one": 7, "two": 7}}
    assert figures("errors") == {first: {"one": 2}, second: {"one": 1, "two": 1, "no agent": 1}}
    assert panels["errors"].total == 5


def test_many_agents_share_the_last_colour(site, viewer) -> None:
    for number in range(20):
        site.create_session(Session(agent_id=f"agent-{number:02}", created_at=NEXT))
    context = viewer.get(url("session", "overview"), {"since": "2026-03-15", "until": "2026-03-15"}).context
    [panel] = [panel for panel in context["panels"] if panel.name == "sessions"]
    assert len(panel.agents) == 8
    assert panel.agents[-1] == "all others"
    assert panel.rows == [(NEXT.date(), [1] * 7 + [13], 20)]


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
