"""Deleting, restoring, removing and purging sessions, and the links between forks."""

from __future__ import annotations

from typing import Any

import pytest

from chronos_storage import Storage
from chronos_storage.records import Checkpoint, Event, Session
from tests.admin.night import BAD, a_night
from tests.admin.pages import listed, url
from tests.conftest import ONLY_SQLITE

once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


def text(response: Any) -> str:
    assert response.status_code == 200
    content: str = response.content.decode()
    return content


@once
def test_deleting_says_that_it_hides_and_what_stays(site, superuser) -> None:
    a_night(site, 0)
    for page in (
        superuser.get(url("session", "delete", BAD)),
        superuser.post(url("session"), {"action": "delete_selected", "_selected_action": [BAD]}),
    ):
        assert "A deleted session is hidden" in text(page)
        assert "stay as they are" in text(page)
        assert "related items" not in text(page)
        assert "Refund for order W-2217" in text(page)
    superuser.post(url("session", "delete", BAD), {"post": "yes"})
    assert site.get_session(BAD) is None
    assert site.count_messages(BAD) == 8


@once
def test_a_deleted_session_is_restored_from_its_page_and_from_the_list(site, superuser, staff) -> None:
    a_night(site, 2)
    site.patch_session(BAD, require_fence=True)
    fence = site.acquire(BAD, "worker", ttl=3600)
    site.delete_session(BAD, fence=fence)
    address = url("session", "removal", BAD)
    viewer = staff("view_session")
    assert address not in text(viewer.get(url("session", "change", BAD)))
    assert (viewer.get(address).status_code, viewer.post(address, {"do": "restore"}).status_code) == (403, 403)
    deleter = staff("view_session", "delete_session")
    assert address in text(deleter.get(url("session", "change", BAD)))
    assert "Restored, it is as it was" in text(deleter.get(address))
    assert deleter.post(address, {"do": "restore"})["Location"] == address
    assert site.get_session(BAD).title == "Refund for order W-2217"
    site.append_event(Event(session_id=BAD), fence=fence)
    site.delete_session(BAD, fence=fence)
    for client, restored in ((viewer, False), (deleter, True)):
        client.post(url("session"), {"action": "restore_selected", "_selected_action": [BAD, "session-000"]})
        assert (site.get_session(BAD) is not None) == restored
    assert {session.pk for session in listed(superuser, "session")} == {BAD, "session-000", "session-001"}


def test_removing_for_good_takes_its_permission_and_a_reason(site, superuser, staff) -> None:
    a_night(site, 0)
    address = url("session", "removal", BAD)
    deleter = staff("view_session", "delete_session")
    assert "Remove for good" not in text(deleter.get(address))
    assert deleter.post(address, {"do": "remove", "reason": "x"}).status_code == 403
    remover = staff("view_session", "remove_session")
    page = remover.get(address)
    assert "Remove for good" in text(page)
    assert {str(label): count for label, count in page.context["counts"]} == {
        "messages": 8,
        "checkpoints": 4,
        "spans": 8,
        "memory records": 0,
        "artifacts": 2,
        "events": 8,
        "audit entries": 4,
    }
    assert remover.post(address, {"do": "purge", "reason": "x", "kind": "event"}).status_code == 403
    remover.post(address, {"do": "remove", "reason": " "})
    assert site.get_session(BAD) is not None
    site.set_legal_hold(BAD, True, actor="legal", reason="case 7")
    assert "under a legal hold: nothing" in text(remover.get(address))
    response = remover.post(address, {"do": "remove", "reason": "x"}, follow=True)
    assert "is under a legal hold" in text(response)
    assert site.count_messages(BAD) == 8
    site.set_legal_hold(BAD, False, actor="legal", reason="settled")
    response = remover.post(address, {"do": "remove", "reason": "asked by <Ada>"})
    assert response["Location"] == url("session")
    assert site.get_session(BAD, include_deleted=True) is None
    assert site.count_messages(BAD) == site.count_events(BAD) == 0
    noted, removed = site.list_audit_logs(resource=BAD)[:2]
    assert (removed.action, noted.action, noted.detail) == (
        *("session.delete", "admin.remove"),
        {"reason": "asked by <Ada>"},
    )
    assert noted.actor == page.context["user"].get_username()
    assert remover.get(address).status_code == 404


