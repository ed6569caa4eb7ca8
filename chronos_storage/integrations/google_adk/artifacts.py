from __future__ import annotations

from typing import Any

from google.adk.artifacts import BaseArtifactService
from google.adk.artifacts.artifact_util import (
    is_artifact_ref,
    parse_artifact_uri,
    resolve_artifact_reference,
    validate_artifact_reference_scope,
)
from google.adk.artifacts.base_artifact_service import ArtifactVersion, ensure_part
from google.adk.errors.input_validation_error import InputValidationError
from google.genai import types

from ... import storage as default_storage
from ...async_variants import hop
from ...codec import storable
from ...exceptions import NotFound
from ...facade import Storage
from ...ids import composite_id
from ...records import Artifact, Session
from .compat import MAX_REFERENCES, is_tombstone

_USER = "user:"


class ChronosArtifactService(BaseArtifactService):
    """ADK's artifacts, as versions of files: those of a session belong to the session, those of a user to the user.

    Versions count from 0, and none is given twice, also after its artifact was deleted.

    Args:
        storage: where they are kept; `chronos_storage.storage` unless given.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage: Storage = storage or default_storage

    async def save_artifact(
        self,
        *,
        app_name: str,
        user_id: str,
        filename: str,
        artifact: types.Part | dict[str, Any],
        session_id: str | None = None,
        custom_metadata: dict[str, Any] | None = None,
    ) -> int:
        part = ensure_part(artifact)
        if is_artifact_ref(part):
            assert part.file_data
            uri = part.file_data.file_uri or ""
            if (parsed := parse_artifact_uri(uri)) is None:
                raise InputValidationError(f"Invalid artifact reference URI: {uri}")
            validate_artifact_reference_scope(
                app_name=app_name, user_id=user_id, session_id=session_id, parsed_uri=parsed
            )
        data, mime_type, rest = _taken_apart(part)
        own = Artifact(
            **_scope(app_name, user_id, filename, session_id),
            mime_type=mime_type,
            metadata=storable(
                {"app": app_name, "filename": filename, "part": rest, "custom": custom_metadata or {}}, filterable=True
            ).value,
        )
        return await hop(self._storage, self._save, own, data, app_name)

    def _save(self, own: Artifact, data: bytes, app_name: str) -> int:
        try:
            return self._storage.put_artifact(own, data).version - 1
        except NotFound:
            # ADK's sessions may come after their artifacts, or stand elsewhere. A deleted one is not brought back.
            self._storage.ensure_session(Session(id=own.session_id, agent_id=app_name, user_id=own.user_id))
            return self._storage.put_artifact(own, data).version - 1

    async def load_artifact(
        self,
        *,
        app_name: str,
        user_id: str,
        filename: str,
        session_id: str | None = None,
        version: int | None = None,
    ) -> types.Part | None:
        for remaining in range(MAX_REFERENCES, -1, -1):
            scope = _scope(app_name, user_id, filename, session_id)
            part = await hop(self._storage, self._load, scope, version)
            if part is None or not is_artifact_ref(part):
                return part
            assert part.file_data
            target = resolve_artifact_reference(
                file_uri=part.file_data.file_uri or "",
                app_name=app_name,
                user_id=user_id,
                session_id=session_id,
                remaining_depth=remaining,
            )
            app_name, user_id, session_id, filename, version = target
        raise AssertionError("a reference too many is refused")

    def _load(self, scope: dict[str, str], version: int | None) -> types.Part | None:
        found = self._version(scope, version)
        if found is None:
            return None
        with self._storage.open_artifact(found.id) as file:
            part = _put_together(found, file.read())
        return None if part == types.Part() or is_tombstone(part) else part

    def _version(self, scope: dict[str, str], version: int | None) -> Artifact | None:
        if version is not None and version < 0:
            return None
        number = None if version is None else version + 1
        name, session_id, user_id = scope["name"], scope["session_id"], scope["user_id"]
        return self._storage.get_artifact(name, session_id=session_id, user_id=user_id, version=number)

    async def list_artifact_keys(self, *, app_name: str, user_id: str, session_id: str | None = None) -> list[str]:
        sessions = [""] if session_id is None else ["", composite_id(app_name, user_id, session_id)]
        found = [
            artifact.metadata["filename"]
            for id in sessions
            for artifact in await self._storage.alist_artifacts(session_id=id, user_id=user_id)
            if artifact.metadata.get("app") == app_name
        ]
        return sorted(set(found))

    async def delete_artifact(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> None:
        await hop(self._storage, self._delete, _scope(app_name, user_id, filename, session_id))

    def _delete(self, scope: dict[str, str]) -> None:
        for artifact in self._storage.list_artifacts(**scope):  # type: ignore[arg-type]
            self._storage.delete_artifact(artifact.id)

    async def list_versions(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> list[int]:
        found = await self._versions(app_name, user_id, filename, session_id)
        return [artifact.version - 1 for artifact in found]

    async def list_artifact_versions(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> list[ArtifactVersion]:
        found = await self._versions(app_name, user_id, filename, session_id)
        return [_described(artifact) for artifact in found]

    async def _versions(self, app_name: str, user_id: str, filename: str, session_id: str | None) -> list[Artifact]:
        scope: Any = _scope(app_name, user_id, filename, session_id)
        found = await self._storage.alist_artifacts(**scope)
        return sorted(found, key=lambda artifact: artifact.version)

    async def get_artifact_version(
        self,
        *,
        app_name: str,
        user_id: str,
        filename: str,
        session_id: str | None = None,
        version: int | None = None,
    ) -> ArtifactVersion | None:
        scope = _scope(app_name, user_id, filename, session_id)
        found = await hop(self._storage, self._version, scope, version)
        return None if found is None else _described(found)


def _scope(app_name: str, user_id: str, filename: str, session_id: str | None) -> dict[str, Any]:
    """Where an artifact's versions stand."""
    name = composite_id(app_name, filename)
    if filename.startswith(_USER):
        return {"name": name, "session_id": "", "user_id": user_id}
    if session_id is None:
        raise InputValidationError("Session ID must be provided for session-scoped artifacts.")
    return {"name": name, "session_id": composite_id(app_name, user_id, session_id), "user_id": user_id}


def _taken_apart(part: types.Part) -> tuple[bytes, str, dict[str, Any]]:
    """The bytes of a part, their MIME type, and what else it says."""
    if part.inline_data is not None:
        rest = part.model_dump(exclude_none=True, mode="json", exclude={"inline_data": {"data"}})
        return part.inline_data.data or b"", part.inline_data.mime_type or "", rest
    if part.text is not None:
        rest = part.model_dump(exclude_none=True, mode="json", exclude={"text"})
        return part.text.encode("utf-8", "surrogatepass"), "text/plain", rest
    if part.file_data is not None:
        return b"", part.file_data.mime_type or "", part.model_dump(exclude_none=True, mode="json")
    raise InputValidationError("Not supported artifact type.")


def _put_together(artifact: Artifact, data: bytes) -> types.Part:
    part = types.Part.model_validate(artifact.metadata["part"])
    if part.inline_data is not None:
        part.inline_data.data = data
    elif part.file_data is None:
        part.text = data.decode("utf-8", "surrogatepass")
    return part


def _described(artifact: Artifact) -> ArtifactVersion:
    assert artifact.created_at
    return ArtifactVersion(
        version=artifact.version - 1,
        canonical_uri=f"chronos://artifacts/{artifact.id}",
        custom_metadata=artifact.metadata["custom"],
        create_time=artifact.created_at.timestamp(),
        mime_type=artifact.mime_type or None,
    )
