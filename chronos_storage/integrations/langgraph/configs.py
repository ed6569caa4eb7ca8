"""LangGraph's configs: which checkpoint of which thread, and what of it is ours."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointMetadata, get_serializable_checkpoint_metadata

from ... import codec
from ...exceptions import InvalidRecord
from .keys import Where

#: What of `configurable` is ours: who may write. It is no metadata of a checkpoint.
FENCE = "fence"


def where_of(config: RunnableConfig) -> Where:
    """The namespace of a thread that is named.

    Raises:
        InvalidRecord: none is, or what no name may be.
    """
    given = config["configurable"]
    if "thread_id" not in given:
        raise InvalidRecord("thread_id", "is not in the config: a checkpointer needs configurable['thread_id']")
    return Where(thread_id_of(given["thread_id"]), text_of(given.get("checkpoint_ns") or "", "checkpoint_ns"))


def thread_id_of(value: object, name: str = "thread_id") -> str:
    """A thread's id, whatever it was given as.

    Args:
        name: what it is called in errors.

    Raises:
        InvalidRecord: it is empty, or what no id may be.
    """
    if not (text := text_of(value, name)):
        raise InvalidRecord(name, "is empty")
    return text


def user_id_of(value: object) -> str:
    """Whose a thread is to be: often the primary key of a Django user."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise InvalidRecord("user_id", f"must be a string, a whole number or a UUID, not {type(value).__name__}")
    return codec.string(str(value), "user_id")


def checkpoint_id_of(config: RunnableConfig) -> str | None:
    """The checkpoint that is named; as LangGraph has it, an empty id names none."""
    value = config["configurable"].get("checkpoint_id")
    return text_of(value, "checkpoint_id") if value else None


def text_of(value: object, name: str) -> str:
    """A name as text.

    Raises:
        InvalidRecord: the database takes no such text.
    """
    return codec.string(str(value), name, codec.MAX_TEXT)


def config_of(where: Where, checkpoint_id: str) -> RunnableConfig:
    """What names a checkpoint."""
    return {
        "configurable": {
            "thread_id": where.thread_id,
            "checkpoint_ns": where.name,
            "checkpoint_id": checkpoint_id,
        }
    }


def metadata_of(config: RunnableConfig, metadata: CheckpointMetadata) -> dict[str, Any]:
    """What is kept as the metadata of a checkpoint: with what is configured, as a database takes it."""
    configurable = {name: value for name, value in config["configurable"].items() if name != FENCE}
    told = {**get_serializable_checkpoint_metadata({**config, "configurable": configurable}, metadata)}
    try:
        return codec.filterable_object(told, "metadata")
    except InvalidRecord:
        mended: dict[str, Any] = codec.storable(told, filterable=True).value
        return mended
