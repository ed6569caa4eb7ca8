"""Containers and images: staff's, as they belong to no user."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import AlreadyExists, NotFound
from ..ledger.mapping import CONTAINERS, IMAGES
from .etags import replaced
from .fields import ObjectField, TimestampField
from .filters import ImageFilter
from .idempotency import id_from_key, repeated
from .schema import documented
from .serializers import RecordSerializer
from .viewsets import Listed, Retrieved


class ContainerSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Container

    created_at: Final = TimestampField(read_only=True)


class ImageSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Image

    metadata: Final = ObjectField(help_text="To filter by; a change replaces it whole.")
    created_at: Final = TimestampField(read_only=True)


class _SavedViewSet(Listed, Retrieved):
    """Records that the facade saves over what was there."""

    versioned = True
    idempotent_actions: ClassVar[Any] = ("create",)

    def save(self, record: Any) -> Any:
        """Store the record through the facade."""
        raise NotImplementedError

    def remove(self, id: str) -> bool:
        """Delete the record through the facade."""
        raise NotImplementedError

    def create(self, request: Request, **kwargs: Any) -> Response:
        fields = self.validated()
        given = self.table.record(**{**fields, "id": id_from_key(self, fields.get("id", ""))})
        try:
            return self.answer(self.insert(given), 201)
        except AlreadyExists:
            found = self.table.fetch(self.get_queryset().filter(pk=given.id))
            return self.answer(repeated(self, given, found[0] if found else None), 201)

    def insert(self, given: Any) -> Any:
        """Save what must not be there yet: what was keeps its created_at, and the transaction is rolled back."""
        with self.storage.atomic():
            stored = self.save(given)
            if stored.created_at != stored.updated_at:
                raise AlreadyExists(f"{given.id!r} is stored already")
        return stored

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        changes = self.validated(partial=True)
        return self.answer(self.write_if_match(lambda: self.save(replaced(self.record(), changes)), reads=True))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        if not self.write_if_match(lambda: self.remove(self.kwargs["id"])):
            raise NotFound
        return Response(status=204)


class ContainerViewSet(_SavedViewSet):
    """Containers, newest first."""

    table = CONTAINERS
    serializer_class: Any = ContainerSerializer

    def save(self, record: records.Container) -> records.Container:
        stored: records.Container = self.storage.save_container(replace(record, updated_at=None))
        return stored

    def remove(self, id: str) -> bool:
        return bool(self.storage.delete_container(id))


class ImageViewSet(_SavedViewSet):
    """Images, newest first."""

    table = IMAGES
    serializer_class: Any = ImageSerializer
    filterset_class = ImageFilter
    verbs: ClassVar[Any] = {**Listed.verbs, "merge_metadata": "change"}

    def save(self, record: records.Image) -> records.Image:
        stored: records.Image = self.storage.save_image(replace(record, updated_at=None))
        return stored

    def remove(self, id: str) -> bool:
        return bool(self.storage.delete_image(id))

    @documented(request=OpenApiTypes.OBJECT, responses=ImageSerializer)
    @action(["patch"], detail=True, url_path="metadata")
    def merge_metadata(self, request: Request, **kwargs: Any) -> Response:
        """Merge an object into the top level of the metadata, so that writers of different keys both win."""
        merged = self.write_if_match(lambda: self.storage.patch_image_metadata(self.kwargs["id"], self.body()))
        return self.answer(merged)
