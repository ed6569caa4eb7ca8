"""What entries of the queue, and consumers of a topic, look like as JSON."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from .fields import JSONField, StringField, TimestampField
from .serializers import RecordSerializer


class EntrySerializer(serializers.Serializer[Any]):
    cursor: Final = serializers.CharField()
    topic: Final = serializers.CharField()
    event: Final = JSONField()
    user_id: Final = StringField()
    created_at: Final = TimestampField()


@extend_schema_serializer(many=False)  # the action is named list, and would be taken for one
class EntriesSerializer(serializers.Serializer[Any]):
    results: Final = EntrySerializer(many=True)
    next: Final = StringField(allow_null=True, help_text="The last cursor here, where there are more after it.")


class PublishSerializer(RecordSerializer):
    event: Final = JSONField(required=True)
    user_id: Final = StringField(help_text="Who publishes it, if not who is signed in.")

    staff_only: ClassVar[tuple[str, ...]] = ("user_id",)


class PublishedSerializer(serializers.Serializer[Any]):
    cursor: Final = serializers.CharField(help_text="Its place in the topic.")


class ConsumerSerializer(RecordSerializer):
    cursor: Final = StringField(required=True, allow_null=True, help_text="Null as long as nothing is acknowledged.")
    unread: Final = serializers.IntegerField(read_only=True)

    staff_only: ClassVar[tuple[str, ...]] = ()
