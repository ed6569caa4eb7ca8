"""The arguments of a storage's methods, checked alike on every backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final, Literal, TypeVar

from .. import codec
from ..backends.base import Condition, Query
from ..exceptions import InvalidRecord
from ..ids import new_id
from ..records import KINDS, Fence, Record

R = TypeVar("R", bound=Record)

_KINDS = frozenset(KINDS.values())


class Unset(Enum):
    UNSET = auto()


#: What stands for an argument that was not given, where None says something.
UNSET: Final = Unset.UNSET
UnsetType = Literal[Unset.UNSET]


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in arguments.items() if value is not UNSET}


def identified(record: R) -> R:
    """The record, or where it has no id a copy with a fresh one: what is written again then finds what was written."""
    value: Any = record
    if not isinstance(value.id, str) or str.__len__(value.id):  # whatever a subclass says of itself
        return record
    fresh: R = replace(value, id=new_id())
    return fresh


def records_of(kind: type[R], values: Any, argument: str) -> list[R]:
    """An argument that must be records of one kind."""
    if not isinstance(values, Iterable):
        raise InvalidRecord(argument, f"must be {kind.__name__} records, not {type(values).__name__}")
    return [kind.of(value, f"{argument}[{position}]") for position, value in enumerate(values)]


def of_any_kind(values: Any) -> Iterable[Record]:
    """An argument that must be records, of any kinds; an iterator, if it is one."""
    if not isinstance(values, Iterable):
        raise InvalidRecord("records", f"must be records, not {type(values).__name__}")
    return map(_of_its_kind, values) if isinstance(values, Iterator) else _OfAnyKind(values)


class _OfAnyKind:
    """Records that can be gone through again."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Record]:
        return map(_of_its_kind, self._values)


def _of_its_kind(value: Any) -> Record:
    kind = type(value) if type(value) in _KINDS else next((each for each in _KINDS if isinstance(value, each)), None)
    if kind is None:
        raise InvalidRecord("records", f"must be records, not {type(value).__name__}")
    return kind.of(value, "records")


def required(**given: str) -> tuple[Condition, ...]:
    """The equalities of strings that must be given, checked."""
    return tuple(Condition(name, "=", codec.string(value, name)) for name, value in given.items())


def equal(**given: str | None) -> tuple[Condition, ...]:
    """The equalities of a list's filters that were given, checked."""
    return required(**{name: value for name, value in given.items() if value is not None})


def any_of(field: str, values: Sequence[str] | None, argument: str) -> tuple[Condition, ...]:
    """That a field is one of several strings, where an argument names some."""
    return () if values is None else (Condition(field, "in", codec.strings(values, argument)),)


def period(since: datetime | None, until: datetime | None) -> tuple[Condition, ...]:
    """That something was written in a period, both ends included."""
    ends = (("since", ">=", since), ("until", "<=", until))
    return tuple(
        Condition("created_at", operator, codec.timestamp(value, name))  # type: ignore[arg-type]
        for name, operator, value in ends
        if value is not None
    )


def last_number(expected_seq: int, given: Sequence[Any]) -> int:
    """The number expected to be the last of the session that all the records given are of."""
    if len({record.session_id for record in given}) > 1:
        raise InvalidRecord("expected_seq", "is one session's last number; these are of several sessions")
    return codec.integer(expected_seq, "expected_seq")


def token_of(fence: Fence | int | None, session_ids: Iterable[str]) -> int | None:
    """The token of a writer to these sessions, which with a fence are one; None for a writer without one."""
    if fence is None:
        return None
    given = None if isinstance(fence, int) else whole_fence(fence)
    token = codec.integer(fence, "fence") if given is None else given.token
    sessions = set(session_ids)
    if len(sessions) > 1:
        raise InvalidRecord("fence", "is one session's; these are of several sessions")
    for session_id in sessions:
        if not session_id:
            raise InvalidRecord("fence", "is a session's; what is written names none")
        if given is not None and given.session_id != session_id:
            raise InvalidRecord("fence", f"is of session {given.session_id!r}, not of {session_id!r}")
    return token


def fenced_session(fence: Fence | int | None, session_id: str | None = None) -> list[str]:
    """The session, if it is named, which decides of a removal before it is known what there is to remove."""
    if session_id is not None:
        return [codec.string(session_id, "session_id")]
    return [] if fence is None or isinstance(fence, int) else [whole_fence(fence).session_id]


def whole_fence(fence: Any) -> Fence:
    """An argument that must be a fence as `acquire` gives it."""
    given = Fence.of(fence, "fence")
    try:
        given = given.cleaned()
        codec.integer(given.token, "token", minimum=1)
    except InvalidRecord as error:
        raise InvalidRecord(f"fence.{error.field}", error.problem) from None
    return given


def choice(value: Any, field: str, choices: dict[str, Any]) -> Any:
    """What an argument that names one of several things stands for."""
    name = codec.string(value, field)
    if name not in choices:
        raise InvalidRecord(field, f"must be one of {', '.join(map(repr, choices))}, not {name!r}")
    return choices[name]


def start_after(query: Query[R], after: R | None) -> Query[R]:
    """The query, from after the record that the page before ended with."""
    if after is None:
        return query
    if query.offset:
        raise InvalidRecord("offset", "can't be given with after: each says where the page begins")
    last: R = query.record.of(after, "after").cleaned()
    for name in query.order:
        if not getattr(last, name.removeprefix("-")):
            raise InvalidRecord("after", f"has no {name.removeprefix('-')}; give the record as the list gave it")
    return replace(query, after=last)


def page_slice(limit: int | None, offset: int = 0) -> dict[str, Any]:
    """The part of a list that a limit and an offset ask for."""
    offset = codec.integer(offset, "offset")
    if limit is None:
        return {"offset": offset}
    return {"offset": offset, "limit": min(codec.integer(limit, "limit"), codec.MAX_INTEGER - offset)}
