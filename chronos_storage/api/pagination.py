"""Pages by cursor: each begins where the one before it ended, so that the last costs what the first does."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models.query import QuerySet
from drf_spectacular.plumbing import append_meta
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from .. import codec, conf
from ..backends.orm.pages import fetch_page
from ..exceptions import InvalidRecord
from ..keyset import After
from ..ledger.mapping import Table
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

    def paginate_records(
        self, table: Table[Any], rows: QuerySet[Any], order: tuple[str, ...], request: Request
    ) -> list[Any]:
        """The records of the page that the request asks for.

        Args:
            order: fields that are unique together, all ascending, or with a leading "-" all descending.
        """
        self._request = request
        self._count = rows.count() if flag(request, "count") else None
        self._columns = [name.removeprefix("-") for name in order]
        size = whole_number(request, "page_size", default_page_size(), MAX_PAGE_SIZE)
        backwards, position = self._position(table, request)
        descending = order[0].startswith("-") != backwards
        if position is not None:
            rows = rows.filter(After(self._columns, position, "lt" if descending else "gt"))
        sign = "-" if descending else ""
        page, more = fetch_page(table, rows, [f"{sign}{name}" for name in self._columns], size)
        if backwards:
            page.reverse()
        self._next = self._link(table, page, False) if page and (more or backwards) else None
        self._previous = self._link(table, page, True) if page and (more if backwards else position) else None
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

    def _link(self, table: Table[Any], page: list[Any], backwards: bool) -> str:
        record = page[0] if backwards else page[-1]
        position = [_plain(getattr(record, "id" if column == table.id else column)) for column in self._columns]
        text = json.dumps([int(backwards), *position], separators=(",", ":"))
        cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return replace_query_param(self._request.build_absolute_uri(), "cursor", cursor)

    def _position(self, table: Table[Any], request: Request) -> tuple[bool, list[Any] | None]:
        """Which way the page goes, and what its columns are after; None at the start."""
        cursor = request.query_params.get("cursor")
        if cursor is None:
            return False, None
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            backwards, *values = json.loads(text)
            if backwards not in (0, 1) or len(values) != len(self._columns):
                raise ValueError(cursor)
            fields = [table.model._meta.get_field(column) for column in self._columns]
            return bool(backwards), [_value(field, value) for field, value in zip(fields, values, strict=True)]
        except (binascii.Error, InvalidRecord, RecursionError, TypeError, ValueError):
            raise ValidationError({"cursor": "is no cursor of this list"}) from None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _value(field: Any, value: Any) -> Any:
    """The value of a field as `_plain` gave it."""
    if isinstance(field, models.DateTimeField):
        return codec.timestamp(datetime.fromisoformat(value), field.name)
    if isinstance(field, models.IntegerField):
        return codec.integer(value, field.name)
    return codec.string(value, field.name)
