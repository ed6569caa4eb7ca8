"""Histories that were truncated, forked and compacted at random, as the three providers' rules want them.

``SEED=7 make soak ARGS="-k contexts"`` repeats a round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from tests.soak.conftest import Progress, seeds, size
from tests.unit.test_providers import require_views

HISTORIES = size("SESSIONS", 10_000)


@dataclass
class Seen:
    """The histories so far."""

    seed: int = 0
    histories: int = 0

    def __str__(self) -> str:
        return f"{self.histories:,} histories, the last with seed {self.seed}, all accepted"

    def told(self) -> str:
        return f"seed {self.seed}"


def test_contexts(say: Callable[[Progress], None]) -> None:
    seen = Seen()
    for seed in islice(seeds(), HISTORIES):
        seen.seed = seed
        require_views(seed)
        seen.histories += 1
        if not seen.histories % 1000:
            say(seen)
    say(seen)
