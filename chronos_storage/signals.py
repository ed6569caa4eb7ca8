"""Signals for a host's own code: metrics, caches, notifications.

They are sent after the transaction that wrote has been committed, and a receiver that fails is logged by Django and
stops nothing. All carry `using`, the database alias; None where the store is no database.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal

from .compat.models import is_heard, renew_lock
from .forks import in_child
from .transactions import nothing_under_way

#: Sender: the record's class. `records`: what was written, as stored; copies, which receivers share.
records_written: Signal = Signal()
#: Sender: records.Session. `session_id`, and `hard`: whether it was removed or only hidden.
session_deleted: Signal = Signal()
#: Sender: records.AuditLog. `audit_log`: the entry that says what was removed from the ledger, and why.
ledger_purged: Signal = Signal()
#: Sender: the record's class. `counts`: how many things of which name were taken out of one before it was written, or
#: would have been taken out of one that was loaded. Sent at once, written or not, and without `using`.
redacted: Signal = Signal()


def _begin_anew() -> None:
    for signal in (records_written, session_deleted, ledger_purged, redacted):
        renew_lock(signal)  # each sending takes it, in whichever thread


in_child(_begin_anew)


def announce(signal: Signal, sender: type[Any], using: str, **details: Any) -> None:
    """Send `signal` once the current transaction of `using` is committed."""

    def send() -> None:
        with nothing_under_way():  # what receivers call is no part of the call that wrote
            signal.send_robust(sender, using=using, **details)

    if is_heard(signal, sender):
        transaction.on_commit(send, using=using, robust=True)
