"""Every method of storages, queues and vector stores, with random arguments, on all backends side by side, really
committing.

``SEED=7 make soak ARGS="-k backends"`` repeats a round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import pytest
from django.conf import settings
from django.core.management import call_command

from tests.comparison.methods import QUEUE, STORAGE, VECTORS, Interface
from tests.comparison.run import Comparison, Different
from tests.comparison.stores import stores_of
from tests.soak.conftest import Progress, seeds, size

#: Rounds, each on stores that are empty, and calls of each: 20,000 in all, of each interface.
ROUNDS, CALLS = size("ROUNDS", 20), size("CALLS", 1_000)


@dataclass
class Compared:
    """What was compared so far.

    Attributes:
        differences: each different one that was found.
    """

    seed: int = 0
    calls: int = 0
    differences: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.calls:,} calls, the last with seed {self.seed}, {len(self.differences)} answered differently"

    def told(self) -> str:
        return "\n\n".join(self.differences.values())


@pytest.mark.django_db(databases=list(settings.DATABASES), transaction=True)
@pytest.mark.parametrize("interface", [STORAGE, QUEUE, VECTORS], ids=lambda interface: interface.kind.__name__)
def test_backends(interface: Interface, say: Callable[[Progress], None]) -> None:
    compared = Compared()
    for seed in islice(seeds(), ROUNDS):
        compared.seed = seed
        comparison = Comparison(interface, stores_of(interface), seed)
        try:
            for _ in comparison.run(CALLS):
                pass
        except Different as different:
            compared.differences.setdefault(different.kind, str(different))
        compared.calls += comparison.calls
        say(compared)
        for alias in settings.DATABASES:
            call_command("flush", database=alias, interactive=False, verbosity=0)
    assert not compared.differences, compared.told()
