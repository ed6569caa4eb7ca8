from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..downloads import IMAGES, download
from ..exceptions import StoreFailure
from ..ledger.mapping import ARTIFACTS
from ..models import Artifact, Session
from ..text import name as shown
from ..text import visible
from .addresses import Redirect, address
from .base import EditableAdmin

#: Bytes of the largest image that a page shows.
LARGEST = 8 * 1024 * 1024


@admin.register(Artifact)
class ArtifactAdmin(EditableAdmin):
    """Nothing can be changed: other bytes are another version. What is of a deleted session stays with it."""

    table = ARTIFACTS
    list_display = ("id", "name", "version", "mime_type", "readable_size", "session_id", "user_id", "created_at")
    lookups = ("session_id", "user_id", "name")
    narrowed: ClassVar[Any] = {"mime_type": ()}
    timestamp = "created_at"
    ordering = ("-created_at",)
    search_fields = tuple(f"{name}__exact" for name in ("id", "session_id", "user_id", "name", "sha256"))

    def get_urls(self) -> list[URLPattern]:
        return [self.page("<path:object_id>/download/", "download", self.download_view), *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_fields(request, obj), "file"]

    @admin.display(description=gettext_lazy("size"), ordering="size")
    def readable_size(self, row: Artifact) -> str:
        """How many bytes it has, in the unit that suits it."""
        return filesizeformat(row.size)

    @admin.display(description=gettext_lazy("file"))
    def file(self, row: Artifact) -> SafeString:
        """A link to the bytes, and those of an image that browsers may show."""
        place = address(row, "download")
        link = format_html('<a href="{}" download>{}</a>', place, _("Download (%s)") % filesizeformat(row.size))
        if row.mime_type not in IMAGES or row.size > LARGEST:
            return link
        image = format_html('<img class="chronos-image" src="{}" alt="{}">', place, shown(row.name))
        return format_html("{}{}", link, image)

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The bytes, as a file to keep or an image to show; where they can't be read, its page, which says so."""
        row = self.found(request, object_id)
        self.note_look(request, row, "file")
        [artifact] = self.table.fetch(self.model._default_manager.using(self.alias).filter(pk=row.pk))
        try:
            return download(request, artifact, partial(self.storage.open_artifact, artifact.id))
        except StoreFailure as error:
            self.message_user(request, visible(str(error)), messages.ERROR)
            return Redirect(address(row, "change"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and self._staying([obj]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        rows = list(objs)
        names = [shown(f"{row.name} ({row.version})") for row in rows]
        kept = [why % shown(f"{row.name} ({row.version})") for row, why in self._staying(rows)]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), kept

    def _staying(self, rows: list[Any]) -> list[tuple[Any, Any]]:
        """Those that can't be removed, each with the reason, in which its name is to stand."""
        sessions = Session.objects.using(self.alias).filter(pk__in={row.session_id for row in rows})
        why = {}
        for id, held in sessions.exclude(deleted_at=None, legal_hold=False).values_list("pk", "legal_hold"):
            why[id] = _("%s: its session is under a legal hold") if held else _("%s: its session is deleted")
        return [(row, why[row.session_id]) for row in rows if row.session_id in why]

    def remove(self, id: str) -> None:
        sessions = Artifact.objects.using(self.alias).filter(pk=id).values("session_id")
        # Who looks after artifacts overtakes nobody, and is let in by every session.
        tokens = Session.objects.using(self.alias).filter(pk__in=sessions).values_list("fence_token", flat=True)
        self.storage.delete_artifact(id, fence=tokens.first())
