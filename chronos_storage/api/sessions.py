"""Sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import AlreadyExists, InvalidRecord, NotFound
from ..ledger.mapping import CHECKPOINTS, SESSIONS
from ..models import AuditLog, Checkpoint, Event, Message, Session
from .access import Verb
from .answers import TokenTotalsSerializer, VerificationSerializer
from .export import DOCUMENT, PARTS, export
from .fields import StringField
from .filters import NARROWING, SessionFilter, unindexed
from .found import Condition, Found
from .idempotency import HEADER, id_from_key, repeated
from .query import flag
from .schema import documented
from .serializers import SessionSerializer
from .session_fences import FenceActions
from .session_holds import LegalHoldAction
from .viewsets import Listed, Retrieved


class ForkSerializer(SessionSerializer):
    checkpoint_id: Final = StringField(
        required=True, allow_blank=False, help_text="The checkpoint that the fork starts from."
    )


class SessionViewSet(FenceActions, LegalHoldAction, Listed, Retrieved):
    """Sessions, newest first; ``order=-last_activity_at`` lists the most recently active first.

    ``metadata.key=value`` lists those whose metadata have a value, a JSON literal or else a string, under a key; dots
    lead into objects.
    """

    table = SESSIONS
    serializer_class: Any = SessionSerializer
    filterset_class = SessionFilter
    orders: ClassVar[Any] = {order: (order, "-id") for order in ("-created_at", "-last_activity_at")}
    versioned = True
    idempotent_actions: ClassVar[Any] = ("create", "fork")
    needs_fence = ("renew", "release")
    fenced_actions = ("partial_update", "merge_metadata", "destroy", "restore", *needs_fence)
    verbs: ClassVar[Any] = {
        **Listed.verbs,
        **FenceActions.fence_verbs,
        "fork": "add",
        "legal_hold": "hold",
        "merge_metadata": "change",
        "restore": "change",
        "update": "add",
    }

    def query_parameters(self) -> Iterable[str]:
        if self.action == "destroy":
            return ["hard"]
        return [*super().query_parameters(), *(["metadata.*"] if self.action == "list" else ())]

    def wanted(self) -> Found:
        given = self.request.query_params
        # Others' sessions are those of one user anyway.
        if self.access.staff and not any(given.get(name) for name in NARROWING):
            for name in unindexed(given):
                raise InvalidRecord(name, f"is looked for among some sessions only: give {' or '.join(NARROWING)} too")
        return super().wanted()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if (self.action in ("restore", "update") or self.hard) and not self.access.staff:
            raise PermissionDenied

    @property
    def hard(self) -> bool:
        """Whether the session is to be removed with all that belongs to it."""
        return self.action == "destroy" and flag(self.request, "hard")

    def needed(self) -> list[tuple[Verb, Any]]:
        also: dict[str, list[tuple[Verb, Any]]] = {
            "fork": [("view", Checkpoint), ("add", Checkpoint)],
            "legal_hold": [("view", Session)],
            "token_usage": [("view", Message)],
            "export": [("view", table.model) for _, table, _, _ in PARTS],
            "verify": [("view", Event)],
            "update": [("view", Session)],
        }
        if self.access.staff:
            also["verify"].append(("view", AuditLog))
        if self.hard:
            # Of the ledger nobody has the permission to delete: it goes with its session alone.
            models: list[Any] = [table.model for _, table, _, _ in PARTS]
            also["destroy"] = [
                ("delete" if "delete" in model._meta.default_permissions else "add", model) for model in models
            ]
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
            fields["user_id"] = self.access.owner
        return {**fields, "id": id_from_key(self, fields.get("id", ""))}

    def stored(self, id: str) -> records.Session | None:
        """The session, if it is there for the user."""
        there = self.found().where(Condition("id", "=", id), Condition("deleted_at", "=", None))
        found: records.Session | None = there.one()
        return found

    @documented(responses={200: SessionSerializer, 201: SessionSerializer})
    def update(self, request: Request, **kwargs: Any) -> Response:
        """The session as it is stored, untouched; where there is none, one with these fields is created. Staff's alone,
        as the caller chooses the id.
        """
        id, fields = self.kwargs["id"], self.validated()
        if fields.get("id", id) != id:
            raise InvalidRecord("id", "is another than the address has")
        session = records.Session(**{**fields, "id": id})
        try:
            if not self.row().exists():
                return self.answer(self.storage.create_session(session), 201)
        except AlreadyExists:
            if not self.row().exists():  # it isn't there for the user, or else was made in between
                raise
        return self.answer(self.storage.ensure_session(session))

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        changes = self.validated(partial=True)
        return self._write(lambda: self.storage.patch_session(self.kwargs["id"], fence=self.writer_token, **changes))

    def _write(self, write: Any) -> Response:
        return self.answer(self.write_if_match(write))

    @documented(request=OpenApiTypes.OBJECT, responses=SessionSerializer)
    @action(["patch"], detail=True, url_path="metadata")
    def merge_metadata(self, request: Request, **kwargs: Any) -> Response:
        """Merge an object into the top level of the metadata, so that writers of different keys both win."""
        id, fence = self.kwargs["id"], self.writer_token
        return self._write(lambda: self.storage.patch_session_metadata(id, self.body(), fence=fence))

    @documented(
        parameters=[
            OpenApiParameter(
                "hard", bool, description="Staff's alone: remove it, and all that belongs to it, events included."
            )
        ]
    )
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Hide the session; what belongs to it stays stored, and staff can restore it."""
        id, fence = self.kwargs["id"], self.writer_token
        if not self.write_if_match(lambda: self.storage.delete_session(id, hard=self.hard, fence=fence)):
            raise NotFound
        return Response(status=204)

    @documented(request=None, responses=SessionSerializer)
    @action(["post"], detail=True)
    def restore(self, request: Request, **kwargs: Any) -> Response:
        """Undo the deletion of a session that is hidden; staff's alone."""
        self.record()
        return self.answer(self.storage.restore_session(self.kwargs["id"], fence=self.writer_token))

    @documented(request=ForkSerializer, responses={201: SessionSerializer})
    @action(["post"], detail=True)
    def fork(self, request: Request, **kwargs: Any) -> Response:
        """Start a new session from a checkpoint of this one. No messages or events are copied."""
        self.record()
        fields = self.owned(self.validated(ForkSerializer))
        checkpoint_id = fields.pop("checkpoint_id")
        checkpoints = self.access.found(CHECKPOINTS, self.kwargs["id"])
        if not checkpoints.where(Condition("id", "=", checkpoint_id)).exists():
            raise NotFound(f"the session has no checkpoint {checkpoint_id!r}")
        try:
            forked = self.storage.fork_session(checkpoint_id, session_id=self.kwargs["id"], **fields)
        except AlreadyExists:
            forked = self.stored(fields["id"])
            # By its key it is the repeat of its own, whatever its metadata have become.
            changed = HEADER in request.headers and forked is not None and forked.updated_at != forked.created_at
            if forked is None or not (changed or _is_fork(forked, self.kwargs["id"], checkpoint_id)):
                raise
        return self.answer(forked, 201)

    @documented(responses=TokenTotalsSerializer)
    @action(["get"], detail=True, url_path="usage")
    def token_usage(self, request: Request, **kwargs: Any) -> Response:
        """The tokens of the session's messages, summed up."""
        self.record()
        return Response(TokenTotalsSerializer(self.storage.token_usage(self.kwargs["id"])).data)

    @documented(responses=VerificationSerializer)
    @action(["get"], detail=True)
    def verify(self, request: Request, **kwargs: Any) -> Response:
        """Whether the session's events, and for staff its audit logs, are as they were appended."""
        self.record()
        verdicts = {
            "events": self.storage.verify_events(self.kwargs["id"]),
            "audit_logs": self.storage.verify_audit_logs(self.kwargs["id"]) if self.access.staff else None,
        }
        return Response(VerificationSerializer(verdicts).data)

    @documented(responses=DOCUMENT)
    @action(["get"], detail=True, url_name="export")
    def export(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """The session and all that belongs to it, streamed; what changes meanwhile may or may not be in it."""
        session = self.record()
        return export(request, self.access, session)


def _is_fork(session: records.Session, source: str, checkpoint_id: str) -> bool:
    origin = session.metadata.get("forked_from", {})
    return (origin.get("session_id"), origin.get("checkpoint_id")) == (source, checkpoint_id)
