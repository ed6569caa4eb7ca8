"""The records of the append-only ledger, and what its hash chains say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import codec
from ..exceptions import InvalidRecord
from . import fields
from .base import Record


def _erased(value: Any, field: str) -> str:
    digest = codec.string(value, field)
    if digest and not re.fullmatch("[0-9a-f]{64}([0-9a-f]{64})?", digest):
        raise InvalidRecord(field, "must be what the store put there: 64 or 128 hexadecimal digits")
    return digest


@dataclass(slots=True, kw_only=True)
class AuditLog(Record):
    """Who did what to which resource. Append-only; `seq_num`, `hash` and `erased` are the store's.

    Attributes:
        erased: the digest of what was here before an erasure emptied the entry (see `chains.erasing`); else empty.
    """

    id: str = fields.string()
    session_id: str = fields.string()
    agent_id: str = fields.string()
    user_id: str = fields.string()
    actor: str = fields.string()
    action: str = fields.string()
    resource: str = fields.string()
    detail: dict[str, Any] = fields.json_object()
    seq_num: int = fields.number()
    hash: str = fields.string()
    created_at: datetime | None = fields.timestamp()
    erased: str = fields.field(_erased, default="")


@dataclass(slots=True, kw_only=True)
class Event(Record):
    """An entry of a session's append-only ledger; `seq_num`, `hash` and `erased` are the store's.

    Known types: ``chat_message``, ``chat_summary``, ``node_executed``.

    Attributes:
        schema: the name of the payload's shape; see `chronos_storage.upcasters`.
        schema_version: which version of it, from 0.
        erased: the digest of what was here before an erasure emptied the event (see `chains.erasing`); else empty.
    """

    id: str = fields.string()
    session_id: str = fields.string()
    seq_num: int = fields.number()
    hash: str = fields.string()
    type: str = fields.string()
    payload: Any = fields.json_value()
    schema: str = fields.string()
    schema_version: int = fields.number()
    created_at: datetime | None = fields.timestamp()
    erased: str = fields.field(_erased, default="")


@dataclass(slots=True, kw_only=True, frozen=True)
class Verdict:
    """What a check of one hash chain found.

    Attributes:
        kind: ``event`` or ``audit_log``.
        chain: the session's id; for audit logs ``session:<session_id>`` or ``agent:<agent_id>``.
        base_seq: the number after which the chain begins: 0, or the last that a purge removed.
        last_seq: the number of the last row appended.
        checked: how many rows were read, up to and including the bad one.
        bad_seq: the number of the first row that is not as it was appended; None if all are.
        problem: what is wrong with that row; empty if nothing is.
        erased: how many of the rows were emptied by an erasure.
    """

    kind: str
    chain: str
    base_seq: int = 0
    last_seq: int = 0
    checked: int = 0
    bad_seq: int | None = None
    problem: str = ""
    erased: int = 0

    @property
    def intact(self) -> bool:
        """Whether every row is as it was appended."""
        return self.bad_seq is None


@dataclass(slots=True, kw_only=True, frozen=True)
class ChainHead:
    """Where a hash chain ends, and where it begins.

    Attributes:
        kind: ``event`` or ``audit_log``.
        chain: the session's id; for audit logs ``session:<session_id>`` or ``agent:<agent_id>``.
        seq_num: the number of the last row appended; 0 where rows stand there without a head.
        hash: that row's, in hexadecimal.
        base_seq: the number after which the chain begins: 0, or the last that a purge removed.
        base_hash: the hash of the row of that number; zeros where there was none.
    """

    kind: str
    chain: str
    seq_num: int
    hash: str
    base_seq: int
    base_hash: str
