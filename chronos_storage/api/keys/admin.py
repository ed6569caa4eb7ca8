"""Keys in the admin: one is made there, shown once, and revoked."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from rest_framework_api_key.admin import APIKeyModelAdmin

from ..scopes import SCOPES
from .models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(APIKeyModelAdmin):
    """What a key gives is fixed when it is made; and for somebody else only a superuser makes one.

    Otherwise whoever may add or change keys would be able to act as anybody.
    """

    list_display: Any = ("prefix", "name", "owner", "scopes", "created", "expiry_date", "_has_expired", "revoked")
    list_select_related: ClassVar[Any] = ("owner",)
    raw_id_fields: ClassVar[Any] = ("owner",)

    class Media:
        css: ClassVar[Any] = {"all": ["chronos_storage/admin.css"]}
        js: ClassVar[Any] = ["chronos_storage/admin.js"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else tuple(dict.fromkeys((*fields, "owner", "scopes", "expiry_date")))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "scopes":
            choices = [(scope, scope) for scope in SCOPES]
            return forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if not getattr(request.user, "is_superuser", False):
            users = db_field.remote_field.model._default_manager
            kwargs["queryset"] = users.filter(pk=request.user.pk)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)
