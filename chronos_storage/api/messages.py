"""Messages of a session."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import NotFound
from ..ledger.mapping import MESSAGES, Table
from .answers import DeletedSerializer, LastNumberSerializer
from .filters import MessageFilter
from .idempotency import id_from_key
from .schema import documented
from .serializers import MessageAppendSerializer, MessageBatchSerializer, MessageSerializer, TruncateSerializer
from .viewsets import FORWARD, Listed, Retrieved


class MessageViewSet(Listed, Retrieved):
    """A session's messages by number; ``order=desc`` lists the latest first."""

    table: ClassVar[Table[Any]] = MESSAGES
    serializer_class: Any = MessageSerializer
    filterset_class = MessageFilter
    orders = FORWARD
    idempotent_actions: ClassVar[Any] = ("create", "batch")
    fenced_actions = ("create", "batch", "clear", "truncate", "destroy")
    verbs: ClassVar[Any] = {**Listed.verbs, "batch": "add", "truncate": "delete", "clear": "delete"}

    @documented(request=MessageAppendSerializer, responses={201: MessageSerializer})
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Add a message; with `expected_seq` only if that is the session's last number."""
        fields = self.validated(MessageAppendSerializer)
        expected = fields.pop("expected_seq", None)
        stored = self.storage.add_message(self.new(fields), expected_seq=expected, fence=self.writer_token)
        return self.answer(stored, 201)

    def new(self, fields: dict[str, Any], place: int | None = None) -> records.Message:
        """The message that these fields describe."""
        id = id_from_key(self, fields.get("id", ""), place)
        return records.Message(**{**fields, "id": id, "session_id": self.kwargs["session_id"]})

    @documented(request=MessageBatchSerializer, responses={201: MessageBatchSerializer})
    @action(["post"], detail=False)
    def batch(self, request: Request, **kwargs: Any) -> Response:
        """Add several messages, all or none."""
        given = self.validated(MessageBatchSerializer)
        new = [self.new(fields, place) for place, fields in enumerate(given["messages"])]
        expected, fence = given.get("expected_seq"), self.writer_token
        add = partial(self.storage.add_messages, new, expected_seq=expected, fence=fence)
        return self.answer_batch(MessageBatchSerializer, "messages", new, add)

    @documented(responses=LastNumberSerializer)
    @action(["get"], detail=False, pagination_class=None, url_path="last-seq")
    def last_seq(self, request: Request, **kwargs: Any) -> Response:
        """The last number that a message of the session was given, for `expected_seq`; deleting does not lower it."""
        return Response({"last_seq": self.storage.last_message_seq(self.kwargs["session_id"])})

    @documented(request=None, responses=DeletedSerializer)
    @action(["post"], detail=False)
    def clear(self, request: Request, **kwargs: Any) -> Response:
        """Remove all messages of the session; their numbers are not given again."""
        return Response({"deleted": self.storage.delete_messages(self.kwargs["session_id"], fence=self.writer_token)})

    @documented(request=TruncateSerializer, responses=DeletedSerializer)
    @action(["post"], detail=False)
    def truncate(self, request: Request, **kwargs: Any) -> Response:
        """Remove the messages after one; their numbers are not given again."""
        last = self.validated(TruncateSerializer)["after_message_id"]
        deleted = self.storage.truncate_messages(self.kwargs["session_id"], last, fence=self.writer_token)
        return Response({"deleted": deleted})

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Remove a message; its number is not given again."""
        session_id, id = self.kwargs["session_id"], self.kwargs["id"]
        delete = partial(self.storage.delete_message, id, session_id=session_id, fence=self.writer_token)
        if not (self.row().exists() and delete()):
            raise NotFound
        return Response(status=204)
