"""New databases on the tests' cluster, migrated and not yet distributed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connections

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from chronos_storage.records import AuditLog, Checkpoint, Event, MemoryRecord, Message, Session, Trace
from tests import clusters
from tests.databases import hand_written

#: Where there is no cluster, as in a run of all other tests, there is nothing to collect.
collect_ignore_glob = [] if os.environ.get("TEST_CITUS_URL") else ["test_*.py"]


@pytest.fixture
def address() -> Iterator[str]:
    """The address of a new database on the coordinator, which the workers have too."""
    url, name = os.environ["TEST_CITUS_URL"], f"chronos_new_{secrets.token_hex(4)}"
    clusters.create(url, name)
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    clusters.drop(url, name)


@pytest.fixture
def migrated(address: str, other_databases: None) -> str:
    """The alias of that database, with its tables."""
    alias = hand_written(address)
    call_command("migrate", database=alias, verbosity=0)
    return alias


@pytest.fixture
def filled(migrated: str) -> Storage:
    """A storage over it, with a few sessions and what they have."""
    storage = Storage(OrmBackend(using=migrated))
    for number in range(8):
        id = f"s{number}"
        storage.create_session(Session(id=id, agent_id="a", user_id="u"))
        storage.add_messages([Message(session_id=id, role="user", content=f"{id} {n}") for n in range(3)])
        storage.append_events([Event(session_id=id, type="t", payload={"n": n}) for n in range(3)])
        storage.append_audit_log(AuditLog(session_id=id, action="a"))
        storage.append_audit_log(AuditLog(agent_id=id, action="a"))
        storage.save_checkpoint(Checkpoint(session_id=id, state={"items": list(range(1000))}))
        storage.insert_trace(Trace(session_id=id, name="t"))
        storage.put_memory(MemoryRecord(agent_id="a", session_id=id, key="k", value=number))
    return storage


def distribute(alias: str, **options: Any) -> None:
    """Call the command, and have who comes after it make a new connection, as it says."""
    call_command("chronos_distribute", database=alias, **options)
    connections[alias].close()
