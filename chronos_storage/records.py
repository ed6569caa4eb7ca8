"""The data types that cross every boundary: what each backend takes and returns.

Times are aware UTC datetimes, empty strings and None mean "not given", and every field but the session's id of a
message, event or checkpoint may be left empty: the store fills in ids, numbers, hashes and times.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any, TypeVar

from . import codec, float32
from .dialects import anthropic, openai
from .exceptions import AlreadyExists, InvalidRecord
from .ids import new_id

R = TypeVar("R", bound="Record")


#: Characters of a string that fits in any record, whatever they are.
_SHORT = 100_000
#: The times that a record is never without once it is stored, each by the one before it where it was left empty.
TIMES = ("created_at", "started_at", "updated_at", "last_activity_at")


def _field(
    check: Callable[[Any, str], Any], *, json: bool = False, empty: tuple[Any, ...] = (None, "", {}), **default: Any
) -> Any:
    """A record's field.

    Args:
        check: gives a value as it is kept, or refuses it.
        json: whether it is JSON that is measured whole.
        empty: what a caller who leaves it out is taken to have given.
    """
    return dataclasses.field(**default, metadata={"check": check, "json": json, "empty": empty})


def _string(limit: int = codec.MAX_INDEXED) -> Any:
    # Most have the limit that is meant without one, and a partial with it takes as long to call as the check itself.
    return _field(codec.string if limit == codec.MAX_INDEXED else partial(codec.string, limit=limit), default="")


def _optional(check: Callable[[Any, str], Any]) -> Any:
    return _field(lambda value, name: None if value is None else check(value, name), default=None)


def _timestamp() -> Any:
    return _optional(codec.timestamp)


def _json() -> Any:
    return _field(codec.json_value, json=True, default=None)


def _object() -> Any:
    return _field(codec.json_object, json=True, default_factory=dict)


def _list() -> Any:
    return _field(codec.json_list, json=True, empty=([],), default_factory=list)


def _filterable() -> Any:
    return _field(codec.filterable_object, json=True, default_factory=dict)


def _number() -> Any:
    return _field(codec.integer, empty=(0,), default=0)


def _count() -> Any:
    return _optional(partial(codec.integer, maximum=codec.MAX_TOKENS))


class Record:
    """What all records share: how they are checked, and what a store fills in."""

    __slots__ = ()

    id: str

    @classmethod
    def of(cls: type[R], value: Any, argument: str) -> R:
        """`value`, an argument that must be a record of this type; of a subclass's, what of it this type has.

        Raises:
            InvalidRecord: naming the argument, if it is something else.
        """
        if type(value) is cls:
            return value
        if not isinstance(value, cls):
            raise InvalidRecord(argument, f"must be a {cls.__name__}, not {type(value).__name__}")
        plain: R = cls(**{field.name: getattr(value, field.name) for field in dataclasses.fields(cls)})  # type: ignore[arg-type]
        return plain

    def __copy__(self: R) -> R:
        copy: R = object.__new__(type(self))
        for name in _names(type(self)):  # type: ignore[arg-type]  # a tenth of the time that pickle's way takes
            setattr(copy, name, getattr(self, name))
        if hasattr(self, "__dict__"):  # of a subclass of somebody's
            copy.__dict__.update(self.__dict__)
        return copy

    def cleaned(self: R) -> R:
        """A copy with every field checked and in its plain type; the original and its contents stay untouched.

        Raises:
            InvalidRecord: naming the first field that no backend could keep.
        """
        record: Any = type(self)
        cleaned: R = _cleaner(record)(self)
        if len(_documents(record)) > 1:  # one alone is measured when it is written
            cleaned.check_size()
        return cleaned

    def check_size(self) -> None:
        """Refuse fields of JSON that are too long, one by one or together, or with the record's long texts.

        Raises:
            InvalidRecord: naming the field, or the record.
        """
        record: Any = type(self)
        given = [(name, value) for name in _documents(record) if (value := getattr(self, name))]
        if len(given) == 1 and type(given[0][1]) is str and len(given[0][1]) < _SHORT and not _texts(record):
            return  # as most messages: it is not written out to be measured
        size = sum(codec.bytes_of(codec.dumps(value, name)) for name, value in given)
        texts = sum(codec.bytes_of(getattr(self, name)) for name in _texts(record))
        name = record.__name__.lower()
        if size > codec.MAX_RECORD_BYTES:
            limit = codec.MAX_RECORD_BYTES
            raise InvalidRecord(name, f"has {size:,} bytes in its fields of JSON; at most {limit:,} are kept")
        if size and texts and (total := size + texts) > (limit := codec.MAX_WITH_TEXTS_BYTES):
            raise InvalidRecord(name, f"has {total:,} bytes in JSON and long texts; at most {limit:,} are kept")

    def complete(self, *, touch: bool = False) -> None:
        """Fill in what was left empty: the id, and the times, each by the one before it and the first by now.

        Args:
            touch: set updated_at to now, whatever it was.
        """
        self.id = self.id or new_id()  # type: ignore[misc]  # a slot of every subclass
        start: datetime | None = None
        timestamp: datetime | None = None
        for name in _times(type(self)):  # type: ignore[arg-type]
            if touch and name == "updated_at":
                setattr(self, name, start := start or now())
            elif getattr(self, name) is None:
                setattr(self, name, timestamp or (start := start or now()))
            timestamp = getattr(self, name)


@cache
def _times(record: Any) -> tuple[str, ...]:
    names = {field.name for field in dataclasses.fields(record)}
    return tuple(name for name in TIMES if name in names)


def measured(record: type[Record]) -> tuple[str, ...]:
    """The names of the fields whose lengths `check_size` adds up."""
    return (*_documents(record), *_texts(record))  # type: ignore[arg-type]


@cache
def _names(record: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(record))


@cache
def _documents(record: Any) -> tuple[str, ...]:
    """The names of the fields of JSON."""
    return tuple(field.name for field in dataclasses.fields(record) if field.metadata.get("json"))


@cache
def _texts(record: Any) -> tuple[str, ...]:
    """The names of the fields of long texts, where a statement may be too long for them."""
    if len(_documents(record)) < 2:
        return ()
    return tuple(
        name
        for name, _, check in _checks(record)
        if isinstance(check, partial) and check.keywords.get("limit") == codec.MAX_TEXT
    )


@cache
def _cleaner(record: Any) -> Callable[[Any], Any]:
    """A function that gives the copy of a record that `cleaned` gives: in half the time that a loop takes."""
    # The text is of our own names only; dataclasses make theirs the same way.
    names: dict[str, Any] = {"record": record}
    given = []
    for name, default, check in _checks(record):
        names |= {f"default_{name}": default, f"check_{name}": check}
        given.append(f"{name}=_ if (_ := self.{name}) is default_{name} else check_{name}(_, {name!r})")
    cleaner: Callable[[Any], Any] = eval(f"lambda self: record({', '.join(given)})", names)  # noqa: S307
    return cleaner


@cache
def _checks(record: Any) -> tuple[tuple[str, Any, Callable[[Any, str], Any]], ...]:
    return tuple((field.name, field.default, field.metadata["check"]) for field in dataclasses.fields(record))


def now() -> datetime:
    """The current time, as every record keeps it: aware, UTC, in microseconds."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Session(Record):
    """A conversation or run of an agent; what messages, events and checkpoints belong to.

    Known statuses: ``active``, ``running``, ``paused``, ``completed``, ``failed``, ``ended``.

    Attributes:
        require_fence: whether only a writer with the session's fence may write to it; see `Storage.acquire`.
        legal_hold: whether nothing that belongs to it may be removed; `Storage.set_legal_hold` alone changes it.
    """

    id: str = _string()
    agent_id: str = _string()
    user_id: str = _string()
    author: str = _string()
    title: str = _string(codec.MAX_TEXT)
    status: str = _field(codec.string, default="active")
    metadata: dict[str, Any] = _filterable()
    container_id: str = _string()
    image_id: str = _string()
    created_at: datetime | None = _timestamp()
    updated_at: datetime | None = _timestamp()
    last_activity_at: datetime | None = _timestamp()
    deleted_at: datetime | None = _timestamp()
    require_fence: bool = _field(codec.boolean, default=False)
    legal_hold: bool = _field(codec.boolean, default=False)


