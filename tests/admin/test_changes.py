"""What is changed in the admin, and what it refuses, goes through the facade."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from chronos_storage.records import Event, MemoryRecord, Session
from chronos_storage.testing.conformance.helpers import case, everything
from tests.admin.pages import EDITABLE, act, errors, first, listed, populate, post, url
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)

# Sessions


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


def test_who_looks_after_sessions_needs_no_fence_and_overtakes_nobody(site, superuser) -> None:
    site.create_session(Session(id="s", title="before"))
    site.create_session(Session(id="free"))
    assert post(superuser, "session", "s", require_fence="on").status_code == 302
    assert site.get_session("s").require_fence
    assert post(superuser, "session", "s", title="nobody has acquired it yet").status_code == 302
    fence = site.acquire("s", "worker-1", ttl=3600)
    text = superuser.get(url("session", "change", "s")).content.decode()
    assert "token 1, worker-1, until" in text
    assert post(superuser, "session", "s", title="after").status_code == 302
    assert site.get_session("s").title == "after"
    site.append_event(Event(session_id="s"), fence=fence)
    act(superuser, "session", "s", "free")
    assert site.list_sessions() == []


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


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_what_cannot_be_kept_is_refused_by_the_form(site, superuser) -> None:
    populate(site)
    before = everything(site)
    for name, field, value, problem in [
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
    ]:
        with case(problem):
            found = errors(post(superuser, name, first(name).pk, **{field: value}))
            assert problem in str(found[field])
    assert everything(site) == before
