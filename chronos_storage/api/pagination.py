"""Pages by cursor: each begins where the one before it ended, so that the last costs what the first does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.utils.encoding import escape_uri_path
from drf_spectacular.plumbing import append_meta
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from .. import conf
from ..keyset import from_json, to_json
from ..ledger.mapping import Table
from .found import Found
from .ids import decode, encode
from .query import flag, whole_number

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


def default_page_size() -> int:
    """Rows of a page whose size isn't asked for."""
    size: int = conf.section("API").get("PAGE_SIZE", PAGE_SIZE)
    return size


class KeysetPagination(BasePagination):
    """Goes by columns that are unique together and in the order of an index.

    DRF's own cursor goes by one column, and counts where several rows share its value.
    """

    def paginate_records(self, table: Table[Any], found: Found, order: tuple[str, ...], request: Request) -> list[Any]:
        """The records of the page that the request asks for.

        Args:
            order: fields that are unique together, all ascending, or with a leading "-" all descending.
        """
        self._request = request
        self._count = found.count() if flag(request, "count") else None
        self._columns = [name.removeprefix("-") for name in order]
        size = whole_number(request, "page_size", default_page_size(), MAX_PAGE_SIZE)
        backwards, position = self._position(table, request)
        sign = "-" if order[0].startswith("-") != backwards else ""
        after = None if position is None else dict(zip(self._columns, position, strict=True))
        page, more = found.page([f"{sign}{name}" for name in self._columns], size, after)
        if backwards:
            page.reverse()
        self._next = self._link(page[-1], False) if page and (more or backwards) else None
        self._previous = self._link(page[0], True) if page and (more if backwards else position) else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"count": self._count, "next": self._next, "previous": self._previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = append_meta({"type": "string", "format": "uri"}, {"nullable": True})  # as the host's OpenAPI says it
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {
                    **append_meta({"type": "integer"}, {"nullable": True}),
                    "description": "How many there are on all pages; null unless asked for.",
                },
                "next": {**link, "description": "The next page, or null."},
                "previous": {**link, "description": "The page before this one, or null."},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
                "description": "Where the page begins, from the `next` or `previous` of another.",
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
                "description": "How many, at most.",
            },
            {
                "name": "count",
                "in": "query",
                "required": False,
                "schema": {"type": "boolean"},
                "description": "Whether to say how many there are on all pages.",
            },
        ]

    def _link(self, record: Any, backwards: bool) -> str:
        position = to_json(getattr(record, name) for name in self._columns)
        cursor = encode(json.dumps([int(backwards), *position], separators=(",", ":")))
        query = sorted({**dict(self._request.query_params.lists()), "cursor": [cursor]}.items())
        return self._request.build_absolute_uri(f"{escape_uri_path(self._request.path)}?{urlencode(query, doseq=True)}")

    def _position(self, table: Table[Any], request: Request) -> tuple[bool, tuple[Any, ...] | None]:
        """Which way the page goes, and what its columns are after; None at the start."""
        cursor = request.query_params.get("cursor")
        if cursor is None:
            return False, None
        try:
            backwards, *position = json.loads(decode(cursor))
            if backwards not in (0, 1):
                raise ValueError(cursor)
            columns: Any = [table.model._meta.get_field(column) for column in self._columns]
            return bool(backwards), from_json(columns, position)
        except (RecursionError, TypeError, ValueError):
            raise ValidationError({"cursor": "is no cursor of this list"}) from None
