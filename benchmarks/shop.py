"""Every page of the admin among ten thousand sessions of a shop, in which ten faults are planted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median
from urllib.parse import urlencode

from chronos_storage import records
from tests.admin import haystack, needles

from .databases import Database, Vendor
from .measure import Figure, always, timed
from .sites import Site

#: What each page may take: queries, and milliseconds of the server's time.
_QUERIES, _MILLISECONDS = 19, 300
_ADMIN = "/admin/chronos_storage"
_SHOWN = ("errors", "stuck", "lost", "budget", "broken", "forks")
#: The columns of the list of sessions, from the third on.
_ORDERS = ("errors", "duration", "messages", "calls", "tokens", "cost")
_LISTS = ("session", "message", "trace", "event", "checkpoint", "auditlog", "memoryrecord", "topic", "consumer", "head")


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this part of the group, one by one."""
    sessions, turns, rounds = (1_000, 1, 3) if quick else (10_000, 4, 15)
    with vendor.database() as database, Site(database) as site:
        site.get("/admin/")  # which has made its tables then
        print(f"\r  filling {sessions:,} sessions …", end="", file=sys.stderr, flush=True)
        until = records.now().replace(second=0, microsecond=0)
        haystack.fill(database.storage, until, sessions, turns)
        needles.plant(database.storage, until)
        database.analyze()
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
        for name, address in _pages(database).items():
            yield _took(f"{name} among {sessions:,} sessions", site, address, rounds)
            yield _queries(f"queries of {name}", site, address)


def _pages(database: Database) -> dict[str, str]:
    """The pages that read the more the more there is, and those of the longest session."""
    now = records.now()
    pages = {"home": "/admin/", "overview": f"{_ADMIN}/session/overview/"}
    pages |= {f"list of {name}s": f"{_ADMIN}/{name}/" for name in _LISTS}
    searches = {
        "sessions of a user": ("session", {"user_id": "ada@example.org"}),
        "sessions with a text": ("session", {"text": "1200"}),
        **{f"sessions that are {show}": ("session", {"show": show}) for show in _SHOWN},
        **{f"sessions by {name}": ("session", {"o": f"-{place}"}) for place, name in enumerate(_ORDERS, 3)},
        "spans of a time": ("trace", {"since": f"{now:%Y-%m-%dT00:00:00}"}),
    }
    pages |= {name: f"{_ADMIN}/{model}/?{urlencode(given)}" for name, (model, given) in searches.items()}
    about = f"{_ADMIN}/session/loop"
    pages |= {name: f"{about}/{name}/" for name in ("spans", "tokens", "checkpoints", "verdict")}
    return pages | {"session": f"{about}/change/", "topic": f"{_ADMIN}/topic/refunds/change/"}


def _took(name: str, site: Site, address: str, rounds: int) -> Figure:
    side = always(lambda: site.get(address))
    timed(side)
    taken = [1000 * timed(side) for _ in range(rounds)]
    ours = median(taken)
    return Figure(
        name=name,
        unit="ms",
        ours=ours,
        other=_MILLISECONDS,
        ratio=ours / _MILLISECONDS,
        against="allowed",
        at_most=1,
        rounds=[(each, _MILLISECONDS) for each in taken],
    )


def _queries(name: str, site: Site, address: str) -> Figure:
    ours = site.queries(address)
    return Figure(name=name, unit="", ours=ours, other=_QUERIES, ratio=ours / _QUERIES, against="allowed", at_most=1)
