"""The three scopes of a session's state: each key is a memory record, so that writers of different keys both win."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from google.adk.sessions.state import State

from ...backends.base import Condition, Query
from ...codec import storable
from ...facade import Storage
from ...facade.base import in_our_words
from ...ids import composite_id
from ...records import MemoryRecord

KIND = "google_adk_state"
_SCOPES_PER_QUERY = 500


class Scopes(NamedTuple):
    """The ids of a session's scopes, which the records have for their `agent_id`; the session's is its own.

    Attributes:
        user_id: whose session it is.
    """

    app: str
    user: str
    session: str
    user_id: str

    @classmethod
    def of(cls, app_name: str, user_id: str, session_id: str) -> Scopes:
        return cls(
            composite_id(app_name),
            composite_id(app_name, user_id),
            composite_id(app_name, user_id, session_id),
            user_id,
        )

    def records(self, delta: Mapping[str, Any]) -> list[MemoryRecord]:
        """What is to be written where these keys changed; what is temporary is not kept."""
        records = []
        for key, value in delta.items():
            if key.startswith(State.TEMP_PREFIX):
                continue
            if key.startswith(State.APP_PREFIX):
                scope, name = {"agent_id": self.app}, key.removeprefix(State.APP_PREFIX)
            elif key.startswith(State.USER_PREFIX):
                scope, name = {"agent_id": self.user, "user_id": self.user_id}, key.removeprefix(State.USER_PREFIX)
            else:
                scope = {"agent_id": self.session, "user_id": self.user_id, "session_id": self.session}
                name = key
            kept = {"key": storable(name).value, "value": storable(value).value}
            records.append(MemoryRecord(**scope, kind=KIND, key=composite_id("state", name), value=kept))  # type: ignore[arg-type]
        return sorted(records, key=lambda record: (record.agent_id, record.key))  # as others lock them

    def merged(self, states: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """The state as a session shows it."""
        return {
            **states.get(self.session, {}),
            **{State.APP_PREFIX + key: value for key, value in states.get(self.app, {}).items()},
            **{State.USER_PREFIX + key: value for key, value in states.get(self.user, {}).items()},
        }


def states_of(storage: Storage, scopes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The states of several scopes, each with its keys in one order."""
    wanted = list(dict.fromkeys(scopes))
    states: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), _SCOPES_PER_QUERY):
        some = Condition("agent_id", "in", wanted[start : start + _SCOPES_PER_QUERY])
        query = Query(record=MemoryRecord, where=(some, Condition("kind", "=", KIND)), order=("id",))
        for record in in_our_words(storage.backend.run, lambda query=query: storage.backend.select(query)):
            states.setdefault(record.agent_id, {})[record.value["key"]] = record.value["value"]
    return states
