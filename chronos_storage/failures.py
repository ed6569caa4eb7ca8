"""What counts as a failure, once: as a condition of the databases', and as a predicate of records.

A message failed if its role or kind is ``error``, or if it is a tool's result that says so: in its metadata
(``is_error`` or ``isError`` is true, ``status`` is ``error``), in its content (one of the first two is true anywhere in
it; it is a text that begins with "Error", with the words that OpenAI's agents have for it or with a traceback; it is an
object, or the JSON of one, that begins with an ``error`` or this status), or in LangChain's item. A span failed if its
status is ``error``; an event, if its type ends with "error" or "failed".

The condition is written without parameters, in the words that the indexes of failures have (see `indexes`): whoever
changes them makes these indexes anew, in a migration.
"""

from __future__ import annotations

import re
from typing import Any

from django.db.models import BooleanField, F, Func, Model

from . import codec
from .records import Event, Message, Trace

ERROR = "error"
_RESULT_ROLES, _RESULT_KIND = ("tool", "function"), "tool-result"
#: How several results begin that stand in one message of the user's.
RESULTS_BEGIN = '[{"type":"tool_result"'
#: What is looked for in the JSON of a content, and in that of a framework's own item.
_IN_CONTENT = ('"is_error":true', '"isError":true')
_IN_RAW = '"status":"error"'
#: How much of a content's JSON the beginnings are looked for in.
_BEGINNING = 80
_TEXT = '.[{]"type":"text","text":"'
#: How the JSON of a content begins, as all of PostgreSQL, MariaDB and Python read it: what they'd escape is a dot.
_PATTERN = (
    f'^(("|{_TEXT})(([Ee]rror|ERROR)[^A-Za-z]|An error occurred|Traceback [(]most recent call last[)])'
    '|[{]"(error":("[^"]|[{]|true)|status":"error")'
    '|"[{]."(error.": ?(."[^"][^"]|[{]|true)|status.": ?."error."))'
)
#: How long what it begins with is at least, and what that may be.
_LENGTH = 4
_STARTS = ('"Err', '"err', '"ERR', '"An ', '"Tra', '[{"t', '{"er', '{"st', '"{\\"')
#: The same for SQLite, which has no regular expressions of its own.
_GLOBS = (
    *(
        start + text
        for start in ('"', '[[]{"type":"text","text":"')
        for text in (
            "[Ee]rror[^A-Za-z]*",
            "ERROR[^A-Za-z]*",
            "An error occurred*",
            "Traceback (most recent call last)*",
        )
    ),
    *('{"error":"[^"]*', '{"error":{*', '{"error":true*', '{"status":"error"*'),
    *(
        f'"{{?"{text}*'
        for space in ("", " ")
        for text in (
            f'error?":{space}?"[^"][^"]',
            f'error?":{space}{{',
            f'error?":{space}true',
            f'status?":{space}?"error?"',
        )
    ),
)
_ENDINGS = (("error", "Error", "ERROR"), ("failed", "Failed", "FAILED"))
_begins = re.compile(_PATTERN).match


def has_failed(record: Message | Event | Trace) -> bool:
    """Whether a record is a failure, as `failed` says of its row."""
    match record:
        case Message():
            return _message_failed(record)
        case Event():
            return any(map(record.type.endswith, _ENDINGS))
        case _:
            return record.status == ERROR


def _message_failed(message: Message) -> bool:
    if ERROR in (message.role, message.kind):
        return True
    content = codec.encode(message.content)
    if not (
        message.role in _RESULT_ROLES
        or message.kind == _RESULT_KIND
        or message.tool_call_id
        or (message.role == "user" and content.startswith(RESULTS_BEGIN))
    ):
        return False
    said = message.metadata
    return (
        (said.get("is_error") is True or said.get("isError") is True or said.get("status") == ERROR)
        or any(each in content for each in _IN_CONTENT)
        or _IN_RAW in codec.encode(message.raw)
        or _begins(content[:_BEGINNING]) is not None
    )


class _Words:
    """What a condition is made of, as PostgreSQL has it."""

    def text(self, column: str) -> str:
        """A JSON column as text."""
        return f"{column}::text"

    def begins(self, content: str) -> str:
        """Whether the text of a content begins as that of a failure."""
        # Each tool's result is asked when it is added, of which few begin like one of these.
        likely = f"{self.beginning(content, _LENGTH)} IN ({_listed(_STARTS)})"
        return f"{likely} AND {self.beginning(content, _BEGINNING)} ~ '{_PATTERN}'"

    def beginning(self, text: str, length: int) -> str:
        """The first characters of a text."""
        return f"left({text}, {length})"

    def contains(self, text: str, part: str) -> str:
        """Whether a text contains another."""
        return f"strpos({text}, '{part}') > 0"

    def metadata(self, column: str) -> str:
        """Whether the metadata say that something failed."""
        return " OR ".join(
            f"{column} @> '{said}'" for said in ('{"is_error": true}', '{"isError": true}', '{"status": "error"}')
        )

    def ends(self, column: str, endings: tuple[str, ...]) -> str:
        """Whether a string ends with one of these, which are of one length."""
        return f"right({column}, {len(endings[0])}) IN ({_listed(endings)})"


