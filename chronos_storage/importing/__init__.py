"""Bringing conversations from files of JSON lines into a store, through its facade.

A format is a function that turns one line's JSON into a session and its messages, checked and without ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..records import Message, Session
from . import openai_chat

Format = Callable[[Any], tuple[Session, list[Message]]]

FORMATS: dict[str, Format] = {"openai-chat": openai_chat.read}
