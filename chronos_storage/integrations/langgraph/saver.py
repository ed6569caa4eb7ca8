"""LangGraph's checkpointer over Django's database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

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
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ... import codec, records
from ...async_threads import from_any_thread, refuse_outside
from ...async_variants import async_iterator, async_variant
from ...exceptions import ConfigurationError, InvalidRecord
from ...facade.arguments import token_of
from ...facade.base import in_our_words
from ...facade.storage import Storage
from ...facade.stores import storage as default_storage
from ...transactions import attempt
from . import postgresql, writing
from .channels import Known, Missing, Place
from .encoding import Encoding
from .keys import Where
from .knowledge import Knowledge
from .reading import Found, Logs, Write, ancestors, one, page, writes_of
from .tables import set_up
from .writing import Writer

T = TypeVar("T")

#: What of `configurable` is ours: who may write. It is no metadata of a checkpoint.
FENCE = "fence"
#: Checkpoints of a page of a list.
_PAGE = 50
#: How often a checkpoint is read again whose items were removed meanwhile.
_READS = 5


class ChronosSaver(BaseCheckpointSaver[int]):
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
        super().__init__(serde=serde)
        self.storage: Storage = default_storage if storage is None else storage
        self.agent_id: str = codec.string(agent_id, "agent_id")
        self._knowledge = Knowledge()
        inner = getattr(self.serde, "serde", self.serde)
        if getattr(inner, "pickle_fallback", False):
            raise ConfigurationError("the serializer falls back to pickle, which runs what is stored: turn that off")

    @property
    def alias(self) -> str:
        """The alias of the Django database.

        Raises:
            NotSupported: the storage is no database of Django's.
        """
        return self.storage.alias

    def setup(self) -> None:
        """Make the tables or bring them up to date, as ``manage.py migrate`` does for the settings' databases."""
        set_up(self.storage)

    @async_variant(setup)
    def asetup(self) -> Any: ...

    def get_next_version(self, current: Any, channel: None) -> Any:
        """The version after this one: a number, or where a thread was copied from elsewhere, what follows its own."""
        if isinstance(current, str):
            number, dot, rest = current.partition(".")
            return f"{int(number) + 1:0{len(number)}}{dot}{rest}"
        return 1 if current is None else current + 1

    # Reading

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, or the latest of its namespace; None where there is none."""
        where = _where(config)
        return self._run(partial(self._get_tuple, where, _checkpoint_id(config)))

    @async_variant(get_tuple)
    def aget_tuple(self) -> Any: ...

    def _get_tuple(self, where: Where, checkpoint_id: str | None) -> CheckpointTuple | None:
        using = self.alias
        for _ in range(_READS):
            if (found := one(using, where, checkpoint_id)) is None:
                if not checkpoint_id:
                    self._knowledge.forget(where.session_id)
                return None
            try:
                checkpoint = self._read(found, Logs(using, found), where)
            except Missing:
                continue
            return self._tuple(found, checkpoint)
        return None

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
        session_id = Where(_thread_id(given["thread_id"])).session_id if "thread_id" in given else None
        name = given.get("checkpoint_ns")
        key = None if name is None else Where("any", _text(name, "checkpoint_ns")).key
        pages = self._pages(
            session_id,
            key,
            _checkpoint_id(config) if config else None,
            _checkpoint_id(before) if before else None,
            codec.storable(filter or {}, filterable=True).value,
            limit,
        )
        return islice(pages, limit) if limit is not None else pages

    @async_iterator(list)  # noqa: A003  (LangGraph's name)
    def alist(self) -> Any: ...

    def _pages(
        self,
        session_id: str | None,
        key: str | None,
        checkpoint_id: str | None,
        before: str | None,
        metadata: Mapping[str, Any],
        limit: int | None,
    ) -> Iterator[CheckpointTuple]:
        using = self.alias
        plain = {name: value for name, value in metadata.items() if isinstance(value, str | int | float | None)}
        others = {name: value for name, value in metadata.items() if name not in plain}
        size = _PAGE if limit is None else max(1, min(_PAGE, limit))
        after: tuple[str, int] | None = None
        logs = Logs(using)
        while True:
            found = self._run(
                partial(
                    page,
                    using,
                    session_id=session_id,
                    key=key,
                    checkpoint_id=checkpoint_id,
                    before=before,
                    metadata=plain,
                    after=after,
                    limit=size,
                )
            )
            matching = [each for each in found if all(each.metadata.get(name) == others[name] for name in others)]
            yield from self._run(partial(self._tuples, matching, logs))
            if len(found) < size:
                return
            after = found[-1].checkpoint_id, found[-1].pk

    def _tuples(self, found: Sequence[Found], logs: Logs) -> Sequence[CheckpointTuple]:
        by_namespace: dict[int, list[Found]] = {}
        for each in found:
            by_namespace.setdefault(each.namespace, []).append(each)
        for namespace, theirs in by_namespace.items():
            writes = writes_of(self.alias, namespace, [each.checkpoint_id for each in theirs])
            for each in theirs:
                each.writes = writes.get(each.checkpoint_id, [])
            wanted: dict[str, list[Place]] = {}
            for each in theirs:
                for channel, place in each.kept.items():
                    wanted.setdefault(channel, []).append(place)
            for channel, places in wanted.items():
                logs.items(namespace, channel, places)
        tuples = []
        for each in found:
            try:
                tuples.append(self._tuple(each, self._read(each, logs)))
            except Missing:  # it was removed meanwhile
                if again := self._get_tuple(each.where, each.checkpoint_id):
                    tuples.append(again)
        return tuples

    def _read(self, found: Found, logs: Logs, where: Where | None = None) -> Checkpoint:
        """A checkpoint with the values of its channels.

        Args:
            where: of which what was read is kept for who goes on from it.
        """
        checkpoint: Checkpoint = self.serde.loads_typed((found.type, found.data))
        short = checkpoint["channel_values"]
        places, values = found.kept, {}
        for channel in found.places:
            if place := places.get(channel):
                items = logs.items(found.namespace, channel, [place])
                values[channel], places[channel] = items.value(self.serde, place)
            else:
                values[channel] = short[channel]
        if where is not None:
            versions = dict(checkpoint["channel_versions"])
            known = Known(found.namespace, found.version, found.ends, found.checkpoint_id, versions, places)
            self._knowledge.keep(where, known)
        return {**checkpoint, "id": found.checkpoint_id, "channel_values": values}

    def _tuple(self, found: Found, checkpoint: Checkpoint) -> CheckpointTuple:
        loads = self.serde.loads_typed
        return CheckpointTuple(
            _config(found.where, found.checkpoint_id),
            checkpoint,
            found.metadata,  # type: ignore[arg-type]  # as it was given
            _config(found.where, found.parent_id) if found.parent_id else None,
            [(write.task_id, write.channel, loads((write.type, write.data))) for write in found.writes],
        )

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What each channel's value is rebuilt from: the writes on the way to a checkpoint, behind a stored value."""
        where = _where(config)
        return self._run(partial(self._history, where, _checkpoint_id(config), channels))

    @async_variant(get_delta_channel_history)
    def aget_delta_channel_history(self) -> Any: ...

    def _history(
        self, where: Where, checkpoint_id: str | None, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        using = self.alias
        paths: dict[str, list[str]] = {channel: [] for channel in channels}
        seeds: dict[str, str] = {}
        if channels and (found := one(using, where, checkpoint_id)):
            left = set(channels)
            for step in ancestors(using, found.namespace, found.checkpoint_id):
                for channel in tuple(left):
                    paths[channel].append(step.checkpoint_id)
                    if channel in step.places:
                        seeds[channel] = step.checkpoint_id
                        left.discard(channel)
                if not left:
                    break
            longest = max(paths.values(), key=len)
            writes = writes_of(using, found.namespace, longest, set(channels))
        result: dict[str, DeltaChannelHistory] = {}
        values = {id: self._get_tuple(where, id) for id in set(seeds.values())}
        for channel, path in paths.items():
            history: DeltaChannelHistory = {
                "writes": [
                    (write.task_id, channel, self.serde.loads_typed((write.type, write.data)))
                    for id in reversed(path)
                    for write in writes.get(id, ())
                    if write.channel == channel
                ]
            }
            seed = values.get(seeds.get(channel, ""))
            if seed is not None:
                history["seed"] = seed.checkpoint["channel_values"][channel]
            result[channel] = history
        return result

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
        where, parent_id = _where(config), given.get("checkpoint_id") or ""
        rest: dict[str, Any] = {**checkpoint}
        values = rest.pop("channel_values")
        codec.string(rest["id"], "checkpoint id")
        told = get_serializable_checkpoint_metadata({**config, "configurable": _without_ours(given)}, metadata)
        encoding = Encoding(
            self.serde,
            type(self.serde) is JsonPlusSerializer,
            codec.string(parent_id, "checkpoint_id"),
            rest,
            values,
            frozenset(new_versions),
            _filterable({**told}),
        )
        begins = not parent_id and not where.name
        follows = self._knowledge.has(where.session_id) or (bool(parent_id) and not where.name)
        writer = self._writer(where, given, begins=begins, follows=follows)
        self._run(partial(self._put, where, writer, encoding))
        return _config(where, encoding.checkpoint_id)

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
        where, checkpoint_id = _where(config), codec.string(given["checkpoint_id"], "checkpoint_id")
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
        where = Where(_thread_id(thread_id))
        self._knowledge.forget(where.session_id)
        self._run(partial(writing.delete_thread, self.storage, where))

    @async_variant(delete_thread)
    def adelete_thread(self) -> Any: ...

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints of these runs, by the run_id in their metadata, with their writes.

        Delta channels of later checkpoints are rebuilt from what is removed: they lose what these runs wrote.
        """
        self._run(partial(self._delete_for_runs, run_ids))

    @async_variant(delete_for_runs)
    def adelete_for_runs(self) -> Any: ...

    def _delete_for_runs(self, run_ids: Sequence[str]) -> None:
        for where, namespaces in writing.of_runs(self.alias, run_ids).items():
            writing.delete_checkpoints(self.alias, where, namespaces)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another, which has none.

        Raises:
            AlreadyExists: it has.
        """
        source, target = (
            Where(_thread_id(source_thread_id, "source_thread_id")),
            Where(_thread_id(target_thread_id, "target_thread_id")),
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
            where = Where(_thread_id(thread_id, "thread_ids"))
            self._run(partial(writing.keep_latest, self.alias, where))

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
            user_id=_user_id(given.get("user_id")),
            metadata={"framework": "langgraph"},
        )

    def _run(self, call: Callable[[], T]) -> T:
        """What a call returns, made again while the database is busy, with a connection that is closed some time."""
        return from_any_thread(self, in_our_words, attempt, self.alias, call)


def _where(config: RunnableConfig) -> Where:
    given = config["configurable"]
    if "thread_id" not in given:
        raise InvalidRecord("thread_id", "is not in the config: a checkpointer needs configurable['thread_id']")
    return Where(_thread_id(given["thread_id"]), _text(given.get("checkpoint_ns") or "", "checkpoint_ns"))


def _filterable(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        return codec.filterable_object(metadata, "metadata")
    except InvalidRecord:
        mended: dict[str, Any] = codec.storable(metadata, filterable=True).value
        return mended


def _thread_id(value: object, name: str = "thread_id") -> str:
    if not (text := _text(value, name)):
        raise InvalidRecord(name, "is empty")
    return text


def _user_id(value: object) -> str:
    """Whose a thread is to be: often the primary key of a Django user."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise InvalidRecord("user_id", f"must be a string, a whole number or a UUID, not {type(value).__name__}")
    return codec.string(str(value), "user_id")


def _checkpoint_id(config: RunnableConfig) -> str | None:
    """The checkpoint that is named; as LangGraph has it, an empty id names none."""
    value = config["configurable"].get("checkpoint_id")
    return _text(value, "checkpoint_id") if value else None


def _text(value: object, name: str) -> str:
    return codec.string(str(value), name, codec.MAX_TEXT)


def _config(where: Where, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": where.thread_id,
            "checkpoint_ns": where.name,
            "checkpoint_id": checkpoint_id,
        }
    }


def _without_ours(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != FENCE}


def _is_postgresql(using: str) -> bool:
    return connections[using].vendor == "postgresql"
