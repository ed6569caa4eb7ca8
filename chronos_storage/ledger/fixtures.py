"""Ledger rows that come from a fixture: their numbers and hashes must fit.

A fixture holds rows in any order: a dump has audit entries by their ids, and the heads after the rows. So each chain
that it touches is checked as a whole, by `loaddata` once all is there. A row that is deserialized in another way is
checked at once, with all of its chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..exceptions import AppendOnlyError
from ..models import Head, Session
from ..models.append_only import LedgerModel
from .heads import heads_of, lock_heads, move
from .series import CHAINS, ChainSeries
from .verify import verify

Chain = tuple[ChainSeries[Any], str]

_BY_KIND = {series.kind: series for series in CHAINS.values()}
_touched: WeakKeyDictionary[BaseDatabaseWrapper, set[Chain]] = WeakKeyDictionary()


@contextmanager
def checked(using: str) -> Iterator[None]:
    """Around the loading of fixtures, in its transaction.

    Raises:
        AppendOnlyError: at the end, a chain that was touched isn't intact.
    """
    connection = connections[using]
    touched = _touched[connection] = set()
    try:
        yield
    finally:
        del _touched[connection]
    for series, name in sorted(touched, key=lambda chain: (chain[0].kind, chain[1])):
        _require_intact(using, series, name)


def note_row(sender: type[LedgerModel], instance: LedgerModel, using: str, **kwargs: Any) -> None:
    """The receiver of post_save, which for these models only a fixture sends."""
    series = CHAINS[sender]
    name = getattr(instance, series.column)
    touched = _touched.get(connections[using])
    if touched is None:
        _require_intact(using, series, name)
    else:
        touched.add((series, name))


def place_head(sender: type[Head], instance: Head, using: str, raw: bool, **kwargs: Any) -> None:
    """The receiver of pre_save: a head from a fixture takes the place of its series' own, and never sets it back."""
    if not raw:
        return
    # From before there were owners: what is its series' name now had theirs.
    instance.series = instance.series or instance.__dict__["owner"]
    stored = heads_of(using, instance.kind, [instance.series], instance.namespace).first()
    instance.pk = None if stored is None else stored.pk
    if stored is not None:
        instance.base_seq, instance.base_hash = stored.base_seq, stored.base_hash
        if stored.seq_num >= instance.seq_num:
            instance.seq_num, instance.hash = stored.seq_num, stored.hash
    touched = _touched.get(connections[using])
    if touched is not None and instance.kind in _BY_KIND:
        touched.add((_BY_KIND[Head.Kind(instance.kind)], instance.series))


def keep_hold(sender: type[Session], instance: Session, using: str, raw: bool, **kwargs: Any) -> None:
    """The receiver of pre_save: a session from a fixture, of before its hold or before there were any, lifts none."""
    if raw and not instance.legal_hold:
        instance.legal_hold = sender.objects.using(using).filter(pk=instance.pk, legal_hold=True).exists()


def _require_intact(using: str, series: ChainSeries[Any], name: str) -> None:
    """Check a chain, after its head was moved to its last row."""
    head = lock_heads(using, series.kind, [name], deleted_too=True)[name]
    rows = series.rows(using, name).filter(seq_num__gt=head.seq_num)
    last = rows.order_by("-seq_num").values_list("seq_num", "hash").first()
    if last is not None:
        head.seq_num, head.hash = last
        move(using, head, "seq_num", "hash")
    verdict = verify(using, series, name)
    if not verdict.intact:
        raise AppendOnlyError(f"the fixture doesn't fit the {series.kind} chain {name!r}: {verdict.problem}")
