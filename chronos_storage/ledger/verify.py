"""Checking a hash chain against its rows and its head."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from django.db.models import Exists, OuterRef, TextField
from django.db.models.functions import Cast
from django.db.models.query import QuerySet

from ..chains.hashing import ZERO
from ..chains.verification import verify_chain
from ..compat.queries import selecting
from ..models import Head
from ..records import ChainHead, Verdict
from .heads import head_owner, heads_of
from .kept import Rows
from .pages import Columns, iterate
from .series import ChainSeries

_PAGE = 1000
#: What of a head its chain is checked against.
_HEAD = ("id", "seq_num", "hash", "base_seq", "base_hash")


def verify(using: str, series: ChainSeries[Any], name: str) -> Verdict:
    """Walk one chain, by pages, to its first row that is not as it was appended."""
    while True:
        head = _head(using, series, name)
        verdict = _walk(using, series, name, head)
        if verdict.intact:
            return verdict
        now = _head(using, series, name)
        # A purge or a deletion meanwhile took rows away that the walk then missed: it begins again.
        if _beginning(now) == _beginning(head):
            return verdict


def verify_several(using: str, series: ChainSeries[Any], names: Collection[str], most: int) -> dict[str, Verdict]:
    """The verdicts of several chains, which are read at once; of those alone that have at most so many rows."""
    heads = {head.series: head for head in heads_of(using, series.kind, names)}
    short = {name: head for name, head in heads.items() if head.seq_num - head.base_seq <= most}
    for head in short.values():
        head.hash, head.base_hash = head.hash or ZERO, head.base_hash or ZERO
    owners = {head_owner(series.kind, name) for name in short}
    rows = series.table.model._default_manager.using(using).filter(
        **{f"{series.column}__in": set(short), f"{series.owner_column}__in": owners}
    )
    fields, columns = _columns(series)
    chains: dict[str, list[tuple[Any, str]]] = {name: [] for name in short}
    for chain, *values, text in rows.order_by("seq_num").values_list(
        series.column, *columns, Cast(series.document, TextField())
    ):
        chains[chain].append((series.table.record(**dict(zip(fields, values, strict=True))), text))
    verdicts = {
        name: verify_chain(series, series.kind.value, name, short[name], rows, lambda: sys.maxsize)
        for name, rows in chains.items()
    }
    broken = [name for name, each in verdicts.items() if not each.intact]
    now = {head.series: _beginning(head) for head in heads_of(using, series.kind, broken)} if broken else {}
    # What looks broken may have been read while a purge or a deletion took rows away.
    return {
        name: each if each.intact or now.get(name) == _beginning(short[name]) else verify(using, series, name)
        for name, each in verdicts.items()
    }


def _beginning(head: Head) -> tuple[int, int]:
    """What a purge or a deletion changes of a head."""
    return head.pk, head.base_seq


def _columns(series: ChainSeries[Any]) -> tuple[list[str], list[str]]:
    """The fields of a chain's records but their JSON, and the columns of these."""
    names = [name for name in series.table.names if name != series.document]
    return names, [series.table.id if name == "id" else name for name in names]


def _head(using: str, series: ChainSeries[Any], name: str) -> Head:
    def make(owner: Any, name: Any) -> QuerySet[Any]:
        return Head.objects.using(using).filter(kind=series.kind, namespace="", owner=owner, series=name)

    rows = Rows(using, make, (head_owner(series.kind, name), name), ("a head to verify", series.kind))
    for found in rows.fetch("head", lambda rows: selecting(rows, _HEAD)):
        return Head(**dict(zip(_HEAD, found, strict=True)))
    return Head(hash=ZERO, base_hash=ZERO)


def _walk(using: str, series: ChainSeries[Any], name: str, head: Head) -> Verdict:
    def last_seq() -> int:
        same = heads_of(using, series.kind, [name]).filter(pk=head.pk)
        return same.values_list("seq_num", flat=True).first() or 0

    return verify_chain(series, series.kind.value, name, head, _rows(using, series, name), last_seq)


def _rows(using: str, series: ChainSeries[Any], name: str) -> Iterator[tuple[Any, str]]:
    """The chain's records by number, each without its JSON, but with the text of that as it is stored."""
    table = series.table
    names, columns = _columns(series)
    owner = head_owner(series.kind, name)
    rows = Rows(using, partial(series.rows_of, using), (name, owner), ("a chain to verify", series.kind))
    found = Columns(table.model, *columns, Cast(series.document, TextField()))
    for *values, text in iterate(found, rows, "seq_num"):
        yield table.record(**dict(zip(names, values, strict=True))), text


def chain_heads(
    using: str, series: ChainSeries[Any], read: Callable[[Callable[[], list[Any]]], list[Any]]
) -> Iterator[ChainHead]:
    """The head of every chain of a series, then what stands for those of rows that belong to none.

    Args:
        read: calls what reads a page of them.
    """
    kind = series.kind.value
    # A head may be there before anything was appended.
    heads = Head.objects.using(using).filter(kind=series.kind, namespace="", seq_num__gt=0).order_by("series")
    after = None
    while True:
        page = heads if after is None else heads.filter(series__gt=after)
        found = read(partial(list, page.values_list("series", "seq_num", "hash", "base_seq", "base_hash")[:_PAGE]))
        for name, seq_num, last, base_seq, base in found:
            yield ChainHead(
                kind=kind, chain=name, seq_num=seq_num, hash=last, base_seq=base_seq, base_hash=base or ZERO
            )
        if len(found) < _PAGE:
            break
        after = found[-1][0]
    rows = series.table.model._default_manager.using(using)
    of_row = {"series": OuterRef(series.column), "owner": OuterRef(series.owner_column)}
    headless = rows.filter(~Exists(heads.order_by().filter(**of_row))).order_by()
    for name in read(partial(list, headless.values_list(series.column, flat=True).distinct())):
        yield ChainHead(kind=kind, chain=name, seq_num=0, hash=ZERO, base_seq=0, base_hash=ZERO)
