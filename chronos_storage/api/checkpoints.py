"""Checkpoints of a session."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import NotFound
from ..ledger.mapping import CHECKPOINTS
from .answers import DeletedSerializer, HistorySerializer, NamespacesSerializer
from .filters import CheckpointFilter
from .history import history
from .idempotency import id_from_key
from .pagination import KeysetPagination
from .schema import documented
from .serializers import CheckpointSerializer, PruneSerializer
from .viewsets import BACKWARD, Listed, Retrieved


class CheckpointViewSet(Listed, Retrieved):
    """A session's checkpoints of one namespace, the latest first; ``order=asc`` lists the oldest first.

    ``metadata.key=value`` lists those whose metadata have a value, a JSON literal or else a string, under a key; dots
    lead into objects.
    """

    table = CHECKPOINTS
    serializer_class: Any = CheckpointSerializer
    filterset_class = CheckpointFilter
    orders = BACKWARD
    idempotent_actions: ClassVar[Any] = ("create",)
    fenced_actions = ("create", "prune", "destroy")
    filtered = ("latest", "history")
    paged = ("history",)
    verbs: ClassVar[Any] = {**Listed.verbs, "prune": "delete"}

    def query_parameters(self) -> Iterable[str]:
        return [*super().query_parameters(), *(["metadata.*"] if self.action == "list" else ())]

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Save a checkpoint; it gets the namespace's next number."""
        fields = self.validated()
        id = id_from_key(self, fields.get("id", ""))
        checkpoint = records.Checkpoint(**{**fields, "id": id, "session_id": self.kwargs["session_id"]})
        return self.answer(self.storage.save_checkpoint(checkpoint, fence=self.writer_token), 201)

    @documented(filters=True)
    @action(["get"], detail=False, pagination_class=None)
    def latest(self, request: Request, **kwargs: Any) -> Response:
        """The checkpoint with the highest number."""
        for record in self.wanted().page(["-seq_num"], 1)[0]:
            return self.answer(record)
        raise NotFound("there is no such checkpoint")

    @documented(filters=True, responses=HistorySerializer(many=True))
    @action(["get"], detail=False)
    def history(self, request: Request, **kwargs: Any) -> Response:
        """The checkpoints, the latest first, each with what is different from the one before it."""
        found = self.wanted()
        paginator = self.paginator
        assert isinstance(paginator, KeysetPagination)
        page = paginator.paginate_records(self.table, found, ("-seq_num",), request)
        before = found.page(["-seq_num"], 1, {"seq_num": page[-1].seq_num})[0] if page else []
        written = HistorySerializer(history(page, before[0] if before else None), many=True)
        return paginator.get_paginated_response(written.data)

    @documented(request=PruneSerializer, responses=DeletedSerializer)
    @action(["post"], detail=False)
    def prune(self, request: Request, **kwargs: Any) -> Response:
        """Remove all but the latest checkpoints of each namespace, or those of some runs."""
        given = self.validated(PruneSerializer)
        deleted = self.storage.delete_checkpoints(self.kwargs["session_id"], **given, fence=self.writer_token)
        return Response({"deleted": deleted})

    @documented(responses=NamespacesSerializer)
    @action(["get"], detail=False, pagination_class=None)
    def namespaces(self, request: Request, **kwargs: Any) -> Response:
        """The namespaces in which the session has checkpoints."""
        return Response({"namespaces": self.storage.list_namespaces(self.kwargs["session_id"])})

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Remove a checkpoint; its number is not given again."""
        session_id, id = self.kwargs["session_id"], self.kwargs["id"]
        delete = partial(self.storage.delete_checkpoint, id, session_id=session_id, fence=self.writer_token)
        if not (self.row().exists() and delete()):
            raise NotFound
        return Response(status=204)
