"""Where a document's file is, and what stands in it.

The file of a record is the record: its fields, as JSON that a person reads, by which its key and its places in the
indexes are known. The file of any other document says these too. Two kinds of documents follow from others, and have no
file: the guard of a session, and who holds a natural key of the memory.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from .... import codec
from ....chains.numbering import require_complete, session_of
from ....exceptions import InvalidRecord, StoreFailure
from ....records import KINDS
from ..driver import Document, Entry, Key
from ..indexes import entries_of, key_of
from ..serialization import decode
from .names import name_of

#: A file's ending.
SUFFIX = ".json"
#: A record's text that is longer has one line for each field, as Python takes long to indent all that is in it.
_INDENTED = 16 * 1024
#: Bytes of a name of which there are two in one.
_HALF = 100
#: What only the file of a document that is no record has: its key.
_MARK = "document"

_FOLDERS = {kind: "memories" if kind == "memory" else f"{kind}s" for kind in KINDS}
_KINDS = {folder: kind for kind, folder in _FOLDERS.items()}
_SESSIONS, _AGENTS, _OTHERS = "sessions", "agents", "others"
#: The folders that hold all there is.
TOP = frozenset({_SESSIONS, _AGENTS, _OTHERS, *_FOLDERS.values()})


class Found(NamedTuple):
    """What a file says.

    Attributes:
        body: to the letter as it was given, unless the file was edited since.
    """

    key: Key
    entries: tuple[Entry, ...]
    body: str


def filed(document: Document) -> tuple[str | None, str]:
    """The path of a document's file, relative, with slashes, and the file's text; no path for what has no file."""
    value, is_exact = _value_of(document.body)
    if is_exact and _is_record(document, value):
        return _path_of_record(document.key[0], value), _pretty(value, indented=len(document.body) <= _INDENTED)
    path = _path_of(document.key)
    if path is None:
        return None, ""
    entries = [[entry.partition, entry.sort] for entry in document.entries]
    shown = {_MARK: document.key, "entries": entries, **({"value": value} if is_exact else {"text": document.body})}
    return path, _pretty(shown, indented=False)


def value_in(text: str) -> Any:
    """What the text of a file is the JSON of.

    Raises:
        ValueError: it is none.
    """
    return json.loads(text)


def body_of(value: Any) -> str:
    """The body of the document whose file has the JSON of this value."""
    if isinstance(value, dict) and _MARK in value:
        return value["text"] if "text" in value else codec.encode(value["value"])
    return codec.encode(value)


def found_in(path: str, text: str) -> Found:
    """What the file at this path says, which somebody may have edited.

    Raises:
        StoreFailure: it is no document's; the file is named.
    """
    try:
        value = value_in(text)
        if _MARK in value:
            return _said(value)
        # The fields as they are, once it is known that the record could be stored.
        body = codec.encode(value)
        record = decode(KINDS[_kind_at(path)], body)
        require_complete(record.cleaned())
        return Found(key_of(record), entries_of(record), body)
    except InvalidRecord as error:
        raise StoreFailure(f"the file {path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise StoreFailure(f"the file {path} is not what is stored there: {error!r}") from error


def _said(value: dict[str, Any]) -> Found:
    """What the file of a document that is no record says."""
    key, entries = tuple(value[_MARK]), tuple(Entry(tuple(partition), sort) for partition, sort in value["entries"])
    body = body_of(value)
    for text in (*key, *(part for entry in entries for part in (*entry.partition, entry.sort)), body):
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no string")
    return Found(key, entries, body)


def _value_of(body: str) -> tuple[Any, bool]:
    """The value that a body is the JSON of, and whether writing it again gives the body to the letter."""
    try:
        value = codec.loads(body)
        return value, codec.encode(value) == body
    except (ValueError, RecursionError):
        return None, False


def _is_record(document: Document, value: Any) -> bool:
    """Whether a document's key and entries follow from the record in it."""
    kind = KINDS.get(document.key[0])
    if kind is None or not isinstance(value, dict) or _MARK in value:
        return False
    try:
        record = decode(kind, document.body)
        return key_of(record) == document.key and entries_of(record) == document.entries
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _path_of_record(kind: str, value: dict[str, Any]) -> str:
    id = value["id"]
    match kind:
        case "session":
            return f"{_session(id)}/session{SUFFIX}"
        case "message" | "event":
            folder, name = _session(value["session_id"]), _numbered(value["seq_num"], id)
        case "checkpoint":
            folder, name = _namespace(value["session_id"], value["namespace"]), _numbered(value["seq_num"], id)
        case "audit_log":
            folder, name = _owner(value), _numbered(value["seq_num"], id)
        case "memory":
            folder, name = _owner(value), f"{name_of(value['key'], _HALF)}={name_of(id, _HALF)}"
        case "trace":
            started = name_of(value["started_at"][:19].replace("T", "_").replace(":", ""))
            name = f"{started}-{name_of(id)}"
            if not value["session_id"]:
                return f"{_FOLDERS[kind]}/{name}{SUFFIX}"
            folder = _session(value["session_id"])
        case _:
            return f"{_FOLDERS[kind]}/{name_of(id)}{SUFFIX}"
    return f"{folder}/{_FOLDERS[kind]}/{name}{SUFFIX}"


def _kind_at(path: str) -> str:
    """The kind of the record whose file is at a path."""
    parts = PurePosixPath(path).parts
    return "session" if parts[0] == _SESSIONS and len(parts) == 3 else _KINDS[parts[-2]]


def _path_of(key: Key) -> str | None:
    """The path of what is no record."""
    match key:
        case ("guard", _) | ("place", *_):
            return None
        case ("fence", session_id):
            return f"{_session(session_id)}/fence{SUFFIX}"
        case ("head", ("message" | "event" | "audit_log" | "checkpoint") as kind, owner, namespace):
            return f"{_series(kind, owner, namespace)}/heads/{_FOLDERS[kind]}{SUFFIX}"
        case ("base", ("message" | "event" | "audit_log") as kind, owner):
            return f"{_series(kind, owner, '')}/heads/{_FOLDERS[kind]}-base{SUFFIX}"
        case ("log", session_id, namespace, start):
            number = start.lstrip("0") or "0"
            return f"{_namespace(session_id, namespace)}/items/{name_of(number.zfill(6))}{SUFFIX}"
        case _:
            digest = sha256(codec.encode(key).encode()).hexdigest()
            return f"{_OTHERS}/{name_of(key[0] if key else '', _HALF)}/{digest}{SUFFIX}"


def _session(id: str) -> str:
    return f"{_SESSIONS}/{name_of(id)}"


def _namespace(session_id: str, namespace: str) -> str:
    return f"{_session(session_id)}/namespaces/{name_of(namespace)}" if namespace else _session(session_id)


def _owner(value: dict[str, Any]) -> str:
    """The folder of what belongs to a session or, without one, to an agent."""
    return _session(value["session_id"]) if value["session_id"] else f"{_AGENTS}/{name_of(value['agent_id'] or '')}"


def _series(kind: str, owner: str, namespace: str) -> str:
    if kind == "audit_log":
        session_id = session_of(owner)
        return f"{_AGENTS}/{name_of(owner.partition(':')[2])}" if session_id is None else _session(session_id)
    return _namespace(owner, namespace)


def _numbered(number: int, id: str) -> str:
    return f"{number:06}-{name_of(id)}"


def _pretty(value: dict[str, Any], *, indented: bool) -> str:
    if indented:
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    fields = ",\n".join(f"  {codec.encode(name)}: {codec.encode(item)}" for name, item in value.items())
    return f"{{\n{fields}\n}}\n"
