"""Lists: their pages, and what a page costs however many rows there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from chronos_storage import queue, vector_store
from chronos_storage.facade import Storage
from chronos_storage.records import (
    Artifact,
    AuditLog,
    Checkpoint,
    Container,
    Embedding,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from tests.api.conftest import Api, body_of
from tests.api.routes import ROUTES, TOPIC
from tests.conftest import STRICTEST, each_database

START = datetime(2026, 1, 1, tzinfo=UTC)


def pages(asker: Api, path: str, link: str = "next") -> Iterator[list[str]]:
    """The ids of each page, from this one on."""
    while True:
        page = asker.get(path)
        yield [each["id"] for each in page["results"]]
        if page[link] is None:
            return
        path = page[link].partition("/api/")[2]


@pytest.mark.parametrize(
    ("path", "count"), [("sessions", 7), ("sessions?order=-last_activity_at", 6), ("memory", 7), ("audit-logs", 7)]
)
def test_pages_go_through_a_list_and_back(path: str, count: int, ada: Api, site: Storage) -> None:
    for number in range(count):
        timestamp = START + timedelta(hours=number // 3)  # several share a time
        site.create_session(Session(id=f"s{number}", user_id=ada.user_id, created_at=timestamp))
        site.put_memory(MemoryRecord(id=f"y{number}", user_id=ada.user_id, key=f"{number}"))
        site.append_audit_log(AuditLog(id=f"a{number}", user_id=ada.user_id, created_at=timestamp))
    [all_at_once] = pages(ada, path)
    assert len(all_at_once) == count
    sized = f"{path}{'&' if '?' in path else '?'}page_size=3"
    there = list(pages(ada, sized))
    assert [id for page in there for id in page] == all_at_once
    assert [len(page) for page in there] == ([3, 3, 1] if count == 7 else [3, 3])

    page = ada.get(sized)
    assert page["previous"] is None
    while page["next"]:
        page = ada.get(page["next"].partition("/api/")[2])
    back = list(pages(ada, page["previous"].partition("/api/")[2], "previous"))
    assert [id for part in reversed(back) for id in part] == all_at_once[: len(all_at_once) - len(page["results"])]


def test_a_page_stays_where_it_is_while_others_write(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.append_events([Event(id=f"e{number}", session_id="s") for number in range(4)])
    page = ada.get("sessions/s/events?order=desc&page_size=2")
    site.append_events([Event(id=f"n{number}", session_id="s") for number in range(4)])
    after = ada.get(page["next"].partition("/api/")[2])
    assert [each["id"] for each in after["results"]] == ["e1", "e0"]


def test_what_is_no_cursor_or_page_size_is_refused(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    for wrong in ("x", "", "é", "W10", "WzBd", "bnVsbA", "WzAsMSwyXQ", "WzAsIjIwMjYtMDEtMDEiLCJhIl0"):
        assert ada.get(f"sessions?cursor={wrong}", 400)["errors"][0]["field"] == "cursor"
    for wrong in ("0", "501", "-1", "x", "", "1.5", "9" * 30, "000000500999", "01"):
        assert ada.get(f"sessions?page_size={wrong}", 400)["errors"][0]["field"] == "page_size"


def fill(site: Storage, user_id: str, start: int, count: int) -> None:
    """So many more of everything that a list or a detail shows; what is part of another is of that with the id 0."""
    numbers = range(start, start + count)
    for n in numbers:
        site.create_session(Session(id=f"{n}", user_id=user_id))
        vector_store.create_collection(f"{n}", 2)
    site.add_messages([Message(id=f"{n}", session_id="0", role="user") for n in numbers])
    site.append_events([Event(id=f"{n}", session_id="0") for n in numbers])
    for n in numbers:
        site.save_checkpoint(Checkpoint(id=f"{n}", session_id="0"))
        site.insert_trace(Trace(id=f"{n}", session_id="0", parent_id=f"{n - 1}"))
        site.put_memory(MemoryRecord(id=f"{n}", user_id=user_id, key=f"k{n}", session_id="0"))
        site.append_audit_log(AuditLog(id=f"{n}", session_id="0", user_id=user_id))
        site.put_artifact(Artifact(id=f"{n}", session_id="0", name="report"), b"the same")
        site.save_container(Container(id=f"{n}"))
        site.save_image(Image(id=f"{n}"))
        queue.publish("session:0", n)
        queue.publish(TOPIC, n)
    site.acquire("0", "worker")
    vector_store.upsert("0", [Embedding(id=f"{n}", vector=[1, n]) for n in numbers])


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_no_read_takes_more_queries_for_more_rows(ada: Api, staff: Api, site: Storage) -> None:
    # a stream is ASGI's alone
    reads = {
        route.name: route.path(id="0") for route in ROUTES if route.method == "GET" and "streams" not in route.limits
    }
    counts: list[dict[Any, int]] = []
    for start, count in ((0, 2), (2, 8)):
        fill(site, ada.user_id, start, count)
        counts.append({})
        for asker in (ada, staff):
            for name, path in reads.items():
                with CaptureQueriesContext(connections[site.alias]) as queries:
                    response = asker.ask("GET", path)
                    body_of(response)
                assert response.status_code in (200, 403), (name, response.content)
                counts[-1][name, asker is staff] = len(queries)
    assert counts[0] == counts[1]
    # an export is of seven tables, each of them a list
    assert max(count for (name, _), count in counts[0].items() if not name.endswith("/export")) <= 12
    assert max(counts[0].values()) <= 18


TIME = "timestamptz '2026-01-01' + n * interval '1 second'"
#: How the rows of each list are made: the SQL of each column, of the row n of a session or an agent.
ROWS = {
    "session": {
        **dict.fromkeys(["author", "title", "container_id", "image_id"], "''"),
        **dict.fromkeys(["created_at", "updated_at", "last_activity_at"], TIME),
        "id": "name || n",
        "agent_id": "name",
        "user_id": "USER",
        "status": "'active'",
        "metadata": "'{}'",
    },
    "event": {
        **dict.fromkeys(["hash", "type", "schema"], "''"),
        "schema_version": "0",
        "event_id": "'e' || n",
        "session_id": "name",
        "seq_num": "n",
        "payload": "'{}'",
        "created_at": TIME,
    },
    "message": {
        **dict.fromkeys(["role", "kind", "model", "name", "tool_call_id", "parent_id", "format"], "''"),
        **dict.fromkeys(["content", "tool_calls", "raw"], "'null'"),
        "message_id": "'m' || n",
        "session_id": "owner.name",
        "seq_num": "n",
        "metadata": "'{}'",
        "created_at": TIME,
    },
    "auditlog": {
        **dict.fromkeys(["agent_id", "actor", "action", "resource", "hash"], "''"),
        **dict.fromkeys(["chain", "session_id"], "name"),
        "id": "name || n",
        "user_id": "USER",
        "detail": "'{}'",
        "seq_num": "n",
        "created_at": TIME,
    },
    "trace": {
        **dict.fromkeys(["parent_id", "name", "kind", "error", "status", "model"], "''"),
        "trace_id": "owner.name",
        **dict.fromkeys(["input", "output"], "'null'"),
        **dict.fromkeys(["events", "links"], "'[]'"),
        "id": "owner.name || n",
        "session_id": "owner.name",
        **dict.fromkeys(["attributes", "resource"], "'{}'"),
        "started_at": TIME,
    },
    "artifact": {
        **dict.fromkeys(["name", "session_id"], "owner.name"),
        **dict.fromkeys(["user_id", "mime_type", "sha256"], "''"),
        **dict.fromkeys(["id", "scope"], "owner.name || n"),
        **dict.fromkeys(["version", "size"], "n"),
        "metadata": "'{}'",
        "created_at": TIME,
    },
}

#: Lists of 100 and of 20,000 rows, by the session or the agent that they belong to.
LARGE = {
    "sessions": "agent_id={}&page_size=100",
    "sessions/{}/events": "page_size=100",
    "sessions/{}/messages": "order=desc&page_size=100",
    "audit-logs": "session_id={}&page_size=100",
    "sessions/{}/traces": "page_size=100",
    "traces": "trace_id={}&page_size=100",
    "artifacts": "session_id={}&page_size=100",
}


@pytest.mark.one_node
@pytest.mark.parametrize("alias", each_database(without=["default", "mariadb", "postgres15"]), indirect=True)
def test_a_first_page_costs_the_same_of_100_rows_and_of_20_000(
    alias: str, ada: Api, bob: Api, staff: Api, site: Storage, subtests: Any
) -> None:
    # Others' rows too: where nearly all are of one session, any index is as good as that of sessions.
    for name in ("few", "many", "others"):
        site.create_session(Session(id=name, user_id=ada.user_id))
    site.create_session(Session(id="his", user_id=bob.user_id))
    with connections[alias].cursor() as cursor:
        for table, columns in ROWS.items():
            values = ", ".join(columns.values()).replace("USER", f"'{ada.user_id}'")
            cursor.execute(
                f"INSERT INTO chronos_storage_{table} ({', '.join(columns)}) SELECT {values} "
                "FROM (VALUES ('few', 100), ('many', 20000), ('others', 20000), ('his', 100)) AS owner(name, count), "
                "generate_series(1, count) AS n"
            )
            cursor.execute(f"ANALYZE chronos_storage_{table}")
    for asker in (ada, staff):
        for path, query in LARGE.items():
            with subtests.test(f"{path} {'staff' if asker is staff else 'owner'}"):
                few, many = (read_rows(alias, asker, f"{path}?{query}".format(name)) for name in ("few", "many"))
                # a row more to see whether there is a next page, and what stands beside it
                assert many <= few + 10, (few, many)
    # what is a user's by a session or by itself is found as such, and not among everybody's
    assert read_rows(alias, bob, "artifacts?page_size=100") < 1000


def read_rows(alias: str, asker: Api, path: str) -> int:
    """How many rows the statements of a request read, by what the database counts as it executes them again."""
    connection = connections[alias]
    with CaptureQueriesContext(connection) as queries:
        assert len(asker.get(path)["results"]) == 100
    total = 0
    with connection.cursor() as cursor:
        for query in queries:
            if "chronos_storage_" in query["sql"] and query["sql"].startswith("SELECT"):
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                [[found]] = cursor.fetchall()
                plans = found if isinstance(found, list) else json.loads(found)
                total += sum(rows_of(plan["Plan"]) for plan in plans)
    return total


def rows_of(plan: Any) -> int:
    """The rows that the scans of a plan went through."""
    inner = sum(rows_of(each) for each in plan.get("Plans", ()))
    if "Relation Name" not in plan:
        return inner
    read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return inner + int(read * plan["Actual Loops"])


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_a_search_by_pages_groups_and_words_alone(staff: Api) -> None:
    vector_store.create_collection("c", 2)
    given = [Embedding(id=f"{n}", vector=[1, n], content=f"word{n % 2}", metadata={"d": n % 3}) for n in range(6)]
    vector_store.upsert("c", given)

    def found(**asked: Any) -> list[str]:
        return [each["id"] for each in staff.post("collections/c/search", asked, 200)["results"]]

    assert found(vector=[1, 0], top_k=2, offset=1) == ["1", "2"]
    assert found(vector=[1, 0], group_by="d", filter={"d": {"$gt": 0}}) == ["1", "2"]
    assert found(text="word1", top_k=2) == ["1", "3"]
    [hit] = staff.post("collections/c/search", {"vector": [1, 0], "top_k": 1}, 200)["results"]
    [whole] = staff.post("collections/c/search", {"vector": [1, 0], "top_k": 1, "include_vectors": True}, 200)[
        "results"
    ]
    assert (hit["vector"], whole["vector"]) == ([], [1, 0])
    assert staff.post("collections/c/search", {}, 400)["errors"][0]["field"] == "query"
