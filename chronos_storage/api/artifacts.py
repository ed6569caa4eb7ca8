"""Artifacts: what is said of them as JSON, and their bytes as files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

from django.db.models.query import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from .. import codec, records
from ..downloads import download
from ..exceptions import NotFound
from ..ledger.mapping import ARTIFACTS
from ..models import Session
from .compat import declared_fields, http_request
from .fields import ObjectField, StringField
from .filters import ArtifactFilter
from .found import Found
from .found_rows import FoundRows
from .idempotency import id_from_key
from .problems import PreconditionFailed
from .schema import documented
from .serializers import RecordSerializer
from .uploads import FORM, uploaded
from .views import check_sessions
from .viewsets import Listed, Retrieved


class ArtifactSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Artifact

    session_id: Final = StringField(help_text="The session it belongs to, if it does.")
    user_id: Final = StringField(help_text="Whose it is, where it belongs to no session.")
    name: Final = StringField(help_text="What its versions have in common.")
    mime_type: Final = StringField(help_text="What it is said to be; nobody looks.")
    size: Final = serializers.IntegerField(read_only=True, help_text="How many bytes it has.")
    sha256: Final = StringField(help_text="Their SHA-256 in hexadecimal.")
    metadata: Final = ObjectField(help_text="To filter by.")

    staff_only: ClassVar[tuple[str, ...]] = ("id", "user_id", "created_at")


@extend_schema_field(OpenApiTypes.BINARY)
class _FileField(serializers.Field[Any, Any, Any, Any]):
    """A part of a form that is a file."""


#: What can be said of an artifact when it is stored, in the query or in a form.
_SETTABLE: dict[str, Any] = {
    name: field for name, field in declared_fields(ArtifactSerializer).items() if not field.read_only
}


def _told(name: str) -> OpenApiParameter:
    kind: Any = OpenApiTypes.DATETIME if name == "created_at" else OpenApiTypes.STR
    said = "A JSON object, to filter by." if name == "metadata" else _SETTABLE[name].help_text or ""
    return OpenApiParameter(name, kind, description=said)


class ArtifactUploadSerializer(serializers.Serializer[Any]):
    """A form with a file; what may stand in the query may stand here."""

    file: Final = _FileField(help_text="The file, whose name and type are the artifact's unless others are given.")
    name: Final = StringField()
    mime_type: Final = StringField()
    session_id: Final = StringField()
    metadata: Final = StringField(help_text="A JSON object.")
    sha256: Final = StringField()


class ArtifactViewSet(Listed, Retrieved):
    """Artifacts, all versions, newest first."""

    table = ARTIFACTS
    serializer_class: Any = ArtifactSerializer
    filterset_class = ArtifactFilter
    idempotent_actions: ClassVar[Any] = ("create",)
    fenced_actions = ("create", "destroy")
    verbs: ClassVar[Any] = {**Listed.verbs, "content": "view"}

    def query_parameters(self) -> Iterable[str]:
        return _SETTABLE if self.action == "create" else super().query_parameters()

    def found(self) -> Found:
        found = super().found()
        by_rule = self.access.is_ours and not self.access.staff
        if (
            not isinstance(found, FoundRows)
            or not by_rule
            or self.action != "list"
            or "session_id" in self.request.query_params
        ):
            return found

        # The rule says "or", by which a database would walk through everybody's: each part has an index of its own.
        def narrow(rows: QuerySet[Any], user_id: Any) -> QuerySet[Any]:
            sessions = Session._default_manager.using(rows.db).filter(user_id=user_id)
            apart = rows.filter(session_id="", user_id=user_id)
            within = rows.exclude(session_id="").filter(session_id__in=sessions.values("pk"))
            return rows.filter(pk__in=apart.values("pk").union(within.values("pk"), all=True))

        return FoundRows(found.table, found.rows.narrowed("owned", narrow, self.access.owner))

    def reads_whole(self) -> bool:
        return self.action != "create"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # Bytes come as what they are, whatever is asked for: a browser asks for images.
        return super().perform_content_negotiation(request, force or self.action == "content")

    @documented(
        parameters=[_told(name) for name in _SETTABLE],
        request={FORM: ArtifactUploadSerializer, "application/octet-stream": OpenApiTypes.BINARY},
        responses={201: ArtifactSerializer},
    )
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Store a file as the next version of a name, within a session, or without one of the user's own.

        The body is the file, or a form that has it: a `Content-Type` other than a form's becomes its `mime_type`.
        """
        with uploaded(http_request(request)) as (told, file):
            new = self.new(told)
            return self.answer(self.storage.put_artifact(new, file, fence=self.writer_token), 201)

    def new(self, told: Mapping[str, str]) -> records.Artifact:
        """The artifact that a query, and what came with a file, describe.

        Raises:
            NotFound: it is to belong to a session that isn't there for the user.
        """
        query = self.request.query_params
        given: dict[str, Any] = {**told, **{name: query[name] for name in _SETTABLE if name in query}}
        if "metadata" in given:
            given["metadata"] = _object(given["metadata"])
        checked = ArtifactSerializer(data=given, context=self.get_serializer_context())
        checked.is_valid(raise_exception=True)
        new = records.Artifact(**checked.validated_data)
        new.id = id_from_key(self, new.id)
        if not self.access.staff:
            if new.session_id:
                check_sessions(self.access, new.session_id)
            else:
                new.user_id = self.access.owner
        return new

    @documented(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(["get"], detail=True, pagination_class=None)
    def content(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """Its bytes, as a file to keep, of its `mime_type`; images that are PNG, JPEG, GIF or WebP may be shown."""
        artifact = self.record()
        sent = download(http_request(request), artifact, partial(self.storage.open_artifact, artifact.id))
        if sent.status_code == PreconditionFailed.status_code:
            raise PreconditionFailed
        return sent

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Remove a version, whose number is not given again."""
        if not (self.row().exists() and self.storage.delete_artifact(self.kwargs["id"], fence=self.writer_token)):
            raise NotFound
        return Response(status=204)


def _object(text: str) -> Any:
    try:
        return codec.loads(text)
    except (ValueError, RecursionError):
        raise ValidationError({"metadata": "must be a JSON object"}) from None
