from __future__ import annotations

from typing import Any

from django.contrib import admin

from ..models import Container, Image
from ..models.mapping import CONTAINERS, IMAGES
from .base import EditableAdmin


@admin.register(Container)
class ContainerAdmin(EditableAdmin):
    table = CONTAINERS
    changeable = ("config",)
    list_display = ("id", "created_at", "updated_at")
    list_filter = ("created_at",)
    ordering = ("-created_at",)
    search_fields = ("id__exact",)
    sortable_by = ("created_at",)

    def write(self, id: str, changes: dict[str, Any]) -> None:
        self.storage.save_container(self.changed(id, changes))

    def remove(self, id: str) -> None:
        self.storage.delete_container(id)


@admin.register(Image)
class ImageAdmin(EditableAdmin):
    """The texts stay as they are: a browser would give them other line ends, and models another prompt."""

    table = IMAGES
    changeable = ("name", "mcp_servers", "metadata")
    list_display = ("id", "name", "container_id", "session_id", "parent_image_id", "created_at", "updated_at")
    list_filter = ("created_at",)
    ordering = ("-created_at",)
    search_fields = ("id__exact", "name__exact", "container_id__exact")
    sortable_by = ("created_at",)

    def write(self, id: str, changes: dict[str, Any]) -> None:
        self.storage.save_image(self.changed(id, changes))

    def remove(self, id: str) -> None:
        self.storage.delete_image(id)