class _MariaDBWords(_Words):
    """Metadata that are nested over 31 deep say nothing: MariaDB reads no such JSON."""

    def text(self, column: str) -> str:
        return column

    def begins(self, content: str) -> str:
        return f"{self.beginning(content, _BEGINNING)} REGEXP '{_PATTERN}'"

    def contains(self, text: str, part: str) -> str:
        return f"LOCATE('{part}', {text}) > 0"

    def metadata(self, column: str) -> str:
        said = " OR ".join(
            f"CAST(JSON_EXTRACT({column}, '$.{key}') AS CHAR) = '{value}'"
            for key, value in (("is_error", "true"), ("isError", "true"), ("status", '"error"'))
        )
        return f"COALESCE({said}, FALSE)"


class _SQLiteWords(_MariaDBWords):
    def begins(self, content: str) -> str:
        return " OR ".join(f"{content} GLOB '{glob}'" for glob in _GLOBS)

    def beginning(self, text: str, length: int) -> str:
        return f"substr({text}, 1, {length})"

    def contains(self, text: str, part: str) -> str:
        return f"instr({text}, '{part}') > 0"

    def metadata(self, column: str) -> str:
        true = " OR ".join(f"json_type({column}, '$.{key}') = 'true'" for key in ("is_error", "isError"))
        said = f"{true} OR json_extract({column}, '$.status') = '{ERROR}'"
        # What is no JSON, in a row that was tampered with, would be an error.
        return f"CASE WHEN json_valid({column}) THEN COALESCE({said}, FALSE) ELSE FALSE END"

    def ends(self, column: str, endings: tuple[str, ...]) -> str:
        return f"substr({column}, -{len(endings[0])}) IN ({_listed(endings)})"


_WORDS = {"postgresql": _Words(), "mysql": _MariaDBWords(), "sqlite": _SQLiteWords()}


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(f"'{text}'" for text in texts)


class _Failed(Func):
    """Whether a row is a failure; never NULL."""

    output_field = BooleanField()
    #: What it is made of.
    columns: tuple[str, ...]

    def __init__(self, *expressions: Any) -> None:
        super().__init__(*(expressions or map(F, self.columns)))

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        columns = [compiler.compile(each)[0] for each in self.source_expressions]
        return self.condition(_WORDS[connection.vendor], *columns), []

    def condition(self, words: _Words, *columns: str) -> str:
        """The condition in a database's words."""
        raise NotImplementedError


class _MessageFailed(_Failed):
    columns = ("role", "kind", "tool_call_id", "metadata", "content", "raw")

    def condition(self, words: _Words, *columns: str) -> str:
        role, kind, call, metadata, content, raw = columns
        content, raw = words.text(content), words.text(raw)
        inside = (words.contains(content, each) for each in _IN_CONTENT)
        says_so = (words.metadata(metadata), *inside, words.contains(raw, _IN_RAW), words.begins(content))
        # Hardly any row is looked at further than its role.
        return (
            f"CASE WHEN {role} = '{ERROR}' OR {kind} = '{ERROR}' THEN TRUE"
            f" WHEN {role} IN ({_listed(_RESULT_ROLES)}) OR {kind} = '{_RESULT_KIND}' OR {call} <> ''"
            f" OR ({role} = 'user' AND {words.beginning(content, len(RESULTS_BEGIN))} = '{RESULTS_BEGIN}')"
            f" THEN {' OR '.join(says_so)}"
            " ELSE FALSE END"
        )


class _EventFailed(_Failed):
    columns = ("type",)

    def condition(self, words: _Words, *columns: str) -> str:
        (kind,) = columns
        return f"({' OR '.join(words.ends(kind, endings) for endings in _ENDINGS)})"


class _SpanFailed(_Failed):
    columns = ("status",)

    def condition(self, words: _Words, *columns: str) -> str:
        (status,) = columns
        return f"{status} = '{ERROR}'"


_CONDITIONS = {"message": _MessageFailed, "event": _EventFailed, "trace": _SpanFailed}


def failed(model: type[Model]) -> Any:
    """The condition that is true of the rows which are failures, to filter by and to annotate with.

    Args:
        model: the model of messages, events or spans.
    """
    return _CONDITIONS[str(model._meta.model_name)]()
