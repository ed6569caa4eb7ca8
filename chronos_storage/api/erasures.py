"""The route that erases a person."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from ..models import Artifact, Checkpoint, Image, MemoryRecord, Message, Session, Trace
from ..operations.erasing import erase
from ..operations.places import configured_vector_stores
from ..queues.handler import queue_handler
from .access import Verb
from .fields import FlagField
from .schema import documented
from .serializers import RecordSerializer
from .store import api_storage
from .views import ApiMixin


class ErasureSerializer(RecordSerializer):
    dry_run: Final = FlagField(help_text="Whether nothing is removed, and only counted.")

    staff_only: ClassVar[tuple[str, ...]] = ()


class ErasedSerializer(serializers.Serializer[Any]):
    user: Final = serializers.CharField(help_text="sha256: and the SHA-256 of the user's id.")
    dry_run: Final = serializers.BooleanField()
    counts: Final = serializers.DictField(child=serializers.IntegerField(), help_text="Records, by kind.")
    digests: Final = serializers.DictField(child=serializers.CharField(), help_text="The SHA-256 of them, by kind.")
    held: Final = serializers.ListField(
        child=serializers.CharField(), help_text="The sessions that are under a legal hold, and were left."
    )
    remains: Final = serializers.ListField(
        child=serializers.CharField(), help_text="What may still be on the disk, in words."
    )
    began_at: Final = serializers.CharField()
    ended_at: Final = serializers.CharField()
    receipt: Final = serializers.CharField(help_text="The audit entry that says so; empty after a dry run.")
    backups: Final = serializers.CharField(help_text="What is not covered.")


class ErasureView(ApiMixin):
    """Everything of a user, removed; for staff who may delete all of it."""

    http_method_names: Any = ("post",)
    serializer_class: Any = ErasedSerializer

    def needed(self) -> list[tuple[Verb, Any]]:
        return [("delete", model) for model in (Session, Message, MemoryRecord, Checkpoint, Trace, Artifact, Image)]

    @documented(operation_id="users_erase", request=ErasureSerializer, responses=ErasedSerializer)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Remove everything of a user, and answer with the receipt; sessions under a legal hold are left and named."""
        if not self.access.staff:
            raise PermissionDenied
        serializer = ErasureSerializer(data=request.data, context={"view": self})
        serializer.is_valid(raise_exception=True)
        report = erase(
            api_storage(),
            self.kwargs["id"],
            vector_stores=configured_vector_stores(),
            queues=[queue_handler.only],
            dry_run=bool(serializer.validated_data.get("dry_run")),
        )
        return Response(report.as_dict())
