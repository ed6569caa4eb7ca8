"""What is answered that is no record, or more than one."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from .fields import JSONField, StringField
from .serializers import (
    AuditLogSerializer,
    CheckpointSerializer,
    TraceSerializer,
)


class DeletedSerializer(serializers.Serializer[Any]):
    deleted: Final = serializers.IntegerField(help_text="How many were removed.")


class LastNumberSerializer(serializers.Serializer[Any]):
    last_seq: Final = serializers.IntegerField(help_text="The last number that was given; 0 before the first.")


class NamespacesSerializer(serializers.Serializer[Any]):
    namespaces: Final = serializers.ListField(child=serializers.CharField())


class TokenTotalsSerializer(serializers.Serializer[Any]):
    """The tokens of messages, added up: they may be more than one message can have."""

    prompt_tokens: Final = serializers.IntegerField()
    completion_tokens: Final = serializers.IntegerField()
    total_tokens: Final = serializers.IntegerField()
    cache_read_tokens: Final = serializers.IntegerField(allow_null=True, help_text="Null: no message reported it.")
    cache_creation_tokens: Final = serializers.IntegerField(allow_null=True, help_text="Null: no message reported it.")


class TraceNodeSerializer(serializers.Serializer[Any]):
    depth: Final = serializers.IntegerField(help_text="0 for a span whose parent isn't in the session.")
    trace: Final = TraceSerializer()


class TraceTreeSerializer(serializers.Serializer[Any]):
    spans: Final = TraceNodeSerializer(many=True)
    next: Final = StringField(allow_null=True, help_text="The last span here, where there are more after it.")


class ChangeSerializer(serializers.Serializer[Any]):
    path: Final = serializers.CharField(help_text="The place in the state, a JSON Pointer (RFC 6901).")
    kind: Final = serializers.ChoiceField(["added", "removed", "changed"])
    before: Final = JSONField(help_text="What was there; null where it was added.")
    after: Final = JSONField(help_text="What is there; null where it was removed.")


class HistorySerializer(serializers.Serializer[Any]):
    checkpoint: Final = CheckpointSerializer()
    changes: Final = ChangeSerializer(many=True)
    more: Final = serializers.BooleanField(help_text="Whether there are more changes than could be listed.")


class VerdictSerializer(serializers.Serializer[Any]):
    intact: Final = serializers.BooleanField(help_text="Whether every entry is as it was appended.")
    base_seq: Final = serializers.IntegerField(help_text="0, or the number of the last entry that was purged.")
    last_seq: Final = serializers.IntegerField(help_text="The number of the last entry.")
    checked: Final = serializers.IntegerField(help_text="How many entries were read, a bad one included.")
    bad_seq: Final = serializers.IntegerField(
        allow_null=True, help_text="The number of the first entry that is not as it was appended."
    )
    problem: Final = serializers.CharField(help_text="What is wrong with that entry.")
    erased: Final = serializers.IntegerField(help_text="How many of them an erasure has emptied.")


class VerificationSerializer(serializers.Serializer[Any]):
    events: Final = VerdictSerializer()
    audit_logs: Final = VerdictSerializer(allow_null=True, help_text="For staff; null for others.")


class AuditExportSerializer(serializers.Serializer[Any]):
    audit_logs: Final = AuditLogSerializer(many=True)
