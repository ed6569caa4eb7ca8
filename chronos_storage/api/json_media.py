"""JSON in and out: limits before parsing, and numbers and the order of keys as they were."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpRequest
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer as BaseJSONRenderer

from .. import codec, conf
from .problems import BodyTooLarge, LengthRequired

#: Bytes of the largest body: room for the largest value of a record and as much beside it.
MAX_BODY = 2 * codec.MAX_JSON_BYTES
#: How deep a record's field may lie in a body: in a record, in a list, in an object.
_WRAPPING = 3

#: Whole strings, closed or not, and runs of brackets: each byte is looked at once, whatever comes.
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]+|[\]}]+', re.DOTALL)


#: A value as compact JSON.
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def max_body() -> int:
    """Bytes of the largest body that is read."""
    limit: int = conf.section("API").get("MAX_BODY", MAX_BODY)
    return limit


def require_length(request: HttpRequest) -> None:
    """Refuse a body that comes without its length, which Django would take for none.

    Raises:
        LengthRequired: as it says.
    """
    if request.META.get("CONTENT_LENGTH"):
        return
    # HTTP/2 has no header that tells of a body.
    if "HTTP_TRANSFER_ENCODING" in request.META or (request.method not in ("GET", "HEAD") and request.read(1)):
        raise LengthRequired


def refuse_encoded(request: Any) -> None:
    """Refuse a body that is compressed, whose size nobody knows.

    Raises:
        UnsupportedMediaType: as it says.
    """
    encoding: str = request.META.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding.lower() != "identity":
        raise UnsupportedMediaType(encoding, f"the body must come as it is, not as {encoding}")


class JSONRenderer(BaseJSONRenderer):
    """JSON as UTF-8, whatever the project's settings for DRF say."""

    ensure_ascii = False
    compact = True
    strict = True


class JSONParser(BaseParser):
    """Reads a JSON body of bounded size and depth, strictly."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        assert parser_context
        refuse_encoded(parser_context["request"])
        limit = max_body()
        body: bytes = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"the body is larger than {limit:,} bytes")
        if _depth(body) > codec.MAX_DEPTH + _WRAPPING:
            raise ParseError(f"the body is nested more than {codec.MAX_DEPTH + _WRAPPING} deep")
        try:
            return _decode(body.decode())
        except UnicodeDecodeError:
            raise ParseError("the body must be UTF-8") from None
        except ValueError as error:  # JSON that is none, or a number of thousands of digits
            raise ParseError(f"the body must be JSON: {error}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON's")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _depth(body: bytes) -> int:
    """How deep lists and objects are nested, at most; of what isn't JSON, some number."""
    if body.count(b"[") + body.count(b"{") <= codec.MAX_DEPTH:
        return 0
    depth = deepest = 0
    for token in _TOKENS.finditer(body):
        text = token[0]
        if text[0] in b"[{":
            depth += len(text)
            deepest = max(deepest, depth)
        elif text[0] in b"]}":
            depth -= len(text)
    return deepest
