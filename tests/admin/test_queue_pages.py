"""The pages of the queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chronos_storage.models import QueueEntry
from chronos_storage.queues.orm import OrmQueue
from tests.admin.pages import listed, url


@pytest.fixture
def queue(site) -> OrmQueue:
    made = OrmQueue(using=site.alias)
    for topic in ("refunds", "session:s", "session:<b>", "sessions", "session;"):
        cursors = [made.publish(topic, {"n": number}) for number in range(5)]
        if topic == "refunds":
            made.ack("mailer", topic, cursors[4])
            made.ack("biller", topic, cursors[1])
        if topic == "sessions":
            made.ack("mailer", topic, cursors[4])
    return made


def names(client: Any, **parameters: str) -> list[str]:
    return [row.pk for row in listed(client, "topic", **parameters)]


def test_topics_of_sessions_are_left_out_until_they_are_asked_for(queue, viewer) -> None:
    assert names(viewer) == ["refunds", "session;", "sessions"]
    assert names(viewer, topics="sessions") == ["session:<b>", "session:s"]
    assert names(viewer, topics="all") == ["refunds", "session:<b>", "session:s", "session;", "sessions"]
    assert names(viewer, name="session:s") == ["session:s"]
    assert names(viewer, q="session:s") == ["session:s"]
    assert "but those of sessions" in viewer.get(url("topic")).content.decode()


def test_topics_lead_to_their_entries_and_sessions(queue, viewer, staff) -> None:
    page = viewer.get(url("topic"), {"topics": "all"}).content.decode()
    assert f'{url("queueentry")}?topic=session%3A%3Cb%3E"' in page
    assert [row.topic for row in listed(viewer, "queueentry", topic="session:<b>")] == ["session:<b>"] * 5
    page = viewer.get(url("topic", "change", "session:<b>")).content.decode()
    assert f'{url("queueentry")}?topic=session%3A%3Cb%3E"' in page
    assert f'<a href="{url("session", "change", "<b>")}">&lt;b&gt;</a>' in page
    alone = staff("view_topic").get(url("topic", "change", "session:<b>")).content.decode()
    assert "Its entries" not in alone
    assert url("session", "change", "<b>") not in alone


def test_a_missing_acknowledgement_is_seen(queue, viewer) -> None:
    third = QueueEntry.objects.filter(topic="refunds", seq_num=3)
    for page in (url("topic"), url("topic", "change", "refunds"), url("consumer")):
        content = viewer.get(page).content.decode()
        assert "3 entries not acknowledged, for " in content, page
        assert "all acknowledged" in content
        assert "chronos-warning" not in content
    third.update(created_at=third.get().created_at - timedelta(hours=2))
    for page in (url("topic"), url("topic", "change", "refunds"), url("consumer")):
        content = viewer.get(page).content.decode()
        assert '<strong class="chronos-warning">3 entries not acknowledged, for 2 h 0 min</strong>' in content, page
    rows = {row.pk: row for row in listed(viewer, "topic")}
    assert (rows["refunds"].furthest, rows["sessions"].furthest, rows["session;"].furthest) == (2, 5, None)
    assert "no consumer" in viewer.get(url("topic")).content.decode()
