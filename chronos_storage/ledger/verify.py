"""Checking a hash chain against its rows and its head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        if (now.pk, now.base_seq) == (head.pk, head.base_seq):
            return verdict


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
    names = [name for name in table.names if name != series.document]
    columns = [table.id if name == "id" else name for name in names]
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
