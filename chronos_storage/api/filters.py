"""Filters of lists: each by a field that an index begins with, or among rows that an index finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import django_filters
from django import forms
from django_filters.constants import EMPTY_VALUES
from django_filters.utils import translate_validation
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from .. import codec
from ..exceptions import InvalidRecord
from ..models import Artifact, AuditLog, Checkpoint, Event, Image, MemoryRecord, Message, Session, Trace
from ..records import SPAN_STATUSES
from .fields import TimestampField
from .found import AnyOperator, Condition
from .ids import LIST_PATTERN, read_addresses


def _string(field: str | None = None, kind: type[Any] = django_filters.CharFilter, **options: Any) -> Any:
    # A space at the end is part of an id.
    return kind(field, max_length=codec.MAX_INDEXED, strip=False, **options)


class _IntegerFilter(django_filters.NumberFilter):
    field_class = forms.IntegerField


def _number(lookup: str, help_text: str) -> Any:
    return _IntegerFilter("seq_num", lookup, min_value=0, max_value=codec.MAX_INTEGER, help_text=help_text)


def _refusal(problem: str) -> forms.ValidationError:
    """An error that says this, which may quote what was given, with any "%" in it."""
    return forms.ValidationError("%(problem)s", params={"problem": problem})


class _Timestamp(forms.Field):
    def clean(self, value: Any) -> Any:
        try:
            return TimestampField().to_internal_value(value) if value else None
        except serializers.ValidationError as error:
            raise _refusal(str(error.detail[0])) from None  # type: ignore[index]  # it is a list


class _Flag(forms.Field):
    def clean(self, value: Any) -> Any:
        if value not in (None, "", "true", "false"):
            raise forms.ValidationError("must be true or false")
        return {"true": True, "false": False}.get(value)


class _FlagFilter(django_filters.BooleanFilter):
    field_class = _Flag


@extend_schema_field({"type": "string", "format": "date-time"})
class _TimestampFilter(django_filters.Filter):
    field_class = _Timestamp


def _since(field: str = "created_at") -> Any:
    return _TimestampFilter(field, "gte", help_text="Only what is of this moment or later.")


def _until(field: str = "created_at") -> Any:
    return _TimestampFilter(field, "lte", help_text="Only what is of this moment or earlier.")


class _Names(forms.Field):
    def clean(self, value: Any) -> Any:
        try:
            return read_addresses(value) if value else None
        except ValueError as error:
            raise _refusal(str(error)) from None


@extend_schema_field({"type": "string", "pattern": LIST_PATTERN})
class _NamesFilter(django_filters.Filter):
    field_class = _Names


def _one_of(field: str, what: str) -> Any:
    return _NamesFilter(field, "in", help_text=f"Only these {what}, separated by commas; spelled as ids in paths are.")


class _TextFilter(django_filters.CharFilter):
    """What has a text in it. No index serves it, so that the records must be narrowed down by something else."""

    operator: AnyOperator = "has text"


class _JSONTextFilter(_TextFilter):
    operator: AnyOperator = "has JSON text"


class _PrefixFilter(django_filters.CharFilter):
    operator: Final = "prefix"


def _text(field: str, kind: type[_TextFilter], what: str) -> Any:
    return _string(field, kind, help_text=f"Only {what}; upper and lower case differ.")


#: What the names of the parameters begin with that filter by metadata.
_METADATA = "metadata."


def _metadata_conditions(given: Any) -> Iterator[Condition]:
    """The conditions of ``metadata.key=value``: the value a JSON literal, else a string; dots lead into objects."""
    for name in given:
        if name.startswith(_METADATA):
            path = tuple(name.removeprefix(_METADATA).split("."))
            if len(path) > codec.MAX_DEPTH:
                raise InvalidRecord(name, f"has more than {codec.MAX_DEPTH} names")
            for text in given.getlist(name):
                value = _literal(text)
                if isinstance(value, dict | list):
                    raise InvalidRecord(name, "must be a string, a number, true, false or null")
                try:
                    codec.filterable_object(dict.fromkeys(path, value), "metadata")
                except InvalidRecord as error:
                    raise InvalidRecord(name, error.problem) from None
                yield Condition("metadata", "has", (path, value))


def _literal(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_literal)
    except (ValueError, RecursionError):
        return text


def _no_literal(text: str) -> Any:
    raise ValueError(text)


#: The operator of a filter that has none of its own, by its lookup.
_OPERATORS: dict[str, AnyOperator] = {"exact": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "in"}


class Filters(django_filters.FilterSet):
    """What the parameters of a query say about the records that are asked for."""

    @classmethod
    def asked(cls, given: Any) -> bool:
        """Whether a query asks for any of the filters; if not no form is made, which takes longer than the records."""
        filters: dict[str, Any] = cls.base_filters  # type: ignore[attr-defined]  # its metaclass makes it
        return not filters.keys().isdisjoint(given)

    @classmethod
    def unasked(cls) -> tuple[Condition, ...]:
        """What a list's records fulfil where nothing is asked for."""
        return ()

    @classmethod
    def conditions(cls, request: Request) -> list[Condition]:
        """What they fulfil that a query asks for.

        Raises:
            ValidationError: it says something else than the filters take.
        """
        rows = cls._meta.model._default_manager.none()  # type: ignore[attr-defined]
        made = cls(request.query_params, rows, request=request)
        if not made.is_valid():  # type: ignore[no-untyped-call]
            raise translate_validation(made.errors)
        return list(made.given(made.form.cleaned_data))

    def given(self, cleaned: dict[str, Any]) -> Iterator[Condition]:
        """The same, of values that were checked."""
        for name, value in cleaned.items():
            if value not in EMPTY_VALUES:
                yield self.condition(name, value)

    def condition(self, name: str, value: Any) -> Condition:
        """What one filter asks for."""
        found = self.filters[name]
        return Condition(found.field_name, getattr(found, "operator", None) or _OPERATORS[found.lookup_expr], value)


