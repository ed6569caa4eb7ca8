"""The API under whatever its document allows, and what it doesn't, really committing."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from tests.api.fuzzing import KINDS, Fuzz
from tests.api.fuzzing import fuzz as fuzz
from tests.conftest import each_database
from tests.soak.conftest import Progress

#: At least so many requests for each kind of user and each database: more than 20,000 in all.
CASES = 3_500


@pytest.mark.parametrize("alias", each_database(without=["postgres15", "mariadb"], transaction=True), indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_api(kind: str, fuzz: Callable[[str], Fuzz], say: Callable[[Progress], None]) -> None:
    fuzzed = fuzz(kind)
    say(fuzzed)
    while fuzzed.cases < CASES:
        fuzzed.operations(examples=3, number=secrets.randbits(32))
        say(fuzzed)
        fuzzed.chains(examples=30, number=secrets.randbits(32))
        say(fuzzed)
    assert not fuzzed.faults, fuzzed.told()
