"""What each record looks like as JSON, and which of its fields who may set."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from typing import Any, ClassVar, Final

from rest_framework import serializers

from .. import codec, records
from .compat import declared_fields
from .fields import (
    CostField,
    CountField,
    FlagField,
    JSONField,
    ListField,
    ObjectField,
    StringField,
    TimestampField,
    field_of,
)
from .problems import MAX_ERRORS

#: Items of the largest batch.
MAX_BATCH = 1000
_ERASED = "Not empty where an erasure has emptied it: a digest of what was there."


def batch_of(serializer: Any) -> Any:
    """A field that holds a list of what this serializer describes."""
    return serializer(many=True, max_length=MAX_BATCH)


class RecordSerializer(serializers.Serializer[Any]):
    """A record; what is given that can't be set is refused, not dropped."""

    #: The type of which it has all fields; those that say no more than it does are not declared.
    record: ClassVar[type[records.Record] | None] = None
    #: The fields that only staff may set; others get them from the server.
    staff_only: ClassVar[tuple[str, ...]] = ("id", "created_at")
    #: The fields that can be set only as long as the record isn't stored.
    fixed: ClassVar[tuple[str, ...]] = ("id", "created_at")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.record is None:
            return
        fields = declared_fields(cls)
        declared = dict(fields)
        fields.clear()
        for field in dataclasses.fields(cls.record):  # type: ignore[arg-type]
            fields[field.name] = declared.pop(field.name, None) or field_of(field)
        fields.update(declared)

    def to_representation(self, instance: Any) -> Any:
        if isinstance(instance, dict):
            return super().to_representation(instance)
        return self.write(instance)

    @classmethod
    def write(cls, record: Any) -> dict[str, Any]:
        """The record as JSON, as DRF makes it, but by the class's own fields: to copy them takes as long as a query."""
        return _writer(cls)(record)

    def get_fields(self) -> dict[str, Any]:
        fields = declared_fields(type(self))
        given = getattr(self, "initial_data", None)
        if isinstance(given, dict):  # of those that a body may leave out, only what it has is copied
            fields = {name: field for name, field in fields.items() if field.required or name in given}
        return {name: _copied(field) for name, field in fields.items()}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            refused = ((name, [problem]) for name in data if (problem := self._refused(str(name))))
            errors = dict(islice(refused, MAX_ERRORS))
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)

    def _refused(self, name: str) -> str:
        """Why this field can't be set; empty if it can."""
        field = declared_fields(type(self)).get(name)
        if field is None:
            settable = [each for each, field in declared_fields(type(self)).items() if not field.read_only]
            return f"is no field here; there are {', '.join(settable)}"
        if field.read_only:
            return "is set by the store"
        if self.root.partial and name in self.fixed:
            return "can't be changed"
        if name in self.staff_only and not self.context["view"].access.staff:
            return "is set by the server; only staff may set it"
        return ""


def _copied(field: Any) -> Any:
    """A field for one serializer, which is its parent; DRF makes each anew, and that takes as long as to check it."""
    has_own = isinstance(field, serializers.BaseSerializer) or hasattr(field, "child")
    return copy.deepcopy(field) if has_own else copy.copy(field)


def written_fields(serializer: type[RecordSerializer]) -> dict[str, Any]:
    """The fields that are answered of a record, by name."""
    return {name: field for name, field in declared_fields(serializer).items() if not field.write_only}


@cache
def _writer(serializer: type[RecordSerializer]) -> Callable[[Any], dict[str, Any]]:
    """A function that makes JSON of a record: in half the time that a loop over the fields takes."""
    plain = (StringField, serializers.IntegerField, serializers.ChoiceField, JSONField, ListField, ObjectField)
    parts, writes = [], {}
    for name, field in written_fields(serializer).items():
        value = f"record.{name}"
        if not isinstance(field, plain):
            writes[f"write_{name}"] = field.to_representation
            value = f"None if {value} is None else write_{name}({value})"
        parts.append(f"{name!r}: {value}")
    # The text is of fields' names only; dataclasses and namedtuple make theirs the same way.
    writer: Callable[[Any], dict[str, Any]] = eval(f"lambda record: {{{', '.join(parts)}}}", writes)  # noqa: S307
    return writer


class SessionSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Session

    user_id: Final = StringField(help_text="Whose it is. It can be set once.")
    status: Final = StringField(help_text="Known are active, running, paused, completed, failed and ended.")
    metadata: Final = ObjectField(help_text="To filter by; a change replaces it whole.")
    last_activity_at: Final = TimestampField(help_text="It never goes back.")
    deleted_at: Final = TimestampField(read_only=True, allow_null=True)
    require_fence: Final = FlagField(help_text="Whether only writers with the session's `Fence` are let in.")
    legal_hold: Final = FlagField(read_only=True, help_text="Whether nothing that belongs to it may be removed.")

    staff_only: ClassVar[tuple[str, ...]] = (
        "id",
        "user_id",
        "container_id",
        "image_id",
        "created_at",
        "last_activity_at",
    )


def _tokens() -> Any:
    return CountField(max_value=codec.MAX_TOKENS, allow_null=True, help_text="Null: not reported, which is not 0.")


class TokenUsageSerializer(RecordSerializer):
    prompt_tokens: Final = _tokens()
    completion_tokens: Final = _tokens()
    total_tokens: Final = _tokens()
    cache_read_tokens: Final = _tokens()
    cache_creation_tokens: Final = _tokens()

    staff_only: ClassVar[tuple[str, ...]] = ()

    def to_internal_value(self, data: Any) -> records.TokenUsage:
        return records.TokenUsage(**super().to_internal_value(data))


class MessageSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Message

    session_id: Final = StringField(read_only=True)
    role: Final = StringField(required=True, allow_blank=False, help_text="user, assistant, system, tool, error, …")
    kind: Final = StringField(help_text="Derived from the role when empty.")
    content: Final = JSONField(help_text="A string, a list of parts, an object or null.")
    usage: Final = TokenUsageSerializer(required=False, allow_null=True)
    raw: Final = JSONField(help_text="A framework's own item for this message, which comes back exactly.")
    format: Final = StringField(help_text="Which framework's `raw` is.")


def _expected() -> Any:
    return CountField(write_only=True, help_text="Append only if this is the session's last number; 0: none yet.")


class MessageAppendSerializer(MessageSerializer):
    expected_seq: Final = _expected()


class BatchSerializer(RecordSerializer):
    """Several records, all or none."""

    new: Final = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="The ids of those that were not stored before."
    )


class MessageBatchSerializer(BatchSerializer):
    messages: Final = batch_of(MessageSerializer)
    expected_seq: Final = _expected()


class TruncateSerializer(RecordSerializer):
    after_message_id: Final = StringField(
        required=True, allow_blank=False, help_text="The last message that stays; those after it are removed."
    )


_SCHEMA, _SCHEMA_VERSION = "The name of the data's shape.", "Which version of that shape."


class MemorySerializer(RecordSerializer):
    record: ClassVar[Any] = records.MemoryRecord

    kind: Final = StringField(help_text="short_term, long_term, …")
    schema: Final = StringField(help_text=_SCHEMA)
    schema_version: Final = CountField(help_text=_SCHEMA_VERSION)
    expires_at: Final = TimestampField(allow_null=True, help_text="From then on the record is not there any more.")

    staff_only: ClassVar[tuple[str, ...]] = ("id", "user_id", "created_at")
    fixed: ClassVar[tuple[str, ...]] = ("id", "agent_id", "user_id", "session_id", "kind", "key", "created_at")


class MemoryBatchSerializer(BatchSerializer):
    records: Final = batch_of(MemorySerializer)


class AuditLogSerializer(RecordSerializer):
    record: ClassVar[Any] = records.AuditLog

    erased: Final = StringField(read_only=True, help_text=_ERASED)


def _status() -> Any:
    return serializers.ChoiceField(
        records.SPAN_STATUSES, required=False, help_text="Derived from the error unless it is given."
    )


class TraceSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Trace

    trace_id: Final = StringField(
        help_text="The run it is part of, as OpenTelemetry has it; unless given, its stored parent's, else the id."
    )
    session_id: Final = StringField(help_text="The session; staff may name one that isn't there yet.")
    kind: Final = StringField(help_text="node, tool_call, model_call, approval, graph, …")
    status: Final = _status()
    usage: Final = TokenUsageSerializer(required=False, allow_null=True)
    cost: Final = CostField(help_text="At most 999,999, in the host's currency.")
    attributes: Final = ObjectField(help_text="What the span says of itself, to filter by.")
    resource: Final = ObjectField(help_text="What says it: service, host, version and the like, to filter by.")
    events: Final = ListField(help_text="What happened during it.")
    links: Final = ListField(help_text="Other spans it has to do with.")
    ended_at: Final = TimestampField(allow_null=True, help_text="Null while it runs.")

    staff_only: ClassVar[tuple[str, ...]] = ("id",)


class TraceEndSerializer(RecordSerializer):
    output: Final = JSONField()
    error: Final = StringField(max_length=codec.MAX_TEXT)
    status: Final = _status()
    model: Final = StringField()
    usage: Final = TokenUsageSerializer(required=False, allow_null=True)
    cost: Final = CostField()
    attributes: Final = ObjectField()
    events: Final = ListField()
    ended_at: Final = TimestampField()

    staff_only: ClassVar[tuple[str, ...]] = ()


class TraceBatchSerializer(BatchSerializer):
    traces: Final = batch_of(TraceSerializer)


class EventSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Event

    session_id: Final = StringField(read_only=True)
    type: Final = StringField(required=True, allow_blank=False, help_text="chat_message, node_executed, …")
    schema: Final = StringField(help_text=_SCHEMA)
    schema_version: Final = CountField(help_text=_SCHEMA_VERSION)
    erased: Final = StringField(read_only=True, help_text=_ERASED)


class EventAppendSerializer(EventSerializer):
    expected_seq: Final = _expected()


class EventBatchSerializer(BatchSerializer):
    events: Final = batch_of(EventSerializer)
    expected_seq: Final = _expected()


class CheckpointSerializer(RecordSerializer):
    record: ClassVar[Any] = records.Checkpoint

    session_id: Final = StringField(read_only=True)
    schema: Final = StringField(help_text=_SCHEMA)
    schema_version: Final = CountField(help_text=_SCHEMA_VERSION)


class PruneSerializer(RecordSerializer):
    keep_last: Final = CountField(help_text="How many stay of each namespace, the latest ones; none unless given.")
    run_ids: Final = serializers.ListField(
        child=StringField(),
        required=False,
        max_length=MAX_BATCH,
        help_text="Only checkpoints of these runs are removed, and counted by `keep_last`.",
    )
