"""AgentX' repositories over a storage."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from .. import codec
from ..exceptions import AlreadyExists, NotFound
from ..facade import Storage
from .agentx_records import (
    ContainerRecord,
    ImageRecord,
    Message,
    SessionRecord,
    container_of,
    container_record,
    image_of,
    image_record,
    message_of,
    message_record,
    session_of,
    session_record,
)
from .anew import begin_anew
from .exchange import spelled


def _named(id: str, **more: str) -> AbstractContextManager[None]:
    return spelled({"id": id, **more})


class ContainerRepository:
    """AgentX' containers: the storage's containers."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def save_container(self, record: ContainerRecord) -> ContainerRecord:
        """Store a container, new or known."""
        with _named("container_id"):
            return container_record(await self._storage.asave_container(container_of(record)))

    async def find_container_by_id(self, container_id: str) -> ContainerRecord | None:
        """The container, or None."""
        with _named("container_id"):
            found = await self._storage.aget_container(container_id)
        return None if found is None else container_record(found)

    async def find_all_containers(self) -> list[ContainerRecord]:
        """All containers, newest first."""
        return [container_record(container) for container in await self._storage.alist_containers()]

    async def container_exists(self, container_id: str) -> bool:
        """Whether the container is there."""
        with _named("container_id"):
            return await self._storage.acontainer_exists(container_id)

    async def delete_container(self, container_id: str) -> bool:
        """Remove a container and nothing else; whether it was there."""
        with _named("container_id"):
            return await self._storage.adelete_container(container_id)


class ImageRepository:
    """AgentX' images: the storage's images."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def save_image(self, record: ImageRecord) -> ImageRecord:
        """Store an image, new or known."""
        with _named("image_id"):
            return image_record(await self._storage.asave_image(image_of(record)))

    async def find_image_by_id(self, image_id: str) -> ImageRecord | None:
        """The image, or None."""
        with _named("image_id"):
            found = await self._storage.aget_image(image_id)
        return None if found is None else image_record(found)

    async def find_all_images(self) -> list[ImageRecord]:
        """All images, newest first."""
        return [image_record(image) for image in await self._storage.alist_images()]

    async def find_images_by_name(self, name: str) -> list[ImageRecord]:
        """The images of exactly this name, newest first."""
        return [image_record(image) for image in await self._storage.alist_images(name=codec.string(name, "name"))]

    async def find_images_by_container_id(self, container_id: str) -> list[ImageRecord]:
        """A container's images, newest first."""
        found = await self._storage.alist_images(container_id=codec.string(container_id, "container_id"))
        return [image_record(image) for image in found]

    async def image_exists(self, image_id: str) -> bool:
        """Whether the image is there."""
        with _named("image_id"):
            return await self._storage.aimage_exists(image_id)

    async def update_metadata(self, image_id: str, metadata: dict[str, Any]) -> ImageRecord:
        """Merge into an image's metadata, key by key.

        Raises:
            NotFound: there is no such image.
        """
        with _named("image_id", changes="metadata"):
            return image_record(await self._storage.apatch_image_metadata(image_id, metadata))

    async def delete_image(self, image_id: str) -> bool:
        """Remove an image and nothing else; whether it was there."""
        with _named("image_id"):
            return await self._storage.adelete_image(image_id)


class SessionRepository:
    """AgentX' sessions and their messages: the storage's. A deleted session's messages are not shown any more."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def save_session(self, record: SessionRecord) -> SessionRecord:
        """Store a session, new or known; what other interfaces keep with a known one stays.

        A deleted one begins anew: without its messages and what other interfaces kept with it, but for its user.
        """
        session = session_of(record)
        changes: dict[str, Any] = {"image_id": session.image_id, "container_id": session.container_id}
        with _named("session_id"):
            try:
                return session_record(await self._storage.apatch_session(session.id, **changes))
            except NotFound:
                try:
                    return session_record(await self._storage.acreate_session(session))
                except AlreadyExists:  # deleted, or made by another writer in between
                    anew = await begin_anew(self._storage, session)
                    return session_record(anew or await self._storage.apatch_session(session.id, **changes))

    async def find_session_by_id(self, session_id: str) -> SessionRecord | None:
        """The session, or None."""
        with _named("session_id"):
            found = await self._storage.aget_session(session_id)
        return None if found is None else session_record(found)

    async def find_session_by_image_id(self, image_id: str) -> SessionRecord | None:
        """The image's most recent session, or None."""
        found = await self._storage.aget_image_session(image_id)
        return None if found is None else session_record(found)

    async def find_sessions_by_container_id(self, container_id: str) -> list[SessionRecord]:
        """A container's sessions, newest first."""
        given = codec.string(container_id, "container_id")
        found = await self._storage.alist_sessions(container_id=given, limit=None)
        return [session_record(session) for session in found]

    async def find_all_sessions(self) -> list[SessionRecord]:
        """All sessions, newest first."""
        return [session_record(session) for session in await self._storage.alist_sessions(limit=None)]

    async def session_exists(self, session_id: str) -> bool:
        """Whether the session is there."""
        return await self.find_session_by_id(session_id) is not None

    async def delete_session(self, session_id: str) -> bool:
        """Delete a session, its messages with it; whether it was there. The storage deletes it softly."""
        with _named("session_id"):
            return await self._storage.adelete_session(session_id)

    async def add_message(self, session_id: str, message: Message) -> Message:
        """Append a message to a session; again with the same id and content, the stored one comes back.

        Raises:
            NotFound: there is no such session.
            AlreadyExists: the id is taken by other content.
        """
        with _named("id", kind="subtype"):
            return message_record(await self._storage.aadd_message(message_of(session_id, message)))

    async def get_messages(self, session_id: str) -> list[Message]:
        """A session's messages in the order in which they were added."""
        if not await self.session_exists(session_id):
            return []
        return [message_record(message) for message in await self._storage.alist_messages(session_id)]

    async def clear_messages(self, session_id: str) -> int:
        """Remove a session's messages; how many there were."""
        try:
            return await self._storage.adelete_messages(session_id)
        except NotFound:  # with its session
            return 0

    async def truncate_messages_after(self, session_id: str, message_id: str) -> int:
        """Remove what comes after a message; how many there were.

        Raises:
            NotFound: there is no such message in that session.
        """
        with spelled({"id": "message_id"}):
            return await self._storage.atruncate_messages(session_id, message_id)
