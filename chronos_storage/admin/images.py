from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ..ledger.mapping import CONTAINERS, IMAGES
from ..models import Container, Image, Session
from .access import may
from .base import EditableAdmin
from .families import family, forest

#: How many of a container's images, and of an image's sessions, its page shows.
_SHOWN = 100


@admin.register(Container)
class ContainerAdmin(EditableAdmin):
    table = CONTAINERS
    changeable = ("config",)
    list_display = ("id", "created_at", "updated_at")
    list_filter = ("created_at",)
    lookups = ("id",)
    ordering = ("-created_at",)
    search_fields = ("id__exact",)
    sortable_by = ("created_at",)
    change_form_template = "admin/chronos_storage/family.html"

    def write(self, id: str, changes: dict[str, Any]) -> None:
        self.storage.save_container(self.changed(id, {**changes, "updated_at": None}))

    def remove(self, id: str) -> None:
        self.storage.delete_container(id)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (container := context.get("original")) is not None and may(request, "view", Image):
            images = _narrow(self.storage.alias).filter(container_id=container.pk).order_by("-created_at", "-pk")
            found = list(images[: _SHOWN + 1])
            context |= {"family": forest(reversed(found[:_SHOWN])), "more_images": len(found) > _SHOWN}
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(Image)
class ImageAdmin(EditableAdmin):
    """The texts stay as they are: a browser would give them other line ends, and models another prompt."""

    table = IMAGES
    changeable = ("name", "mcp_servers", "metadata")
    list_display = ("id", "name", "container_id", "session_id", "parent_image_id", "created_at", "updated_at")
    list_filter = ("created_at",)
    lookups = ("name", "container_id", "parent_image_id")
    ordering = ("-created_at",)
    search_fields = ("id__exact", "name__exact", "container_id__exact")
    sortable_by = ("created_at",)
    change_form_template = "admin/chronos_storage/family.html"

    def write(self, id: str, changes: dict[str, Any]) -> None:
        self.storage.save_image(self.changed(id, {**changes, "updated_at": None}))

    def remove(self, id: str) -> None:
        self.storage.delete_image(id)

    def session_of(self, row: Any) -> str:
        return ""  # it was made in a session, and holds none of it

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (image := context.get("original")) is not None:
            context["family"] = family(_narrow(self.storage.alias), image)
            if may(request, "view", Session):
                sessions = Session.objects.using(self.storage.alias).filter(image_id=image.pk)
                context["image_sessions"] = sessions.only("id", "created_at").order_by("-created_at", "-pk")[:10]
        return super().render_change_form(request, context, *args, **kwargs)


def _narrow(using: str) -> Any:
    return Image.objects.using(using).only("id", "name", "parent_image_id", "created_at")