@dataclass(slots=True, kw_only=True)
class Fence(Record):
    """A writer's hold on a session, which a later one ends.

    Attributes:
        holder: who writes.
        token: the session's next number when it was acquired; what shows that a writer is the last who acquired it.
        expires_at: until when another holder is kept out; None for not at all.
    """

    session_id: str = _string()
    holder: str = _string()
    token: int = _number()
    expires_at: datetime | None = _timestamp()


@dataclass(slots=True, kw_only=True)
class TokenUsage(Record):
    """Tokens a model reported, each count at most 10¹². None is "not reported", which is not 0."""

    prompt_tokens: int | None = _count()
    completion_tokens: int | None = _count()
    total_tokens: int | None = _count()
    cache_read_tokens: int | None = _count()
    cache_creation_tokens: int | None = _count()


def _usage(value: Any, field: str) -> TokenUsage | None:
    if value is None:
        return None
    given = TokenUsage.of(value, field)
    try:
        usage = given.cleaned()
    except InvalidRecord as error:
        raise InvalidRecord(f"{field}.{error.field}", error.problem) from None
    return None if usage == TokenUsage() else usage


_KINDS_BY_ROLE = {"tool": "tool-result"}
_KIND_SPELLINGS = {"tool_call": "tool-call", "tool_result": "tool-result"}


