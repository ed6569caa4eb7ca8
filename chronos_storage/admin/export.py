"""Audit log entries as files, streamed."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from .. import codec
from ..parts import in_parts
from ..records import AuditLog

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
    chunks: Any = in_parts(line.encode() for line in lines(logs))
    if isinstance(request, ASGIRequest):
        chunks = _in_thread(chunks)  # or Django would wait for all of them
    return StreamingHttpResponse(
        chunks,
        content_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit-log.{format}"'},
    )


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    def following() -> bytes:
        return next(chunks, b"")

    while chunk := await sync_to_async(following)():
        yield chunk
