"""What a project would write by hand: its users read, and append to, what belongs to their sessions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import Http404
from django.urls import include, path
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from chronos_storage import storage
from chronos_storage.records import Event, Message


class _OfSession(APIView):
    permission_classes: Any = (IsAuthenticated,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        session = storage.get_session(kwargs["session_id"])
        if session is None or session.user_id != str(request.user.pk):
            raise Http404


class NewEvent(serializers.Serializer[Any]):
    type = serializers.CharField(max_length=255)
    payload = serializers.JSONField(default=None)


class EventsView(_OfSession):
    def get(self, request: Request, session_id: str) -> Response:
        return Response(list(map(_fields, storage.list_events(session_id, limit=50))))

    def post(self, request: Request, session_id: str) -> Response:
        given = NewEvent(data=request.data)
        given.is_valid(raise_exception=True)
        event = storage.append_event(Event(session_id=session_id, **given.validated_data))
        return Response(_fields(event), status=201)


class EventView(_OfSession):
    def get(self, request: Request, session_id: str, id: str) -> Response:
        event = storage.get_event(id, session_id=session_id)
        if event is None:
            raise Http404
        return Response(_fields(event))


class NewMessage(serializers.Serializer[Any]):
    role = serializers.CharField(max_length=255)
    content = serializers.JSONField(default=None)


class MessagesView(_OfSession):
    def get(self, request: Request, session_id: str) -> Response:
        return Response(list(map(_fields, storage.list_messages(session_id, limit=50))))

    def post(self, request: Request, session_id: str) -> Response:
        given = NewMessage(data=request.data)
        given.is_valid(raise_exception=True)
        message = storage.add_message(Message(session_id=session_id, **given.validated_data))
        return Response(_fields(message), status=201)


class MessageView(_OfSession):
    def get(self, request: Request, session_id: str, id: str) -> Response:
        message = storage.get_message(id, session_id=session_id)
        if message is None:
            raise Http404
        return Response(_fields(message))


def _fields(record: Event | Message) -> dict[str, Any]:
    """A record as JSON; a serializer, field by field, would take longer."""
    fields = {name: getattr(record, name) for name in record.__slots__}
    if isinstance(record, Message):
        fields["usage"] = record.usage and asdict(record.usage)
    return fields


_SESSION = "by-hand/sessions/<str:session_id>"

urlpatterns = [
    path("", include("project.urls")),
    path(f"{_SESSION}/events", EventsView.as_view()),
    path(f"{_SESSION}/events/<str:id>", EventView.as_view()),
    path(f"{_SESSION}/messages", MessagesView.as_view()),
    path(f"{_SESSION}/messages/<str:id>", MessageView.as_view()),
]
