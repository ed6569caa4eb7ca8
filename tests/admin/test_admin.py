"""The admin: what each user sees, that the ledger stays as it is, and that the rest changes through the facade."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import localtime

from chronos_storage.fields import JSONTextField, MetadataField
from chronos_storage.records import Container, Event, MemoryRecord, Message, Session
from chronos_storage.testing.conformance.helpers import everything
from chronos_storage.testing.conformance.samples import ODD_STRINGS

from .conftest import NAMES, populate

LEDGER = ("event", "auditlog", "head")
EDITABLE = ("session", "memoryrecord", "container", "image")
VALUE = {"b": [1.0, "<b>&é"], "a": None}


def url(name: str, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:chronos_storage_{name}_{page}", args=[quote(arg) for arg in args])


def model(name: str) -> Any:
    return apps.get_model("chronos_storage", name)


def first(name: str) -> Any:
    return model(name).objects.order_by("pk").first()


def listed(client: Client, name: str, **parameters: str) -> list[Any]:
    response = client.get(url(name), parameters)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def post(client: Client, model_name: str, pk: Any, /, **changes: Any) -> Any:
    """What a browser sends from a change page, with these fields changed."""
    address = url(model_name, "change", pk)
    data: dict[str, Any] = {}
    for field in client.get(address).context["adminform"].form:
        if field.field.show_hidden_initial:
            data[f"initial-{field.name}"] = field.value()
        value = changes.get(field.name, field.value())
        if isinstance(value, datetime):
            local = localtime(value) if value.tzinfo else value
            data |= {f"{field.name}_0": local.date().isoformat(), f"{field.name}_1": f"{local:%H:%M:%S}"}
        elif value is not None:
            data[field.name] = value
    return client.post(address, data | changes)


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


# Who sees what


def test_every_model_is_there(site, superuser) -> None:
    assert {model._meta.model_name for model in apps.get_app_config("chronos_storage").get_models()} == set(NAMES)
    page = superuser.get(reverse("admin:app_list", args=["chronos_storage"]))
    for name in NAMES:
        assert url(name) in page.content.decode()
        assert admin.site.is_registered(model(name))


@pytest.mark.parametrize("name", NAMES)
def test_pages(site, superuser, viewer, stranger, name: str) -> None:
    populate(site)
    pk = first(name).pk
    pages = {
        url(name): (200, 200, 403),
        url(name, "change", pk): (200, 200, 403),
        url(name, "history", pk): (200, 200, 403),
        url(name, "add"): (403, 403, 403),
        url(name, "delete", pk): (200 if name in EDITABLE else 403, 403, 403),
        url(name, "change", "no-such" if name not in ("message", "event", "checkpoint", "head") else 0): (
            302,
            302,
            403,
        ),
    }
    for address, statuses in pages.items():
        assert tuple(c.get(address).status_code for c in (superuser, viewer, stranger)) == statuses, address
        assert Client().get(address).status_code == 302  # to the login page


@pytest.mark.parametrize("name", NAMES)
def test_json_is_shown_as_json(site, viewer, superuser, name: str) -> None:
    populate(site)
    row = first(name)
    fields = [f.name for f in row._meta.concrete_fields if isinstance(f, JSONTextField | MetadataField)]
    for client in (viewer, superuser):
        text = client.get(url(name, "change", row.pk)).content.decode()
        assert "{&#x27;" not in text
        assert text.count("&lt;b&gt;&amp;é") >= sum(getattr(row, field) in (VALUE, [VALUE]) for field in fields)
        assert "<b>&é" not in text


def test_a_viewer_changes_nothing(site, viewer) -> None:
    populate(site)
    before = everything(site)
    for name in NAMES:
        row = first(name)
        assert viewer.post(url(name, "change", row.pk), {"title": "x", "value": "1"}).status_code == 403
        assert viewer.post(url(name, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert viewer.post(url(name, "add"), {"id": "x"}).status_code == 403
        act(viewer, name, row.pk)
    assert everything(site) == before


def act(client: Client, name: str, *pks: Any) -> None:
    """Choose "delete selected" in the list, and confirm it."""
    data = {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
    assert client.post(url(name), data).status_code in (200, 302, 403)


# The ledger


@pytest.mark.parametrize("name", LEDGER)
def test_the_ledger_stays_as_it_is_for_a_superuser_too(site, superuser, name: str) -> None:
    populate(site)
    rows = list(model(name).objects.order_by("pk").values())
    row = first(name)
    crafted = {field.name: "x" for field in row._meta.concrete_fields} | {"_save": "Save", "session": "s"}
    assert superuser.post(url(name, "change", row.pk), crafted).status_code == 403
    assert superuser.post(url(name, "add"), crafted).status_code == 403
    assert superuser.post(url(name, "delete", row.pk), {"post": "yes"}).status_code == 403
    act(superuser, name, row.pk)
    edited = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": row.pk, "form-0-type": "x", "_save": "y"}
    assert superuser.post(url(name), edited).status_code in (200, 302, 403)
    page = superuser.get(url(name)).content.decode()
    assert 'name="action"' not in page
    assert "action-checkbox" not in page
    assert list(model(name).objects.order_by("pk").values()) == rows
    assert all(verdict.intact for verdict in site.verify_all())


# What belongs to a session keeps its numbers


@pytest.mark.parametrize("name", ["message", "checkpoint", "trace"])
def test_what_belongs_to_a_session_is_only_looked_at(site, superuser, name: str) -> None:
    populate(site)
    before = everything(site)
    row = first(name)
    assert superuser.post(url(name, "change", row.pk), {"seq_num": "7", "role": "x"}).status_code == 403
    assert superuser.post(url(name, "add"), {"session": "s", "seq_num": "7"}).status_code == 403
    assert superuser.post(url(name, "delete", row.pk), {"post": "yes"}).status_code == 403
    act(superuser, name, row.pk)
    assert everything(site) == before


def test_a_session_is_changed_through_the_facade(site, superuser) -> None:
    populate(site)
    before = site.get_session("s")
    response = post(superuser, "session", "s", title="New", status="paused", metadata='{"x": [1.0]}')
    assert response.status_code == 302
    after = site.get_session("s")
    assert (after.title, after.status, json.dumps(after.metadata)) == ("New", "paused", '{"x": [1.0]}')
    assert after.updated_at > before.updated_at
    assert after.last_activity_at == before.last_activity_at
    crafted = {"title": "Newer", "status": "paused", "metadata": "{}", "id": "z", "user_id": "z", "deleted_at_0": "z"}
    assert superuser.post(url("session", "change", "s"), crafted).status_code == 302
    assert site.get_session("s").user_id == "user"
    assert site.get_session("z") is None


def test_nothing_is_written_where_nothing_was_changed(site, superuser) -> None:
    populate(site)
    before = everything(site)
    for name in EDITABLE:
        assert post(superuser, name, first(name).pk).status_code == 302
    assert everything(site) == before


def test_deleting_a_session_hides_it_and_keeps_what_belongs_to_it(site, superuser) -> None:
    for id in ("s", "t", "u"):
        populate(site, id)
    confirmation = superuser.get(url("session", "delete", "s")).content.decode()
    assert "Title of s" in confirmation
    assert "Title of t" not in confirmation
    assert superuser.post(url("session", "delete", "s"), {"post": "yes"}).status_code == 302
    act(superuser, "session", "t")
    assert [session.id for session in site.list_sessions()] == ["u"]
    assert {session.id for session in site.list_sessions(include_deleted=True)} == {"s", "t", "u"}
    for id in ("s", "t"):
        assert site.count_messages(id) == site.count_events(id) == 1
        assert site.verify_events(id).intact
    assert {session.pk for session in listed(superuser, "session")} == {"s", "t", "u"}


def test_a_deleted_session_is_only_looked_at(site, superuser) -> None:
    populate(site)
    site.delete_session("s")
    before = everything(site)
    assert superuser.get(url("session", "change", "s")).status_code == 200
    assert superuser.post(url("session", "change", "s"), {"title": "x", "status": "x"}).status_code == 403
    assert superuser.post(url("session", "delete", "s"), {"post": "yes"}).status_code == 403
    act(superuser, "session", "s")
    assert everything(site) == before


# What can be changed otherwise


def test_memory_is_changed_under_its_key(site, superuser) -> None:
    populate(site)
    (before,) = site.list_memory("agent")
    expires = datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC)
    crafted = {"value": '{"z": 1, "a": 1.0}', "expires_at": expires, "key": "other", "natural_key": "x"}
    assert post(superuser, "memoryrecord", before.id, **crafted).status_code == 302
    (after,) = site.list_memory("agent")
    assert json.dumps(after.value) == '{"z": 1, "a": 1.0}'
    assert (after.id, after.key, after.created_at, after.expires_at) == (before.id, "key", before.created_at, expires)
    assert after.updated_at > before.updated_at
    site.put_memory(MemoryRecord(agent_id="agent", user_id="user", session_id="s", kind="long_term", key="key"))
    assert len(site.list_memory("agent")) == 1


def test_what_the_form_does_not_show_stays(site, superuser) -> None:
    """A browser sends no microseconds, and other line ends."""
    expires = datetime(2999, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    site.put_memory(MemoryRecord(id="m", agent_id="a", key="k", value=1, expires_at=expires))
    populate(site)
    assert post(superuser, "memoryrecord", "m", value="2").status_code == 302
    assert [(found.value, found.expires_at) for found in site.list_memory("a")] == [(2, expires)]
    assert post(superuser, "image", "s-image", name="new").status_code == 302
    image = site.get_image("s-image")
    assert (image.name, image.system_prompt) == ("new", "line\nline")


def test_containers_and_images_are_changed_and_deleted(site, superuser) -> None:
    populate(site)
    before = site.get_container("s-container")
    assert post(superuser, "container", "s-container", config='{"x": 1}').status_code == 302
    after = site.get_container("s-container")
    assert (after.config, after.created_at) == ({"x": 1}, before.created_at)
    for name, pk in (("container", "s-container"), ("image", "s-image"), ("memoryrecord", "s-memory")):
        assert superuser.post(url(name, "delete", pk), {"post": "yes"}).status_code == 302
    assert (site.get_container("s-container"), site.get_image("s-image")) == (None, None)
    assert site.list_memory("agent") == []
    populate(site, "t")
    for name in ("container", "image", "memoryrecord"):
        act(superuser, name, first(name).pk)
        assert first(name) is None


@pytest.mark.parametrize(
    ("name", "field", "value", "problem"),
    [
        ("session", "metadata", "{", "Enter a valid JSON."),
        ("session", "metadata", "[]", "metadata must be a dict, not list"),
        ("session", "metadata", '{"x": 1e23}', "metadata.x holds 1e+23"),
        ("session", "metadata", '{"x": NaN}', "metadata.x holds nan"),
        ("session", "metadata", '{"x": "\\u0000"}', "metadata.x contains a NUL character"),
        ("session", "title", "t" * 1_000_001, "title is 1,000,001 characters long"),
        ("session", "status", "t" * 256, "Ensure this value has at most 255 characters"),
        ("memoryrecord", "value", "Infinity", "value holds inf"),
        ("memoryrecord", "value", '{"x": "\\ud800"}', "value.x contains the lone surrogate"),
        ("memoryrecord", "expires_at", datetime(1, 1, 1), "must be between the years 1000 and 9999"),
        ("container", "config", "3", "config must be a dict, not int"),
        ("image", "mcp_servers", "", "mcp_servers must be a dict, not NoneType"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_the_form(site, superuser, name, field, value, problem) -> None:
    populate(site)
    before = everything(site)
    found = errors(post(superuser, name, first(name).pk, **{field: value}))
    assert problem in str(found[field])
    assert everything(site) == before


# Lists


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
        column = superuser.get(url(name)).context["cl"].list_display[0]
        column = column if column != "action_checkbox" else superuser.get(url(name)).context["cl"].list_display[1]
        rows = listed(superuser, name, q=query)
        assert sorted(getattr(row, column) for row in rows) == sorted(expected), (name, query)


def test_odd_ids_are_found_and_opened(site, superuser) -> None:
    ids = [id for id in ODD_STRINGS if id not in (".", "..")]  # which a browser takes for folders
    for id in ids:
        site.create_session(Session(id=id, title="odd"))
    for id in ids:
        assert superuser.get(url("session", "change", id)).context["original"].pk == id
    assert [row.pk for row in listed(superuser, "session", q='"x "')] == ["x "]
    for page in range(1, len(ids) // 50 + 2):
        assert superuser.get(url("session"), {"p": page}).status_code == 200


def test_sessions_are_filtered(site, superuser) -> None:
    populate(site)
    site.create_session(Session(id="t", status="failed", created_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert [row.pk for row in listed(superuser, "session", status="failed")] == ["t"]
    assert [row.pk for row in listed(superuser, "session")] == ["s", "t"]
    assert [row.pk for row in listed(superuser, "session", created_at__gte="2021-01-01 00:00:00+00:00")] == ["s"]


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_queries_does_not_grow_with_the_rows(site, superuser, alias, name: str) -> None:
    def queries(address: str) -> int:
        superuser.get(address)  # what is cached from now on
        with CaptureQueriesContext(
            connections[alias],
        ) as captured:
            assert superuser.get(address).status_code == 200
        return len(captured)

    populate(site)
    pages = [url(name), f"{url(name)}?q=agent", url(name, "change", first(name).pk)]
    few = [queries(page) for page in pages]
    for number in range(20):
        populate(site, f"s{number}")
    site.add_messages([Message(session_id="s", role="user", content="x") for _ in range(20)])
    site.append_events([Event(session_id="s") for _ in range(20)])
    assert [queries(page) for page in pages] == few
    assert max(few) < 10


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
    assert {getattr(field, "parameter_name", field) for field in page.list_filter} <= indexed
    assert {*page.sortable_by, *(field.removeprefix("-") for field in page.ordering)} <= indexed


@pytest.mark.parametrize("name", NAMES)
def test_lists_leave_large_values_in_the_database(site, superuser, name: str) -> None:
    populate(site)
    (row, *_) = listed(superuser, name)
    large = {f.name for f in row._meta.concrete_fields if isinstance(f, JSONTextField | MetadataField)}
    assert large <= row.get_deferred_fields()


def test_the_site_can_name_the_database_itself(alias, settings) -> None:
    """As hosts do with an admin for each of their databases."""
    page: Any = type(admin.site.get_model_admin(model("session")))(model("session"), admin.site)
    page.using = "elsewhere"
    assert page.storage.alias == "elsewhere"
    assert page.get_queryset(None).db == "elsewhere"


def test_a_container_without_rows_is_shown(site, superuser) -> None:
    site.save_container(Container(id="empty"))
    assert superuser.get(url("container", "change", "empty")).status_code == 200
