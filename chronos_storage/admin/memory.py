from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import models
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import records
from ..ledger.mapping import MEMORY
from ..models import MemoryRecord
from .base import EditableAdmin
from .compat import LabelledDateTime


@admin.register(MemoryRecord)
class MemoryRecordAdmin(EditableAdmin):
    """The parts of the natural key stay as they are: another key would be another fact."""

    table = MEMORY
    changeable = ("value", "expires_at")
    list_display = (
        *("id", "agent_id", "user_id", "session_id", "kind", "key", "value"),
        *("updated_at", "expires_at", "expired"),
    )
    lookups = ("agent_id", "user_id", "session_id")
    ordering = ("-id",)
    search_fields = tuple(f"{name}__exact" for name in ("id", "agent_id", "user_id", "session_id"))
    formfield_overrides: ClassVar[Any] = EditableAdmin.formfield_overrides | {
        models.DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": LabelledDateTime}
    }

    @admin.display(description=gettext_lazy("state"))
    def expired(self, row: MemoryRecord) -> Any:
        """Whether the record is still there for the agent."""
        if row.expires_at is None or row.expires_at > records.now():
            return _("kept")
        return format_html('<strong class="chronos-bad">{}</strong>', _("expired"))

    def write(self, id: str, changes: dict[str, Any]) -> None:
        self.storage.put_memory(self.changed(id, changes))

    def remove(self, id: str) -> None:
        self.storage.delete_memory(id)
