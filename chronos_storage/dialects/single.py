"""One message without those beside it."""

from __future__ import annotations

from typing import Any

from ..exceptions import InvalidRecord
from .said import ROLES, SYSTEMS, Call, Part, Result, Said, said


def alone(message: Any, provider: str, *, system_apart: bool) -> Said:
    """What a record's message says, in one turn; nothing but one tool's result is one of the role ``tool``.

    Raises:
        InvalidRecord: the provider has no place for its role.
    """
    if message.role not in ROLES or (system_apart and message.role in SYSTEMS):
        raise InvalidRecord(
            "role", f"is {message.role!r}, which {provider} has no place for among its messages; see Storage.context()"
        )
    turn = said(message)
    return Said("tool", turn.parts) if [type(part) for part in turn.parts] == [Result] else turn


def turns_of(message: Any) -> list[Said]:
    """What a record's message says, for those who put messages together themselves: the results of tools in a turn of
    their own, before what else there is; none for nothing.
    """
    whole = said(message)
    results: list[Part] = [part for part in whole.parts if isinstance(part, Result)]
    # A call that names no tool is one that nobody could make.
    others: list[Part] = [
        part for part in whole.parts if not isinstance(part, Result) and not (isinstance(part, Call) and not part.name)
    ]
    turns = [Said("tool", results)] if results else []
    return [*turns, Said(whole.role, others, whole.name)] if others else turns
