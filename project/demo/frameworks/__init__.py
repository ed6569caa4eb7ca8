"""The demo's agent once more under each agent framework, scripted as the plain one: no model and no network.

Each module has ``answer_questions(storage, stop, say, *, again)``, which gives the session's id.
"""

from __future__ import annotations

from importlib.util import find_spec

#: The modules here, and what each needs.
_LIBRARIES = {
    "google_adk": "google.adk",
    "langchain": "langchain_core",
    "langgraph": "langgraph",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai_harness",
}


def installed() -> list[str]:
    """The names of the modules whose frameworks are installed."""
    return [name for name, library in _LIBRARIES.items() if _is_installed(library)]


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False
