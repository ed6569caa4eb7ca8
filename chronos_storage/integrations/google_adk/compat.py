"""The private names of ADK's that its own services use and others have to."""

from __future__ import annotations

from google.adk.artifacts import artifact_util
from google.adk.errors._stale_session_error import StaleSessionError as StaleSessionError
from google.adk.sessions import Session
from google.genai import types


def revision(session: Session) -> int | None:
    """The number of the last event that a session was loaded or written with; None where nobody noted it."""
    marker = getattr(session, "_storage_update_marker", None)
    return int(marker) if marker and marker.isdecimal() else None


def note_revision(session: Session, number: int) -> None:
    """Note it where copies of the session keep it, and ADK's own services theirs."""
    session._storage_update_marker = str(number)


def is_tombstone(part: types.Part) -> bool:
    """Whether a rewound session says with this version that the artifact is gone."""
    return artifact_util._is_rewind_tombstone(part)


#: How many references of artifacts to artifacts are followed.
MAX_REFERENCES = artifact_util._MAX_ARTIFACT_REFERENCE_DEPTH
