"""Containers and images: staff's, as they belong to no user."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..ledger.mapping import CONTAINERS, IMAGES
from .fields import ObjectField, TimestampField
from .filters import ImageFilter
from .schema import documented
from .serializers import RecordSerializer
from .viewsets import Listed, Saved


class ContainerSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Container

    created_at: Final = TimestampField(read_only=True)


class ImageSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Image

    metadata: Final = ObjectField(help_text="To filter by; a change replaces it whole.")
    created_at: Final = TimestampField(read_only=True)


class ContainerViewSet(Saved):
    """Containers, newest first."""

    table = CONTAINERS
    serializer_class: Any = ContainerSerializer

    def save(self, record: records.Container) -> records.Container:
        stored: records.Container = self.storage.save_container(replace(record, updated_at=None))
        return stored

    def remove(self, id: str) -> bool:
        return bool(self.storage.delete_container(id))


class ImageViewSet(Saved):
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
