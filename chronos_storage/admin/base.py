"""What the pages of all models have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.db.models.query import QuerySet
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..backends.orm import OrmStorage
from ..exceptions import InvalidRecord
from ..fields import JSONTextField, MetadataField, TextField
from ..models.mapping import Table
from ..records import Record

_JSON = (JSONTextField, MetadataField)


@cache
def json_text(name: str) -> Callable[[models.Model], SafeString]:
    """A read-only column that shows a JSON field as JSON, not as Python."""

    def column(row: models.Model) -> SafeString:
        text = json.dumps(getattr(row, name), ensure_ascii=False, indent=2)
        return format_html('<pre style="margin: 0; white-space: pre-wrap">{}</pre>', text)

    column.__name__ = name
    return admin.display(description=name.replace("_", " "))(column)


class LightChangeList(ChangeList):
    """A list that leaves in the database what may be large and isn't shown."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        large = [field.name for field in self.opts.concrete_fields if isinstance(field, (*_JSON, TextField))]
        rows = super().get_queryset(request, exclude_parameters)
        return rows.defer(*(name for name in large if name not in self.list_display))


class JSONInput(forms.JSONField):
    """After a mistake it shows what was typed, not what Python made of it."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        return InvalidJSONInput(data) if isinstance(data, str) else data


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to look at. Lists are searched, filtered and sorted by what has an index, and count no rows twice.

    Attributes:
        using: the database alias; without it the host's database routers decide, as for the facade.
        changeable: the fields that a user with the permission may change.
    """

    using: str | None = None
    changeable: tuple[str, ...] = ()

    actions: Any = None
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by: ClassVar[Any] = ()

    @property
    def storage(self) -> OrmStorage:
        """The facade over the database that the pages show."""
        return OrmStorage(using=self.using)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).using(self.storage.alias)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LightChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.changeable) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        changeable = self.changeable if self.has_change_permission(request, obj) else ()
        return [
            json_text(field.name) if isinstance(field, _JSON) and field.name not in changeable else field.name
            for field in self.opts.concrete_fields
            if field.editable and not isinstance(field, models.AutoField)
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [field for field in self.get_fields(request, obj) if field not in self.changeable]


class RecordForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses what no backend can keep, before it is written."""

    record: type[Record]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        try:
            self.record(**{name: values[name] for name in self.changed_data if name in values}).cleaned()
        except InvalidRecord as error:
            self.add_error(error.field.partition(".")[0], f"{error.field} {error.problem}")
        return values


class EditableAdmin(ReadOnlyAdmin):
    """Rows some of whose fields can be changed, and which can be deleted, through the facade.

    Attributes:
        table: where the facade keeps the record.
    """

    table: Table[Any]
    actions = ()
    formfield_overrides: ClassVar[Any] = {field: {"form_class": JSONInput} for field in _JSON}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = type("RecordForm", (RecordForm,), {"record": self.table.record})
        return super().get_form(request, obj, change, form=form, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if changes := {name: form.cleaned_data[name] for name in form.changed_data}:
            self.write(obj.pk, changes)

    def write(self, id: str, changes: dict[str, Any]) -> None:
        """Change these fields of the record, through the facade."""
        raise NotImplementedError

    def changed(self, id: str, changes: dict[str, Any]) -> Any:
        """The record as it is stored, but for these fields: a form knows neither microseconds nor newer changes."""
        (stored,) = self.table.fetch(self.table.model._default_manager.using(self.storage.alias).filter(pk=id))
        return replace(stored, **changes)

    def remove(self, id: str) -> None:
        """Delete the record, through the facade."""
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for id in queryset.values_list("pk", flat=True):
            self.remove(id)