@dataclass(slots=True, kw_only=True)
class Message(Record):
    """One message of a session, numbered by the store. A usage that reports nothing is kept as None.

    Known roles: ``user``, ``assistant``, ``system``, ``tool``, ``error``. Known kinds: ``user``, ``assistant``,
    ``tool-call``, ``tool-result``, ``error``; an empty kind is derived from the role.

    Attributes:
        raw: a framework's own item for this message, any JSON, which comes back exactly.
        format: which framework's it is.
    """

    id: str = _string()
    session_id: str = _string()
    seq_num: int = _number()
    role: str = _string()
    kind: str = _string()
    content: Any = _json()
    model: str = _string()
    name: str = _string()
    tool_calls: list[Any] | None = _field(codec.json_list_or_none, json=True, default=None)
    tool_call_id: str = _string()
    parent_id: str = _string()
    usage: TokenUsage | None = _field(_usage, default=None)
    metadata: dict[str, Any] = _filterable()
    raw: Any = _json()
    format: str = _string()
    created_at: datetime | None = _timestamp()

    def cleaned(self) -> Message:
        copy = Record.cleaned(self)
        if not copy.role:
            raise InvalidRecord("role", "is empty; say who speaks, for instance 'user' or 'assistant'")
        if isinstance(copy.content, bool | int | float):
            raise InvalidRecord("content", "must be a string, a list of parts, an object or None")
        copy.kind = _KIND_SPELLINGS.get(copy.kind, copy.kind)
        return copy

    def complete(self, *, touch: bool = False) -> None:
        Record.complete(self, touch=touch)
        self.kind = self.kind or _KINDS_BY_ROLE.get(self.role, self.role)

    @classmethod
    def from_openai(cls, item: Any, **fields: Any) -> Message:
        """A message that keeps an item of OpenAI's in `raw`, its role, content, calls and usage filled from it.

        Args:
            item: a message of Chat Completions, an item of Responses, or a whole answer of Chat Completions, as a dict
                or as the library's model. What no store accepts of it is made storable; ``metadata["changes"]`` says
                what was changed (see `codec.storable`).
            fields: any other fields, such as ``session_id``; they take the place of those that are filled.

        Raises:
            InvalidRecord: the item is neither.
        """
        return _read(openai.read(item), fields)

    def to_openai(self) -> dict[str, Any]:
        """The message as OpenAI's Chat Completions take it: its own where it came from there, else from its fields.

        Raises:
            InvalidRecord: it has no such role, as ``error``, which `Storage.context` finds a place for.
        """
        return openai.written(self)

    @classmethod
    def from_anthropic(cls, item: Any, **fields: Any) -> Message:
        """A message that keeps one of Anthropic's in `raw`, its role, content, calls and usage filled from it.

        Args:
            item: a message, or a whole answer, as a dict or as the library's model; see `from_openai`. A user's message
                that is nothing but one tool's result gets the role ``tool``.
            fields: any other fields, such as ``session_id``; they take the place of those that are filled.

        Raises:
            InvalidRecord: the item is neither.
        """
        return _read(anthropic.read(item), fields)

    def to_anthropic(self) -> dict[str, Any]:
        """The message as Anthropic's API takes it: its own where it came from there, else from its fields.

        Raises:
            InvalidRecord: it has no such role, as ``system``, which the API takes apart; see `Storage.context`.
        """
        return anthropic.written(self)


