"""Sessions."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import AlreadyExists, NotFound
from ..models import Checkpoint, Message
from ..models.mapping import CHECKPOINTS, SESSIONS
from .access import Verb
from .export import PARTS, export
from .fields import StringField
from .filters import SessionFilter
from .idempotency import id_from_key, repeated
from .schema import documented
from .serializers import ExportSerializer, SessionSerializer, TokenUsageSerializer
from .views import Listed, Retrieved


class ForkSerializer(SessionSerializer):
    checkpoint_id: Final = StringField(
        required=True, allow_blank=False, help_text="The checkpoint that the fork starts from."
    )


class SessionViewSet(Listed, Retrieved):
    """Sessions, newest first; ``order=-last_activity_at`` lists the most recently active first."""

    table = SESSIONS
    serializer_class: Any = SessionSerializer
    filterset_class = SessionFilter
    orders: ClassVar[Any] = {order: (order, "-id") for order in ("-created_at", "-last_activity_at")}
    versioned = True
    keyed: ClassVar[Any] = ("create", "fork")
    verbs: ClassVar[Any] = {**Listed.verbs, "fork": "add", "merge_metadata": "change"}

    def needed(self) -> list[tuple[Verb, Any]]:
        also: dict[str, list[tuple[Verb, Any]]] = {
            "fork": [("view", Checkpoint), ("add", Checkpoint)],
            "token_usage": [("view", Message)],
            "export": [("view", table.model) for _, table, _, _ in PARTS],
        }
        return super().needed() + also.get(self.action, [])

    def create(self, request: Request, **kwargs: Any) -> Response:
        fields = self.owned(self.validated())
        session = records.Session(**fields)
        try:
            return self.answer(self.storage.create_session(session), 201)
        except AlreadyExists:
            return self.answer(repeated(self, session, self.stored(session.id)), 201)

    def owned(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a new session, with its id and its user."""
        if not self.access.staff:
            fields["user_id"] = self.access.user_id
        return {**fields, "id": id_from_key(self, fields.get("id", ""))}

    def stored(self, id: str) -> records.Session | None:
        """The session, if it is there for the user."""
        found: list[records.Session] = self.table.fetch(self.get_queryset().filter(pk=id, deleted_at=None))
        return found[0] if found else None

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        changes = self.validated(partial=True)
        return self._write(lambda: self.storage.patch_session(self.kwargs["id"], **changes))

    def _write(self, write: Any) -> Response:
        return self.answer(self.write_if_match(write))

    @documented(request=OpenApiTypes.OBJECT, responses=SessionSerializer)
    @action(["patch"], detail=True, url_path="metadata")
    def merge_metadata(self, request: Request, **kwargs: Any) -> Response:
        """Merge an object into the top level of the metadata, so that writers of different keys both win."""
        return self._write(lambda: self.storage.patch_session_metadata(self.kwargs["id"], self.body()))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Hide the session; what belongs to it stays stored."""
        if not self.write_if_match(lambda: self.storage.delete_session(self.kwargs["id"])):
            raise NotFound
        return Response(status=204)

    @documented(request=ForkSerializer, responses={201: SessionSerializer})
    @action(["post"], detail=True)
    def fork(self, request: Request, **kwargs: Any) -> Response:
        """Start a new session from a checkpoint of this one. No messages or events are copied."""
        self.record()
        fields = self.owned(self.validated(ForkSerializer))
        checkpoint_id = fields.pop("checkpoint_id")
        checkpoints = self.access.rows(CHECKPOINTS.model).filter(session_id=self.kwargs["id"])
        if not checkpoints.filter(checkpoint_id=checkpoint_id).exists():
            raise NotFound(f"the session has no checkpoint {checkpoint_id!r}")
        try:
            forked = self.storage.fork_session(checkpoint_id, session_id=self.kwargs["id"], **fields)
        except AlreadyExists:
            forked = self.stored(fields["id"])
            if forked is None or not _is_fork(forked, self.kwargs["id"], checkpoint_id):
                raise
        return self.answer(forked, 201)

    @documented(responses=TokenUsageSerializer)
    @action(["get"], detail=True, url_path="usage")
    def token_usage(self, request: Request, **kwargs: Any) -> Response:
        """The tokens of the session's messages, summed up."""
        self.record()
        return Response(TokenUsageSerializer(self.storage.token_usage(self.kwargs["id"])).data)

    @documented(responses=ExportSerializer)
    @action(["get"], detail=True, url_name="export")
    def export(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """The session and all that belongs to it, streamed; what changes meanwhile may or may not be in it."""
        session = self.record()
        if request.method == "HEAD":
            return HttpResponse(content_type="application/json")
        return export(request._request, self.access, session)

    @property
    def throttle_scope(self) -> str:
        return "chronos_export" if self.action == "export" else super().throttle_scope


def _is_fork(session: records.Session, source: str, checkpoint_id: str) -> bool:
    origin = session.metadata.get("forked_from", {})
    return (origin.get("session_id"), origin.get("checkpoint_id")) == (source, checkpoint_id)
