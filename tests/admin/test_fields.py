"""What records have of late, each where it is looked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from chronos_storage.models import Event as EventRow
from chronos_storage.models import Message as MessageRow
from chronos_storage.records import Checkpoint, Event, MemoryRecord, Message, Session, TokenUsage, Trace
from chronos_storage.templatetags.chronos_storage import grouped
from tests.admin.pages import listed, timeline_items, url
from tests.conftest import ONLY_SQLITE

pytestmark = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


def shown(client: Any, name: str, page: str, pk: Any) -> str:
    response = client.get(url(name, page, pk))
    assert response.status_code == 200
    return str(response.content.decode())


def test_a_span_s_page_has_all_that_is_said_of_it(site, superuser) -> None:
    usage = TokenUsage(prompt_tokens=31, completion_tokens=9)
    said: dict[str, Any] = {"resource": {"service.name": "shop"}, "events": [{"first": "token"}], "links": ["run b"]}
    cost = Decimal("0.000000001")
    site.create_session(Session(id="s"))
    site.insert_trace(
        Trace(id="t", trace_id="run a", session_id="s", status="ok", model="large", usage=usage, cost=cost, **said)
    )
    page = shown(superuser, "trace", "change", "t")
    for text in ("run a", ">ok<", "large", "0.000000001", "service.name", "first", "run b", "Version of the schema"):
        assert (text in page) == (text != "Version of the schema"), text
    # its tokens stand where the record has them, not before its id
    assert page.index("field-model") < page.index("field-prompt_tokens") < page.index("field-cost")


def test_the_waterfall_says_what_calls_of_models_took(site, superuser) -> None:
    site.create_session(Session(id="s"))
    site.insert_trace(Trace(id="plain", session_id="s"))
    assert "chronos-usage" not in superuser.get(url("session", "spans", "s")).content.decode()
    usage = TokenUsage(prompt_tokens=1034, cache_read_tokens=900)
    site.insert_trace(Trace(id="a", session_id="s", model="large", usage=usage, attributes={"temperature": 0.25}))
    site.insert_trace(Trace(id="b", session_id="s", cost=Decimal("0.0021"), status="error"))
    site.insert_trace(Trace(id="c", session_id="s", error="passed over", status="ok"))
    response = superuser.get(url("session", "spans", "s"))
    bars = {bar.row.pk: bar for bar in response.context["waterfall"].bars}
    assert {id: (bar.usage, bar.failed, bar.error) for id, bar in bars.items()} == {
        "plain": ("", False, ""),
        "a": (f"{grouped(1034)} prompt tokens, 900 read from the cache", False, ""),
        "b": ("", True, ""),
        "c": ("", False, "passed over"),
    }
    page = response.content.decode()
    assert [word in page for word in ("large", "0.0021", "0.25")] == [True] * 3
    assert response.context["summary"].errors == 1
    items = timeline_items(superuser.get(url("session", "change", "s")).context)
    assert {item.pk for item in items if item.error} == {"b"}


def test_spans_are_looked_up_by_status_and_model_in_their_session_or_run(site, superuser) -> None:
    for id, status, model in (("a", "ok", "large"), ("b", "error", "large"), ("c", "error", "small")):
        site.insert_trace(Trace(id=id, trace_id="run", session_id=f"s-{id}", status=status, model=model))
    site.insert_trace(Trace(id="d", trace_id="another", session_id="s-a", status="error"))
    for query, wanted in (
        ({"trace_id": "run", "status": "error"}, "cb"),
        ({"trace_id": "run", "status": "error", "model": "large"}, "b"),
        ({"session_id": "s-a", "status": "error"}, "d"),
        ({"session_id": "s-", "prefix": "session_id", "model": "small"}, "c"),
        ({"trace_id": "run", "model": ""}, "cba"),
        ({"trace_id": "run", "status": "lost"}, ""),
    ):
        assert "".join(row.pk for row in listed(superuser, "trace", **query)) == wanted, query
    # no index serves them: among all spans they are not looked for
    for query in ({"status": "error"}, {"model": "large"}):
        response = superuser.get(url("trace"), query)
        assert list(response.context["cl"].result_list) == []
        assert "Give one of these too: session / run" in response.content.decode()


def test_a_framework_s_own_item_is_opened_to_be_read(site, superuser) -> None:
    site.create_session(Session(id="s"))
    site.add_message(Message(id="m", session_id="s", role="user", content="short", raw={"own": 1}, format="own.items"))
    for page in (
        shown(superuser, "message", "change", MessageRow.objects.get().pk),
        shown(superuser, "session", "change", "s"),
    ):
        before, _, after = page.partition("&quot;own&quot;: 1")
        assert before.rindex("<details") > before.rindex("short")
        assert "</details>" in after
        assert " style=" not in page
    assert "own.items" in shown(superuser, "message", "change", MessageRow.objects.get().pk)


def test_schemas_are_shown_with_their_versions(site, superuser) -> None:
    site.create_session(Session(id="s"))
    shape: dict[str, Any] = {"schema": "shop.order", "schema_version": 7}
    site.append_event(Event(id="e", session_id="s", type="t", **shape))
    site.save_checkpoint(Checkpoint(id="c", session_id="s", **shape))
    site.put_memory(MemoryRecord(id="y", key="k", **shape))
    headings = {
        item.kind: item.heading for item in timeline_items(superuser.get(url("session", "change", "s")).context)
    }
    assert headings == {"event": ["t", "shop.order 7"], "checkpoint": ["shop.order 7"]}
    for name, pk in (("event", EventRow.objects.get().pk), ("memoryrecord", "y")):
        page = shown(superuser, name, "change", pk)
        assert "shop.order" in page
        assert "Version of the schema" in page
