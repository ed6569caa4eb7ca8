"""Beside views that a project would write by hand: benchmarks compare their speed, these tests their queries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from chronos_storage.facade import Storage
from chronos_storage.records import Event, Message, Session
from tests.api.conftest import Api

#: What is asked for below a session that has 60 events and messages.
ASKED: list[tuple[str, str, Any]] = [
    ("GET", "events/e7", None),
    ("GET", "events", None),
    ("POST", "events", {"type": "x", "payload": {"n": 1}}),
    ("GET", "messages/m7", None),
    ("GET", "messages", None),
    ("POST", "messages", {"role": "user", "content": "Hello"}),
]


@pytest.mark.parametrize("count", [20, 50, 60])
def test_no_request_takes_a_query_more(ada: Api, site: Storage, settings: Any, subtests: Any, count: int) -> None:
    settings.ROOT_URLCONF = "benchmarks.by_hand"
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.append_events([Event(id=f"e{number}", session_id="s", type="x") for number in range(count)])
    site.add_messages([Message(id=f"m{number}", session_id="s", role="user") for number in range(count)])
    for method, address, body in ASKED:
        with subtests.test(f"{method} {address}"):
            ours, by_hand = (
                _queries(ada, site, method, f"/{start}/sessions/s/{address}", body) for start in ("api", "by-hand")
            )
            assert len(ours) <= len(by_hand), "\n".join(ours)


def _queries(ada: Api, site: Storage, method: str, path: str, body: Any) -> list[str]:
    with CaptureQueriesContext(connections[site.alias]) as captured:
        answer = ada.client.generic(method, path, json.dumps(body) if body else "", content_type="application/json")
    assert answer.status_code in (200, 201), answer.content
    return [each["sql"] for each in captured.captured_queries]
