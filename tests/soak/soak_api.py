"""The API under whatever its document allows, and what it doesn't, really committing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chronos_storage.api.images import ContainerViewSet
from tests.api.fuzzing import KINDS, Fuzz
from tests.api.fuzzing import fuzz as fuzz
from tests.conftest import STRICTEST, each_database
from tests.soak.conftest import Progress, seeds, size

#: At least so many requests for each kind of user and each database, more than 20,000 in all; and examples of each
#: operation, and chains of calls, at a time.
CASES, EXAMPLES, CHAINS = size("CASES", 3_500), size("EXAMPLES", 3), size("CHAINS", 30)


@pytest.mark.parametrize("alias", each_database(without=["postgres15", "mariadb"], transaction=True), indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_api(kind: str, fuzz: Callable[[str], Fuzz], say: Callable[[Progress], None]) -> None:
    fuzzed = fuzz(kind)
    say(fuzzed)
    for seed in seeds():
        fuzzed.operations(examples=EXAMPLES, number=seed)
        say(fuzzed)
        fuzzed.chains(examples=CHAINS, number=seed)
        say(fuzzed)
        if fuzzed.cases >= CASES:
            break
    assert not fuzzed.faults, fuzzed.told()
    # Or it would be about refusals alone, and the chains would be none, without calls that take what others answered.
    assert len(fuzzed.succeeded) > 40, fuzzed.succeeded
    assert fuzzed.followed.total() > 5, fuzzed.followed


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_what_breaks_the_document_is_found(fuzz: Callable[[str], Fuzz], monkeypatch: Any) -> None:
    """A server error, and an answer that the document doesn't know, each with the request that shows it."""

    def fail(*given: Any, **named: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(ContainerViewSet, "list", fail)
    monkeypatch.setattr(ContainerViewSet, "create", lambda view, request: view.http_method_not_allowed(request))
    fuzzed = fuzz("superuser")
    fuzzed.operations(examples=1, number=1, path="/containers")
    assert set(fuzzed.faults) == {
        ("GET /containers", "Server error"),
        ("GET /containers", "Undocumented status code"),
        ("POST /containers", "Undocumented status code"),
    }
    assert "curl" in fuzzed.told()
