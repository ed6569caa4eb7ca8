"""The headers of requests and answers, as the OpenAPI document says them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from .. import codec
from .fences import HEADER as FENCE
from .idempotency import HEADER, REPLAYED


def _header(name: str, description: str, schema: Any = str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.HEADER, description=description, **options)


_KEY = _header(HEADER, "A repeat with the same key returns what the first one stored.")
_TOKEN = {"type": "integer", "minimum": 0, "maximum": codec.MAX_INTEGER, "example": 1}
_FENCE = _header(FENCE, "The writer's token: if the session has given another since, the answer is 409.", _TOKEN)
_NEEDED_FENCE = _header(FENCE, "The token that was given.", _TOKEN, required=True)
_REPLAYED = _header(REPLAYED, "There where the key was known.", {"type": "string", "enum": ["true"]}, response=[201])
_IF_MATCH = _header("If-Match", "The ETag that was read: if the record has another by now, the answer is 412.")
_IF_NONE_MATCH = _header("If-None-Match", "The ETag that was read: if it still has that, the answer is 304.")
_ETAG = _header("ETag", "Names what is answered, for If-None-Match.", required=True, response=[200, 201])
_VERSION = _header("ETag", "Names the record's version, for If-Match.", required=True, response=[200, 201])
_LOCATION = _header(
    "Location", "Where the record is.", {"type": "string", "format": "uri"}, required=True, response=[201]
)

#: Headers that the answers of all operations have, by name.
COMMON: dict[str, dict[str, Any]] = {
    name: {"description": description, "required": True, "schema": schema}
    for name, description, schema in (
        ("Cache-Control", "Only the user's own cache may keep it, and asks again.", {"type": "string"}),
        ("ETag", "The one that was named.", {"type": "string"}),
        ("Retry-After", "Seconds until it can be tried again.", {"type": "integer", "minimum": 0}),
        ("WWW-Authenticate", "How to sign in.", {"type": "string"}),
    )
}
_OF_STATUS = {304: "ETag", 401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def common_headers(status: int) -> dict[str, Any]:
    """References to those that an answer of this status has."""
    names = ["Cache-Control", *([_OF_STATUS[status]] if status in _OF_STATUS else [])]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def headers_of(view: Any, method: str, created: Any) -> list[OpenApiParameter]:
    """The headers that an operation takes, and those of its own that its success has.

    Args:
        created: what its answer is made by.
    """
    action = getattr(view, "action", None)
    versioned = getattr(view, "versioned", False)
    found: list[OpenApiParameter] = []
    if action in getattr(view, "idempotent_actions", ()):
        found += [_KEY, _REPLAYED]
    if created is view.serializer_class and method in ("POST", "PUT"):
        found.append(_LOCATION)
    if method == "GET":
        found += [_IF_NONE_MATCH, _ETAG] if view.sent_whole() else []
    elif versioned:
        found += [_VERSION] if created is view.serializer_class else []
        found += [_IF_MATCH] if view.compares() else []
    if action in view.needs_fence:
        found.append(_NEEDED_FENCE)
    elif action in view.fenced_actions:
        found.append(_FENCE)
    return found
