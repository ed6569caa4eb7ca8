"""What is used of Django's admin without being documented: here and nowhere else.

It stands apart from the package's `compat` since a site without the admin can't import what it stands on. Each has a
test in ``tests/admin/test_compat.py`` that fails where an upgrade changes it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models.query import QuerySet
from django.forms import JSONField
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest

__all__ = [
    "IncorrectLookupParameters",
    "JSONAsTyped",
    "LabelledDateTime",
    "PagedChangeList",
    "quote",
    "unquote",
]


class PagedChangeList(ChangeList):
    """A change list that asks methods of its own which rows there are, in which order, and which are on the page."""

    model_admin: Any

    def own_parameters(self) -> Container[str]:
        """The parameters that are not lookups of Django's own."""
        raise NotImplementedError

    def chosen(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the rows that the list shows, on all its pages."""
        raise NotImplementedError

    def total_order(self, first: str) -> list[str]:
        """The order of the rows, whose first column this is to be, perhaps with a "-"."""
        raise NotImplementedError

    def page(self, request: HttpRequest, rows: QuerySet[Any]) -> list[Any]:
        """The rows that are shown."""
        raise NotImplementedError

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        own = self.own_parameters()
        return {name: value for name, value in super().get_filters_params(params).items() if name not in own}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        return self.chosen(request, super().get_queryset(request, exclude_parameters))

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        first, *_ = super().get_ordering(request, queryset)
        return self.total_order(first) if isinstance(first, str) else [first, "-pk"]

    def get_results(self, request: HttpRequest) -> None:
        self.result_list = self.page(request, self.queryset)
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(self.result_list)
        self.paginator = None

    @property
    def ordered(self) -> list[tuple[str, str]]:
        """The parameter of the order, which another search keeps."""
        return [(ORDER_VAR, self.params[ORDER_VAR])] if self.params.get(ORDER_VAR) else []

    def link(self, changes: dict[str, str] | None = None, remove: list[str] | None = None) -> str:
        """The query of this list's address with other parameters."""
        query: str = self.get_query_string(changes, remove)
        return query

    @property
    def given(self) -> dict[str, list[str]]:
        """The parameters of the address, but for those of the order and the page."""
        parameters: dict[str, list[str]] = self.filter_params
        return parameters

    @property
    def key(self) -> str:
        """The name of the primary key."""
        return str(self.lookup_opts.pk.name)


class JSONAsTyped(JSONField):
    """After a mistake it shows what was typed, not what Python made of it."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        return InvalidJSONInput(data) if isinstance(data, str) else data


class LabelledDateTime(AdminSplitDateTime):
    """A day and a time, each of which says to a screen reader which it is; Django writes that beside them alone."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        labels = (context["date_label"], context["time_label"])
        for part, said in zip(context["widget"]["subwidgets"], labels, strict=True):
            part["attrs"]["aria-label"] = str(said).rstrip(":")
        return context
