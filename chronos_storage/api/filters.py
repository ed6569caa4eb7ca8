"""Filters of lists: each by a field that an index begins with."""

from __future__ import annotations

from typing import Any, Final

import django_filters
from django import forms
from django.db.models.query import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from .. import codec
from ..models import AuditLog, Checkpoint, Event, Image, MemoryRecord, Message, Session
from .fields import MomentField


def _string() -> Any:
    # A space at the end is part of an id.
    return django_filters.CharFilter(max_length=codec.MAX_INDEXED, strip=False)


class _IntegerFilter(django_filters.NumberFilter):
    field_class = forms.IntegerField


def _number(lookup: str, help_text: str) -> Any:
    return _IntegerFilter("seq_num", lookup, min_value=0, max_value=codec.MAX_INTEGER, help_text=help_text)


class _Moment(forms.Field):
    def clean(self, value: Any) -> Any:
        try:
            return MomentField().to_internal_value(value) if value else None
        except serializers.ValidationError as error:
            raise forms.ValidationError(str(error.detail[0])) from None  # type: ignore[index]  # it is a list


@extend_schema_field({"type": "string", "format": "date-time"})
class _MomentFilter(django_filters.Filter):
    field_class = _Moment


def _since(field: str = "created_at") -> Any:
    return _MomentFilter(field, "gte", help_text="Only what is of this moment or later.")


def _until(field: str = "created_at") -> Any:
    return _MomentFilter(field, "lte", help_text="Only what is of this moment or earlier.")


class SessionFilter(django_filters.FilterSet):
    agent_id: Final = _string()
    user_id: Final = _string()
    status: Final = _string()
    container_id: Final = _string()
    image_id: Final = _string()
    include_deleted: Final = django_filters.BooleanFilter(
        method="with_deleted", help_text="Soft-deleted ones too, which are there for staff only."
    )

    class Meta:
        model = Session
        fields: Final = ("agent_id", "user_id", "status", "container_id", "image_id")

    def with_deleted(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        return rows  # filter_queryset does it

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().filter_queryset(rows)
        return rows if self.form.cleaned_data["include_deleted"] else rows.filter(deleted_at=None)


class EventFilter(django_filters.FilterSet):
    after_seq: Final = _number("gt", "Only events with a higher number.")

    class Meta:
        model = Event
        fields: Final = ("after_seq",)


class CheckpointFilter(django_filters.FilterSet):
    namespace: Final = django_filters.CharFilter(
        method="of_namespace", max_length=codec.MAX_INDEXED, strip=False, help_text='The namespace; "" unless given.'
    )
    run_id: Final = _string()
    before_seq: Final = _number("lt", "Only checkpoints with a lower number.")

    class Meta:
        model = Checkpoint
        fields: Final = ("run_id",)

    def of_namespace(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows  # filter_queryset does it

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        # Without a namespace it is the one without a name: a number is unique within a namespace only.
        found: QuerySet[Any] = super().filter_queryset(rows)
        return found.filter(namespace=self.form.cleaned_data["namespace"])


class MemoryFilter(django_filters.FilterSet):
    agent_id: Final = _string()
    user_id: Final = _string()
    session_id: Final = _string()
    key: Final = _string()

    class Meta:
        model = MemoryRecord
        fields: Final = ("agent_id", "user_id", "session_id", "key")


class AuditLogFilter(django_filters.FilterSet):
    session_id: Final = _string()
    agent_id: Final = _string()
    user_id: Final = _string()
    actor: Final = _string()
    action: Final = _string()
    resource: Final = _string()

    class Meta:
        model = AuditLog
        fields: Final = ("session_id", "agent_id", "user_id", "actor", "action", "resource")


class ImageFilter(django_filters.FilterSet):
    name: Final = _string()
    container_id: Final = _string()

    class Meta:
        model = Image
        fields: Final = ("name", "container_id")


class UsageFilter(django_filters.FilterSet):
    agent_id: Final = django_filters.CharFilter("session__agent_id", max_length=codec.MAX_INDEXED, strip=False)
    user_id: Final = django_filters.CharFilter("session__user_id", max_length=codec.MAX_INDEXED, strip=False)
    since: Final = _since()
    until: Final = _until()

    class Meta:
        model = Message
        fields: Final = ("agent_id", "user_id", "since", "until")
