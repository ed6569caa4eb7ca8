"""The persistence of AgentX: containers, images and sessions with their messages, asynchronous, and its event queue.

Times are epoch milliseconds, what is absent is None. A record that is saved again keeps its first created_at. The
updated_at of a container or an image is the one that is given, or the time of saving.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asgiref.sync import sync_to_async

from ..backends.base import Storage
from ..dsn import connect
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
    "memory_driver",
    "mysql_driver",
    "postgresql_driver",
    "sqlite_driver",
]

_DIRECTORY = "~/.agentx"


@dataclass(frozen=True, slots=True)
class Driver:
    """Which store a persistence is to open: its address, as `connect` takes it."""

    address: str


def memory_driver(name: str = "") -> Driver:
    """In this process's memory: a store of its own, or with a name the one that all drivers of this name share."""
    return Driver(f"memory://{name}")


def sqlite_driver(path: str | Path) -> Driver:
    """In a SQLite file, which is made with its folders where it isn't there."""
    return Driver(str(path))


def postgresql_driver(connection_string: str) -> Driver:
    """In PostgreSQL: ``postgres://user:password@host:port/name``."""
    return Driver(connection_string)


def mysql_driver(uri: str) -> Driver:
    """In MariaDB or MySQL: ``mysql://user:password@host:port/name``."""
    return Driver(uri)


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
        ConfigurationError: the address can't be used.
    """
    if isinstance(driver, Driver):
        return Persistence(await sync_to_async(connect)(driver.address, migrate=True))
    return Persistence(driver)


@dataclass(frozen=True, slots=True)
class AgentX:
    """What is kept under one base directory: the persistence and the queue, each in a file of its own."""

    persistence: Persistence
    queue: Queue

    async def close(self) -> None:
        """End the queue's subscriptions and release connections."""
        await self.queue.close()
        await self.persistence.close()


def _data(agentx_dir: str | Path) -> Path:
    return Path(agentx_dir).expanduser() / "data"


async def create_agentx(agentx_dir: str | Path = _DIRECTORY) -> AgentX:
    """Open ``data/agentx.db`` and ``data/queue.db`` under a base directory, and make them where they aren't there."""
    data = _data(agentx_dir)
    persistence = await create_persistence(sqlite_driver(data / "agentx.db"))
    return AgentX(persistence, await create_queue(data / "queue.db"))
