"""ETags, and updates that write only over what their writer has seen.

An ETag is of the body as it is sent. Where a record can be updated it begins with the version of what an update can
change, and that alone is what ``If-Match`` must name: new messages change a session's body, but no update's ground.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from .. import codec
from ..exceptions import NotFound
from ..records import Record
from .compat import conditional_response
from .found import Found
from .json_media import encode
from .problems import MEDIA_TYPE, PreconditionFailed, of_framework
from .store import exclusively

_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_TAG = re.compile(r'\s*(W/)?("[^"]*")\s*(?:,|\Z)')


def version_of(record: Any) -> str:
    """The version of what an update can change; a session's activity is no part of it."""
    values = {
        field.name: str(value) if field.name.endswith("_at") else value
        for field in dataclasses.fields(record)
        if field.name != "last_activity_at"
        for value in (getattr(record, field.name),)
    }
    return _hash(codec.canonical(values).encode())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def add_etag(request: HttpRequest, version: str, response: HttpResponse) -> HttpResponse | None:
    """Give a rendered response its ETag; what to answer in its place, where the request names it in If-None-Match, or
    another in If-Match.

    Args:
        version: `version_of` its record, or "" where it has none.
    """
    etag = f'"{version and version + "."}{_hash(response.content)}"'
    response["ETag"] = etag
    if request.method not in ("GET", "HEAD") or request.META.keys().isdisjoint(_CONDITIONS):
        return None
    answer = conditional_response(request, etag, response)
    if answer is not None and answer.status_code == PreconditionFailed.status_code:
        failed = PreconditionFailed()
        answer.content = encode(of_framework(failed, failed.status_code).data).encode()
        answer["Content-Type"] = MEDIA_TYPE
        for name in ("Cache-Control", "Vary"):
            answer[name] = response[name]
    return answer


def write_if_match(
    request: Request, record: type[Record], id: str, found: Found, write: Callable[[], Any], *, reads: bool = False
) -> Any:
    """What `write` returns, if the record of this id still has the version that ``If-Match`` names.

    With such a condition nobody else changes it from the look to the write, so that of several writers who saw one
    version one wins.

    Args:
        found: it, if it is there for the user.
        reads: whether `write` stores what it has read, changed: nobody changes it in between, then, in any case.

    Raises:
        PreconditionFailed: it has another version by now.
        NotFound: it is not there.
    """
    condition = request.headers.get("If-Match", "*").strip()
    if condition == "*" and not reads:
        if not found.exists():
            raise NotFound
        return write()

    def write_over_what_was_seen() -> Any:
        if condition != "*":
            seen = found.one()
            if seen is None:
                raise NotFound
            if version_of(seen) not in _versions(condition):
                raise PreconditionFailed
        return write()

    return exclusively(record, [id], write_over_what_was_seen)


def _versions(condition: str) -> set[str]:
    return {tag.strip('"').partition(".")[0] for weak, tag in _TAG.findall(condition) if not weak}


def replaced(record: Record, changes: dict[str, Any]) -> Any:
    """The record with these changes."""
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]
