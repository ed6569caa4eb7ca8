"""Filters of lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from chronos_storage.api.ids import address
from chronos_storage.facade import Storage
from chronos_storage.records import AuditLog, Event, Message, Session, Trace
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, each_database

START = datetime(2026, 1, 1, tzinfo=UTC)
#: What differs between databases is JSON and text.
EACH = pytest.mark.parametrize("alias", each_database(without=["postgres15"]), indirect=True)
ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


def found(asker: Api, path: str) -> list[str]:
    return sorted(each["id"] for each in asker.get(path)["results"])


@EACH
def test_sessions_by_metadata_and_title(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    values: dict[str, Any] = {
        "one": 1,
        "float": 1.0,
        "true": True,
        "text": "1",
        "word": "true",
        "null": None,
        "deep": {"in": {"0": "é"}},
        "list": [1, {"in": "é"}],
        "nil": "null",
        "half": 0.5,
        "large": 2**53 + 1,
        "odd": 'a"b\\c%_',
    }
    odd = "a\"b'\\$[0] %"
    for id, value in values.items():
        metadata = {"key": value, odd: id, "10": id}
        site.create_session(Session(id=id, user_id=ada.user_id, agent_id="a", title=f"{id} 100%_É", metadata=metadata))
    site.create_session(Session(id="bare", user_id=ada.user_id, agent_id="b"))
    site.create_session(Session(id="his", user_id=bob.user_id, metadata={"key": 1}))
    for name, text, wanted in (
        ("key", "1", ["float", "one"]),
        ("key", "1.0", ["float", "one"]),
        ("key", '"1"', ["text"]),
        ("key", "true", ["true"]),
        ("key", '"true"', ["word"]),
        ("key", "null", ["null"]),
        ("key", '"null"', ["nil"]),
        ("key", "0.5", ["half"]),
        ("key", str(2**53 + 1), ["large"]),
        ("key", str(2**53), []),
        ("key", 'a"b\\c%_', ["odd"]),
        ("key", "TRUE", []),
        ("key.in.0", "é", ["deep"]),
        ("key.in", "é", []),
        ("key.0", "1", []),
        ("nothing", "null", []),
        ("10", "one", ["one"]),
        (odd, "word", ["word"]),
    ):
        with case(name, text):
            query = f"metadata.{quote(name)}={quote(text)}"
            assert found(ada, f"sessions?{query}") == wanted
            assert found(staff, f"sessions?{query}&agent_id=a") == wanted
    assert found(ada, "sessions?metadata.key=1&metadata.10=one") == ["one"]
    assert found(ada, f"sessions?title={quote('e 100%_É')}") == ["large", "one", "true"]
    assert found(ada, "sessions?title=ONE") == found(bob, "sessions?title=one") == []


@ONCE
def test_what_no_index_serves_is_refused(ada: Api, staff: Api, site: Storage) -> None:
    for query in ("metadata.key=1", "title=t", "metadata.key=1&status=active"):
        problem = staff.get(f"sessions?{query}", 400)["errors"][0]
        assert problem["field"] == query.partition("=")[0]
    for wrong in ("[1]", "%7B%7D", str(2**63), "%00", "1e999", '"%5Cu0000"', '"%5Cud800"'):
        with case(wrong):
            assert ada.get(f"sessions?metadata.key={wrong}", 400)["errors"][0]["field"] == "metadata.key"
    ada.get(f"sessions?metadata{'.x' * 101}=1", 400)
    for unknown in ("metadata=1", "metadatakey=1", "text=t"):
        ada.get(f"sessions?{unknown}", 400)
    site.create_session(Session(id="s", user_id=ada.user_id))
    ada.get("sessions/s/events?metadata.key=1", 400)


@EACH
def test_messages_by_role_kind_time_and_text(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    contents: list[Any] = ['Where is "it"?', [{"text": "Ärger\n100%"}], {"a": "where"}, None]
    for number, content in enumerate(contents):
        site.add_message(
            Message(
                id=f"m{number}",
                session_id="s",
                role="user" if number % 2 else "tool",
                kind="tool-call" if number == 2 else "",
                content=content,
                created_at=START + timedelta(hours=number),
            )
        )
    for query, wanted in (
        ("role=user", ["m1", "m3"]),
        ("kind=tool-call", ["m2"]),
        ("since=2026-01-01T01:00:00Z&until=2026-01-01T02:00:00Z", ["m1", "m2"]),
        ("text=is%20%22it%22", ["m0"]),
        (f"text={quote('Ärger' + chr(10) + '100%')}", ["m1"]),
        ("text=here", ["m0", "m2"]),
        ("text=Where", ["m0"]),
        ("text=%25_", []),
        ("text=here&role=tool&until=2026-01-01T00:00:00Z", ["m0"]),
    ):
        with case(query):
            assert found(ada, f"sessions/s/messages?{query}") == wanted
    assert ada.get("sessions/s/messages?since=now", 400)["errors"][0]["field"] == "since"


@ONCE
def test_events_by_type_and_time_and_spans_by_kind_and_failure(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    for number, kind in enumerate(("t", "a,b", "t", "u")):
        timestamp = START + timedelta(hours=number)
        site.append_event(Event(id=f"e{number}", session_id="s", type=kind, created_at=timestamp))
        error = "no" if number % 2 else ""
        site.insert_trace(Trace(id=f"t{number}", session_id="s", kind=kind, error=error))
    for path, wanted in (
        ("events?types=t", ["e0", "e2"]),
        (f"events?types=u,{address('a,b')}", ["e1", "e3"]),
        ("events?types=t&since=2026-01-01T01:00:00Z", ["e2"]),
        ("events?types=none", []),
        ("traces?kind=t", ["t0", "t2"]),
        ("traces?failed=true", ["t1", "t3"]),
        ("traces?failed=false&kind=t", ["t0", "t2"]),
    ):
        with case(path):
            assert found(ada, f"sessions/s/{path}") == wanted
    for wrong in ("a,", "a b", "50%", "%s,%(x)s", ",".join("a" * 101)):
        assert ada.get(f"sessions/s/events?types={quote(wrong)}", 400)["errors"][0]["field"] == "types"


@ONCE
def test_lists_are_counted(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    for number in range(5):
        site.create_session(Session(id=f"s{number}", user_id=ada.user_id, agent_id="ab"[number % 2]))
    page = ada.get("sessions?count=true&page_size=2")
    assert (page["count"], len(page["results"])) == (5, 2)
    assert ada.get(page["next"].partition("/api/")[2])["count"] == 5
    assert ada.get("sessions?count=true&agent_id=b")["count"] == 2
    assert bob.get("sessions?count=true")["count"] == 0
    assert ada.get("sessions")["count"] is ada.get("sessions?count=false")["count"] is None
    assert ada.get("sessions?count=1", 400)["errors"][0]["field"] == "count"
    for number in range(3):
        site.append_audit_log(AuditLog(session_id="s1", agent_id="a", user_id=ada.user_id))
        site.add_message(Message(id=f"m{number}", session_id="s1", role="user"))
    site.delete_message("m1")
    for path in ("audit-logs?session_id=s1&", "audit-logs?agent_id=a&session_id=s1&", "sessions/s1/messages?"):
        for who in (ada, staff):
            page = who.get(f"{path}count=true")
            assert page["count"] == len(page["results"]) > 1, path


@ONCE
def test_only_the_fields_that_are_asked_for(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id, title="t"))
    assert ada.get("sessions?fields=id,title")["results"] == [{"id": "s", "title": "t"}]
    assert ada.get("sessions/s?fields=title") == {"title": "t"}
    for path in ("sessions", "sessions/s"):
        for wrong in ("", "id,", "id,colour", "user"):
            assert ada.get(f"{path}?fields={wrong}", 400)["errors"][0]["field"] == "fields"
    ada.get("sessions/s/usage?fields=total_tokens", 400)


@ONCE
def test_several_are_read_by_their_ids(ada: Api, bob: Api, site: Storage) -> None:
    for id in ("a", "b", "c,d", "é"):
        site.create_session(Session(id=id, user_id=ada.user_id))
        site.add_message(Message(id=id, session_id="a", role="user"))
    site.create_session(Session(id="his", user_id=bob.user_id))
    wanted = f"?ids=a,{address('c,d')},{address('é')},his,none"
    assert found(ada, f"sessions{wanted}") == found(ada, f"sessions/a/messages{wanted}") == ["a", "c,d", "é"]
    for wrong in ("", "a,,b", ",".join("a" * 101), "~", "a%20b"):
        assert ada.get(f"sessions?ids={wrong}", 400)["errors"][0]["field"] == "ids"
    assert found(ada, f"sessions?ids={','.join('a' * 100)}") == ["a"]


def test_what_is_read_by_ids_comes_in_order_page_by_page(ada: Api, site: Storage) -> None:
    for id in ("b", "c", "a", "not wanted"):
        site.create_session(Session(id=id, user_id=ada.user_id))
        site.add_message(Message(id=id, session_id="b", role="user"))
    for path, order in (("sessions", "acb"), ("sessions/b/messages", "bca"), ("sessions/b/messages?order=desc", "acb")):
        page = ada.get(f"{path}{'&' if '?' in path else '?'}ids=a,b,c&page_size=1&count=true")
        seen, last = [page], page
        while last["next"]:
            last = ada.get(last["next"].partition("/api/")[2])
            seen.append(last)
        assert ["".join(each["id"] for each in page["results"]) for page in seen] == list(order)
        assert page["count"] == 3
        assert ada.get(last["previous"].partition("/api/")[2])["results"] == seen[1]["results"]
