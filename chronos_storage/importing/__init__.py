"""Bringing conversations into a store, through its facade: from files of JSON lines, and from other systems.

A format is a function that turns one line's JSON into a session and its messages, checked and without ids. A system is
one that opens what it keeps (`source.Source`) by the name that the command is given: a file, or a database URL.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ..records import Message, Session
from . import agentos, agentx, ago, openai_chat
from .source import Source

Format = Callable[[Any], tuple[Session, list[Message]]]
System = Callable[[str], AbstractContextManager[Source]]

FORMATS: dict[str, Format] = {"openai-chat": openai_chat.read}
SYSTEMS: dict[str, System] = {"agentos": agentos.opened, "agentx": agentx.opened, "ago": ago.opened}
