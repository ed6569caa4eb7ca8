"""A round trip: SQLite, a file, PostgreSQL, MongoDB, files, a file, SQLite; each step is killed at random points."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import pytest

from chronos_storage import connect
from chronos_storage.records import KINDS
from tests import servers
from tests.soak.conftest import Progress

#: Sessions, each with fifty records; how often each step is killed; and bytes of memory that a step may take.
SESSIONS = int(os.environ.get("SOAK_SESSIONS", "10000"))
KILLS, MEMORY = int(os.environ.get("SOAK_KILLS", "3")), 256_000_000


@dataclass
class Moved:
    """How far the round trip is."""

    steps: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.steps[-1] if self.steps else f"{SESSIONS:,} sessions"

    def told(self) -> str:
        return "\n".join(self.steps)


@contextmanager
def databases() -> Iterator[tuple[str, str]]:
    """The addresses of an empty database on PostgreSQL's server and on MongoDB's."""
    postgres, mongodb = servers.postgres(), servers.mongodb()
    if postgres is None or mongodb is None:
        pytest.fail("the soak of copies needs PostgreSQL and MongoDB")
    import psycopg
    import pymongo

    name = f"copies_{uuid.uuid4().hex}"
    address, mark, query = mongodb.partition("/?")
    with closing(psycopg.connect(postgres, autocommit=True)) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{postgres.rpartition('/')[0]}/{name}", f"{address}/{name}{mark and '?'}{query}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            with pymongo.MongoClient(mongodb) as client:
                client.drop_database(name)


def test_copies(tmp_path: Path, other_databases: None, say: Callable[[Progress], None]) -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
    points, moved = random.Random(seed), Moved()
    say(moved)
    first, last = str(tmp_path / "first.db"), str(tmp_path / "last.db")

    def step(name: str, old: str, new: str) -> None:
        for killed in range(KILLS + 1):
            most = SESSIONS * {"fill": 0, "export": 1}.get(name, 50)
            pause = points.randrange(1, most) if killed < KILLS and most else 0
            command = [sys.executable, "-m", "tests.soak.moving", str(tmp_path / "media"), name, old, new, str(pause)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout
                said = process.stdout.readline()
                if said == "here\n":
                    process.kill()
                    continue
            break
        report = json.loads(said)
        moved.steps.append(f"{name} to {new.partition(':')[0]}, {report['memory'] / 1e6:.0f} MB: {report['report']}")
        say(moved)
        assert not report["problem"], seed
        assert report["memory"] < MEMORY, seed

    with databases() as (postgres, mongodb):
        files = f"file://{tmp_path}/files"
        step("fill", str(SESSIONS), first)
        step("export", first, str(tmp_path / "one.jsonl.gz"))
        step("import", str(tmp_path / "one.jsonl.gz"), postgres)
        step("copy", postgres, mongodb)
        step("copy", mongodb, files)
        step("export", files, str(tmp_path / "two.jsonl.gz"))
        step("import", str(tmp_path / "two.jsonl.gz"), last)
    source, target = connect(first), connect(last)
    for kind in KINDS:
        for one, other in zip_longest(source.scan(kind), target.scan(kind)):
            assert one == other, seed
    assert list(target.chain_heads()) == list(source.chain_heads())
    assert all(verdict.intact for verdict in target.verify_all())
