"""What each record looks like as JSON, and which of its fields who may set."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from .. import codec, records
from .fields import CountField, JSONField, ListField, MomentField, ObjectField, StringField, VectorField
from .problems import MAX_ERRORS

#: Items of the largest batch.
MAX_BATCH = 1000


def batch_of(serializer: Any) -> Any:
    """A field that holds a list of what this serializer describes."""
    return serializer(many=True, max_length=MAX_BATCH)


class RecordSerializer(serializers.Serializer[Any]):
    """A record; what is given that can't be set is refused, not dropped.

    Attributes:
        staff_only: the fields that only staff may set; others get them from the server.
        fixed: the fields that can be set only as long as the record isn't stored.
    """

    staff_only: ClassVar[tuple[str, ...]] = ("id", "created_at")
    fixed: ClassVar[tuple[str, ...]] = ("id", "created_at")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            refused = ((name, [problem]) for name in data if (problem := self._refused(str(name))))
            errors = dict(islice(refused, MAX_ERRORS))
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)

    def _refused(self, name: str) -> str:
        """Why this field can't be set; empty if it can."""
        field = self.fields.get(name)
        if field is None:
            settable = [each for each, field in self.fields.items() if not field.read_only]
            return f"is no field here; there are {', '.join(settable)}"
        if field.read_only:
            return "is set by the store"
        if self.root.partial and name in self.fixed:
            return "can't be changed"
        if name in self.staff_only and not self.context["view"].access.staff:
            return "is set by the server; only staff may set it"
        return ""


class SessionSerializer(RecordSerializer):
    id = StringField()
    agent_id = StringField()
    user_id = StringField(help_text="Whose it is. It can be set once.")
    author = StringField()
    title = StringField(max_length=codec.MAX_TEXT)
    status = StringField(help_text="Known are active, running, paused, completed, failed and ended.")
    metadata = ObjectField(help_text="To filter by; a change replaces it whole.")
    container_id = StringField()
    image_id = StringField()
    created_at = MomentField()
    updated_at = MomentField(read_only=True)
    last_activity_at = MomentField(help_text="It never goes back.")
    deleted_at = MomentField(read_only=True, allow_null=True)

    staff_only = ("id", "user_id", "container_id", "image_id", "created_at", "last_activity_at")


class TokenUsageSerializer(RecordSerializer):
    prompt_tokens = CountField(allow_null=True)
    completion_tokens = CountField(allow_null=True)
    total_tokens = CountField(allow_null=True)
    cache_read_tokens = CountField(allow_null=True)
    cache_creation_tokens = CountField(allow_null=True)

    staff_only = ()

    def to_internal_value(self, data: Any) -> records.TokenUsage:
        return records.TokenUsage(**super().to_internal_value(data))


class MessageSerializer(RecordSerializer):
    id = StringField()
    session_id = StringField(read_only=True)
    seq_num = serializers.IntegerField(read_only=True)
    role = StringField(required=True, allow_blank=False, help_text="user, assistant, system, tool, error, …")
    kind = StringField(help_text="Derived from the role when empty.")
    content = JSONField(help_text="A string, a list of parts, an object or null.")
    model = StringField()
    name = StringField()
    tool_calls = ListField()
    tool_call_id = StringField()
    parent_id = StringField()
    usage = TokenUsageSerializer(required=False, allow_null=True)
    metadata = ObjectField()
    created_at = MomentField()


class MessageBatchSerializer(RecordSerializer):
    messages = batch_of(MessageSerializer)


class MemorySerializer(RecordSerializer):
    id = StringField()
    agent_id = StringField()
    user_id = StringField()
    session_id = StringField()
    kind = StringField(help_text="short_term, long_term, …")
    key = StringField()
    value = JSONField()
    created_at = MomentField()
    updated_at = MomentField(read_only=True)
    expires_at = MomentField(allow_null=True, help_text="From then on the record is not there any more.")

    staff_only = ("id", "user_id", "created_at")
    fixed = ("id", "agent_id", "user_id", "session_id", "kind", "key", "created_at")


class AuditLogSerializer(RecordSerializer):
    id = StringField()
    session_id = StringField()
    agent_id = StringField()
    user_id = StringField()
    actor = StringField()
    action = StringField()
    resource = StringField()
    detail = ObjectField()
    seq_num = serializers.IntegerField(read_only=True)
    hash = StringField(read_only=True)
    created_at = MomentField()


class TraceSerializer(RecordSerializer):
    id = StringField()
    session_id = StringField(help_text="The session; staff may name one that isn't there yet.")
    parent_id = StringField()
    name = StringField()
    kind = StringField(help_text="node, tool_call, model_call, approval, graph, …")
    input = JSONField()
    output = JSONField()
    error = StringField(max_length=codec.MAX_TEXT)
    attributes = ObjectField()
    started_at = MomentField()
    ended_at = MomentField(allow_null=True, help_text="Null while it runs.")

    staff_only = ("id",)


