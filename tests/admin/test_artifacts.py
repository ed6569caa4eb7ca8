"""Artifacts in the admin: looked at, downloaded and removed, and shown where they are images."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from chronos_storage.records import Artifact, Session
from chronos_storage.testing.conformance.artifacts import file_storage, files_of, put
from tests.admin.pages import act, listed, url
from tests.conftest import ONLY_SQLITE

pytestmark = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(5000)


def page_of(client: Client, id: str) -> str:
    response = client.get(url("artifact", "change", id))
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_is_looked_up_and_says_sizes_for_people(site: Any, superuser: Client) -> None:
    site.create_session(Session(id="s"))
    put(site, PNG, "a.png", id="a", session_id="s", mime_type="image/png")
    put(site, b"x", "b", id="b", user_id="ann", mime_type="text/plain")
    for query, wanted in (
        ({}, "ba"),
        ({"session_id": "s"}, "a"),
        ({"user_id": "ann", "mime_type": "text/plain"}, "b"),
        ({"name": "a", "prefix": "name"}, "a"),
        ({"q": "b"}, "b"),
        ({"since": "2999-01-01T00:00:00"}, ""),
    ):
        assert "".join(row.pk for row in listed(superuser, "artifact", **query)) == wanted, query
    page = superuser.get(url("artifact")).content.decode()
    assert "4.9\xa0KB" in page
    assert "1\xa0byte" in page
    assert f"{url('artifact')}?session_id=s" in superuser.get(url("session", "change", "s")).content.decode()


def test_an_image_is_shown_and_all_is_downloaded(site: Any, superuser: Client) -> None:
    page = "<script>alert(1)</script>"
    for id, kind, data in (
        ("png", "image/png", PNG),
        ("svg", "image/svg+xml", page.encode()),
        ("false", "image/gif", page.encode()),
    ):
        put(site, data, f"<{id}>", id=id, mime_type=kind)
        text = page_of(superuser, id)
        address = url("artifact", "download", id)
        assert f'<a href="{address}" download>' in text
        assert ("<img" in text) == (kind != "image/svg+xml")
        answer: Any = superuser.get(address)
        assert answer.getvalue() == data
        how = "inline" if id == "png" else "attachment"
        assert answer["Content-Disposition"] == f'{how}; filename="_{id}_"'
        assert (answer["X-Content-Type-Options"], answer["Content-Security-Policy"]) == ("nosniff", "sandbox")
        assert superuser.get(address, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert superuser.get(url("artifact", "download", "none")).status_code == 404
    for name in files_of(site):
        file_storage().delete(name)
    answer = superuser.get(url("artifact", "download", "png"), follow=True)
    assert "of an artifact is missing" in answer.content.decode()
    assert answer.redirect_chain == [(url("artifact", "change", "png"), 302)]


def test_a_download_takes_the_permission_to_view(site: Any, staff: Any, stranger: Client, settings: Any) -> None:
    site.create_session(Session(id="s", agent_id="agent"))
    put(site, id="a", session_id="s")
    address = url("artifact", "download", "a")
    for client in (stranger, staff("view_session"), staff("delete_artifact")):
        assert client.get(address).status_code == 403
    assert Client().get(address).status_code == 302
    settings.CHRONOS_STORAGE = {"ADMIN": {"AUDIT_VIEWS": True}}
    answer: Any = staff("view_artifact").get(address)
    assert answer.getvalue() == b"data"
    [entry] = site.list_audit_logs(agent_id="agent")
    assert (entry.resource, entry.detail) == ("session:s", {"page": "file", "row": "artifact:a"})


def test_it_is_removed_through_the_facade_and_its_file_by_the_sweep(site: Any, superuser: Client) -> None:
    site.create_session(Session(id="s", require_fence=True))
    fence = site.acquire("s", "worker")
    for id in ("a", "b", "c"):
        site.put_artifact(Artifact(id=id, name="n", session_id="s"), id.encode(), fence=fence)
    put(site, id="d")
    assert superuser.post(url("artifact", "delete", "a"), {"post": "yes"}).status_code == 302
    act(superuser, "artifact", "b", "d")
    assert [each.id for each in site.list_artifacts()] == ["c"]
    assert len(files_of(site)) == 4
    assert site.sweep_artifacts(older_than=0.000001) == 3
    assert site.put_artifact(Artifact(name="n", session_id="s"), b"x", fence=fence).version == 4


def test_what_is_of_a_deleted_session_stays_with_it(site: Any, superuser: Client) -> None:
    site.create_session(Session(id="s"))
    put(site, id="a", session_id="s")
    put(site, id="b")
    site.delete_session("s")
    assert superuser.get(url("artifact", "delete", "a")).status_code == 403
    question = {"action": "delete_selected", "_selected_action": ["a", "b"]}
    assert "n (1): its session is deleted" in superuser.post(url("artifact"), question).content.decode()
    site.restore_session("s")
    site.set_legal_hold("s", True, actor="counsel", reason="case 7")
    assert "n (1): its session is under a legal hold" in superuser.post(url("artifact"), question).content.decode()
    act(superuser, "artifact", "a", "b")
    assert len(site.list_artifacts()) == 2
    assert "<a href" in page_of(superuser, "a")
