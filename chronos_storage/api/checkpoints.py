"""Checkpoints of a session."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import NotFound
from ..models.mapping import CHECKPOINTS
from .filters import CheckpointFilter
from .idempotency import id_from_key
from .schema import documented
from .serializers import CheckpointSerializer
from .views import BACKWARD, Listed, Retrieved


class CheckpointViewSet(Listed, Retrieved):
    """A session's checkpoints of one namespace, the latest first; ``order=asc`` lists the oldest first."""

    table = CHECKPOINTS
    serializer_class: Any = CheckpointSerializer
    filterset_class = CheckpointFilter
    orders = BACKWARD
    keyed: ClassVar[Any] = ("create",)
    filtered = ("latest",)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Save a checkpoint; it gets the namespace's next number."""
        fields = self.validated()
        id = id_from_key(self, fields.get("id", ""))
        checkpoint = records.Checkpoint(**{**fields, "id": id, "session_id": self.kwargs["session_id"]})
        return self.answer(self.storage.save_checkpoint(checkpoint), 201)

    @documented(filters=True)
    @action(["get"], detail=False, pagination_class=None)
    def latest(self, request: Request, **kwargs: Any) -> Response:
        """The checkpoint with the highest number."""
        rows = self.filter_queryset(self.get_queryset()).order_by("-seq_num")
        for record in self.table.fetch(rows[:1]):
            return self.answer(record)
        raise NotFound("there is no such checkpoint")
