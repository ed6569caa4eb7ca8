"""The admin's lists: cheap to search, filter and sort however many rows there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from chronos_storage.fields import JSONTextField, MetadataField
from chronos_storage.records import Container, Event, MemoryRecord, Message, Session
from chronos_storage.testing.conformance.samples import ODD_STRINGS
from tests.admin.pages import NAMES, first, listed, model, populate, url
from tests.conftest import ONLY_SQLITE, STRICTEST


def test_search_is_exact(site, superuser) -> None:
    for id in ("s", "S", "ss"):
        populate(site, id)
    found = {
        ("session", "s"): ["s"],
        ("session", "agent"): ["s", "S", "ss"],
        ("session", "age"): [],
        ("message", "s-m"): ["s-m"],
        ("message", "S"): ["S-m"],
        ("event", "ss"): ["ss-e"],
        ("event", "s-e"): ["s-e"],
        ("checkpoint", "s-c"): ["s-c"],
        ("checkpoint", "s"): ["s-c"],
        ("trace", "s-t"): ["s-t"],
        ("trace", "s"): ["s-t"],
        ("memoryrecord", "s"): ["s-memory"],
        ("memoryrecord", "user"): ["s-memory", "S-memory", "ss-memory"],
        ("auditlog", "actor"): ["s-log", "S-log", "ss-log"],
        ("auditlog", "s-log"): ["s-log"],
        ("container", "s-container"): ["s-container"],
        ("image", "s-container"): ["s-image"],
        ("image", "image"): ["s-image", "S-image", "ss-image"],
        ("head", "session:s"): ["session:s"],
    }
    for (name, query), expected in found.items():
        shown = admin.site.get_model_admin(model(name)).list_display
        column = "id" if "id" in shown else shown[0]
        rows = listed(superuser, name, q=query)
        assert sorted(getattr(row, column) for row in rows) == sorted(expected), (name, query)


#: Without those which a browser takes for folders.
ODD_IDS = [id for id in ODD_STRINGS if id not in (".", "..")]


def test_odd_ids_are_found(site, superuser) -> None:
    for id in ODD_IDS:
        site.create_session(Session(id=id, title="odd"))
    page: Any = admin.site.get_model_admin(model("session"))
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="root")
    for id in ODD_IDS:
        assert page.get_object(request, id).pk == id
    assert [row.pk for row in listed(superuser, "session", q='"x "')] == ["x "]
    for number in range(1, len(ODD_IDS) // 50 + 2):
        assert superuser.get(url("session"), {"p": number}).status_code == 200


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_pages_of_odd_ids_are_opened(site, superuser) -> None:
    for id in ODD_IDS:
        site.create_session(Session(id=id, title="odd"))
        assert superuser.get(url("session", "change", id)).context["original"].pk == id


def test_sessions_are_filtered(site, superuser) -> None:
    populate(site)
    site.create_session(Session(id="t", status="failed", created_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert [row.pk for row in listed(superuser, "session", status="failed")] == ["t"]
    assert [row.pk for row in listed(superuser, "session")] == ["s", "t"]
    assert [row.pk for row in listed(superuser, "session", created_at__gte="2021-01-01 00:00:00+00:00")] == ["s"]


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_the_number_of_queries_does_not_grow_with_the_rows(site, superuser, alias) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(connections[alias]) as captured:
            assert superuser.get(address).status_code == 200
        return len(captured)

    populate(site)
    pages = [
        page for name in NAMES for page in (url(name), f"{url(name)}?q=agent", url(name, "change", first(name).pk))
    ]
    for page in pages:
        superuser.get(page)  # what is cached from now on
    few = {page: queries(page) for page in pages}
    for number in range(5):
        populate(site, f"s{number}")
    site.add_messages([Message(session_id="s", role="user", content="x") for _ in range(20)])
    site.append_events([Event(session_id="s") for _ in range(20)])
    assert {page: queries(page) for page in pages} == few
    assert max(few.values()) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_lists_search_filter_and_sort_by_what_has_an_index(name: str) -> None:
    page: Any = admin.site.get_model_admin(model(name))
    meta = model(name)._meta
    indexed = {meta.pk.name}
    indexed |= {index.fields[0] for index in meta.indexes}
    indexed |= {constraint.fields[0] for constraint in meta.constraints}
    indexed |= {meta.get_field(field).attname for field in indexed}
    assert {field.removesuffix("__exact").replace("__", "_") for field in page.search_fields} <= indexed
    assert all(field.endswith("__exact") for field in page.search_fields)
    filters = {getattr(field, "column", getattr(field, "parameter_name", field)) for field in page.list_filter}
    assert filters <= indexed
    assert {*page.sortable_by, *(field.removeprefix("-") for field in page.ordering)} <= indexed


def test_lists_leave_large_values_in_the_database(site, superuser) -> None:
    populate(site)
    for name in NAMES:
        (row, *_) = listed(superuser, name)
        large = {f.name for f in row._meta.concrete_fields if isinstance(f, JSONTextField | MetadataField)}
        assert large <= row.get_deferred_fields(), name


def test_lists_show_how_contents_begin(site, superuser) -> None:
    site.create_session(Session(id="s"))
    site.add_message(Message(session_id="s", role="user", content="Where is <my> parcel? " * 100))
    site.add_message(Message(session_id="s", role="assistant", tool_calls=[{"id": "1", "name": "track_parcel"}]))
    site.append_event(Event(session_id="s", payload={"step": "asked the carrier"}))
    site.put_memory(MemoryRecord(agent_id="a", kind="long_term", key="k", value="prefers parcels on Mondays"))
    for name, *shown in (
        ("message", "Where is &lt;my&gt; parcel?", "track_parcel(…)"),
        ("event", "asked the carrier"),
        ("memoryrecord", "prefers parcels on Mondays"),
    ):
        page = superuser.get(url(name)).content.decode()
        assert [text for text in shown if text not in page] == []
        assert len(page) < 40_000


def test_the_site_can_name_the_database_itself(alias, settings) -> None:
    """As hosts do with an admin for each of their databases."""
    page: Any = type(admin.site.get_model_admin(model("session")))(model("session"), admin.site)
    page.using = alias
    assert page.storage.alias == alias
    assert page.get_queryset(None).db == alias


def test_a_container_without_rows_is_shown(site, superuser) -> None:
    site.save_container(Container(id="empty"))
    assert superuser.get(url("container", "change", "empty")).status_code == 200


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
@pytest.mark.parametrize("zone", ["America/Chicago", "Pacific/Kiritimati"])
def test_times_at_the_ends_of_the_calendar(site, superuser, settings, zone: str) -> None:
    settings.TIME_ZONE = zone
    populate(site)
    times = ({"since": "9999-12-31T23:59:59"}, {"until": "9999-12-31T23:59:59"}, {"until": "0001-01-01T00:00:00"})
    for name in ("session", "trace", "auditlog"):
        for given in times:
            response = superuser.get(url(name), {**given, "text": "x"} if name == "session" else given)
            assert response.status_code == 200
            assert response.context["cl"].lookup_form.errors.keys() == given.keys()
    for given in ({"since": "9999-12-31", "until": "9999-12-31"}, {"since": "0001-01-01", "until": "0001-01-01"}):
        response = superuser.get(url("session", "overview"), given)
        assert response.status_code == 200
        assert response.context["form"].errors.keys() == {"since", "until"}
