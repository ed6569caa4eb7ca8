"""Which session one was forked from, and which were forked from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Subquery, Value
from django.db.models.functions import Coalesce

from ..models import Session
from ..text import name as shown
from .addresses import session_address
from .previews import LENGTH, whole

_KEY = "forked_from"
#: Among how many sessions of its agent's, since it began, a session's forks are looked for, and how many are shown.
_AMONG, _SHOWN = 10_000, 20
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Relative:
    """A session that another comes from, or that comes from it.

    Attributes:
        number: the number of the checkpoint between the two.
        address: its page; empty where it is not there any more.
    """

    name: str
    number: int | None
    address: str


def source_of(session: Any) -> Relative | None:
    """The session that this one, which is `previewed`, was forked from; None if it is no fork."""
    known = session.preview_metadata
    if len(known) <= LENGTH and _KEY not in known:
        return None
    rows = Session.objects.using(session._state.db)
    origin = _origin(rows.filter(pk=session.pk).values_list("metadata", flat=True).first())
    if origin is None:
        return None
    there = rows.filter(pk=origin["session_id"]).values_list("title", flat=True).first()
    address = "" if there is None else session_address(origin["session_id"])
    return Relative(shown(there or origin["session_id"]), _number(origin), address)


def forks_of(session: Any) -> list[Relative]:
    """The sessions that were forked from this one, the first of them; they are its agent's."""
    sessions = Session.objects.using(session._state.db).filter(
        agent_id=session.agent_id, created_at__gte=session.created_at
    )
    rows: Any = sessions.order_by("created_at", "id")
    end = Subquery(rows.values("created_at")[_AMONG : _AMONG + 1])
    rows = rows.filter(created_at__lt=Coalesce(end, Value(_NEVER)))
    text = whole(Session._meta.get_field("metadata"))
    rows = rows.annotate(text=text).filter(text__contains=f'"{_KEY}"')
    # As it stands in most texts; whether it stands there as the source is for the value to say.
    rows = rows.filter(text__contains=json.dumps(session.pk, ensure_ascii=False))
    found = []
    for id, title, metadata in rows.values_list("pk", "title", "metadata")[:_SHOWN]:
        origin = _origin(metadata)
        if origin is not None and origin["session_id"] == session.pk:
            found.append(Relative(shown(title or id), _number(origin), session_address(id)))
    return found


def _origin(metadata: Any) -> dict[str, Any] | None:
    """What metadata say of where a session came from; None if nothing, or nothing that `fork_session` writes."""
    origin = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if not isinstance(origin, dict) or not isinstance(origin.get("session_id"), str):
        return None
    return origin if "\x00" not in origin["session_id"] else None


def _number(origin: dict[str, Any]) -> int | None:
    number = origin.get("seq_num")
    return number if isinstance(number, int) else None
