"""LangGraph's checkpointer over Django's database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from django.db import connections
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ... import codec, records
from ...async_threads import refuse_outside
from ...async_variants import async_iterator, async_variant
from ...exceptions import ConfigurationError, InvalidRecord
from ...facade.arguments import token_of
from ...facade.storage import Storage
from . import postgresql, removing, writing
from .adapter import Adapter
from .configs import FENCE, checkpoint_id_of, config_of, metadata_of, text_of, thread_id_of, user_id_of, where_of
from .encoding import Encoding
from .keys import Where
from .knowledge import Knowledge
from .reading import Write
from .tuples import Tuples
from .writing import Writer


class ChronosSaver(Adapter, BaseCheckpointSaver[int]):
    """A checkpointer for LangGraph: ``graph.compile(checkpointer=ChronosSaver())``.

    A thread has a session of the same id, which the admin shows; a `user_id` in `configurable` is the session's when it
    is made, and a `fence` there, as `storage.acquire` gives it, is what each write is held to.

    Args:
        storage: over a database of Django's; the one with the alias "default" unless given.
        agent_id: of the sessions that are made for threads.
        serde: as LangGraph takes it; one that falls back to pickle is refused.

    Raises:
        ConfigurationError: the serializer falls back to pickle.
    """

    def __init__(
        self, storage: Storage | None = None, *, agent_id: str = "", serde: SerializerProtocol | None = None
    ) -> None:
        Adapter.__init__(self, storage)
        BaseCheckpointSaver.__init__(self, serde=serde)
        self.agent_id: str = codec.string(agent_id, "agent_id")
        self._knowledge = Knowledge()
        inner = getattr(self.serde, "serde", self.serde)
        if getattr(inner, "pickle_fallback", False):
            raise ConfigurationError("the serializer falls back to pickle, which runs what is stored: turn that off")

    def get_next_version(self, current: Any, channel: None) -> Any:
        """The version after this one: a number, or where a thread was copied from elsewhere, what follows its own."""
        if isinstance(current, str):
            number, dot, rest = current.partition(".")
            return f"{int(number) + 1:0{len(number)}}{dot}{rest}"
        return 1 if current is None else current + 1

    # Reading

    @property
    def _tuples(self) -> Tuples:
        return Tuples(self.alias, self.serde, self._knowledge)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, or the latest of its namespace; None where there is none."""
        where = where_of(config)
        return self._run(partial(self._tuples.get, where, checkpoint_id_of(config)))

    @async_variant(get_tuple)
    def aget_tuple(self) -> Any: ...

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (LangGraph's name)
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, the newest first: of all threads, of one, or of one of its namespaces, in flat memory.

        Args:
            filter: what the metadata must have.
            before: a checkpoint, of which those before it by their ids are given.
        """
        given: Mapping[str, Any] = config["configurable"] if config else {}
        session_id = Where(thread_id_of(given["thread_id"])).session_id if "thread_id" in given else None
        name = given.get("checkpoint_ns")
        key = None if name is None else Where("any", text_of(name, "checkpoint_ns")).key
        pages = self._tuples.pages(
            self._run,
            session_id,
            key,
            checkpoint_id_of(config) if config else None,
            checkpoint_id_of(before) if before else None,
            codec.storable(filter or {}, filterable=True).value,
            limit,
        )
        return islice(pages, limit) if limit is not None else pages

    @async_iterator(list)  # noqa: A003  (LangGraph's name)
    def alist(self) -> Any: ...

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What each channel's value is rebuilt from: the writes on the way to a checkpoint, behind a stored value."""
        where = where_of(config)
        return self._run(partial(self._tuples.history, where, checkpoint_id_of(config), channels))

    @async_variant(get_delta_channel_history)
    def aget_delta_channel_history(self) -> Any: ...

    # Writing

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, over one of its id where there is one.

        Returns:
            What names it.

        Raises:
            NotFound: the thread was deleted.
            StaleWriter: the thread was acquired again, or requires a fence.
            TransactionOpen: the graph was invoked within a transaction, of which its executor's thread is no part.
        """
        given = config["configurable"]
        where, parent_id = where_of(config), given.get("checkpoint_id") or ""
        rest: dict[str, Any] = {**checkpoint}
        values = rest.pop("channel_values")
        codec.string(rest["id"], "checkpoint id")
        encoding = Encoding(
            self.serde,
            type(self.serde) is JsonPlusSerializer,
            codec.string(parent_id, "checkpoint_id"),
            rest,
            values,
            frozenset(new_versions),
            metadata_of(config, metadata),
        )
        begins = not parent_id and not where.name
        follows = self._knowledge.has(where.session_id) or (bool(parent_id) and not where.name)
        writer = self._writer(where, given, begins=begins, follows=follows)
        self._run(partial(self._put, where, writer, encoding))
        return config_of(where, encoding.checkpoint_id)

    @async_variant(put)
    def aput(self) -> Any: ...

    def _put(self, where: Where, writer: Writer, encoding: Encoding) -> None:
        using, known, new = self.alias, self._knowledge.of(where), None
        if known is not None and _is_postgresql(using):
            new = postgresql.save(using, where, writer.fence, encoding, known)
        self._knowledge.keep(where, new or writing.save(self.storage, where, writer, encoding, known))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote to channels after a checkpoint, which may still come.

        Raises:
            NotFound: the thread was deleted.
            StaleWriter: the thread was acquired again, or requires a fence.
            TransactionOpen: the graph was invoked within a transaction, of which its executor's thread is no part.
        """
        given = config["configurable"]
        where, checkpoint_id = where_of(config), codec.string(given["checkpoint_id"], "checkpoint_id")
        codec.string(task_id, "task_id")
        path = codec.scrub(task_path)
        numbered: dict[int, Write] = {}
        for number, (channel, value) in enumerate(writes):
            idx = WRITES_IDX_MAP.get(channel, number)
            name = codec.string(channel, "channel", codec.MAX_TEXT)
            numbered[idx] = Write(path, task_id, idx, name, *self.serde.dumps_typed(value))
        if numbered:
            writer = self._writer(where, given, follows=self._knowledge.has(where.session_id))
            self._run(partial(self._put_writes, where, writer, checkpoint_id, [*numbered.values()]))

    @async_variant(put_writes)
    def aput_writes(self) -> Any: ...

    def _put_writes(self, where: Where, writer: Writer, checkpoint_id: str, writes: Sequence[Write]) -> None:
        using, known = self.alias, self._knowledge.of(where)
        is_stored = (
            known is not None
            and _is_postgresql(using)
            and postgresql.add_writes(using, where, writer.fence, known.namespace, checkpoint_id, writes)
        )
        if not is_stored:
            writing.add_writes(self.storage, where, writer, checkpoint_id, writes)

    # Removing

    def delete_thread(self, thread_id: str) -> None:
        """Remove all checkpoints and writes of a thread, and soft-delete its session: what comes late is refused.

        A run that begins anew makes the thread again, in the session as it was. All that there is of it goes with
        ``storage.delete_session(thread_id, hard=True)``.

        Raises:
            LegalHold: the session is under one.
            StaleWriter: the session requires a fence.
        """
        where = Where(thread_id_of(thread_id))
        self._knowledge.forget(where.session_id)
        self._run(partial(removing.delete_thread, self.storage, where))

    @async_variant(delete_thread)
    def adelete_thread(self) -> Any: ...

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of these runs, by the run_id in their metadata, with their writes.

        Delta channels of later checkpoints are rebuilt from what is removed: they lose what these runs wrote.
        """
        self._run(partial(removing.delete_runs, self.alias, run_ids))

    @async_variant(delete_for_runs)
    def adelete_for_runs(self) -> Any: ...

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another, which has none.

        Raises:
            AlreadyExists: it has.
        """
        source, target = (
            Where(thread_id_of(source_thread_id, "source_thread_id")),
            Where(thread_id_of(target_thread_id, "target_thread_id")),
        )
        session = self._session(target, {})
        self._run(partial(writing.copy_thread, self.storage, source, target, session))

    @async_variant(copy_thread)
    def acopy_thread(self) -> Any: ...

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove checkpoints of threads.

        Args:
            strategy: ``keep_latest`` keeps the latest of each namespace, and what its delta channels are rebuilt from;
                ``delete`` is `delete_thread` for each.

        Raises:
            InvalidRecord: another strategy, or a string in the place of threads.
        """
        if isinstance(thread_ids, str):
            raise InvalidRecord("thread_ids", "must be a list of ids, not a string")
        if strategy == "delete":
            for thread_id in thread_ids:
                self.delete_thread(thread_id)
            return
        if strategy != "keep_latest":
            raise InvalidRecord("strategy", f"is {strategy!r}; it must be 'keep_latest' or 'delete'")
        for thread_id in thread_ids:
            where = Where(thread_id_of(thread_id, "thread_ids"))
            self._run(partial(removing.keep_latest, self.alias, where))

    @async_variant(prune)
    def aprune(self) -> Any: ...

    def _writer(self, where: Where, given: Mapping[str, Any], *, begins: bool = False, follows: bool) -> Writer:
        refuse_outside(self.alias, "run the graph outside of it, or by asgiref.sync.async_to_sync(graph.ainvoke)(…)")
        token = token_of(given.get(FENCE), [where.session_id])
        return Writer(self._session(where, given), token, begins, follows)

    def _session(self, where: Where, given: Mapping[str, Any]) -> records.Session:
        return records.Session(
            id=where.session_id,
            agent_id=self.agent_id,
            user_id=user_id_of(given.get("user_id")),
            metadata={"framework": "langgraph"},
        )


def _is_postgresql(using: str) -> bool:
    return connections[using].vendor == "postgresql"
