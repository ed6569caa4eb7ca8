"""The route that puts a session under a legal hold, or lifts it."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import codec
from .fields import FlagField, StringField
from .schema import documented
from .serializers import RecordSerializer, SessionSerializer
from .viewsets import RecordViewSet


class LegalHoldSerializer(RecordSerializer):
    legal_hold: Final = FlagField(required=True, help_text="Whether it is under a hold from now on.")
    reason: Final = StringField(
        required=True, allow_blank=False, max_length=codec.MAX_TEXT, help_text="Why, for the audit log."
    )

    staff_only: ClassVar[tuple[str, ...]] = ()


class LegalHoldAction(RecordViewSet):
    """Adds a session's legal hold."""

    @documented(request=LegalHoldSerializer, responses=SessionSerializer)
    @action(["post"], detail=True, url_path="legal-hold")
    def legal_hold(self, request: Request, **kwargs: Any) -> Response:
        """Put the session under a legal hold, or lift it: nothing that belongs to it is removed meanwhile."""
        self.record()
        given = self.validated(LegalHoldSerializer)
        actor = str(request.user)[: codec.MAX_INDEXED]
        return self.answer(
            self.storage.set_legal_hold(self.kwargs["id"], given["legal_hold"], actor=actor, reason=given["reason"])
        )