class TraceEndSerializer(RecordSerializer):
    output = JSONField()
    error = StringField(max_length=codec.MAX_TEXT)
    ended_at = MomentField()

    staff_only = ()


class TraceNodeSerializer(serializers.Serializer[Any]):
    depth = serializers.IntegerField(help_text="0 for a span whose parent isn't in the session.")
    trace = TraceSerializer()


class TraceTreeSerializer(serializers.Serializer[Any]):
    spans = TraceNodeSerializer(many=True)
    next = StringField(allow_null=True, help_text="The last span here, where there are more behind it.")


class EventSerializer(RecordSerializer):
    id = StringField()
    session_id = StringField(read_only=True)
    seq_num = serializers.IntegerField(read_only=True)
    hash = StringField(read_only=True)
    type = StringField(required=True, allow_blank=False, help_text="chat_message, chat_summary, node_executed, …")
    payload = JSONField()
    created_at = MomentField()


class EventAppendSerializer(EventSerializer):
    expected_seq = CountField(help_text="Append only if this is the session's last number; 0: if it has no event yet.")


class EventBatchSerializer(RecordSerializer):
    events = batch_of(EventSerializer)
    expected_seq = CountField(write_only=True, help_text="Append only if this is the session's last number.")


class CheckpointSerializer(RecordSerializer):
    id = StringField()
    session_id = StringField(read_only=True)
    namespace = StringField()
    run_id = StringField()
    node_id = StringField()
    state = ObjectField()
    seq_num = serializers.IntegerField(read_only=True)
    parent_id = StringField()
    metadata = ObjectField()
    created_at = MomentField()


class ContainerSerializer(RecordSerializer):
    id = StringField()
    config = ObjectField()
    created_at = MomentField(read_only=True)
    updated_at = MomentField(read_only=True)


class ImageSerializer(RecordSerializer):
    id = StringField()
    container_id = StringField()
    session_id = StringField()
    name = StringField()
    description = StringField(max_length=codec.MAX_TEXT)
    system_prompt = StringField(max_length=codec.MAX_TEXT)
    parent_image_id = StringField()
    mcp_servers = ObjectField()
    metadata = ObjectField(help_text="To filter by; a change replaces it whole.")
    created_at = MomentField(read_only=True)
    updated_at = MomentField(read_only=True)


class ExportSerializer(serializers.Serializer[Any]):
    session = SessionSerializer()
    messages = MessageSerializer(many=True)
    events = EventSerializer(many=True)
    checkpoints = CheckpointSerializer(many=True)
    traces = TraceSerializer(many=True)
    memory = MemorySerializer(many=True)
    audit_logs = AuditLogSerializer(many=True)


class CollectionSerializer(RecordSerializer):
    name = StringField(required=True, allow_blank=False)
    dimension = CountField(required=True, help_text="How many numbers each vector has.")
    metric = serializers.ChoiceField(["cosine", "l2", "inner_product"], required=False)

    staff_only = ()


@extend_schema_serializer(many=False)  # the action is named list, and would be taken for one
class CollectionsSerializer(serializers.Serializer[Any]):
    results = CollectionSerializer(many=True)


class EmbeddingSerializer(RecordSerializer):
    id = StringField()
    vector = VectorField()
    content = StringField(max_length=codec.MAX_TEXT)
    metadata = ObjectField()
    user_id = StringField()

    staff_only = ()


class EmbeddingBatchSerializer(RecordSerializer):
    embeddings = batch_of(EmbeddingSerializer)

    staff_only = ()


class SearchSerializer(RecordSerializer):
    vector = VectorField(help_text="What to find the nearest to.")
    top_k = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    filter = ObjectField(help_text="Which embeddings count, by their metadata.")
    text = StringField(max_length=codec.MAX_TEXT, help_text="Search the contents for these words too.")

    staff_only = ()


class SearchResultSerializer(EmbeddingSerializer):
    score = serializers.FloatField(help_text="The similarity, higher is better.")


class SearchResultsSerializer(serializers.Serializer[Any]):
    results = SearchResultSerializer(many=True)


class EntrySerializer(serializers.Serializer[Any]):
    cursor = serializers.CharField()
    topic = serializers.CharField()
    event = JSONField()
    user_id = StringField()
    created_at = MomentField()


@extend_schema_serializer(many=False)  # the action is named list, and would be taken for one
class EntriesSerializer(serializers.Serializer[Any]):
    results = EntrySerializer(many=True)


class PublishSerializer(RecordSerializer):
    event = JSONField(required=True)
    user_id = StringField(help_text="Who publishes it, if not who is signed in.")

    staff_only = ("user_id",)


class PublishedSerializer(serializers.Serializer[Any]):
    cursor = serializers.CharField(help_text="Its place in the topic.")


class ConsumerSerializer(RecordSerializer):
    cursor = StringField(required=True, allow_null=True, help_text="Null as long as nothing is acknowledged.")
    unread = serializers.IntegerField(read_only=True)

    staff_only = ()
