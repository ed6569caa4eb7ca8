"""The REST API under a crowd that asks for all that is large: what it leaves to others, and what memory it takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from statistics import median

from tests.api.crowd import MAX_MEMORY, MAX_MEMORY_OF_OBJECTS, Crowd, Memory, objects, ordinary, strings
from tests.api.serving import Site

from .databases import Vendor
from .measure import Figure

#: Seconds that another user's requests may take, at the median.
_MOST = 1.0


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    if not vendor.has_bars:
        return
    seconds = 10 if quick else 60
    for large in (strings, objects):
        what, crowd = large.__name__, Crowd(large)
        with vendor.database() as database:
            site = Site(database.url, "project.settings")
            keys = crowd.fill(site)
            with site.served(1):
                assert site.process
                memory = Memory(site.process.pid)
                alone, begun = ordinary(site, keys["other"], seconds / 5), memory.now()
                start = time.monotonic()
                with crowd.asking(site, keys):
                    others = ordinary(site, keys["other"], seconds)
                print(
                    f"  {what}: {dict(crowd.statuses)} in {time.monotonic() - start:.0f} s, {crowd.refused[:3]},"
                    f" alone {1000 * median(alone):.0f} ms and {begun / 1e6:.0f} MB",
                    file=sys.stderr,
                )
                yield Figure(
                    name=f"another's request while a crowd asks for {what}, median",
                    unit="ms",
                    ours=1000 * median(others),
                    other=1000 * _MOST,
                    ratio=median(others) / _MOST,
                    against="allowed",
                    at_most=1,
                    rounds=[(each, _MOST) for each in others],
                )
                allowed = MAX_MEMORY_OF_OBJECTS if large is objects else MAX_MEMORY
                yield Figure(
                    name=f"memory of the process meanwhile, largest {what}",
                    unit="MB",
                    ours=memory.peak() / 1e6,
                    other=allowed / 1e6,
                    ratio=memory.peak() / allowed,
                    against="allowed",
                    at_most=1,
                )
