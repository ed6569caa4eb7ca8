"""The REST API: requests a second, beside views that a project would write by hand on the same storage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from chronos_storage.records import Session

from . import samples
from .databases import Vendor
from .imports import PROJECT
from .measure import Figure
from .sites import environment

#: How many requests a second, beside the other view's.
_AT_LEAST = 0.95
#: Records of the session that is read.
_COUNT = 200


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds, times = (4, 20) if quick else (15, 100)
    with vendor.database() as database, Site(environment(database)) as site:
        storage = database.storage
        storage.create_session(Session(id="s", agent_id="support", user_id=site.user_id))
        events = storage.append_events(samples.events("s", _COUNT))
        messages = storage.add_messages(samples.messages("s", _COUNT))
        event = {"type": "node_executed", "payload": samples.payload(1)}
        message = {"role": "user", "content": messages[0].content}
        database.analyze()
        for name, ids, body in (("event", events, event), ("message", messages, message)):
            asked = {
                f"reading one {name}": ("GET", f"{name}s/{ids[_COUNT // 2].id}", None),
                f"a page of 50 {name}s": ("GET", f"{name}s", None),
                f"appending one {name}": ("POST", f"{name}s", body),
            }
            for what, (method, address, content) in asked.items():
                taken = [site.compare(method, address, content, times) for _ in range(rounds)]
                yield from _compared(what, taken, times)


#: What ours and the other took: seconds, those of the processor, and queries.
Taken = tuple[tuple[float, float, int], tuple[float, float, int]]


def _compared(name: str, taken: list[Taken], times: int) -> Iterator[Figure]:
    against = "by hand"
    for at, what in enumerate((name, f"{name}, by processor time")):
        pairs = [(ours[at], other[at]) for ours, other in taken]
        yield Figure(
            name=what,
            unit="/s",
            ours=median(times / ours for ours, _ in pairs),
            other=median(times / other for _, other in pairs),
            ratio=median(other / ours for ours, other in pairs),
            against=against,
            at_least=_AT_LEAST,
            rounds=pairs,
        )
    ours, other = (side[2] for side in taken[-1])
    yield Figure(
        name=f"queries of {name}", unit="", ours=ours, other=other, ratio=ours / other, against=against, at_most=1
    )


class Site:
    """The API, and the views by hand, over a database in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.requests"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.user_id = str(self._answer())

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def compare(self, method: str, address: str, body: Any, times: int) -> Taken:
        """Ask the API, and the view by hand, for the same below the session "s", so many times each."""
        assert self._process.stdin is not None
        paths = [f"/{start}/sessions/s/{address}" for start in ("api", "by-hand")]
        content = "" if body is None else json.dumps(body)
        print(method, *paths, times, content, file=self._process.stdin, flush=True)
        ours, other = self._answer()
        return ours, other

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())
