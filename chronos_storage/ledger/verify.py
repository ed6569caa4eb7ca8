"""Checking a hash chain against its rows and its head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.db.models import Exists, OuterRef, TextField
from django.db.models.functions import Cast

from ..chains.hashing import ZERO
from ..chains.verification import verify_chain
from ..models import Head
from ..records import Verdict
from .pages import Columns, iterate
from .series import ChainSeries

_PAGE = 1000


def verify(using: str, series: ChainSeries[Any], name: str) -> Verdict:
    """Walk one chain, by pages, to its first row that is not as it was appended."""
    while True:
        head = _head(using, series, name)
        verdict = _walk(using, series, name, head)
        now = _head(using, series, name)
        # A purge or a deletion meanwhile took rows away that the walk then missed: it begins again.
        if verdict.intact or (now.pk, now.base_seq) == (head.pk, head.base_seq):
            return verdict


def _head(using: str, series: ChainSeries[Any], name: str) -> Head:
    heads = Head.objects.using(using).filter(kind=series.kind, owner=name, namespace="")
    return heads.first() or Head(hash=ZERO, base_hash=ZERO)


def _walk(using: str, series: ChainSeries[Any], name: str, head: Head) -> Verdict:
    def last_seq() -> int:
        return Head.objects.using(using).filter(pk=head.pk).values_list("seq_num", flat=True).first() or 0

    return verify_chain(series, series.kind.value, name, head, _rows(using, series, name), last_seq)


def _rows(using: str, series: ChainSeries[Any], name: str) -> Iterator[tuple[Any, str]]:
    """The chain's records by number, each without its JSON, but with the text of that as it is stored."""
    table = series.table
    names = [name for name in table.names if name != series.document]
    columns = [table.id if name == "id" else name for name in names]
    rows = table.model._default_manager.using(using).filter(**{series.column: name})
    found = Columns(table.model, *columns, Cast(series.document, TextField()))
    for *values, text in iterate(found, rows, "seq_num"):
        yield table.record(**dict(zip(names, values, strict=True))), text


def chain_names(
    using: str, series: ChainSeries[Any], read: Callable[[Callable[[], list[str]]], list[str]]
) -> Iterator[str]:
    """The name of every chain of a series, then those of rows that belong to none.

    Args:
        read: calls what reads a page of them.
    """
    # A head may be there before anything was appended.
    heads = Head.objects.using(using).filter(kind=series.kind, namespace="", seq_num__gt=0).order_by("owner")
    after = None
    while True:
        page = heads if after is None else heads.filter(owner__gt=after)
        names = read(partial(list, page.values_list("owner", flat=True)[:_PAGE]))
        yield from names
        if len(names) < _PAGE:
            break
        after = names[-1]
    rows = series.table.model._default_manager.using(using)
    headless = rows.filter(~Exists(heads.order_by().filter(owner=OuterRef(series.column)))).order_by()
    yield from read(partial(list, headless.values_list(series.column, flat=True).distinct()))
