"""Tokens over a period."""

from __future__ import annotations

from typing import Any

from django.db.models.query import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response

from ..ledger.mapping import MESSAGES
from ..models import Message
from .access import Verb
from .answers import TokenTotalsSerializer
from .filters import UsageFilter
from .schema import documented
from .views import ApiMixin


class UsageView(ApiMixin):
    """The tokens of all messages that are there for the user."""

    http_method_names: Any = ("get", "head")
    serializer_class: Any = TokenTotalsSerializer
    filter_backends: Any = (DjangoFilterBackend,)
    filterset_class = UsageFilter
    parameters = ("agent_id", "user_id", "since", "until")

    def needed(self) -> list[tuple[Verb, Any]]:
        return [("view", Message)]

    def get_queryset(self) -> QuerySet[Any]:
        return Message._default_manager.none()  # for the framework, which looks at the model

    @documented(operation_id="usage_retrieve", filters=True, responses=TokenTotalsSerializer)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The tokens of the messages of a period, in the sessions of an agent and a user, added up."""
        asked = UsageFilter.conditions(request)
        return self.answer(self.access.found(MESSAGES).where(*asked).usage())