def _read(found: dict[str, Any], fields: dict[str, Any]) -> Message:
    usage = found.pop("usage", None)
    return Message(**({"usage": TokenUsage(**usage) if usage else None} | found | fields))


@dataclass(slots=True, kw_only=True)
class MemoryRecord(Record):
    """A fact an agent keeps, under the natural key (agent_id, user_id, session_id, kind, key).

    Known kinds: ``short_term``, ``long_term``. From `expires_at` on the record is not there any more.

    Attributes:
        schema: the name of the value's shape; see `chronos_storage.upcasters`.
        schema_version: which version of it, from 0.
    """

    id: str = _string()
    agent_id: str = _string()
    user_id: str = _string()
    session_id: str = _string()
    kind: str = _string()
    key: str = _string()
    value: Any = _json()
    schema: str = _string()
    schema_version: int = _number()
    created_at: datetime | None = _timestamp()
    updated_at: datetime | None = _timestamp()
    expires_at: datetime | None = _timestamp()


def _erased(value: Any, field: str) -> str:
    digest = codec.string(value, field)
    if digest and not re.fullmatch("[0-9a-f]{64}([0-9a-f]{64})?", digest):
        raise InvalidRecord(field, "must be what the store put there: 64 or 128 hexadecimal digits")
    return digest


@dataclass(slots=True, kw_only=True)
class AuditLog(Record):
    """Who did what to which resource. Append-only; `seq_num`, `hash` and `erased` are the store's.

    Attributes:
        erased: the digest of what was here before an erasure emptied the entry (see `chains.erasing`); else empty.
    """

    id: str = _string()
    session_id: str = _string()
    agent_id: str = _string()
    user_id: str = _string()
    actor: str = _string()
    action: str = _string()
    resource: str = _string()
    detail: dict[str, Any] = _object()
    seq_num: int = _number()
    hash: str = _string()
    created_at: datetime | None = _timestamp()
    erased: str = _field(_erased, default="")


#: What a span says of how it went.
SPAN_STATUSES = ("unset", "ok", "error")


def _status(value: Any, field: str) -> str:
    status = codec.string(value, field)
    if status and status not in SPAN_STATUSES:
        raise InvalidRecord(field, f"must be one of {', '.join(map(repr, SPAN_STATUSES))}, not {status!r}")
    return status


@dataclass(slots=True, kw_only=True)
class Trace(Record):
    """A span: one timed step of a run. An empty `started_at` is now; None in `ended_at` is "still running".

    Known kinds: ``node``, ``tool_call``, ``model_call``, ``approval``, ``graph``.

    Attributes:
        trace_id: the run it is part of, as OpenTelemetry has it; where it is left empty, its stored parent's, or
            without a parent its own id.
        status: ``unset``, ``ok`` or ``error``; where it is left empty, ``error`` if an error is given, else ``unset``.
        cost: at most 999,999 and with at most nine decimal places, in the currency the host says.
        attributes: what the span says of itself, to filter by.
        resource: what says it: service, host, version and the like, to filter by.
        events: what happened during it, a list of any JSON.
        links: other spans it has to do with, a list of any JSON.
    """

    id: str = _string()
    trace_id: str = _string()
    session_id: str = _string()
    parent_id: str = _string()
    name: str = _string()
    kind: str = _string()
    input: Any = _json()
    output: Any = _json()
    error: str = _string(codec.MAX_TEXT)
    # What a span that has no status yet says is nothing that it could be compared by.
    status: str = _field(_status, empty=("", "unset"), default="")
    model: str = _string()
    usage: TokenUsage | None = _field(_usage, default=None)
    cost: Decimal | None = _optional(codec.cost)
    attributes: dict[str, Any] = _filterable()
    resource: dict[str, Any] = _filterable()
    events: list[Any] = _list()
    links: list[Any] = _list()
    started_at: datetime | None = _timestamp()
    ended_at: datetime | None = _timestamp()

    def complete(self, *, touch: bool = False) -> None:
        Record.complete(self, touch=touch)
        self.status = self.status or ("error" if self.error else "unset")


