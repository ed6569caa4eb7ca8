"""Each page under the permissions of the models whose rows it shows."""

from __future__ import annotations

from chronos_storage.models import Checkpoint as CheckpointRow
from tests.admin.night import BAD, a_night
from tests.admin.pages import first, timeline_items, url
from tests.conftest import SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)

KINDS = {
    "message": "message",
    "event": "event",
    "span": "trace",
    "checkpoint": "checkpoint",
    "audit": "auditlog",
    "artifact": "artifact",
}


def test_pages_of_a_session_take_its_permission_and_that_of_their_rows(site, staff, stranger) -> None:
    a_night(site, 0)
    checkpoint = CheckpointRow.objects.first().pk
    about = url("session", "change", BAD).removesuffix("change/")
    wanted = {
        "spans/": ["view_trace"],
        "tokens/": ["view_message"],
        "context/": ["view_message"],
        "checkpoints/": ["view_checkpoint"],
        f"compare/?b={checkpoint}": ["view_checkpoint"],
        f"fork/{checkpoint}/": ["view_checkpoint", "add_session"],
        "verdict/": ["view_event"],
        "hold/": ["hold_session"],
    }
    everything = [codename for codenames in wanted.values() for codename in codenames]
    without_session, session_alone = staff(*everything), staff("view_session")
    for page, codenames in wanted.items():
        address = about + page
        assert without_session.get(address).status_code == 403
        assert session_alone.get(address).status_code == 403
        assert stranger.get(address).status_code == 403
        assert staff("view_session", *codenames).get(address).status_code == 200


def test_the_timeline_shows_the_kinds_that_may_be_seen(site, staff) -> None:
    a_night(site, 0)
    for kind, codename in KINDS.items():
        context = staff("view_session", f"view_{codename}").get(url("session", "change", BAD)).context
        assert {item.kind for item in timeline_items(context)} == {kind}
        assert (context["summary"].messages is None) == (kind != "message"), kind
        assert (context["summary"].events is None) == (kind != "event"), kind
        assert (context["summary"].spans is None) == (kind != "span"), kind
        nothing = staff("view_session").get(url("session", "change", BAD), {"kind": kind, "at": f"{kind}:1"}).context
        assert nothing["entries"] == [], kind


def test_the_overview_has_the_figures_that_may_be_seen(site, staff, stranger) -> None:
    assert stranger.get(url("session", "overview")).status_code == 403
    assert staff("view_event").get(url("session", "overview")).status_code == 403
    context = staff("view_session", "view_event").get(url("session", "overview")).context
    assert [panel.name for panel in context["panels"]] == ["sessions", "events"]


def test_contents_exports_and_verdicts(site, staff) -> None:
    a_night(site, 0)
    client = staff("view_session", "view_event")
    for name, field in (("message", "content"), ("checkpoint", "state"), ("auditlog", "detail"), ("trace", "input")):
        assert client.get(url(name, "content", first(name).pk, field)).status_code == 403
    for address in (url("auditlog", "export", "csv"), url("auditlog", "verdict")):
        assert client.get(address).status_code == 403
        assert staff("view_auditlog").get(address).status_code == 200
    assert client.get(url("event", "content", first("event").pk, "payload")).status_code == 200


def test_pages_change_nothing_by_post(site, superuser) -> None:
    a_night(site, 0)
    for address in (
        url("session", "overview"),
        *(url("session", name, BAD) for name in ("spans", "tokens", "context", "checkpoints", "compare", "verdict")),
        url("auditlog", "export", "csv"),
        url("auditlog", "verdict"),
        url("message", "content", first("message").pk, "content"),
    ):
        assert superuser.post(address).status_code == 405
