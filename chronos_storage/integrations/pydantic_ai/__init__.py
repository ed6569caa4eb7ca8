"""Pydantic AI's conversations, and the steps of the harness's runs, in a storage."""

from __future__ import annotations

from .conversations import ChronosConversationStore
from .steps import ChronosStepStore

__all__ = ["ChronosConversationStore", "ChronosStepStore"]
