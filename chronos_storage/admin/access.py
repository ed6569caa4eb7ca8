"""Who may look at what, and the record of who did."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest

from .. import codec, conf
from ..facade import Storage
from ..models import Session
from ..records import AuditLog


def may(request: HttpRequest, action: str, model: type[models.Model]) -> bool:
    """Whether the user has the model's permission to "view" or "add"; who may change a row may view it too."""
    user: Any = request.user
    actions = ("view", "change") if action == "view" else (action,)
    meta = model._meta
    return any(user.has_perm(f"{meta.app_label}.{get_permission_codename(each, meta)}") for each in actions)


def require(request: HttpRequest, action: str, *wanted: type[models.Model]) -> None:
    """Answer 403 unless the user has the permission for each of these models."""
    if not all(may(request, action, model) for model in wanted):
        raise PermissionDenied


def note_look(request: HttpRequest, storage: Storage, session_id: str, **detail: Any) -> None:
    """Write to the audit log that the user looks at a session's content, if the project wants that.

    The entry is in the chain of the session's agent, not of the session: who looked is known even when the session is
    deleted for good, and a session does not change by being looked at.
    """
    if session_id and conf.admin_option("AUDIT_VIEWS"):
        sessions = Session.objects.using(storage.alias).filter(pk=session_id)
        agent_id, user_id = sessions.values_list("agent_id", "user_id").first() or ("", "")
        _note(request, storage, "admin.view", f"session:{session_id}", detail, agent_id=agent_id, user_id=user_id)


def note_export(request: HttpRequest, storage: Storage, resource: str, **detail: Any) -> None:
    """Write to the audit log that the user takes out what is stored, if the project wants that."""
    if conf.admin_option("AUDIT_VIEWS"):
        _note(request, storage, "admin.export", resource, detail)


def _note(
    request: HttpRequest, storage: Storage, action: str, resource: str, detail: dict[str, Any], **about: Any
) -> None:
    user: Any = request.user
    if len(resource) > codec.MAX_INDEXED:
        detail = {**detail, "resource": resource}
    storage.append_audit_log(
        AuditLog(
            actor=str(user.get_username())[: codec.MAX_INDEXED],
            action=action,
            resource=resource[: codec.MAX_INDEXED],
            detail=detail,
            **about,
        )
    )
