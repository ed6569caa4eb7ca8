"""The audit log's page: looked up by indexes, exported as it is filtered, and a witness of who looked."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.test import AsyncClient, Client

from chronos_storage.ledger import pages
from chronos_storage.models import AuditLog as AuditLogRow
from chronos_storage.models import Message as MessageRow
from chronos_storage.queues import following
from chronos_storage.records import AuditLog
from tests.admin.night import BAD, USER, a_night
from tests.admin.pages import listed, url
from tests.conversations import on_sqlite_alone

START = datetime(2026, 3, 14, 3, 0, tzinfo=UTC)
ACTIONS = ("tool.call", "tool.result", "tool", "Tool.call", "tool%", "toom", "session.end")


@pytest.fixture
def logs(site) -> None:
    for number, action in enumerate(ACTIONS):
        site.append_audit_log(
            AuditLog(
                id=f"log-{number}",
                agent_id="agent",
                user_id=f"user{number % 2}",
                actor="=1+1" if number == 0 else "actor",
                action=action,
                resource="@SUM(A1)" if number == 1 else "-2" if number == 2 else "+3" if number == 3 else "file",
                detail={"é": number},
                created_at=START + timedelta(hours=number),
            )
        )


def found(client: Client, **parameters: Any) -> list[str]:
    return sorted(row.action for row in listed(client, "auditlog", **parameters))


def exported(client: Client, kind: str, **parameters: Any) -> str:
    response: Any = client.get(url("auditlog", "export", kind), parameters)
    assert response.status_code == 200
    assert f"audit-log.{kind}" in response["Content-Disposition"]
    return b"".join(response.streaming_content).decode()


@pytest.mark.usefixtures("logs")
def test_lookups_are_exact_or_by_beginning(site, viewer) -> None:
    assert found(viewer, action="tool") == ["tool"]
    assert found(viewer, action="tool", prefix="action") == ["tool", "tool%", "tool.call", "tool.result"]
    assert found(viewer, action="tool%", prefix="action") == ["tool%"]
    assert found(viewer, action="tool", prefix="actor") == ["tool"]
    assert found(viewer, action="tool", prefix="action", user_id="user0") == ["tool", "tool%", "tool.call"]
    assert found(viewer, actor="=1+1") == ["tool.call"]
    assert found(viewer, q="agent", action="session.end") == ["session.end"]
    assert found(viewer, action="x" * 256) == []
    assert found(viewer, action="\x00") == []


@pytest.mark.usefixtures("logs")
def test_the_time_is_from_and_to(site, viewer, settings) -> None:
    settings.TIME_ZONE = "UTC"
    assert found(viewer, since="2026-03-14T08:00:00") == ["session.end", "toom"]
    assert found(viewer, since="2026-03-14T04:00:00", until="2026-03-14T05:00:00") == ["tool", "tool.result"]
    page = viewer.get(url("auditlog"), {"since": "yesterday"})
    assert list(page.context["cl"].result_list) == []
    assert "Enter a valid date/time." in page.content.decode()


@pytest.mark.usefixtures("logs")
def test_pages_follow_each_other_by_keys(site, viewer, monkeypatch) -> None:
    from chronos_storage.admin.ledger import AuditLogAdmin

    monkeypatch.setattr(AuditLogAdmin, "list_per_page", 3)
    seen, address = [], url("auditlog")
    while address:
        changes = viewer.get(address).context["cl"]
        seen.append([row.pk for row in changes.result_list])
        back, address = changes.previous_page, changes.next_page and url("auditlog") + changes.next_page
    assert seen == [["log-6", "log-5", "log-4"], ["log-3", "log-2", "log-1"], ["log-0"]]
    assert [row.pk for row in viewer.get(url("auditlog") + back).context["cl"].result_list] == seen[1]
    upwards = viewer.get(url("auditlog"), {"o": "1"}).context["cl"]
    assert [row.pk for row in upwards.result_list] == ["log-0", "log-1", "log-2"]
    following = viewer.get(url("auditlog") + upwards.next_page).context["cl"]
    assert [row.pk for row in following.result_list] == ["log-3", "log-4", "log-5"]
    for broken in ("x", "[]", "[1]", '["2026", "\\u0000"]', '{"a": 1}'):
        assert viewer.get(url("auditlog"), {"after": broken}).status_code == 302


@pytest.mark.usefixtures("logs")
def test_what_is_filtered_is_exported(site, viewer) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(viewer, "csv", action="tool", prefix="action"))))
    assert [row["id"] for row in rows] == ["log-4", "log-2", "log-1", "log-0"]
    assert json.loads(rows[0]["detail"]) == {"é": 4}
    lines = [json.loads(line) for line in exported(viewer, "jsonl", user_id="user1").splitlines()]
    assert [line["id"] for line in lines] == ["log-5", "log-3", "log-1"]
    stored = site.list_audit_logs(user_id="user1")[0]
    assert lines[0]["hash"] == stored.hash
    assert datetime.fromisoformat(lines[0]["created_at"]) == stored.created_at
    assert exported(viewer, "jsonl", since="yesterday") == ""
    assert viewer.get(url("auditlog", "export", "xlsx")).status_code == 404


@pytest.mark.usefixtures("logs")
def test_no_spreadsheet_computes_what_is_exported(site, viewer) -> None:
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(exported(viewer, "csv")))}
    assert rows["log-0"]["actor"] == "'=1+1"
    assert [rows[f"log-{number}"]["resource"] for number in (1, 2, 3, 4)] == ["'@SUM(A1)", "'-2", "'+3", "file"]


@on_sqlite_alone
@pytest.mark.usefixtures("garbage_goes_soon")
def test_an_export_takes_as_much_memory_as_a_part_of_it(site, viewer, monkeypatch) -> None:
    monkeypatch.setattr(pages, "_PAGE", 50)
    peaks = []
    for _ in range(2):
        for _ in range(110):
            site.append_audit_log(AuditLog(agent_id="agent", detail={"text": "x" * 8_000}))
        response = viewer.get(url("auditlog", "export", "jsonl"))
        tracemalloc.start()
        assert sum(len(chunk) for chunk in response.streaming_content) > 800_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@on_sqlite_alone
@pytest.mark.usefixtures("transactional_db", "logs")
def test_an_export_is_streamed_to_an_asynchronous_server_too(viewer, settings) -> None:
    settings.CHRONOS_STORAGE = {"API": {"STALL_TIMEOUT": 0.2}}
    client = AsyncClient()
    client.cookies = viewer.cookies

    async def lines(taken: asyncio.Event) -> list[bytes]:
        response: Any = await client.get(url("auditlog", "export", "jsonl"))
        assert response.is_async
        found = []
        async for chunk in response.streaming_content:
            found += chunk.splitlines()
            await taken.wait()
        return found

    try:
        taken = asyncio.Event()
        with pytest.raises(asyncio.CancelledError):  # whoever takes nothing is cut off
            async_to_sync(lines)(taken)
        taken.set()
        assert len(async_to_sync(lines)(taken)) == len(ACTIONS)
    finally:
        following.READERS.close()


@pytest.mark.usefixtures("logs")
def test_the_verdict_of_a_chain(site, viewer, stranger) -> None:
    a_night(site, 0)
    page = viewer.get(url("auditlog", "verdict"), {"agent_id": "agent"}).context["finding"].verdict
    assert (page.chain, page.intact, page.checked) == ("agent:agent", True, len(ACTIONS))
    page = viewer.get(url("auditlog", "verdict"), {"session_id": BAD}).context["finding"].verdict
    assert (page.chain, page.intact, page.checked) == (f"session:{BAD}", True, 4)
    assert viewer.get(url("auditlog", "verdict")).context["finding"] is None


# Who looked


def looks() -> list[tuple[str, str, str, Any]]:
    rows = AuditLogRow.objects.filter(action__startswith="admin.").order_by("pk")
    return [(row.actor, row.action, row.resource, row.detail) for row in rows]


@on_sqlite_alone
def test_looking_is_written_down_where_that_is_on(site, viewer, superuser, settings) -> None:
    a_night(site, 0)
    message = MessageRow.objects.filter(session_id=BAD).first()
    pages = {
        url("session", "change", BAD): {"page": "change"},
        url("session", "spans", BAD): {"page": "spans"},
        url("session", "tokens", BAD): {"page": "tokens"},
        url("session", "checkpoints", BAD): {"page": "checkpoints"},
        url("session", "verdict", BAD): {"page": "verdict"},
        url("message", "change", message.pk): {"page": "change", "row": f"message:{message.pk}"},
        url("message", "content", message.pk, "content"): {"page": "content", "row": f"message:{message.pk}"},
    }
    for address in pages:
        assert viewer.get(address).status_code == 200
    assert looks() == []
    settings.CHRONOS_STORAGE = {"ADMIN": {"AUDIT_VIEWS": True}}
    for address in pages:
        assert viewer.get(address).status_code == 200
    assert looks() == [("viewer", "admin.view", f"session:{BAD}", detail) for detail in pages.values()]
    [row] = AuditLogRow.objects.filter(action="admin.view")[:1]
    assert (row.session_id, row.agent_id, row.user_id) == ("", "support", USER)
    assert site.verify_audit_logs(agent_id="support").intact
    assert site.verify_audit_logs(BAD).last_seq == 4


def test_who_may_not_look_leaves_no_trace_and_lists_are_no_look(site, viewer, stranger, settings) -> None:
    a_night(site, 0)
    settings.CHRONOS_STORAGE = {"ADMIN": {"AUDIT_VIEWS": True}}
    assert stranger.get(url("session", "change", BAD)).status_code == 403
    assert viewer.get(url("session", "change", "nothing")).status_code == 302
    assert viewer.get(url("session")).status_code == 200
    assert viewer.get(url("image", "change", "trial")).status_code == 200
    assert looks() == []


def test_exports_and_sessions_with_long_ids_are_written_down(site, viewer, settings) -> None:
    from chronos_storage.records import Session

    settings.CHRONOS_STORAGE = {"ADMIN": {"AUDIT_VIEWS": True}}
    site.create_session(Session(id="é" * 255))
    assert viewer.get(url("session", "change", "é" * 255)).status_code == 200
    exported(viewer, "csv", actor="x")
    look, export = looks()
    assert look[3]["resource"] == f"session:{'é' * 255}"
    assert export == ("viewer", "admin.export", "audit_log", {"format": "csv", "query": "actor=x"})


@pytest.mark.parametrize(
    ("setting", "ids"),
    [
        ({}, []),
        ({"AUDIT_VIEWS": True}, []),
        ({"AUDIT_VIEWS": "yes"}, ["chronos_storage.E005"]),
        ({"TOKEN_BUDGET": 200_000}, []),
        ({"TOKEN_BUDGET": 0}, ["chronos_storage.E005"]),
        ({"TOKEN_BUDGET": "200000"}, ["chronos_storage.E005"]),
        ({"AUDIT_VIEW": True}, ["chronos_storage.E003"]),
        ([], ["chronos_storage.E002"]),
    ],
)
def test_the_setting_is_checked(settings, setting: Any, ids: list[str]) -> None:
    settings.CHRONOS_STORAGE = {"ADMIN": setting}
    found = [message.id for message in run_checks(tags=["compatibility"])]
    assert [id for id in found if id.startswith("chronos_storage.E")] == ids
