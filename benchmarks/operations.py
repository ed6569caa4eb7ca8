"""Exporting and importing everything, against Django's own commands for fixtures, and loading an event ledger."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management import call_command

from chronos_storage.operations.exporting import export
from chronos_storage.operations.importing import load_export
from chronos_storage.records import Event, Message, Session

from .databases import Vendor
from .measure import Figure, always, rate, timed

_DJANGO = "Django's fixtures"
#: Seconds that 200,000 events may take, and events of a session.
_LOAD_SECONDS, _EVENTS = 15, 1000


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    sessions = 20 if quick else 100
    with vendor.database() as source, tempfile.TemporaryDirectory(prefix="chronos-benchmark-") as folder:
        for number in range(sessions):
            _fill(source.storage, f"s{number:05}")
        count = sum(1 for kind in ("session", "message", "event") for _ in source.storage.scan(kind))
        ours, theirs = Path(folder, "ours.jsonl"), Path(folder, "theirs.json")
        yield rate(
            f"export of {count:,} records",
            count,
            always(partial(_export, source.storage, ours)),
            always(partial(_dump, source.storage, theirs)),
            rounds=1 if quick else 3,
            against=_DJANGO,
            at_least=5,
        )
        with vendor.database() as new, vendor.database() as other:
            mine = timed(always(partial(load_export, new.storage, ours)))
            fixtures = timed(always(partial(_load_fixture, other.storage, theirs)))
        yield Figure(
            name=f"import of {count:,} records",
            unit="/s",
            ours=count / mine,
            other=count / fixtures,
            ratio=fixtures / mine,
            against=_DJANGO,
            at_least=5,
            rounds=[(mine, fixtures)],
        )
    yield _loading(vendor, 20_000 if quick else 200_000)


def _fill(storage: Any, id: str) -> None:
    storage.create_session(Session(id=id, agent_id="agent", user_id="user"))
    text = "What an agent or a user says is a sentence or two. " * 4
    storage.add_messages([Message(session_id=id, role="user", content=f"{n} {text}") for n in range(100)])
    events = [Event(session_id=id, type="node_executed", payload={"node": "answer", "n": n}) for n in range(100)]
    storage.append_events(events)


def _export(storage: Any, out: Path) -> None:
    out.unlink(missing_ok=True)
    export(storage, out)


def _dump(storage: Any, out: Path) -> None:
    call_command("dumpdata", "chronos_storage", database=storage.backend.using, output=str(out), verbosity=0)


def _load_fixture(storage: Any, path: Path) -> None:
    call_command("loaddata", str(path), database=storage.backend.using, verbosity=0)


def _loading(vendor: Vendor, count: int) -> Figure:
    """`load` of a ledger of so many events in one call."""
    with vendor.database() as source:
        for number in range(count // _EVENTS):
            source.storage.create_session(Session(id=f"s{number:05}"))
            source.storage.append_events([Event(session_id=f"s{number:05}", payload={"n": n}) for n in range(_EVENTS)])
        records = [*source.storage.scan("session"), *source.storage.scan("event")]
    with vendor.database() as target:
        seconds = timed(always(partial(target.storage.load, records)))
    allowed = _LOAD_SECONDS * count / 200_000
    return Figure(
        name=f"load of {count:,} events",
        unit="s",
        ours=seconds,
        other=allowed,
        ratio=seconds / allowed,
        against="allowed",
        at_most=1,
        rounds=[(seconds, allowed)],
    )
