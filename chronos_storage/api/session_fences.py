"""The routes by which a writer gets a session's fence, keeps it and gives it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import NotFound
from .access import Verb
from .fences import HEADER
from .fields import FlagField, SecondsField, StringField, TimestampField
from .schema import documented
from .serializers import RecordSerializer
from .viewsets import RecordViewSet


class FenceSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Fence

    holder: Final = StringField(help_text="Who writes.")
    expires_at: Final = TimestampField(allow_null=True, help_text="Until when others are kept out; null: not at all.")


def _ttl(otherwise: str) -> Any:
    return SecondsField(allow_null=True, help_text=f"For how many seconds others are kept out; {otherwise}.")


class AcquireSerializer(RecordSerializer):
    holder: Final = StringField(required=True, allow_blank=False, help_text="Who writes.")
    ttl: Final = _ttl("not at all unless given")
    force: Final = FlagField(help_text="Take it from another whose time is not over.")

    staff_only: ClassVar[tuple[str, ...]] = ()


class RenewSerializer(RecordSerializer):
    ttl: Final = _ttl("as before unless given")

    staff_only: ClassVar[tuple[str, ...]] = ()


class FenceActions(RecordViewSet):
    """Adds a session's fence."""

    fence_verbs: ClassVar[Mapping[str, Verb]] = {
        "fence": "view",
        "acquire": "change",
        "renew": "change",
        "release": "change",
    }

    def compares(self) -> bool:
        return super().compares() and self.action not in self.fence_verbs

    @documented(responses=FenceSerializer)
    @action(["get"], detail=True)
    def fence(self, request: Request, **kwargs: Any) -> Response:
        """The fence that the session gave last, whether its time is over or not."""
        self.record()
        fence = self.storage.get_fence(self.kwargs["id"])
        if fence is None:
            raise NotFound("the session has given no fence")
        return Response(FenceSerializer(fence).data)

    @documented(request=AcquireSerializer, responses=FenceSerializer)
    @fence.mapping.post
    def acquire(self, request: Request, **kwargs: Any) -> Response:
        """Make a holder the session's writer: who was it before is refused from then on."""
        self.record()
        given = self.validated(AcquireSerializer)
        return Response(FenceSerializer(self.storage.acquire(self.kwargs["id"], **given)).data)

    @documented(request=RenewSerializer, responses=FenceSerializer)
    @fence.mapping.patch
    def renew(self, request: Request, **kwargs: Any) -> Response:
        """Keep others out for longer."""
        given = self.validated(RenewSerializer)
        return Response(FenceSerializer(self.storage.renew(self._shown(), **given)).data)

    @documented(request=None)
    @fence.mapping.delete
    def release(self, request: Request, **kwargs: Any) -> Response:
        """Keep others out no longer; the token stays the session's until it is acquired again."""
        self.storage.release(self._shown())
        return Response(status=204)

    def _shown(self) -> records.Fence:
        """The fence that the writer shows, of a session that is there for the user."""
        self.record()
        if not self.writer_token:
            raise ValidationError({HEADER: "is needed: the token that POST has given"})
        return records.Fence(session_id=self.kwargs["id"], token=self.writer_token)
