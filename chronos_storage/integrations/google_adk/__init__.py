"""Sessions, artifacts and memory of Google's Agent Development Kit; `docs/google-adk.md` is the guide."""

from .artifacts import ChronosArtifactService
from .memory import ChronosMemoryService
from .sessions import ChronosSessionService

__all__ = ["ChronosArtifactService", "ChronosMemoryService", "ChronosSessionService"]