class _ByMetadata(Filters):
    """By ``metadata.key=value`` too."""

    @classmethod
    def asked(cls, given: Any) -> bool:
        return super().asked(given) or any(name.startswith(_METADATA) for name in given)

    def given(self, cleaned: dict[str, Any]) -> Iterator[Condition]:
        yield from super().given(cleaned)
        yield from _metadata_conditions(self.data)


class SessionFilter(_ByMetadata):
    agent_id: Final = _string()
    user_id: Final = _string()
    status: Final = _string()
    container_id: Final = _string()
    image_id: Final = _string()
    title: Final = _text("title", _TextFilter, "sessions whose title has this text")
    include_deleted: Final = _FlagFilter(help_text="Soft-deleted ones too, which are there for staff only.")

    class Meta:
        model = Session
        fields: Final = ("agent_id", "user_id", "status", "container_id", "image_id")

    @classmethod
    def unasked(cls) -> tuple[Condition, ...]:
        return (Condition("deleted_at", "=", None),)

    def given(self, cleaned: dict[str, Any]) -> Iterator[Condition]:
        if not cleaned.pop("include_deleted"):
            yield from self.unasked()
        yield from super().given(cleaned)


def unindexed(given: Any) -> list[str]:
    """The names of the parameters of a query for sessions which no index serves."""
    return [name for name in given if name == "title" or name.startswith(_METADATA)]


#: What an index of sessions begins with, and is narrow enough to look through.
NARROWING: Final = ("user_id", "agent_id", "container_id", "image_id")


class MessageFilter(Filters):
    role: Final = _string()
    kind: Final = _string()
    since: Final = _since()
    until: Final = _until()
    text: Final = _text("content", _JSONTextFilter, "messages whose content has this text, as it stands in JSON")

    class Meta:
        model = Message
        fields: Final = ("role", "kind", "since", "until", "text")


class EventFilter(Filters):
    after_seq: Final = _number("gt", "Only events with a higher number.")
    types: Final = _one_of("type", "types")
    since: Final = _since()
    until: Final = _until()

    class Meta:
        model = Event
        fields: Final = ("after_seq", "types", "since", "until")


class _SpanFilter(Filters):
    kind: Final = _string()
    status: Final = django_filters.ChoiceFilter(choices=[(status, status) for status in SPAN_STATUSES])
    failed: Final = _FlagFilter(help_text="Only spans whose status is error, or only the others.")

    def condition(self, name: str, value: Any) -> Condition:
        if name == "failed":
            return Condition("status", "=" if value else "not", "error")
        return super().condition(name, value)


class TraceFilter(_SpanFilter):
    trace_id: Final = _string(help_text="Only spans of this run.")

    class Meta:
        model = Trace
        fields: Final = ("trace_id", "kind", "status", "failed")


class RunFilter(_SpanFilter):
    trace_id: Final = _string(required=True, help_text="The run whose spans are listed.")

    class Meta(TraceFilter.Meta):
        pass

    @classmethod
    def unasked(cls) -> tuple[Condition, ...]:
        raise InvalidRecord("trace_id", "is not given; spans are listed by their run, or below a session")


class CheckpointFilter(_ByMetadata):
    namespace: Final = _string(help_text='The namespace; "" unless given.')
    run_id: Final = _string()
    before_seq: Final = _number("lt", "Only checkpoints with a lower number.")

    class Meta:
        model = Checkpoint
        fields: Final = ("run_id",)

    @classmethod
    def unasked(cls) -> tuple[Condition, ...]:
        return (Condition("namespace", "=", ""),)

    def given(self, cleaned: dict[str, Any]) -> Iterator[Condition]:
        # Without a namespace it is the one without a name: a number is unique within a namespace only.
        yield Condition("namespace", "=", cleaned.pop("namespace"))
        yield from super().given(cleaned)


class MemoryFilter(Filters):
    agent_id: Final = _string()
    user_id: Final = _string()
    session_id: Final = _string()
    kind: Final = _string()
    key: Final = _string()
    prefix: Final = _string("key", _PrefixFilter, help_text="Only what is under a key that begins with this.")

    class Meta:
        model = MemoryRecord
        fields: Final = ("agent_id", "user_id", "session_id", "kind", "key")


class AuditLogFilter(Filters):
    session_id: Final = _string()
    agent_id: Final = _string()
    user_id: Final = _string()
    actor: Final = _string()
    action: Final = _string()
    resource: Final = _string()
    since: Final = _since()
    until: Final = _until()

    class Meta:
        model = AuditLog
        fields: Final = ("session_id", "agent_id", "user_id", "actor", "action", "resource", "since", "until")


class ArtifactFilter(Filters):
    session_id: Final = _string()
    user_id: Final = _string()
    name: Final = _string(help_text="Only versions of this name.")

    class Meta:
        model = Artifact
        fields: Final = ("session_id", "user_id", "name")


class ImageFilter(Filters):
    name: Final = _string()
    container_id: Final = _string()

    class Meta:
        model = Image
        fields: Final = ("name", "container_id")


class UsageFilter(Filters):
    agent_id: Final = _string("session__agent_id")
    user_id: Final = _string("session__user_id")
    since: Final = _since()
    until: Final = _until()

    def condition(self, name: str, value: Any) -> Condition:
        found = super().condition(name, value)
        return Condition(found.field.replace("__", "."), found.operator, found.value)

    class Meta:
        model = Message
        fields: Final = ("agent_id", "user_id", "since", "until")