@dataclass(slots=True, kw_only=True)
class TraceNode:
    """A span and the spans inside it, in the order they started."""

    trace: Trace
    children: list[TraceNode] = dataclasses.field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Event(Record):
    """An entry of a session's append-only ledger; `seq_num`, `hash` and `erased` are the store's.

    Known types: ``chat_message``, ``chat_summary``, ``node_executed``.

    Attributes:
        schema: the name of the payload's shape; see `chronos_storage.upcasters`.
        schema_version: which version of it, from 0.
        erased: the digest of what was here before an erasure emptied the event (see `chains.erasing`); else empty.
    """

    id: str = _string()
    session_id: str = _string()
    seq_num: int = _number()
    hash: str = _string()
    type: str = _string()
    payload: Any = _json()
    schema: str = _string()
    schema_version: int = _number()
    created_at: datetime | None = _timestamp()
    erased: str = _field(_erased, default="")


@dataclass(slots=True, kw_only=True)
class Checkpoint(Record):
    """A snapshot of a graph's state, numbered per (session_id, namespace).

    Attributes:
        schema: the name of the state's shape; see `chronos_storage.upcasters`.
        schema_version: which version of it, from 0.
    """

    id: str = _string()
    session_id: str = _string()
    namespace: str = _string()
    run_id: str = _string()
    node_id: str = _string()
    # It is measured item by item, by `checkpoints.outlines`.
    state: dict[str, Any] = _field(codec.json_object, default_factory=dict)
    seq_num: int = _number()
    parent_id: str = _string()
    metadata: dict[str, Any] = _filterable()
    schema: str = _string()
    schema_version: int = _number()
    created_at: datetime | None = _timestamp()


@dataclass(slots=True, kw_only=True)
class Container(Record):
    """An isolation boundary that groups agents."""

    id: str = _string()
    config: dict[str, Any] = _object()
    created_at: datetime | None = _timestamp()
    updated_at: datetime | None = _timestamp()


@dataclass(slots=True, kw_only=True)
class Image(Record):
    """A snapshot of an agent's set-up from which sessions start; `parent_image_id` names the one it came from."""

    id: str = _string()
    container_id: str = _string()
    session_id: str = _string()
    name: str = _string()
    description: str = _string(codec.MAX_TEXT)
    system_prompt: str = _string(codec.MAX_TEXT)
    parent_image_id: str = _string()
    mcp_servers: dict[str, Any] = _object()
    metadata: dict[str, Any] = _filterable()
    created_at: datetime | None = _timestamp()
    updated_at: datetime | None = _timestamp()


def _digest(value: Any, field: str) -> str:
    digest = codec.string(value, field).lower()
    if digest and not re.fullmatch("[0-9a-f]{64}", digest):
        raise InvalidRecord(field, "must be a SHA-256 in hexadecimal: 64 digits")
    return digest


