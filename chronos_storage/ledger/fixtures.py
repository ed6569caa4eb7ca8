"""Ledger rows that come from a fixture: their numbers and hashes must fit."""

from __future__ import annotations

from typing import Any

from ..exceptions import AppendOnlyError
from ..models import Head
from . import chain
from .guards import LedgerModel
from .series import SERIES


def _record(instance: LedgerModel) -> Any:
    table = SERIES[type(instance)].table
    return table.record(
        **{name: getattr(instance, column) for name, column in zip(table.names, table.columns, strict=True)}
    )


def check_row(sender: type[LedgerModel], instance: LedgerModel, using: str, **kwargs: Any) -> None:
    """The receiver of pre_save, which for these models only a fixture sends: refuse a row that doesn't fit."""
    series = SERIES[sender]
    record = _record(instance)
    name = series.owner(record)
    head = Head.objects.using(using).filter(kind=series.kind, owner=name, namespace="").first()
    if head is not None and record.seq_num == head.base_seq + 1:
        previous = head.base_hash
    elif record.seq_num == 1:
        previous = chain.ZERO
    else:
        before = sender.objects.using(using).filter(**{series.column: name, "seq_num": record.seq_num - 1}).first()
        if before is None:
            missing = record.seq_num - 1
            raise AppendOnlyError(f"{sender.__name__} {record.id!r}: number {missing} of {name!r} is missing")
        previous = before.hash
    if chain.link(previous, record.seq_num, series.tail(record, series.text(record))) != record.hash:
        raise AppendOnlyError(f"{sender.__name__} {record.id!r}: its hash doesn't continue the chain {name!r}")


def move_head(sender: type[LedgerModel], instance: LedgerModel, using: str, **kwargs: Any) -> None:
    """The receiver of post_save: the chain now ends with this row, unless it went on already."""
    series = SERIES[sender]
    record = _record(instance)
    head, _ = Head.objects.using(using).get_or_create(
        kind=series.kind,
        owner=series.owner(record),
        namespace="",
        defaults={"hash": chain.ZERO, "base_hash": chain.ZERO},
    )
    if record.seq_num > head.seq_num:
        head.seq_num, head.hash = record.seq_num, record.hash
        head.save(using=using)
