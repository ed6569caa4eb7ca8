"""Audit log entries as files, streamed."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from .. import codec
from ..records import AuditLog
from ..sending import streamed

_NAMES = [field.name for field in dataclasses.fields(AuditLog)]
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _values(log: AuditLog) -> dict[str, Any]:
    values = {name: getattr(log, name) for name in _NAMES}
    return values | {"created_at": log.created_at.isoformat() if log.created_at else None}


class _Echo:
    """What the writer of the CSV module writes to: it gives each line back."""

    def write(self, line: str) -> str:
        return line


def _csv(logs: Iterable[AuditLog]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(_NAMES)
    for log in logs:
        values = _values(log) | {"detail": codec.dumps(log.detail)}
        yield writer.writerow([_defused(str(value)) for value in values.values()])


def _defused(cell: str) -> str:
    """The cell, so that no spreadsheet computes it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _jsonl(logs: Iterable[AuditLog]) -> Iterator[str]:
    for log in logs:
        yield json.dumps(_values(log), ensure_ascii=False) + "\n"


#: By the name of the format: the media type, and what makes lines of entries.
FORMATS = {"csv": ("text/csv", _csv), "jsonl": ("application/jsonl", _jsonl)}


def export(request: HttpRequest, logs: Iterable[AuditLog], format: str) -> StreamingHttpResponse:  # noqa: A002
    """The entries in one of `FORMATS`, as a file to keep."""
    media_type, lines = FORMATS[format]
    return streamed(
        request,
        (line.encode() for line in lines(logs)),
        content_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit-log.{format}"'},
    )
