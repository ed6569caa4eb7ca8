"""What PostgreSQL does to save a checkpoint: one call of a function, after one look at the state that is the base.

The look locks nothing. The function has the lock, and stores nothing where the log goes on elsewhere by then or the
base is gone: the portable form (see `backends.orm.checkpoints`) is for that, and for all else that is out of the usual.
"""

from __future__ import annotations

from copy import copy
from functools import cache, partial
from typing import Any

from django.db import connections

from .. import codec
from ..batches import SIZE
from ..checkpoints.outlines import WHOLE, Outline
from ..checkpoints.runs import Range, Run, packed
from ..checkpoints.skeletons import place
from ..models import Checkpoint, CheckpointItems, Head
from ..preparing import prepared_cursor
from ..records import Checkpoint as CheckpointRecord
from .item_log import digests_of
from .mapping import CHECKPOINTS
from .postgresql import OPTIONS, Function, HeadOf, column_values, columns_of, lock_head, move_head

_TABLE, _ITEMS = Checkpoint._meta.db_table, CheckpointItems._meta.db_table
#: The function's parameters before the columns: the writer's token; the row that the skeleton was made from, as its id
#: may be another checkpoint's by now, and where the log went on then, NULL for a state that is whole; where it goes on
#: now; and the runs that are added.
_PARAMETERS = {
    "token": "bigint",
    "base_row": "bigint",
    "log_start": "bigint",
    "log_stop": "bigint",
    "starts": "bigint[]",
    "stops": "bigint[]",
    "digests": "bytea[]",
    "items": "text[]",
}
#: The base: the parent, or else the latest.
_LOOK = f"""
    SELECT (SELECT log_end FROM {Head._meta.db_table}
            WHERE owned_by = %s AND owner = %s AND kind = 'checkpoint' AND namespace = %s),
        base.id, base.state::text
    FROM (SELECT) AS one LEFT JOIN LATERAL (
        (SELECT id, state, state_size FROM {_TABLE}
            WHERE session_id = %s AND checkpoint_id = %s AND namespace = %s)
        UNION ALL
        (SELECT id, state, state_size FROM {_TABLE}
            WHERE session_id = %s AND namespace = %s ORDER BY seq_num DESC LIMIT 1)
        LIMIT 1
    ) AS base ON base.state_size IS NOT NULL"""


@cache
def save_function() -> Function:
    """The function that saves a checkpoint under the next number of its series, with what is new in the log.

    It returns null and leaves everything as it was where there is no session, it is deleted or has another fence, the
    log goes on elsewhere, the base is gone, the id is taken, or there is no next number.
    """
    columns = columns_of(CHECKPOINTS)
    parameters = _PARAMETERS | {f"given_{name}": kind for name, kind in columns.items()}
    series = HeadOf(Head.Kind.CHECKPOINT, "given_session_id", "given_session_id", "given_namespace")
    moved = {"seq_num": "head.seq_num + 1", "log_end": "COALESCE(log_stop, head.log_end)"}
    body = f"""
        DECLARE
            head record;
            of_session record;
        BEGIN
            {lock_head(series, "seq_num, log_end", needs_session=True)}
            IF head.id IS NULL THEN
                head.seq_num := 0;
                head.log_end := 0;
            END IF;
            IF head.log_end <> log_start OR head.seq_num = {codec.MAX_INTEGER} THEN
                RETURN;
            END IF;
            IF base_row IS NOT NULL THEN
                PERFORM 1 FROM {_TABLE} WHERE session_id = given_session_id AND id = base_row;
                IF NOT FOUND THEN
                    RETURN;
                END IF;
            END IF;
            INSERT INTO {_TABLE} ({", ".join(columns)}, seq_num)
            VALUES ({", ".join(f"given_{name}" for name in columns)}, head.seq_num + 1)
            ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                RETURN;
            END IF;
            IF log_stop > log_start THEN
                INSERT INTO {_ITEMS} (session_id, namespace, start, stop, digests, items)
                SELECT given_session_id, given_namespace, * FROM unnest(starts, stops, digests, items);
            END IF;
            {move_head(series, moved)}
            new_seq_num := head.seq_num + 1;
        END """
    declared = ", ".join(f"{name} {kind}" for name, kind in parameters.items())
    signature = f"({declared}, OUT new_seq_num bigint) {OPTIONS}"
    return Function(f"{_TABLE}_append", signature, body, routed_by=series.owner)


@cache
def save_statement() -> str:
    """The statement that saves one checkpoint; its parameters are those of `_PARAMETERS`, and the columns' values."""
    kinds = (*_PARAMETERS.values(), *columns_of(CHECKPOINTS).values())
    return f"SELECT {save_function().name}({', '.join(f'%s::{kind}' for kind in kinds)})"


def save_one(using: str, new: CheckpointRecord, parts: Outline, fence: int | None) -> bool:
    """Save a complete checkpoint, and give it its number.

    Args:
        parts: the outline of its state.
        fence: the writer's token; None for who has none.

    Returns:
        Whether it is saved; if it is not, the portable form finds out why.
    """
    kept, runs = new, list[Run]()
    base_row = start = stop = None
    if parts.size > WHOLE:
        owner, namespace = new.session_id, new.namespace
        start, base_row, base = _look(using, owner, namespace, new.parent_id)
        read = partial(_digests_in, using, owner, namespace)
        state: Any
        state, added = place(parts, base, start, read)
        if sum(len(item.text) for item in added) > SIZE:
            return False
        kept = copy(new)
        kept.state = state
        runs, stop = packed(added, start), start + len(added)
    columns: list[Any] = list(zip(*runs, strict=True)) or [()] * 4
    given, *_ = column_values(CHECKPOINTS, kept)
    with prepared_cursor(connections[using]) as cursor:
        cursor.execute(save_statement(), [fence, base_row, start, stop, *map(list, columns), *given])
        (seq_num,) = cursor.fetchone()
    if seq_num is None:
        return False
    new.seq_num = seq_num
    return True


def _digests_in(using: str, session_id: str, namespace: str, ranges: list[Range]) -> dict[int, bytes]:
    """The digests of the items in the base's ranges, by position.

    What is near them, and would do too, nobody may use any more: it can be removed before the function has the lock.
    """
    found = digests_of(using, session_id, namespace, ranges)
    return {at: found[at] for start, stop in ranges for at in range(start, stop) if at in found}


def _look(using: str, session_id: str, namespace: str, parent_id: str) -> tuple[int, int | None, Any]:
    """Where the log of a series goes on, and the row and the skeleton of the base, where there is one."""
    series = (session_id, namespace)
    with prepared_cursor(connections[using]) as cursor:
        cursor.execute(_LOOK, [session_id, *series, session_id, parent_id, namespace, *series])
        log_end, base_row, state = cursor.fetchone()
    return log_end or 0, base_row, None if state is None else codec.loads(state)
