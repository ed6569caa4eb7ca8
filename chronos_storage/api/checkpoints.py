"""Checkpoints of a session."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models.query import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import codec, records
from ..exceptions import NotFound
from ..models.mapping import CHECKPOINTS
from .filters import CheckpointFilter
from .idempotency import id_from_key
from .serializers import CheckpointSerializer
from .views import Listed, Retrieved, numbered_order


class CheckpointViewSet(Listed, Retrieved):
    """A session's checkpoints of one namespace, the latest first; ``order=asc`` lists the oldest first."""

    table = CHECKPOINTS
    serializer_class = CheckpointSerializer
    filterset_class = CheckpointFilter
    keyed: ClassVar[Any] = ("create",)

    def get_order(self) -> tuple[str, ...]:
        return numbered_order(self.request, "desc")

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        # A number is unique within a namespace only.
        namespace = codec.string(self.request.query_params.get("namespace", ""), "namespace")
        return super().filter_queryset(rows).filter(namespace=namespace)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Save a checkpoint; it gets the namespace's next number."""
        fields = self.validated()
        id = id_from_key(self, fields.get("id", ""))
        checkpoint = records.Checkpoint(**{**fields, "id": id, "session_id": self.kwargs["session_id"]})
        return self.answer(self.storage.save_checkpoint(checkpoint), 201)

    @action(["get"], detail=False)
    def latest(self, request: Request, **kwargs: Any) -> Response:
        """The checkpoint with the highest number."""
        rows = self.filter_queryset(self.get_queryset()).order_by("-seq_num")
        for record in self.table.fetch(rows[:1]):
            return self.answer(record)
        raise NotFound("there is no such checkpoint")