@dataclass(slots=True, kw_only=True)
class Artifact(Record):
    """A file that an agent made or was given, whose bytes are in a file storage.

    Attributes:
        name: what its versions have in common, with session_id and user_id, either of which may be empty.
        version: the store's, from 1.
        mime_type: what the bytes are said to be; nobody looks.
        size: how many bytes it has.
        sha256: their SHA-256 in hexadecimal.
    """

    id: str = _string()
    session_id: str = _string()
    user_id: str = _string()
    name: str = _string()
    version: int = _number()
    mime_type: str = _string()
    size: int = _number()
    sha256: str = _field(_digest, default="")
    metadata: dict[str, Any] = _filterable()
    created_at: datetime | None = _timestamp()

    @property
    def scope(self) -> str:
        """The SHA-256 of what its versions have in common; no part can hold the NUL that joins them."""
        return hashlib.sha256("\x00".join((self.session_id, self.user_id, self.name)).encode()).hexdigest()

    def cleaned(self) -> Artifact:
        copy = Record.cleaned(self)
        if not copy.name:
            raise InvalidRecord("name", "is empty; say what the artifact is called, such as 'report.pdf'")
        return copy


@dataclass(slots=True, kw_only=True)
class Blob(Record):
    """Which file has the bytes of a digest, for the stores themselves.

    Attributes:
        id: the bytes' SHA-256. That of the empty id has no bytes: its `kept` is the name of the store's own folder.
        kept: the name of the file; empty while there is none.
        others: the names of files with the same bytes that are being written, each with the time when that began, or
            with None, of those that are of no use any more.
        used_at: when an artifact was last given these bytes.
    """

    id: str = _string()
    kept: str = _string()
    others: dict[str, Any] = _object()
    used_at: datetime | None = _timestamp()


@dataclass(slots=True, kw_only=True)
class QueueEntry(Record):
    """An event that was published on a topic.

    Attributes:
        cursor: its place in the topic: opaque text that sorts, bytewise, in publishing order.
        event: what was published, any JSON.
    """

    cursor: str = _string()
    topic: str = _string(codec.MAX_TOPIC)
    event: Any = _json()
    user_id: str = _string()
    created_at: datetime | None = _timestamp()


@dataclass(slots=True, kw_only=True)
class Collection(Record):
    """A named set of embeddings that can be compared: of one dimension, by one metric.

    Attributes:
        dimension: how many numbers each vector has.
        metric: ``cosine``, ``l2`` or ``inner_product``.
    """

    name: str = _string()
    dimension: int = _number()
    metric: str = _field(codec.string, default="cosine")


@dataclass(slots=True, kw_only=True)
class Embedding(Record):
    """A content and the vector that stands for it; its id is unique within the collection.

    Attributes:
        vector: given as a list of numbers or a NumPy array; comes back as an ``array("f")``, Python's own array of
            float32, which NumPy takes as it lies in memory.
    """

    id: str = _string()
    vector: Any = _field(float32.vector, default=())
    content: str = _string(codec.MAX_TEXT)
    metadata: dict[str, Any] = _filterable()
    user_id: str = _string()


@dataclass(slots=True, kw_only=True)
class SearchResult(Embedding):
    """An embedding that a search found; its vector is empty where it was not asked for.

    Attributes:
        score: the similarity to the query, higher is better: the cosine, the inner product, or 1/(1 + distance) for
            l2; of a hybrid search, the fused ranks: the sum of 1/(60 + rank).
    """

    score: float = 0.0


@dataclass(slots=True, kw_only=True, frozen=True)
class CollectionStats:
    """What a vector store knows of a collection.

    Attributes:
        count: how many embeddings it has.
        size: the bytes its vectors take as float32.
        index: the state of its approximate index: ``none`` (searches are exact), ``building``, ``ready`` or
            ``broken`` (a build failed or was killed; reindex makes it again).
        index_size: the bytes the index takes.
        parameters: what the index is built and searched with.
    """

    name: str
    dimension: int
    metric: str
    count: int
    size: int
    index: str = "none"
    index_size: int = 0
    parameters: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclass(slots=True, kw_only=True, frozen=True)
