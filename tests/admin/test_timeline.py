"""The timeline: everything once, in its true order, page by page."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chronos_storage import Storage
from chronos_storage.admin import timeline as module
from chronos_storage.admin.timeline import STREAMS, Page, Timeline, as_text, from_text
from chronos_storage.models import Checkpoint as CheckpointRow
from chronos_storage.models import Event as EventRow
from chronos_storage.records import Artifact, AuditLog, Checkpoint, Event, Message, Session, Trace

START = datetime(2026, 3, 14, 3, 0, tzinfo=UTC)


PAGE = 20


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", PAGE)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def fill(storage: Storage, count: int, dice: random.Random) -> None:
    """A session whose clocks went back now and then, so that numbers and times don't agree."""
    storage.create_session(Session(id="s"))
    storage.create_session(Session(id="other"))
    mine: dict[str, Any] = {"session_id": "s"}

    def times() -> list[datetime]:
        return [at(number + dice.choice((0, 0, 0, -3, 2))) for number in range(count)]

    storage.add_messages([Message(**mine, role="user", content="x", created_at=each) for each in times()])
    storage.append_events([Event(**mine, created_at=each) for each in times()])
    for each in times():
        storage.insert_trace(Trace(**mine, name="n", started_at=each))
        storage.append_audit_log(AuditLog(**mine, created_at=each))
        storage.save_checkpoint(Checkpoint(**mine, namespace=dice.choice(("", "inner")), created_at=each))
        storage.put_artifact(Artifact(**mine, name="file", created_at=each), b"")
    storage.add_message(Message(session_id="other", role="user", content="x"))


def forward(timeline: Timeline) -> list[Page]:
    pages = [timeline.page({})]
    while (following := pages[-1].following) is not None:
        pages.append(timeline.page(from_text(as_text(following))))
    return pages


def test_every_item_stands_once_in_its_own_order(site, alias) -> None:
    fill(site, 14, random.Random(1))
    timeline = Timeline(alias, "s", STREAMS)
    pages = forward(timeline)
    assert [len(page.items) for page in pages] == [PAGE, PAGE, PAGE, PAGE, 4]
    items = [item for page in pages for item in page.items]
    assert len({(item.kind, item.pk) for item in items}) == len(items) == 6 * 14
    for kind in ("message", "event", "audit"):
        assert [item.place for item in items if item.kind == kind] == [(number,) for number in range(1, 15)]
    for namespace in ("", "inner"):
        numbers = [item.place[2] for item in items if item.kind == "checkpoint" and item.place[1] == namespace]
        assert numbers == list(range(1, len(numbers) + 1))
    spans = [item.place for item in items if item.kind == "span"]
    assert spans == sorted(spans)


def test_where_clocks_agree_it_is_the_order_of_time(site, alias) -> None:
    site.create_session(Session(id="s"))
    for number in range(16):
        site.append_event(Event(session_id="s", created_at=at(2 * number)))
        site.add_message(Message(session_id="s", role="user", content="x", created_at=at(3 * number)))
        site.insert_trace(Trace(session_id="s", started_at=at(5 * number)))
    items = [item for page in forward(Timeline(alias, "s", STREAMS)) for item in page.items]
    assert [item.timestamp for item in items] == sorted(item.timestamp for item in items)
    same = [item.kind for item in items if item.timestamp == at(30)]
    assert same == ["message", "event", "span"]


def test_pages_lead_back(site, alias) -> None:
    fill(site, 13, random.Random(2))
    timeline = Timeline(alias, "s", STREAMS)
    everything = [(item.kind, item.pk) for page in forward(timeline) for item in page.items]
    page = timeline.page_before(None)
    seen = [(item.kind, item.pk) for item in page.items]
    while page.start:
        following = page
        page = timeline.page_before(from_text(as_text(page.start)))
        assert page.following == following.start
        seen = [(item.kind, item.pk) for item in page.items] + seen
    assert len(seen) == len(everything)
    assert set(seen) == set(everything)


def test_failures_are_gone_through_one_after_the_other(site, alias) -> None:
    """Also where they came at the same moment, and back again."""
    site.create_session(Session(id="s"))
    for number in range(40):
        bad = number % 7 == 3
        result = {"error": "no"} if bad else {"fine": "yes"}
        site.add_message(Message(session_id="s", role="tool", content=result, created_at=at(number)))
        site.append_event(Event(session_id="s", type="tool_failed" if bad else "tool", created_at=at(number)))
        site.insert_trace(Trace(session_id="s", error="no" if bad else "", started_at=at(number)))
        site.append_audit_log(AuditLog(session_id="s", created_at=at(number)))
    everything, failures = Timeline(alias, "s", STREAMS), Timeline(alias, "s", STREAMS, errors=True)
    wanted = [(kind, at(number)) for number in range(3, 40, 7) for kind in ("message", "event", "span")]
    shown = [item for page in forward(failures) for item in page.items]
    assert [(item.kind, item.timestamp) for item in shown] == wanted
    gone, place = [], {}
    while (found := failures.next(place)) is not None:
        gone.append((found.kind, found.timestamp))
        page = everything.around(found.kind, found.pk)
        place = page.place(page.items.index(found) + 1)
    assert gone == wanted
    back, place = [], page.place(page.items.index(failures.previous(place)))
    while (found := failures.previous(place)) is not None:
        back.append((found.kind, found.timestamp))
        page = everything.around(found.kind, found.pk)
        place = page.place(page.items.index(found))
    assert back == wanted[-2::-1]


def test_a_page_around_an_item_begins_near_it_and_has_it(site, alias) -> None:
    fill(site, 10, random.Random(3))
    timeline = Timeline(alias, "s", STREAMS)
    items = [item for page in forward(timeline) for item in page.items]
    for kind in STREAMS:
        chosen = [item for item in items if item.kind == kind][6]
        page = timeline.around(kind, str(chosen.pk))
        assert page is not None
        assert (kind, chosen.pk) in [(item.kind, item.pk) for item in page.items]
        assert page.items[0].timestamp > chosen.timestamp - timedelta(seconds=10)


def test_nobody_elses_item_is_found(site, alias) -> None:
    fill(site, 3, random.Random(4))
    site.append_event(Event(session_id="other"))
    timeline = Timeline(alias, "s", STREAMS)
    assert timeline.around("event", str(EventRow.objects.get(session_id="other").pk)) is None
    for pk in ("x", "-1", "9" * 30, ""):
        assert timeline.around("event", pk) is None
        assert timeline.around("checkpoint", pk) is None
    assert CheckpointRow.objects.filter(session_id="s").count() == 3


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "[]", "1", "[" * 9999, '{"nothing": [1]}'),
        *('{"event": 1}', '{"event": ["x"]}', '{"event": [1, 2]}'),
        *('{"span": ["2026", "x"]}', '{"span": [1, "x"]}', '{"span": ["2026-01-01T00:00:00+00:00", "\u0000"]}'),
    ],
)
def test_a_broken_place_is_the_beginning(text: str) -> None:
    assert from_text(text) == {}
