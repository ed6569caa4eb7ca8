"""Erasure over HTTP: who may, and what is answered."""

from __future__ import annotations

from django.contrib.auth.models import Permission

from chronos_storage.api.ids import address
from chronos_storage.facade import Storage
from chronos_storage.records import Event, Session
from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)
MODELS = ("session", "message", "memoryrecord", "checkpoint", "trace", "artifact", "image")


def test_staff_who_may_delete_all_of_it_erase_a_user(site: Storage, ada: Api, novice: Api) -> None:
    site.create_session(Session(id="of ann", user_id="ann/1"))
    site.append_event(Event(session_id="of ann", type="said"))
    path = f"users/{address('ann/1')}/erasure"
    ada.post(path, {}, 403)
    assert novice.user
    novice.user.user_permissions.set(Permission.objects.filter(codename__in=[f"delete_{each}" for each in MODELS[1:]]))
    novice.post(path, {}, 403)
    novice.user.user_permissions.set(Permission.objects.filter(codename__in=[f"delete_{each}" for each in MODELS]))
    assert novice.post(path, {"dry_run": True}, 200)["counts"] == {"session": 1, "event": 1}
    assert site.get_session("of ann") is not None
    report = novice.post(path, {}, 200)
    assert (report["counts"], report["held"]) == ({"session": 1, "event": 1}, [])
    assert site.get_session("of ann", include_deleted=True) is None
    [receipt] = site.list_audit_logs(action="user.erase")
    assert (receipt.id, receipt.resource) == (report["receipt"], report["user"])
