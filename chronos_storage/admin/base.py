"""What the pages of all models have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, router
from django.db.models.query import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from ..backends.handler import DEFAULT_ALIAS, AliasHandler
from ..backends.orm import OrmBackend
from ..exceptions import InvalidRecord
from ..facade import Storage
from ..facade.stores import storages
from ..ledger.mapping import TABLES, Table
from ..reach import database_of
from ..records import Record
from ..text import visible
from .access import note_look
from .columns import column, label
from .compat import JSONAsTyped, unquote
from .lists import KeysetChangeList, LookupForm
from .previews import JSON_FIELDS, large_fields, previewed, readable, whole


def plain(text: str) -> HttpResponse:
    """A text that no browser takes for anything else."""
    headers = {"X-Content-Type-Options": "nosniff"}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to look at. Lists are searched, filtered and sorted by what has an index, and count no rows.

    Attributes:
        using: the database alias; without it the one of the store that the settings call "default".
        stores: the section of the settings that has this store.
        changeable: the fields that a user with the permission may change.
        lookups: the columns that the form above a list looks up, exactly or by how they begin.
        narrowed: the columns that it looks up among the rows which one of those finds; see `LookupForm`.
        timestamp: the column of the time that it looks up.
        list_previews: fields that may be long, of which a column of the list shows the beginning.
        ranked: the columns that are worked out.
    """

    using: str | None = None
    stores: AliasHandler[Any] = storages
    changeable: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()
    narrowed: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    timestamp: str = ""
    list_previews: tuple[str, ...] = ()
    ranked: tuple[str, ...] = ()

    actions: Any = None
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by: ClassVar[Any] = ()
    change_list_template = "admin/chronos_storage/change_list.html"
    change_form_template = "admin/chronos_storage/change_form.html"

    class Media:
        css: ClassVar[Any] = {"all": ["chronos_storage/admin.css"]}
        js: ClassVar[Any] = ["chronos_storage/admin.js"]

    @property
    def alias(self) -> str:
        """The database alias that the pages show."""
        return self.using or database_of(self.stores, DEFAULT_ALIAS) or router.db_for_write(self.model)

    @property
    def shows_storage(self) -> bool:
        """Whether the pages are of the storage that the settings call "default"."""
        return self.using is None and self.stores is storages

    @property
    def storage(self) -> Storage:
        """The facade over the database that the pages show."""
        return Storage(OrmBackend(using=self.alias))

    @property
    def lookup_form_class(self) -> type[LookupForm]:
        """The form above the list."""
        said = {"columns": self.lookups, "narrowed": self.narrowed, "timestamp": self.timestamp}
        return type("Lookups", (LookupForm,), said)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).using(self.alias)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def get_list_display(self, request: HttpRequest) -> Any:
        return [self._column(name, brief=True) for name in self.list_display]

    def get_sortable_by(self, request: HttpRequest) -> Any:
        return [*(self._column(name, brief=True) for name in self.sortable_by), *self.rankings]

    @property
    def rankings(self) -> dict[str, Any]:
        """What the list can be sorted by that is worked out: by the column, an expression."""
        return {}

    def _column(self, name: Any, *, brief: bool = False) -> Any:
        model: Any = self.model
        names = {each for field in model._meta.concrete_fields for each in (field.name, field.attname)}
        return column(model, name, brief=brief) if name in names else name

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # Django's own pages ask here; the form of who may change the row reads these fields whole.
        return self._row(request, object_id, self.changeable if self.has_change_permission(request) else ())

    def _row(self, request: HttpRequest, object_id: str, kept: tuple[str, ...] = ()) -> Any:
        if "\x00" in object_id:
            return None
        try:
            key = self.opts.pk.to_python(object_id)
            return previewed(self.get_queryset(request), kept=kept).filter(pk=key).first()
        except (ValidationError, ValueError, OverflowError):
            return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.changeable) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        changeable = self.changeable if self.has_change_permission(request, obj) else ()
        return [
            field.name if field.name in changeable else self._column(field.name)
            for field in sorted(self.opts.concrete_fields, key=self._place)
            if field.editable and not isinstance(field, models.AutoField)
        ]

    def _place(self, field: Any) -> int:
        """Where a field stands on the page: in the record's order, which is not that of a model with a base."""
        table = next((table for table in TABLES.values() if table.model is self.model), None)
        return table.columns.index(field.attname) if table and field.attname in table.columns else -1

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [field for field in self.get_fields(request, obj) if field not in self.changeable]

    # Pages of its own

    def get_urls(self) -> list[URLPattern]:
        return [self.page("<path:object_id>/content/<str:name>/", "content", self.content_view), *super().get_urls()]

    def page(self, route: str, name: str, view: Any, *, post: bool = False) -> URLPattern:
        """The address of a page of this model's, which only staff get to see; it changes nothing but by `post`."""
        methods = ("GET", "HEAD", "POST") if post else ("GET", "HEAD")
        found: URLPattern = path(
            route,
            self.admin_site.admin_view(require_http_methods(methods)(view)),
            name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
        )
        return found

    def render(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        """A page of this model's."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "has_view_permission": self.has_view_permission(request),
            **context,
        }
        return TemplateResponse(request, f"admin/chronos_storage/{template}", context)

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row of this id, which the user may look at; otherwise the answer is 404 or 403."""
        row = self._row(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404(_("There is no such row."))
        return row

    def content_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """All of a field that may be long, as plain text."""
        row = self.found(request, object_id)
        fields = {field.attname: field for field in large_fields(self.model)}
        if name not in fields:
            raise Http404(_("There is no such field."))
        self.note_look(request, row, name)
        text = self.whole_text(row, fields[name])
        shown = readable(text, exactly=True) if isinstance(fields[name], JSON_FIELDS) else visible(text)
        return plain(shown)

    def whole_text(self, row: Any, field: Any) -> str:
        """All of a field that may be long."""
        rows = self.model._default_manager.using(row._state.db).filter(pk=row.pk)
        text: str = rows.values_list(whole(field), flat=True).get()
        return text

    # Who looked

    def session_of(self, row: Any) -> str:
        """The session whose content the row is; empty if it is no session's."""
        return str(getattr(row, "session_id", ""))

    def note_look(self, request: HttpRequest, row: Any, page: str) -> None:
        """Write down that the user looks at a row, if it is a session's content."""
        seen = "" if self.session_of(row) == row.pk else f"{self.opts.model_name}:{row.pk}"
        note_look(request, self.storage, self.session_of(row), page=page, **({"row": seen} if seen else {}))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (row := context.get("original")) is not None:
            self.note_look(request, row, "change")
        return super().render_change_form(request, context, *args, **kwargs)


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
    actions: Any = ()
    formfield_overrides: ClassVar[Any] = {field: {"form_class": JSONAsTyped} for field in JSON_FIELDS}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = type("RecordForm", (RecordForm,), {"record": self.table.record})
        labels = {name: capfirst(label(name)) for name in self.changeable}
        return super().get_form(request, obj, change, form=form, labels=labels, **kwargs)

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