def test_purging_removes_the_first_rows_and_says_why(site, staff) -> None:
    a_night(site, 0)
    address = url("session", "removal", BAD)
    purger = staff("view_session", "purge_session", "view_auditlog")
    for wrong in ({"reason": " "}, {"through": "x"}, {"through": "-1"}, {"through": "1.5"}, {"kind": []}):
        purger.post(address, {"do": "purge", "reason": "r", "kind": "event", **wrong})
        assert site.count_events(BAD) == 8
    purger.post(address, {"do": "purge", "kind": "event", "through": "5", "reason": "five years are over"})
    assert [event.seq_num for event in site.list_events(BAD)] == [6, 7, 8]
    assert site.verify_events(BAD).intact
    assert len(site.list_audit_logs(BAD)) == 4
    purged = [log for log in site.list_audit_logs(agent_id="") if log.action == "ledger.purge"]
    assert [log.detail["reason"] for log in purged] == ["five years are over"]
    [noted] = site.list_audit_logs(resource=BAD, action="admin.purge")
    assert noted.detail == {"reason": "five years are over"}
    purger.post(address, {"do": "purge", "kind": ["event", "audit_log"], "reason": "all of it"})
    assert (site.count_events(BAD), site.list_audit_logs(BAD)) == (0, [])
    assert site.count_messages(BAD) == 8
    assert "0 rows" in text(purger.post(address, {"do": "purge", "kind": "event", "reason": "again"}, follow=True))


def test_forks_are_linked_both_ways(site, viewer) -> None:
    def relatives(id: str) -> tuple[Any, list[Any]]:
        context = viewer.get(url("session", "change", id)).context
        return context["source"], context["forks"]

    a_night(site, 0)
    odd = 'née "x" %_\\ <b>'
    site.create_session(Session(id=odd, agent_id="support"))
    site.save_checkpoint(Checkpoint(id="c", session_id=odd, state={"n": 1}))
    site.save_checkpoint(Checkpoint(id="c2", session_id=odd, state={"n": 2}))
    site.fork_session("checkpoint-2", id="of-the-bad", session_id=BAD)
    site.fork_session("c2", id="of-the-odd", title="Tried <i>again</i>", metadata={"long": "x" * 2000})
    site.create_session(Session(id="no fork", agent_id="support", metadata={"note": f'"forked_from" {BAD}'}))
    source, forks = relatives("of-the-odd")
    assert (source.name, source.number, source.address, forks) == (odd, 2, url("session", "change", odd), [])
    assert "checkpoint 2" in text(viewer.get(url("session", "change", "of-the-odd")))
    source, forks = relatives(odd)
    assert source is None
    assert [(fork.name, fork.number, fork.address) for fork in forks] == [
        ("Tried <i>again</i>", 2, url("session", "change", "of-the-odd"))
    ]
    assert "Tried &lt;i&gt;again" in text(viewer.get(url("session", "change", odd)))
    assert [fork.address for fork in relatives(BAD)[1]] == [url("session", "change", "of-the-bad")]
    site.delete_session(odd, hard=True)
    assert relatives("of-the-odd")[0].address == ""
    assert "not there any more" in text(viewer.get(url("session", "change", "of-the-odd")))


@once
@pytest.mark.parametrize(
    "metadata", [{"forked_from": 1}, {"forked_from": {"session_id": 7}}, {"forked_from": {}}, {"forked_from": []}]
)
def test_metadata_that_a_caller_wrote_are_no_fork(site: Storage, viewer, metadata) -> None:
    site.create_session(Session(id="s", metadata=metadata))
    assert viewer.get(url("session", "change", "s")).context["source"] is None


def test_sessions_with_the_longest_ids_are_led_to(site, superuser) -> None:
    id = "\u8a9e" * 255
    site.create_session(Session(id=id))
    site.delete_session(id)
    removal, hold = url("session", "removal", id), url("session", "hold", id)
    assert superuser.post(removal, {"do": "restore"}, follow=True).redirect_chain == [(removal, 302)]
    assert superuser.post(hold, {"reason": "case 7", "held": "true"})["Location"] == hold
    assert superuser.get(url("session", "next_error", id))["Location"].startswith(url("session", "change", id))
