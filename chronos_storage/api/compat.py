"""What is used of Django and Django REST framework for the API without being documented: here and nowhere else.

Each has a test in ``tests/api/test_compat.py`` that fails where an upgrade changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.checks import CheckMessage
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.urls.resolvers import RoutePattern
from django.utils.cache import get_conditional_response
from rest_framework import views
from rest_framework.request import Request
from rest_framework.serializers import Serializer


class _CheckedRoute(RoutePattern):
    def __init__(self, check: Callable[[], list[CheckMessage]], name: str) -> None:
        super().__init__("", name, is_endpoint=True)
        self._check = check

    def check(self) -> list[CheckMessage]:
        return [*super().check(), *self._check()]


def checked_path(check: Callable[[], list[CheckMessage]], view: Any, name: str) -> URLPattern:
    """``path("", view, name=name)``, with what Django's checks of addresses say as well, where it is mounted."""
    return URLPattern(_CheckedRoute(check, name), view, name=name)


def conditional_response(request: HttpRequest, etag: str, response: HttpResponse) -> HttpResponse | None:
    """The response to a request whose If-None-Match is about this ETag: another than the one given, or that."""
    answer: HttpResponse | None = get_conditional_response(request, etag, response=response)
    return answer


def declared_fields(serializer: type[Serializer[Any]]) -> dict[str, Any]:
    """The fields of a class of serializers by name, which its objects have copies of."""
    fields: dict[str, Any] = serializer._declared_fields
    return fields


def http_request(request: Request) -> HttpRequest:
    """Django's request, which the framework's stands around."""
    return request._request


def roll_back() -> None:
    """Let nothing stay of what a view has written, where ``ATOMIC_REQUESTS`` makes it a transaction."""
    views.set_rollback()
