"""The admin: each page among many sessions and among few."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from chronos_storage.records import Event, Message, Session

from . import samples, shop
from .databases import Database, Vendor
from .imports import CONVERSATIONS, PROJECT
from .measure import Figure, Side, always, duration
from .sites import Site, environment

_FEW = 100
#: Sessions that a user has, more or less, and messages of 1 MB in the long session.
_PER_USER, _LARGE = 20, 100
#: Queries that a page may take, and how many times as long among many sessions.
_QUERIES, _SLOWER = 19, 1.5
_ADMIN = "/admin/chronos_storage"


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    if vendor.has_bars:
        yield from shop.figures(vendor, quick)
    if not CONVERSATIONS.exists():
        print(f"  no figure of the admin: {CONVERSATIONS} is not there", file=sys.stderr)
        return
    times, rounds = (3, 4) if quick else (50, 15)
    with ExitStack() as stack:
        few, many = (stack.enter_context(vendor.database()) for _ in range(2))
        _fill(few, _some(Path(stack.enter_context(tempfile.TemporaryDirectory()))), 1)
        _fill(many, CONVERSATIONS, times)
        events = 2_000 if quick else 20_000
        _long_session(many, events)
        sites = [stack.enter_context(Site(database)) for database in (few, many)]
        pages = [_pages(database) for database in (few, many)]
        count = 200 * times
        for name in pages[0]:
            bar = _SLOWER if name in ("list of sessions", "list of a user's sessions", "session") else None
            yield _compared(vendor, f"{name} among {count:,} sessions", sites, [p[name] for p in pages], rounds, bar)
        long = pages[1]["session"].replace(quote(_middle(many), safe=""), "long")
        addresses = [pages[1]["session"], long]
        name = f"session of {events:,} events and {_LARGE} messages of 1 MB"
        yield _compared(vendor, name, [sites[1]] * 2, addresses, rounds, _SLOWER, "a small session")
        most, slowest = max((sites[1].queries(address), name) for name, address in [*pages[1].items(), (name, long)])
        yield Figure(
            name=f"queries of a page, at most ({slowest})",
            unit="",
            ours=most,
            other=_QUERIES,
            ratio=most / _QUERIES,
            against="allowed",
            at_most=vendor.bar(1),
        )


def _compared(
    vendor: Vendor,
    name: str,
    sites: list[Site],
    addresses: list[str],
    rounds: int,
    at_most: float | None,
    against: str = f"among {_FEW}",
) -> Figure:
    other, ours = (_getting(site, address) for site, address in zip(sites, addresses, strict=True))
    bar = None if at_most is None else vendor.bar(at_most)
    return duration(name, 5, ours, other, rounds=rounds, at_most=bar, against=against)


def _getting(site: Site, address: str) -> Side:
    return always(lambda: site.get(address), 5)


def _some(folder: Path) -> Path:
    """A file with the first conversations."""
    some = folder / "some.jsonl.gz"
    with gzip.open(CONVERSATIONS, "rt") as lines, gzip.open(some, "wt") as copy:
        copy.writelines(line for line, _ in zip(lines, range(_FEW), strict=False))
    return some


def _fill(database: Database, conversations: Path, times: int) -> None:
    """Import conversations so many times over, each time as another agent's."""
    for number in range(times):
        print(f"\r  importing {number + 1} of {times} …", end="", file=sys.stderr, flush=True)
        subprocess.run(
            [sys.executable, "manage.py", "chronos_import", str(conversations), f"--agent-id=agent-{number}"],
            cwd=PROJECT,
            env=environment(database),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    sessions = database.storage.list_sessions(limit=None)
    users = len(sessions) // _PER_USER
    for session in sessions:
        database.storage.patch_session(session.id, user_id=f"user-{zlib.crc32(session.id.encode()) % users}")
    database.analyze()


def _long_session(database: Database, count: int) -> None:
    storage = database.storage
    storage.create_session(Session(id="long", agent_id="agent-0"))
    for start in range(0, count, 10):
        storage.append_events([Event(session_id="long", payload=samples.payload(start + n)) for n in range(10)])
        if start < 10 * _LARGE:
            storage.add_message(Message(session_id="long", role="user", content="long " * 200_000))
    database.analyze()


def _middle(database: Database) -> str:
    """A session of a usual length, the same conversation in each database."""
    found = database.storage.list_sessions("agent-0", limit=None)
    return next(session.id for session in found[::-1] if database.storage.count_messages(session.id) > 20)


def _pages(database: Database) -> dict[str, str]:
    session = database.storage.get_session(_middle(database))
    assert session is not None
    about = f"{_ADMIN}/session/{session.id}"
    return {
        "list of sessions": f"{_ADMIN}/session/",
        "list of a user's sessions": f"{_ADMIN}/session/?user_id={quote(session.user_id)}",
        "session": f"{about}/change/",
        "spans": f"{about}/spans/",
        "tokens": f"{about}/tokens/",
        "checkpoints": f"{about}/checkpoints/",
        "verdict": f"{about}/verdict/",
        "list of messages": f"{_ADMIN}/message/",
        "list of a session's messages": f"{_ADMIN}/message/?session_id={session.id}",
        "list of events": f"{_ADMIN}/event/",
        "audit log": f"{_ADMIN}/auditlog/",
        "audit log by prefix": f"{_ADMIN}/auditlog/?action=tool&prefix=action",
        "overview": f"{_ADMIN}/session/overview/",
    }
