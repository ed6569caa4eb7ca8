"""A store for the sessions of the Claude Agent SDK; `docs/claude-agent-sdk.md` is the guide."""

from .store import ChronosSessionStore

__all__ = ["ChronosSessionStore"]
