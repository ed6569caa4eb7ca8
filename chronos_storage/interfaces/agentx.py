"""The persistence of AgentX: containers, images and sessions with their messages, asynchronous, and its event queue.

Times are epoch milliseconds, what is absent is None. A record that is saved again keeps its first created_at. The
updated_at of a container or an image is the one that is given, or the time of saving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async

from ..exceptions import ConfigurationError
from ..facade import Storage
from .agentx_drivers import (
    Driver,
    fs_driver,
    memory_driver,
    mongodb_driver,
    mysql_driver,
    opened,
    postgresql_driver,
    redis_driver,
    sqlite_driver,
)
from .agentx_originals import refuse_original, refuse_original_folder
from .agentx_queue import Queue, QueueEntry, create_queue
from .agentx_records import ContainerRecord, ImageRecord, Message, SessionRecord
from .agentx_repositories import ContainerRepository, ImageRepository, SessionRepository

__all__ = [
    "AgentX",
    "ContainerRecord",
    "ContainerRepository",
    "Driver",
    "ImageRecord",
    "ImageRepository",
    "Message",
    "Persistence",
    "Queue",
    "QueueEntry",
    "SessionRecord",
    "SessionRepository",
    "create_agentx",
    "create_persistence",
    "create_queue",
    "fs_driver",
    "memory_driver",
    "mongodb_driver",
    "mysql_driver",
    "postgresql_driver",
    "redis_driver",
    "sqlite_driver",
]

_DIRECTORY = "~/.agentx"
_FOLDERS = ("data", "containers", "logs")
_ENTITIES, _QUEUE = "data/agentx.db", "data/queue.db"


class Persistence:
    """The repositories over one storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.containers: ContainerRepository = ContainerRepository(storage)
        self.images: ImageRepository = ImageRepository(storage)
        self.sessions: SessionRepository = SessionRepository(storage)

    async def close(self) -> None:
        """Release connections; again, no change."""
        await self.storage.aclose()


async def create_persistence(driver: Driver | Storage) -> Persistence:
    """The persistence in the store that a driver names, made ready for use, or over a storage that is.

    Raises:
        ConfigurationError: the address can't be used, or names a file of AgentX' own.
    """
    return Persistence(await sync_to_async(opened)(driver) if isinstance(driver, Driver) else driver)


@dataclass(frozen=True, slots=True)
class AgentX:
    """What is kept under one base directory: the persistence and the queue, each in a file of its own.

    Attributes:
        llm: what was given for the model, for the host's own use; nothing of it is stored.
        agentx_dir: the base directory, whose ``containers`` are the agents' and whose ``logs`` the host's to write in.
    """

    persistence: Persistence
    queue: Queue
    agentx_dir: Path
    llm: Mapping[str, Any] = field(repr=False)

    async def close(self) -> None:
        """End the queue's subscriptions and release connections."""
        await self.queue.close()
        await self.persistence.close()


async def create_agentx(agentx_dir: str | Path = _DIRECTORY, *, llm: Mapping[str, Any] | None = None) -> AgentX:
    """Open ``data/agentx.db`` and ``data/queue.db`` under a base directory, and make what isn't there of its folders.

    Args:
        agentx_dir: the base directory; by default in the user's home, where AgentX' own is.
        llm: how the host calls its model, such as ``{"api_key": …}``; kept as it is, in memory alone.

    Raises:
        ConfigurationError: the directory holds files of AgentX' own, or is none.
    """
    base = await sync_to_async(_make_folders)(agentx_dir)
    persistence = await create_persistence(sqlite_driver(base / _ENTITIES))
    return AgentX(persistence, await create_queue(base / _QUEUE), base, llm or {})


def _make_folders(agentx_dir: str | Path) -> Path:
    """A base directory with its folders, unless it has files of AgentX' own."""
    base = Path(agentx_dir).expanduser()
    if base.is_file():
        refuse_original(base)
        raise ConfigurationError(f"agentx_dir must be a directory, and {base} is a file")
    refuse_original_folder(base / "data")
    for name in (_ENTITIES, _QUEUE):
        refuse_original(base / name)
    for name in _FOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    return base