class Verdict:
    """What a check of one hash chain found.

    Attributes:
        kind: ``event`` or ``audit_log``.
        chain: the session's id; for audit logs ``session:<session_id>`` or ``agent:<agent_id>``.
        base_seq: the number after which the chain begins: 0, or the last that a purge removed.
        last_seq: the number of the last row appended.
        checked: how many rows were read, up to and including the bad one.
        bad_seq: the number of the first row that is not as it was appended; None if all are.
        problem: what is wrong with that row; empty if nothing is.
        erased: how many of the rows were emptied by an erasure.
    """

    kind: str
    chain: str
    base_seq: int = 0
    last_seq: int = 0
    checked: int = 0
    bad_seq: int | None = None
    problem: str = ""
    erased: int = 0

    @property
    def intact(self) -> bool:
        """Whether every row is as it was appended."""
        return self.bad_seq is None


@dataclass(slots=True, kw_only=True, frozen=True)
class ChainHead:
    """Where a hash chain ends, and where it begins.

    Attributes:
        kind: ``event`` or ``audit_log``.
        chain: the session's id; for audit logs ``session:<session_id>`` or ``agent:<agent_id>``.
        seq_num: the number of the last row appended; 0 where rows stand there without a head.
        hash: that row's, in hexadecimal.
        base_seq: the number after which the chain begins: 0, or the last that a purge removed.
        base_hash: the hash of the row of that number; zeros where there was none.
    """

    kind: str
    chain: str
    seq_num: int
    hash: str
    base_seq: int
    base_hash: str


@dataclass(slots=True, kw_only=True, frozen=True)
class Health:
    """Whether a store can be reached and used.

    Attributes:
        backend: the backend's dotted path.
        store: what it stores in, such as ``postgresql 18.1``; empty where it can't be reached.
        latency: seconds that one small read took; None where it failed.
        problems: what keeps the store from being used, in words; empty if nothing does.
    """

    backend: str
    store: str = ""
    latency: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the store can be used."""
        return not self.problems


class Batch(list[R]):
    """What a call that writes several records gives back: the records as they are stored, in the order given.

    Attributes:
        new: the ids of those that this call wrote, each once; what was there already with the same content is left out.
    """

    def __init__(self, stored: Iterable[R] = (), new: Iterable[R] = ()) -> None:
        super().__init__(stored)
        self.new: list[str] = [record.id for record in new]


class RecordEncoder(json.JSONEncoder):
    """Writes records as JSON objects of their fields: ``json.dumps(record, cls=RecordEncoder)``.

    Times are ISO 8601, costs texts, vectors lists. What else a record holds is JSON already.
    """

    def default(self, o: Any) -> Any:
        if dataclasses.is_dataclass(o) and not isinstance(o, type):
            return {field.name: getattr(o, field.name) for field in dataclasses.fields(o)}
        if isinstance(o, datetime):
            return o.isoformat()
        if isinstance(o, Decimal):
            return str(o)
        return o.tolist() if isinstance(o, array) else super().default(o)


#: The records by the name that `Storage.scan` takes, in the order a copy must load them.
KINDS: dict[str, type[Record]] = {
    "container": Container,
    "image": Image,
    "session": Session,
    "message": Message,
    "memory": MemoryRecord,
    "audit_log": AuditLog,
    "trace": Trace,
    "event": Event,
    "checkpoint": Checkpoint,
    "artifact": Artifact,
}

#: What is removed with its session, beside the ledger.
REMOVED_WITH_SESSION: tuple[type[Record], ...] = (Message, Checkpoint, Trace, MemoryRecord, Artifact)

#: What the store numbers and hashes: never part of what a caller wrote.
STORE_FIELDS = frozenset({"seq_num", "hash", "version", "erased"})


def require_same(given: R, stored: R) -> R:
    """`stored`, if it holds what `given` says, in canonical form and leaving out what `given` left empty.

    Raises:
        AlreadyExists: the id is taken by other content; the message names the first field that differs.
    """
    for field in dataclasses.fields(given):  # type: ignore[arg-type]
        new = getattr(given, field.name)
        if field.name in STORE_FIELDS or new in field.metadata["empty"]:
            continue
        old = getattr(stored, field.name)
        if isinstance(new, datetime | TokenUsage | Decimal):
            if new == old:
                continue
        elif codec.canonical(new) == codec.canonical(old):
            continue
        kind = type(given).__name__
        raise AlreadyExists(f"{kind} {getattr(given, 'id', '')!r} is stored already, with another {field.name}")
    return stored
