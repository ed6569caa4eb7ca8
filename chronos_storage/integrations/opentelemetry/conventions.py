"""What instrumentations call what: OpenTelemetry's names for generative AI, today's and older, and OpenInference's.

Each tuple names the attributes that say the same, the one that counts most first.
"""

from __future__ import annotations

#: The session. A general ``session.id`` may be a browser's, so that of a conversation goes before.
SESSION = ("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id")

#: The model that answered, before the one that was asked for.
MODEL = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.model_name",
    "embedding.model_name",
    "reranker.model_name",
    "gen_ai.request.model",
    "llm.request.model_name",
)

#: The fields of a TokenUsage.
USAGE = {
    "prompt_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "completion_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "total_tokens": ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total"),
    "cache_read_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_input",
    ),
    "cache_creation_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
}

COST = ("operation.cost", "gen_ai.usage.cost", "llm.cost.total")

#: What a step was given and what it gave. Those of one name with an index are many: ``gen_ai.prompt.0.role``.
INPUT = (
    "gen_ai.input.messages",
    "gen_ai.tool.call.arguments",
    "tool_arguments",
    "gen_ai.retrieval.query.text",
    "pydantic_ai.all_messages",
    "gen_ai.prompt",
    "traceloop.entity.input",
    "input.value",
    "llm.input_messages",
)
OUTPUT = (
    "gen_ai.output.messages",
    "gen_ai.tool.call.result",
    "tool_response",
    "gen_ai.retrieval.documents",
    "final_result",
    "gen_ai.completion",
    "traceloop.entity.output",
    "output.value",
    "llm.output_messages",
)
#: Which of them are text unless another attribute says that they are JSON.
TYPED = {"input.value": "input.mime_type", "output.value": "output.mime_type"}

#: What kind of step it is: by the attribute that says so, its values as ours; others stay as they are.
KINDS = {
    "gen_ai.operation.name": {
        "chat": "model_call",
        "text_completion": "model_call",
        "generate_content": "model_call",
        "embeddings": "model_call",
        "execute_tool": "tool_call",
        "invoke_agent": "agent",
        "create_agent": "agent",
        "invoke_workflow": "graph",
    },
    "openinference.span.kind": {"llm": "model_call", "embedding": "model_call", "tool": "tool_call", "chain": "node"},
    "traceloop.span.kind": {"workflow": "graph", "task": "node", "tool": "tool_call"},
    "llm.request.type": {"chat": "model_call", "completion": "model_call", "embedding": "model_call"},
}
