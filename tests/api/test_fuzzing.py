"""That the API keeps to its document, whatever it is sent: a short form of ``make soak``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chronos_storage.api.images import ContainerViewSet
from tests.api.fuzzing import KINDS, Fuzz
from tests.api.fuzzing import fuzz as fuzz
from tests.conftest import ONLY_SQLITE, STRICTEST

SEED = 20260131


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_every_operation_keeps_to_the_document(fuzz: Callable[[str], Fuzz]) -> None:
    fuzzed = fuzz("staff")
    fuzzed.operations(examples=1, number=SEED)
    assert not fuzzed.faults, fuzzed.told()
    # Or it would be about refusals alone.
    assert len(fuzzed.succeeded) > 40, fuzzed.succeeded


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_chains_of_calls_keep_to_the_document(fuzz: Callable[[str], Fuzz]) -> None:
    kinds = [fuzz(kind) for kind in KINDS]
    for fuzzed in kinds:
        fuzzed.chains(examples=4, number=SEED)
        assert not fuzzed.faults, fuzzed.told()
    # Without calls that take what an earlier one answered they would be no chains.
    assert sum(fuzzed.followed.total() for fuzzed in kinds) > 20, [str(fuzzed) for fuzzed in kinds]


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_what_breaks_the_document_is_found(fuzz: Callable[[str], Fuzz], monkeypatch: Any) -> None:
    """A server error, and an answer that the document doesn't know, each with the request that shows it."""

    def fail(*given: Any, **named: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(ContainerViewSet, "list", fail)
    monkeypatch.setattr(ContainerViewSet, "create", lambda view, request: view.http_method_not_allowed(request))
    fuzzed = fuzz("superuser")
    fuzzed.operations(examples=1, number=SEED, path="/containers")
    assert set(fuzzed.faults) == {
        ("GET /containers", "Server error"),
        ("GET /containers", "Undocumented status code"),
        ("POST /containers", "Undocumented status code"),
    }
    assert "curl" in fuzzed.told()
