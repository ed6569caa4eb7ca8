"""What bodies of requests look like, for the OpenAPI document: by the name of their schema."""

from __future__ import annotations

from typing import Any

_MESSAGE = {
    "role": "assistant",
    "content": "It left us on Monday.",
    "model": "a-model",
    "usage": {"prompt_tokens": 31, "completion_tokens": 9},
}
_EVENT = {
    "type": "node_executed",
    "payload": {"node": "answer"},
    "schema": "shop.node",
    "schema_version": 1,
}
_TRACE = {
    "session_id": "019b2f5e-7c1a-7000-8a52-3f0c6d1e9b74",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "name": "look up the order",
    "kind": "tool_call",
    "input": {"order": 4711},
    "resource": {"service.name": "shop"},
}
_MEMORY = {"agent_id": "support", "kind": "long_term", "key": "language", "value": "German"}

REQUESTS: dict[str, Any] = {
    "SessionRequest": {"agent_id": "support", "title": "A refund", "metadata": {"lang": "en"}},
    "PatchedSessionRequest": {"status": "completed"},
    "AcquireRequest": {"holder": "worker-2", "ttl": 60},
    "PatchedRenewRequest": {"ttl": 60},
    "LegalHoldRequest": {"legal_hold": True, "reason": "The customer has sued: case 4711."},
    "ErasureRequest": {"dry_run": True},
    "ForkRequest": {"checkpoint_id": "019b2f5e-7c1a-7000-8a52-3f0c6d1e9b74", "title": "A refund, once more"},
    "MessageAppendRequest": {**_MESSAGE, "expected_seq": 1},
    "MessageBatchRequest": {
        "messages": [{"role": "user", "content": "Where is my refund?"}, _MESSAGE],
        "expected_seq": 1,
    },
    "TruncateRequest": {"after_message_id": "019b2f5e-7c1a-7000-8a52-3f0c6d1e9b74"},
    "EventAppendRequest": {**_EVENT, "expected_seq": 3},
    "EventBatchRequest": {"events": [_EVENT, {"type": "chat_summary", "payload": "A refund."}], "expected_seq": 3},
    "CheckpointRequest": {"run_id": "run-1", "node_id": "answer", "state": {"step": 2}},
    "PruneRequest": {"keep_last": 10, "run_ids": ["run-1"]},
    "TraceRequest": _TRACE,
    "TraceBatchRequest": {"traces": [_TRACE, {**_TRACE, "input": {"order": 4712}}]},
    "TraceEndRequest": {
        "output": {"sent": "2026-01-26"},
        "status": "ok",
        "model": "a-model",
        "usage": {"prompt_tokens": 31, "completion_tokens": 9},
        "cost": "0.0021",
    },
    "MemoryRequest": _MEMORY,
    "MemoryBatchRequest": {"records": [_MEMORY, {**_MEMORY, "key": "tone", "value": "short"}]},
    "PatchedMemoryRequest": {"value": "French"},
    "AuditLogRequest": {"agent_id": "support", "actor": "ada", "action": "order.read", "resource": "order:4711"},
    "ArtifactUploadRequest": {"file": "Nothing went wrong.", "name": "report.txt", "mime_type": "text/plain"},
    "binary": "Nothing went wrong.",
    "ContainerRequest": {"id": "shop", "config": {"network": "none"}},
    "PatchedContainerRequest": {"config": {"network": "internal"}},
    "ImageRequest": {"name": "support", "container_id": "shop", "system_prompt": "You answer customers."},
    "PatchedImageRequest": {"description": "Answers customers."},
    "CollectionRequest": {"name": "docs", "dimension": 3, "metric": "cosine"},
    "EmbeddingBatchRequest": {
        "embeddings": [{"id": "refunds", "vector": [0.9, 0.1, 0.0], "content": "How refunds work"}]
    },
    "SearchRequest": {"vector": [1.0, 0.0, 0.0], "top_k": 3, "filter": {"lang": {"$in": ["en", "de"]}}},
    "PublishRequest": {"event": {"order": 4711, "status": "refunded"}},
    "ConsumerRequest": {"cursor": "0000000000000003"},
    "metadata": {"lang": "de"},
}
