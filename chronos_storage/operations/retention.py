"""For how long what is kept: the rules of ``CHRONOS_STORAGE["RETENTION"]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .. import codec, conf
from ..exceptions import ConfigurationError, InvalidRecord
from ..records import Session

#: What stands for the setting where there is none: what nobody can miss.
DEFAULT: tuple[dict[str, Any], ...] = ({"type": "queue"}, {"type": "artifact_file"}, {"type": "store_item"})

_OF_SESSIONS = ("agent_id", "user_id", "status")
#: The keys of each type of rule; those that it must have end with a "!".
KEYS: dict[str, tuple[str, ...]] = {
    "session": (*_OF_SESSIONS, "older_than!", "deleted", "hard"),
    "message": (*_OF_SESSIONS, "older_than!"),
    "checkpoint": (*_OF_SESSIONS, "older_than", "keep_last!"),
    "compaction": (*_OF_SESSIONS, "older_than!"),
    "trace": (*_OF_SESSIONS, "older_than!", "kind"),
    "artifact": (*_OF_SESSIONS, "older_than!"),
    "memory": ("agent_id", "user_id", "older_than", "kind", "expired"),
    "event": (*_OF_SESSIONS, "older_than!", "reason!"),
    "audit_log": ("agent_id", "older_than!", "reason!"),
    "queue": ("older_than",),
    "artifact_file": ("older_than",),
    "store_item": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is removed, and at which age.

    Attributes:
        type: which data.
        agent_id: of this agent, or of its sessions, alone; None for any.
        user_id: of this user, or of their sessions.
        status: of sessions with one of these.
        older_than: sessions by their last activity, or by their deletion where `deleted`; everything else by the time
            that it is listed by; what is `expired`, since then.
        kind: of memory and traces.
        expired: of memory, what has expired.
        deleted: of sessions, the soft-deleted ones, which are removed for good.
        hard: of sessions: they are removed for good, and not hidden first.
        keep_last: so many checkpoints of each namespace stay.
        reason: for the audit entry of a purge.
    """

    type: str
    agent_id: str | None = None
    user_id: str | None = None
    status: tuple[str, ...] = ()
    older_than: timedelta | None = None
    kind: str | None = None
    expired: bool = False
    deleted: bool = False
    hard: bool = False
    keep_last: int = 1
    reason: str = ""

    @property
    def is_housekeeping(self) -> bool:
        """Whether nobody can miss what goes."""
        return self.type in ("queue", "artifact_file", "store_item") or self.expired

    @property
    def is_of_some_sessions(self) -> bool:
        """Whether it is of what belongs to some sessions alone."""
        return bool(self.status) or self.agent_id is not None or self.user_id is not None

    def has(self, session: Session) -> bool:
        """Whether it is of this session, or of what belongs to it."""
        return (
            self.agent_id in (None, session.agent_id)
            and self.user_id in (None, session.user_id)
            and (not self.status or session.status in self.status)
        )


def rules() -> list[Rule]:
    """The rules of the settings.

    Raises:
        ConfigurationError: one is wrong; its place and key are named.
    """
    given = conf.configured().get("RETENTION", DEFAULT)
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"{_where()} must be a list of dicts, not {type(given).__name__}")
    return [rule_of(each, _where(place)) for place, each in enumerate(given)]


def problems() -> list[str]:
    """What is wrong with the setting, a sentence for each rule."""
    given = conf.configured().get("RETENTION", DEFAULT)
    found = []
    for place, each in enumerate(given if isinstance(given, list | tuple) else [None]):
        try:
            if isinstance(given, list | tuple):
                rule_of(each, _where(place))
            else:
                rules()
        except ConfigurationError as error:
            found.append(f"{error}.")
    return found


def rule_of(given: Any, where: str) -> Rule:
    """A rule as the settings have it.

    Raises:
        ConfigurationError: it is wrong; `where` it stands, and the key, are named.
    """
    if not isinstance(given, dict):
        raise ConfigurationError(f"{where} must be a dict, not {type(given).__name__}")
    kind: Any = given.get("type")
    if not isinstance(kind, str) or kind not in KEYS:
        raise ConfigurationError(f'{where}["type"] must be one of {", ".join(KEYS)}, not {kind!r}')
    known = [key.rstrip("!") for key in KEYS[kind]]
    keys = ", ".join(known) or "none"
    for key in given:
        if key != "type" and key not in known:
            raise ConfigurationError(f"{where} is of the type {kind!r}, which has no key {key!r}, but {keys}")
    for key in KEYS[kind]:
        if key.endswith("!") and key[:-1] not in given:
            raise ConfigurationError(f'{where} is of the type {kind!r} and needs "{key[:-1]}"')
    for key, value in given.items():
        right, is_right = _VALUES[key]
        if not is_right(value):
            raise ConfigurationError(f'{where}["{key}"] must be {right}, not {value!r}')
    if kind == "memory" and not (given.get("expired") or "older_than" in given):
        raise ConfigurationError(f'{where} is of the type \'memory\' and needs "older_than" or "expired": True')
    if isinstance(status := given.get("status", ()), str):
        status = (status,)
    return Rule(**{**given, "status": tuple(status)})


def _where(place: int | None = None) -> str:
    return f'{conf.NAME}["RETENTION"]' + ("" if place is None else f"[{place}]")


def _is_string(value: Any, limit: int = codec.MAX_INDEXED) -> bool:
    try:
        codec.string(value, "value", limit)
    except InvalidRecord:
        return False
    return True


def _is_text(value: Any) -> bool:
    return _is_string(value) and value != ""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_text, value))


#: What each key may have, in words, and as a test.
_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "type": ("a type", _is_text),
    "agent_id": ("a string", _is_string),
    "user_id": ("a string", _is_string),
    "kind": ("a string", _is_string),
    "status": ("a string or a list of them", lambda value: _is_text(value) or _are_texts(value)),
    "older_than": (
        "a timedelta above zero",
        lambda value: isinstance(value, timedelta) and timedelta(0) < value < timedelta(days=365_000),
    ),
    "expired": ("True or False", lambda value: isinstance(value, bool)),
    "deleted": ("True or False", lambda value: isinstance(value, bool)),
    "hard": ("True or False", lambda value: isinstance(value, bool)),
    "keep_last": ("a number, at least 1", lambda value: type(value) is int and value >= 1),
    "reason": ("a string that says why", lambda value: _is_string(value, codec.MAX_TEXT) and value.strip() != ""),
}
