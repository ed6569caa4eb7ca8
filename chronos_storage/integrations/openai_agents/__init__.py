"""Sessions of the OpenAI Agents SDK over this package's; `docs/openai-agents.md` is the guide."""

from .session import ChronosSession

__all__ = ["ChronosSession"]
