"""A legal hold over HTTP: who sets and lifts it, and what is answered meanwhile."""

from __future__ import annotations

from django.contrib.auth.models import Permission

from chronos_storage.facade import Storage
from tests.api.conftest import Api
from tests.api.routes import ID
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)


def test_a_legal_hold_takes_a_permission_of_its_own(site: Storage, cursor: str, ada: Api, novice: Api) -> None:
    path, hold = f"sessions/{ID}", f"sessions/{ID}/legal-hold"
    assert novice.user
    named = [f"{verb}_{model}" for verb in ("view", "change", "delete") for model in ("session", "message")]
    novice.user.user_permissions.set(Permission.objects.filter(codename__in=named))
    novice.post(hold, {"legal_hold": True, "reason": "case 7"}, 403)
    novice.user.user_permissions.add(Permission.objects.get(codename="hold_session"))
    assert novice.post(hold, {"legal_hold": True, "reason": "case 7"}, 200)["legal_hold"] is True
    [log] = site.list_audit_logs(resource=ID, action="session.legal_hold")
    assert (log.actor, log.detail) == (str(novice.user), {"legal_hold": True, "reason": "case 7"})
    # Its owner goes on, and removes nothing.
    problem = ada.post(f"{path}/messages/clear", None, 409)
    assert problem["type"] == "urn:chronos-storage:problem:legal-hold"
    for method, body in (("PATCH", {"legal_hold": False}), ("POST", {"legal_hold": True})):
        answer = ada.ask(method, path if method == "PATCH" else "sessions", body)
        assert [error["field"] for error in answer.json()["errors"]] == ["legal_hold"]
    assert ada.patch(path, {"title": "new"})["legal_hold"] is True
    assert [error["field"] for error in novice.post(hold, {"legal_hold": False}, 400)["errors"]] == ["reason"]
    assert [error["field"] for error in novice.post(hold, {"reason": "r"}, 400)["errors"]] == ["legal_hold"]
    assert novice.post(hold, {"legal_hold": False, "reason": "settled"}, 200)["legal_hold"] is False
    assert ada.ask("POST", f"{path}/messages/clear").status_code == 200
