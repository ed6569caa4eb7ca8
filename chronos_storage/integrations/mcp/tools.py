"""The server and its tools."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeAlias

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from ... import storage as default_storage
from ...exceptions import InvalidRecord, NotSupported
from ...facade import Storage
from ...vectors.base import VectorStore
from .bounds import Unknown
from .conversations import Conversations
from .documents import Documents
from .memories import Memories

P = ParamSpec("P")
Answer: TypeAlias = dict[str, Any]
Tool: TypeAlias = Callable[P, Coroutine[Any, Any, Answer]]

Key = Annotated[str, Field(min_length=1, max_length=255, description="The name of the fact, such as 'home address'.")]
Words = Annotated[str, Field(min_length=1, max_length=1000, description="What to look for.")]
Id = Annotated[str, Field(min_length=1, max_length=255, description="The id of a conversation.")]
Limit = Annotated[int, Field(ge=1, le=50, description="How many, at most.")]
Offset = Annotated[int, Field(ge=0, le=10_000, description="How many to pass over.")]
Number = Annotated[int, Field(ge=1, le=2**53, description="Only messages before this number.")]

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


def server(
    *,
    user_id: str,
    agent_id: str = "",
    storage: Storage | None = None,
    vectors: VectorStore | None = None,
    collection: str = "",
    embed: Callable[[str], Sequence[float]] | None = None,
) -> MCPServer[Any]:
    """A server for one owner; ``server(user_id="ada").run()`` speaks over standard input and output.

    Args:
        user_id: whose memory and conversations it offers.
        agent_id: the agent's whose memory it is. Where it is given, the conversations are this agent's alone.
        storage: by default the one of the settings.
        vectors: where documents are searched; without it there is no such tool.
        collection: which of its collections. Of what is in there only that counts which has this user's id, or none.
        embed: gives the vector of a text; without it documents are searched for words alone.

    Raises:
        InvalidRecord: no user, a vector store without a collection, or what needs both without them.
    """
    if not user_id:
        raise InvalidRecord("user_id", "is empty; say whose memory and conversations are offered")
    if (vectors is None) != (not collection):
        raise InvalidRecord("collection", "and vectors belong together: name a collection of a vector store")
    if embed is not None and vectors is None:
        raise InvalidRecord("embed", "is for documents: name a collection of a vector store")
    kept = default_storage if storage is None else storage
    made: MCPServer[Any] = MCPServer(
        "chronos-storage",
        instructions="What is remembered of the user, what was said before, and where it can be searched.",
        log_level="WARNING",
    )
    _add_memory(made, Memories(kept, agent_id, user_id))
    _add_conversations(made, Conversations(kept, agent_id, user_id))
    if vectors is not None:
        _add_documents(made, Documents(vectors, collection, user_id, embed))
    return made


def _add_memory(made: MCPServer[Any], memories: Memories) -> None:
    @_tool(made, _WRITES)
    async def remember(
        key: Key, value: Annotated[str, Field(max_length=100_000, description="The fact, in words.")]
    ) -> Answer:
        """Keep a fact about the user for later conversations; it takes the place of what the key had."""
        return await memories.put(key, value)

    @_tool(made, _READS)
    async def recall(key: Key) -> Answer:
        """Get the fact that is kept under a key."""
        return await memories.get(key)

    @_tool(made, _READS)
    async def search_memories(words: Words | None = None, limit: Limit = 20) -> Answer:
        """Find kept facts by a text in their key or value; without one, the latest."""
        return await memories.search(words, limit)

    @_tool(made, _WRITES)
    async def forget(key: Key) -> Answer:
        """Remove the fact that is kept under a key."""
        return await memories.delete(key)


def _add_conversations(made: MCPServer[Any], conversations: Conversations) -> None:
    @_tool(made, _READS)
    async def list_conversations(limit: Limit = 20, offset: Offset = 0) -> Answer:
        """List the user's past conversations, the latest first."""
        return await conversations.list(limit, offset)

    @_tool(made, _READS)
    async def read_conversation(id: Id, limit: Limit = 20, before: Number | None = None) -> Answer:
        """Read the latest messages of a past conversation; `before` goes further back."""
        return await conversations.read(id, limit, before)

    @_tool(made, _READS)
    async def search_conversations(words: Words, limit: Limit = 10) -> Answer:
        """Find messages of past conversations that contain a text, those of the latest conversations first."""
        return await conversations.search(words, limit)


def _add_documents(made: MCPServer[Any], documents: Documents) -> None:
    @_tool(made, _READS)
    async def search_documents(words: Words, limit: Limit = 5) -> Answer:
        """Find the documents that have most to do with a text."""
        return await documents.search(words, limit)


def _tool(made: MCPServer[Any], annotations: ToolAnnotations) -> Callable[[Tool[P]], Tool[P]]:
    """Have the server offer a function, whose errors of ours are told to the model; all others are not."""

    def add(function: Tool[P]) -> Tool[P]:
        @wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
            try:
                return await function(*args, **kwargs)
            except (InvalidRecord, NotSupported, Unknown) as error:
                raise ToolError(str(error)) from error

        made.add_tool(call, annotations=annotations)
        return call

    return add
